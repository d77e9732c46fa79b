//! Keys of identity providers.

use super::Event;
use crate::{jwks::FetchError, telemetry::Telemetry};

/// The keys of an identity provider were read.
#[derive(Debug)]
pub struct IdentityKeysLoaded<'a> {
    /// Where they are.
    pub url: &'a str,
    /// How many can be used.
    pub keys: usize,
}

impl Event for IdentityKeysLoaded<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry.gateway.identity_keys_loaded.increment(1);
        tracing::debug!(
            url = self.url,
            keys = self.keys,
            "keys of an identity provider read"
        );
    }
}

/// A token named a key that was not among them, so they are read again before their time.
#[derive(Debug)]
pub struct IdentityKeysMissed<'a> {
    /// Where they are.
    pub url: &'a str,
}

impl Event for IdentityKeysMissed<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry.gateway.identity_keys_missed.increment(1);
        tracing::debug!(
            url = self.url,
            "keys of an identity provider read early: a token names another one"
        );
    }
}

/// They could not be read.
#[derive(Debug)]
pub struct IdentityKeysFailed<'a> {
    /// Where they should be.
    pub url: &'a str,
    /// Why not.
    pub error: &'a FetchError,
}

impl Event for IdentityKeysFailed<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry.gateway.identity_keys_failed.increment(1);
        tracing::error!(
            url = self.url,
            error = %self.error,
            "keys of an identity provider not read; those before stay in use"
        );
    }
}
