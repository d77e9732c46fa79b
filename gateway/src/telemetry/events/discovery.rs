//! Names of targets: what was answered, and what was not.
//!
//! Whoever answers for a name could fill a log: a state is told when it begins, and again at `debug` only.

use std::net::IpAddr;

use super::Event;
use crate::{
    discovery::DiscoveryError,
    reason::Chain,
    telemetry::{Telemetry, names},
};

fn count(telemetry: &Telemetry, outcome: &str) {
    // Questions are rare, so the handle may be looked up.
    telemetry
        .registry
        .counter(&names::TARGET_DISCOVERIES, &[outcome])
        .increment(1);
}

/// A name has these addresses.
#[derive(Debug)]
pub struct TargetsDiscovered<'a> {
    /// The group's name.
    pub group: &'a str,
    /// The name that was asked for.
    pub hostname: &'a str,
    /// How many targets the group has now.
    pub targets: usize,
    /// Are they others than before, or was there no answer before?
    pub is_news: bool,
}

impl Event for TargetsDiscovered<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        count(telemetry, "answered");
        let Self {
            group,
            hostname,
            targets,
            is_news,
        } = *self;
        if is_news {
            tracing::info!(group, hostname, targets, "targets found by their name");
        } else {
            tracing::debug!(group, hostname, targets, "targets found by their name");
        }
    }
}

/// A name has no addresses.
#[derive(Debug)]
pub struct TargetsGone<'a> {
    /// The group's name.
    pub group: &'a str,
    /// The name that was asked for.
    pub hostname: &'a str,
    /// Is there no such name, or no address of it: the outcome in metrics.
    pub outcome: &'static str,
    /// How many targets the group keeps until another answer says the same.
    pub kept: usize,
    /// Is it news?
    pub is_news: bool,
}

impl Event for TargetsGone<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        count(telemetry, self.outcome);
        let Self {
            group,
            hostname,
            outcome,
            kept,
            is_news,
        } = *self;
        if is_news && kept > 0 {
            tracing::warn!(
                group,
                hostname,
                outcome,
                kept,
                "the name of targets has no address; they stay until the next answer says so as well"
            );
        } else if is_news {
            tracing::error!(
                group,
                hostname,
                outcome,
                "the name of targets has no address, so the group has no targets"
            );
        } else {
            tracing::debug!(
                group,
                hostname,
                outcome,
                kept,
                "the name of targets has no address"
            );
        }
    }
}

/// Nobody could say which addresses a name has.
#[derive(Debug)]
pub struct DiscoveryFailed<'a> {
    /// The group's name.
    pub group: &'a str,
    /// The name that was asked for.
    pub hostname: &'a str,
    /// Why not.
    pub error: &'a DiscoveryError,
    /// Is it the first failure since the last answer?
    pub is_first: bool,
    /// How many targets the group keeps.
    pub targets: usize,
}

impl Event for DiscoveryFailed<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        count(telemetry, self.error.label());
        let Self {
            group,
            hostname,
            error,
            is_first,
            targets,
        } = *self;
        let error = Chain(error);
        if is_first && targets > 0 {
            tracing::warn!(group, hostname, targets, %error, "targets not found by their name; those before stay");
        } else if is_first {
            tracing::error!(group, hostname, %error, "targets not found by their name, so the group has none");
        } else {
            tracing::debug!(group, hostname, targets, %error, "targets not found by their name");
        }
    }
}

/// Some addresses of a name did not become targets.
#[derive(Debug)]
pub struct AddressesRefused<'a> {
    /// The group's name.
    pub group: &'a str,
    /// The name that was asked for.
    pub hostname: &'a str,
    /// How many are not in the VPC.
    pub outside: usize,
    /// One of them.
    pub example: Option<IpAddr>,
    /// How many are beyond the most that a group may have.
    pub beyond: usize,
    /// Were there none in the answer before?
    pub is_first: bool,
}

impl Event for AddressesRefused<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        for (reason, number) in [("outside", self.outside), ("too_many", self.beyond)] {
            if number > 0 {
                telemetry
                    .registry
                    .counter(&names::TARGET_ADDRESSES_REFUSED, &[reason])
                    .increment(u64::try_from(number).unwrap_or(u64::MAX));
            }
        }
        let Self {
            group,
            hostname,
            outside,
            beyond,
            is_first,
            ..
        } = *self;
        let example = self.example.map(tracing::field::display);
        if is_first {
            tracing::warn!(
                group,
                hostname,
                outside,
                example,
                beyond,
                "not every address of a name becomes a target"
            );
        } else {
            tracing::debug!(
                group,
                hostname,
                outside,
                example,
                beyond,
                "not every address of a name becomes a target"
            );
        }
    }
}
