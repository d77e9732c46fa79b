//! Tenant networks, and the networks in which their clients meet services.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;

use super::{AuthPolicyMode, AuthType, PolicyText};
use crate::{
    arn::Arn,
    id::{ServiceAssociationId, ServiceId, ServiceNetworkId, VpcAssociationId, VpcId},
    name::{AccountId, Name},
    problem::Place,
};

/// A tenant network.
#[derive(Debug, Clone, PartialEq)]
pub struct Vpc {
    /// Its id, given or derived.
    pub id: VpcId,
    /// Its ARN.
    pub arn: Arn,
    /// Its name, unique in the account.
    pub name: Name,
    /// Its owner.
    pub account: AccountId,
    /// Address ranges in use inside; IP targets must lie in one of them when any is given.
    pub cidrs: Vec<IpNet>,
    /// DNS servers that know the names of its targets; empty for those of the system.
    pub resolvers: Arc<[SocketAddr]>,
    /// The ways in which the gateway touches it.
    pub attachments: Vec<Attachment>,
    /// Where instances and load balancers live, by id or ARN.
    pub address_book: BTreeMap<Box<str>, IpAddr>,
}

impl Vpc {
    /// May something in the VPC have this address? The loopback network is always allowed, for demos and tests on one machine;
    /// addresses that no single machine has never are.
    pub fn may_hold(&self, address: IpAddr) -> bool {
        let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        let of_one_machine = !address.is_unspecified() && !address.is_multicast() && !broadcast;
        let inside = self.cidrs.is_empty()
            || address.is_loopback()
            || self.cidrs.iter().any(|cidr| cidr.contains(&address));
        of_one_machine && inside
    }
}

/// One way in which the gateway touches a VPC. The attachment, and nothing the client sends, decides the caller's VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Local addresses to listen on; connections that arrive there may belong to the VPC.
    pub listen: Vec<IpAddr>,
    /// Source ranges of the VPC's clients; empty means every source. The longest matching prefix wins between VPCs.
    pub sources: Vec<IpNet>,
}

/// Boundary within which associated services and clients may meet.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceNetwork {
    /// Its id.
    pub id: ServiceNetworkId,
    /// Its ARN.
    pub arn: Arn,
    /// Its name, unique in the account.
    pub name: Name,
    /// Its owner.
    pub account: AccountId,
    /// Does its policy count?
    pub auth_type: AuthType,
    /// Its policy.
    pub auth_policy: Option<PolicyText>,
    /// Is what its policy says enforced?
    pub auth_policy_mode: AuthPolicyMode,
    /// A candidate for its policy, evaluated beside it.
    pub shadow_auth_policy: Option<PolicyText>,
    /// VPCs whose clients may call. A VPC is in at most one network.
    pub vpcs: Vec<VpcAssociation>,
    /// Services that may be called.
    pub services: Vec<ServiceAssociation>,
    /// Tags, for those who look at the running configuration.
    pub tags: BTreeMap<String, String>,
    /// Where it is declared.
    pub place: Place,
}

/// Membership of a VPC in a service network.
#[derive(Debug, Clone, PartialEq)]
pub struct VpcAssociation {
    /// Its id.
    pub id: VpcAssociationId,
    /// The VPC.
    pub vpc: VpcId,
}

/// Membership of a service in a service network.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceAssociation {
    /// Its id.
    pub id: ServiceAssociationId,
    /// The service.
    pub service: ServiceId,
}
