//! Targets that are found by a name.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use super::{Builder, target_groups::Home};
use crate::{
    config::{Discovery, DiscoverySettings, DnsResponseType, IpPreference, TargetGroupType},
    document::{self, IpAddressType},
    load::path::At,
    name::DomainName,
    ranges,
};

impl Builder<'_> {
    /// Settings of all names.
    pub(super) fn discovery_settings(
        &mut self,
        at: &At<'_>,
        written: &document::DiscoverySettings,
    ) -> Option<DiscoverySettings> {
        let resolvers = self.resolvers(&at.member("resolvers"), &written.resolvers);
        let range = &ranges::DISCOVERY_TTL;
        let in_least = at.member("minTtlSeconds");
        let min_ttl = self.seconds(&in_least, written.min_ttl_seconds, range, 5);
        let max_ttl = self.seconds(
            &at.member("maxTtlSeconds"),
            written.max_ttl_seconds,
            range,
            300,
        );
        let timeout = self.number(
            &at.member("timeoutMillis"),
            written.timeout_millis,
            &ranges::DISCOVERY_TIMEOUT,
            5000,
        );
        let (min_ttl, max_ttl) = (min_ttl?, max_ttl?);
        if min_ttl > max_ttl {
            self.error(
                &in_least,
                format!("{} is more than `maxTtlSeconds`", min_ttl.as_secs()),
            )
            .hint(format!("{} at most", max_ttl.as_secs()));
        }
        Some(DiscoverySettings {
            resolvers: resolvers?,
            min_ttl,
            max_ttl,
            timeout: Duration::from_millis(timeout?),
        })
    }

    /// Addresses of DNS servers, with or without a port.
    pub(super) fn resolvers(
        &mut self,
        at: &At<'_>,
        written: &[String],
    ) -> Option<Arc<[SocketAddr]>> {
        if written.len() > ranges::RESOLVERS {
            let most = ranges::RESOLVERS;
            self.error(
                at,
                format!("{} servers are more than {most}", written.len()),
            )
            .hint("one answer is waited for, whoever gives it: the first few decide");
        }
        let addresses = self.each(at, written, Self::resolver);
        addresses.map(Into::into)
    }

    /// The address of a DNS server; its port is 53 unless something else is said.
    pub(super) fn resolver(&mut self, at: &At<'_>, text: &str) -> Option<SocketAddr> {
        text.parse()
            .map(|ip: IpAddr| SocketAddr::new(ip, 53))
            .ok()
            .or_else(|| self.socket(at, text))
    }

    /// The name that the targets of a group are found by.
    pub(super) fn discovery(
        &mut self,
        at: &At<'_>,
        written: &document::TargetGroup,
        home: &Home<'_>,
    ) -> Option<Discovery> {
        let discovery = written.discovery.as_ref()?;
        let (at, in_group) = (at.member("discovery"), at);
        if home.kind != TargetGroupType::Ip {
            self.error(
                &at,
                "only target groups of type IP find their targets by a name",
            )
            .hint("leave it out");
        }
        if !written.targets.is_empty() {
            self.error(
                &in_group.member("targets"),
                "a group either lists its targets or finds them by a name",
            )
            .hint("leave out `targets` or `discovery`; several groups may share the requests of a rule");
        }
        let dns = &discovery.dns;
        let at = at.member("dns");
        let hostname = self.hostname(&at.member("hostname"), &dns.hostname);
        let given = written.config.as_ref();
        let given = given.and_then(|config| config.ip_address_type);
        if let (Some(_), Some(_)) = (dns.ip_preference, given) {
            self.error(
                &at.member("ipPreference"),
                "the group's `ipAddressType` says which addresses are asked for",
            )
            .hint("leave out one of them");
        }
        let preference = dns.ip_preference.map(Into::into);
        let of_family = match home.family {
            IpAddressType::Ipv4 => IpPreference::Ipv4Only,
            IpAddressType::Ipv6 => IpPreference::Ipv6Only,
        };
        let (cidrs, resolvers) = home.vpc.map(|vpc| (vpc.cidrs, Arc::clone(vpc.resolvers)))?;
        if cidrs.is_empty() {
            // Whoever answers for the name would choose where requests go, the gateway's own surroundings included.
            self.error(&at, "the group's VPC does not say where targets may be")
                .hint("`cidrs` of the VPC; addresses outside of them are not taken");
        }
        Some(Discovery {
            hostname: hostname?,
            response: dns.response_type.unwrap_or_default().into(),
            preference: preference.unwrap_or(of_family),
            port: home.port,
            within: cidrs.into(),
            resolvers,
        })
    }

    fn hostname(&mut self, at: &At<'_>, text: &str) -> Option<DomainName> {
        if text.parse::<IpAddr>().is_ok() {
            self.error(at, format!("`{text}` is an address, not a name"))
                .hint("list it in `targets`");
            return None;
        }
        self.parsed(at, text)
    }
}

impl From<document::DnsResponseType> for DnsResponseType {
    fn from(written: document::DnsResponseType) -> Self {
        match written {
            document::DnsResponseType::LoadBalancer => Self::LoadBalancer,
            document::DnsResponseType::Endpoints => Self::Endpoints,
        }
    }
}

impl From<document::IpPreference> for IpPreference {
    fn from(written: document::IpPreference) -> Self {
        match written {
            document::IpPreference::Ipv4Only => Self::Ipv4Only,
            document::IpPreference::Ipv6Only => Self::Ipv6Only,
            document::IpPreference::Ipv4Preferred => Self::Ipv4Preferred,
            document::IpPreference::Ipv6Preferred => Self::Ipv6Preferred,
        }
    }
}
