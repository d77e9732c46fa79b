//! What an administrator does, one change at a time.

use std::{num::NonZeroU32, sync::Arc};

use proptest::prelude::*;
use trellis_model::config::{
    Action, AuthType, ClientCertificateMode, Config, PolicyLanguage, PolicyText, Secret, Service,
    Target, Weight,
};

const DENY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}"#;
const ALLOW: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}"#;

/// A change. Numbers choose among what there is; what is chosen again is often changed back.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Nothing,
    /// Made anew with the same content.
    Rewrite,
    Rule(usize),
    Weight(usize),
    Port(usize),
    Protocol(usize),
    Domain(usize),
    Idle(usize),
    Policy(usize, bool),
    NetworkPolicy(usize, bool),
    Certificates(usize),
    TrustStores,
    Target(usize),
    Empty(usize),
    Pool(usize),
    TargetTls(usize),
    Function,
    User(usize),
    Role,
    Join(usize, usize),
    Attach(usize),
    VpcAddress,
    Drop(usize),
    Restore(usize),
    Reverse(usize),
    Subscribe,
    Stickiness,
    Limits,
    /// The group of one service becomes another's.
    HandOver,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let n = || 0..usize::MAX;
    prop_oneof![
        Just(Step::Nothing),
        Just(Step::Rewrite),
        n().prop_map(Step::Rule),
        n().prop_map(Step::Weight),
        n().prop_map(Step::Port),
        n().prop_map(Step::Protocol),
        n().prop_map(Step::Domain),
        n().prop_map(Step::Idle),
        (n(), any::<bool>()).prop_map(|(which, deny)| Step::Policy(which, deny)),
        (n(), any::<bool>()).prop_map(|(which, deny)| Step::NetworkPolicy(which, deny)),
        n().prop_map(Step::Certificates),
        Just(Step::TrustStores),
        n().prop_map(Step::Target),
        n().prop_map(Step::Empty),
        n().prop_map(Step::Pool),
        n().prop_map(Step::TargetTls),
        Just(Step::Function),
        n().prop_map(Step::User),
        Just(Step::Role),
        (n(), n()).prop_map(|(network, service)| Step::Join(network, service)),
        n().prop_map(Step::Attach),
        Just(Step::VpcAddress),
        n().prop_map(Step::Drop),
        n().prop_map(Step::Drop),
        n().prop_map(Step::Restore),
        n().prop_map(Step::Restore),
        n().prop_map(Step::Reverse),
        Just(Step::Subscribe),
        Just(Step::Stickiness),
        Just(Step::Limits),
        Just(Step::HandOver),
    ]
}

fn pick<T: Clone>(list: &mut [Arc<T>], number: usize) -> Option<&mut T> {
    let length = list.len();
    let found = list.get_mut(number.checked_rem(length)?)?;
    Some(Arc::make_mut(found))
}

fn policy(deny: bool) -> PolicyText {
    PolicyText {
        language: PolicyLanguage::Iam,
        text: if deny { DENY } else { ALLOW }.into(),
        place: trellis_model::problem::Place::default(),
    }
}

/// Takes an element out, or puts the first one that is missing back at the front.
fn toggle<T: Clone>(list: &mut Vec<T>, whole: &[T], restore: bool, same: impl Fn(&T, &T) -> bool) {
    if restore {
        let missing = whole
            .iter()
            .find(|one| !list.iter().any(|known| same(known, one)));
        list.splice(0..0, missing.cloned());
    } else {
        list.pop();
    }
}

fn drop_or_restore(config: &mut Config, number: usize, restore: bool, whole: &Config) {
    match number % 7 {
        0 => toggle(&mut config.services, &whole.services, restore, |a, b| {
            a.id == b.id
        }),
        1 => toggle(
            &mut config.service_networks,
            &whole.service_networks,
            restore,
            |a, b| a.id == b.id,
        ),
        2 => toggle(
            &mut config.target_groups,
            &whole.target_groups,
            restore,
            |a, b| a.id == b.id,
        ),
        3 => toggle(
            &mut config.function_groups,
            &whole.function_groups,
            restore,
            |a, b| a.id == b.id,
        ),
        4 => toggle(&mut config.users, &whole.users, restore, |a, b| {
            a.arn == b.arn
        }),
        5 => toggle(&mut config.roles, &whole.roles, restore, |a, b| {
            a.arn == b.arn
        }),
        _ => toggle(&mut config.vpcs, &whole.vpcs, restore, |a, b| a.id == b.id),
    }
}

