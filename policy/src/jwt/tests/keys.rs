//! Which key and which algorithm prove a token.

use super::*;

#[test]
fn every_algorithm_has_its_kind_of_key_and_no_other() {
    let signers = [
        Signer::p256(),
        Signer::p384(),
        Signer::ed25519(),
        Signer::rsa(),
    ];
    let algorithms: [&[&str]; 4] = [
        &["ES256"],
        &["ES384"],
        &["EdDSA"],
        &["RS256", "RS384", "RS512", "PS256"],
    ];
    let all = [
        "ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512", "PS256", "HS256",
    ];
    for (signer, right) in signers.iter().zip(algorithms) {
        let verifier = verifier(set(&[signer.published("k")]));
        for algorithm in all {
            let header = json!({"alg": algorithm, "kid": "k"});
            let got = outcome(&verifier, &signer.token(&header, &claims().to_string()));
            if right.contains(&algorithm) {
                assert_eq!(got, "web", "{algorithm}");
            } else {
                assert_eq!(got, format!("the issuer has no key `k` for {algorithm}"));
            }
        }
        // A signature by one hash is not one by another.
        let signed_otherwise = |says: &str, by: &str| {
            let text = format!(
                "{}.{}",
                encode(json!({"alg": says}).to_string().as_bytes()),
                encode(claims().to_string().as_bytes())
            );
            format!("{text}.{}", encode(&signer.sign(by, &text)))
        };
        if right.len() > 1 {
            for (says, by) in [
                ("RS256", "RS512"),
                ("RS512", "RS256"),
                ("PS256", "RS256"),
                ("RS256", "PS256"),
            ] {
                let got = outcome(&verifier, &signed_otherwise(says, by));
                assert_eq!(got, "the token's signature does not verify", "{says} {by}");
            }
        }
    }
}

