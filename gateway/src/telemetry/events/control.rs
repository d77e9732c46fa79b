//! Calls of the control API.

use std::{net::IpAddr, time::Duration};

use trellis_control_plane::{Outcome, store::StoreError};

use super::Event;
use crate::telemetry::{Telemetry, names};

/// A call was answered. No secret is part of it, and no token.
#[derive(Debug)]
pub struct CallAnswered<'a> {
    /// Id of the call, which its caller knows too.
    pub id: &'a str,
    /// Where it came from.
    pub source: IpAddr,
    /// What happened.
    pub outcome: &'a Outcome,
    /// How long it took.
    pub took: Duration,
}

/// Something in the store of the control plane cannot be read; it is left out.
#[derive(Debug)]
pub struct StoreEntryUnreadable<'a> {
    /// What, and why.
    pub what: &'a str,
}

impl Event for StoreEntryUnreadable<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry
            .registry
            .counter(&names::STORE_FAILURES, &["entry"])
            .increment(1);
        tracing::error!(
            what = self.what,
            "part of the control plane's store was left out"
        );
    }
}

/// The store of the control plane cannot be followed. Said once, until it can be again.
#[derive(Debug)]
pub struct StoreFailed<'a> {
    /// Why.
    pub error: &'a StoreError,
}

impl Event for StoreFailed<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry
            .registry
            .counter(&names::STORE_FAILURES, &["store"])
            .increment(1);
        tracing::error!(error = %self.error, "the control plane's store cannot be followed");
    }
}

impl Event for CallAnswered<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        let Outcome {
            operation,
            error,
            caller,
            role,
            session,
            reason,
        } = self.outcome;
        // Calls are rare, so the handle may be looked up.
        telemetry
            .registry
            .counter(
                &names::CONTROL_CALLS,
                &[operation.unwrap_or("other"), error.unwrap_or("none")],
            )
            .increment(1);
        tracing::debug!(
            id = self.id,
            source = %self.source,
            operation,
            error,
            caller,
            role,
            session,
            reason,
            took_us = u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX),
            "control call"
        );
    }
}
