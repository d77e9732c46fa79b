//! From resources of the API to the configuration that the data plane runs.
//!
//! What files declare comes as a [`Config`] of its own and is taken over as it is; what was created through the API is put beside it, and
//! into it where it hangs on something of a file's. Only what changed is made anew: everything else is the same value as before,
//! behind the same pointer, so that the data plane sees at once what it need not compile.

mod principals;
mod rules;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use trellis_model::{
    arn::Arn,
    config::{self, Config},
    id::{RoleId, ServiceId, ServiceNetworkId, TargetGroupId, UserId},
    name::Region,
    problem::Place,
};

use crate::{
    catalog::{Catalog, Entry, Owner},
    lattice::{
        arns::Named as _,
        view::{generated_name, success_codes},
    },
    resource::{
        AuthType, HealthCheck, LambdaEventStructureVersion, Matcher, Resource, Role, Rule, Scope,
        Service, ServiceAssociation, ServiceNetwork, TargetGroup, TargetGroupType, TargetProtocol,
        TargetProtocolVersion, Targets, Unit, User, VpcAssociation,
    },
};

/// Requests that are with a function at a time: what an AWS account may run to begin with.
const CONCURRENCY: usize = 1000;

/// What was made of the resources of the API so far.
#[derive(Debug, Default)]
pub(crate) struct DataPlane {
    services: BTreeMap<ServiceId, Arc<config::Service>>,
    /// Those of the API, and those of files that something of the API's hangs on.
    networks: BTreeMap<ServiceNetworkId, Arc<config::ServiceNetwork>>,
    groups: BTreeMap<TargetGroupId, Arc<config::TargetGroup>>,
    functions: BTreeMap<TargetGroupId, Arc<config::FunctionGroup>>,
    users: BTreeMap<UserId, Arc<config::User>>,
    roles: BTreeMap<RoleId, Arc<config::Role>>,
    /// The configuration of files that this was made beside, and both together.
    made: Option<(Arc<Config>, Arc<Config>)>,
}

impl DataPlane {
    /// Are these the files that it knows?
    pub(crate) fn knows(&self, files: &Arc<Config>) -> bool {
        let made = self.made.as_ref();
        made.is_some_and(|(known, _)| Arc::ptr_eq(known, files))
    }

    /// The configuration that should run now.
    pub(crate) fn configuration(
        &mut self,
        catalog: &Catalog,
        dirty: BTreeSet<Unit>,
        (files, region): (&Arc<Config>, &Region),
    ) -> Arc<Config> {
        match &self.made {
            Some((_, made)) if self.knows(files) && dirty.is_empty() => return Arc::clone(made),
            Some(_) if self.knows(files) => self.make_some(dirty, catalog, (files, region)),
            _ => self.make_all(catalog, (files, region)),
        }
        let made = Arc::new(self.assemble(files));
        self.made = Some((Arc::clone(files), Arc::clone(&made)));
        made
    }

    /// Makes these anew, groups first: whether a rule can forward to a group depends on whether the group is there.
    fn make_some(
        &mut self,
        mut units: BTreeSet<Unit>,
        catalog: &Catalog,
        around: (&Config, &Region),
    ) {
        let groups = units.iter().filter_map(|unit| match unit {
            Unit::Group(id) => Some(*id),
            _ => None,
        });
        let users = groups.flat_map(|group| catalog.within::<Rule>(&Scope::Group(group)));
        let users: Vec<Unit> = users
            .map(|rule| Unit::Service(rule.value.service))
            .collect();
        units.extend(users);
        for unit in units {
            self.make(&unit, catalog, around);
        }
    }

    fn make_all(&mut self, catalog: &Catalog, around: (&Config, &Region)) {
        let networks = ServiceNetwork::table(catalog).all();
        let services = Service::table(catalog).all();
        let groups = TargetGroup::table(catalog).all();
        let users = User::table(catalog).all();
        let roles = Role::table(catalog).all();
        let units = networks
            .map(|entry| Unit::Network(entry.value.id))
            .chain(services.map(|entry| Unit::Service(entry.value.id)))
            .chain(groups.map(|entry| Unit::Group(entry.value.id)))
            .chain(users.map(|entry| Unit::User(entry.value.id)))
            .chain(roles.map(|entry| Unit::Role(entry.value.id)));
        let all: BTreeSet<Unit> = units.collect();
        self.networks
            .retain(|id, _| all.contains(&Unit::Network(*id)));
        self.services
            .retain(|id, _| all.contains(&Unit::Service(*id)));
        self.groups.retain(|id, _| all.contains(&Unit::Group(*id)));
        self.functions
            .retain(|id, _| all.contains(&Unit::Group(*id)));
        self.users.retain(|id, _| all.contains(&Unit::User(*id)));
        self.roles.retain(|id, _| all.contains(&Unit::Role(*id)));
        for unit in all {
            self.make(&unit, catalog, around);
        }
    }

