//! When a target is healthy: thresholds over the outcomes of probes.
//!
//! * A *fresh* target becomes healthy with its **first** success and unhealthy after as many failures in a row as the
//!   unhealthy threshold says. Until then it is *initial*. Source of the first half: VPC Lattice user guide, "Health checks
//!   for your VPC Lattice target groups"; the second half is our choice: one lost packet at start-up should not cost a target
//!   five successes to recover.
//! * Afterwards a healthy target becomes unhealthy after *unhealthy threshold* failures in a row, and an unhealthy one
//!   healthy after *healthy threshold* successes in a row.
//! * When the check itself changes, what was found so far answers another question, but forgetting it would send requests to
//!   targets known to be dead. So every target keeps its status and counts as fresh: one success makes it healthy, *unhealthy
//!   threshold* failures in a row make it unhealthy.

use trellis_model::config::HealthCheck;

use crate::status::{ReasonCode, TargetStatus};

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProbeOutcome {
    /// The target answered in time with one of the success codes.
    Pass,
    /// Anything else: refused, broken off, too late, another status.
    Fail,
}

/// What is known about the health of one target that is being checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// Nothing conclusive yet under the current check; `shown` stays until there is.
    Fresh { shown: Standing, failures: u8 },
    /// Healthy, with this many failures since the last success.
    Healthy { failures: u8 },
    /// Unhealthy, with this many successes since the last failure.
    Unhealthy { successes: u8 },
}

/// A status that checks lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Initial,
    Healthy,
    Unhealthy,
}

impl Health {
    /// A target about which nothing is known.
    pub(crate) const NEW: Self = Self::Fresh {
        shown: Standing::Initial,
        failures: 0,
    };

    /// What it counts as.
    pub(crate) fn standing(self) -> Standing {
        match self {
            Self::Fresh { shown, .. } => shown,
            Self::Healthy { .. } => Standing::Healthy,
            Self::Unhealthy { .. } => Standing::Unhealthy,
        }
    }

    /// The same target under a changed check.
    pub(crate) fn restarted(self) -> Self {
        Self::Fresh {
            shown: self.standing(),
            failures: 0,
        }
    }

    /// The target after one more outcome.
    pub(crate) fn after(self, outcome: ProbeOutcome, check: &HealthCheck) -> Self {
        use ProbeOutcome::{Fail, Pass};
        match (self, outcome) {
            (Self::Fresh { .. } | Self::Healthy { .. }, Pass) => Self::Healthy { failures: 0 },
            (Self::Fresh { failures, .. } | Self::Healthy { failures }, Fail)
                if failures.saturating_add(1) >= check.unhealthy_threshold =>
            {
                Self::Unhealthy { successes: 0 }
            }
            (Self::Fresh { shown, failures }, Fail) => Self::Fresh {
                shown,
                failures: failures + 1,
            },
            (Self::Healthy { failures }, Fail) => Self::Healthy {
                failures: failures + 1,
            },
            (Self::Unhealthy { successes }, Pass)
                if successes.saturating_add(1) >= check.healthy_threshold =>
            {
                Self::Healthy { failures: 0 }
            }
            (Self::Unhealthy { successes }, Pass) => Self::Unhealthy {
                successes: successes + 1,
            },
            (Self::Unhealthy { .. }, Fail) => Self::Unhealthy { successes: 0 },
        }
    }
}

impl Standing {
    /// What users see of it.
    pub(crate) fn status(self) -> (TargetStatus, Option<ReasonCode>) {
        match self {
            Self::Initial => (
                TargetStatus::Initial,
                Some(ReasonCode::HealthCheckInProgress),
            ),
            Self::Healthy => (TargetStatus::Healthy, None),
            Self::Unhealthy => (TargetStatus::Unhealthy, Some(ReasonCode::HealthCheckFailed)),
        }
    }
}

#[cfg(test)]
mod tests;
