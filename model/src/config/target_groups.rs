//! Target groups and targets.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use super::{Balancing, ConnectionPool, Discovery, HealthCheck, OutlierDetection, TargetTls};
use crate::{
    arn::Arn,
    id::{TargetGroupId, VpcId},
    name::{AccountId, Name},
    problem::Place,
};

/// Kind of the targets of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetGroupType {
    /// IP addresses in the VPC.
    Ip,
    /// Instances, `i-…`, located by the VPC's address book.
    Instance,
    /// An application load balancer, located by the VPC's address book; it checks the health of its own targets.
    Alb,
}

/// Is the connection to a target encrypted?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetProtocol {
    /// In the clear.
    Http,
    /// TLS; the target's certificate is verified where its group has [`TargetTls`], and not, as in VPC Lattice, where not.
    Https,
}

/// HTTP version spoken to targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProtocolVersion {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// gRPC over HTTP/2.
    Grpc,
}

/// Targets sharing protocol and health check.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetGroup {
    /// Its id.
    pub id: TargetGroupId,
    /// Its ARN.
    pub arn: Arn,
    /// Its name, unique in the account.
    pub name: Name,
    /// Its owner.
    pub account: AccountId,
    /// Kind of its targets.
    pub kind: TargetGroupType,
    /// Is the connection to targets encrypted?
    pub protocol: TargetProtocol,
    /// HTTP version spoken to targets.
    pub version: ProtocolVersion,
    /// The VPC that the targets live in; connections to them are made inside it.
    pub vpc: VpcId,
    /// How targets are checked; `None` for types that are not checked (ALB).
    pub health_check: Option<Arc<HealthCheck>>,
    /// How requests are spread over the targets.
    pub balancing: Arc<Balancing>,
    /// When a target that fails requests gets none for a while; `None`: never.
    pub outlier_detection: Option<Box<OutlierDetection>>,
    /// Connections to its targets, and how many requests each may have.
    pub connection_pool: ConnectionPool,
    /// How they are verified, if they are.
    pub tls: Option<Box<TargetTls>>,
    /// The name by which its targets are found, if they are; it lists none then.
    pub discovery: Option<Discovery>,
    /// The targets, no (id, port) twice.
    pub targets: Vec<Target>,
    /// Tags, for those who look at the running configuration.
    pub tags: BTreeMap<String, String>,
    /// Where it is declared.
    pub place: Place,
}

/// One address and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// As registered: an IP address, `i-…` or the ARN of a load balancer.
    pub id: Box<str>,
    /// Where requests go: the target's own address and port, or the group's port.
    pub address: SocketAddr,
    /// Share of the group's requests relative to the other targets: `1..=1000`, default 1.
    pub weight: u16,
    /// The zone that it is in.
    pub zone: Option<Box<str>>,
}

impl Target {
    /// A target of weight 1 in no zone.
    pub fn new(id: &str, address: SocketAddr) -> Self {
        Self {
            id: id.into(),
            address,
            weight: 1,
            zone: None,
        }
    }
}
