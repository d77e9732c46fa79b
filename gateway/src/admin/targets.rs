//! Targets and their status, as the admin pages and the metrics show them.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Instant};

use serde::Serialize;
use trellis_model::{
    config::{Algorithm, TargetGroup},
    id::TargetGroupId,
};
use trellis_target_groups::{Group, ReasonCode, TargetStatus, Use};

use crate::registry::{LiveFunction, Standing};
use crate::telemetry::{Samples, events::status_label, names};

/// A target group and the state of its targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupStatus {
    /// Its id.
    pub id: String,
    /// Its name; `-` for a group that was removed and drains.
    pub name: String,
    /// How its targets are chosen, `ROUND_ROBIN`; absent for functions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<&'static str>,
    /// Where the discovery of its targets stands, where a name finds them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovery: Option<DiscoveryStatus>,
    /// Does everybody get requests, because too few are healthy?
    pub failing_open: bool,
    /// How often targets were ejected, since the group was made or its outlier detection was switched on.
    pub ejections: u64,
    /// Its targets, in the order of the configuration, then those that drain.
    pub targets: Vec<TargetState>,
}

/// Where the discovery of a group's targets stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiscoveryStatus {
    /// The name.
    pub hostname: String,
    /// How many targets it gave.
    pub targets: usize,
    /// Why the last question had no answer; absent when it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long ago the last answer came; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_since_answer: Option<u64>,
    /// In how many seconds the next question is asked; absent while the first is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_next: Option<u64>,
}

/// The state of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetState {
    /// As registered.
    pub id: Box<str>,
    /// Where requests go; absent for functions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// Its status, `HEALTHY`.
    pub status: &'static str,
    /// Why it is not healthy; absent for healthy targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<&'static str>,
    /// Is it ejected, because requests failed there?
    pub ejected: bool,
    /// How often it was ejected lately: the more often, the longer.
    pub recent_ejections: u32,
    /// Its share of the requests, relative to the other targets'.
    pub weight: u16,
    /// Do new requests go there?
    pub receives_requests: bool,
    /// Requests running on it.
    pub in_flight: usize,
    /// For how many seconds it has had this status.
    pub seconds_in_status: u64,
}

/// The state of all groups at `now`, in the order of the configuration; removed ones that still drain come last. A group that lost
/// all its targets is among `groups` twice: as it is, and with the targets that drain.
pub fn group_statuses(
    named: &[Arc<TargetGroup>],
    groups: &[Arc<Group>],
    now: Instant,
) -> Vec<GroupStatus> {
    let mut live: HashMap<TargetGroupId, Vec<&Group>> = HashMap::new();
    for group in groups {
        live.entry(group.id()).or_default().push(group);
    }
    let configured = named.iter().map(|config| config.id);
    let removed = groups.iter().map(|group| group.id());
    configured
        .chain(removed)
        .filter_map(|id| group_status(&live.remove(&id)?, now))
        .collect()
}

/// The state of functions at `now`: nothing is known of their health.
///
/// Source: VPC Lattice user guide, "Health checks": there are none for functions; reason code as seen for other types without.
pub(super) fn function_statuses(functions: &[Arc<LiveFunction>], now: Instant) -> Vec<GroupStatus> {
    let status = |function: &Arc<LiveFunction>| {
        let state = TargetState {
            in_flight: function.invocations.running(),
            seconds_in_status: now.saturating_duration_since(function.since).as_secs(),
            ..TargetState::of_function(&function.arn, function.usage)
        };
        GroupStatus::of_function(function.id, &function.name, state)
    };
    functions.iter().map(status).collect()
}

/// Adds where discovery stands to the groups that have one.
pub(super) fn add_standings(
    groups: &mut [GroupStatus],
    standings: &HashMap<TargetGroupId, Standing>,
    now: Instant,
) {
    let standings: HashMap<String, &Standing> = standings
        .iter()
        .map(|(id, standing)| (id.to_string(), standing))
        .collect();
    for group in groups {
        group.discovery = standings.get(&group.id).map(|standing| DiscoveryStatus {
            hostname: standing.of.hostname.to_string(),
            targets: standing.targets,
            error: standing.error.as_deref().map(str::to_owned),
            seconds_since_answer: standing
                .answered
                .map(|answered| now.saturating_duration_since(answered).as_secs()),
            seconds_to_next: standing
                .next
                .map(|next| next.saturating_duration_since(now).as_secs()),
        });
    }
}

