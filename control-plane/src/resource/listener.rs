//! Listeners, rules and what they do.
//!
//! Conditions and actions are kept as they were sent: clients compare what they get with what they sent, member by member.

use serde::{Deserialize, Serialize};
use trellis_model::{
    id::{ListenerId, RuleId, ServiceId, TargetGroupId},
    name::{AccountId, Name},
};

use super::{Resource, Scope, Stamp, Tags, Unit};
use crate::{
    catalog::{Catalog, Table},
    lattice::error::ResourceType,
};

/// What clients of a listener speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ListenerProtocol {
    Http,
    Https,
    TlsPassthrough,
}

/// A listener.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listener {
    pub(crate) id: ListenerId,
    pub(crate) account: AccountId,
    pub(crate) service: ServiceId,
    pub(crate) name: Name,
    pub(crate) created_at: Stamp,
    pub(crate) last_updated_at: Stamp,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
    pub(crate) protocol: ListenerProtocol,
    pub(crate) port: u16,
    /// The action of the default rule, which has a document of its own, [`Rule::is_default`].
    pub(crate) default_action: Action,
    pub(crate) default_rule: RuleId,
}

impl Resource for Listener {
    const KIND: &'static str = "listener";
    const TYPE: ResourceType = ResourceType::Listener;
    type Id = ListenerId;

    fn id(&self) -> Self::Id {
        self.id
    }
    fn account(&self) -> &AccountId {
        &self.account
    }
    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::Service(self.service)]
    }
    fn name(&self) -> Option<(Scope, &str)> {
        Some((Scope::Service(self.service), self.name.as_str()))
    }
    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }
    fn tags_mut(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }
    fn units(&self) -> Vec<Unit> {
        vec![Unit::Service(self.service)]
    }
    fn table(catalog: &Catalog) -> &Table<Self> {
        &catalog.listeners
    }
    fn table_mut(catalog: &mut Catalog) -> &mut Table<Self> {
        &mut catalog.listeners
    }
}

/// A rule; the default rule has neither priority nor condition.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rule {
    pub(crate) id: RuleId,
    pub(crate) account: AccountId,
    pub(crate) service: ServiceId,
    pub(crate) listener: ListenerId,
    pub(crate) name: Name,
    pub(crate) is_default: bool,
    pub(crate) created_at: Stamp,
    pub(crate) last_updated_at: Stamp,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<u16>,
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub(crate) condition: Option<RuleMatch>,
    pub(crate) action: Action,
}

impl Resource for Rule {
    const KIND: &'static str = "rule";
    const TYPE: ResourceType = ResourceType::Rule;
    type Id = RuleId;

    fn id(&self) -> Self::Id {
        self.id
    }
    fn account(&self) -> &AccountId {
        &self.account
    }
    fn scopes(&self) -> Vec<Scope> {
        let mut scopes = vec![Scope::Listener(self.listener)];
        scopes.extend(self.action.groups().map(Scope::Group));
        scopes
    }
    fn name(&self) -> Option<(Scope, &str)> {
        Some((Scope::Listener(self.listener), self.name.as_str()))
    }
    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }
    fn tags_mut(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }
    fn units(&self) -> Vec<Unit> {
        vec![Unit::Service(self.service)]
    }
    fn table(catalog: &Catalog) -> &Table<Self> {
        &catalog.rules
    }
    fn table_mut(catalog: &mut Catalog) -> &mut Table<Self> {
        &mut catalog.rules
    }
}

/// When a rule applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum RuleMatch {
    HttpMatch(HttpMatch),
}

/// Conditions on a request, all of which must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HttpMatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path_match: Option<PathMatch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) header_matches: Option<Vec<HeaderMatch>>,
}

/// A condition on the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PathMatch {
    #[serde(rename = "match")]
    pub(crate) kind: PathMatchType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) case_sensitive: Option<bool>,
}

/// How a path is compared, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum PathMatchType {
    Exact(String),
    Prefix(String),
}

/// A condition on a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HeaderMatch {
    pub(crate) name: String,
    #[serde(rename = "match")]
    pub(crate) kind: HeaderMatchType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) case_sensitive: Option<bool>,
}

/// How a header value is compared, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum HeaderMatchType {
    Exact(String),
    Prefix(String),
    Contains(String),
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Action {
    Forward(Forward),
    FixedResponse(FixedResponse),
}

/// Sends requests to target groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Forward {
    pub(crate) target_groups: Vec<WeightedTargetGroup>,
}

/// A target group, always by its id once stored, and its share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WeightedTargetGroup {
    pub(crate) target_group_identifier: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<u16>,
}

/// Answers requests with a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FixedResponse {
    pub(crate) status_code: u16,
}

impl Action {
    /// The target groups of a stored action.
    pub(crate) fn groups(&self) -> impl Iterator<Item = TargetGroupId> {
        let groups = match self {
            Self::Forward(forward) => forward.target_groups.as_slice(),
            Self::FixedResponse(_) => &[],
        };
        groups
            .iter()
            .filter_map(|group| group.target_group_identifier.parse().ok())
    }
}
