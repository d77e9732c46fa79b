//! Settings of the gateway process.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    DiscoverySettings, FunctionApi, LogStorage, SecretSource, Spool, Telemetry, WrittenQuotas,
    object::objects,
};
use crate::ranges;

/// Settings of the gateway process; all of it is Trellis' own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct Gateway {
    /// Address and port of metrics, health and the running configuration, `127.0.0.1:9901`. Absent: no admin listener.
    pub admin: Option<String>,
    /// Address and port of the security token service, which gives temporary credentials: `127.0.0.1:9900`. Absent: no such listener.
    pub control: Option<String>,
    /// Keys that session tokens are sealed with, the first one for new tokens; the same on every node. Absent: the gateway makes keys
    /// of its own in the data folder, which no other node has.
    #[serde(default)]
    pub session_keys: Vec<SessionKey>,
    /// The DNS server. Absent: no DNS.
    pub dns: Option<Dns>,
    /// Folder for what must survive a restart: the internal CA, the keys of session tokens, access records on their way to log storage.
    #[schemars(extend("default" = "trellis-data"))]
    pub data_dir: Option<String>,
    /// Number of worker threads. Absent: one per core.
    #[schemars(range(min = *ranges::WORKERS.start(), max = *ranges::WORKERS.end()))]
    pub workers: Option<i64>,
    /// Limits and timeouts of the data plane.
    pub limits: Option<GatewayLimits>,
    /// The zone that the gateway runs in, `us-west-2a`, for `zonePreference` of target groups. Absent: none.
    #[schemars(length(min = *ranges::ZONE.start(), max = *ranges::ZONE.end()))]
    pub zone: Option<String>,
    /// Where the secret is that stickiness cookies are made with, 32 random characters or more; the same on every node. Absent: the
    /// gateway makes one of its own in the data folder, and clients that come to another node may get another target.
    pub stickiness_key: Option<SecretSource>,
    /// How many of everything the control API lets an account have. Absent: what VPC Lattice has by default.
    pub quotas: Option<WrittenQuotas>,
    /// Who is told, in a header of the answer, why a request was allowed or refused. Absent: nobody.
    pub explain: Option<Explain>,
    /// How names of targets are asked for, where groups have `discovery`.
    pub discovery: Option<DiscoverySettings>,
    /// How the functions of target groups of type `LAMBDA` are called. Absent: through AWS, for groups with credentials of their own.
    pub functions: Option<FunctionApi>,
    /// Where metrics and traces are sent, and which requests are traced. Absent: metrics are on the admin listener only.
    pub telemetry: Option<Telemetry>,
    /// Where the log storage is that access records are shipped to. Absent: AWS, which takes nothing without credentials.
    pub log_storage: Option<LogStorage>,
    /// The spool, in `dataDir`, that access records wait in for log storage. A change takes effect at the next start.
    pub spool: Option<Spool>,
}

/// Who is told why a request was allowed or refused: requests that are proven to be of these principals and carry the header `x-trellis-explain`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Explain {
    /// ARNs of users, of roles (all their sessions) and of role sessions. They are told of policies of their own account only.
    #[schemars(length(min = 1))]
    pub principals: Vec<String>,
}

/// A key that session tokens are sealed with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionKey {
    /// Name of the key: letters, digits, `_` and `-`. A key that changes its secret changes its name as well.
    #[schemars(
        length(min = *ranges::SESSION_KEY_ID.start(), max = *ranges::SESSION_KEY_ID.end()),
        regex(pattern = r"^[A-Za-z0-9_-]+$")
    )]
    pub id: String,
    /// Where the secret is that the key is made of: 32 random characters or more.
    pub secret: SecretSource,
}

/// The DNS server: authoritative for the names of services, different for each VPC that asks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Dns {
    /// Addresses and ports to answer on, UDP and TCP.
    #[schemars(length(min = 1))]
    pub listen: Vec<String>,
    /// The gateway's addresses given in answers. Absent or empty: the addresses of the asking VPC's attachment.
    #[serde(default)]
    pub answers: Vec<String>,
    /// Resolvers that all other questions are forwarded to, `10.0.0.2` or `10.0.0.2:53`. Absent or empty: other questions are refused.
    #[serde(default)]
    pub forward: Vec<String>,
    /// Time to live of answers, in seconds.
    #[schemars(range(min = *ranges::TTL.start(), max = *ranges::TTL.end()), extend("default" = 60))]
    pub ttl_seconds: Option<i64>,
}

