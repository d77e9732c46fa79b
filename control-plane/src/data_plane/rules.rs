//! Listeners and rules.

use std::sync::Arc;

use trellis_model::{
    config,
    id::{ServiceId, TargetGroupId},
    name::Region,
};

use crate::{
    catalog::Catalog,
    lattice::arns::Named as _,
    resource::{
        Action, HeaderMatchType, HttpMatch, Listener, ListenerProtocol, PathMatchType, Rule,
        RuleMatch, Scope,
    },
};

/// What all rules of a service share: how long requests may take, and whether the data plane knows a group.
type Around<'a> = (&'a Arc<config::Traffic>, &'a dyn Fn(TargetGroupId) -> bool);

/// The listeners of a service that the data plane serves. Connections that are passed through are not served yet.
pub(super) fn listeners(
    catalog: &Catalog,
    service: ServiceId,
    region: &Region,
    around: Around<'_>,
) -> Vec<config::Listener> {
    let listeners = catalog.within::<Listener>(&Scope::Service(service));
    let made = listeners.filter_map(|entry| {
        let listener = &entry.value;
        let protocol = match listener.protocol {
            ListenerProtocol::Http => config::ListenerProtocol::Http,
            ListenerProtocol::Https => config::ListenerProtocol::Https,
            ListenerProtocol::TlsPassthrough => return None,
        };
        let rules = catalog.within::<Rule>(&Scope::Listener(listener.id));
        let mut rules: Vec<config::Rule> = rules
            .filter_map(|entry| rule(&entry.value, around))
            .collect();
        rules.sort_by_key(|rule| rule.priority);
        Some(config::Listener {
            id: listener.id,
            arn: listener.arn(region),
            name: listener.name.clone(),
            protocol,
            port: listener.port,
            rules,
            default_rule: listener.default_rule,
            default_action: action(&listener.default_action, around),
        })
    });
    made.collect()
}

/// A rule; the default rule is none here.
fn rule(rule: &Rule, around: Around<'_>) -> Option<config::Rule> {
    let RuleMatch::HttpMatch(written) = rule.condition.as_ref()?;
    Some(config::Rule {
        id: rule.id,
        name: rule.name.clone(),
        priority: config::RulePriority::new(rule.priority?)?,
        condition: condition(written),
        action: action(&rule.action, around),
    })
}

fn condition(written: &HttpMatch) -> config::HttpMatch {
    let case = |given: Option<bool>, default| {
        if given.unwrap_or(default) {
            config::Case::Sensitive
        } else {
            config::Case::Insensitive
        }
    };
    let headers = written.header_matches.iter().flatten();
    config::HttpMatch {
        // An empty method is none.
        method: written
            .method
            .as_deref()
            .filter(|method| !method.is_empty())
            .map(Into::into),
        path: written.path_match.as_ref().map(|path| {
            let (kind, value) = match &path.kind {
                PathMatchType::Exact(value) => (config::PathMatchKind::Exact, value),
                PathMatchType::Prefix(value) => (config::PathMatchKind::Prefix, value),
            };
            config::PathMatch {
                kind,
                value: value.as_str().into(),
                case: case(path.case_sensitive, true),
            }
        }),
        headers: headers
            .map(|header| {
                let (kind, value) = match &header.kind {
                    HeaderMatchType::Exact(value) => (config::HeaderMatchKind::Exact, value),
                    HeaderMatchType::Prefix(value) => (config::HeaderMatchKind::Prefix, value),
                    HeaderMatchType::Contains(value) => (config::HeaderMatchKind::Contains, value),
                };
                config::HeaderMatch {
                    name: header.name.to_ascii_lowercase().into(),
                    kind,
                    value: value.as_str().into(),
                    case: case(header.case_sensitive, false),
                }
            })
            .collect(),
    }
}

/// An action. Groups that the data plane does not know are left out; what would have gone there gets the answer of a group without
/// targets.
fn action(written: &Action, (traffic, serves): Around<'_>) -> config::Action {
    match written {
        Action::FixedResponse(fixed) => config::Action::FixedResponse(fixed.status_code),
        Action::Forward(forward) => {
            let groups = forward.target_groups.iter().filter_map(|written| {
                let group = written.target_group_identifier.parse().ok()?;
                serves(group).then_some(())?;
                Some(config::WeightedTargetGroup {
                    group,
                    weight: config::Weight::new(written.weight.unwrap_or(100))?,
                })
            });
            config::Action::Forward(Arc::new(config::Forward {
                groups: groups.collect(),
                traffic: Arc::clone(traffic),
            }))
        }
    }
}
