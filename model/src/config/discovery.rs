//! Targets that are found by a name.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ipnet::IpNet;

use crate::name::DomainName;

/// A name whose addresses are the targets of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// The whole name.
    pub hostname: DomainName,
    /// What the addresses of an answer are.
    pub response: DnsResponseType,
    /// Which addresses are asked for.
    pub preference: IpPreference,
    /// Port of the targets.
    pub port: u16,
    /// Where their addresses may be: the ranges of the VPC, never empty.
    pub within: Arc<[IpNet]>,
    /// Who is asked; empty for the resolvers of the system.
    pub resolvers: Arc<[SocketAddr]>,
}

/// What the addresses of an answer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsResponseType {
    /// Ways to one load balancer: the first is the target.
    LoadBalancer,
    /// A target each.
    Endpoints,
}

/// Which addresses are asked for. Source: App Mesh API reference, `IpPreference`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpPreference {
    /// IPv4.
    Ipv4Only,
    /// IPv6.
    Ipv6Only,
    /// IPv4, and IPv6 for a name without.
    Ipv4Preferred,
    /// IPv6, and IPv4 for a name without.
    Ipv6Preferred,
}

/// How names are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoverySettings {
    /// Who is asked about the names of VPCs that say nothing else; empty for the resolvers of the system.
    pub resolvers: Arc<[SocketAddr]>,
    /// Shortest time for which an answer counts. Default 5 s.
    pub min_ttl: Duration,
    /// Longest time for which it counts. Default 300 s.
    pub max_ttl: Duration,
    /// Longest wait for an answer. Default 5 s.
    pub timeout: Duration,
}
