//! From a configuration to everything that decisions need.
//!
//! A configuration that follows another takes from it what has the same source: networks and services that are the same allocation,
//! callers while nobody comes, goes or changes, and every layer whose texts are known ([`layers`]). What decisions remember is
//! handed on too, since it is found by numbers that stand for what was compiled, never by positions.

mod guarded;
mod layers;
mod principals;

pub use principals::unique_id;

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use trellis_model::{
    config::{Config, Difference, PolicyLanguage, PolicyText},
    id::{ServiceId, ServiceNetworkId},
    problem::{Place, Problem, Problems, Severity},
};

use self::{
    guarded::{All, Before, numbered},
    layers::{Compiler, Library},
    principals::Callers,
};
pub(crate) use self::{
    guarded::{Guarded, fresh},
    layers::{NATIVE, session_layer},
    principals::{ByBearer, Known},
};
use crate::{
    authorize::Memory,
    calls::CallPolicies,
    iam::read::Attached,
    principal::{Caller, Principal, PrincipalIndex},
    session::{SealingKeys, Sessions},
};

/// Position of a service network in the compiled policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkIndex(pub(crate) u32);

/// Position of a service in the compiled policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceIndex(pub(crate) u32);

impl ServiceIndex {
    /// Its position in the configuration.
    pub fn position(self) -> u32 {
        self.0
    }
}

/// All that decisions of one snapshot need: principals and the policies of networks, services and principals.
#[derive(Debug)]
pub struct Policies {
    pub(crate) callers: Arc<Callers>,
    pub(crate) networks: Vec<Arc<Guarded>>,
    pub(crate) services: Vec<Arc<Guarded>>,
    indexes: Indexes,
    pub(crate) memory: Arc<Memory>,
    /// The same with the candidates in their places and all policies enforced; none when there is neither audit nor candidate.
    pub(crate) candidate: Option<Box<Policies>>,
    library: Arc<Library>,
    warnings: Vec<Problem>,
}

/// Checks an auth policy in IAM JSON, for a service network or a service: what it returns in the good case would be compiled.
///
/// # Errors
///
/// Every problem of the policy, as a text without a place.
pub fn check_auth_policy(text: &str) -> Result<(), Vec<String>> {
    check_layer(text, Attached::ToResource)
}

/// Checks an identity policy in IAM JSON, for a user or role: what it returns in the good case would be compiled.
///
/// # Errors
///
/// The same as of [`check_auth_policy`].
pub fn check_identity_policy(text: &str) -> Result<(), Vec<String>> {
    check_layer(text, Attached::ToIdentity)
}

fn check_layer(text: &str, attached: Attached) -> Result<(), Vec<String>> {
    let policy = PolicyText {
        language: PolicyLanguage::Iam,
        text: text.into(),
        place: Place::default(),
    };
    let mut compiler = Compiler::default();
    compiler.layer(attached, std::slice::from_ref(&policy));
    let wrong = compiler
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error);
    let wrong: Vec<String> = wrong.map(ToString::to_string).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// Compiles the principals and policies of a configuration, or reports every problem of every policy.
pub fn compile(config: &Config) -> Result<Policies, Problems> {
    compile_after(config, None)
}

/// The same for a configuration that follows another: with the policies of that one, and what the two have in common.
///
/// The result decides as if it were compiled alone. Only what is new is reported.
pub fn compile_after(
    config: &Config,
    before: Option<(&Policies, &Difference)>,
) -> Result<Policies, Problems> {
    // The names of everything have the region.
    let before = before.filter(|(_, difference)| difference.same_region);
    let Some((policies, difference)) = before else {
        return compile_with(config, None, &Difference::between(None, config));
    };
    compile_with(config, Some(policies), difference)
}

fn compile_with(
    config: &Config,
    before: Option<&Policies>,
    difference: &Difference,
) -> Result<Policies, Problems> {
    let known_callers = before.map(|policies| &*policies.callers);
    let mut compiler = Compiler {
        signers: Some(principals::signers(config, known_callers, difference)),
        library: before.map_or_else(Arc::default, |policies| Arc::clone(&policies.library)),
        ..Compiler::default()
    };
    let of = |known: fn(&Policies) -> &[Arc<Guarded>]| -> Before<'_> {
        let rehearsed = before.and_then(|policies| policies.candidate.as_deref());
        (before.map_or(&[], known), rehearsed.map(known))
    };
    let networks = guarded::networks(
        &mut compiler,
        &config.service_networks,
        &difference.service_networks,
        of(|policies| &policies.networks),
    );
    let services = guarded::services(
        &mut compiler,
        &config.services,
        &difference.services,
        of(|policies| &policies.services),
    );
    let same_callers = before.filter(|_| principals::are_same(difference));
    let callers = match same_callers {
        Some(policies) => Some(Arc::clone(&policies.callers)),
        None => principals::callers(&mut compiler, config, known_callers, difference)
            .map_err(|error| {
                Problems::from_iter([Problem::error(Place::default(), error.to_string())])
            })?
            .map(Arc::new),
    };
    let failed = compiler
        .problems
        .iter()
        .any(|problem| problem.severity == Severity::Error);
    let Some(callers) = callers.filter(|_| !failed) else {
        return Err(compiler.problems.into_iter().collect());
    };
    let world = World {
        indexes: Indexes::of(config, before, &networks, &services),
        callers,
        library: Arc::clone(&compiler.library),
    };
    let candidate = (networks.rehearsed.is_some() || services.rehearsed.is_some()).then(|| {
        let rehearsed = |all: &All| match &all.rehearsed {
            Some(rehearsed) => rehearsed.clone(),
            None => all.active.clone(),
        };
        let before = before.and_then(|policies| policies.candidate.as_deref());
        Box::new(world.with(rehearsed(&networks), rehearsed(&services), before))
    });
    Ok(Policies {
        candidate,
        warnings: compiler.problems,
        ..world.with(networks.active, services.active, before)
    })
}

