//! From a configuration to everything that decisions need.

mod principals;

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use arc_swap::ArcSwap;
use trellis_model::{
    arn::Arn,
    config::{AuthPolicyMode, AuthType, Config, PolicyLanguage, PolicyText},
    id::{ServiceId, ServiceNetworkId},
    problem::{Place, Problem, Problems, Severity},
};

use crate::{
    authorize::Memory,
    bearers::Bearers,
    calls::CallPolicies,
    cedar::{CedarError, Vocabulary, ask::CedarCaller, lower_case_tags, native::NativeReader},
    iam::read::{Attached, Signers, read},
    layer::{Body, Compiled, Layer, compile_statement},
    principal::{Caller, Principal, PrincipalIndex},
    session::{SealingKeys, Sessions},
};

/// Position of a service network in the compiled policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkIndex(pub(crate) u32);

/// Position of a service in the compiled policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceIndex(pub(crate) u32);

/// What one resource brings to a decision.
#[derive(Debug, Clone)]
pub(crate) struct Guarded {
    pub(crate) arn: Arn,
    /// Its policies; `None` while its auth type is `NONE`. `AWS_IAM` without a policy is a layer without statements.
    pub(crate) layer: Option<Arc<Layer>>,
    /// Was there a policy at all?
    pub(crate) has_policy: bool,
    /// Is its policy in audit, so that it counts for candidates only?
    pub(crate) audited: bool,
    /// Is its policy in audit, or has it a candidate? Then what is said here and what is rehearsed may differ.
    pub(crate) rehearsed: bool,
    /// Tags by key in lower case.
    pub(crate) tags: Box<[(Box<str>, Box<str>)]>,
}

/// A principal with its policies.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) principal: Principal,
    /// Its tags by key, in order, as written and in lower case.
    pub(crate) tags: Box<[(Box<str>, Box<str>)]>,
    pub(crate) layer: Arc<Layer>,
    /// Its permissions boundary, beyond which its own policies allow nothing.
    pub(crate) boundary: Option<Arc<Layer>>,
    /// The policies of its session, beyond which the role's allow nothing.
    pub(crate) restriction: Option<Arc<Layer>>,
    pub(crate) cedar: CedarCaller,
}

/// All that decisions of one snapshot need: principals and the policies of networks, services and principals.
#[derive(Debug)]
pub struct Policies {
    pub(crate) vocabulary: Arc<Vocabulary>,
    pub(crate) anonymous: CedarCaller,
    pub(crate) principals: Arc<Vec<Known>>,
    by_arn: Arc<ByArn>,
    pub(crate) bearers: Arc<Bearers>,
    calls: Arc<CallPolicies>,
    pub(crate) networks: Vec<Guarded>,
    network_index: HashMap<ServiceNetworkId, NetworkIndex>,
    pub(crate) services: Vec<Guarded>,
    service_index: HashMap<ServiceId, ServiceIndex>,
    pub(crate) memory: Memory,
    /// The same with the candidates in their places and all policies enforced; none when there is neither audit nor candidate.
    pub(crate) candidate: Option<Box<Policies>>,
    warnings: Vec<Problem>,
}

/// Checks an auth policy in IAM JSON, for a service network or a service: what it returns in the good case would be compiled.
///
/// # Errors
///
/// Every problem of the policy, as a text without a place.
pub fn check_auth_policy(text: &str) -> Result<(), Vec<String>> {
    let policy = PolicyText {
        language: PolicyLanguage::Iam,
        text: text.into(),
        place: Place::default(),
    };
    let mut compiler = Compiler::default();
    compiler.layer(Attached::ToResource, std::slice::from_ref(&policy));
    let wrong = compiler
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error);
    let wrong: Vec<String> = wrong.map(ToString::to_string).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// Compiles the principals and policies of a configuration, or reports every problem of every policy.
