//! From a validated configuration to a snapshot, with whatever the running one has already.

mod services;
mod world;

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Instant,
};

use parking_lot::Mutex;
use trellis_access_logs::{Subscriptions, Writer};
use trellis_model::{
    config::{self, Config},
    id::{ServiceId, TargetGroupId, VpcId},
    name::{DomainName, generated_zone},
    problem::{Place, Problem, Problems},
};
use trellis_policy::{
    Identities, Policies,
    sigv4::{KeyRing, Verifier},
};
use trellis_routing::DuplicateHost;

use super::{
    Attachments, Change, Names, Network, Snapshot, TargetGroup, View,
    certificates::{TlsTerms, terminator},
    clients::{self, Asking},
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
use services::Builder;
pub(super) use world::World;

/// What is compiled besides a configuration.
#[derive(Debug, Clone, Copy)]
pub struct Ingredients<'a> {
    /// The internal CA and what lets sessions resume.
    pub tls: &'a TlsTerms,
    /// Certificates from files.
    pub certificates: &'a Certificates,
    /// The keys of session tokens.
    pub session_keys: &'a session_keys::Shared,
    /// Keys of identity providers that publish them.
    pub published: &'a PublishedKeys,
}

/// What a snapshot refers to and does not own.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// Live state of the target groups; holds every group of the configuration already.
    pub registry: &'a Registry,
    /// Metrics of services.
    pub telemetry: &'a Arc<Telemetry>,
    /// The internal CA and what lets sessions resume.
    pub tls: &'a TlsTerms,
    /// Writes access records, if anybody does.
    pub writer: Option<&'a Writer>,
}

/// What of a snapshot the next one may take over, besides what requests look at.
#[derive(Debug)]
pub(super) struct Pieces {
    pub(super) worlds: Vec<Arc<World>>,
    /// What a VPC without a network meets.
    pub(super) nothing: Arc<World>,
    pub(super) groups: Arc<Groups>,
    pub(super) uses: Arc<super::change::Uses>,
    pub(super) asking: Asking,
    pub(super) certificates: Certificates,
    pub(super) security: Arc<TargetSecurity>,
    pub(super) calls: Arc<Calls>,
    /// Locked by whoever builds the next snapshot.
    pub(super) subscriptions: Arc<Mutex<Subscriptions>>,
}

/// Compiled target groups by id.
pub(super) type Groups = HashMap<TargetGroupId, Arc<TargetGroup>, foldhash::fast::RandomState>;

/// What could have failed and did not.
#[derive(Debug)]
pub struct Compiled {
    policies: Policies,
    verifier: Arc<Verifier>,
    identities: Arc<Identities>,
    calls: Arc<Calls>,
    // INVARIANT: one entry for each VPC of the configuration, in its order.
    resumption: Vec<Resumption>,
    asking: Asking,
    certificates: Certificates,
    security: Arc<TargetSecurity>,
    warnings: Vec<Problem>,
    worlds: Vec<Arc<World>>,
    nothing: Arc<World>,
    generated: DomainName,
}

/// Compiles what can fail: policies, keys of callers and of identity providers, certificate authorities, keys for tickets.
pub fn compile(change: &Change<'_>, with: &Ingredients<'_>) -> Result<Compiled, Problems> {
    let config = change.config;
    let whole = |text: String| Problems::from_iter([Problem::error(Place::default(), text)]);
    let (policies, (asking, ended), (security, told)) = compile_texts(change)?;
    let (verifier, identities) = callers(change, &policies, with)?;
    let calls = functions::compile_after(
        config,
        change
            .running()
            .map(|running| (&running.pieces.calls, &change.difference().function_groups)),
    )?;
    let resumption = with
        .tls
        .resumption(config)
        .map_err(|error| whole(error.to_string()))?;
    let sources = world::Sources {
        policies: &policies,
        asking: &asking,
        certificates: with.certificates,
    };
    let (worlds, nothing) =
        world::worlds(change, &sources).map_err(|error: DuplicateHost| whole(error.to_string()))?;
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
        resumption,
        asking,
        certificates: with.certificates.clone(),
        security,
        warnings,
        worlds,
        nothing,
        generated,
    })
}

/// Something compiled, and what its author should look at.
type Told<T> = (T, Vec<Problem>);

/// Policies, whom services trust, and whom connections to targets trust.
type Texts = (Policies, Told<Asking>, Told<Arc<TargetSecurity>>);