    fn make(&mut self, unit: &Unit, catalog: &Catalog, around: (&Config, &Region)) {
        match unit {
            Unit::Group(id) => {
                put(&mut self.groups, *id, group(catalog, *id, around.1));
                put(&mut self.functions, *id, function(catalog, *id, around));
            }
            Unit::Network(id) => put(&mut self.networks, *id, network(catalog, *id, around)),
            Unit::Service(id) => {
                let made = service(catalog, *id, around.1, &|id| self.serves(catalog, id));
                put(&mut self.services, *id, made);
            }
            Unit::User(id) => {
                put(
                    &mut self.users,
                    *id,
                    principals::user(catalog, *id, around.1),
                );
            }
            Unit::Role(id) => {
                put(
                    &mut self.roles,
                    *id,
                    principals::role(catalog, *id, around.1),
                );
            }
            Unit::Subscriptions => {}
        }
    }

    /// Does the data plane know this group? Not before a group of type LAMBDA has its function, and none that passes connections through.
    fn serves(&self, catalog: &Catalog, id: TargetGroupId) -> bool {
        let of_file = catalog
            .find::<TargetGroup>(id)
            .is_some_and(|entry| entry.owner != Owner::Api);
        of_file || self.groups.contains_key(&id) || self.functions.contains_key(&id)
    }

    /// What files declare, with what the API added.
    fn assemble(&self, files: &Config) -> Config {
        let mut config = files.clone();
        let mut networks: HashMap<_, _> = self.networks.iter().collect();
        for network in &mut config.service_networks {
            if let Some(extended) = networks.remove(&network.id) {
                *network = Arc::clone(extended);
            }
        }
        let added = self
            .networks
            .iter()
            .filter(|(id, _)| networks.contains_key(id));
        config
            .service_networks
            .extend(added.map(|(_, network)| Arc::clone(network)));
        config.services.extend(self.services.values().cloned());
        config.target_groups.extend(self.groups.values().cloned());
        config
            .function_groups
            .extend(self.functions.values().cloned());
        // Who is declared in a file is who the file says, even where the API was first to use the name.
        let known = |arn: &Arn| files.users.iter().any(|user| user.arn == *arn);
        let users = self.users.values().filter(|user| !known(&user.arn));
        config.users.extend(users.cloned());
        let known = |arn: &Arn| files.roles.iter().any(|role| role.arn == *arn);
        let roles = self.roles.values().filter(|role| !known(&role.arn));
        config.roles.extend(roles.cloned());
        config
    }
}

/// Puts a value in, unless it is the same as before, or takes it out.
fn put<K: Ord, V: PartialEq>(map: &mut BTreeMap<K, Arc<V>>, key: K, value: Option<V>) {
    match value {
        None => {
            map.remove(&key);
        }
        Some(value) => {
            if map.get(&key).is_none_or(|before| **before != value) {
                map.insert(key, Arc::new(value));
            }
        }
    }
}

/// Where a resource of the API stands, for problems.
fn place(what: &str, id: impl std::fmt::Display) -> Place {
    Place {
        path: format!("{what} {id}"),
        ..Place::default()
    }
}

fn of_api<T: Resource>(entry: &Entry<T>) -> bool {
    entry.owner == Owner::Api
}

fn auth_type(given: AuthType) -> config::AuthType {
    match given {
        AuthType::None => config::AuthType::None,
        AuthType::AwsIam => config::AuthType::AwsIam,
    }
}

fn policy(
    text: Option<&String>,
    what: &str,
    id: impl std::fmt::Display,
) -> Option<config::PolicyText> {
    text.map(|text| config::PolicyText {
        language: config::PolicyLanguage::Iam,
        text: text.as_str().into(),
        place: place(&format!("auth policy of {what}"), id),
    })
}