pub fn compile(config: &Config) -> Result<Policies, Problems> {
    let ours = |error: CedarError| {
        Problems::from_iter([Problem::error(Place::default(), error.to_string())])
    };
    let vocabulary = Arc::new(Vocabulary::new().map_err(ours)?);
    let mut compiler = Compiler {
        signers: Some(Signers::of(config)),
        ..Compiler::default()
    };
    let networks = config.service_networks.iter().map(|network| {
        compiler.guarded(&Written {
            arn: &network.arn,
            auth_type: network.auth_type,
            mode: network.auth_policy_mode,
            policy: network.auth_policy.as_ref(),
            shadow: network.shadow_auth_policy.as_ref(),
            tags: Box::default(),
        })
    });
    let networks: Vec<Sides> = networks.collect();
    let services = config.services.iter().map(|service| {
        compiler.guarded(&Written {
            arn: &service.arn,
            auth_type: service.auth_type,
            mode: service.auth_policy_mode,
            policy: service.auth_policy.as_ref(),
            shadow: service.shadow_auth_policy.as_ref(),
            tags: lower_case_tags(&service.tags).into(),
        })
    });
    let services: Vec<Sides> = services.collect();
    let (users, roles) = principals::terms(&mut compiler, config);
    let (principals, by_arn) =
        principals::known(config, &users, &roles, &vocabulary).map_err(ours)?;
    let bearers = Bearers::new(config.region.clone(), Arc::clone(&vocabulary), roles, users);
    let calls = match CallPolicies::compile(config) {
        Ok((calls, warnings)) => {
            compiler.problems.extend(warnings);
            Some(calls)
        }
        Err(problems) => {
            compiler.problems.extend(problems);
            None
        }
    };
    let failed = compiler
        .problems
        .iter()
        .any(|problem| problem.severity == Severity::Error);
    let Some(calls) = calls.filter(|_| !failed) else {
        return Err(compiler.problems.into_iter().collect());
    };
    let callers = Callers {
        vocabulary,
        principals: Arc::new(principals),
        by_arn: Arc::new(by_arn),
        bearers: Arc::new(bearers),
        calls: Arc::new(calls),
    };
    let rehearsed = |sides: &[Sides]| sides.iter().any(|sides| sides.candidate.is_some());
    let candidate = if rehearsed(&networks) || rehearsed(&services) {
        let candidates = |sides: &[Sides]| sides.iter().map(Sides::rehearsal).collect();
        let side = callers.with(config, candidates(&networks), candidates(&services));
        Some(Box::new(side.map_err(ours)?))
    } else {
        None
    };
    let active = |sides: Vec<Sides>| sides.into_iter().map(|sides| sides.active).collect();
    let policies = callers.with(config, active(networks), active(services));
    Ok(Policies {
        candidate,
        warnings: compiler.problems,
        ..policies.map_err(ours)?
    })
}

/// What decisions know of callers, whatever the policies of networks and services.
struct Callers {
    vocabulary: Arc<Vocabulary>,
    principals: Arc<Vec<Known>>,
    by_arn: Arc<ByArn>,
    bearers: Arc<Bearers>,
    calls: Arc<CallPolicies>,
}

impl Callers {
    /// Decisions about them with these policies.
    fn with(
        &self,
        config: &Config,
        networks: Vec<Guarded>,
        services: Vec<Guarded>,
    ) -> Result<Policies, CedarError> {
        Ok(Policies {
            anonymous: self.vocabulary.anonymous().and_then(CedarCaller::new)?,
            vocabulary: Arc::clone(&self.vocabulary),
            principals: Arc::clone(&self.principals),
            by_arn: Arc::clone(&self.by_arn),
            bearers: Arc::clone(&self.bearers),
            calls: Arc::clone(&self.calls),
            networks,
            network_index: numbered(
                config.service_networks.iter().map(|network| network.id),
                NetworkIndex,
            ),
            services,
            service_index: numbered(
                config.services.iter().map(|service| service.id),
                ServiceIndex,
            ),
            memory: Memory::default(),
            candidate: None,
            warnings: Vec::new(),
        })
    }
}

/// A network or service as configured.
struct Written<'a> {
    arn: &'a Arn,
    auth_type: AuthType,
    mode: AuthPolicyMode,
    policy: Option<&'a PolicyText>,
    shadow: Option<&'a PolicyText>,
    tags: Box<[(Box<str>, Box<str>)]>,
}

