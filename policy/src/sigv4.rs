//! Who is calling: verification of AWS Signature Version 4.
//!
//! A request that carries signed material is either proven to come from the holder of an access key, or refused; it is never
//! treated as anonymous, even where anonymous callers are welcome. A request without such material is anonymous, also when it
//! carries an `Authorization` of another kind (`Bearer`, `Basic`), which belongs to the application behind.
//!
//! | step | module | takes → gives |
//! |---|---|---|
//! | find | [`material`] | headers, query → nothing, an AWS `Authorization`, or a refusal of what cannot be verified |
//! | parse | [`authorization`] | header → access key id, scope, signed headers, signature |
//! | check | [`scope`] | dates, region, service, required headers, payload hash |
//! | canonicalise | [`canonical`] | request → the texts that the client may have signed |
//! | compare | [`keys`], here | access key id, day → signing key; HMAC compared in constant time |
//!
//! What is signed: service `vpc-lattice-svcs`, payload `UNSIGNED-PAYLOAD`, so bodies stream through unread.
//!
//! Presigned queries, `AWS4-ECDSA-P256-SHA256` and session tokens are recognised and refused. Their places: a presigned query
//! is another arm of [`material`] that yields the same parsed `Authorization`; the asymmetric algorithm another comparison
//! beside the HMAC; a session token another way from access key id to secret, beside [`KeyRing`].
//!
//! This module is hot. With a warm signing key it takes no lock and allocates nothing: the canonical texts go into buffers that
//! each thread keeps.
//!
//! Sources: VPC Lattice user guide, "`SIGv4` authenticated requests"; IAM user guide, "Create a signed AWS API request"; the
//! signers of botocore, awscrt, the SDKs for Go, Java, JavaScript and Rust, and curl, where the guides are silent.

mod authorization;
mod canonical;
mod date;
mod error;
mod keys;
mod material;
mod scope;

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, SystemTime},
};

use canonical::{Scratch, Terms};
pub use date::Timestamp;
pub use error::SignatureError;
use http::HeaderMap;
pub use keys::{DuplicateAccessKey, KeyRing};
use ring::hmac;

use crate::principal::Caller;

/// The name of the service in the scope of every signature.
pub const SERVICE: &str = "vpc-lattice-svcs";

/// Allowed difference between a signature's date and the gateway's clock, unless configured: five minutes.
///
/// The user guide states none; five minutes is what most AWS services allow.
pub const DEFAULT_SKEW: Duration = Duration::from_secs(300);

/// The parts of a request that a signature can cover, as the client sent them.
#[derive(Debug, Clone, Copy)]
pub struct SignedParts<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, raw, without the query.
    pub path: &'a [u8],
    /// The query, raw, without the question mark; none if there was no question mark.
    pub query: Option<&'a [u8]>,
    /// `Host` or `:authority`, as sent: with a port only if the client put one there.
    pub authority: &'a [u8],
    /// All header fields.
    pub headers: &'a HeaderMap,
    /// Can the query be a signature?
    pub presigned: Presigned,
}

/// Is a query with the parameters of a presigned URL meant for the gateway?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presigned {
    /// Yes: an auth policy asks who is calling.
    Counts,
    /// No: nobody here asks, so the parameters belong to the application behind, which may well be a store with presigned URLs of
    /// its own. An `Authorization` header of AWS must verify even so.
    ///
    /// Source: VPC Lattice user guide, "`SIGv4` authenticated requests", which knows the header only.
    Ignored,
}

/// Verifies signatures against one key ring.
#[derive(Debug)]
pub struct Verifier {
    keys: Arc<KeyRing>,
    skew: Duration,
}

impl Verifier {
    /// A verifier for the keys and the region of `keys`; a signature's date may differ from the clock by `skew`, either way.
    pub fn new(keys: Arc<KeyRing>, skew: Duration) -> Self {
        Self { keys, skew }
    }

    /// Finds out who sent a request, at the time `now`.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the signature, in the order in which a client would repair it; the caller must act.
    pub fn verify(
        &self,
        parts: &SignedParts<'_>,
        now: SystemTime,
    ) -> Result<Caller, SignatureError> {
        match material::find(parts)? {
            None => Ok(Caller::Anonymous),
            Some(header) => self.verify_header(header, parts, now),
        }
    }

    fn verify_header(
        &self,
        header: &[u8],
        parts: &SignedParts<'_>,
        now: SystemTime,
    ) -> Result<Caller, SignatureError> {
        let authorization = authorization::parse(header)?;
        let signed_at = scope::check(&authorization, parts, self.keys.region(), self.skew, now)?;
        let access_key = || error::quote(authorization.access_key);
        let Some(lookup) = self.keys.find(authorization.access_key) else {
            return Err(SignatureError::UnknownAccessKey {
                access_key: access_key(),
            });
        };
        let terms = Terms {
            algorithm: authorization::ALGORITHM,
            signed_at: &signed_at,
            scope: authorization.scope.text,
            signed_headers: &authorization.signed_headers,
            payload: scope::UNSIGNED_PAYLOAD,
        };
        let genuine = with_scratch(|scratch| {
            let request = scratch.prepare(parts, &terms)?;
            Ok(lookup.with_signing_key(&signed_at, |key| {
                request.any_text_to_sign(|text| {
                    hmac::verify(key, text, &authorization.signature).is_ok()
                })
            }))
        })?;
        if genuine {
            Ok(Caller::Principal(lookup.principal()))
        } else {
            Err(SignatureError::Mismatch {
                access_key: access_key(),
            })
        }
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch::new()) };
}

/// Lends the thread's buffers; fresh ones should they be in use, which nothing here does.
fn with_scratch<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    SCRATCH.with(|shared| match shared.try_borrow_mut() {
        Ok(mut scratch) => {
            let result = work(&mut scratch);
            scratch.shrink();
            result
        }
        Err(_) => work(&mut Scratch::new()),
    })
}

#[cfg(test)]
mod tests;
