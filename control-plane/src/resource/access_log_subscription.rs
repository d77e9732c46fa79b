//! Subscriptions to access records.

use serde::{Deserialize, Serialize};
use trellis_model::{id::AccessLogSubscriptionId, name::AccountId};

use super::{Resource, Scope, Stamp, Tags, Unit};
use crate::{
    catalog::{Catalog, Table},
    lattice::error::ResourceType,
};

/// Which records a subscription to a service network is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum LogType {
    #[default]
    Service,
    Resource,
}

/// A subscription to access records.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessLogSubscription {
    pub(crate) id: AccessLogSubscriptionId,
    pub(crate) account: AccountId,
    pub(crate) created_at: Stamp,
    pub(crate) last_updated_at: Stamp,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
    /// Id of the service network, service or resource configuration.
    pub(crate) resource_id: String,
    pub(crate) resource_arn: String,
    pub(crate) destination_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service_network_log_type: Option<LogType>,
}

impl AccessLogSubscription {
    /// Whose records it is for, as a scope.
    pub(crate) fn subject(&self) -> Option<Scope> {
        let id = self.resource_id.as_str();
        let network = id.parse().ok().map(Scope::Network);
        let service = || id.parse().ok().map(Scope::Service);
        let configuration = || id.parse().ok().map(Scope::ResourceConfiguration);
        network.or_else(service).or_else(configuration)
    }
}

impl Resource for AccessLogSubscription {
    const KIND: &'static str = "access-log-subscription";
    const TYPE: ResourceType = ResourceType::AccessLogSubscription;
    type Id = AccessLogSubscriptionId;

    fn id(&self) -> Self::Id {
        self.id
    }
    fn account(&self) -> &AccountId {
        &self.account
    }
    fn scopes(&self) -> Vec<Scope> {
        self.subject().into_iter().collect()
    }
    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }
    fn tags_mut(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }
    fn units(&self) -> Vec<Unit> {
        vec![Unit::Subscriptions]
    }
    fn table(catalog: &Catalog) -> &Table<Self> {
        &catalog.access_log_subscriptions
    }
    fn table_mut(catalog: &mut Catalog) -> &mut Table<Self> {
        &mut catalog.access_log_subscriptions
    }
}
