//! The target groups that a request may go to: shares, targets, and what becomes of the request there.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Instant};

use serde::Serialize;
use trellis_model::config::{HashKey, ProtocolVersion, TargetProtocol};
use trellis_target_groups::Use;

use super::{
    live::{GroupStatus, TargetStatus, by_id},
    report::{Findings, Outcome, outcome},
};
use crate::{
    admin,
    proxy::walk::{Bound, End, Tie},
    snapshot::{Action, Rule, TargetGroup},
    stickiness::Cookies,
};

/// Where a permitted request goes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Forward {
    pub(super) target_status: StatusSource,
    pub(super) target_groups: Vec<GroupReport>,
}

/// Where the status of targets comes from.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", tag = "source")]
pub(super) enum StatusSource {
    /// No gateway was asked: what it would be before any check.
    BeforeAnyCheck,
    /// A running gateway.
    #[serde(rename_all = "camelCase")]
    Gateway {
        admin: String,
        generation: Option<u64>,
        /// Does it run the configuration explained here?
        same_configuration: bool,
    },
}

/// A target group of a forward action.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupReport {
    pub(super) name: String,
    pub(super) arn: String,
    /// What targets are spoken to in; a function is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) protocol: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) protocol_version: Option<&'static str>,
    /// ARN of the function, for a group of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function: Option<String>,
    pub(super) weight: u32,
    /// Its part of the requests, from 0 to 1.
    pub(super) share: f64,
    /// How its targets are chosen, `ROUND_ROBIN`; none for a function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) algorithm: Option<&'static str>,
    /// The target that such requests get while it may be chosen, where they say so themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bound: Option<BoundReport>,
    /// The name that its targets are found by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) found_by: Option<String>,
    /// How requests for which it is chosen end, when they are not forwarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<Outcome>,
    /// None when the running gateway does not have the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failing_open: Option<bool>,
    pub(super) targets: Vec<TargetStatus>,
}

/// Which target such requests get, and why.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BoundReport {
    pub(super) target: SocketAddr,
    /// What of the request says so: "cookie `session`".
    pub(super) by: String,
}

impl BoundReport {
    fn of(bound: &Bound, group: &TargetGroup) -> Self {
        let targets = group.targets();
        let hash = targets.and_then(|targets| targets.hash.as_ref());
        let by = match (bound.by, hash) {
            (Tie::Cookie, _) => {
                let cookies = targets.and_then(|targets| targets.stickiness.as_deref());
                let name = cookies.map(Cookies::name);
                format!("cookie `{}`", name.unwrap_or("-"))
            }
            (Tie::Hash, Some(HashKey::Header(name))) => format!("hash of header `{name}`"),
            (Tie::Hash, Some(HashKey::Cookie(name))) => format!("hash of cookie `{name}`"),
            (Tie::Hash, Some(HashKey::Principal)) => "hash of the principal".to_owned(),
            (Tie::Hash, Some(HashKey::Source) | None) => "hash of the client's address".to_owned(),
        };
        Self {
            target: bound.target,
            by,
        }
    }
}

impl Forward {
    /// Where requests go that this rule applies to; none when it does not forward.
    pub(super) fn new(of: &Findings<'_>, rule: &Rule) -> Option<Self> {
        let Action::Forward(forward) = &rule.action else {
            return None;
        };
        let groups = &forward.groups;
        let offline = before_any_check(of, groups);
        let weights: Vec<u32> = forward.choice.weights().collect();
        let sum: u32 = weights.iter().sum();
        let report = |(position, (group, weight)): (usize, (&Arc<TargetGroup>, u32))| {
            let id = group.id.to_string();
            let status = match of.live {
                Some(live) => live.group(&id),
                None => offline.get(&id),
            };
            let mut candidates = of.walk.groups.iter();
            let candidate = candidates.find(|candidate| candidate.position == position);
            GroupReport {
                share: f64::from(weight) / f64::from(sum.max(1)),
                weight,
                refusal: candidate
                    .filter(|candidate| candidate.end != End::Forwarded)
                    .map(|candidate| outcome(&candidate.end, None)),
                bound: candidate
                    .and_then(|candidate| candidate.bound.as_ref())
                    .map(|bound| BoundReport::of(bound, group)),
                failing_open: status.map(|status| status.failing_open),
                targets: status.map_or_else(Vec::new, |status| status.targets.clone()),
                ..GroupReport::of(group)
            }
        };
        Some(Self {
            target_status: StatusSource::of(of),
            target_groups: groups.iter().zip(weights).enumerate().map(report).collect(),
        })
    }

    /// The part of the requests that reaches a target.
    pub(super) fn forwarded_share(&self) -> f64 {
        let forwarding = self
            .target_groups
            .iter()
            .filter(|group| group.refusal.is_none());
        forwarding.map(|group| group.share).sum()
    }
}

impl StatusSource {
    fn of(of: &Findings<'_>) -> Self {
        match of.live {
            None => Self::BeforeAnyCheck,
            Some(live) => Self::Gateway {
                admin: live.admin.clone(),
                generation: live.generation,
                same_configuration: live.same_configuration,
            },
        }
    }
}

impl GroupReport {
    /// What the group itself says.
    fn of(group: &TargetGroup) -> Self {
        let targets = group.targets();
        Self {
            name: group.name.to_string(),
            arn: group.arn.to_string(),
            protocol: targets.map(|targets| match targets.protocol {
                TargetProtocol::Http => "HTTP",
                TargetProtocol::Https => "HTTPS",
            }),
            protocol_version: targets.map(|targets| match targets.version {
                ProtocolVersion::Http1 => "HTTP1",
                ProtocolVersion::Http2 => "HTTP2",
                ProtocolVersion::Grpc => "GRPC",
            }),
            function: group.function().map(|function| function.arn.to_string()),
            weight: 0,
            share: 0.0,
            algorithm: targets.map(|targets| admin::targets::algorithm(&targets.live.algorithm())),
            bound: None,
            found_by: targets
                .and_then(|targets| targets.found_by.as_ref())
                .map(ToString::to_string),
            refusal: None,
            failing_open: None,
            targets: Vec::new(),
        }
    }
}

/// The status of the groups' targets in the snapshot that nothing runs, in the form of the admin page.
fn before_any_check(
    of: &Findings<'_>,
    groups: &[Arc<TargetGroup>],
) -> HashMap<String, GroupStatus> {
    let live: Vec<_> = groups
        .iter()
        .filter_map(|group| Some(Arc::clone(&group.targets()?.live)))
        .collect();
    let mut statuses = admin::group_statuses(&of.config.target_groups, &live, Instant::now());
    statuses.extend(groups.iter().filter_map(|group| {
        let arn = &group.function()?.arn;
        Some(admin::GroupStatus::of_function(
            group.id,
            group.name.as_str(),
            admin::TargetState::of_function(arn, Use::Used),
        ))
    }));
    let statuses = serde_json::to_value(statuses).and_then(serde_json::from_value);
    by_id(statuses.unwrap_or_default())
}
