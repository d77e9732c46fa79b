//! Tokens signed here with keys made here, and everything that must become of forged ones.

mod claims;
mod keys;
mod memory;
mod spelling;

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
    KeySource::fixed(keys)
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
