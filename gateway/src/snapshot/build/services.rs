//! Services, their listeners and rules, and the target groups that these name.
//!
//! A service depends on what is configured of it, on the networks that it is in and where its records go for each, on what it demands
//! of certificates, and on its target groups. A target group depends on what is configured of it, on its live state, and on its service
//! and the networks of that, which its targets are told. None of them knows a position: what stands elsewhere is the same.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock},
};

use foldhash::fast::RandomState;
use trellis_access_logs::Subscriptions;
use trellis_model::{
    config::{self, Algorithm, Config},
    id::{ServiceId, TargetGroupId},
};
use trellis_routing::RuleTable;
use trellis_target_groups::WeightedChoice;

use super::{Compiled, Groups, Surroundings};
use crate::{
    functions,
    registry::secured_otherwise,
    snapshot::{
        Action, Change, Clients, Forward, Listener, Membership, Rule, Service, Takers, TargetGroup,
        Targets,
    },
    stickiness::{Cookies, Key},
    telemetry::Telemetry,
};

/// Builds the services of a snapshot.
pub(super) struct Builder<'a> {
    change: &'a Change<'a>,
    compiled: &'a Compiled,
    around: &'a Surroundings<'a>,
    /// The networks of each service; `None` where all are in those that the running snapshot has them in.
    networks: Option<HashMap<ServiceId, Vec<&'a Arc<config::ServiceNetwork>>, RandomState>>,
}

impl<'a> Builder<'a> {
    /// `subscribed`: do all records go where they go in the running snapshot?
    pub(super) fn new(
        change: &'a Change<'a>,
        compiled: &'a Compiled,
        around: &'a Surroundings<'a>,
        subscribed: bool,
    ) -> Self {
        let kept = subscribed
            && change.services_in_place()
            && change.difference().service_networks.is_same();
        Self {
            change,
            compiled,
            around,
            networks: (!kept).then(|| memberships(change.config)),
        }
    }

