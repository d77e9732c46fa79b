//! Associations of service networks with services, resource configurations and VPCs.

use serde::{Deserialize, Serialize};
use trellis_model::{
    id::{
        ResourceAssociationId, ResourceConfigurationId, ServiceAssociationId, ServiceId,
        ServiceNetworkId, VpcAssociationId, VpcId,
    },
    name::AccountId,
};

use super::{Resource, Scope, Stamp, Tags, Unit};
use crate::{
    catalog::{Catalog, Table},
    lattice::error::ResourceType,
};

/// Membership of a service in a service network.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceAssociation {
    pub(crate) id: ServiceAssociationId,
    /// Who made it.
    pub(crate) account: AccountId,
    pub(crate) created_at: Stamp,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
    pub(crate) service: ServiceId,
    pub(crate) network: ServiceNetworkId,
}

impl Resource for ServiceAssociation {
    const KIND: &'static str = "service-association";
    const TYPE: ResourceType = ResourceType::ServiceNetworkServiceAssociation;
    type Id = ServiceAssociationId;

    fn id(&self) -> Self::Id {
        self.id
    }
    fn account(&self) -> &AccountId {
        &self.account
    }
    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::Network(self.network), Scope::Service(self.service)]
    }
    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }
    fn tags_mut(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }
    fn units(&self) -> Vec<Unit> {
        vec![Unit::Network(self.network)]
    }
    fn table(catalog: &Catalog) -> &Table<Self> {
        &catalog.service_associations
    }
    fn table_mut(catalog: &mut Catalog) -> &mut Table<Self> {
        &mut catalog.service_associations
    }
}

/// Membership of a VPC in a service network.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VpcAssociation {
    pub(crate) id: VpcAssociationId,
    /// Who made it.
    pub(crate) account: AccountId,
    pub(crate) created_at: Stamp,
    pub(crate) last_updated_at: Stamp,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
    pub(crate) network: ServiceNetworkId,
    pub(crate) vpc: VpcId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) security_group_ids: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) private_dns_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dns_options: Option<DnsOptions>,
}

/// For which domains a VPC gets private DNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DnsOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) private_dns_preference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) private_dns_specified_domains: Option<Vec<String>>,
}

impl Resource for VpcAssociation {
    const KIND: &'static str = "vpc-association";
    const TYPE: ResourceType = ResourceType::ServiceNetworkVpcAssociation;
    type Id = VpcAssociationId;

    fn id(&self) -> Self::Id {
        self.id
    }
    fn account(&self) -> &AccountId {
        &self.account
    }
    fn scopes(&self) -> Vec<Scope> {
        vec![Scope::Network(self.network), Scope::Vpc(self.vpc.clone())]
    }
    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }
    fn tags_mut(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }
    fn units(&self) -> Vec<Unit> {
        vec![Unit::Network(self.network)]
    }
    fn table(catalog: &Catalog) -> &Table<Self> {
        &catalog.vpc_associations
    }
    fn table_mut(catalog: &mut Catalog) -> &mut Table<Self> {
        &mut catalog.vpc_associations
    }
}

/// Membership of a resource configuration in a service network.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResourceAssociation {
    pub(crate) id: ResourceAssociationId,
    /// Who made it.
    pub(crate) account: AccountId,
    pub(crate) created_at: Stamp,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
    pub(crate) configuration: ResourceConfigurationId,
    pub(crate) network: ServiceNetworkId,
    pub(crate) private_dns_enabled: bool,
}

impl Resource for ResourceAssociation {
    const KIND: &'static str = "resource-association";
    const TYPE: ResourceType = ResourceType::ServiceNetworkResourceAssociation;
    type Id = ResourceAssociationId;

    fn id(&self) -> Self::Id {
        self.id
    }
    fn account(&self) -> &AccountId {
        &self.account
    }
    fn scopes(&self) -> Vec<Scope> {
        vec![
            Scope::Network(self.network),
            Scope::ResourceConfiguration(self.configuration),
        ]
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
        &catalog.resource_associations
    }
    fn table_mut(catalog: &mut Catalog) -> &mut Table<Self> {
        &mut catalog.resource_associations
    }
}
