//! Which addresses of an answer become targets.
//!
//! Whoever answers for a name says where the gateway connects to. So nothing is taken that could not be a target in a document, and
//! less: an operator may write a loopback address down, a name leads there only where the VPC's own ranges say so; and never to
//! addresses that mean something else to every machine, such as the metadata service of a cloud.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use trellis_model::config::{Discovery, DnsResponseType};

/// Most targets of one name: the quota of VPC Lattice for a target group. Source: VPC Lattice user guide, "Quotas".
pub(super) const MOST: usize = 1000;

/// The metadata service of AWS over IPv6; that over IPv4 is a link-local address. Source: EC2 user guide, "Instance metadata".
const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// What is taken of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// The addresses of the targets.
    pub(super) addresses: Vec<IpAddr>,
    /// How many addresses are not taken for where they are, and one of them.
    pub(super) outside: Option<(usize, IpAddr)>,
    /// How many are not taken because there are too many.
    pub(super) beyond: usize,
}

/// Takes of an answer what may be targets.
///
/// Endpoints are sorted: servers turn their answers around, and the order is nobody's wish.
pub(super) fn take(of: &Discovery, answered: &[IpAddr]) -> Taken {
    let (mut addresses, refused): (Vec<IpAddr>, Vec<IpAddr>) = answered
        .iter()
        .partition(|address| admits(&of.within, **address));
    let mut beyond = 0;
    match of.response {
        // Source: App Mesh user guide, "Virtual nodes": the first address of each answer is used for new connections.
        DnsResponseType::LoadBalancer => addresses.truncate(1),
        DnsResponseType::Endpoints => {
            addresses.sort_unstable();
            addresses.dedup();
            beyond = addresses.len().saturating_sub(MOST);
            addresses.truncate(MOST);
        }
    }
    Taken {
        addresses,
        outside: refused.first().map(|first| (refused.len(), *first)),
        beyond,
    }
}

/// May a target that is found by a name in a VPC with these ranges have this address?
pub(crate) fn admits(within: &[IpNet], address: IpAddr) -> bool {
    let special = match address {
        IpAddr::V4(v4) => {
            v4.is_link_local() || v4.is_broadcast() || v4.octets().first() == Some(&0)
        }
        // An IPv4 address in disguise would be IPv6 to the check and IPv4 to the kernel.
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local() || v6 == METADATA || v6.to_ipv4_mapped().is_some()
        }
    };
    let not_one = address.is_unspecified() || address.is_multicast();
    !special && !not_one && within.iter().any(|range| range.contains(&address))
}

#[cfg(test)]
pub(super) mod tests;