impl Step {
    /// Makes the change. `whole` is the world at its beginning.
    pub(super) fn take(&self, config: &mut Config, whole: &Config) {
        match *self {
            Self::Nothing => {}
            Self::Rewrite => {
                for service in &mut config.services {
                    *service = Arc::new(Service::clone(service));
                }
            }
            Self::Drop(number) => drop_or_restore(config, number, false, whole),
            Self::Restore(number) => drop_or_restore(config, number, true, whole),
            Self::Reverse(number) => match number % 4 {
                0 => config.services.reverse(),
                1 => config.service_networks.reverse(),
                2 => config.target_groups.reverse(),
                _ => config.users.reverse(),
            },
            Self::Certificates(which) => {
                if let Some(service) = pick(&mut config.services, which) {
                    let asked = service.client_certificates.take();
                    service.client_certificates = asked.is_none().then_some({
                        trellis_model::config::ClientCertificates {
                            trust_store: 0,
                            mode: ClientCertificateMode::Request,
                        }
                    });
                }
            }
            Self::TrustStores => {
                for store in &mut config.trust_stores {
                    store.authorities = format!("{}\n", store.authorities).as_str().into();
                }
            }
            Self::Subscribe => {
                let subscriptions = &mut config.access_log_subscriptions;
                let missing = subscriptions.is_empty();
                toggle(
                    subscriptions,
                    &whole.access_log_subscriptions,
                    missing,
                    |a, b| a.id == b.id,
                );
            }
            Self::Stickiness => {
                let key = config.gateway.stickiness_key.take();
                config.gateway.stickiness_key = key
                    .is_none()
                    .then(|| Secret::new("a secret of 32 bytes, at least.."));
            }
            Self::Limits => config.gateway.limits.auth_policy_bytes += 1,
            Self::HandOver => hand_over(config),
            Self::User(which) => {
                if let Some(user) = pick(&mut config.users, which) {
                    user.tags
                        .insert("Team".to_owned(), format!("team {}", user.tags.len()));
                    user.policies.clear();
                }
            }
            Self::Role => {
                if let Some(role) = pick(&mut config.roles, 0) {
                    role.policies = if role.policies.is_empty() {
                        whole.users[0].policies.clone()
                    } else {
                        Vec::new()
                    };
                }
            }
            _ => self.take_of_groups(config),
        }
    }

    fn take_of_groups(&self, config: &mut Config) {
        match *self {
            Self::Target(which) => {
                if let Some(group) = pick(&mut config.target_groups, which) {
                    let count = u8::try_from(group.targets.len()).unwrap();
                    let address = std::net::Ipv4Addr::new(10, 0, 9, count);
                    group
                        .targets
                        .push(Target::new(&address.to_string(), (address, 80).into()));
                }
            }
            Self::Empty(which) => {
                if let Some(group) = pick(&mut config.target_groups, which) {
                    group.targets.clear();
                }
            }
            Self::Pool(which) => {
                if let Some(group) = pick(&mut config.target_groups, which) {
                    let places = group.connection_pool.places.take();
                    group.connection_pool.places = places.is_none().then_some({
                        trellis_model::config::Places {
                            most: NonZeroU32::new(5).unwrap().get(),
                            pending: 2,
                        }
                    });
                }
            }
            Self::TargetTls(which) => {
                let known = config
                    .target_groups
                    .iter()
                    .find_map(|group| group.tls.clone());
                if let Some(group) = pick(&mut config.target_groups, which) {
                    group.tls = if group.tls.is_some() { None } else { known };
                }
            }
            Self::Function => {
                if let Some(group) = pick(&mut config.function_groups, 0) {
                    group.concurrency += 1;
                }
            }
            _ => self.take_of_services(config),
        }
    }

