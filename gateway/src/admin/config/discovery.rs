//! Names of targets as JSON.

use serde_json::{Value, json};
use trellis_model::config::{Discovery, DiscoverySettings, DnsResponseType, IpPreference};

pub(super) fn settings(settings: &DiscoverySettings) -> Value {
    json!({
        "resolvers": *settings.resolvers,
        "minTtlSeconds": settings.min_ttl.as_secs_f64(),
        "maxTtlSeconds": settings.max_ttl.as_secs_f64(),
        "timeoutMillis": u64::try_from(settings.timeout.as_millis()).ok(),
    })
}

pub(super) fn discovery(of: &Discovery) -> Value {
    json!({
        "dns": {
            "hostname": of.hostname.as_str(),
            "responseType": match of.response {
                DnsResponseType::LoadBalancer => "LOADBALANCER",
                DnsResponseType::Endpoints => "ENDPOINTS",
            },
            "ipPreference": match of.preference {
                IpPreference::Ipv4Only => "IPv4_ONLY",
                IpPreference::Ipv6Only => "IPv6_ONLY",
                IpPreference::Ipv4Preferred => "IPv4_PREFERRED",
                IpPreference::Ipv6Preferred => "IPv6_PREFERRED",
            },
        },
        "port": of.port,
    })
}