/// All of these, or all that is wrong with any of them.
fn compile_texts(change: &Change<'_>) -> Result<Texts, Problems> {
    let running = change.running();
    let compiled = (
        trellis_policy::compile_after(
            change.config,
            running.map(|running| (&running.policies, change.difference())),
        ),
        clients::compile(change),
        targets::compile(change),
    );
    match compiled {
        (Ok(policies), Ok(asking), Ok(security)) => Ok((policies, asking, security)),
        (policies, asking, security) => {
            let mut problems = policies.err().unwrap_or_default();
            problems.extend(asking.err().into_iter().flatten());
            problems.extend(security.err().into_iter().flatten());
            Err(problems)
        }
    }
}

/// Who verifies signatures and who knows those that do not sign: those of the running snapshot, with what they remember, while it
/// knows the same callers.
fn callers(
    change: &Change<'_>,
    policies: &Policies,
    with: &Ingredients<'_>,
) -> Result<(Arc<Verifier>, Arc<Identities>), Problems> {
    let config = change.config;
    let skew = config.gateway.limits.clock_skew;
    let running = change
        .running()
        .filter(|running| policies.has_callers_of(&running.policies));
    // What a key of session tokens has opened counts as long as the configuration names the key.
    let same_keys = change
        .running_config()
        .is_some_and(|before| before.gateway.session_keys == config.gateway.session_keys);
    let kept = running.filter(|running| same_keys && running.limits.clock_skew == skew);
    let verifier = if let Some(running) = kept {
        Arc::clone(&running.verifier)
    } else {
        let keys = KeyRing::for_config(config, policies).map_err(|error| {
            Problems::from_iter([Problem::error(Place::default(), error.to_string())])
        })?;
        let sessions = policies.sessions(Arc::clone(with.session_keys));
        Arc::new(Verifier::new(Arc::new(keys), skew).with_sessions(sessions))
    };
    let identities = match running {
        Some(running) => Arc::clone(&running.identities),
        None => Arc::new(Identities::compile(config, policies, |url| {
            with.published.of(url)
        })?),
    };
    Ok((verifier, identities))
}

/// Every address and port to listen on: each VPC's attachments with the ports of the services that it may meet.
pub fn sockets(config: &Config) -> BTreeSet<SocketAddr> {
    let services: HashMap<ServiceId, &Arc<config::Service>> = config
        .services
        .iter()
        .map(|service| (service.id, service))
        .collect();
    let ports = config.service_networks.iter().map(|network| {
        let members = network
            .services
            .iter()
            .filter_map(|association| services.get(&association.service));
        let listeners = members.flat_map(|service| &service.listeners);
        listeners.map(|listener| listener.port).collect()
    });
    sockets_of(config, ports)
}

