//! Tokens signed here with keys made here, and everything that must become of forged ones.

use base64::{
    Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD,
};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RSA_PSS_SHA256, RsaKeyPair,
    },
};
use serde_json::json;

use super::*;

const ISSUER: &str = "https://issuer.test";
const OTHER_ISSUER: &str = "https://other.test";
const AUDIENCE: &str = "orders";
const NOW: i64 = 1_764_000_000;
const SKEW: Duration = Duration::from_secs(60);

/// The RSA key that the gateway's tests of certificates use: *ring* makes none.
const RSA: &str = include_str!("../../../gateway/src/tls/leaf/tests/rsa2048.pem");

/// What signs.
enum Signer {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Signer {
    fn p256() -> Self {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let text = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self::P256(EcdsaKeyPair::from_pkcs8(kind, text.as_ref(), &random).unwrap())
    }

    fn p384() -> Self {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P384_SHA384_FIXED_SIGNING);
        let text = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self::P384(EcdsaKeyPair::from_pkcs8(kind, text.as_ref(), &random).unwrap())
    }

    fn ed25519() -> Self {
        let text = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed25519(Ed25519KeyPair::from_pkcs8(text.as_ref()).unwrap())
    }

    fn rsa() -> Self {
        let (_, key) = RSA.split_once("-----BEGIN PRIVATE KEY-----").unwrap();
        let (key, _) = key.split_once("-----END").unwrap();
        let text = STANDARD.decode(key.replace(['\r', '\n'], "")).unwrap();
        Self::Rsa(RsaKeyPair::from_pkcs8(&text).unwrap())
    }

    /// The public key as a JWK.
    fn published(&self, id: &str) -> Value {
        let point = |bytes: &[u8], curve: &str| {
            let (x, y) = bytes[1..].split_at(bytes.len() / 2);
            json!({"kty": "EC", "crv": curve, "kid": id, "x": encode(x), "y": encode(y)})
        };
        match self {
            Self::P256(key) => point(key.public_key().as_ref(), "P-256"),
            Self::P384(key) => point(key.public_key().as_ref(), "P-384"),
            Self::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": encode(key.public_key().as_ref())})
            }
            Self::Rsa(key) => {
                let public = signature_components(key);
                json!({"kty": "RSA", "kid": id, "n": encode(&public.n), "e": encode(&public.e)})
            }
        }
    }

    fn sign(&self, algorithm: &str, text: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::P256(key) | Self::P384(key) => key
                .sign(&random, text.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
            Self::Ed25519(key) => key.sign(text.as_bytes()).as_ref().to_vec(),
            Self::Rsa(key) => {
                let padding: &dyn ring::signature::RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(padding, &random, text.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
        }
    }

    /// A token with this header and these claims.
    fn token(&self, header: &Value, claims: &str) -> String {
        let signed = format!(
            "{}.{}",
            encode(header.to_string().as_bytes()),
            encode(claims.as_bytes())
        );
        let algorithm = header["alg"].as_str().unwrap_or_default();
        let signature = self.sign(algorithm, &signed);
        format!("{signed}.{}", encode(&signature))
    }
}

fn signature_components(key: &RsaKeyPair) -> ring::signature::RsaPublicKeyComponents<Vec<u8>> {
    key.public().into()
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn at(unix: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(unix.try_into().unwrap())
}

fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "web", "aud": AUDIENCE, "exp": NOW + 600, "iat": NOW, "nbf": NOW})
}