/// A network or service as it is enforced and as it is rehearsed.
struct Sides {
    active: Guarded,
    /// What else is rehearsed: the layer, and whether it has a policy.
    candidate: Option<(Arc<Layer>, bool)>,
}

impl Sides {
    /// What is rehearsed: the candidate, or else what is enforced.
    fn rehearsal(&self) -> Guarded {
        let mut guarded = self.active.clone();
        if let Some((layer, has_policy)) = &self.candidate {
            guarded.layer = Some(Arc::clone(layer));
            guarded.has_policy = *has_policy;
        }
        guarded
    }
}

fn numbered<Id: std::hash::Hash + Eq, Index>(
    ids: impl Iterator<Item = Id>,
    new: impl Fn(u32) -> Index,
) -> HashMap<Id, Index> {
    ids.enumerate()
        .map(|(position, id)| (id, new(index(position))))
        .collect()
}

/// Principals by ARN.
type ByArn = HashMap<Box<str>, PrincipalIndex>;

/// What makes two layers the same: where they are attached, and their texts.
type Texts = (Attached, Vec<(PolicyLanguage, Arc<str>)>);

/// Reading the schema takes longer than compiling a policy, and most configurations have no native ones.
pub(crate) static NATIVE: LazyLock<Result<NativeReader, CedarError>> =
    LazyLock::new(NativeReader::new);

/// Was there anything to report about a text? It is reported for every place that has the text, so it is read again for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Findings {
    None,
    Some,
}

#[derive(Default)]
struct Compiler {
    /// Everybody who can sign; `None` where that is not known.
    signers: Option<Signers>,
    layers: HashMap<Texts, (Arc<Layer>, Findings)>,
    /// Errors and warnings.
    problems: Vec<Problem>,
}

impl Compiler {
    fn guarded(&mut self, written: &Written<'_>) -> Sides {
        let mut layer_of = |policy: Option<&PolicyText>| {
            let policies = policy.map_or(&[] as &[_], std::slice::from_ref);
            self.layer(Attached::ToResource, policies)
        };
        // A policy is read also while it does not count: switching it on must not bring surprises.
        let layer = layer_of(written.policy);
        let shadow = written.shadow.map(|policy| (layer_of(Some(policy)), true));
        let has_policy = written.policy.is_some();
        let counts = written.auth_type == AuthType::AwsIam;
        let audited = counts && written.mode == AuthPolicyMode::Audit;
        let candidate = shadow.or_else(|| audited.then(|| (Arc::clone(&layer), has_policy)));
        Sides {
            active: Guarded {
                arn: written.arn.clone(),
                layer: (counts && !audited).then_some(layer),
                has_policy,
                rehearsed: candidate.is_some(),
                audited,
                tags: written.tags.clone(),
            },
            candidate,
        }
    }

    fn layer(&mut self, attached: Attached, policies: &[PolicyText]) -> Arc<Layer> {
        let texts = policies
            .iter()
            .map(|policy| (policy.language, Arc::clone(&policy.text)));
        let texts: Texts = (attached, texts.collect());
        let known = self.layers.get(&texts);
        if let Some((layer, Findings::None)) = known {
            return Arc::clone(layer);
        }
        let known = known.map(|(layer, _)| Arc::clone(layer));
        let before = self.problems.len();
        let mut statements = Vec::new();
        for (number, policy) in policies.iter().enumerate() {
            let prefix = if policies.len() > 1 {
                format!("policy {} ", number + 1)
            } else {
                String::new()
            };
            self.add(attached, policy, &prefix, &mut statements);
        }
        if let Some(layer) = known {
            return layer;
        }
        let layer = Arc::new(Layer::new(statements));
        let findings = if self.problems.len() == before {
            Findings::None
        } else {
            Findings::Some
        };
        self.layers.insert(texts, (Arc::clone(&layer), findings));
        layer
    }

    fn add(
        &mut self,
        attached: Attached,
        policy: &PolicyText,
        prefix: &str,
        statements: &mut Vec<Compiled>,
    ) {
        let result = match policy.language {
            PolicyLanguage::Iam => self.add_iam(attached, policy, prefix, statements),
            PolicyLanguage::Cedar => self.add_native(policy, prefix, statements),
        };
        if let Err(problems) = result {
            self.problems.extend(problems);
        }
    }