/// Positions by id.
#[derive(Debug, Clone)]
struct Indexes {
    networks: Arc<HashMap<ServiceNetworkId, NetworkIndex, RandomState>>,
    services: Arc<HashMap<ServiceId, ServiceIndex, RandomState>>,
}

impl Indexes {
    /// Those of the policies before, where the resources are the same, in the same order.
    fn of(config: &Config, before: Option<&Policies>, networks: &All, services: &All) -> Self {
        let kept = before.filter(|before| same_names(&before.networks, &networks.active));
        let networks = kept.map_or_else(
            || {
                let ids = config.service_networks.iter().map(|network| network.id);
                Arc::new(numbered(ids, NetworkIndex))
            },
            |before| Arc::clone(&before.indexes.networks),
        );
        let kept = before.filter(|before| same_names(&before.services, &services.active));
        let services = kept.map_or_else(
            || {
                let ids = config.services.iter().map(|service| service.id);
                Arc::new(numbered(ids, ServiceIndex))
            },
            |before| Arc::clone(&before.indexes.services),
        );
        Self { networks, services }
    }
}

/// Are these, one by one, of the same resources?
fn same_names(before: &[Arc<Guarded>], after: &[Arc<Guarded>]) -> bool {
    let mut pairs = before.iter().zip(after);
    before.len() == after.len()
        && pairs.all(|(one, other)| Arc::ptr_eq(one, other) || one.arn == other.arn)
}

/// What is the same for what is enforced and for what is rehearsed.
struct World {
    callers: Arc<Callers>,
    indexes: Indexes,
    library: Arc<Library>,
}

impl World {
    /// Decisions in it with these policies; `before` decided last.
    fn with(
        &self,
        networks: Vec<Arc<Guarded>>,
        services: Vec<Arc<Guarded>>,
        before: Option<&Policies>,
    ) -> Policies {
        let memory = before.map_or_else(Arc::default, |before| Arc::clone(&before.memory));
        memory.tidy();
        Policies {
            callers: Arc::clone(&self.callers),
            networks,
            services,
            indexes: self.indexes.clone(),
            memory,
            candidate: None,
            library: Arc::clone(&self.library),
            warnings: Vec::new(),
        }
    }
}

fn index(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

impl Policies {
    /// The service network with this id.
    pub fn network(&self, id: ServiceNetworkId) -> Option<NetworkIndex> {
        self.indexes.networks.get(&id).copied()
    }

    /// The service with this id.
    pub fn service(&self, id: ServiceId) -> Option<ServiceIndex> {
        self.indexes.services.get(&id).copied()
    }

    /// A principal of this configuration.
    pub fn principal(&self, index: PrincipalIndex) -> Option<&Principal> {
        self.callers
            .principals
            .get(index.0 as usize)
            .map(|known| &known.principal)
    }

    /// Who a caller is; nobody for an anonymous one.
    pub fn caller<'a>(&'a self, caller: &'a Caller) -> Option<&'a Principal> {
        self.known(caller).map(|known| &known.principal)
    }

    /// Who may assume which role.
    pub fn calls(&self) -> &CallPolicies {
        &self.callers.calls
    }

    /// What a session of a role with this name is known by: its ARN, its user id.
    pub fn session_identity(&self, role_arn: &str, session_name: &str) -> Option<Principal> {
        self.callers
            .bearers
            .session_identity(role_arn, session_name)
    }

    /// Opens the tokens of this configuration's sessions, with whatever keys there are when one arrives.
    pub fn sessions(&self, keys: Arc<ArcSwap<SealingKeys>>) -> Sessions {
        Sessions::new(keys, Arc::clone(&self.callers.bearers))
    }

    /// The principal with this ARN: a user, or a session of a role.
    pub fn principal_by_arn(&self, arn: &str) -> Option<PrincipalIndex> {
        self.callers.by_arn.get(arn).copied()
    }

    /// The service at this position of the configuration.
    pub fn service_at(&self, position: u32) -> Option<ServiceIndex> {
        let known = (position as usize) < self.services.len();
        known.then_some(ServiceIndex(position))
    }

    /// How many principals there are; their positions begin at zero.
    pub fn principals(&self) -> usize {
        self.callers.principals.len()
    }

    /// Are all callers known by the same positions, with the same keys, tokens and mappings to be compiled for them?
    pub fn has_callers_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.callers, &other.callers)
    }

    /// What the authors of the policies should look at, although the policies run: of those that were not compiled before.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

#[cfg(test)]
mod tests;
