//! Keys of session tokens.

use std::io;

use super::Event;
use crate::{reason::reason, telemetry::Telemetry};

/// A new key seals session tokens from now on.
#[derive(Debug)]
pub struct SessionKeyRotated;

impl Event for SessionKeyRotated {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry.gateway.session_keys_rotated.increment(1);
        tracing::info!("a new key seals session tokens");
    }
}

/// No new key could be kept; the one before goes on sealing.
#[derive(Debug)]
pub struct SessionKeyFailed<'a> {
    /// What the system said.
    pub error: &'a io::Error,
}

impl Event for SessionKeyFailed<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry.gateway.session_keys_failed.increment(1);
        tracing::error!(
            error = %reason(self.error),
            "a new key for session tokens cannot be kept in the data folder; the one before goes on"
        );
    }
}
