//! How connections to targets are secured.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

use trellis_model::{
    config::{self, Config, TargetProtocol},
    id::{ServiceId, TargetGroupId},
    name::DomainName,
    problem::{Place, Problem, Problems},
};

use super::{Change, change::named};
use crate::{registry::TargetSecurity, tls::TargetTls};

/// Reads authorities and certificates of every group that has them and is not the same in the running snapshot, with the name of
/// the service that sends to it. Gives what their authors should look at as well.
pub(super) fn compile(
    change: &Change<'_>,
) -> Result<(Arc<TargetSecurity>, Vec<Problem>), Problems> {
    let now = SystemTime::now();
    let config = change.config;
    let carried = &change.difference().target_groups;
    let running = change.running().zip(change.running_config());
    let mut security = running.map_or_else(Arc::default, |(running, _)| {
        Arc::clone(&running.pieces.security)
    });
    let mut work: HashMap<TargetGroupId, &Arc<config::TargetGroup>> = HashMap::new();
    if let Some((_, before)) = running {
        let gone = carried
            .gone()
            .filter_map(|position| before.target_groups.get(position));
        for group in gone.filter(|group| group.protocol == TargetProtocol::Https) {
            Arc::make_mut(&mut security).remove(&group.id);
        }
        let renamed = renamed(change, before);
        let named = change.moved().chain(renamed);
        let groups = named.filter_map(|id| change.group(id));
        work.extend(groups.map(|group| (group.id, group)));
    }
    let newcomers = config.target_groups.iter().enumerate();
    let newcomers = newcomers.filter(|(at, _)| running.is_none() || carried.from(*at).is_none());
    work.extend(newcomers.map(|(_, group)| (group.id, group)));
    let domains = Domains::new(change);
    let (mut problems, mut warnings) = (Problems::default(), Vec::new());
    // In the order of the configuration, for the report.
    let mut work: Vec<_> = work
        .into_values()
        .filter(|group| group.protocol == TargetProtocol::Https)
        .collect();
    work.sort_by(|one, other| one.place.cmp(&other.place));
    for group in work {
        match secured(group, &domains, now) {
            Ok((tls, found)) => {
                Arc::make_mut(&mut security).insert(group.id, tls);
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

fn secured(
    group: &config::TargetGroup,
    domains: &Domains<'_>,
    now: SystemTime,
) -> Result<(Arc<TargetTls>, Vec<Problem>), Problem> {
    let Some(terms) = &group.tls else {
        return unverified().map(|tls| (tls, Vec::new()));
    };
    let domain = domains.of(group.id).map(DomainName::as_str);
    let (tls, found) = TargetTls::verified(group, terms, domain, now)?;
    Ok((Arc::new(tls), found))
}

/// The one that all groups share that verify nobody.
fn unverified() -> Result<Arc<TargetTls>, Problem> {
    static UNVERIFIED: std::sync::OnceLock<Arc<TargetTls>> = std::sync::OnceLock::new();
    if let Some(tls) = UNVERIFIED.get() {
        return Ok(Arc::clone(tls));
    }
    let tls = TargetTls::unverified().map_err(|error| {
        Problem::error(Place::default(), format!("TLS cannot be set up: {error}"))
    })?;
    Ok(Arc::clone(UNVERIFIED.get_or_init(|| Arc::new(tls))))
}

/// What is wrong with the authorities and certificates of target groups, and what their authors should look at.
pub fn target_certificates(config: &Config) -> Problems {
    match compile(&Change::first(config)) {
        Ok((_, warnings)) => warnings.into_iter().collect(),
        Err(problems) => problems,
    }
}

/// The groups of services that have another name than before.
fn renamed(change: &Change<'_>, before: &Config) -> HashSet<TargetGroupId> {
    let carried = &change.difference().services;
    let gone = carried
        .gone()
        .filter_map(|position| before.services.get(position));
    let names: HashMap<ServiceId, &DomainName> =
        gone.map(|service| (service.id, domain(service))).collect();
    let newcomers = carried.newcomers();
    let newcomers = newcomers.filter_map(|position| change.config.services.get(position));
    let renamed = newcomers.filter(|service| {
        names
            .get(&service.id)
            .is_some_and(|name| *name != domain(service))
    });
    renamed.flat_map(|service| named(service)).collect()
}

/// The name that clients know a service by.
fn domain(service: &config::Service) -> &DomainName {
    service
        .custom_domain
        .as_ref()
        .unwrap_or(&service.generated_domain)
}

/// The name of the service that sends to each group.
struct Domains<'a> {
    change: &'a Change<'a>,
    services: std::cell::OnceCell<HashMap<ServiceId, &'a DomainName>>,
}

impl<'a> Domains<'a> {
    fn new(change: &'a Change<'a>) -> Self {
        Self {
            change,
            services: std::cell::OnceCell::new(),
        }
    }

    fn of(&self, group: TargetGroupId) -> Option<&'a DomainName> {
        let service = self.change.uses().get(&group)?;
        let services = self.services.get_or_init(|| {
            let services = self.change.config.services.iter();
            services
                .map(|service| (service.id, domain(service)))
                .collect()
        });
        services.get(service).copied()
    }
}
