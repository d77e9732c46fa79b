//! Sets of keys, as issuers publish them.
//!
//! A set is read whole or refused whole where it is not a set; a single key in it of a kind that is unknown, weak or not for
//! signatures is left out, as RFC 7517 §5 wants, so an issuer may add kinds of keys. A symmetric key is left out always: what is
//! published is no secret.
//!
//! Spec: RFC 7517 §4, §5; RFC 7518 §6; RFC 8037 §2.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{hmac, signature};
use serde_json::{Map, Value};

use super::{
    algorithm::Key,
    error::{JwtError, quote},
    token::{Token, read_unique},
};

/// Largest set that is read, in bytes.
pub const MAX_KEY_SET_BYTES: usize = 256 * 1024;

/// Most values in a set, nested ones included.
const MAX_VALUES: usize = 16 * 1024;

/// Most keys that are taken from a set. Issuers publish two or three.
const MAX_KEYS: usize = 256;

/// Lengths of RSA moduli that are taken, in bytes: 2048 bits at least (RFC 7518 §3.3), 8192 at most, which take a millisecond.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// Longest exponent of RSA, in bytes.
const RSA_EXPONENT_BYTES: usize = 4;

/// Shortest secret of an HMAC, in bytes: as long as its hash. Spec: RFC 7518 §3.2.
const SECRET_BYTES: usize = 32;

/// A set of keys that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// It is larger than is read.
    #[error("larger than {MAX_KEY_SET_BYTES} bytes")]
    TooLarge,
    /// It is not JSON, has a member twice, or has no list `keys`.
    #[error("not a JSON Web Key Set: an object with a list `keys`, in which no member comes twice")]
    NotASet,
    /// It has too many keys.
    #[error("more than {MAX_KEYS} keys")]
    TooManyKeys,
    /// None of its keys can be used.
    #[error(
        "none of its keys can verify signatures by RS256, RS384, RS512, PS256, ES256, ES384 or EdDSA"
    )]
    NoUsableKey,
    /// A secret is too short.
    #[error("a secret of fewer than {SECRET_BYTES} bytes")]
    ShortSecret,
}

/// The keys of one issuer.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Published>,
}

#[derive(Debug)]
struct Published {
    id: Option<Box<str>>,
    /// The one algorithm that its issuer uses it with, if that is stated.
    algorithm: Option<Box<str>>,
    key: Key,
}

impl KeySet {
    /// Reads a JSON Web Key Set.
    pub fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        if text.len() > MAX_KEY_SET_BYTES {
            return Err(KeySetError::TooLarge);
        }
        let value = std::str::from_utf8(text)
            .ok()
            .and_then(|text| read_unique(text, MAX_VALUES));
        let list = match &value {
            Some(Value::Object(set)) => set.get("keys"),
            _ => None,
        };
        let Some(Value::Array(list)) = list else {
            return Err(KeySetError::NotASet);
        };
        if list.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys);
        }
        let keys: Vec<_> = list
            .iter()
            .filter_map(Value::as_object)
            .filter_map(published)
            .collect();
        if keys.is_empty() {
            return Err(KeySetError::NoUsableKey);
        }
        Ok(Self { keys })
    }

    /// A set of one secret, which its issuer and the gateway share.
    pub fn secret(secret: &[u8]) -> Result<Self, KeySetError> {
        if secret.len() < SECRET_BYTES {
            return Err(KeySetError::ShortSecret);
        }
        Ok(Self {
            keys: vec![Published {
                id: None,
                algorithm: None,
                key: Key::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret)),
            }],
        })
    }

    /// Number of usable keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Did one of the keys sign this token?
    ///
    pub(super) fn verify(&self, token: &Token<'_>) -> Result<(), JwtError> {
        let published = self.find(token)?;
        if published
            .key
            .verifies(token.algorithm, token.signed, &token.signature)
        {
            Ok(())
        } else {
            Err(JwtError::Signature)
        }
    }

    /// The one key that may have signed the token: the one it names; else the only one without an id, as some issuers publish
    /// theirs; for a token that names none, the only one that its algorithm fits.
    fn find(&self, token: &Token<'_>) -> Result<&Published, JwtError> {
        let fitting = |published: &&Published| {
            let meant = published.algorithm.as_deref();
            meant.is_none_or(|name| name == token.algorithm.name())
                && published.key.fits(token.algorithm)
        };
        let only = |named: &dyn Fn(&Published) -> bool| {
            let mut found = self
                .keys
                .iter()
                .filter(fitting)
                .filter(|published| named(published));
            match (found.next(), found.next()) {
                (Some(_), Some(_)) => Err(JwtError::AmbiguousKey),
                (found, _) => Ok(found),
            }
        };
        let found = match &token.key_id {
            None => only(&|_| true)?,
            Some(wanted) => match only(&|published| published.id.as_ref() == Some(wanted))? {
                Some(found) => Some(found),
                None => only(&|published| published.id.is_none())?,
            },
        };
        found.ok_or_else(|| JwtError::UnknownKey {
            key: quote(token.key_id.as_deref().unwrap_or("-")),
            algorithm: token.algorithm.name(),
        })
    }
}

/// A key that can verify signatures.
fn published(key: &Map<String, Value>) -> Option<Published> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let for_signatures = key.get("use").is_none_or(|purpose| purpose == "sig");
    let operations = key.get("key_ops").is_none_or(|operations| {
        operations
            .as_array()
            .is_some_and(|list| list.iter().any(|one| one == "verify"))
    });
    if !for_signatures || !operations {
        return None;
    }
    let key = match (text("kty")?, text("crv")) {
        ("RSA", _) => rsa(text("n")?, text("e")?)?,
        ("EC", Some("P-256")) => {
            let (x, y) = (coordinate::<32>(text("x")?)?, coordinate::<32>(text("y")?)?);
            Key::P256(Key::point(&signature::ECDSA_P256_SHA256_FIXED, &x, &y))
        }
        ("EC", Some("P-384")) => {
            let (x, y) = (coordinate::<48>(text("x")?)?, coordinate::<48>(text("y")?)?);
            Key::P384(Key::point(&signature::ECDSA_P384_SHA384_FIXED, &x, &y))
        }
        ("OKP", Some("Ed25519")) => {
            let x = coordinate::<32>(text("x")?)?;
            let key = signature::UnparsedPublicKey::new(&signature::ED25519, x.as_slice().into());
            Key::Ed25519(key)
        }
        _ => return None,
    };
    Some(Published {
        id: text("kid").map(Into::into),
        algorithm: text("alg").map(Into::into),
        key,
    })
}

fn rsa(modulus: &str, exponent: &str) -> Option<Key> {
    let (modulus, exponent) = (number(modulus)?, number(exponent)?);
    let fits =
        RSA_BYTES.contains(&modulus.len()) && (1..=RSA_EXPONENT_BYTES).contains(&exponent.len());
    fits.then_some(Key::Rsa(signature::RsaPublicKeyComponents {
        n: modulus,
        e: exponent,
    }))
}

/// A number without zeros before it. Spec: RFC 7518 §2, `Base64urlUInt`; some issuers write a zero all the same.
fn number(text: &str) -> Option<Box<[u8]>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    bytes.get(start..).map(Into::into)
}

/// A coordinate of a curve, of exactly its length. Spec: RFC 7518 §6.2.1.2.
fn coordinate<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}