    fn take_of_services(&self, config: &mut Config) {
        let (Self::Rule(which)
        | Self::Weight(which)
        | Self::Port(which)
        | Self::Protocol(which)
        | Self::Domain(which)
        | Self::Idle(which)
        | Self::Policy(which, _)) = *self
        else {
            return self.take_of_networks(config);
        };
        let Some(service) = pick(&mut config.services, which) else {
            return;
        };
        let listener = &mut service.listeners[0];
        match *self {
            Self::Rule(_) => match listener.rules.pop() {
                Some(_) => {}
                None => listener.default_action = Action::FixedResponse(404),
            },
            Self::Weight(_) => {
                if let Action::Forward(forward) = &mut listener.default_action {
                    let weight = &mut Arc::make_mut(forward).groups[0].weight;
                    *weight = Weight::new((weight.get() + 1) % 999).unwrap();
                }
            }
            Self::Port(_) => listener.port ^= 1,
            Self::Protocol(_) => {
                use trellis_model::config::ListenerProtocol::{Http, Https};
                listener.protocol = if listener.protocol == Http {
                    Https
                } else {
                    Http
                };
            }
            Self::Domain(_) => {
                let name = service.custom_domain.take();
                let other = format!("{}.other.test", service.name);
                service.custom_domain = name.is_none().then(|| other.parse().unwrap());
            }
            Self::Idle(_) => {
                service.idle_timeout = service.idle_timeout.map(|idle| idle * 2);
            }
            Self::Policy(_, deny) => {
                service.auth_type = AuthType::AwsIam;
                service.auth_policy = Some(policy(deny));
            }
            _ => {}
        }
    }

    fn take_of_networks(&self, config: &mut Config) {
        match *self {
            Self::NetworkPolicy(which, deny) => {
                if let Some(network) = pick(&mut config.service_networks, which) {
                    network.auth_type = AuthType::AwsIam;
                    network.auth_policy = Some(policy(deny));
                }
            }
            Self::Join(network, service) => {
                let known = config
                    .service_networks
                    .iter()
                    .flat_map(|network| &network.services);
                let known: Vec<_> = known.cloned().collect();
                let Some(association) = known.get(service % known.len().max(1)) else {
                    return;
                };
                if let Some(network) = pick(&mut config.service_networks, network) {
                    let before = network.services.len();
                    network
                        .services
                        .retain(|member| member.service != association.service);
                    if network.services.len() == before {
                        network.services.push(association.clone());
                    }
                }
            }
            Self::Attach(which) => {
                // A VPC is in one network at most.
                let mut networks = config.service_networks.iter_mut();
                let taken = networks.find_map(|network| Arc::make_mut(network).vpcs.pop());
                if let (Some(network), Some(vpc)) =
                    (pick(&mut config.service_networks, which), taken)
                {
                    network.vpcs.push(vpc);
                }
            }
            Self::VpcAddress => {
                if let Some(vpc) = pick(&mut config.vpcs, 0) {
                    for attachment in &mut vpc.attachments {
                        attachment.sources = match attachment.sources.as_slice() {
                            [] => vec!["10.0.0.0/16".parse().unwrap()],
                            _ => Vec::new(),
                        };
                    }
                }
            }
            _ => {}
        }
    }
}

/// Another service takes the default action of the first one, which has none of its own from then on.
fn hand_over(config: &mut Config) {
    let forwards =
        |service: &Arc<Service>| matches!(service.listeners[0].default_action, Action::Forward(_));
    let from = config.services.iter().position(forwards);
    let to = config
        .services
        .iter()
        .position(|service| !forwards(service));
    if let (Some(from), Some(to)) = (from, to) {
        let one = Arc::make_mut(&mut config.services[from]);
        let given = std::mem::replace(
            &mut one.listeners[0].default_action,
            Action::FixedResponse(404),
        );
        Arc::make_mut(&mut config.services[to]).listeners[0].default_action = given;
    }
}