    /// The services in the order of the configuration, and all target groups.
    pub(super) fn build(
        &self,
        subscriptions: &mut Subscriptions,
    ) -> (Arc<[Arc<Service>]>, Arc<Groups>) {
        let services = self.change.config.services.iter().enumerate();
        let joined: Vec<Joined<'_>> = services
            .map(|(position, service)| self.join(position, service, subscriptions))
            .collect();
        let moved: Ids<ServiceId> = joined
            .iter()
            .filter(|joined| joined.moved)
            .map(|joined| joined.service.id)
            .collect();
        let (groups, rebuilt) = self.groups(&moved);
        let uses = self.change.uses();
        let owners = rebuilt.iter().filter_map(|group| uses.get(group));
        let affected: Ids<ServiceId> = owners.copied().collect();
        let asking = &self.compiled.asking;
        let running = self.change.running();
        let same_asking = running.is_some_and(|running| asking.is(&running.pieces.asking));
        let kept = |joined: &Joined<'a>| {
            let known = joined.known.filter(|_| !joined.moved)?;
            let same = (affected.is_empty() || !affected.contains(&known.id))
                && (same_asking || asked_alike(known.clients.as_ref(), asking.of(known.id)));
            same.then(|| Arc::clone(known))
        };
        let built = joined.into_iter().map(|joined| {
            kept(&joined).unwrap_or_else(|| {
                let clients = asking.of(joined.service.id);
                Arc::new(joined.compile(clients, &groups, self.around.telemetry))
            })
        });
        (built.collect(), groups)
    }

    fn join(
        &self,
        position: usize,
        service: &'a config::Service,
        subscriptions: &mut Subscriptions,
    ) -> Joined<'a> {
        let running = self.change.running();
        let from = self.change.difference().services.from(position);
        let known = running
            .zip(from)
            .and_then(|(running, from)| running.services.get(from));
        let Some(networks) = &self.networks else {
            // In the same place is the same service, changed or not.
            let before = running.and_then(|running| running.services.get(position));
            return Joined {
                service,
                known,
                memberships: Memberships::Of(before),
                moved: false,
            };
        };
        let networks = networks.get(&service.id).map_or(&[][..], Vec::as_slice);
        let membership = |network: &&Arc<config::ServiceNetwork>| Membership {
            network: network.id,
            arn: network.arn.clone(),
            destinations: subscriptions.destinations(Some(network.id), Some(service.id)),
        };
        let memberships: Box<[Membership]> = networks.iter().map(membership).collect();
        // One that changed besides is compared too: its groups may be the same.
        let before = known.or_else(|| {
            let running = running?;
            let index = running.policies.service(service.id)?;
            running.services.get(index.position() as usize)
        });
        let moved = before.is_none_or(|before| !same(&before.memberships, &memberships));
        Joined {
            service,
            known,
            memberships: Memberships::New(memberships),
            moved,
        }
    }

    /// All target groups, and those that are not the same as in the running snapshot, or not there any more. `moved`: services that are new, in
    /// other networks, or whose records go elsewhere.
    fn groups(&self, moved: &Ids<ServiceId>) -> (Arc<Groups>, Ids<TargetGroupId>) {
        let change = self.change;
        let config = change.config;
        let difference = change.difference();
        let key = &config.gateway.stickiness_key;
        let running = change.running().zip(change.running_config());
        let Some((running, before)) =
            running.filter(|(_, before)| before.gateway.stickiness_key == *key)
        else {
            let groups = self.targets(config.target_groups.iter());
            let functions = self.functions(config.function_groups.iter());
            let groups: Groups = groups.chain(functions).collect();
            let rebuilt = groups.keys().copied().collect();
            return (Arc::new(groups), rebuilt);
        };
        let gone = difference.target_groups.gone();
        let gone = gone.filter_map(|position| before.target_groups.get(position));
        let gone_functions = difference.function_groups.gone();
        let gone_functions =
            gone_functions.filter_map(|position| before.function_groups.get(position));
        let gone: Vec<TargetGroupId> = gone
            .map(|group| group.id)
            .chain(gone_functions.map(|group| group.id))
            .collect();
        let mut stale: Ids<TargetGroupId> = change.moved().collect();
        if !moved.is_empty() {
            let uses = change.uses().iter();
            let uses = uses.filter(|(_, service)| moved.contains(*service));
            stale.extend(uses.map(|(group, _)| *group));
        }
        stale.extend(secured_otherwise(
            &running.pieces.security,
            &self.compiled.security,
        ));
        let newcomers = difference.target_groups.newcomers();
        let newcomers = newcomers.filter_map(|position| config.target_groups.get(position));
        let known = stale.iter().filter_map(|id| change.group(*id));
        let targets: Vec<_> = self.targets(known.chain(newcomers)).collect();
        let functions = config.function_groups.iter().enumerate();
        let functions = functions.filter(|(position, group)| {
            difference.function_groups.from(*position).is_none() || stale.contains(&group.id)
        });
        let functions: Vec<_> = self.functions(functions.map(|(_, group)| group)).collect();
        let mut groups = Arc::clone(&running.pieces.groups);
        if gone.is_empty() && targets.is_empty() && functions.is_empty() {
            return (groups, Ids::default());
        }
        let all = Arc::make_mut(&mut groups);
        for id in &gone {
            all.remove(id);
        }
        // Whoever names a group that is gone loses it.
        let rebuilt = targets.iter().chain(&functions).map(|(id, _)| *id);
        let rebuilt = rebuilt.chain(gone).collect();
        all.extend(targets.into_iter().chain(functions));
        (groups, rebuilt)
    }

    fn targets(
        &self,
        groups: impl Iterator<Item = &'a Arc<config::TargetGroup>>,
    ) -> impl Iterator<Item = (TargetGroupId, Arc<TargetGroup>)> {
        let around = self.around;
        let secret = self.change.config.gateway.stickiness_key.as_ref();
        let key = secret.map_or_else(|| around.tls.ca.stickiness_key(), Key::of_secret);
        let key = Arc::new(key);
        groups.filter_map(move |group| {
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
        })
    }

    fn functions(
        &self,
        groups: impl Iterator<Item = &'a Arc<config::FunctionGroup>>,
    ) -> impl Iterator<Item = (TargetGroupId, Arc<TargetGroup>)> {
        groups.filter_map(|group| {
            let call = Arc::clone(self.compiled.calls.get(&group.id)?);
            let invocations = self.around.registry.invocations(group.id)?;
            let compiled = TargetGroup {
                id: group.id,
                arn: group.arn.clone(),
                name: group.name.clone(),
                takers: Takers::Function(functions::function(group, call, invocations)),
                metrics: self.around.telemetry.function_group(group),
                target_headers: OnceLock::new(),
            };
            Some((group.id, Arc::new(compiled)))
        })
    }
}

