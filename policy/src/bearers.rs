//! Whom a session can be of: the roles and users of a configuration, and what a session is bound to.

use std::{
    collections::{BTreeMap, BTreeSet},
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
    compile::{ByBearer, Known, Policies, fresh, session_layer},
    layer::Layer,
    principal::{Caller, Principal},
    session::{Bearer, Session, TokenError},
};

/// A session as the policies of one snapshot see it.
///
/// Its holders keep it alive, so what a request was permitted for can be told to its end, whatever was forgotten meanwhile.
#[derive(Debug)]
pub struct BoundSession {
    /// Never used twice within a snapshot.
    pub(crate) id: u64,
    pub(crate) known: Known,
    pub(crate) views: RwLock<Views>,
}

impl BoundSession {
    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.known.principal
    }
}

impl PartialEq for BoundSession {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for BoundSession {}

impl Hash for BoundSession {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

/// What every session of one role, or of one user, has in common.
#[derive(Debug)]
pub(crate) struct Terms {
    /// The role or the user; what is a session's own is empty.
    pub(crate) principal: Principal,
    pub(crate) layer: Arc<Layer>,
    pub(crate) boundary: Option<Arc<Layer>>,
}

/// The roles and users of a configuration, by ARN.
#[derive(Debug)]
pub(crate) struct Bearers {
    region: Region,
    vocabulary: Arc<Vocabulary>,
    roles: ByBearer,
    users: ByBearer,
    next: AtomicU64,
}

impl Bearers {
    pub(crate) fn new(
        region: Region,
        vocabulary: Arc<Vocabulary>,
        roles: ByBearer,
        users: ByBearer,
    ) -> Self {
        Self {
            region,
            vocabulary,
            roles,
            users,
            next: AtomicU64::new(0),
        }
    }

    /// What sessions of roles are bound to.
    pub(crate) fn roles(&self) -> &ByBearer {
        &self.roles
    }

    /// What sessions of users are bound to.
    pub(crate) fn users(&self) -> &ByBearer {
        &self.users
    }

    /// A session of a role without anything of its own but the name.
    pub(crate) fn session_identity(&self, role: &str, session_name: &str) -> Option<Principal> {
        let role = self.roles.get(role)?;
        Some(role.principal.of_session(session_name, &self.region))
    }

    /// What a session may do here and now.
    pub(crate) fn bind(&self, session: &Session) -> Result<Arc<BoundSession>, TokenError> {
        let terms = match &session.bearer {
            Bearer::Role { arn, .. } => self.roles.get(arn),
            Bearer::User { arn } => self.users.get(arn),
        };
        let terms = terms.ok_or(TokenError::NoBearer)?;
        let mut principal = match &session.bearer {
            Bearer::Role { session_name, .. } => {
                terms.principal.of_session(session_name, &self.region)
            }
            // Source: IAM user guide, "Comparing AWS STS credentials": those of `GetSessionToken` are the user's own.
            Bearer::User { .. } => terms.principal.clone(),
        };
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
        Ok(Arc::new(BoundSession {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            views: RwLock::default(),
            known: Known {
                id: fresh(),
                cedar,
                tags: all_tags(&principal.tags),
                principal,
                layer: Arc::clone(&terms.layer),
                boundary: terms.boundary.clone(),
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
        self.callers
            .bearers
            .bind(&session)
            .ok()
            .map(Caller::Session)
    }
}

#[cfg(test)]
mod tests;
