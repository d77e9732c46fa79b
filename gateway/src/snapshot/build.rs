//! From a validated configuration to a snapshot.

mod services;

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Instant,
};

use trellis_access_logs::{Destinations, Subscriptions};
use trellis_model::{
    config::{self, Config},
    id::{ServiceId, TargetGroupId, VpcId},
    name::{DomainName, generated_zone},
    problem::{Place, Problem, Problems},
};
use trellis_policy::{
    self as policy, Identities, Policies,
    sigv4::{KeyRing, Verifier},
};
use trellis_routing::{DuplicateHost, HostTable, ServiceIndex};

use super::{
    Attachments, Names, Network, PortProtocols, Service, Snapshot, Takers, TargetGroup, View,
    certificates::{TlsTerms, terminator},
    clients::{self, Trusts},
    targets,
    texts::header_value,
};
use crate::{
    functions::{self, Calls},
    jwks::PublishedKeys,
    registry::{Registry, TargetSecurity},
    session_keys,
    telemetry::Telemetry,
    tls::{Resumption, store::Certificates},
};
use services::{Membership, compile_service, target_groups};

/// What a snapshot refers to and does not own.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// Live state of the target groups; holds every group of the configuration already.
    pub registry: &'a Registry,
    /// Metrics of services.
    pub telemetry: &'a Arc<Telemetry>,
    /// Certificates from files.
    pub certificates: &'a Certificates,
    /// The internal CA and what lets sessions resume.
    pub tls: &'a TlsTerms,
}

/// What could have failed and did not.
#[derive(Debug)]
pub struct Compiled {
    policies: Policies,
    verifier: Verifier,
    identities: Identities,
    calls: Calls,
    // INVARIANT: one entry for each service network, service and VPC of the configuration, in its order.
    network_layers: Vec<policy::NetworkIndex>,
    service_layers: Vec<policy::ServiceIndex>,
    resumption: Vec<Resumption>,
    trusts: Arc<Trusts>,
    security: TargetSecurity,
    warnings: Vec<Problem>,
    worlds: Vec<World>,
    /// What a VPC without a network meets.
    nothing: World,
    generated: DomainName,
}

/// Compiles what can fail: policies, keys of callers and of identity providers, certificate authorities, keys for tickets.
pub fn compile(
    config: &Config,
    tls: &TlsTerms,
    (session_keys, published): (&session_keys::Shared, &PublishedKeys),
) -> Result<Compiled, Problems> {
    let whole = |text: String| Problems::from_iter([Problem::error(Place::default(), text)]);
    let (policies, (trusts, ended), (security, told)) = compile_texts(config)?;
    let keys = KeyRing::for_config(config, &policies).map_err(|error| whole(error.to_string()))?;
    let identities = Identities::compile(config, &policies, |url| published.of(url))?;
    let calls = functions::compile(config)?;
    let resumption = tls
        .resumption(config)
        .map_err(|error| whole(error.to_string()))?;
    let network_layers: Option<Vec<_>> = config
        .service_networks
        .iter()
        .map(|network| policies.network(network.id))
        .collect();
    let service_layers: Option<Vec<_>> = config
        .services
        .iter()
        .map(|service| policies.service(service.id))
        .collect();
    let (Some(network_layers), Some(service_layers)) = (network_layers, service_layers) else {
        return Err(whole(
            "the compiled policies lack a service network or a service".to_owned(),
        ));
    };
    let sessions = policies.sessions(Arc::clone(session_keys));
    let verifier = Verifier::new(Arc::new(keys), config.gateway.limits.clock_skew);
    let verifier = verifier.with_sessions(sessions);
    let duplicate = |error: DuplicateHost| whole(error.to_string());
    let index: HashMap<ServiceId, ServiceIndex> = (0u32..)
        .zip(&config.services)
        .map(|(position, service)| (service.id, ServiceIndex(position)))
        .collect();
    let worlds = config
        .service_networks
        .iter()
        .map(|network| World::new(&network.services, config, &index));
    let worlds = worlds.collect::<Result<_, _>>().map_err(duplicate)?;
    let nothing = World::new(&[], config, &index).map_err(duplicate)?;
    let generated = generated_zone(&config.region)
        .parse()
        .map_err(|error| whole(format!("{error}")))?;
    let mut warnings = policies.warnings().to_vec();
    warnings.extend(ended.into_iter().chain(told));
    Ok(Compiled {
        policies,
        verifier,
        identities,
        calls,
        network_layers,
        service_layers,
        resumption,
        trusts: Arc::new(trusts),
        security,
        warnings,
        worlds,
        nothing,
        generated,
    })
}

/// Something compiled, and what its author should look at.
type Told<T> = (T, Vec<Problem>);

