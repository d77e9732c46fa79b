//! Who is calling: verification of AWS Signature Version 4 and 4A, in the header or in the query.
//!
//! A request that carries signed material is either proven to come from the holder of an access key, or refused; it is never
//! treated as anonymous, even where anonymous callers are welcome. A request without such material is anonymous, also when it
//! carries an `Authorization` of another kind (`Bearer`, `Basic`), which belongs to the application behind.
//!
//! | step | module | takes → gives |
//! |---|---|---|
//! | find | [`material`] | headers, query → nothing, an AWS `Authorization`, a presigned query, or a refusal of what is neither |
//! | parse | [`authorization`], [`presigned`] | header, query → access key id, scope, signed headers, signature |
//! | check | [`scope`] | dates, region or set of regions, service, required headers, payload hash |
//! | canonicalise | [`canonical`] | request → the texts that the client may have signed |
//! | compare | [`keys`], here | access key id, day → signing key; HMAC compared in constant time, or ECDSA with the public key |
//!
//! What is signed: service `vpc-lattice-svcs`, payload `UNSIGNED-PAYLOAD`, so bodies stream through unread.
//!
//! Temporary credentials come with a token, which is another way from access key id to secret, beside [`KeyRing`].
//!
//! This module is hot. For a signature in the header, with a warm signing key, it takes no lock and allocates nothing: the
//! canonical texts go into buffers that each thread keeps. An ECDSA signature costs a hundred times an HMAC, once per spelling
//! that is tried ([`canonical`]), so at most 24 times, and nothing for an access key that nobody has.
//!
//! Sources: VPC Lattice user guide, "`SIGv4` authenticated requests"; IAM user guide, "Create a signed AWS API request"; the
//! signers of botocore, awscrt, the SDKs for Go, Java, JavaScript and Rust, and curl, where the guides are silent.

mod authorization;
mod canonical;
mod date;
mod error;
mod keys;
mod material;
mod presigned;
mod purpose;
mod scope;

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, SystemTime},
};

pub use authorization::CredentialForm;
use authorization::{Algorithm, Authorization};
use canonical::{Scratch, Terms};
pub use date::Timestamp;
pub(crate) use error::quote;
pub use error::{SignatureError, SignatureFault};
use http::HeaderMap;
pub(crate) use keys::KeyMaterial;
pub use keys::{DuplicateAccessKey, KeyRing};
use material::Material;
use presigned::SignedQuery;
use purpose::Purpose;
pub use purpose::SignedCall;
use ring::hmac;
use scope::Statement;
use trellis_model::name::Region;

use crate::{
    principal::{Caller, PrincipalIndex},
    session::{Sessions, TokenError, opened::Opened},
};

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
    sessions: Option<Sessions>,
    skew: Duration,
}

impl Verifier {
    /// A verifier for the keys and the region of `keys`; a signature's date may differ from the clock by `skew`, either way.
    /// Temporary credentials are refused.
    pub fn new(keys: Arc<KeyRing>, skew: Duration) -> Self {
        Self {
            keys,
            sessions: None,
            skew,
        }
    }

    /// The same, for temporary credentials as well.
    #[must_use]
    pub fn with_sessions(mut self, sessions: Sessions) -> Self {
        self.sessions = Some(sessions);
        self
    }

    /// The region that signatures must be for.
    pub fn region(&self) -> &Region {
        self.keys.region()
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
        let purpose = Purpose::request(self.keys.region());
        let signer = self.verify_for(&purpose, parts, now)?;
        Ok(signer.map_or(Caller::Anonymous, |signer| signer.caller()))
    }

    /// Finds out who made a call of the control API with this body, at the time `now`; nobody, when it is not signed.
    ///
    /// # Errors
    ///
    /// The same as of [`Verifier::verify`].
    pub fn verify_call(
        &self,
        parts: &SignedParts<'_>,
        body: &[u8],
        service: &'static str,
        now: SystemTime,
    ) -> Result<Option<SignedCall>, SignatureError> {
        let purpose = Purpose::call(service, self.keys.region(), body);
        let signer = self.verify_for(&purpose, parts, now)?;
        Ok(signer.map(|signer| SignedCall {
            caller: signer.caller(),
            opened: match signer {
                Signer::Lasting(..) => None,
                Signer::Temporary(opened) => Some(opened),
            },
        }))
    }

