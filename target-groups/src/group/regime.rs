//! What holds for all targets of a group at once: use, VPC and checks.

use std::sync::Arc;

use trellis_model::{
    config::{HealthCheck, TargetGroup},
    id::VpcId,
};

use super::{Use, state::Member};
use crate::{
    health::Standing,
    status::{ReasonCode, TargetStatus},
};

/// Use, VPC and checks of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Regime {
    pub(super) vpc: VpcId,
    pub(super) used: Use,
    pub(super) checking: Checking,
}

/// How targets are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Checking {
    Unsupported,
    Disabled,
    Active(Arc<HealthCheck>),
}

/// What a change of the regime means for the targets that stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    /// Nothing.
    No,
    /// Their status stays, the counting starts anew.
    Counting,
    /// They are as if just registered.
    Everything,
}

/// A status and the reason for it.
pub(super) type Status = (TargetStatus, Option<ReasonCode>);

/// The status of every deregistered target.
pub(super) const DRAINING: Status = (
    TargetStatus::Draining,
    Some(ReasonCode::DeregistrationInProgress),
);

impl Regime {
    pub(super) fn of(config: &TargetGroup, used: Use) -> Self {
        let checking = match &config.health_check {
            None => Checking::Unsupported,
            Some(check) if check.enabled => Checking::Active(Arc::clone(check)),
            Some(_) => Checking::Disabled,
        };
        Self {
            vpc: config.vpc.clone(),
            used,
            checking,
        }
    }

    /// The check that targets are under now.
    pub(super) fn check(&self) -> Option<&Arc<HealthCheck>> {
        match (self.used, &self.checking) {
            (Use::Used, Checking::Active(check)) => Some(check),
            _ => None,
        }
    }

    /// What users see of a registered target. Use comes first, as in Elastic Load Balancing; being ejected comes before health, unless
    /// checks fail as well.
    pub(super) fn status_of(&self, member: &Member) -> Status {
        use TargetStatus::{Unavailable, Unhealthy, Unused};
        let checked = match (self.used, &self.checking) {
            (Use::Unused, _) => return (Unused, Some(ReasonCode::TargetGroupNotInUse)),
            (Use::Used, Checking::Unsupported) => {
                (Unavailable, Some(ReasonCode::HealthCheckNotSupported))
            }
            (Use::Used, Checking::Disabled) => (Unavailable, Some(ReasonCode::HealthCheckDisabled)),
            (Use::Used, Checking::Active(_)) => member.health.standing().status(),
        };
        if member.ejection.is_ejected() && checked.0 != Unhealthy {
            return (Unhealthy, Some(ReasonCode::OutlierDetected));
        }
        checked
    }

    /// May requests be sent to a target, for what is known about it?
    pub(super) fn is_ready(&self, member: &Member) -> bool {
        let checked = matches!(self.checking, Checking::Active(_));
        let healthy = member.health.standing() == Standing::Healthy;
        !member.ejection.is_ejected() && (!checked || healthy)
    }

    /// What it means for the targets that stay when `next` takes over.
    pub(super) fn restart(&self, next: &Self) -> Restart {
        let active = |regime: &Self| matches!(regime.checking, Checking::Active(_));
        let woken = self.used != next.used && next.used == Use::Used;
        if self.vpc != next.vpc || woken || !active(self) && active(next) {
            Restart::Everything
        } else if self == next {
            Restart::No
        } else {
            Restart::Counting
        }
    }
}
