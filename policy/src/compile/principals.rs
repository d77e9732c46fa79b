//! Whom a configuration knows: users, and the sessions of roles that keys and mappings give.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use ring::digest;
use trellis_model::{
    arn::Arn,
    config::{Carried, Config, Difference, PolicyText, Role, User},
};

use super::{fresh, index, layers::Compiler};
use crate::{
    bearers::{Bearers, Terms},
    calls::CallPolicies,
    cedar::{CedarError, Vocabulary, all_tags, ask::CedarCaller},
    iam::read::{Attached, Signers},
    layer::Layer,
    principal::{Principal, PrincipalIndex, PrincipalType},
};

/// A principal with its policies.
#[derive(Debug)]
pub(crate) struct Known {
    /// [`fresh`], so that it stands for all that is here.
    pub(crate) id: u64,
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

/// Principals by ARN.
type ByArn = HashMap<Box<str>, PrincipalIndex, RandomState>;

/// What sessions are bound to, by ARN.
pub(crate) type ByBearer = HashMap<Box<str>, Arc<Terms>, RandomState>;

/// What decisions know of callers, whatever the policies of networks and services.
#[derive(Debug)]
pub(crate) struct Callers {
    pub(crate) vocabulary: Arc<Vocabulary>,
    pub(crate) anonymous: CedarCaller,
    pub(crate) principals: Vec<Arc<Known>>,
    pub(super) by_arn: ByArn,
    pub(crate) bearers: Arc<Bearers>,
    pub(super) calls: CallPolicies,
    signers: Arc<Signers>,
}

/// Does a configuration know the same callers as the one before it? What providers and stores say of them is not compiled here.
pub(super) fn are_same(difference: &Difference) -> bool {
    difference.users.is_same()
        && difference.roles.is_same()
        && difference.same_organizations
        && difference.same_identities
}

/// Who can sign: the same set as before, if nobody came or went.
pub(super) fn signers(
    config: &Config,
    before: Option<&Callers>,
    difference: &Difference,
) -> Arc<Signers> {
    let known = before.map(|callers| &callers.signers);
    if let Some(known) = known.filter(|_| are_same(difference)) {
        return Arc::clone(known);
    }
    let signers = Signers::of(config);
    match known {
        Some(known) if **known == signers => Arc::clone(known),
        _ => Arc::new(signers),
    }
}

/// Users and roles with their policies, and everybody who is known before a request comes. What is wrong is told to the compiler;
/// without calls there are no callers.
pub(super) fn callers(
    compiler: &mut Compiler,
    config: &Config,
    before: Option<&Callers>,
    difference: &Difference,
) -> Result<Option<Callers>, CedarError> {
    let vocabulary = match before {
        Some(before) => Arc::clone(&before.vocabulary),
        None => Arc::new(Vocabulary::new()?),
    };
    let (users, roles) = terms(compiler, config, before, difference);
    let (principals, by_arn) = known(config, (&users, &roles), before, &vocabulary)?;
    let known_roles = before.map(|before| (&before.calls, &difference.roles));
    let calls = match CallPolicies::compile(config, known_roles) {
        Ok((calls, warnings)) => {
            compiler.problems.extend(warnings);
            calls
        }
        Err(problems) => {
            compiler.problems.extend(problems);
            return Ok(None);
        }
    };
    let bearers = Bearers::new(config.region.clone(), Arc::clone(&vocabulary), roles, users);
    Ok(Some(Callers {
        anonymous: vocabulary.anonymous().and_then(CedarCaller::new)?,
        vocabulary,
        principals,
        by_arn,
        bearers: Arc::new(bearers),
        calls,
        signers: compiler.signers.clone().unwrap_or_default(),
    }))
}

/// Users and roles with their policies, each compiled once, so that what is wrong with one is reported once.
fn terms(
    compiler: &mut Compiler,
    config: &Config,
    before: Option<&Callers>,
    difference: &Difference,
) -> (ByBearer, ByBearer) {
    // What is known of a user or role says which organization it is in.
    let before = before.filter(|_| difference.same_organizations);
    let carried = |list: &Carried, position, known: Option<&ByBearer>, arn: &Arn| {
        list.from(position)?;
        known?.get(arn.as_str()).cloned()
    };
    let (known_users, known_roles) = (
        before.map(|before| before.bearers.users()),
        before.map(|before| before.bearers.roles()),
    );
    let users = config.users.iter().enumerate().map(|(position, user)| {
        let known = carried(&difference.users, position, known_users, &user.arn);
        let terms = known.unwrap_or_else(|| {
            Arc::new(Terms {
                principal: of_user(user, config),
                layer: compiler.layer(Attached::ToIdentity, &user.policies),
                boundary: boundary(compiler, user.permissions_boundary.as_ref()),
            })
        });
        (user.arn.as_str().into(), terms)
    });
    let users = users.collect();
    let roles = config.roles.iter().enumerate().map(|(position, role)| {
        let known = carried(&difference.roles, position, known_roles, &role.arn);
        let terms = known.unwrap_or_else(|| {
            Arc::new(Terms {
                principal: of_role(role, config),
                layer: compiler.layer(Attached::ToIdentity, &role.policies),
                boundary: boundary(compiler, role.permissions_boundary.as_ref()),
            })
        });
        (role.arn.as_str().into(), terms)
    });
    (users, roles.collect())
}

fn boundary(compiler: &mut Compiler, policy: Option<&PolicyText>) -> Option<Arc<Layer>> {
    policy.map(|policy| compiler.layer(Attached::ToIdentity, std::slice::from_ref(policy)))
}

/// Everybody who is known before a request comes: users, and the sessions of roles that lasting keys and mappings give.
fn known(
    config: &Config,
    (users, roles): (&ByBearer, &ByBearer),
    before: Option<&Callers>,
    vocabulary: &Vocabulary,
) -> Result<(Vec<Arc<Known>>, ByArn), CedarError> {
    let mut known: Vec<Arc<Known>> = Vec::new();
    let mut by_arn = ByArn::default();
    let mut add = |arn: &Arn, terms: &Arc<Terms>, principal: &dyn Fn() -> Principal| {
        // Two keys of a role may have one session name: one principal.
        if by_arn.contains_key(arn.as_str()) {
            return Ok(());
        }
        by_arn.insert(arn.as_str().into(), PrincipalIndex(index(known.len())));
        known.push(match before.and_then(|before| before.carried(arn, terms)) {
            Some(carried) => Arc::clone(carried),
            None => Arc::new(Known::new(principal(), terms, vocabulary)?),
        });
        Ok(())
    };
    // In the order of the configuration, so that positions are the same in every run.
    for user in &config.users {
        if let Some(terms) = users.get(user.arn.as_str()) {
            add(&user.arn, terms, &|| terms.principal.clone())?;
        }
    }
    let mut mapped: HashMap<&str, Vec<&str>> = HashMap::new();
    for mapping in &config.mappings {
        let names = mapped.entry(mapping.principal.as_str()).or_default();
        names.push(&mapping.name);
    }
    for role in &config.roles {
        let Some(terms) = roles.get(role.arn.as_str()) else {
            continue;
        };
        let lasting = role.access_keys.iter().map(|key| &*key.session_name);
        let mapped = mapped.get(role.arn.as_str()).into_iter().flatten();
        for session_name in lasting.chain(mapped.copied()) {
            let arn = Arn::assumed_role(&role.account, &config.region, &role.name, session_name);
            add(&arn, terms, &|| {
                terms.principal.of_session(session_name, &config.region)
            })?;
        }
    }
    Ok((known, by_arn))
}

impl Known {
    fn new(
        principal: Principal,
        terms: &Terms,
        vocabulary: &Vocabulary,
    ) -> Result<Self, CedarError> {
        Ok(Self {
            id: fresh(),
            cedar: CedarCaller::new(vocabulary.principal(&principal)?)?,
            tags: all_tags(&principal.tags),
            principal,
            layer: Arc::clone(&terms.layer),
            boundary: terms.boundary.clone(),
            restriction: None,
        })
    }
}

impl Callers {
    /// The principal with this ARN, if what it is bound to is still the same.
    fn carried(&self, arn: &Arn, terms: &Arc<Terms>) -> Option<&Arc<Known>> {
        let position = self.by_arn.get(arn.as_str())?;
        let known = self.principals.get(position.0 as usize)?;
        let bearer = &terms.principal.arn;
        let before = self.bearers.users().get(bearer);
        let before = before.or_else(|| self.bearers.roles().get(bearer))?;
        Arc::ptr_eq(before, terms).then_some(known)
    }
}

fn of_user(user: &User, config: &Config) -> Principal {
    Principal {
        arn: user.arn.as_str().into(),
        principal_arn: user.arn.as_str().into(),
        account: user.account.clone(),
        kind: PrincipalType::User,
        name: user.name.clone(),
        session_name: None,
        user_id: unique_id("AIDA", user.arn.as_str()).into(),
        tags: user.tags.clone(),
        organization: config.organizations.get(&user.account).cloned(),
        source_identity: None,
        federated_provider: None,
        issued: None,
    }
}

/// A role; its sessions are [`Principal::of_session`].
fn of_role(role: &Role, config: &Config) -> Principal {
    Principal {
        arn: role.arn.as_str().into(),
        principal_arn: role.arn.as_str().into(),
        account: role.account.clone(),
        kind: PrincipalType::AssumedRole,
        name: role.name.clone(),
        session_name: None,
        user_id: unique_id("AROA", role.arn.as_str()).into(),
        tags: role.tags.clone(),
        organization: config.organizations.get(&role.account).cloned(),
        source_identity: None,
        federated_provider: None,
        issued: None,
    }
}

/// The unique id of a user or role, derived from its ARN: four letters for the kind, seventeen characters.
pub fn unique_id(prefix: &str, arn: &str) -> String {
    const ALPHABET: [char; 32] = [
        'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R',
        'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', '2', '3', '4', '5', '6', '7',
    ];
    let digest = digest::digest(&digest::SHA256, arn.as_bytes());
    let letters = digest
        .as_ref()
        .iter()
        .take(17)
        .filter_map(|byte| ALPHABET.get(usize::from(byte & 31)));
    prefix.chars().chain(letters.copied()).collect()
}
