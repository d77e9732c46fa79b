//! Cedar, the one language in which every policy ends: the vocabulary that all of them share.
//!
//! [`translate`] turns IAM statements into Cedar policies, [`native`] reads Cedar as its author wrote it. Both are evaluated by
//! Cedar's own authorizer with entities and context in the words of [`SCHEMA`].

pub(crate) mod ask;
pub(crate) mod native;
pub(crate) mod reads;
pub(crate) mod translate;

use std::{
    collections::{BTreeMap, HashSet},
    str::FromStr,
};

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};

use crate::{
    facts::{Facts, iso_time},
    principal::{Principal, PrincipalType},
    request::Action,
};

/// The published schema: what native policies may name, in Cedar's own notation.
pub const SCHEMA: &str = include_str!("cedar/trellis.cedarschema");

/// Name of an action in Cedar.
pub(crate) fn action_name(action: Action) -> &'static str {
    match action {
        Action::Invoke => "Invoke",
        Action::Connect => "Connect",
    }
}

/// The entity types, parsed once: parsing one costs more than a cached decision.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    account: EntityTypeName,
    user: EntityTypeName,
    role: EntityTypeName,
    session: EntityTypeName,
    anonymous: EntityTypeName,
    service: EntityTypeName,
    headers: EntityTypeName,
    query: EntityTypeName,
    actions: [EntityUid; 2],
}

/// A text, number or entity that Cedar did not take; impossible for what this crate builds, and a refusal where it happens.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct CedarError(pub(crate) String);

impl CedarError {
    pub(crate) fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl Vocabulary {
    pub(crate) fn new() -> Result<Self, CedarError> {
        let name = |text: &str| {
            EntityTypeName::from_str(&format!("Trellis::{text}")).map_err(CedarError::new)
        };
        let action_type = name("Action")?;
        let action = |action| {
            EntityUid::from_type_name_and_id(
                action_type.clone(),
                EntityId::new(action_name(action)),
            )
        };
        Ok(Self {
            account: name("Account")?,
            user: name("User")?,
            role: name("Role")?,
            session: name("Session")?,
            anonymous: name("Anonymous")?,
            service: name("Service")?,
            headers: name("Headers")?,
            query: name("Query")?,
            actions: Action::ALL.map(action),
        })
    }

    pub(crate) fn action(&self, action: Action) -> EntityUid {
        let [invoke, connect] = &self.actions;
        match action {
            Action::Invoke => invoke.clone(),
            Action::Connect => connect.clone(),
        }
    }

    pub(crate) fn service(&self, arn: &str) -> EntityUid {
        uid(&self.service, arn)
    }

    pub(crate) fn headers(&self) -> EntityUid {
        uid(&self.headers, "request")
    }

    pub(crate) fn query(&self) -> EntityUid {
        uid(&self.query, "request")
    }

    /// The caller that carries no signature.
    pub(crate) fn anonymous(&self) -> Result<(EntityUid, Vec<Entity>), CedarError> {
        let anonymous = uid(&self.anonymous, "anonymous");
        let attributes = [
            text("account", "anonymous"),
            text("kind", "Anonymous"),
            text("userId", "anonymous"),
        ];
        let entity = Entity::new_with_tags(anonymous.clone(), attributes, [], [])
            .map_err(CedarError::new)?;
        Ok((anonymous, vec![entity]))
    }

    /// A principal with everything that it belongs to.
    pub(crate) fn principal(
        &self,
        principal: &Principal,
    ) -> Result<(EntityUid, Vec<Entity>), CedarError> {
        let account = uid(&self.account, principal.account.as_str());
        let role = uid(&self.role, &principal.principal_arn);
        let (own, parent, role) = match principal.kind {
            PrincipalType::User => (uid(&self.user, &principal.arn), account.clone(), None),
            PrincipalType::AssumedRole => {
                (uid(&self.session, &principal.arn), role.clone(), Some(role))
            }
        };
        let tags = all_tags(&principal.tags).into_iter().map(|(key, value)| {
            let value = RestrictedExpression::new_string(value.into());
            (key.into(), value)
        });
        let entity = Entity::new_with_tags(own.clone(), attributes(principal), [parent], tags)
            .map_err(CedarError::new)?;
        let mut entities = vec![entity];
        entities
            .extend(role.map(|role| Entity::new_no_attrs(role, HashSet::from([account.clone()]))));
        entities.push(Entity::with_uid(account));
        Ok((own, entities))
    }

    /// The service with its tags.
    pub(crate) fn service_entity(&self, facts: &Facts<'_>) -> Result<Entity, CedarError> {
        let attributes = [text("arn", facts.service_arn)];
        let tags = facts.service_tags.iter().map(|(key, value)| {
            (
                key.to_string(),
                RestrictedExpression::new_string(value.to_string()),
            )
        });
        Entity::new_with_tags(self.service(facts.service_arn), attributes, [], tags)
            .map_err(CedarError::new)
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn text(name: &str, value: &str) -> (String, RestrictedExpression) {
    (
        name.to_owned(),
        RestrictedExpression::new_string(value.to_owned()),
    )
}

fn attributes(principal: &Principal) -> Vec<(String, RestrictedExpression)> {
    let mut attributes = vec![
        text("arn", &principal.arn),
        text("principalArn", &principal.principal_arn),
        text("account", principal.account.as_str()),
        text("kind", principal.kind.as_str()),
        text("userId", &principal.user_id),
    ];
    attributes.extend(principal.user_name().map(|name| text("username", name)));
    let source_identity = principal.source_identity.as_deref();
    attributes.extend(source_identity.map(|name| text("sourceIdentity", name)));
    let provider = principal.federated_provider.as_deref();
    attributes.extend(provider.map(|arn| text("federatedProvider", arn)));
    attributes.extend(principal.issued.map(|issued| {
        let issued = RestrictedExpression::new_datetime(iso_time(issued));
        ("tokenIssueTime".to_owned(), issued)
    }));
    if let Some(organization) = &principal.organization {
        attributes.push(text("organization", &organization.id));
        if !organization.paths.is_empty() {
            let paths = organization.paths.iter();
            let paths = paths.map(|path| RestrictedExpression::new_string(path.to_string()));
            attributes.push((
                "organizationPaths".to_owned(),
                RestrictedExpression::new_set(paths),
            ));
        }
    }
    attributes
}

/// Tags by key in lower case.
pub(crate) fn lower_case_tags<'a>(
    tags: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Vec<(Box<str>, Box<str>)> {
    let mut lower: Vec<(Box<str>, Box<str>)> = Vec::new();
    for (key, value) in tags {
        let key: Box<str> = key.to_lowercase().into();
        // Two keys that differ in case only: AWS refuses them, here the first in order counts.
        if !lower.iter().any(|(known, _)| *known == key) {
            lower.push((key, value.as_str().into()));
        }
    }
    lower
}

/// Tags by key as written and, because IAM compares their keys without case, in lower case; in order.
pub(crate) fn all_tags(written: &BTreeMap<String, String>) -> Box<[(Box<str>, Box<str>)]> {
    let mut all: BTreeMap<Box<str>, Box<str>> = BTreeMap::new();
    for (key, value) in written {
        all.insert(key.as_str().into(), value.as_str().into());
    }
    all.extend(lower_case_tags(written));
    all.into_iter().collect()
}

#[cfg(test)]
mod tests;
