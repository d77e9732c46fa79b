//! Targets and how they are checked.

use std::{collections::BTreeMap, net::SocketAddr, ops::RangeInclusive, time::Duration};

use super::{Balancing, ConnectionPool, OutlierDetection};
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
    /// TLS; the target's certificate is not verified, as in VPC Lattice.
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
#[derive(Debug, Clone)]
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
    pub health_check: Option<HealthCheck>,
    /// How requests are spread over the targets.
    pub balancing: Balancing,
    /// When a target that fails requests gets none for a while; `None`: never.
    pub outlier_detection: Option<OutlierDetection>,
    /// How many requests each target may have at a time; `None` for any number.
    pub connection_pool: Option<ConnectionPool>,
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

/// How targets are checked. Defaults are those of the specification, §5.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// Are probes sent at all? Default: only for HTTP/1.1 groups.
    pub enabled: bool,
    /// Protocol of the probe. Default HTTP.
    pub protocol: TargetProtocol,
    /// Version of the probe: HTTP/1.1 or HTTP/2.
    pub version: ProtocolVersion,
    /// Port of the probe; `None` for the port on which the target receives traffic.
    pub port: Option<u16>,
    /// Path of the probe, query included. Default `/`.
    pub path: Box<str>,
    /// From the start of one probe to the start of the next: `5..=300` s, default 30.
    pub interval: Duration,
    /// Longest wait for the answer: `1..=120` s, default 5.
    pub timeout: Duration,
    /// Successes in a row that make an unhealthy target healthy: `2..=10`, default 5.
    pub healthy_threshold: u8,
    /// Failures in a row that make a healthy target unhealthy: `2..=10`, default 2.
    pub unhealthy_threshold: u8,
    /// Status codes that count as success, `200..=499`. Default 200.
    pub success_codes: Vec<RangeInclusive<u16>>,
}
