//! What a proven token must say.

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn claims_are_checked_each() {
    let signer = Signer::p256();
    let verifier = verifier(set(&[signer.published("k")]));
    let header = json!({"alg": "ES256", "kid": "k", "typ": "JWT"});
    let skew = 60;
    let audience =
        |shown: &str| format!("the token's audience `{shown}` is none of its identity provider's");
    let wrong = |name: &str| format!("`{name}` in the token's claims does not have the right type");
    let missing = |name: &str| format!("`{name}` is missing in the token's claims");
    let foreign = |shown: &str| {
        format!("the token's issuer `{shown}` is not an identity provider of the caller's account")
    };
    for (changes, expected) in [
        (json!({}), "web".to_owned()),
        (json!({"sub": null}), "-".to_owned()),
        (json!({"sub": 5}), wrong("sub")),
        (json!({"iss": null}), missing("iss")),
        (json!({"iss": [ISSUER]}), wrong("iss")),
        (
            json!({"iss": "https://issuer.test/"}),
            foreign("https://issuer.test/"),
        ),
        (
            json!({"iss": "https://ISSUER.test"}),
            foreign("https://ISSUER.test"),
        ),
        (json!({"iss": ""}), foreign("")),
        (json!({"aud": null}), missing("aud")),
        (json!({"aud": "Orders"}), audience("Orders")),
        (json!({"aud": "order"}), audience("order")),
        (json!({"aud": []}), audience("")),
        (json!({"aud": ["x", "y"]}), audience("x, y")),
        (json!({"aud": ["x", AUDIENCE]}), "web".to_owned()),
        (json!({"aud": "also"}), "web".to_owned()),
        (json!({"aud": ["x", 5, AUDIENCE]}), wrong("aud")),
        (json!({"aud": {"a": AUDIENCE}}), wrong("aud")),
        (json!({"aud": vec![AUDIENCE; 33]}), wrong("aud")),
        (json!({"exp": null}), missing("exp")),
        (json!({"exp": "9999999999"}), wrong("exp")),
        (json!({"exp": -1}), wrong("exp")),
        (json!({"exp": 1e300}), wrong("exp")),
        (json!({"exp": NOW - skew + 1}), "web".to_owned()),
        (json!({"exp": 1_764_000_000.5}), "web".to_owned()),
        (
            json!({"exp": NOW - skew}),
            format!(
                "the token expired at {}, and it is {NOW} (seconds after 1970)",
                NOW - skew
            ),
        ),
        (json!({"nbf": NOW + skew}), "web".to_owned()),
        (
            json!({"nbf": NOW + skew + 1}),
            format!(
                "the token is not valid before {}, and it is {NOW} (seconds after 1970)",
                NOW + skew + 1
            ),
        ),
        (json!({"nbf": "0"}), wrong("nbf")),
        (json!({"nbf": null, "iat": null}), "web".to_owned()),
        (
            json!({"iat": NOW + skew + 1}),
            format!(
                "the token was issued at {}, and it is {NOW} (seconds after 1970)",
                NOW + skew + 1
            ),
        ),
    ] {
        let token = signer.token(&header, &with(&changes));
        assert_eq!(outcome(&verifier, &token), expected, "{changes}");
    }
    for (kind, expected) in [
        (json!("jwt"), "web"),
        (json!("application/at+jwt"), "web"),
        (json!("logout+jwt"), "the token is of type `logout+jwt`"),
        (json!("JWE"), "the token is of type `jwe`"),
        (
            json!(5),
            "`typ` in the token's header does not have the right type",
        ),
    ] {
        let header = json!({"alg": "ES256", "kid": "k", "typ": kind});
        let token = signer.token(&header, &claims().to_string());
        assert_eq!(outcome(&verifier, &token), expected);
    }
    for critical in [json!([]), json!(["b64"]), json!(["exp"]), json!("exp")] {
        let header = json!({"alg": "ES256", "kid": "k", "crit": critical, "b64": true});
        let token = signer.token(&header, &claims().to_string());
        assert_eq!(
            outcome(&verifier, &token),
            "the token's header has `crit`, and no extension is understood"
        );
    }
}
