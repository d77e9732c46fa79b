//! When a target that fails requests gets none for a while.
//!
//! Source: App Mesh, `OutlierDetection`, and Envoy, which did the work there. A target is *ejected* after so many failures in a row.
//! *Sweeps*, one every interval, let it back in once it has been out for the base duration times the number of its ejections, at most
//! [`LONGEST`] or the base duration; the number falls by one with each sweep that finds the target not ejected. Never more than the
//! given share of the targets is ejected at a time, but one always may. A target that may not be ejected starts counting anew.
//!
//! Failures are counted on the path of requests ([`crate::Group::report`]), by atomics only; whether that ejects is decided here,
//! by whoever calls [`crate::Group::tick`].

use std::time::{Duration, Instant};

use trellis_model::config::OutlierDetection;

/// Longest ejection unless the base duration is longer. Source: Envoy, `max_ejection_time`.
pub(crate) const LONGEST: Duration = Duration::from_secs(300);

/// What a request says about its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The target answered, and not with a server error.
    Success,
    /// It answered with a server error, or not in full.
    ServerError,
    /// No connection to it could be made.
    ConnectionFailure,
}

/// How many failures in a row are too many; zero for no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Limits {
    pub(crate) server_errors: u32,
    pub(crate) connection_failures: u32,
}

impl Limits {
    pub(crate) fn of(config: Option<&OutlierDetection>) -> Self {
        config.map_or_else(Self::default, |config| Self {
            server_errors: config.max_server_errors.get(),
            connection_failures: config.max_connection_failures.map_or(0, Into::into),
        })
    }
}

/// The ejections of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Record {
    /// Since when it has been ejected.
    since: Option<Instant>,
    /// How often it was lately: the factor of the next ejection's length, less one.
    times: u32,
}

impl Record {
    pub(crate) fn is_ejected(&self) -> bool {
        self.since.is_some()
    }

    /// How often it was ejected lately.
    pub(crate) fn times(&self) -> u32 {
        self.times
    }

    /// Does a sweep have something to do here?
    pub(crate) fn is_blank(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn eject(&mut self, config: &OutlierDetection, now: Instant) {
        self.since = Some(now);
        // Beyond the longest ejection a larger number would only take longer to fall.
        if self.length(config) < longest(config) || self.times == 0 {
            self.times += 1;
        }
    }

    /// Is it ejected, and has that lasted long enough?
    pub(crate) fn is_over(&self, config: &OutlierDetection, now: Instant) -> bool {
        self.since
            .is_some_and(|since| now.saturating_duration_since(since) >= self.length(config))
    }

    /// Lets the target back in.
    pub(crate) fn release(&mut self) {
        self.since = None;
    }

    /// A sweep found the target not ejected.
    pub(crate) fn behaved(&mut self) {
        self.times = self.times.saturating_sub(1);
    }

    fn length(&self, config: &OutlierDetection) -> Duration {
        config
            .base_ejection
            .saturating_mul(self.times)
            .min(longest(config))
    }
}

fn longest(config: &OutlierDetection) -> Duration {
    LONGEST.max(config.base_ejection)
}

/// How many of so many targets may be ejected at a time.
pub(crate) fn most(config: &OutlierDetection, targets: usize) -> usize {
    (targets.saturating_mul(config.max_ejection_percent.into()) / 100).max(1)
}

/// The first sweep after `now`, of sweeps that began at `start`.
pub(crate) fn next_sweep(config: &OutlierDetection, start: Instant, now: Instant) -> Instant {
    let elapsed = now.saturating_duration_since(start).as_nanos();
    let interval = config.interval.as_nanos().max(1);
    let into = u64::try_from(elapsed % interval).unwrap_or(0);
    now + config.interval.saturating_sub(Duration::from_nanos(into))
}
