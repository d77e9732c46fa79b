//! How targets are checked.

use std::{ops::RangeInclusive, time::Duration};

use super::TargetProtocol;

/// How targets are checked. Defaults are those of the specification, §5.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// Are probes sent at all? Default: only for HTTP/1.1 groups.
    pub enabled: bool,
    /// What a probe does.
    pub probe: Probe,
    /// Port of the probe; `None` for the port on which the target receives traffic.
    pub port: Option<u16>,
    /// From the start of one probe to the start of the next: 100 ms to 300 s, default 30 s.
    pub interval: Duration,
    /// The part of the interval that is added to it at random, in percent: `0..=100`, default 0.
    pub jitter_percent: u8,
    /// Longest wait for the answer: 10 ms to 120 s, default 5 s.
    pub timeout: Duration,
    /// Successes in a row that make an unhealthy target healthy: `2..=10`, default 5.
    pub healthy_threshold: u8,
    /// Failures in a row that make a healthy target unhealthy: `2..=10`, default 2.
    pub unhealthy_threshold: u8,
}

/// What a probe does, and what makes it a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// One GET; the answer decides.
    Http(HttpProbe),
    /// One call of `grpc.health.v1.Health/Check`; `SERVING` is success.
    Grpc {
        /// Is it sent over TLS?
        protocol: TargetProtocol,
        /// The service asked for; empty for the server as a whole.
        service: Box<str>,
    },
    /// A connection is success.
    Tcp,
    /// A completed handshake is success.
    Tls,
}

/// A GET, and which answers are success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProbe {
    /// Is it sent over TLS? Default: no.
    pub protocol: TargetProtocol,
    /// Version of HTTP.
    pub version: ProbeVersion,
    /// Path, query included. Default `/`.
    pub path: Box<str>,
    /// Status codes of success, `200..=499`. Default 200.
    pub success_codes: Vec<RangeInclusive<u16>>,
    /// What the body must say besides.
    pub body: Option<BodyMatch>,
}

/// Version of HTTP of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProbeVersion {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// What the body of an answer must say: 1 to 1024 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyMatch {
    /// This and nothing else.
    Exact(Box<str>),
    /// This somewhere in its first 64 KiB.
    Contains(Box<str>),
}

impl Default for HttpProbe {
    fn default() -> Self {
        Self {
            protocol: TargetProtocol::Http,
            version: ProbeVersion::Http1,
            path: "/".into(),
            success_codes: vec![200..=200],
            body: None,
        }
    }
}
