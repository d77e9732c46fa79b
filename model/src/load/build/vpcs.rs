//! Tenant networks: address ranges, attachments, address books.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use ipnet::IpNet;

use super::{Builder, references::Declared};
use crate::{
    arn::Arn,
    config::{Attachment, Vpc},
    document,
    id::VpcId,
    load::path::At,
    ranges,
};

/// Which VPC claims the connections to an address from a range.
type Claims<'a> = HashMap<(IpAddr, IpNet), (VpcId, &'a str)>;

/// Where instances and load balancers live.
pub(super) type AddressBook<'a> = HashMap<&'a str, IpAddr>;

impl<'a> Builder<'a> {
    pub(super) fn declare_vpcs(&mut self, position: usize) {
        let Some(file) = self.files.get(position) else {
            return;
        };
        let root = At::file(position);
        let list = root.member("vpcs");
        for (index, vpc) in file.document.vpcs.iter().enumerate() {
            let at = list.index(index);
            let derived = VpcId::derive(self.account(position), &self.region, &vpc.name);
            let id = match &vpc.id {
                Some(text) => self.vpc_id(&at.member("id"), text).unwrap_or(derived),
                None => derived,
            };
            let taken_id = self.vpcs.has_id(&id);
            let declared = Declared {
                id,
                file: position,
                index,
            };
            if let Some(first) = self.vpcs.declare(self.owner(position), &vpc.name, declared) {
                let first = (first.file, first.index);
                self.taken(&at.member("name"), &vpc.name, "vpcs", first);
            } else if taken_id {
                self.error(
                    &at.member("id"),
                    format!(
                        "`{}` is the id of another VPC",
                        vpc.id.as_deref().unwrap_or_default()
                    ),
                );
            }
        }
    }

    /// Reports a name that another resource of the account has.
    pub(super) fn taken(
        &mut self,
        at: &At<'_>,
        name: &str,
        list: &str,
        (file, index): (usize, usize),
    ) {
        let first = self.seen_from(at, &At::file(file).member(list).index(index));
        self.error(at, format!("{name:?} is taken by {first}"));
    }

    fn vpc_id(&mut self, at: &At<'_>, text: &str) -> Option<VpcId> {
        let id = text.parse().ok();
        if id.is_none() {
            self.error(at, format!("`{text}` is not the id of a VPC"))
                .hint("`vpc-` and 8 or 17 lower-case hex digits");
        }
        id
    }

    /// The VPCs, and the address book of each.
    pub(super) fn build_vpcs(&mut self) -> (Vec<Arc<Vpc>>, HashMap<VpcId, AddressBook<'a>>) {
        let (mut vpcs, mut books) = (Vec::new(), HashMap::new());
        let mut claims = HashMap::new();
        for (position, file) in self.files.iter().enumerate() {
            let root = At::file(position);
            let list = root.member("vpcs");
            for (index, written) in file.document.vpcs.iter().enumerate() {
                if let Some((vpc, book)) =
                    self.vpc(&list.index(index), position, index, written, &mut claims)
                {
                    books.insert(vpc.id.clone(), book);
                    vpcs.push(Arc::new(vpc));
                }
            }
        }
        (vpcs, books)
    }

    fn vpc(
        &mut self,
        at: &At<'_>,
        file: usize,
        index: usize,
        written: &'a document::Vpc,
        claims: &mut Claims<'a>,
    ) -> Option<(Vpc, AddressBook<'a>)> {
        let account = self.account(file).clone();
        let name = self.name(&at.member("name"), &written.name, &ranges::VPC_NAME, "");
        if written.name.parse::<VpcId>().is_ok() {
            self.error(
                &at.member("name"),
                format!("`{}` looks like an id", written.name),
            )
            .hint("a name, or `id` for the id");
        }
        let cidrs = self.each(&at.member("cidrs"), &written.cidrs, Self::network);
        let resolvers = if written.resolvers.is_empty() {
            Some(Arc::clone(&self.resolvers))
        } else {
            self.resolvers(&at.member("resolvers"), &written.resolvers)
        };
        let id = written.id.as_deref().and_then(|text| text.parse().ok());
        let id = id.unwrap_or_else(|| VpcId::derive(&account, &self.region, &written.name));
        let attachments = self.attachments(&at.member("attachments"), written, &id, claims);
        let book = self.address_book(
            &at.member("addressBook"),
            written,
            cidrs.as_deref().unwrap_or_default(),
        );
        let first = self
            .vpcs
            .is_first(self.owner(file), &written.name, file, index);
        let arn = Arn::vpc(&account, &self.region, &id);
        let vpc = Vpc {
            id,
            arn,
            name: name?,
            account,
            cidrs: cidrs?,
            resolvers: resolvers?,
            attachments: attachments?,
            address_book: book
                .iter()
                .map(|(id, address)| ((*id).into(), *address))
                .collect(),
        };
        first.then_some((vpc, book))
    }

