//! What an answer of a DNS server says about a name. Pure: bytes in, meaning out; every byte is hostile.

use std::{collections::HashSet, net::IpAddr};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData, Record, RecordType},
};

use super::DiscoveryError;

/// Most aliases in a row (CNAME), within one answer and over several.
pub(super) const ALIASES: usize = 16;

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The addresses, in the order of the answer, and for how many seconds they count: the shortest time of all records on the way.
    Addresses { addresses: Vec<IpAddr>, ttl: u32 },
    /// The name is another name's alias, about which the answer says nothing. Recursive servers tell all they know, so these are few.
    Alias { name: Name, ttl: u32 },
    /// There is no such name.
    NoName { ttl: Option<u32> },
    /// There is, without such addresses.
    NoAddress { ttl: Option<u32> },
}

/// Reads what `bytes`, an answer to a question for the `kind` of addresses of `asked`, says about it.
pub(super) fn read(
    bytes: &[u8],
    asked: &Name,
    kind: RecordType,
) -> Result<Reading, DiscoveryError> {
    let message = Message::from_vec(bytes)
        .map_err(|_| DiscoveryError::Malformed("an answer that cannot be read"))?;
    let missing = match message.metadata.response_code {
        ResponseCode::NoError => false,
        ResponseCode::NXDomain => true,
        code => return Err(DiscoveryError::ServerFailure(code)),
    };
    if message.metadata.truncation {
        return Err(DiscoveryError::Malformed("half an answer"));
    }
    let (owner, mut ttl) = follow(&message.answers, asked)?;
    let mut addresses = Vec::new();
    for record in &message.answers {
        if let Some(address) = address(record, kind)
            && record.name == owner
        {
            ttl = ttl.min(record.ttl);
            addresses.push(address);
        }
    }
    if !addresses.is_empty() {
        return Ok(Reading::Addresses { addresses, ttl });
    }
    // Spec: RFC 6604 §3: the code is about the last name of the chain.
    let negative = negative_ttl(&message);
    if missing {
        return Ok(Reading::NoName { ttl: negative });
    }
    if owner != *asked {
        return Ok(Reading::Alias { name: owner, ttl });
    }
    let refers = |record: &Record| record.record_type() == RecordType::NS;
    if negative.is_none() && message.authorities.iter().any(refers) {
        return Err(DiscoveryError::Malformed(
            "a referral to other servers: this one does not ask them itself",
        ));
    }
    Ok(Reading::NoAddress { ttl: negative })
}

/// The name that `asked` is an alias of in the end, itself if it is none; and the shortest time of the aliases.
fn follow(answers: &[Record], asked: &Name) -> Result<(Name, u32), DiscoveryError> {
    let mut seen = HashSet::from([asked.to_lowercase()]);
    let (mut owner, mut ttl) = (asked.clone(), u32::MAX);
    loop {
        let alias = answers.iter().find_map(|record| match &record.data {
            RData::CNAME(to) if record.name == owner => Some((to.0.clone(), record.ttl)),
            _ => None,
        });
        let Some((to, its_ttl)) = alias else {
            return Ok((owner, ttl));
        };
        ttl = ttl.min(its_ttl);
        if seen.len() > ALIASES || !seen.insert(to.to_lowercase()) {
            return Err(DiscoveryError::Malformed(
                "an alias that leads back to itself, or too many in a row",
            ));
        }
        owner = to;
    }
}

fn address(record: &Record, kind: RecordType) -> Option<IpAddr> {
    match &record.data {
        RData::A(address) if kind == RecordType::A => Some(address.0.into()),
        RData::AAAA(address) if kind == RecordType::AAAA => Some(address.0.into()),
        _ => None,
    }
}

/// For how long there is nothing. Spec: RFC 2308 §5.
fn negative_ttl(message: &Message) -> Option<u32> {
    message
        .authorities
        .iter()
        .find_map(|record| match &record.data {
            RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
            _ => None,
        })
}

#[cfg(test)]
mod tests;
