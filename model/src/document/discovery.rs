//! Targets that are found by a name.

use schemars::JsonSchema;
use serde::Deserialize;

use super::object::objects;
use crate::ranges;

/// Where the addresses of a group's targets come from, in place of `targets`. App Mesh's `serviceDiscovery`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Discovery {
    /// DNS: asked in the background, again when an answer's time to live is over.
    pub dns: DnsDiscovery,
}

/// A name in DNS whose addresses are the targets. Their port is the group's. The VPC must have `cidrs`: addresses outside of them are
/// not taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct DnsDiscovery {
    /// The whole name, `orders.shop.internal`; nothing is appended to it.
    #[schemars(length(min = *ranges::CUSTOM_DOMAIN.start(), max = *ranges::CUSTOM_DOMAIN.end()))]
    pub hostname: String,
    /// What the addresses of an answer are.
    #[schemars(extend("default" = "LOADBALANCER"))]
    pub response_type: Option<DnsResponseType>,
    /// Which addresses are asked for. Absent: those of the group's `ipAddressType`.
    pub ip_preference: Option<IpPreference>,
}

/// What the addresses of an answer are: `LOADBALANCER`, ways to one load balancer, of which the first is the target; `ENDPOINTS`, a
/// target each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum DnsResponseType {
    #[default]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    LoadBalancer,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Endpoints,
}

/// Which addresses are asked for: one family only, or a preferred one and the other where the name has no address of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum IpPreference {
    #[serde(rename = "IPv4_ONLY")]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Ipv4Only,
    #[serde(rename = "IPv6_ONLY")]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Ipv6Only,
    #[serde(rename = "IPv4_PREFERRED")]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Ipv4Preferred,
    #[serde(rename = "IPv6_PREFERRED")]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Ipv6Preferred,
}

/// How names of targets are asked for, where groups have `discovery`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct DiscoverySettings {
    /// DNS servers, `10.0.0.2` or `10.0.0.2:53`, asked in this order. Absent or empty: those of the system, after its file of hosts. A
    /// VPC may have its own.
    pub resolvers: Vec<String>,
    /// An answer counts for at least so long, whatever its time to live says, in seconds.
    #[schemars(range(min = *ranges::DISCOVERY_TTL.start(), max = *ranges::DISCOVERY_TTL.end()), extend("default" = 5))]
    pub min_ttl_seconds: Option<i64>,
    /// An answer counts for no longer than this, whatever its time to live says, in seconds. Failures are tried again sooner.
    #[schemars(range(min = *ranges::DISCOVERY_TTL.start(), max = *ranges::DISCOVERY_TTL.end()), extend("default" = 300))]
    pub max_ttl_seconds: Option<i64>,
    /// Longest wait for one answer, over all servers, in milliseconds. A change of the configuration with names that are not known yet
    /// waits as long for them, and then goes ahead without.
    #[schemars(range(min = *ranges::DISCOVERY_TIMEOUT.start(), max = *ranges::DISCOVERY_TIMEOUT.end()), extend("default" = 5000))]
    pub timeout_millis: Option<i64>,
}

objects!(Discovery, DnsDiscovery, DiscoverySettings);
