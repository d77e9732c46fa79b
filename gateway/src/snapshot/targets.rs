//! How connections to targets are secured.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use trellis_model::{
    config::{Action, Config, TargetProtocol},
    id::TargetGroupId,
    name::DomainName,
    problem::{Place, Problem, Problems},
};

use crate::{registry::TargetSecurity, tls::TargetTls};

/// Reads authorities and certificates of every group that has them. Gives what their authors should look at as well.
pub(super) fn compile(config: &Config) -> Result<(TargetSecurity, Vec<Problem>), Problems> {
    let now = SystemTime::now();
    let unverified = TargetTls::unverified().map_err(|error| {
        let message = format!("TLS cannot be set up: {error}");
        Problems::from_iter([Problem::error(Place::default(), message)])
    })?;
    let unverified = Arc::new(unverified);
    let domains = domains(config);
    let mut security = HashMap::new();
    let (mut problems, mut warnings) = (Problems::default(), Vec::new());
    let groups = config.target_groups.iter();
    for group in groups.filter(|group| group.protocol == TargetProtocol::Https) {
        let Some(terms) = &group.tls else {
            security.insert(group.id, Arc::clone(&unverified));
            continue;
        };
        let domain = domains.get(&group.id).map(|domain| domain.as_str());
        match TargetTls::verified(group, terms, domain, now) {
            Ok((tls, found)) => {
                security.insert(group.id, Arc::new(tls));
                warnings.extend(found);
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.has_errors() {
        Err(problems)
    } else {
        Ok((security, warnings))
    }
}

/// What is wrong with the authorities and certificates of target groups, and what their authors should look at.
pub fn target_certificates(config: &Config) -> Problems {
    match compile(config) {
        Ok((_, warnings)) => warnings.into_iter().collect(),
        Err(problems) => problems,
    }
}

/// The name of the service that sends to each group. INVARIANT: a group serves one service.
fn domains(config: &Config) -> HashMap<TargetGroupId, &DomainName> {
    let mut domains = HashMap::new();
    for service in &config.services {
        let custom = service.custom_domain.as_ref();
        let domain = custom.unwrap_or(&service.generated_domain);
        let listeners = service.listeners.iter();
        let actions = listeners.flat_map(|listener| {
            let ruled = listener.rules.iter().map(|rule| &rule.action);
            ruled.chain([&listener.default_action])
        });
        for action in actions {
            let Action::Forward(forward) = action else {
                continue;
            };
            let groups = forward.groups.iter();
            domains.extend(groups.map(|weighted| (weighted.group, domain)));
        }
    }
    domains
}
