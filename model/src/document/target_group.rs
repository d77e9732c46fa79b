//! Target groups and targets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Balancing, ConnectionPool, Discovery, FunctionCall, HealthCheck, OutlierDetection, TargetTls,
    object::objects, unique_keys,
};
use crate::ranges;

/// A target group: targets that share protocol and health check.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetGroup {
    /// Name, unique in the account; must not begin with `tg-`.
    #[schemars(
        length(min = *ranges::TARGET_GROUP_NAME.start(), max = *ranges::TARGET_GROUP_NAME.end()),
        regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$")
    )]
    pub name: String,
    /// Kind of the targets.
    #[serde(rename = "type")]
    pub kind: TargetGroupType,
    /// Protocol, port, VPC and health check; of type `LAMBDA` only the version of events, so it may be left out there.
    pub config: Option<TargetGroupConfig>,
    /// Trellis: how requests are spread over the targets. Absent: to each in turn.
    pub balancing: Option<Balancing>,
    /// Trellis: when a target that fails requests gets none for a while. Absent: never.
    pub outlier_detection: Option<OutlierDetection>,
    /// Trellis: how many requests each target may have at a time. Absent: any number.
    pub connection_pool: Option<ConnectionPool>,
    /// Trellis: how the function is called, for type `LAMBDA` only. Absent: as `gateway.functions` says.
    pub function: Option<FunctionCall>,
    /// Trellis: whom connections to `HTTPS` targets trust, and what they show. Absent: targets are not verified, as in VPC Lattice.
    pub tls: Option<TargetTls>,
    /// Trellis: a name by which the targets are found, for type `IP`. Absent: `targets` lists them.
    pub discovery: Option<Discovery>,
    /// The targets; each pair of id and port appears once.
    #[serde(default)]
    pub targets: Vec<Target>,
    /// Tags, 50 at most, shown with the running configuration.
    #[serde(default, deserialize_with = "unique_keys")]
    pub tags: BTreeMap<String, String>,
}

/// Kind of the targets: IP addresses, instances, one application load balancer, or one Lambda function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum TargetGroupType {
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Ip,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Instance,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Alb,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Lambda,
}

/// Protocol, port, VPC and health check of a target group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct TargetGroupConfig {
    /// Is the connection to targets encrypted? Targets' certificates are verified where the group has `tls`. Required, but for type `LAMBDA`.
    pub protocol: Option<TargetProtocol>,
    /// Port of targets that name none. Absent: 80 for HTTP, 443 for HTTPS.
    #[schemars(range(min = *ranges::PORT.start(), max = *ranges::PORT.end()))]
    pub port: Option<i64>,
    /// HTTP version spoken to targets. `HTTP2` and `GRPC` need type `IP` or `INSTANCE`.
    #[schemars(extend("default" = "HTTP1"))]
    pub protocol_version: Option<ProtocolVersion>,
    /// Name, id or ARN of the VPC that the targets live in. Required, but for type `LAMBDA`.
    pub vpc_identifier: Option<String>,
    /// Family of the targets' addresses, for type `IP` only.
    #[schemars(extend("default" = "IPV4"))]
    pub ip_address_type: Option<IpAddressType>,
    /// How targets are checked; not for types `ALB`, which checks its own targets, and `LAMBDA`.
    pub health_check: Option<HealthCheck>,
    /// Form of the events that the function is given, for type `LAMBDA` only.
    #[schemars(extend("default" = "V1"))]
    pub lambda_event_structure_version: Option<EventVersion>,
}

/// Form of the events that a function is given: `V1` is flat, `V2` tells the caller and keeps repeated headers and parameters apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum EventVersion {
    #[default]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    V1,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    V2,
}

/// In the clear or over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum TargetProtocol {
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Http,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Https,
}

/// HTTP version spoken to targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProtocolVersion {
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Http1,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Http2,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Grpc,
}

/// Family of IP addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum IpAddressType {
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Ipv4,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Ipv6,
}

/// A target.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// IP address, instance id (`i-…`), ARN of an application load balancer or ARN of a function, its version or alias included, as the
    /// group's type says.
    #[schemars(length(min = *ranges::TARGET_ID.start(), max = *ranges::TARGET_ID.end()))]
    pub id: String,
    /// Port. Absent: the group's.
    #[schemars(range(min = *ranges::PORT.start(), max = *ranges::PORT.end()))]
    pub port: Option<i64>,
    /// Trellis: share of the group's requests, relative to the other targets.
    #[schemars(
        range(min = *ranges::TARGET_WEIGHT.start(), max = *ranges::TARGET_WEIGHT.end()),
        extend("default" = 1)
    )]
    pub weight: Option<i64>,
    /// Trellis: the zone that it is in, `us-west-2a`, for `zonePreference`.
    #[schemars(length(min = *ranges::ZONE.start(), max = *ranges::ZONE.end()))]
    pub zone: Option<String>,
}

objects!(TargetGroup, TargetGroupConfig, Target);