type Ids<Id> = HashSet<Id, RandomState>;

/// A service with what there is of it.
struct Joined<'a> {
    service: &'a config::Service,
    /// The same in the running snapshot.
    known: Option<&'a Arc<Service>>,
    memberships: Memberships<'a>,
    /// Is it in other networks than before, or new, or do its records go elsewhere?
    moved: bool,
}

enum Memberships<'a> {
    /// Those of this service.
    Of(Option<&'a Arc<Service>>),
    New(Box<[Membership]>),
}

impl Joined<'_> {
    fn compile(
        self,
        clients: Option<&Clients>,
        groups: &Groups,
        telemetry: &Arc<Telemetry>,
    ) -> Service {
        let service = self.service;
        Service {
            id: service.id,
            arn: service.arn.clone(),
            name: service.name.clone(),
            account: service.account.clone(),
            clients: clients.cloned(),
            auth_type: service.auth_type,
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
            memberships: match self.memberships {
                Memberships::New(memberships) => memberships,
                Memberships::Of(before) => before
                    .map(|before| before.memberships.clone())
                    .unwrap_or_default(),
            },
            metrics: telemetry.service(service.name.as_str(), service.id),
            account_metrics: telemetry.account(&service.account),
        }
    }
}

/// The networks that each service is in.
fn memberships(
    config: &Config,
) -> HashMap<ServiceId, Vec<&Arc<config::ServiceNetwork>>, RandomState> {
    let mut memberships: HashMap<_, Vec<_>, RandomState> = HashMap::default();
    for network in &config.service_networks {
        for association in &network.services {
            memberships
                .entry(association.service)
                .or_default()
                .push(network);
        }
    }
    memberships
}

fn same(one: &[Membership], other: &[Membership]) -> bool {
    let mut pairs = one.iter().zip(other);
    one.len() == other.len()
        && pairs.all(|(one, other)| {
            one.network == other.network
                && one.arn == other.arn
                && one.destinations.are(&other.destinations)
        })
}

fn asked_alike(one: Option<&Clients>, other: Option<&Clients>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.is(other),
        (None, None) => true,
        _ => false,
    }
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

fn compile_listener<'a>(listener: &'a config::Listener, groups: &'a Groups) -> Listener {
    let mut actions = Actions::new(groups);
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
                action: actions.compile(&rule.action),
            })
            .collect(),
        default: Rule {
            id: listener.default_rule,
            priority: None,
            action: actions.compile(&listener.default_action),
        },
    }
}

/// Compiles actions. One that is the same as the one before costs a reference: most rules of a listener lead to few places.
struct Actions<'a> {
    groups: &'a Groups,
    last: Option<(&'a Arc<config::Forward>, Arc<Forward>)>,
}

impl<'a> Actions<'a> {
    fn new(groups: &'a Groups) -> Self {
        Self { groups, last: None }
    }

    fn compile(&mut self, action: &'a config::Action) -> Action {
        let forward = match action {
            config::Action::FixedResponse(status) => return Action::FixedResponse(*status),
            config::Action::Forward(forward) => forward,
        };
        let same = self.last.take().filter(|(last, _)| *last == forward);
        let (_, compiled) = self
            .last
            .insert(same.unwrap_or_else(|| (forward, Arc::new(self.forward(forward)))));
        Action::Forward(Arc::clone(compiled))
    }

    fn forward(&self, forward: &config::Forward) -> Forward {
        let group = |entry: &config::WeightedTargetGroup| self.groups.get(&entry.group).cloned();
        Forward {
            choice: WeightedChoice::new(forward.groups.iter().map(|entry| entry.weight)),
            groups: forward.groups.iter().filter_map(group).collect(),
            traffic: Arc::clone(&forward.traffic),
        }
    }
}
