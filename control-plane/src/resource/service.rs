//! Services.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use trellis_model::{
    id::ServiceId,
    name::{AccountId, DomainName, Name},
};

use super::{Resource, Scope, Sharing, Stamp, Tags, Unit};
use crate::{
    catalog::{Catalog, Table},
    lattice::error::ResourceType,
};

/// Does an auth policy count?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum AuthType {
    #[default]
    None,
    AwsIam,
}

/// A service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Service {
    pub(crate) id: ServiceId,
    pub(crate) account: AccountId,
    pub(crate) name: Name,
    pub(crate) created_at: Stamp,
    pub(crate) last_updated_at: Stamp,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) custom_domain_name: Option<DomainName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate_arn: Option<String>,
    pub(crate) auth_type: AuthType,
    pub(crate) idle_timeout_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) auth_policy: Option<String>,
    #[serde(default, skip_serializing_if = "Sharing::is_none")]
    pub(crate) sharing: Sharing,
}

impl Resource for Service {
    const KIND: &'static str = "service";
    const TYPE: ResourceType = ResourceType::Service;
    type Id = ServiceId;

    fn id(&self) -> Self::Id {
        self.id
    }
    fn account(&self) -> &AccountId {
        &self.account
    }
    fn name(&self) -> Option<(Scope, &str)> {
        Some((Scope::Account(self.account.clone()), self.name.as_str()))
    }
    fn guests(&self) -> BTreeSet<AccountId> {
        self.sharing.guests()
    }
    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }
    fn tags_mut(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }
    fn units(&self) -> Vec<Unit> {
        vec![Unit::Service(self.id)]
    }
    fn table(catalog: &Catalog) -> &Table<Self> {
        &catalog.services
    }
    fn table_mut(catalog: &mut Catalog) -> &mut Table<Self> {
        &mut catalog.services
    }
}
