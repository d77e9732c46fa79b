//! Who is calling: verification of JSON Web Tokens that configured issuers signed.
//!
//! A token is proven or refused; nothing in it is believed before its signature is. What a token names of itself chooses among the
//! keys of its issuer and nothing else: a key, a certificate or an address of keys in a token's header is not looked at.
//!
//! | step | module | takes → gives |
//! |---|---|---|
//! | parse | [`token`] | text → header, claims, signature; strict, bounded, no name twice |
//! | find | here | issuer, audience → the provider whose tokens these are |
//! | choose | [`keys`] | key id, algorithm → the one key that fits both |
//! | compare | [`algorithm`] | key, text, signature → genuine or not |
//! | check | here | times |
//! | remember | [`cache`] | the whole token → what it said |
//!
//! Algorithms: RSA (PKCS #1 v1.5 and PSS), ECDSA and Ed25519. `none` does not exist here, and an HMAC is verified with a secret that
//! was configured as one, never with a public key: the kind of the key decides, not the token.
//!
//! The crate reads no file and asks no server: keys come as texts, through [`KeySource`], and may change at any time. A token that
//! was verified with keys that have been replaced since is verified again.
//!
//! Sources: RFC 7515, 7517, 7518, 7519, 8037, and RFC 8725 (best current practices), whose sections the modules name.

mod algorithm;
mod cache;
mod error;
mod keys;
mod source;
mod token;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub use error::JwtError;
use hashbrown::HashMap;
pub use keys::{KeySet, KeySetError, MAX_KEY_SET_BYTES};
use serde_json::{Map, Value};
pub use source::KeySource;
pub use token::MAX_TOKEN_BYTES;

use self::{cache::Cache, error::quote, token::Token};

/// Somebody whose tokens are believed.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// What its tokens have as `iss`, to the letter.
    pub issuer: Box<str>,
    /// What its tokens must have at least one of as `aud`.
    pub audiences: Vec<Box<str>>,
    /// What it signs with.
    pub keys: KeySource,
}

/// Position of an issuer in the list that a verifier was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerIndex(pub usize);

/// A token that was proven.
#[derive(Debug)]
pub struct VerifiedJwt {
    /// Who signed it.
    pub issuer: IssuerIndex,
    /// `sub`: whom it speaks of.
    pub subject: Option<Arc<str>>,
    /// The audience for which it was accepted.
    pub audience: Box<str>,
    /// `exp`, in seconds after 1970, rounded down.
    pub expires: i64,
    /// All claims.
    pub claims: Map<String, Value>,
}

/// Verifies tokens of some issuers.
#[derive(Debug)]
pub struct JwtVerifier {
    issuers: Vec<Issuer>,
    /// Positions by `iss`: several may believe one issuer, for audiences or accounts of their own.
    by_name: HashMap<Box<str>, Vec<IssuerIndex>, foldhash::fast::RandomState>,
    skew: Duration,
    verified: Cache,
}

impl JwtVerifier {
    /// A verifier for tokens of these issuers; their times may differ from the clock by `skew`, either way.
    pub fn new(issuers: Vec<Issuer>, skew: Duration) -> Self {
        let mut by_name: HashMap<_, Vec<_>, _> = HashMap::default();
        for (position, issuer) in issuers.iter().enumerate() {
            let positions = by_name.entry(issuer.issuer.clone()).or_default();
            positions.push(IssuerIndex(position));
        }
        Self {
            issuers,
            by_name,
            skew,
            verified: Cache::default(),
        }
    }

    /// Are there no issuers?
    pub fn is_empty(&self) -> bool {
        self.issuers.is_empty()
    }

    /// Proves a token, at the time `now`, that must come from one of the issuers for which `ours` holds.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with it; the caller must act.
    pub fn verify(
        &self,
        text: &[u8],
        ours: impl Fn(IssuerIndex) -> bool,
        now: SystemTime,
    ) -> Result<Arc<VerifiedJwt>, JwtError> {
        if text.len() > MAX_TOKEN_BYTES {
            return Err(JwtError::TooLong { bytes: text.len() });
        }
        let now = seconds(now);
        let known = self.verified.get(text, now, |issuer, keys| {
            ours(issuer) && self.uses(issuer, keys)
        });
        if let Some(known) = known {
            return Ok(known);
        }
        let token = Token::parse(text)?;
        let (index, audience) = self.find(&token, ours)?;
        let source = self.issuers.get(index.0).map(|issuer| &issuer.keys);
        let keys = source.and_then(KeySource::load_full);
        let keys = keys.ok_or_else(|| JwtError::NoKeys {
            issuer: quote(&token.claims.issuer),
        })?;
        keys.verify(&token).inspect_err(|error| {
            if let (JwtError::UnknownKey { .. }, Some(source)) = (error, source) {
                source.miss();
            }
        })?;
        self.check_times(&token, now)?;
        let verified = Arc::new(VerifiedJwt {
            issuer: index,
            subject: token.claims.subject,
            audience,
            expires: token.claims.expires,
            claims: token.claims.all,
        });
        self.verified.put(text, &verified, keys, now);
        Ok(verified)
    }

    /// Are these the keys of the issuer now?
    fn uses(&self, index: IssuerIndex, keys: &Arc<KeySet>) -> bool {
        self.issuers
            .get(index.0)
            .is_some_and(|issuer| issuer.keys.holds(keys))
    }

    /// The issuer of a token, and the audience that both know. Spec: RFC 8725 §3.8, §3.9.
    fn find(
        &self,
        token: &Token<'_>,
        ours: impl Fn(IssuerIndex) -> bool,
    ) -> Result<(IssuerIndex, Box<str>), JwtError> {
        let claims = &token.claims;
        let mut known = false;
        let named = self.by_name.get(&claims.issuer).into_iter().flatten();
        for index in named.copied().filter(|index| ours(*index)) {
            known = true;
            let audiences = self.issuers.get(index.0).map(|issuer| &issuer.audiences);
            let shared = audiences
                .into_iter()
                .flatten()
                .find(|audience| claims.audiences.contains(audience));
            if let Some(audience) = shared {
                return Ok((index, audience.clone()));
            }
        }
        Err(if known {
            JwtError::Audience {
                audience: quote(&claims.audiences.join(", ")),
            }
        } else {
            JwtError::UnknownIssuer {
                issuer: quote(&claims.issuer),
            }
        })
    }

    /// Spec: RFC 7519 §4.1.4 to §4.1.6.
    fn check_times(&self, token: &Token<'_>, now: i64) -> Result<(), JwtError> {
        let claims = &token.claims;
        let skew = i64::try_from(self.skew.as_secs()).unwrap_or(i64::MAX);
        if now >= claims.expires.saturating_add(skew) {
            return Err(JwtError::Expired {
                at: claims.expires,
                now,
            });
        }
        let soonest = now.saturating_add(skew);
        if let Some(at) = claims.not_before.filter(|at| *at > soonest) {
            return Err(JwtError::NotYetValid { at, now });
        }
        match claims.issued.filter(|at| *at > soonest) {
            Some(at) => Err(JwtError::IssuedInTheFuture { at, now }),
            None => Ok(()),
        }
    }
}

/// Seconds after 1970. A clock before that is broken; every token is then from the future.
fn seconds(now: SystemTime) -> i64 {
    let since = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    i64::try_from(since).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