/// Policies, whom services trust and whom connections to targets trust; or all that is wrong with any of them.
fn compile_texts(
    config: &Config,
) -> Result<(Policies, Told<Trusts>, Told<TargetSecurity>), Problems> {
    let compiled = (
        trellis_policy::compile(config),
        clients::compile(config),
        targets::compile(config),
    );
    match compiled {
        (Ok(policies), Ok(trusts), Ok(security)) => Ok((policies, trusts, security)),
        (policies, trusts, security) => {
            let mut problems = policies.err().unwrap_or_default();
            problems.extend(trusts.err().into_iter().flatten());
            problems.extend(security.err().into_iter().flatten());
            Err(problems)
        }
    }
}

/// Every address and port to listen on: each VPC's attachments with the ports of the services that it may meet.
pub fn sockets(config: &Config) -> BTreeSet<SocketAddr> {
    let services: HashMap<ServiceId, &Arc<config::Service>> = config
        .services
        .iter()
        .map(|service| (service.id, service))
        .collect();
    let vpcs: HashMap<&VpcId, &Arc<config::Vpc>> =
        config.vpcs.iter().map(|vpc| (&vpc.id, vpc)).collect();
    let mut sockets = BTreeSet::new();
    for network in &config.service_networks {
        let members = network
            .services
            .iter()
            .filter_map(|association| services.get(&association.service));
        let ports: BTreeSet<u16> = members
            .flat_map(|service| &service.listeners)
            .map(|listener| listener.port)
            .collect();
        let attached = network
            .vpcs
            .iter()
            .filter_map(|association| vpcs.get(&association.vpc));
        for address in attached
            .flat_map(|vpc| &vpc.attachments)
            .flat_map(|attachment| &attachment.listen)
        {
            sockets.extend(ports.iter().map(|port| SocketAddr::new(*address, *port)));
        }
    }
    sockets
}

impl Compiled {
    /// What the authors of policies and of certificate authorities should look at, although they are used.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// How connections to targets are secured, for [`Registry::secure`].
    pub fn security(&self) -> &TargetSecurity {
        &self.security
    }

    /// Puts the snapshot together.
    pub fn build(
        self,
        config: &Config,
        generation: u64,
        mut subscriptions: Subscriptions,
        around: &Surroundings<'_>,
    ) -> Snapshot {
        around.tls.keep(config, &self.resumption);
        let networks = self.networks(config, &mut subscriptions, around.telemetry);
        let services = self.services(config, &mut subscriptions, around);
        let views = self.views(config, around);
        let by_vpc = views
            .iter()
            .enumerate()
            .map(|(position, view)| (view.vpc.clone(), position))
            .collect();
        let principals = (0..)
            .map_while(|index| {
                self.policies
                    .principal(trellis_policy::PrincipalIndex(index))
            })
            .count();
        Snapshot {
            generation,
            built: Instant::now(),
            limits: config.gateway.limits.clone(),
            traces: config.gateway.telemetry.traces.clone().map(Arc::new),
            explain_to: config.gateway.explain_to.iter().cloned().collect(),
            policies: self.policies,
            verifier: self.verifier,
            identities: self.identities,
            region: config.region.clone(),
            services,
            networks,
            names: Names {
                generated: self.generated,
                answers: config
                    .gateway
                    .dns
                    .as_ref()
                    .map(|dns| dns.answers.clone())
                    .unwrap_or_default(),
            },
            attachments: Attachments::compile(
                config.vpcs.iter().map(|vpc| vpc.attachments.as_slice()),
            ),
            views,
            by_vpc,
            callers: std::iter::repeat_with(OnceLock::new)
                .take(principals)
                .collect(),
        }
    }

    fn services(
        &self,
        config: &Config,
        subscriptions: &mut Subscriptions,
        around: &Surroundings<'_>,
    ) -> Arc<[Service]> {
        let mut groups = target_groups(config, around);
        groups.extend(self.function_groups(config, around.registry, around.telemetry));
        let memberships = memberships(config);
        let service =
            |(index, (service, policy)): (u32, (&Arc<config::Service>, &policy::ServiceIndex))| {
                let networks = memberships.get(&service.id);
                let networks = networks.map(Vec::as_slice).unwrap_or_default();
                let membership = Membership {
                    networks: networks.into(),
                    destinations: destinations(service.id, networks, config, subscriptions),
                };
                let clients = self.trusts.get(&ServiceIndex(index));
                let asked = (clients, *policy);
                compile_service(service, asked, membership, &groups, around.telemetry)
            };
        (0..)
            .zip(config.services.iter().zip(&self.service_layers))
            .map(service)
            .collect()
    }

    /// The target groups of functions.
    fn function_groups(
        &self,
        config: &Config,
        registry: &Registry,
        telemetry: &Telemetry,
    ) -> impl Iterator<Item = (TargetGroupId, Arc<TargetGroup>)> {
        config.function_groups.iter().filter_map(|group| {
            let call = Arc::clone(self.calls.get(&group.id)?);
            let invocations = registry.invocations(group.id)?;
            let compiled = TargetGroup {
                id: group.id,
                arn: group.arn.clone(),
                name: group.name.clone(),
                takers: Takers::Function(functions::function(group, call, invocations)),
                metrics: telemetry.function_group(group),
                target_headers: OnceLock::new(),
            };
            Some((group.id, Arc::new(compiled)))
        })
    }

