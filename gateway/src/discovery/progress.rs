//! What becomes of the targets after each answer, and when the next one is asked for. Pure: time and dice are arguments.

use std::{net::IpAddr, time::Duration};

use trellis_model::config::{Discovery, DiscoverySettings};

use super::{
    DiscoveryError, Found,
    bounds::{self, Taken},
};

/// From the first failure to the next question; doubled after each further one.
const RETRY: Duration = Duration::from_secs(1);
/// Longest time from a failure to the next question.
const MOST_RETRY: Duration = Duration::from_secs(60);

/// Where one name stands.
#[derive(Debug)]
pub(super) struct Progress {
    min_ttl: Duration,
    max_ttl: Duration,
    /// Failures since the last answer.
    failures: u32,
    /// Did the last answer say that there is nothing?
    absent: bool,
}

/// What an answer changes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// These are the targets now.
    Take(Taken),
    /// There are none: the second answer in a row says so.
    Empty,
    /// Everything stays as it is.
    Keep,
}

/// What follows from an answer or its lack.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// What it changes.
    pub(super) change: Change,
    /// How long it counts.
    pub(super) wait: Duration,
}

impl Progress {
    pub(super) fn new(settings: &DiscoverySettings) -> Self {
        Self {
            min_ttl: settings.min_ttl,
            max_ttl: settings.max_ttl,
            failures: 0,
            absent: false,
        }
    }

    /// Failures since the last answer.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Enters an answer, or why there is none. An answer of which no address may be a target is a failure.
    ///
    /// * Addresses: they are the targets, for as long as the answer counts.
    /// * No such name, or none of its addresses: nothing changes at once, because somebody's mistake in a zone would take every target
    ///   away; when the next answer, after the time of the first, says the same, the targets drain.
    /// * A failure says nothing: the targets stay, and the question is asked again soon.
    pub(super) fn after(
        &mut self,
        of: &Discovery,
        outcome: Result<Found, DiscoveryError>,
        random: u64,
    ) -> (Step, Option<DiscoveryError>) {
        let outcome = outcome.and_then(|found| match found {
            Found::Addresses { addresses, ttl } => {
                let taken = bounds::take(of, &addresses);
                match taken.outside {
                    Some((_, address)) if taken.addresses.is_empty() => {
                        Err(DiscoveryError::Outside { address })
                    }
                    _ => Ok((Change::Take(taken), Some(ttl))),
                }
            }
            Found::Nothing { ttl, .. } if self.absent => Ok((Change::Empty, ttl)),
            Found::Nothing { ttl, .. } => {
                self.absent = true;
                Ok((Change::Keep, ttl))
            }
        });
        match outcome {
            Ok((change, ttl)) => {
                self.failures = 0;
                self.absent &= !matches!(change, Change::Take(_));
                let ttl = ttl.unwrap_or(self.min_ttl);
                let counts = ttl.clamp(self.min_ttl, self.max_ttl.max(self.min_ttl));
                // Gateways that started together do not ask together for ever.
                let wait = counts.saturating_add(share(counts / 10, random));
                (Step { change, wait }, None)
            }
            Err(error) => {
                let doubled =
                    RETRY.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
                let most = doubled.min(MOST_RETRY).min(self.max_ttl);
                self.failures = self.failures.saturating_add(1);
                let wait = most / 2 + share(most / 2, random);
                let change = Change::Keep;
                (Step { change, wait }, Some(error))
            }
        }
    }
}

/// A part of this time, as even as `random` is.
fn share(whole: Duration, random: u64) -> Duration {
    // 32 bits are enough for a time, and fit a float exactly.
    whole.mul_f64(f64::from((random >> 32) as u32) / f64::from(u32::MAX))
}

/// The addresses that a first answer gives, before anybody keeps track.
pub(super) fn first(of: &Discovery, outcome: &Result<Found, DiscoveryError>) -> Vec<IpAddr> {
    match outcome {
        Ok(Found::Addresses { addresses, .. }) => bounds::take(of, addresses).addresses,
        Ok(Found::Nothing { .. }) | Err(_) => Vec::new(),
    }
}

#[cfg(test)]
pub(super) mod tests;
