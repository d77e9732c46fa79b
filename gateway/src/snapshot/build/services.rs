//! Services, their listeners and rules, and the target groups that these name.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use trellis_access_logs::Destinations;
use trellis_model::{
    config::{self, Algorithm, Config},
    id::TargetGroupId,
};
use trellis_policy as policy;
use trellis_routing::RuleTable;
use trellis_target_groups::WeightedChoice;

use super::Surroundings;
use crate::{
    snapshot::{Action, Clients, Listener, Rule, Service, Takers, TargetGroup, Targets},
    stickiness::{Cookies, Key},
    telemetry::Telemetry,
};

/// The networks that a service is in, and where its records go for each.
pub(super) struct Membership {
    pub(super) networks: Box<[usize]>,
    pub(super) destinations: Box<[(usize, Destinations)]>,
}

pub(super) fn compile_service(
    service: &config::Service,
    (clients, policy): (Option<&Clients>, policy::ServiceIndex),
    membership: Membership,
    groups: &HashMap<TargetGroupId, Arc<TargetGroup>>,
    telemetry: &Arc<Telemetry>,
) -> Service {
    Service {
        id: service.id,
        arn: service.arn.clone(),
        name: service.name.clone(),
        account: service.account.clone(),
        clients: clients.cloned(),
        auth_type: service.auth_type,
        policy,
        domain: service
            .custom_domain
            .as_ref()
            .unwrap_or(&service.generated_domain)
            .clone(),
        idle: service.idle_timeout,
        listeners: service
            .listeners
            .iter()
            .map(|listener| compile_listener(listener, groups))
            .collect(),
        networks: membership.networks,
        destinations: membership.destinations,
        metrics: telemetry.service(service.name.as_str(), service.id),
        account_metrics: telemetry.account(&service.account),
    }
}

pub(super) fn target_groups(
    config: &Config,
    around: &Surroundings<'_>,
) -> HashMap<TargetGroupId, Arc<TargetGroup>> {
    let secret = config.gateway.stickiness_key.as_ref();
    let key = secret.map_or_else(|| around.tls.ca.stickiness_key(), Key::of_secret);
    let key = Arc::new(key);
    let group = |group: &Arc<config::TargetGroup>| {
        let compiled = TargetGroup {
            id: group.id,
            arn: group.arn.clone(),
            name: group.name.clone(),
            takers: Takers::Targets(Targets {
                protocol: group.protocol,
                version: group.version,
                tls: around.registry.tls(group.id),
                vpc: group.vpc.clone(),
                live: around.registry.group(group.id)?,
                alarm: Arc::clone(around.registry.alarm()),
                connections: group.connection_pool,
                pool: around.registry.pool(group.id),
                algorithm: group.balancing.algorithm.as_str(),
                hash: match &group.balancing.algorithm {
                    Algorithm::Maglev(key) => Some(key.clone()),
                    Algorithm::RoundRobin
                    | Algorithm::LeastRequest
                    | Algorithm::RandomTwoChoices => None,
                },
                stickiness: cookies(group, &key, around),
                found_by: group.discovery.as_ref().map(|of| of.hostname.clone()),
            }),
            metrics: around.telemetry.target_group(group),
            target_headers: OnceLock::new(),
        };
        Some((group.id, Arc::new(compiled)))
    };
    config.target_groups.iter().filter_map(group).collect()
}

/// The cookies of a group; those of targets that are found by a name follow them.
fn cookies(
    group: &config::TargetGroup,
    key: &Arc<Key>,
    around: &Surroundings<'_>,
) -> Option<Arc<Cookies>> {
    let cookies = Arc::new(Cookies::of(group, key)?);
    around.registry.tell_cookies(group.id, &cookies);
    Some(cookies)
}

fn compile_listener(
    listener: &config::Listener,
    groups: &HashMap<TargetGroupId, Arc<TargetGroup>>,
) -> Listener {
    Listener {
        id: listener.id,
        protocol: listener.protocol,
        port: listener.port,
        table: RuleTable::compile(listener.rules.iter().map(|rule| &rule.condition)),
        rules: listener
            .rules
            .iter()
            .map(|rule| Rule {
                id: rule.id,
                priority: Some(rule.priority),
                action: compile_action(&rule.action, groups),
            })
            .collect(),
        default: Rule {
            id: listener.default_rule,
            priority: None,
            action: compile_action(&listener.default_action, groups),
        },
    }
}

fn compile_action(
    action: &config::Action,
    groups: &HashMap<TargetGroupId, Arc<TargetGroup>>,
) -> Action {
    match action {
        config::Action::FixedResponse(status) => Action::FixedResponse(*status),
        config::Action::Forward(forward) => Action::Forward {
            choice: WeightedChoice::new(forward.groups.iter().map(|entry| entry.weight)),
            traffic: Arc::clone(&forward.traffic),
            groups: forward
                .groups
                .iter()
                .filter_map(|entry| groups.get(&entry.group).cloned())
                .collect(),
        },
    }
}