/// Claims with some of them replaced; null leaves one out.
fn with(changes: &Value) -> String {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    claims.to_string()
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

fn source(keys: KeySet) -> KeySource {
    Arc::new(ArcSwapOption::from_pointee(keys))
}

fn issuer(name: &str, keys: KeySource) -> Issuer {
    Issuer {
        issuer: name.into(),
        audiences: vec![AUDIENCE.into(), "also".into()],
        keys,
    }
}

fn verifier(keys: KeySet) -> JwtVerifier {
    JwtVerifier::new(vec![issuer(ISSUER, source(keys))], SKEW)
}

/// What becomes of a token: its subject, or the operator's text.
fn outcome(verifier: &JwtVerifier, token: &str) -> String {
    match verifier.verify(token.as_bytes(), |_| true, at(NOW)) {
        Ok(proven) => proven.subject.as_deref().unwrap_or("-").to_owned(),
        Err(error) => {
            assert_eq!(error.status(), 403);
            assert!(error.public_text().contains("Exception: "));
            error.to_string()
        }
    }
}

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

#[test]
fn a_token_is_remembered_as_long_as_it_holds_and_its_keys_do() {
    let (old, new) = (Signer::p256(), Signer::p256());
    let keys = source(set(&[old.published("old")]));
    let verifier = JwtVerifier::new(vec![issuer(ISSUER, Arc::clone(&keys))], SKEW);
    let token = old.token(
        &json!({"alg": "ES256", "kid": "old"}),
        &claims().to_string(),
    );
    let verify = |unix| verifier.verify(token.as_bytes(), |_| true, at(unix));
    let first = verify(NOW).unwrap();
    assert!(Arc::ptr_eq(&first, &verify(NOW + 1).unwrap()));
    // To the second of its end it is remembered; then the clock's leeway is asked for each time; then it is over.
    assert!(Arc::ptr_eq(&first, &verify(NOW + 599).unwrap()));
    assert!(!Arc::ptr_eq(&first, &verify(NOW + 600).unwrap()));
    assert!(verify(NOW + 659).is_ok());
    assert!(matches!(verify(NOW + 660), Err(JwtError::Expired { .. })));
    // The same key in a new set: verified again, and good. The key gone: refused, although it was remembered.
    keys.store(Some(Arc::new(set(&[
        old.published("old"),
        new.published("new"),
    ]))));
    let second = verify(NOW).unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
    assert!(Arc::ptr_eq(&second, &verify(NOW).unwrap()));
    keys.store(Some(Arc::new(set(&[new.published("new")]))));
    assert!(matches!(verify(NOW), Err(JwtError::UnknownKey { .. })));
    keys.store(None);
    assert!(matches!(verify(NOW), Err(JwtError::NoKeys { .. })));
}

#[test]
fn issuers_do_not_speak_for_each_other() {
    let (one, other) = (Signer::p256(), Signer::p256());
    let issuers = vec![
        issuer(ISSUER, source(set(&[one.published("k")]))),
        issuer(OTHER_ISSUER, source(set(&[other.published("k")]))),
    ];
    let verifier = JwtVerifier::new(issuers, SKEW);
    let header = json!({"alg": "ES256", "kid": "k"});
    let token = |signer: &Signer, from: &str| signer.token(&header, &with(&json!({"iss": from})));
    let verify = |text: &str, allowed: usize| {
        let result = verifier.verify(text.as_bytes(), |index| index.0 == allowed, at(NOW));
        result.map(|verified| verified.issuer.0)
    };
    assert_eq!(verify(&token(&one, ISSUER), 0), Ok(0));
    assert_eq!(verify(&token(&other, OTHER_ISSUER), 1), Ok(1));
    assert_eq!(
        verify(&token(&one, OTHER_ISSUER), 1),
        Err(JwtError::Signature)
    );
    assert_eq!(verify(&token(&other, ISSUER), 0), Err(JwtError::Signature));
    // A genuine token of an issuer that the caller may not use, remembered or not.
    let genuine = token(&one, ISSUER);
    assert_eq!(verify(&genuine, 0), Ok(0));
    assert!(matches!(
        verify(&genuine, 1),
        Err(JwtError::UnknownIssuer { .. })
    ));
    assert!(JwtVerifier::new(Vec::new(), SKEW).is_empty());
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
