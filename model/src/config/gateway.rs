//! Settings of the gateway process.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use super::{DiscoverySettings, FunctionCall, Quotas, Secret, SpoolSettings, TelemetrySettings};

/// Settings of the gateway process.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewaySettings {
    /// Address of metrics, health and the running configuration; none means no admin listener.
    pub admin: Option<SocketAddr>,
    /// Address of the security token service.
    pub control: Option<SocketAddr>,
    /// Keys that session tokens are sealed with, as given; the first one seals. None: those of the data folder.
    pub session_keys: Vec<SessionKey>,
    /// DNS, where wanted.
    pub dns: Option<DnsSettings>,
    /// How names of targets are asked for.
    pub discovery: DiscoverySettings,
    /// Folder for what must survive a restart: the internal CA, the keys of session tokens, access records on their way.
    pub data_dir: PathBuf,
    /// Number of worker threads; `None` means one per core.
    pub workers: Option<std::num::NonZeroUsize>,
    /// Limits and timeouts of the data plane.
    pub limits: Limits,
    /// The zone that it runs in.
    pub zone: Option<Box<str>>,
    /// What stickiness cookies are made with, at least [`crate::ranges::STICKINESS_SECRET`] characters; `None`: the secret of the data
    /// folder.
    pub stickiness_key: Option<Secret>,
    /// How many of everything the control API lets an account have.
    pub quotas: Quotas,
    /// How functions are called of which nothing else is said.
    pub functions: Option<FunctionCall>,
    /// ARNs of the principals that are told, when they ask, why a request was allowed or refused. Default: nobody.
    pub explain_to: Vec<Box<str>>,
    /// Where metrics and traces are sent, and which requests are traced.
    pub telemetry: TelemetrySettings,
    /// The spool of access records for log storage.
    pub spool: SpoolSettings,
}

/// A key that session tokens are sealed with.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionKey {
    /// Its name.
    pub id: Box<str>,
    /// What it is made of, at least [`crate::ranges::SESSION_KEY_SECRET`] characters.
    pub secret: Secret,
}

/// Limits and timeouts of the data plane. Defaults are VPC Lattice's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest request header block in bytes, request line included. Default 61 440 (60 KiB).
    pub header_bytes: usize,
    /// Most header fields in a request. Default 100.
    pub headers: usize,
    /// Age at which a client connection stops taking new requests; `None` for no limit. Default 600 s.
    pub connection_lifetime: Option<Duration>,
    /// How long requests and streams still running at the end of the lifetime may go on; `None` for no limit. Default 60 s.
    pub wind_down: Option<Duration>,
    /// Longest wait for the complete header block of a request, once its first byte came. Default 10 s.
    pub header_timeout: Duration,
    /// Longest wait for a connection to a target, TLS included. Default 5 s.
    pub connect_timeout: Duration,
    /// Most open client connections per gateway; further ones are closed at once. Default 100 000.
    pub connections: usize,
    /// Most open connections of the clients of one VPC; `None` for no limit, the default.
    pub connections_per_vpc: Option<usize>,
    /// Most open connections of one client address, or of one IPv6 subnet of 64 bits; `None` for no limit, the default.
    pub connections_per_client: Option<usize>,
    /// Most connections to targets kept open for further requests, in the gateway as a whole. Default 16 384.
    pub idle_target_connections: usize,
    /// Grace period of a stop: how long running requests may go on after SIGTERM. Default 30 s.
    pub stop_grace: Duration,
    /// Are `Upgrade` requests (WebSocket) passed through? VPC Lattice drops the header. Default yes.
    pub upgrades: Upgrades,
    /// Allowed difference between a signature's date and the gateway's clock. Default 300 s.
    pub clock_skew: Duration,
    /// Most bytes of an auth policy in IAM JSON, white space outside texts not counted. Default 10 240.
    pub auth_policy_bytes: usize,
}

/// What happens to requests with an `Upgrade` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrades {
    /// Passed through; a `101` from the target turns the connection into a tunnel.
    Pass,
    /// The header is dropped and the request goes on as an ordinary one, as VPC Lattice does.
    Drop,
}

/// The DNS server.
#[derive(Debug, Clone, PartialEq)]
pub struct DnsSettings {
    /// Addresses to answer on, UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// The gateway's addresses given in answers. Empty: those that the asking VPC's attachments listen on.
    pub answers: Vec<IpAddr>,
    /// Resolvers that everything else is forwarded to; empty means REFUSED.
    pub forward: Vec<SocketAddr>,
    /// Time to live of answers. Default 60 s.
    pub ttl: Duration,
}