/// The same with the ports of each network.
fn sockets_of(config: &Config, ports: impl Iterator<Item = BTreeSet<u16>>) -> BTreeSet<SocketAddr> {
    let vpcs: HashMap<&VpcId, &Arc<config::Vpc>> =
        config.vpcs.iter().map(|vpc| (&vpc.id, vpc)).collect();
    let mut sockets = BTreeSet::new();
    for (network, ports) in config.service_networks.iter().zip(ports) {
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
    /// What the authors of policies and of certificate authorities should look at, although they are used: of what is new.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// How connections to targets are secured, for [`Registry::secure`].
    pub fn security(&self) -> &Arc<TargetSecurity> {
        &self.security
    }

    /// Hands the target groups to the registry. Goes before [`Self::build`].
    pub fn hand_over(&self, change: &Change<'_>, registry: &Registry, now: Instant) {
        registry.secure(&self.security);
        registry.apply(&change.of_groups(), now);
        if change.touches_functions() {
            let is_used = |id| change.uses().contains_key(&id);
            registry.apply_functions(&change.config.function_groups, is_used, now);
        }
    }

    /// Every address and port to listen on.
    pub fn sockets(&self, config: &Config) -> BTreeSet<SocketAddr> {
        let ports = self.worlds.iter();
        sockets_of(
            config,
            ports.map(|world| world.ports.keys().copied().collect()),
        )
    }

    /// Puts the snapshot together.
    pub fn build(
        self,
        change: &Change<'_>,
        generation: u64,
        around: &Surroundings<'_>,
    ) -> Snapshot {
        let config = change.config;
        around.tls.keep(config, &self.resumption);
        let running = change.running();
        let subscribed = running.filter(|_| change.difference().access_log_subscriptions.is_same());
        let subscriptions = subscribed.map_or_else(
            || {
                let wanted = &config.access_log_subscriptions;
                let subscribe = |writer: &Writer| writer.subscribe(wanted);
                Arc::new(Mutex::new(around.writer.map(subscribe).unwrap_or_default()))
            },
            |running| Arc::clone(&running.pieces.subscriptions),
        );
        let networks = self.networks(config, &mut subscriptions.lock(), around.telemetry);
        let builder = Builder::new(change, &self, around, subscribed.is_some());
        let (services, groups) = builder.build(&mut subscriptions.lock());
        let views = self.views(change, around);
        let same_vpcs = running.filter(|_| change.difference().vpcs.is_same());
        let same_callers =
            running.filter(|running| self.policies.has_callers_of(&running.policies));
        Snapshot {
            generation,
            built: Instant::now(),
            limits: config.gateway.limits.clone(),
            traces: config.gateway.telemetry.traces.clone().map(Arc::new),
            explain_to: config.gateway.explain_to.iter().cloned().collect(),
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
            attachments: same_vpcs.map_or_else(
                || {
                    let vpcs = config.vpcs.iter();
                    Arc::new(Attachments::compile(
                        vpcs.map(|vpc| vpc.attachments.as_slice()),
                    ))
                },
                |running| Arc::clone(&running.attachments),
            ),
            by_vpc: same_vpcs.map_or_else(
                || {
                    let vpcs = config.vpcs.iter().enumerate();
                    Arc::new(
                        vpcs.map(|(position, vpc)| (vpc.id.clone(), position))
                            .collect(),
                    )
                },
                |running| Arc::clone(&running.by_vpc),
            ),
            views,
            callers: same_callers.map_or_else(
                || {
                    let texts = std::iter::repeat_with(OnceLock::new);
                    texts.take(self.policies.principals()).collect()
                },
                |running| Arc::clone(&running.callers),
            ),
            policies: self.policies,
            verifier: self.verifier,
            identities: self.identities,
            pieces: Pieces {
                worlds: self.worlds,
                nothing: self.nothing,
                groups,
                uses: Arc::clone(change.uses()),
                asking: self.asking,
                certificates: self.certificates,
                security: self.security,
                calls: self.calls,
                subscriptions,
            },
        }
    }

    fn networks(
        &self,
        config: &Config,
        subscriptions: &mut Subscriptions,
        telemetry: &Telemetry,
    ) -> Vec<Network> {
        let network = |network: &Arc<config::ServiceNetwork>| {
            Some(Network {
                id: network.id,
                arn: network.arn.clone(),
                name: network.name.clone(),
                auth_type: network.auth_type,
                // INVARIANT: policies know every network of their configuration.
                policy: self.policies.network(network.id)?,
                destinations: subscriptions.destinations(Some(network.id), None),
                metrics: telemetry.network(&network.name, network.id),
            })
        };
        config.service_networks.iter().filter_map(network).collect()
    }

    /// A view depends on its VPC, on the position of its network, and on that network's world.
    fn views(&self, change: &Change<'_>, around: &Surroundings<'_>) -> Vec<Arc<View>> {
        let config = change.config;
        let mut network_of: HashMap<&VpcId, usize> = HashMap::new();
        for (position, network) in config.service_networks.iter().enumerate() {
            network_of.extend(
                network
                    .vpcs
                    .iter()
                    .map(|association| (&association.vpc, position)),
            );
        }
        let carried = &change.difference().vpcs;
        let running = change.running();
        let views = config.vpcs.iter().zip(&self.resumption).enumerate();
        let views = views.map(|(position, (vpc, resumption))| {
            let network = network_of.get(&vpc.id).copied();
            let world = network
                .and_then(|position| self.worlds.get(position))
                .unwrap_or(&self.nothing);
            let known = running.zip(carried.from(position));
            let known = known.and_then(|(running, from)| running.views.get(from));
            match known.filter(|known| known.network == network && Arc::ptr_eq(&known.world, world))
            {
                Some(known) => Arc::clone(known),
                None => Arc::new(view(vpc, (network, world), resumption, around)),
            }
        });
        views.collect()
    }
}

fn view(
    vpc: &config::Vpc,
    (network, world): (Option<usize>, &Arc<World>),
    resumption: &Resumption,
    around: &Surroundings<'_>,
) -> View {
    View {
        vpc: vpc.id.clone(),
        vpc_arn: vpc.arn.clone(),
        account: vpc.account.clone(),
        network,
        hosts: Arc::clone(&world.hosts),
        tls: terminator(world, resumption, &around.tls.ca),
        network_header: header_value(format!("SourceVpcArn={}", vpc.arn)),
        vpc_header: header_value(vpc.id.to_string()),
        addresses: vpc
            .attachments
            .iter()
            .flat_map(|attachment| attachment.listen.iter().copied())
            .collect(),
        metrics: around.telemetry.vpc(&vpc.name, &vpc.id),
        world: Arc::clone(world),
    }
}