fn service(
    catalog: &Catalog,
    id: ServiceId,
    region: &Region,
    serves: &dyn Fn(TargetGroupId) -> bool,
) -> Option<config::Service> {
    let entry = catalog.find::<Service>(id).filter(|entry| of_api(entry))?;
    let service = &entry.value;
    let traffic = Arc::new(config::Traffic {
        timeouts: config::Timeouts {
            idle: Some(Duration::from_secs(service.idle_timeout_seconds.into())),
            ..config::Timeouts::default()
        },
        ..config::Traffic::default()
    });
    Some(config::Service {
        id,
        arn: service.arn(region),
        name: service.name.clone(),
        account: service.account.clone(),
        generated_domain: generated_name(service, region).parse().ok()?,
        custom_domain: service.custom_domain_name.clone(),
        certificate: None,
        client_certificates: None,
        auth_type: auth_type(service.auth_type),
        auth_policy: policy(service.auth_policy.as_ref(), "service", id),
        auth_policy_mode: config::AuthPolicyMode::Enforce,
        shadow_auth_policy: None,
        idle_timeout: traffic.timeouts.idle,
        listeners: rules::listeners(catalog, id, region, (&traffic, serves)),
        tags: service.tags.clone(),
        place: place("service", id),
    })
}

/// A network with what the API associated with it; `None` for a network of a file that the API has added nothing to.
fn network(
    catalog: &Catalog,
    id: ServiceNetworkId,
    (files, region): (&Config, &Region),
) -> Option<config::ServiceNetwork> {
    let entry = catalog.find::<ServiceNetwork>(id)?;
    let scope = Scope::Network(id);
    let services = catalog
        .within::<ServiceAssociation>(&scope)
        .filter(|entry| of_api(entry))
        // Something of a file's may be gone that the association needs.
        .filter(|entry| catalog.find::<Service>(entry.value.service).is_some())
        .map(|entry| config::ServiceAssociation {
            id: entry.value.id,
            service: entry.value.service,
        });
    let vpcs = catalog
        .within::<VpcAssociation>(&scope)
        .filter(|entry| of_api(entry))
        .filter(|entry| catalog.vpc(&entry.value.vpc).is_some())
        .filter(|entry| is_first_of_vpc(catalog, entry))
        .map(|entry| config::VpcAssociation {
            id: entry.value.id,
            vpc: entry.value.vpc.clone(),
        });
    let services: Vec<_> = services.collect();
    let vpcs: Vec<_> = vpcs.collect();
    let network = &entry.value;
    if entry.owner != Owner::Api {
        if services.is_empty() && vpcs.is_empty() {
            return None;
        }
        let declared = files.service_networks.iter().find(|known| known.id == id)?;
        let mut extended = config::ServiceNetwork::clone(declared);
        extended.services.extend(services);
        extended.vpcs.extend(vpcs);
        return Some(extended);
    }
    Some(config::ServiceNetwork {
        id,
        arn: network.arn(region),
        name: network.name.clone(),
        account: network.account.clone(),
        auth_type: auth_type(network.auth_type),
        auth_policy: policy(network.auth_policy.as_ref(), "service network", id),
        auth_policy_mode: config::AuthPolicyMode::Enforce,
        shadow_auth_policy: None,
        vpcs,
        services,
        tags: network.tags.clone(),
        place: place("service network", id),
    })
}

/// A VPC is in one network. Where a file associates it later than the API did, the file's association counts.
fn is_first_of_vpc(catalog: &Catalog, entry: &Entry<VpcAssociation>) -> bool {
    let scope = Scope::Vpc(entry.value.vpc.clone());
    let mut rivals = catalog.within::<VpcAssociation>(&scope);
    !rivals.any(|rival| rival.owner != Owner::Api)
}

