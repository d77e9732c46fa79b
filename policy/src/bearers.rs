//! Whom a session can be of: the roles and users of a configuration, and what a session of a role is bound to.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use parking_lot::RwLock;
use trellis_model::{config::Secret, name::Region};

use crate::{
    authorize::Views,
    cedar::{Vocabulary, all_tags, ask::CedarCaller},
    compile::{Known, Policies, session_layer},
    layer::Layer,
    principal::{Caller, Principal, PrincipalIndex},
    session::{Bearer, Session, TokenError},
};

/// A session of a role as the policies of one snapshot see it.
///
/// Its holders keep it alive, so what a request was permitted for can be told to its end, whatever was forgotten meanwhile.
#[derive(Debug)]
pub struct RoleSession {
    /// Never used twice within a snapshot.
    pub(crate) id: u64,
    pub(crate) known: Known,
    pub(crate) views: RwLock<Views>,
}

impl RoleSession {
    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.known.principal
    }
}

impl PartialEq for RoleSession {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for RoleSession {}

impl Hash for RoleSession {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

/// What every session of one role has in common.
#[derive(Debug)]
pub(crate) struct RoleTerms {
    /// The role; what is a session's own is empty.
    pub(crate) principal: Principal,
    pub(crate) layer: Arc<Layer>,
    pub(crate) boundary: Option<Arc<Layer>>,
}

/// The roles and users of a configuration, by ARN.
#[derive(Debug)]
pub(crate) struct Bearers {
    region: Region,
    vocabulary: Arc<Vocabulary>,
    roles: HashMap<Box<str>, RoleTerms>,
    users: HashMap<Box<str>, PrincipalIndex>,
    next: AtomicU64,
}

impl Bearers {
    pub(crate) fn new(
        region: Region,
        vocabulary: Arc<Vocabulary>,
        roles: HashMap<Box<str>, RoleTerms>,
        users: HashMap<Box<str>, PrincipalIndex>,
    ) -> Self {
        Self {
            region,
            vocabulary,
            roles,
            users,
            next: AtomicU64::new(0),
        }
    }

    /// The user with this ARN.
    pub(crate) fn user(&self, arn: &str) -> Option<PrincipalIndex> {
        self.users.get(arn).copied()
    }

    /// A session of a role without anything of its own but the name.
    pub(crate) fn session_identity(&self, role: &str, session_name: &str) -> Option<Principal> {
        let role = self.roles.get(role)?;
        Some(role.principal.of_session(session_name, &self.region))
    }

    /// What a session of a role may do here and now.
    pub(crate) fn bind(&self, session: &Session) -> Result<Arc<RoleSession>, TokenError> {
        let Bearer::Role { arn, session_name } = &session.bearer else {
            return Err(TokenError::NoBearer);
        };
        let role = self.roles.get(arn).ok_or(TokenError::NoBearer)?;
        let mut principal = role.principal.of_session(session_name, &self.region);
        for (key, value) in &session.tags {
            // Source: IAM user guide, "Pass session tags in AWS STS": keys are compared without case, and a session's tag
            // replaces the role's.
            principal
                .tags
                .retain(|known, _| known.to_lowercase() != key.to_lowercase());
            principal.tags.insert(key.clone(), value.clone());
        }
        principal
            .source_identity
            .clone_from(&session.source_identity);
        principal
            .federated_provider
            .clone_from(&session.federated_provider);
        principal.issued = Some(session.issued);
        let restriction = match session.policies.as_slice() {
            [] => None,
            policies => Some(session_layer(policies).ok_or(TokenError::Policy)?),
        };
        let cedar = self
            .vocabulary
            .principal(&principal)
            .and_then(CedarCaller::new)
            .map_err(|_| TokenError::Policy)?;
        Ok(Arc::new(RoleSession {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            views: RwLock::default(),
            known: Known {
                cedar,
                tags: all_tags(&principal.tags),
                principal,
                layer: Arc::clone(&role.layer),
                boundary: role.boundary.clone(),
                restriction,
            },
        }))
    }
}

impl Policies {
    /// Whoever would sign with temporary credentials of this role, without anybody having them: for explanations and tests. `None` when
    /// there is no such role.
    pub fn suppose_session(
        &self,
        role_arn: &str,
        session_name: &str,
        tags: &BTreeMap<String, String>,
        now: SystemTime,
    ) -> Option<Caller> {
        let session = Session {
            access_key_id: Box::default(),
            secret: Secret::new(""),
            bearer: Bearer::Role {
                arn: role_arn.into(),
                session_name: session_name.into(),
            },
            tags: tags.clone(),
            transitive: BTreeSet::new(),
            source_identity: None,
            federated_provider: None,
            policies: Vec::new(),
            issued: now,
            expires: now,
        };
        self.bearers.bind(&session).ok().map(Caller::Session)
    }
}

#[cfg(test)]
mod tests;