    fn add_iam(
        &mut self,
        attached: Attached,
        policy: &PolicyText,
        prefix: &str,
        statements: &mut Vec<Compiled>,
    ) -> Result<(), Vec<Problem>> {
        let (document, warnings) = read(policy, attached, self.signers.as_ref())?;
        self.problems.extend(warnings);
        for (position, statement) in document.statements.into_iter().enumerate() {
            let name = match &statement.sid {
                Some(sid) => format!("{prefix}statement `{sid}`"),
                None => format!("{prefix}statement {}", position + 1),
            };
            let compiled =
                compile_statement(statement, statements.len(), name.into()).map_err(|error| {
                    let message = format!("statement {} has no translation: {error}", position + 1);
                    vec![Problem::error(policy.place.clone(), message)]
                })?;
            statements.push(compiled);
        }
        Ok(())
    }

    fn add_native(
        &mut self,
        policy: &PolicyText,
        prefix: &str,
        statements: &mut Vec<Compiled>,
    ) -> Result<(), Vec<Problem>> {
        let native = NATIVE
            .as_ref()
            .map_err(|error| vec![Problem::error(policy.place.clone(), error.to_string())])?;
        let (natives, warnings) = native.read(policy, statements.len())?;
        self.problems.extend(warnings);
        for (position, native) in natives.into_iter().enumerate() {
            let name = match &native.annotated {
                Some(id) => format!("{prefix}Cedar policy `{id}`"),
                None => format!("{prefix}Cedar policy {}", position + 1),
            };
            statements.push(Compiled {
                name: name.into(),
                effect: native.effect,
                body: Body::Native(Box::new(native)),
            });
        }
        Ok(())
    }
}

/// The policies of a session as a layer of their own; `None` when one cannot be read.
pub(crate) fn session_layer(policies: &[Box<str>]) -> Option<Arc<Layer>> {
    let policies: Vec<PolicyText> = policies.iter().map(|text| session_policy(text)).collect();
    let mut compiler = Compiler::default();
    let layer = compiler.layer(Attached::ToIdentity, &policies);
    let wrong = |problem: &Problem| problem.severity == Severity::Error;
    (!compiler.problems.iter().any(wrong)).then_some(layer)
}

/// A policy that came with a session.
fn session_policy(text: &str) -> PolicyText {
    PolicyText {
        language: PolicyLanguage::Iam,
        text: text.into(),
        place: Place::default(),
    }
}

fn index(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

impl Policies {
    /// The service network with this id.
    pub fn network(&self, id: ServiceNetworkId) -> Option<NetworkIndex> {
        self.network_index.get(&id).copied()
    }

    /// The service with this id.
    pub fn service(&self, id: ServiceId) -> Option<ServiceIndex> {
        self.service_index.get(&id).copied()
    }

    /// A principal of this configuration.
    pub fn principal(&self, index: PrincipalIndex) -> Option<&Principal> {
        self.principals
            .get(index.0 as usize)
            .map(|known| &known.principal)
    }

    /// Who a caller is; nobody for an anonymous one.
    pub fn caller<'a>(&'a self, caller: &'a Caller) -> Option<&'a Principal> {
        self.known(caller).map(|known| &known.principal)
    }

    /// Who may assume which role.
    pub fn calls(&self) -> &CallPolicies {
        &self.calls
    }

    /// What a session of a role with this name is known by: its ARN, its user id.
    pub fn session_identity(&self, role_arn: &str, session_name: &str) -> Option<Principal> {
        self.bearers.session_identity(role_arn, session_name)
    }

    /// Opens the tokens of this configuration's sessions, with whatever keys there are when one arrives.
    pub fn sessions(&self, keys: Arc<ArcSwap<SealingKeys>>) -> Sessions {
        Sessions::new(keys, Arc::clone(&self.bearers))
    }

    /// The principal with this ARN: a user, or a session of a role.
    pub fn principal_by_arn(&self, arn: &str) -> Option<PrincipalIndex> {
        self.by_arn.get(arn).copied()
    }

    /// What the authors of the policies should look at, although the policies run.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

#[cfg(test)]
mod tests;
