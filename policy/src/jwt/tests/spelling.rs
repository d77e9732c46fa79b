//! How a token is written.

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_token_has_one_spelling() {
    let signer = Signer::p256();
    let verifier = verifier(set(&[signer.published("k")]));
    let header = json!({"alg": "ES256", "kid": "k"});
    let good = signer.token(&header, &claims().to_string());
    assert_eq!(outcome(&verifier, &good), "web");
    let [head, body, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        unreachable!()
    };
    let three = "the token does not have three parts with points between them";
    let base64 =
        |part: &str| format!("the token's {part} is not base64url without padding, of UTF-8");
    let object = |part: &str| {
        format!("the token's {part} is not a JSON object in which no member comes twice")
    };
    let text = |json: &str| encode(json.as_bytes());
    // 86 characters of 64 bytes: the last holds four bits that mean nothing.
    let last = signature.as_bytes()[85];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let position = alphabet.iter().position(|c| *c == last).unwrap();
    let stray = char::from(alphabet[position + 1]);
    for (token, expected) in [
        (String::new(), three.to_owned()),
        ("..".to_owned(), object("header")),
        (format!("{head}.{body}"), three.to_owned()),
        (format!("{good}."), three.to_owned()),
        (format!("{good}.x"), three.to_owned()),
        (format!("{good} "), base64("signature")),
        (format!(" {good}"), base64("header")),
        (format!("{good}="), base64("signature")),
        (format!("{good}=="), base64("signature")),
        (format!("{head}=.{body}.{signature}"), base64("header")),
        (
            format!("{head}.{body}.{}{stray}", signature.get(..85).unwrap()),
            base64("signature"),
        ),
        (
            format!("{head}.{body}.{}+", signature.get(..85).unwrap()),
            base64("signature"),
        ),
        (
            format!("{head}.{body}."),
            "the token's signature does not verify".to_owned(),
        ),
        (
            format!("{head}.{body}.{signature}{}", "A".repeat(4)),
            "the token's signature does not verify".to_owned(),
        ),
        (
            format!(
                "{head}.{}.{signature}",
                text(&with(&json!({"sub": "admin"})))
            ),
            "the token's signature does not verify".to_owned(),
        ),
        (
            format!("{}.{body}.{signature}", text("[]")),
            object("header"),
        ),
        (
            format!(
                "{}.{body}.{signature}",
                text(r#"{"alg":"none","alg":"ES256"}"#)
            ),
            object("header"),
        ),
        (
            format!("{}.{body}.{signature}", text(r#"{"alg":"ES256"} {}"#)),
            object("header"),
        ),
        (
            format!("{}.{body}.{signature}", text("{}")),
            "`alg` is missing in the token's header".to_owned(),
        ),
        (
            format!("{}.{body}.{signature}", text(r#"{"alg":["ES256"]}"#)),
            "`alg` in the token's header does not have the right type".to_owned(),
        ),
        (
            format!("{}.{body}.{signature}", encode(&[0xff, 0xfe])),
            base64("header"),
        ),
        (
            format!(
                "{}.{body}.{signature}",
                text(&format!("{}1{}", "[".repeat(2_000), "]".repeat(2_000)))
            ),
            object("header"),
        ),
    ] {
        assert_eq!(outcome(&verifier, &token), expected, "{token}");
    }
    // Rightly signed, and still to be refused: two readers would see different claims.
    let twice = format!(
        r#"{{"sub":"web","sub":"admin",{}"#,
        claims().to_string().strip_prefix('{').unwrap()
    );
    assert_eq!(
        outcome(&verifier, &signer.token(&header, &twice)),
        object("claims")
    );
    let nested = with(&json!({"role": "x"})).replace(r#""role":"x""#, r#""role":{"a":1,"a":2}"#);
    assert_eq!(
        outcome(&verifier, &signer.token(&header, &nested)),
        object("claims")
    );
    let huge = with(&json!({"pad": "x".repeat(9_000)}));
    let huge = signer.token(&header, &huge);
    assert_eq!(
        outcome(&verifier, &huge),
        format!("token of {} bytes, more than 8192", huge.len())
    );
    let many: Vec<u8> = vec![1; 300];
    assert_eq!(
        outcome(
            &verifier,
            &signer.token(&header, &with(&json!({"many": many})))
        ),
        object("claims")
    );
}

#[test]
fn any_bit_that_is_changed_breaks_a_token() {
    let signer = Signer::ed25519();
    let verifier = verifier(set(&[signer.published("k")]));
    let good = signer.token(&json!({"alg": "EdDSA", "kid": "k"}), &claims().to_string());
    assert_eq!(outcome(&verifier, &good), "web");
    for position in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone().into_bytes();
            bytes[position] ^= 1 << bit;
            let result = verifier.verify(&bytes, |_| true, at(NOW));
            assert!(result.is_err(), "{position} {bit}");
        }
    }
}
