//! How targets are checked.

use schemars::JsonSchema;
use serde::Deserialize;

use super::object::objects;
use crate::ranges;

/// How targets are checked. In the four numbers of VPC Lattice, 0 means the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct HealthCheck {
    /// Are targets checked at all? Absent: yes for `HTTP1` groups, no for `HTTP2` and `GRPC`.
    pub enabled: Option<bool>,
    /// What probes speak.
    #[schemars(extend("default" = "HTTP"))]
    pub protocol: Option<ProbeProtocol>,
    /// HTTP version of probes. Absent: the group's, and `HTTP2` for `GRPC` groups.
    pub protocol_version: Option<ProbeVersion>,
    /// Trellis: the service that probes of version `GRPC` ask for. Absent: the server as a whole.
    #[schemars(length(min = *ranges::GRPC_SERVICE.start(), max = *ranges::GRPC_SERVICE.end()))]
    pub grpc_service: Option<String>,
    /// Port of probes. Absent or 0: the port on which each target receives traffic.
    #[schemars(range(min = *ranges::HEALTH_CHECK_PORT.start(), max = *ranges::HEALTH_CHECK_PORT.end()))]
    pub port: Option<i64>,
    /// Path of probes, query included.
    #[schemars(
        length(max = *ranges::PROBE_PATH.end()),
        regex(pattern = r"^/[a-zA-Z0-9@:%_+.~#?&/=-]*$"),
        extend("default" = "/")
    )]
    pub path: Option<String>,
    /// From the start of one probe to the start of the next, in seconds: 5 to 300.
    #[schemars(range(min = 0, max = *ranges::PROBE_INTERVAL.end()), extend("default" = 30))]
    pub health_check_interval_seconds: Option<i64>,
    /// Trellis: the same in milliseconds, instead of the seconds.
    #[schemars(range(min = *ranges::PROBE_INTERVAL_MILLIS.start(), max = *ranges::PROBE_INTERVAL_MILLIS.end()))]
    pub interval_millis: Option<i64>,
    /// Trellis: up to this percentage of the interval is added to each, at random, so that probes of several gateways do not fall
    /// into step.
    #[schemars(range(min = *ranges::PERCENT.start(), max = *ranges::PERCENT.end()), extend("default" = 0))]
    pub jitter_percent: Option<i64>,
    /// Longest wait for an answer, in seconds: 1 to 120.
    #[schemars(range(min = 0, max = *ranges::PROBE_TIMEOUT.end()), extend("default" = 5))]
    pub health_check_timeout_seconds: Option<i64>,
    /// Trellis: the same in milliseconds, instead of the seconds.
    #[schemars(range(min = *ranges::PROBE_TIMEOUT_MILLIS.start(), max = *ranges::PROBE_TIMEOUT_MILLIS.end()))]
    pub timeout_millis: Option<i64>,
    /// Successes in a row that make an unhealthy target healthy: 2 to 10.
    #[schemars(range(min = 0, max = *ranges::PROBE_THRESHOLD.end()), extend("default" = 5))]
    pub healthy_threshold_count: Option<i64>,
    /// Failures in a row that make a healthy target unhealthy: 2 to 10.
    #[schemars(range(min = 0, max = *ranges::PROBE_THRESHOLD.end()), extend("default" = 2))]
    pub unhealthy_threshold_count: Option<i64>,
    /// Which answers count as success.
    pub matcher: Option<Matcher>,
}

/// What probes speak: HTTP in the clear or over TLS. Trellis: with `TCP` a connection is success, with `TLS` a completed handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProbeProtocol {
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
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Tcp,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Tls,
}

/// HTTP version of probes. Trellis: with `GRPC` they call `grpc.health.v1.Health/Check`, and `SERVING` is success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProbeVersion {
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

/// Which answers to probes count as success.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct Matcher {
    /// Status codes 200 to 499: `200`, `200,202`, `200-299`.
    #[schemars(
        length(max = *ranges::MATCHER.end()),
        regex(pattern = r"^[0-9-,]+$"),
        extend("default" = "200")
    )]
    pub http_code: Option<String>,
    /// Trellis: what the body of the answer must say besides. Absent: it is not read.
    pub body: Option<BodyMatch>,
}

/// What the body of an answer to a probe must say, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum BodyMatch {
    /// This and nothing else, 1 to 1024 bytes.
    Exact(String),
    /// This somewhere in its first 64 KiB, 1 to 1024 bytes.
    Contains(String),
}

objects!(HealthCheck, Matcher);