fn group(catalog: &Catalog, id: TargetGroupId, region: &Region) -> Option<config::TargetGroup> {
    let entry = catalog
        .find::<TargetGroup>(id)
        .filter(|entry| of_api(entry))?;
    let group = &entry.value;
    let kind = match group.kind {
        TargetGroupType::Ip => config::TargetGroupType::Ip,
        TargetGroupType::Instance => config::TargetGroupType::Instance,
        TargetGroupType::Alb => config::TargetGroupType::Alb,
        TargetGroupType::Lambda => return None,
    };
    let written = group.config.as_ref()?;
    let protocol = protocol(written.protocol?)?;
    let version = match written
        .protocol_version
        .unwrap_or(TargetProtocolVersion::Http1)
    {
        TargetProtocolVersion::Http1 => config::ProtocolVersion::Http1,
        TargetProtocolVersion::Http2 => config::ProtocolVersion::Http2,
        TargetProtocolVersion::Grpc => config::ProtocolVersion::Grpc,
    };
    let vpc = written.vpc_identifier.clone()?;
    let home = catalog.vpc(&vpc)?;
    let targets = catalog.find::<Targets>(id);
    let targets = targets.iter().flat_map(|entry| &entry.value.registered);
    let located = targets.filter_map(|target| {
        let address = match kind {
            config::TargetGroupType::Ip => target.id.parse().ok()?,
            _ => *home.address_book.get(target.id.as_str())?,
        };
        let port = target.port.or(written.port)?;
        Some(config::Target::new(
            &target.id,
            SocketAddr::new(address, port),
        ))
    });
    Some(config::TargetGroup {
        id,
        arn: group.arn(region),
        name: group.name.clone(),
        account: group.account.clone(),
        kind,
        protocol,
        version,
        vpc,
        health_check: written
            .health_check
            .as_ref()
            .map(|check| Arc::new(health_check(check))),
        balancing: Arc::default(),
        outlier_detection: None,
        connection_pool: config::ConnectionPool::default(),
        tls: None,
        discovery: None,
        targets: located.collect(),
        tags: group.tags.clone(),
        place: place("target group", id),
    })
}

/// The protocol of requests; TCP groups get none.
fn protocol(given: TargetProtocol) -> Option<config::TargetProtocol> {
    match given {
        TargetProtocol::Http => Some(config::TargetProtocol::Http),
        TargetProtocol::Https => Some(config::TargetProtocol::Https),
        TargetProtocol::Tcp => None,
    }
}

fn health_check(given: &HealthCheck) -> config::HealthCheck {
    let seconds =
        |value: Option<u16>, default: u16| Duration::from_secs(value.unwrap_or(default).into());
    let count = |value: Option<u16>, default: u8| {
        value
            .and_then(|value| u8::try_from(value).ok())
            .unwrap_or(default)
    };
    let codes = given.matcher.as_ref();
    let codes = codes.and_then(|Matcher::HttpCode(codes)| success_codes(codes));
    let defaults = config::HttpProbe::default();
    config::HealthCheck {
        enabled: given.enabled.unwrap_or(false),
        probe: config::Probe::Http(config::HttpProbe {
            protocol: given
                .protocol
                .and_then(protocol)
                .unwrap_or(defaults.protocol),
            version: match given.protocol_version {
                Some(TargetProtocolVersion::Http2) => config::ProbeVersion::Http2,
                _ => config::ProbeVersion::Http1,
            },
            path: given
                .path
                .as_deref()
                .map_or(defaults.path, Box::<str>::from),
            success_codes: codes.unwrap_or(defaults.success_codes),
            body: None,
        }),
        port: given.port,
        interval: seconds(given.health_check_interval_seconds, 30),
        jitter_percent: 0,
        timeout: seconds(given.health_check_timeout_seconds, 5),
        healthy_threshold: count(given.healthy_threshold_count, 5),
        unhealthy_threshold: count(given.unhealthy_threshold_count, 2),
    }
}

/// A group whose target is a function; one without a target takes no requests and is left out.
fn function(
    catalog: &Catalog,
    id: TargetGroupId,
    (files, region): (&Config, &Region),
) -> Option<config::FunctionGroup> {
    let entry = catalog
        .find::<TargetGroup>(id)
        .filter(|entry| of_api(entry))?;
    let group = &entry.value;
    if group.kind != TargetGroupType::Lambda {
        return None;
    }
    let targets = catalog.find::<Targets>(id)?;
    let target = targets.value.registered.first()?;
    let version = group
        .config
        .as_ref()
        .and_then(|config| config.lambda_event_structure_version);
    Some(config::FunctionGroup {
        id,
        arn: group.arn(region),
        name: group.name.clone(),
        account: group.account.clone(),
        function: config::FunctionArn::parse(&target.id)?.into(),
        event: match version {
            Some(LambdaEventStructureVersion::V2) => config::EventVersion::V2,
            _ => config::EventVersion::V1,
        },
        call: files.gateway.functions.clone()?,
        timeout: None,
        concurrency: CONCURRENCY,
        tags: group.tags.clone(),
        place: place("target group", id),
    })
}

#[cfg(test)]
mod tests;
