//! Which VPC a connection belongs to, by the address it arrived at and the address it came from.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;
use trellis_model::config::Attachment;

/// The attachments of all VPCs. Positions are those of the views.
#[derive(Debug, Default)]
pub struct Attachments {
    /// For each local address: source ranges, longest prefix first.
    by_local: HashMap<IpAddr, Vec<(IpNet, usize)>, foldhash::fast::RandomState>,
}

impl Attachments {
    /// Compiles the attachments of each VPC.
    pub fn compile<'a>(vpcs: impl IntoIterator<Item = &'a [Attachment]>) -> Self {
        let mut this = Self::default();
        for (view, attachments) in vpcs.into_iter().enumerate() {
            for attachment in attachments {
                for local in &attachment.listen {
                    let everyone = [whole_family(*local)];
                    let sources = if attachment.sources.is_empty() {
                        &everyone
                    } else {
                        attachment.sources.as_slice()
                    };
                    let ranges = this.by_local.entry(*local).or_default();
                    ranges.extend(sources.iter().map(|source| (source.trunc(), view)));
                }
            }
        }
        for ranges in this.by_local.values_mut() {
            ranges.sort_by_key(|(range, _)| std::cmp::Reverse(range.prefix_len()));
        }
        this
    }

    /// The VPC of a client at `peer` that connected to `local`: an attachment that names the local address goes before one that
    /// listens everywhere; among those of one address the longest range wins.
    pub fn find(&self, local: IpAddr, peer: IpAddr) -> Option<usize> {
        self.find_at(local, peer)
            .or_else(|| self.find_at(unspecified(local), peer))
    }

    fn find_at(&self, local: IpAddr, peer: IpAddr) -> Option<usize> {
        let ranges = self.by_local.get(&local)?;
        ranges
            .iter()
            .find(|(range, _)| range.contains(&peer))
            .map(|(_, view)| *view)
    }
}

fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn whole_family(like: IpAddr) -> IpNet {
    match like {
        IpAddr::V4(_) => IpNet::V4(ipnet::Ipv4Net::default()),
        IpAddr::V6(_) => IpNet::V6(ipnet::Ipv6Net::default()),
    }
}

#[cfg(test)]
mod tests;
