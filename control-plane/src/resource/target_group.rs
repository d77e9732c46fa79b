//! Target groups and their targets.

use serde::{Deserialize, Serialize};
use trellis_model::{
    id::{TargetGroupId, VpcId},
    name::{AccountId, Name},
};

use super::{Resource, Scope, Stamp, Tags, Unit};
use crate::{
    catalog::{Catalog, Table},
    lattice::error::ResourceType,
};

/// What the targets of a group are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TargetGroupType {
    Ip,
    Lambda,
    Instance,
    Alb,
}

/// What targets speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TargetProtocol {
    Http,
    Https,
    Tcp,
}

/// Which HTTP they speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TargetProtocolVersion {
    Http1,
    Http2,
    Grpc,
}

/// Which addresses they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum IpAddressType {
    Ipv4,
    Ipv6,
}

/// Which events functions get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum LambdaEventStructureVersion {
    V1,
    V2,
}

/// A target group.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TargetGroup {
    pub(crate) id: TargetGroupId,
    pub(crate) account: AccountId,
    pub(crate) name: Name,
    pub(crate) created_at: Stamp,
    pub(crate) last_updated_at: Stamp,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
    #[serde(rename = "type")]
    pub(crate) kind: TargetGroupType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) config: Option<TargetGroupConfig>,
}

/// What a target group is told about its targets. As stored, every default is filled in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TargetGroupConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) protocol: Option<TargetProtocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) protocol_version: Option<TargetProtocolVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_address_type: Option<IpAddressType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vpc_identifier: Option<VpcId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) health_check: Option<HealthCheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lambda_event_structure_version: Option<LambdaEventStructureVersion>,
}

/// How targets are checked.
#[expect(clippy::struct_field_names, reason = "the API's own names")]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HealthCheck {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) protocol: Option<TargetProtocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) protocol_version: Option<TargetProtocolVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) health_check_interval_seconds: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) health_check_timeout_seconds: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) healthy_threshold_count: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unhealthy_threshold_count: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) matcher: Option<Matcher>,
}

/// Which answers count as healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Matcher {
    HttpCode(String),
}

impl Resource for TargetGroup {
    const KIND: &'static str = "target-group";
    const TYPE: ResourceType = ResourceType::TargetGroup;
    type Id = TargetGroupId;

    fn id(&self) -> Self::Id {
        self.id
    }
    fn account(&self) -> &AccountId {
        &self.account
    }
    fn scopes(&self) -> Vec<Scope> {
        let vpc = self.config.as_ref().and_then(|c| c.vpc_identifier.clone());
        vpc.map(Scope::Vpc).into_iter().collect()
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
        vec![Unit::Group(self.id)]
    }
    fn table(catalog: &Catalog) -> &Table<Self> {
        &catalog.target_groups
    }
    fn table_mut(catalog: &mut Catalog) -> &mut Table<Self> {
        &mut catalog.target_groups
    }
}

/// The registered targets of a group, in the order of their registration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Targets {
    pub(crate) group: TargetGroupId,
    pub(crate) account: AccountId,
    #[serde(rename = "targets")]
    pub(crate) registered: Vec<Target>,
}

/// A target. Those of functions have no port; all others have one once they are stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Target {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
}

impl Resource for Targets {
    const KIND: &'static str = "targets";
    const TYPE: ResourceType = ResourceType::TargetGroup;
    type Id = TargetGroupId;

    fn id(&self) -> Self::Id {
        self.group
    }
    fn account(&self) -> &AccountId {
        &self.account
    }
    fn units(&self) -> Vec<Unit> {
        vec![Unit::Group(self.group)]
    }
    fn table(catalog: &Catalog) -> &Table<Self> {
        &catalog.targets
    }
    fn table_mut(catalog: &mut Catalog) -> &mut Table<Self> {
        &mut catalog.targets
    }
}
