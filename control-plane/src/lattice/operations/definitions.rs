//! What resource configurations say of the resource: where it is, and on which ports.
//!
//! Source: VPC Lattice user guide, "Resource configurations"; guide of AWS `PrivateLink`, "Access a network segment through a tunnel VPC
//! endpoint", for ranges of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use trellis_model::config::Vpc;

use super::services::domain_name;
use crate::{
    lattice::error::ApiError,
    resource::{
        ArnResource, CidrResource, Definition, DnsResource, IpResource, IpVersions,
        ResourceConfigurationType, ResourceGateway,
    },
};

/// Most port ranges of a resource configuration. The guide gives no number.
const PORT_RANGES: usize = 100;

/// Addresses of resources: those of private networks.
const PRIVATE: [Ipv4Net; 4] = [
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
];

/// What no range of addresses may touch: link-local addresses, those that the gateway's own network uses, and groups.
const CLOSED: [IpNet; 5] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4)),
    IpNet::V6(Ipv6Net::new_assert(
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),
        10,
    )),
    IpNet::V6(Ipv6Net::new_assert(
        Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0),
        8,
    )),
];

/// The member that a definition stands in.
pub(super) const MEMBER: &str = "resourceConfigurationDefinition";

/// Where a resource is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) gateway: &'a ResourceGateway,
    pub(super) vpc: Option<&'a Vpc>,
}

/// Refuses a definition that does not go with the type, or that means nothing in these surroundings.
pub(super) fn check(
    kind: ResourceConfigurationType,
    definition: &Definition,
    around: Surroundings<'_>,
) -> Result<(), ApiError> {
    use ResourceConfigurationType as Type;
    match (kind, definition) {
        (Type::Single | Type::Child, Definition::Dns(dns)) => check_dns(dns, around.gateway),
        (Type::Single | Type::Child, Definition::Ip(ip)) => check_ip(ip, around),
        (Type::Arn, Definition::Arn(arn)) => check_arn(arn),
        (Type::Cidr, Definition::Cidr(cidrs)) => check_cidrs(cidrs),
        _ => Err(ApiError::field(
            MEMBER,
            format!(
                "{} does not go with type {}: SINGLE and CHILD take dnsResource or ipResource, ARN takes arnResource, CIDR takes cidrResource",
                definition.member(),
                kind.name()
            ),
        )),
    }
}

/// A member of the definition that must be there.
fn given<'a>(value: Option<&'a String>, path: &str) -> Result<&'a str, ApiError> {
    let missing = || ApiError::field(&format!("{MEMBER}.{path}"), format!("{path} is required"));
    value.map(String::as_str).ok_or_else(missing)
}

fn reachable(versions: IpVersions, gateway: &ResourceGateway) -> Result<(), ApiError> {
    if gateway.ip_address_type.reaches(versions) {
        return Ok(());
    }
    Err(ApiError::field(
        MEMBER,
        format!(
            "A resource gateway with ipAddressType {} does not reach {} resources",
            gateway.ip_address_type.name(),
            versions.name()
        ),
    ))
}

fn check_dns(dns: &DnsResource, gateway: &ResourceGateway) -> Result<(), ApiError> {
    let name = given(dns.domain_name.as_ref(), "dnsResource.domainName")?;
    domain_name(&format!("{MEMBER}.dnsResource.domainName"), name)?;
    reachable(dns.ip_address_type.unwrap_or_default(), gateway)
}

fn check_ip(ip: &IpResource, around: Surroundings<'_>) -> Result<(), ApiError> {
    let path = "ipResource.ipAddress";
    let text = given(ip.ip_address.as_ref(), path)?;
    let wrong = |why: &str| ApiError::field(&format!("{MEMBER}.{path}"), format!("{text} {why}"));
    let address: IpAddr = text
        .parse()
        .map_err(|_| wrong("is not an IPv4 or IPv6 address"))?;
    match address {
        IpAddr::V4(v4) if !PRIVATE.iter().any(|net| net.contains(&v4)) => Err(wrong(
            "is not in 10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12 or 192.168.0.0/16",
        )),
        IpAddr::V4(_) => reachable(IpVersions::Ipv4, around.gateway),
        IpAddr::V6(_) if !is_of(around.vpc, address) => {
            Err(wrong("is not an address of the resource gateway's VPC"))
        }
        IpAddr::V6(_) => reachable(IpVersions::Ipv6, around.gateway),
    }
}

/// Is it an address of the VPC?
fn is_of(vpc: Option<&Vpc>, address: IpAddr) -> bool {
    vpc.is_some_and(|vpc| vpc.cidrs.iter().any(|cidr| cidr.contains(&address)))
}

/// Resources of RDS only: databases and clusters. Source: user guide, "Resource configurations", "ARN".
fn check_arn(resource: &ArnResource) -> Result<(), ApiError> {
    let path = "arnResource.arn";
    let arn = given(resource.arn.as_ref(), path)?;
    if arn.split(':').nth(2) == Some("rds") {
        return Ok(());
    }
    Err(ApiError::field(
        &format!("{MEMBER}.{path}"),
        format!("{arn} is not the ARN of a resource of Amazon RDS"),
    ))
}

fn check_cidrs(resource: &CidrResource) -> Result<(), ApiError> {
    let path = format!("{MEMBER}.cidrResource.cidrRanges");
    if resource.cidr_ranges.is_empty() {
        return Err(ApiError::field(
            &path,
            "cidrResource.cidrRanges is required",
        ));
    }
    let mut wrong = Vec::new();
    for (index, text) in resource.cidr_ranges.iter().enumerate() {
        if let Some(why) = fault_of_cidr(text, resource.cidr_ranges.len()) {
            wrong.push((format!("{path}[{index}]"), format!("{text} {why}")));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(ApiError::fields(wrong))
    }
}

fn fault_of_cidr(text: &str, count: usize) -> Option<String> {
    let Ok(net) = text.parse::<IpNet>() else {
        return Some("is not a range of addresses, such as 10.0.0.0/16".to_owned());
    };
    if net.trunc() != net {
        return Some(format!("has bits beyond its prefix: {}", net.trunc()));
    }
    if net.prefix_len() == 0 {
        return (count > 1).then(|| "must be the only one".to_owned());
    }
    let touched = CLOSED
        .iter()
        .find(|closed| closed.contains(&net) || net.contains(*closed));
    touched.map(|closed| format!("overlaps {closed}"))
}

/// Refuses port ranges that are none: `n` or `n-m`, from 1 to 65535.
pub(super) fn check_port_ranges(ranges: &[String]) -> Result<(), ApiError> {
    if ranges.is_empty() || ranges.len() > PORT_RANGES {
        let text = format!("portRanges must have 1 to {PORT_RANGES} items");
        return Err(ApiError::field("portRanges", text));
    }
    let mut wrong = Vec::new();
    for (index, range) in ranges.iter().enumerate() {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let fits = match (port(first), port(last)) {
            (Some(first), Some(last)) => first <= last,
            _ => false,
        };
        if !fits {
            let text = format!("{range} is not a port, or two with a hyphen, from 1 to 65535");
            wrong.push((format!("portRanges[{index}]"), text));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(ApiError::fields(wrong))
    }
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}
