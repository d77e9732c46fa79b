//! Targets come, go and change their status.

use trellis_target_groups::TargetStatus;

use super::Event;
use crate::{
    reason::Chain,
    registry::StatusEvent,
    telemetry::{Telemetry, names},
};

/// A target came, went or changed its status.
#[derive(Debug)]
pub struct TargetStatusChanged<'a>(pub &'a StatusEvent<'a>);

impl Event for TargetStatusChanged<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        let Self(event) = self;
        let (before, after) = (event.change.before, event.change.after);
        // Changes are rare, so the handle may be looked up.
        telemetry
            .registry
            .counter(&names::TARGET_STATUS_CHANGES, &[status_label(after)])
            .increment(1);
        let target = event.change.target.id();
        let address = event.change.target.address();
        let before = before.map_or("-", TargetStatus::as_str);
        let status = after.map_or("-", TargetStatus::as_str);
        let reason = event.change.reason.map(tracing::field::display);
        let cause = event
            .cause
            .map(|cause| tracing::field::display(Chain(cause)));
        let group = event.group.name();
        if after == Some(TargetStatus::Unhealthy) {
            tracing::warn!(group, target = %target, %address, before, status, reason, cause, "target status");
        } else {
            tracing::info!(group, target = %target, %address, before, status, reason, cause, "target status");
        }
    }
}

/// The label of a status; `gone` for a target that is not there any more.
pub(crate) fn status_label(status: Option<TargetStatus>) -> &'static str {
    match status {
        Some(TargetStatus::Initial) => "initial",
        Some(TargetStatus::Healthy) => "healthy",
        Some(TargetStatus::Unhealthy) => "unhealthy",
        Some(TargetStatus::Draining) => "draining",
        Some(TargetStatus::Unused) => "unused",
        Some(TargetStatus::Unavailable) => "unavailable",
        None => "gone",
    }
}
