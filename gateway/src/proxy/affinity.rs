//! What a request has to do with one target rather than another: the cookie that keeps it there, or what the group hashes.

#[cfg(test)]
mod tests;

use std::{net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderValue, header};
use trellis_model::config::HashKey;
use trellis_target_groups::{TargetKey, hash};

use super::exchange::Exchange;
use crate::snapshot::TargetGroup;

/// What a request has to do with one target of its group.
#[derive(Debug, Default)]
pub struct Affinity {
    /// The target that its cookie names.
    pub sticky: Option<TargetKey>,
    /// The hash of what the group hashes.
    pub hash: Option<u64>,
}

impl Affinity {
    /// What the request has to do with this group's targets.
    pub(super) fn of(headers: &HeaderMap, exchange: &Exchange, group: &TargetGroup) -> Self {
        Self {
            sticky: kept(headers, group),
            hash: group
                .targets()
                .and_then(|targets| match targets.hash.as_ref()? {
                    HashKey::Header(name) => headers
                        .get(&**name)
                        .map(HeaderValue::as_bytes)
                        .map(hash::of),
                    HashKey::Cookie(name) => cookies(headers, name).next().map(hash::of),
                    HashKey::Source => exchange
                        .facts
                        .as_ref()
                        .map(|facts| of_address(facts.peer.ip())),
                    HashKey::Principal => {
                        let (principal, _) = exchange.caller_texts()?;
                        Some(hash::of(principal.arn.as_bytes()))
                    }
                }),
        }
    }
}

/// The group of an action that a client's cookie keeps it at: a client that comes back to its target comes back to its group. Not to
/// one whose weight is zero now, which is to lose its clients.
pub(super) fn kept_group<'g>(
    headers: &HeaderMap,
    groups: &'g [Arc<TargetGroup>],
    mut weights: impl Iterator<Item = u32>,
) -> Option<&'g Arc<TargetGroup>> {
    groups.iter().find(|group| {
        let weight = weights.next();
        weight.is_some_and(|weight| weight > 0) && kept(headers, group).is_some()
    })
}

/// The target that a client's cookie names. A client may have several cookies of the name, of groups of one domain.
fn kept(headers: &HeaderMap, group: &TargetGroup) -> Option<TargetKey> {
    let stickiness = group.targets()?.stickiness.as_ref()?;
    cookies(headers, stickiness.name()).find_map(|value| stickiness.target(value))
}

/// Lets an answer of the target keep the client there, where the group wants that.
pub(super) fn keep(headers: &mut HeaderMap, exchange: &Exchange) {
    let cookies = exchange
        .group
        .as_ref()
        .and_then(|group| group.targets()?.stickiness.as_ref());
    let (Some(cookies), Some(lease)) = (cookies, &exchange.lease) else {
        return;
    };
    let is_kept = exchange.affinity.sticky.as_ref() == Some(lease.key());
    if is_kept && !cookies.are_renewed() {
        return;
    }
    let tls = exchange
        .facts
        .as_ref()
        .is_some_and(|facts| facts.tls.is_some());
    if let Some(field) = cookies.set(lease.key(), tls) {
        headers.append(header::SET_COOKIE, field);
    }
}

/// The values of all cookies of this name. Spec: RFC 6265 §4.2.1; RFC 9113 §8.2.3 allows several fields.
fn cookies<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h [u8]> {
    let fields = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes);
    let pairs = fields.flat_map(|field| field.split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| {
        let pair = pair.trim_ascii();
        let value = pair.strip_prefix(name.as_bytes())?;
        value.strip_prefix(b"=")
    })
}

/// An address hashes as it is, also where the system shows one of IPv4 as one of IPv6.
fn of_address(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => hash::of(&address.octets()),
        IpAddr::V6(address) => hash::of(&address.octets()),
    }
}
