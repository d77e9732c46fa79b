//! The DNS server.

use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
};

use super::Event;
use crate::{reason::Chain, telemetry::Telemetry};

/// What became of a DNS query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsOutcome {
    /// Answered from the snapshot.
    Answered,
    /// The name is one of ours, without records of that type.
    NoData,
    /// The name would be one of ours, but is not there for this VPC.
    NoSuchName,
    /// Not for us, and there is no resolver to ask; or the client belongs to no VPC.
    Refused,
    /// Answered by another resolver.
    Forwarded,
    /// Not a query.
    Malformed,
    /// The other resolver did not answer.
    Failed,
}

impl DnsOutcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Answered,
        Self::NoData,
        Self::NoSuchName,
        Self::Refused,
        Self::Forwarded,
        Self::Malformed,
        Self::Failed,
    ];

    /// The word in the metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::NoData => "no_data",
            Self::NoSuchName => "no_such_name",
            Self::Refused => "refused",
            Self::Forwarded => "forwarded",
            Self::Malformed => "malformed",
            Self::Failed => "failed",
        }
    }
}

/// A DNS query was handled.
#[derive(Debug)]
pub struct DnsQuery<'a> {
    /// Who asked.
    pub client: IpAddr,
    /// The name asked for; absent when it could not be read.
    pub name: Option<&'a str>,
    /// What became of it.
    pub outcome: DnsOutcome,
}

impl Event for DnsQuery<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        if let Some(counter) = telemetry.gateway.dns_queries.get(self.outcome as usize) {
            counter.increment(1);
        }
        tracing::debug!(client = %self.client, name = self.name, outcome = self.outcome.as_str(), "DNS query");
    }
}

/// Trouble of the DNS server that an operator should know of.
#[derive(Debug)]
pub struct DnsFailed<'a> {
    /// The address it listens on, or the resolver it asks.
    pub address: SocketAddr,
    /// What went wrong.
    pub error: &'a (dyn Error + 'static),
}

impl Event for DnsFailed<'_> {
    fn emit(&self, _: &Telemetry) {
        tracing::warn!(address = %self.address, error = %Chain(self.error), "DNS");
    }
}