    fn verify_for(
        &self,
        purpose: &Purpose<'_>,
        parts: &SignedParts<'_>,
        now: SystemTime,
    ) -> Result<Option<Signer<'_>>, SignatureError> {
        match material::find(parts)? {
            None => Ok(None),
            Some(Material::Header(algorithm, parameters)) => {
                let authorization = authorization::parse_header(algorithm, parameters)?;
                let statement = scope::read_header(&authorization, parts, purpose)?;
                let claim = (&authorization, &statement);
                self.verify_claim(claim, purpose, now, |verify| verify(parts))
            }
            Some(Material::Query(query)) => {
                let query = SignedQuery::read(query)?;
                let authorization = query.authorization()?;
                let statement = scope::read_query(&authorization, &query, parts, purpose)?;
                let claim = (&authorization, &statement);
                self.verify_claim(claim, purpose, now, |verify| {
                    for text in query.signed_texts() {
                        let query = Some(text.as_slice());
                        if verify(&SignedParts { query, ..*parts })? {
                            return Ok(true);
                        }
                    }
                    Ok(false)
                })
            }
        }
    }

    /// Finds the key that a signature claims, and asks `any` whether one of the requests that may have been signed fits.
    fn verify_claim(
        &self,
        (authorization, statement): (&Authorization<'_>, &Statement<'_>),
        purpose: &Purpose<'_>,
        now: SystemTime,
        any: impl FnOnce(&SignedBy<'_>) -> Result<bool, SignatureError>,
    ) -> Result<Option<Signer<'_>>, SignatureError> {
        scope::check(authorization, statement, purpose, self.skew, now)?;
        let signer = self.signer(authorization.access_key, statement.token, now)?;
        let material = signer.material();
        let terms = Terms {
            algorithm: authorization.algorithm.name(),
            signed_at: &statement.signed_at,
            scope: authorization.scope.text,
            signed_headers: &authorization.signed_headers,
            payload: purpose.payload(),
        };
        let genuine = any(&|parts: &SignedParts<'_>| {
            with_scratch(|scratch| {
                let request = scratch.prepare(parts, &terms)?;
                let signature = authorization.signature.as_bytes();
                Ok(match authorization.algorithm {
                    Algorithm::Hmac => {
                        let region = authorization.scope.region.unwrap_or_default();
                        purpose.with_signing_key(material, &statement.signed_at, region, |key| {
                            request
                                .any_text_to_sign(|text| hmac::verify(key, text, signature).is_ok())
                        })
                    }
                    Algorithm::Ecdsa => {
                        request.any_text_to_sign(|text| material.verifies(text, signature))
                    }
                })
            })
        })?;
        if genuine {
            Ok(Some(signer))
        } else {
            Err(SignatureError::Mismatch {
                access_key: error::quote(authorization.access_key),
            })
        }
    }

    /// Whose key is it, and what does it sign with? With a token, both come from the session that the token holds, which is never
    /// taken for a lasting key.
    fn signer(
        &self,
        access_key: &[u8],
        token: Option<&[u8]>,
        now: SystemTime,
    ) -> Result<Signer<'_>, SignatureError> {
        let Some(token) = token else {
            return match self.keys.find(access_key) {
                Some((material, principal)) => Ok(Signer::Lasting(material, principal)),
                None => Err(SignatureError::UnknownAccessKey {
                    access_key: error::quote(access_key),
                }),
            };
        };
        let opened = match &self.sessions {
            Some(sessions) => sessions.find(token, access_key, now),
            None => Err(TokenError::Invalid),
        };
        opened
            .map(Signer::Temporary)
            .map_err(SignatureError::SessionToken)
    }
}

/// Whose access key a request names.
enum Signer<'a> {
    /// Somebody of the configuration.
    Lasting(&'a KeyMaterial, PrincipalIndex),
    /// The session whose token came along.
    Temporary(Arc<Opened>),
}

impl Signer<'_> {
    fn material(&self) -> &KeyMaterial {
        match self {
            Self::Lasting(material, _) => material,
            Self::Temporary(opened) => &opened.material,
        }
    }

    fn caller(&self) -> Caller {
        match self {
            Self::Lasting(_, principal) => Caller::Principal(*principal),
            Self::Temporary(opened) => opened.caller.clone(),
        }
    }
}

/// Was the request with these parts signed as it is claimed?
type SignedBy<'a> = dyn Fn(&SignedParts<'_>) -> Result<bool, SignatureError> + 'a;

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
