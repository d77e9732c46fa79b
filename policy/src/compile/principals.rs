//! Whom a configuration knows: users, and the sessions of roles that keys and mappings give.

use std::{collections::HashMap, sync::Arc};

use ring::digest;
use trellis_model::config::{Config, PolicyText, Role, User};

use super::{ByArn, Compiler, Known, index};
use crate::{
    bearers::Terms,
    cedar::{CedarError, Vocabulary, all_tags, ask::CedarCaller},
    iam::read::Attached,
    layer::Layer,
    principal::{Principal, PrincipalIndex, PrincipalType},
};

/// What sessions are bound to, by ARN.
pub(super) type ByBearer = HashMap<Box<str>, Terms>;

/// Users and roles with their policies, each compiled once, so that what is wrong with one is reported once.
pub(super) fn terms(compiler: &mut Compiler, config: &Config) -> (ByBearer, ByBearer) {
    let users = config.users.iter().map(|user| {
        let terms = Terms {
            principal: of_user(user, config),
            layer: compiler.layer(Attached::ToIdentity, &user.policies),
            boundary: boundary(compiler, user.permissions_boundary.as_ref()),
        };
        (user.arn.as_str().into(), terms)
    });
    let users = users.collect();
    let roles = config.roles.iter().map(|role| {
        let terms = Terms {
            principal: of_role(role, config),
            layer: compiler.layer(Attached::ToIdentity, &role.policies),
            boundary: boundary(compiler, role.permissions_boundary.as_ref()),
        };
        (role.arn.as_str().into(), terms)
    });
    (users, roles.collect())
}

fn boundary(compiler: &mut Compiler, policy: Option<&PolicyText>) -> Option<Arc<Layer>> {
    policy.map(|policy| compiler.layer(Attached::ToIdentity, std::slice::from_ref(policy)))
}

/// Everybody who is known before a request comes: users, and the sessions of roles that lasting keys and mappings give.
pub(super) fn known(
    config: &Config,
    users: &ByBearer,
    roles: &ByBearer,
    vocabulary: &Vocabulary,
) -> Result<(Vec<Known>, ByArn), CedarError> {
    let mut known: Vec<Known> = Vec::new();
    let mut by_arn = HashMap::new();
    let mut add = |principal: Principal, terms: &Terms| {
        // Two keys of a role may have one session name: one principal.
        if by_arn.contains_key(&principal.arn) {
            return Ok(());
        }
        by_arn.insert(principal.arn.clone(), PrincipalIndex(index(known.len())));
        known.push(Known {
            cedar: CedarCaller::new(vocabulary.principal(&principal)?)?,
            tags: all_tags(&principal.tags),
            principal,
            layer: Arc::clone(&terms.layer),
            boundary: terms.boundary.clone(),
            restriction: None,
        });
        Ok(())
    };
    // In the order of the configuration, so that positions are the same in every run.
    for terms in config
        .users
        .iter()
        .filter_map(|user| users.get(user.arn.as_str()))
    {
        add(terms.principal.clone(), terms)?;
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
            let session = terms.principal.of_session(session_name, &config.region);
            add(session, terms)?;
        }
    }
    Ok((known, by_arn))
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
fn unique_id(prefix: &str, arn: &str) -> String {
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
