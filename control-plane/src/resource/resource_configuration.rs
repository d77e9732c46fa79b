//! Resource configurations: what is reached through a resource gateway.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use trellis_model::{
    id::{DomainVerificationId, ResourceConfigurationId, ResourceGatewayId},
    name::{AccountId, DomainName, Name},
};

use super::{IpVersions, Resource, Scope, Sharing, Stamp, Tags, Unit};
use crate::{
    catalog::{Catalog, Table},
    lattice::error::ResourceType,
};

/// What a resource configuration stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum ResourceConfigurationType {
    /// One resource.
    Single,
    /// Several, its children.
    Group,
    /// One resource of a group.
    Child,
    /// A resource of AWS.
    Arn,
    /// A part of a network.
    Cidr,
}

impl ResourceConfigurationType {
    /// As the API has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Single => "SINGLE",
            Self::Group => "GROUP",
            Self::Child => "CHILD",
            Self::Arn => "ARN",
            Self::Cidr => "CIDR",
        }
    }
}

/// What clients of a resource speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ResourceProtocol {
    #[default]
    Tcp,
    TcpUdp,
}

/// Where the resource is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Definition {
    #[serde(rename = "dnsResource")]
    Dns(DnsResource),
    #[serde(rename = "ipResource")]
    Ip(IpResource),
    #[serde(rename = "arnResource")]
    Arn(ArnResource),
    #[serde(rename = "cidrResource")]
    Cidr(CidrResource),
}

impl Definition {
    /// The member of the API's union.
    pub(crate) fn member(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dnsResource",
            Self::Ip(_) => "ipResource",
            Self::Arn(_) => "arnResource",
            Self::Cidr(_) => "cidrResource",
        }
    }
}

/// A name in DNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DnsResource {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) domain_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_address_type: Option<IpVersions>,
}

/// An address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IpResource {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_address: Option<String>,
}

/// A resource of AWS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ArnResource {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) arn: Option<String>,
}

/// Parts of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CidrResource {
    #[serde(default)]
    pub(crate) cidr_ranges: Vec<String>,
}

/// A resource configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResourceConfiguration {
    pub(crate) id: ResourceConfigurationId,
    pub(crate) account: AccountId,
    pub(crate) name: Name,
    pub(crate) created_at: Stamp,
    pub(crate) last_updated_at: Stamp,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
    #[serde(rename = "type")]
    pub(crate) kind: ResourceConfigurationType,
    /// The gateway; a child has its group's.
    #[serde(rename = "resourceGatewayId")]
    pub(crate) gateway: ResourceGatewayId,
    /// The group of a child.
    #[serde(
        rename = "resourceConfigurationGroupId",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) group: Option<ResourceConfigurationId>,
    #[serde(
        rename = "resourceConfigurationDefinition",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) definition: Option<Definition>,
    /// As given; a child without has its group's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) port_ranges: Option<Vec<String>>,
    /// Absent where it makes no sense: of resources of AWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) protocol: Option<ResourceProtocol>,
    pub(crate) allow_association_to_shareable_service_network: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) custom_domain_name: Option<DomainName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group_domain: Option<DomainName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) domain_verification_id: Option<DomainVerificationId>,
    #[serde(default, skip_serializing_if = "Sharing::is_none")]
    pub(crate) sharing: Sharing,
}

impl Resource for ResourceConfiguration {
    const KIND: &'static str = "resource-configuration";
    const TYPE: ResourceType = ResourceType::ResourceConfiguration;
    type Id = ResourceConfigurationId;

    fn id(&self) -> Self::Id {
        self.id
    }
    fn account(&self) -> &AccountId {
        &self.account
    }
    fn scopes(&self) -> Vec<Scope> {
        let mut scopes = vec![Scope::ResourceGateway(self.gateway)];
        let group = self.group;
        scopes.extend(group.map(Scope::ResourceConfiguration));
        scopes.extend(self.domain_verification_id.map(Scope::DomainVerification));
        scopes
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
        Vec::new()
    }
    fn table(catalog: &Catalog) -> &Table<Self> {
        &catalog.resource_configurations
    }
    fn table_mut(catalog: &mut Catalog) -> &mut Table<Self> {
        &mut catalog.resource_configurations
    }
}
