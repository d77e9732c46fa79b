//! Service networks.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use trellis_model::{
    id::ServiceNetworkId,
    name::{AccountId, Name},
};

use super::{AuthType, Resource, Scope, Sharing, Stamp, Tags, Unit};
use crate::{
    catalog::{Catalog, Table},
    lattice::error::ResourceType,
};

/// A service network.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceNetwork {
    pub(crate) id: ServiceNetworkId,
    pub(crate) account: AccountId,
    pub(crate) name: Name,
    pub(crate) created_at: Stamp,
    pub(crate) last_updated_at: Stamp,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
    pub(crate) auth_type: AuthType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sharing_config: Option<SharingConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) auth_policy: Option<String>,
    #[serde(default, skip_serializing_if = "Sharing::is_none")]
    pub(crate) sharing: Sharing,
}

impl ServiceNetwork {
    /// Is it shared, or was it created to be? Any network can be shared here, so it is not enough that nothing forbids it.
    pub(crate) fn is_shareable(&self) -> bool {
        let meant = self.sharing_config.and_then(|config| config.enabled);
        meant == Some(true) || !self.guests().is_empty()
    }
}

/// May it be shared with other accounts?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SharingConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<bool>,
}

impl Resource for ServiceNetwork {
    const KIND: &'static str = "service-network";
    const TYPE: ResourceType = ResourceType::ServiceNetwork;
    type Id = ServiceNetworkId;

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
        vec![Unit::Network(self.id)]
    }
    fn table(catalog: &Catalog) -> &Table<Self> {
        &catalog.networks
    }
    fn table_mut(catalog: &mut Catalog) -> &mut Table<Self> {
        &mut catalog.networks
    }
}
