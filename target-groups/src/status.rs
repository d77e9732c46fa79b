//! What users see of a target: its status and the reason for it.

use std::{fmt, net::SocketAddr, sync::Arc, time::Instant};

use crate::target::TargetKey;

/// Status of a target.
///
/// Source: VPC Lattice API model, `TargetStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetStatus {
    /// Registered; the first checks are outstanding.
    Initial,
    /// Checks pass.
    Healthy,
    /// Checks fail.
    Unhealthy,
    /// Deregistered; running requests may end.
    Draining,
    /// No service uses the group, so nothing is checked.
    Unused,
    /// Health is not known, because checks are off or not supported for the type of group. Requests are sent.
    Unavailable,
}

impl TargetStatus {
    /// Every status, in the order of the declaration.
    pub const ALL: [Self; 6] = [
        Self::Initial,
        Self::Healthy,
        Self::Unhealthy,
        Self::Draining,
        Self::Unused,
        Self::Unavailable,
    ];

    /// The name in the API: `HEALTHY`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "INITIAL",
            Self::Healthy => "HEALTHY",
            Self::Unhealthy => "UNHEALTHY",
            Self::Draining => "DRAINING",
            Self::Unused => "UNUSED",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

impl fmt::Display for TargetStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a target that is not healthy has its status.
///
/// `TargetGroupNotInUse` and `HealthCheckNotSupported` were seen in answers of VPC Lattice. The others are ours, named after
/// their counterparts in Elastic Load Balancing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReasonCode {
    /// No rule or default action of any service names the group.
    TargetGroupNotInUse,
    /// Targets of this type check their own health (load balancers do).
    HealthCheckNotSupported,
    /// The user switched checks off, or never switched them on where that is the default.
    HealthCheckDisabled,
    /// The first checks are outstanding.
    HealthCheckInProgress,
    /// As many checks in a row failed as the unhealthy threshold says.
    HealthCheckFailed,
    /// Too many requests in a row failed there, so it gets none for a while.
    OutlierDetected,
    /// The target was deregistered and finishes its running requests.
    DeregistrationInProgress,
}

impl ReasonCode {
    /// The name in the API: `HealthCheckFailed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TargetGroupNotInUse => "TargetGroupNotInUse",
            Self::HealthCheckNotSupported => "HealthCheckNotSupported",
            Self::HealthCheckDisabled => "HealthCheckDisabled",
            Self::HealthCheckInProgress => "HealthCheckInProgress",
            Self::HealthCheckFailed => "HealthCheckFailed",
            Self::OutlierDetected => "OutlierDetected",
            Self::DeregistrationInProgress => "DeregistrationInProgress",
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A target came, went or changed its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusChange {
    /// Which target.
    pub target: TargetKey,
    /// Its status before; `None` for a target that was just registered.
    pub before: Option<TargetStatus>,
    /// Its status now; `None` for a target that is gone.
    pub after: Option<TargetStatus>,
    /// Why; `None` for healthy targets and those that are gone.
    pub reason: Option<ReasonCode>,
}

/// One target as the API and the admin listener show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetView {
    /// As registered: an IP address, `i-…` or the ARN of a load balancer.
    pub id: Arc<str>,
    /// Where requests go.
    pub address: SocketAddr,
    /// Its status.
    pub status: TargetStatus,
    /// Why; `None` for healthy targets only.
    pub reason: Option<ReasonCode>,
    /// Do new requests go there? To healthy targets that are not ejected; while too few are, or health is not checked, to all registered
    /// ones.
    pub eligible: bool,
    /// Requests running on it.
    pub in_flight: usize,
    /// Its share of the requests, relative to the other targets'.
    pub weight: u16,
    /// Is it ejected, because requests failed there?
    pub ejected: bool,
    /// How often it was ejected lately: the longer, the more often.
    pub ejections: u32,
    /// When it got this status.
    pub since: Instant,
}

impl TargetView {
    /// The port on which it receives requests.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}