impl GroupStatus {
    /// A group whose only target is a function.
    pub fn of_function(id: TargetGroupId, name: &str, function: TargetState) -> Self {
        Self {
            id: id.to_string(),
            name: name.to_owned(),
            algorithm: None,
            discovery: None,
            ejections: 0,
            failing_open: false,
            targets: vec![function],
        }
    }
}

impl TargetState {
    /// A function about which nothing else is known.
    pub fn of_function(arn: &str, usage: Use) -> Self {
        let (status, reason) = match usage {
            Use::Used => (
                TargetStatus::Unavailable,
                ReasonCode::HealthCheckNotSupported,
            ),
            Use::Unused => (TargetStatus::Unused, ReasonCode::TargetGroupNotInUse),
        };
        Self {
            id: arn.into(),
            address: None,
            status: status.as_str(),
            reason_code: Some(reason.as_str()),
            ejected: false,
            recent_ejections: 0,
            weight: 1,
            receives_requests: true,
            in_flight: 0,
            seconds_in_status: 0,
        }
    }
}

/// The state of one group, all parts of which have the same name; `None` without parts.
fn group_status(parts: &[&Group], now: Instant) -> Option<GroupStatus> {
    let group = parts.first()?;
    let targets = parts.iter().flat_map(|part| part.view());
    let targets = targets.map(|target| TargetState {
        id: (*target.id).into(),
        address: Some(target.address),
        status: target.status.as_str(),
        reason_code: target.reason.map(ReasonCode::as_str),
        ejected: target.ejected,
        recent_ejections: target.ejections,
        weight: target.weight,
        receives_requests: target.eligible,
        in_flight: target.in_flight,
        seconds_in_status: now.saturating_duration_since(target.since).as_secs(),
    });
    Some(GroupStatus {
        id: group.id().to_string(),
        name: group.name().to_owned(),
        algorithm: Some(algorithm(&group.algorithm())),
        discovery: None,
        ejections: parts.iter().map(|part| part.ejections()).sum(),
        failing_open: parts.iter().any(|part| part.is_failing_open()),
        targets: targets.collect(),
    })
}

/// An algorithm as documents name it.
pub(crate) fn algorithm(of: &Algorithm) -> &'static str {
    of.as_str()
}

/// Adds the number of targets by group and status, zeros included, which groups fail open, and what outlier detection did.
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
    samples.family(&names::TARGET_REQUESTS_IN_FLIGHT, |family| {
        for group in groups {
            let running: usize = group.targets.iter().map(|target| target.in_flight).sum();
            let running = u32::try_from(running).unwrap_or(u32::MAX);
            family.sample(&[&group.name, &group.id], f64::from(running));
        }
    });
    collect_discoveries(groups, samples);
    samples.family(&names::TARGETS_EJECTED, |family| {
        for group in groups {
            let ejected = group.targets.iter().filter(|target| target.ejected);
            let number = u32::try_from(ejected.count()).unwrap_or(u32::MAX);
            family.sample(&[&group.name, &group.id], f64::from(number));
        }
    });
    samples.family(&names::TARGET_EJECTIONS, |family| {
        for group in groups {
            let number = u32::try_from(group.ejections).unwrap_or(u32::MAX);
            family.sample(&[&group.name, &group.id], f64::from(number));
        }
    });
}

fn collect_discoveries(groups: &[GroupStatus], samples: &mut Samples) {
    samples.family(&names::TARGET_DISCOVERY_FAILING, |family| {
        for group in groups {
            if let Some(discovery) = &group.discovery {
                let value = f64::from(u8::from(discovery.error.is_some()));
                family.sample(&[&group.name, &group.id], value);
            }
        }
    });
    samples.family(&names::TARGET_DISCOVERY_AGE, |family| {
        for group in groups {
            let age = group
                .discovery
                .as_ref()
                .and_then(|of| of.seconds_since_answer);
            if let Some(age) = age {
                let age = u32::try_from(age).unwrap_or(u32::MAX);
                family.sample(&[&group.name, &group.id], f64::from(age));
            }
        }
    });
}