#[test]
fn algorithms_that_prove_nothing_are_refused() {
    let signer = Signer::rsa();
    let keys = || set(&[signer.published("k")]);
    let verifier = verifier(keys());
    let body = encode(claims().to_string().as_bytes());
    for name in [
        "none", "None", "NONE", "nOnE", "", "HS384", "HS512", "RS1", "ES256K", "PS384", "es256",
        " ES256",
    ] {
        let head = encode(json!({"alg": name}).to_string().as_bytes());
        for signature in ["", "AA"] {
            let got = outcome(&verifier, &format!("{head}.{body}.{signature}"));
            assert_eq!(
                got,
                format!("the token's algorithm `{name}` is not verified")
            );
        }
    }
    // The public key taken for a secret, in every form that a library has ever taken it in.
    let public = signature_components(match &signer {
        Signer::Rsa(key) => key,
        _ => unreachable!(),
    });
    let jwk = signer.published("k").to_string();
    for secret in [public.n.as_slice(), jwk.as_bytes(), RSA.as_bytes(), b""] {
        let head = encode(br#"{"alg":"HS256","kid":"k"}"#);
        let text = format!("{head}.{body}");
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
        let got = outcome(&verifier, &format!("{text}.{}", encode(tag.as_ref())));
        assert_eq!(got, "the issuer has no key `k` for HS256");
    }
    // A published secret is none.
    let secret = json!({"kty": "oct", "kid": "s", "k": encode(&[7; 32])});
    assert_eq!(
        KeySet::parse(json!({"keys": [secret]}).to_string().as_bytes()).unwrap_err(),
        KeySetError::NoUsableKey
    );
}

#[test]
fn a_configured_secret_verifies_hmacs_and_nothing_else() {
    let secret = [9; 32];
    let verifier = verifier(KeySet::secret(&secret).unwrap());
    let hmac = |secret: &[u8]| {
        let text = format!(
            "{}.{}",
            encode(br#"{"alg":"HS256","typ":"JWT"}"#),
            encode(claims().to_string().as_bytes())
        );
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
        format!("{text}.{}", encode(tag.as_ref()))
    };
    assert_eq!(outcome(&verifier, &hmac(&secret)), "web");
    assert_eq!(
        outcome(&verifier, &hmac(&[8; 32])),
        "the token's signature does not verify"
    );
    let signer = Signer::p256();
    let token = signer.token(&json!({"alg": "ES256"}), &claims().to_string());
    assert_eq!(
        outcome(&verifier, &token),
        "the issuer has no key `-` for ES256"
    );
    assert_eq!(
        KeySet::secret(&[9; 31]).unwrap_err(),
        KeySetError::ShortSecret
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_key_is_found_by_its_id_and_nothing_in_the_token_brings_one() {
    let (one, other, thief) = (Signer::p256(), Signer::p256(), Signer::p256());
    let two = verifier(set(&[one.published("one"), other.published("other")]));
    let say = |signer: &Signer, header: Value| signer.token(&header, &claims().to_string());
    let wrong = "the token's signature does not verify";
    let own = thief.published("one");
    for (signer, header, expected) in [
        (&one, json!({"alg": "ES256", "kid": "one"}), "web"),
        (&other, json!({"alg": "ES256", "kid": "other"}), "web"),
        (&other, json!({"alg": "ES256", "kid": "one"}), wrong),
        (
            &one,
            json!({"alg": "ES256", "kid": "third"}),
            "the issuer has no key `third` for ES256",
        ),
        (
            &one,
            json!({"alg": "ES256", "kid": "../one"}),
            "the issuer has no key `../one` for ES256",
        ),
        (
            &one,
            json!({"alg": "ES256", "kid": "one' OR '1"}),
            "the issuer has no key `one? OR ?1` for ES256",
        ),
        (
            &one,
            json!({"alg": "ES256", "kid": ""}),
            "the issuer has no key `` for ES256",
        ),
        (
            &one,
            json!({"alg": "ES256", "kid": 1}),
            "`kid` in the token's header does not have the right type",
        ),
        (
            &one,
            json!({"alg": "ES256"}),
            "several keys of the issuer fit the token",
        ),
        (
            &thief,
            json!({"alg": "ES256", "kid": "one", "jwk": own}),
            wrong,
        ),
        (
            &thief,
            json!({"alg": "ES256", "kid": "one", "jku": "https://thief.test/keys"}),
            wrong,
        ),
        (
            &thief,
            json!({"alg": "ES256", "kid": "one", "x5u": "https://thief.test/c", "x5c": ["AA"]}),
            wrong,
        ),
    ] {
        assert_eq!(
            outcome(&two, &say(signer, header.clone())),
            expected,
            "{header}"
        );
    }
    let alone = verifier(set(&[one.published("one")]));
    assert_eq!(outcome(&alone, &say(&one, json!({"alg": "ES256"}))), "web");
    assert_eq!(
        outcome(&alone, &say(&thief, json!({"alg": "ES256"}))),
        wrong
    );
    // Keys that are published without an id, or for one algorithm.
    let mut nameless = one.published("one");
    nameless.as_object_mut().unwrap().remove("kid");
    let nameless = verifier(set(&[nameless, other.published("other")]));
    let named = say(&one, json!({"alg": "ES256", "kid": "one"}));
    assert_eq!(outcome(&nameless, &named), "web");
    let mut rsa = Signer::rsa().published("r");
    rsa["alg"] = json!("RS512");
    let rsa = verifier(set(&[rsa]));
    let token = |algorithm: &str| say(&Signer::rsa(), json!({"alg": algorithm, "kid": "r"}));
    assert_eq!(outcome(&rsa, &token("RS512")), "web");
    assert_eq!(
        outcome(&rsa, &token("RS256")),
        "the issuer has no key `r` for RS256"
    );
}

#[test]
fn a_hostile_set_of_keys_is_refused_or_its_bad_keys_left_out() {
    let good = Signer::p256().published("k");
    let parse = |text: &str| KeySet::parse(text.as_bytes()).map(|set| set.len());
    for text in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"keys":{}}"#,
        r#"{"keys":[],"keys":[]}"#,
        "<html>",
        "\u{feff}{}",
    ] {
        assert_eq!(parse(text), Err(KeySetError::NotASet), "{text}");
    }
    assert_eq!(parse(r#"{"keys":[]}"#), Err(KeySetError::NoUsableKey));
    assert_eq!(
        parse(&" ".repeat(MAX_KEY_SET_BYTES + 1)),
        Err(KeySetError::TooLarge)
    );
    let many = json!({"keys": vec![json!({}); 257]}).to_string();
    assert_eq!(parse(&many), Err(KeySetError::TooManyKeys));
    let changed = |name: &str, value: Value| {
        let mut key = good.clone();
        key[name] = value;
        key
    };
    for bad in [
        json!(5),
        json!({}),
        json!({"kty": "EC"}),
        changed("crv", json!("P-384")),
        changed("crv", json!("P-521")),
        changed("crv", json!("secp256k1")),
        changed("x", json!("AA")),
        changed("x", json!("not base64!")),
        changed("use", json!("enc")),
        changed("key_ops", json!(["encrypt"])),
        changed("kty", json!("oct")),
        json!({"kty": "RSA", "n": encode(&[0xff; 128]), "e": "AQAB"}),
        json!({"kty": "RSA", "n": encode(&[0xff; 1025]), "e": "AQAB"}),
        json!({"kty": "RSA", "n": encode(&[0xff; 256]), "e": encode(&[1; 5])}),
        json!({"kty": "RSA", "n": encode(&[0xff; 256]), "e": ""}),
        json!({"kty": "OKP", "crv": "X25519", "x": encode(&[1; 32])}),
    ] {
        let set = json!({"keys": [bad]}).to_string();
        assert_eq!(parse(&set), Err(KeySetError::NoUsableKey), "{set}");
        let set = json!({"keys": [bad, good]}).to_string();
        assert_eq!(parse(&set), Ok(1), "{set}");
    }
    // A point that is not on its curve verifies nothing.
    let off = changed("y", json!(encode(&[1; 32])));
    let token = Signer::p256().token(&json!({"alg": "ES256", "kid": "k"}), &claims().to_string());
    assert_eq!(
        outcome(&verifier(set(&[off])), &token),
        "the token's signature does not verify"
    );
}
