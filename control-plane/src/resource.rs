//! What the control plane keeps: one type for each kind of resource, in the vocabulary of the VPC Lattice API.
//!
//! A resource is stored as JSON under a key of its own (`service/svc-…`). Beside it stand keys without a value of interest: one that
//! makes its name unique (`name/…`) and one for each resource that it hangs on (`use/…`), so that a transaction can demand that a
//! name is free, or that nothing hangs on what it removes.

mod access_log_subscription;
mod association;
mod domain_verification;
mod listener;
mod network;
mod principal;
mod resource_configuration;
mod resource_gateway;
mod service;
mod sharing;
mod stamp;
mod target_group;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Debug, Display},
    hash::Hash,
    str::FromStr,
};

use serde::{Serialize, de::DeserializeOwned};
use trellis_model::{
    id::{
        DomainVerificationId, ListenerId, PolicyId, ResourceConfigurationId, ResourceGatewayId,
        RoleId, ServiceId, ServiceNetworkId, TargetGroupId, UserId, VpcId,
    },
    name::AccountId,
};

pub(crate) use self::{
    access_log_subscription::{AccessLogSubscription, LogType},
    association::{DnsOptions, ResourceAssociation, ServiceAssociation, VpcAssociation},
    domain_verification::{DomainVerification, TxtRecord, is_within},
    listener::{
        Action, FixedResponse, Forward, HeaderMatch, HeaderMatchType, HttpMatch, Listener,
        ListenerProtocol, PathMatch, PathMatchType, Rule, RuleMatch, WeightedTargetGroup,
    },
    network::{ServiceNetwork, SharingConfig},
    principal::{
        AccessKey, Hidden, Iam, Identity, IdentityPolicies, KeyStatus, ManagedPolicy, Role, User,
        iam_arn,
    },
    resource_configuration::{
        ArnResource, CidrResource, Definition, DnsResource, IpResource, ResourceConfiguration,
        ResourceConfigurationType, ResourceProtocol,
    },
    resource_gateway::{DnsResolution, IpVersions, ResourceGateway},
    service::{AuthType, Service},
    sharing::Sharing,
    stamp::Stamp,
    target_group::{
        HealthCheck, IpAddressType, LambdaEventStructureVersion, Matcher, Target, TargetGroup,
        TargetGroupConfig, TargetGroupType, TargetProtocol, TargetProtocolVersion, Targets,
    },
};
use crate::{
    catalog::{Catalog, Table},
    lattice::error::ResourceType,
};

/// Tags of a resource.
pub(crate) type Tags = BTreeMap<String, String>;

/// What lists ask by, and what a resource hangs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Scope {
    Account(AccountId),
    Network(ServiceNetworkId),
    Service(ServiceId),
    Listener(ListenerId),
    Group(TargetGroupId),
    ResourceGateway(ResourceGatewayId),
    ResourceConfiguration(ResourceConfigurationId),
    DomainVerification(DomainVerificationId),
    Vpc(VpcId),
    Policy(PolicyId),
}

impl Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => Display::fmt(id, f),
            Self::Network(id) => Display::fmt(id, f),
            Self::Service(id) => Display::fmt(id, f),
            Self::Listener(id) => Display::fmt(id, f),
            Self::Group(id) => Display::fmt(id, f),
            Self::ResourceGateway(id) => Display::fmt(id, f),
            Self::ResourceConfiguration(id) => Display::fmt(id, f),
            Self::DomainVerification(id) => Display::fmt(id, f),
            Self::Vpc(id) => Display::fmt(id, f),
            Self::Policy(id) => Display::fmt(id, f),
        }
    }
}

/// A part of the configuration of the data plane that has to be compiled again when a resource changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Unit {
    // In the order in which they are compiled: services forward to groups.
    Group(TargetGroupId),
    Network(ServiceNetworkId),
    Service(ServiceId),
    Subscriptions,
    User(UserId),
    Role(RoleId),
}

/// A kind of resource.
pub(crate) trait Resource:
    Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static
{
    /// First part of its keys, `service`.
    const KIND: &'static str;
    /// What errors call it.
    const TYPE: ResourceType;
    /// What tells resources of the kind apart.
    type Id: Copy + Ord + Hash + Display + FromStr + Debug + Send + Sync;

    /// Its id.
    fn id(&self) -> Self::Id;
    /// Its owner.
    fn account(&self) -> &AccountId;
    /// Where lists find it, its account aside.
    fn scopes(&self) -> Vec<Scope> {
        Vec::new()
    }
    /// Its name, and within what it is unique.
    fn name(&self) -> Option<(Scope, &str)> {
        None
    }
    /// The accounts that it is shared with.
    fn guests(&self) -> BTreeSet<AccountId> {
        BTreeSet::new()
    }
    /// Its tags, if it can have any.
    fn tags(&self) -> Option<&Tags> {
        None
    }
    /// The same, to change them.
    fn tags_mut(&mut self) -> Option<&mut Tags> {
        None
    }
    /// What the data plane has to compile again when it changes.
    fn units(&self) -> Vec<Unit>;
    /// Where the catalog keeps its kind.
    fn table(catalog: &Catalog) -> &Table<Self>;
    /// The same, to change it.
    fn table_mut(catalog: &mut Catalog) -> &mut Table<Self>;
}

/// The key of a resource.
pub(crate) fn key_of<T: Resource>(id: T::Id) -> String {
    format!("{}/{id}", T::KIND)
}

/// The key that makes a name unique.
pub(crate) fn name_key<T: Resource>(scope: &Scope, name: &str) -> String {
    format!("name/{}/{scope}/{name}", T::KIND)
}

/// What every key begins with that says what hangs on a resource.
pub(crate) fn use_prefix(scope: &Scope) -> String {
    format!("use/{scope}/")
}

/// The key that says that a resource hangs on another.
pub(crate) fn use_key<T: Resource>(scope: &Scope, id: T::Id) -> String {
    format!("use/{scope}/{}/{id}", T::KIND)
}