    fn networks(
        &self,
        config: &Config,
        subscriptions: &mut Subscriptions,
        telemetry: &Telemetry,
    ) -> Vec<Network> {
        let network =
            |(network, policy): (&Arc<config::ServiceNetwork>, &policy::NetworkIndex)| Network {
                id: network.id,
                arn: network.arn.clone(),
                name: network.name.clone(),
                auth_type: network.auth_type,
                policy: *policy,
                destinations: subscriptions.destinations(Some(network.id), None),
                metrics: telemetry.network(&network.name, network.id),
            };
        config
            .service_networks
            .iter()
            .zip(&self.network_layers)
            .map(network)
            .collect()
    }

    fn views(&self, config: &Config, around: &Surroundings<'_>) -> Vec<View> {
        let mut network_of: HashMap<&VpcId, usize> = HashMap::new();
        for (position, network) in config.service_networks.iter().enumerate() {
            network_of.extend(
                network
                    .vpcs
                    .iter()
                    .map(|association| (&association.vpc, position)),
            );
        }
        let view = |(vpc, resumption): (&Arc<config::Vpc>, &Resumption)| {
            let network = network_of.get(&vpc.id).copied();
            let world = network
                .and_then(|position| self.worlds.get(position))
                .unwrap_or(&self.nothing);
            View {
                vpc: vpc.id.clone(),
                vpc_arn: vpc.arn.clone(),
                account: vpc.account.clone(),
                network,
                hosts: Arc::clone(&world.hosts),
                tls: terminator(
                    world,
                    config,
                    around.certificates,
                    resumption,
                    (&around.tls.ca, &self.trusts),
                ),
                network_header: header_value(format!("SourceVpcArn={}", vpc.arn)),
                vpc_header: header_value(vpc.id.to_string()),
                addresses: vpc
                    .attachments
                    .iter()
                    .flat_map(|attachment| attachment.listen.iter().copied())
                    .collect(),
                ports: world.ports.clone(),
                metrics: around.telemetry.vpc(&vpc.name, &vpc.id),
            }
        };
        config.vpcs.iter().zip(&self.resumption).map(view).collect()
    }
}

/// What the members of a service network meet.
#[derive(Debug)]
pub(super) struct World {
    pub(super) hosts: Arc<HostTable>,
    pub(super) services: Vec<ServiceIndex>,
    ports: HashMap<u16, PortProtocols, foldhash::fast::RandomState>,
}

impl World {
    fn new(
        associations: &[config::ServiceAssociation],
        config: &Config,
        index: &HashMap<ServiceId, ServiceIndex>,
    ) -> Result<Self, DuplicateHost> {
        let members: Vec<(ServiceIndex, &Arc<config::Service>)> = associations
            .iter()
            .filter_map(|association| {
                let position = *index.get(&association.service)?;
                Some((position, config.services.get(position.0 as usize)?))
            })
            .collect();
        let mut ports: HashMap<u16, PortProtocols, foldhash::fast::RandomState> =
            HashMap::default();
        for listener in members.iter().flat_map(|(_, service)| &service.listeners) {
            let entry = ports.entry(listener.port).or_insert(PortProtocols::None);
            *entry = entry.with(listener.protocol);
        }
        let names = members.iter().flat_map(|(position, service)| {
            let domains = [
                Some(&service.generated_domain),
                service.custom_domain.as_ref(),
            ];
            domains
                .into_iter()
                .flatten()
                .map(|domain| (domain.clone(), *position))
        });
        let hosts = Arc::new(HostTable::build(names)?);
        Ok(Self {
            hosts,
            services: members.into_iter().map(|(position, _)| position).collect(),
            ports,
        })
    }
}

/// The networks that each service is in, by position.
fn memberships(config: &Config) -> HashMap<ServiceId, Vec<usize>> {
    let mut memberships: HashMap<ServiceId, Vec<usize>> = HashMap::new();
    for (position, network) in config.service_networks.iter().enumerate() {
        for association in &network.services {
            memberships
                .entry(association.service)
                .or_default()
                .push(position);
        }
    }
    memberships
}

/// Where a service's records go, for each network that it is in and whose subscribers want them.
fn destinations(
    service: ServiceId,
    networks: &[usize],
    config: &Config,
    subscriptions: &mut Subscriptions,
) -> Box<[(usize, Destinations)]> {
    let mut of_network = |position: &usize| {
        let network = config.service_networks.get(*position)?;
        let destinations = subscriptions.destinations(Some(network.id), Some(service));
        (!destinations.is_none()).then_some((*position, destinations))
    };
    networks.iter().filter_map(&mut of_network).collect()
}
