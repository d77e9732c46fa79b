//! Targets and their status, as the admin pages and the metrics show them.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
    time::Instant,
};

use serde::Serialize;
use trellis_model::{config::TargetGroup, id::TargetGroupId};
use trellis_target_groups::{Group, ReasonCode, TargetStatus};

use crate::telemetry::{Samples, events::status_label, names};

/// A target group and the state of its targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupStatus {
    /// Its id.
    pub id: String,
    /// Its name; `-` for a group that was removed and drains.
    pub name: String,
    /// Does everybody get requests, because nobody is healthy?
    pub failing_open: bool,
    /// Its targets, in the order of the configuration, then those that drain.
    pub targets: Vec<TargetState>,
}

/// The state of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetState {
    /// As registered.
    pub id: Box<str>,
    /// Where requests go.
    pub address: SocketAddr,
    /// Its status, `HEALTHY`.
    pub status: &'static str,
    /// Why it is not healthy; absent for healthy targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<&'static str>,
    /// Do new requests go there?
    pub receives_requests: bool,
    /// Requests running on it.
    pub in_flight: usize,
    /// For how many seconds it has had this status.
    pub seconds_in_status: u64,
}

/// The state of all groups at `now`, in the order of the configuration; removed ones that still drain come last.
pub fn group_statuses(
    named: &[TargetGroup],
    groups: &[Arc<Group>],
    now: Instant,
) -> Vec<GroupStatus> {
    let live: HashMap<TargetGroupId, &Arc<Group>> =
        groups.iter().map(|group| (group.id(), group)).collect();
    let configured: HashSet<TargetGroupId> = named.iter().map(|group| group.id).collect();
    let in_order = named
        .iter()
        .filter_map(|config| Some((config.name.as_str(), *live.get(&config.id)?)));
    let removed = groups
        .iter()
        .filter(|group| !configured.contains(&group.id()))
        .map(|group| ("-", group));
    in_order
        .chain(removed)
        .map(|(name, group)| group_status(name, group, now))
        .collect()
}

fn group_status(name: &str, group: &Group, now: Instant) -> GroupStatus {
    let targets = group.view().into_iter().map(|target| TargetState {
        id: (*target.id).into(),
        address: target.address,
        status: target.status.as_str(),
        reason_code: target.reason.map(ReasonCode::as_str),
        receives_requests: target.eligible,
        in_flight: target.in_flight,
        seconds_in_status: now.saturating_duration_since(target.since).as_secs(),
    });
    GroupStatus {
        id: group.id().to_string(),
        name: name.to_owned(),
        failing_open: group.is_failing_open(),
        targets: targets.collect(),
    }
}

/// Adds the number of targets by group and status, zeros included, and which groups fail open.
pub(super) fn collect(groups: &[GroupStatus], samples: &mut Samples) {
    samples.family(&names::TARGETS, |family| {
        for group in groups {
            for status in TargetStatus::ALL {
                let counted = group
                    .targets
                    .iter()
                    .filter(|target| target.status == status.as_str());
                let number = u32::try_from(counted.count()).unwrap_or(u32::MAX);
                let labels = [group.name.as_str(), &group.id, status_label(Some(status))];
                family.sample(&labels, f64::from(number));
            }
        }
    });
    samples.family(&names::TARGET_GROUP_FAILING_OPEN, |family| {
        for group in groups {
            let value = f64::from(u8::from(group.failing_open));
            family.sample(&[&group.name, &group.id], value);
        }
    });
}
