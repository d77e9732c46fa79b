//! Resource gateways: the ways into a VPC for what is reached through resource configurations.

use serde::{Deserialize, Serialize};
use trellis_model::{
    id::{ResourceGatewayId, VpcId},
    name::{AccountId, Name},
};

use super::{Resource, Scope, Stamp, Tags, Unit};
use crate::{
    catalog::{Catalog, Table},
    lattice::error::ResourceType,
};

/// Which versions of IP something speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum IpVersions {
    #[default]
    Ipv4,
    Ipv6,
    DualStack,
}

impl IpVersions {
    /// Does this reach all that speaks `other`?
    pub(crate) fn reaches(self, other: Self) -> bool {
        self == Self::DualStack || self == other
    }

    /// As the API has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPV4",
            Self::Ipv6 => "IPV6",
            Self::DualStack => "DUALSTACK",
        }
    }
}

/// Who is asked for the names of resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum DnsResolution {
    #[default]
    Public,
    InVpc,
}

/// A resource gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResourceGateway {
    pub(crate) id: ResourceGatewayId,
    pub(crate) account: AccountId,
    pub(crate) name: Name,
    pub(crate) created_at: Stamp,
    pub(crate) last_updated_at: Stamp,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
    pub(crate) vpc_id: VpcId,
    #[serde(default)]
    pub(crate) subnet_ids: Vec<String>,
    #[serde(default)]
    pub(crate) security_group_ids: Vec<String>,
    pub(crate) ip_address_type: IpVersions,
    /// Absent where the gateway has no IPv4 addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ipv4_addresses_per_eni: Option<u32>,
    pub(crate) resource_config_dns_resolution: DnsResolution,
}

impl Resource for ResourceGateway {
    const KIND: &'static str = "resource-gateway";
    const TYPE: ResourceType = ResourceType::ResourceGateway;
    type Id = ResourceGatewayId;

    fn id(&self) -> Self::Id {
        self.id
    }
    fn account(&self) -> &AccountId {
        &self.account
    }
    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::Vpc(self.vpc_id.clone())]
    }
    fn name(&self) -> Option<(Scope, &str)> {
        Some((Scope::Account(self.account.clone()), self.name.as_str()))
    }
    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }
    fn tags_mut(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }
    fn units(&self) -> Vec<Unit> {
        Vec::new()
    }
    fn table(catalog: &Catalog) -> &Table<Self> {
        &catalog.resource_gateways
    }
    fn table_mut(catalog: &mut Catalog) -> &mut Table<Self> {
        &mut catalog.resource_gateways
    }
}