/// Limits and timeouts of the data plane. Defaults are VPC Lattice's where it has one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct GatewayLimits {
    /// Largest header block of a request in bytes, request line included.
    #[schemars(range(min = *ranges::HEADER_BYTES.start(), max = *ranges::HEADER_BYTES.end()), extend("default" = 61440))]
    pub header_bytes: Option<i64>,
    /// Most header fields of a request.
    #[schemars(range(min = *ranges::HEADERS.start(), max = *ranges::HEADERS.end()), extend("default" = 100))]
    pub headers: Option<i64>,
    /// Age at which a client connection stops taking new requests, in seconds; 0 for no limit.
    #[schemars(range(min = *ranges::TIME_OR_NONE.start(), max = *ranges::TIME_OR_NONE.end()), extend("default" = 600))]
    pub connection_lifetime_seconds: Option<i64>,
    /// How long requests and streams that still run at the end of the lifetime may go on, in seconds; 0 for no limit.
    #[schemars(range(min = *ranges::TIME_OR_NONE.start(), max = *ranges::TIME_OR_NONE.end()), extend("default" = 60))]
    pub wind_down_seconds: Option<i64>,
    /// Longest wait for the complete header block of a request once its first byte came, in seconds.
    #[schemars(range(min = *ranges::DEADLINE.start(), max = *ranges::DEADLINE.end()), extend("default" = 10))]
    pub header_timeout_seconds: Option<i64>,
    /// Longest wait for a connection to a target, TLS included, in seconds.
    #[schemars(range(min = *ranges::DEADLINE.start(), max = *ranges::DEADLINE.end()), extend("default" = 5))]
    pub connect_timeout_seconds: Option<i64>,
    /// Most open client connections; further ones are closed at once.
    #[schemars(range(min = *ranges::CONNECTIONS.start(), max = *ranges::CONNECTIONS.end()), extend("default" = 100_000))]
    pub connections: Option<i64>,
    /// Most open connections of the clients of one VPC; further ones are closed at once; 0 for no limit. Keeps a tenant from taking
    /// the connections of all others.
    #[schemars(range(min = *ranges::CONNECTIONS_OR_NONE.start(), max = *ranges::CONNECTIONS_OR_NONE.end()), extend("default" = 0))]
    pub connections_per_vpc: Option<i64>,
    /// Most open connections of one client, told by its address, with IPv6 by the first 64 bits; further ones are closed at once; 0 for
    /// no limit. Clients behind one translated address count as one.
    #[schemars(range(min = *ranges::CONNECTIONS_OR_NONE.start(), max = *ranges::CONNECTIONS_OR_NONE.end()), extend("default" = 0))]
    pub connections_per_client: Option<i64>,
    /// Most connections to targets kept open for further requests, in the gateway as a whole; the workers share them evenly.
    #[schemars(range(min = *ranges::IDLE_TARGET_CONNECTIONS.start(), max = *ranges::IDLE_TARGET_CONNECTIONS.end()), extend("default" = 16384))]
    pub idle_target_connections: Option<i64>,
    /// How long running requests may go on after SIGTERM, in seconds.
    #[schemars(range(min = *ranges::STOP_GRACE.start(), max = *ranges::STOP_GRACE.end()), extend("default" = 30))]
    pub stop_grace_seconds: Option<i64>,
    /// What happens to requests with an `Upgrade` header (WebSocket).
    #[schemars(extend("default" = "PASS"))]
    pub upgrades: Option<Upgrades>,
    /// Allowed difference between the date of a signature and the gateway's clock, in seconds.
    #[schemars(range(min = *ranges::CLOCK_SKEW.start(), max = *ranges::CLOCK_SKEW.end()), extend("default" = 300))]
    pub clock_skew_seconds: Option<i64>,
    /// Most bytes of an auth policy in IAM JSON, white space outside texts not counted. The default is the quota of VPC Lattice, the
    /// upper end what its API takes.
    #[schemars(range(min = *ranges::AUTH_POLICY_BYTES.start(), max = *ranges::AUTH_POLICY_BYTES.end()), extend("default" = 10_240))]
    pub auth_policy_bytes: Option<i64>,
}

/// What happens to requests with an `Upgrade` header: `PASS` lets them through, `DROP` removes the header as VPC Lattice does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Upgrades {
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Pass,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Drop,
}

objects!(Gateway, Explain, SessionKey, Dns, GatewayLimits);
