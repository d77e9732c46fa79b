//! What a signature must be for: a request to a service behind the gateway, or a call of the control API.

use std::sync::Arc;

use ring::{digest, hmac};
use trellis_model::name::Region;

use super::{KeyMaterial, SERVICE, Timestamp, canonical::hex, scope::UNSIGNED_PAYLOAD};
use crate::{
    principal::Caller,
    session::{Session, opened::Opened},
};

/// The region of services that are one for the whole world, which SDKs sign for when they know no other.
const GLOBAL_REGION: &str = "us-east-1";

/// A call of the control API whose signature is right.
#[derive(Debug)]
pub struct SignedCall {
    /// Who made it.
    pub caller: Caller,
    pub(super) opened: Option<Arc<Opened>>,
}

impl SignedCall {
    /// The session whose credentials signed, if they were temporary.
    pub fn session(&self) -> Option<&Session> {
        self.opened.as_ref().map(|opened| &opened.session)
    }
}

/// What a signature must be for.
#[derive(Debug)]
pub(super) struct Purpose<'a> {
    pub(super) service: &'static str,
    pub(super) region: &'a Region,
    payload: Payload,
}

/// What stands for the body in what is signed.
#[derive(Debug)]
enum Payload {
    /// A word, whatever the body is.
    Unsigned,
    /// Its SHA-256, in lower-case hex.
    Hash(Vec<u8>),
}

impl<'a> Purpose<'a> {
    /// A request to a service.
    pub(super) fn request(region: &'a Region) -> Self {
        Self {
            service: SERVICE,
            region,
            payload: Payload::Unsigned,
        }
    }

    /// A call with this body.
    pub(super) fn call(service: &'static str, region: &'a Region, body: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, body);
        Self {
            service,
            region,
            payload: Payload::Hash(digest.as_ref().iter().flat_map(|byte| hex(*byte)).collect()),
        }
    }

    /// What must have been signed in place of the body.
    pub(super) fn payload(&self) -> &[u8] {
        match &self.payload {
            Payload::Unsigned => UNSIGNED_PAYLOAD,
            Payload::Hash(hash) => hash,
        }
    }

    /// Must the header say what was signed in place of the body?
    pub(super) fn needs_payload_header(&self) -> bool {
        matches!(self.payload, Payload::Unsigned)
    }

    /// Is the scope's region right?
    pub(super) fn takes_region(&self, region: &[u8]) -> bool {
        region == self.region.as_str().as_bytes()
            || (!self.is_request() && region == GLOBAL_REGION.as_bytes())
    }

    /// Calls `then` with the signing key for a scope's region, which was found right.
    pub(super) fn with_signing_key<R>(
        &self,
        material: &KeyMaterial,
        signed_at: &Timestamp,
        region: &[u8],
        then: impl FnOnce(&hmac::Key) -> R,
    ) -> R {
        if self.is_request() {
            return material.with_signing_key(signed_at, self.region, then);
        }
        let region = std::str::from_utf8(region).unwrap_or_default();
        then(&material.derive_for(signed_at, region, self.service))
    }

    fn is_request(&self) -> bool {
        self.service == SERVICE
    }
}