    /// An address range, written with the first address of the range.
    pub(super) fn network(&mut self, at: &At<'_>, text: &str) -> Option<IpNet> {
        let Ok(network) = text.parse::<IpNet>() else {
            self.error(at, format!("`{text}` is not an address range"))
                .hint("such as `10.0.0.0/16` or `fd00::/64`");
            return None;
        };
        if network.trunc() != network {
            self.error(at, format!("`{text}` does not begin at its first address"))
                .hint(format!("`{}`", network.trunc()));
            return None;
        }
        Some(network)
    }

    fn attachments(
        &mut self,
        at: &At<'_>,
        written: &'a document::Vpc,
        vpc: &VpcId,
        claims: &mut Claims<'a>,
    ) -> Option<Vec<Attachment>> {
        let mut attachments = Some(Vec::new());
        for (index, attachment) in written.attachments.iter().enumerate() {
            let at = at.index(index);
            let built = self.attachment(&at, attachment);
            if let Some(attachment) = &built {
                self.claim(&at, attachment, (vpc, &written.name), claims);
            }
            match (built, &mut attachments) {
                (Some(attachment), Some(all)) => all.push(attachment),
                _ => attachments = None,
            }
        }
        attachments
    }

    fn attachment(&mut self, at: &At<'_>, written: &document::Attachment) -> Option<Attachment> {
        if written.listen.is_empty() && written.sources.is_empty() {
            self.error(
                at,
                "an attachment without `listen` and `sources` tells nothing about a connection",
            )
            .hint("addresses to listen on, source ranges, or both");
            return None;
        }
        let listen = self.each(&at.member("listen"), &written.listen, Self::ip);
        let sources = self.each(&at.member("sources"), &written.sources, Self::network);
        let mut listen = listen?;
        if listen.is_empty() {
            listen = vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        }
        Some(Attachment {
            listen,
            sources: sources?,
        })
    }

    /// Two VPCs that claim the same connections cannot be told apart.
    fn claim(
        &mut self,
        at: &At<'_>,
        attachment: &Attachment,
        (vpc, name): (&VpcId, &'a str),
        claims: &mut Claims<'a>,
    ) {
        for listen in &attachment.listen {
            let everything = if listen.is_ipv4() {
                IpNet::from(EVERY_IPV4)
            } else {
                IpNet::from(EVERY_IPV6)
            };
            let fitting = attachment
                .sources
                .iter()
                .copied()
                .filter(|source| source.addr().is_ipv4() == listen.is_ipv4());
            let everything = attachment.sources.is_empty().then_some(everything);
            for source in fitting.chain(everything) {
                let owner = claims
                    .entry((*listen, source))
                    .or_insert_with(|| (vpc.clone(), name));
                if owner.0 != *vpc {
                    let message = format!(
                        "connections to {listen} from {source} would belong to VPC `{}` as well",
                        owner.1
                    );
                    self.error(at, message)
                        .hint("another address to listen on, or other source ranges");
                }
            }
        }
    }

    fn address_book(
        &mut self,
        at: &At<'_>,
        vpc: &'a document::Vpc,
        cidrs: &[IpNet],
    ) -> AddressBook<'a> {
        let mut book = AddressBook::new();
        for (id, text) in &vpc.address_book {
            let at = at.key(id);
            if !is_instance_id(id) && !is_load_balancer_arn(id) {
                self.error(&at, format!("`{id}` is neither an instance id nor the ARN of an application load balancer"))
                    .hint("such as `i-0123456789abcdef0`");
            }
            if let Some(address) = self.ip(&at, text) {
                self.inside(&at, address, cidrs);
                book.insert(id, address);
            }
        }
        book
    }

    /// May something in a VPC with these ranges have this address? The loopback network is always allowed, for demos and tests on
    /// one machine; addresses that no single machine has never are.
    pub(super) fn inside(&mut self, at: &At<'_>, address: IpAddr, cidrs: &[IpNet]) -> bool {
        let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        if address.is_unspecified() || address.is_multicast() || broadcast {
            self.error(at, format!("`{address}` is not the address of one machine"));
            return false;
        }
        let inside = cidrs.is_empty()
            || address.is_loopback()
            || cidrs.iter().any(|cidr| cidr.contains(&address));
        if !inside {
            let ranges: Vec<_> = cidrs.iter().take(5).map(ToString::to_string).collect();
            self.error(at, format!("`{address}` is not in the VPC"))
                .hint(format!("addresses in {}", ranges.join(", ")));
        }
        inside
    }
}

const EVERY_IPV4: ipnet::Ipv4Net = ipnet::Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);
const EVERY_IPV6: ipnet::Ipv6Net = ipnet::Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0);

/// `i-` and 8 or 17 hex digits.
pub(super) fn is_instance_id(text: &str) -> bool {
    let digits = text.strip_prefix("i-").unwrap_or_default();
    matches!(digits.len(), 8 | 17)
        && digits
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// `arn:aws:elasticloadbalancing:<region>:<account>:loadbalancer/app/<name>/<id>`.
pub(super) fn is_load_balancer_arn(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    parts.next() == Some("arn")
        && parts
            .next()
            .is_some_and(|partition| partition.starts_with("aws"))
        && parts.next() == Some("elasticloadbalancing")
        && parts
            .nth(2)
            .is_some_and(|resource| resource.starts_with("loadbalancer/app/"))
}
