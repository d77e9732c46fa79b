//! Answers from our own zones.

use std::time::Duration;

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, HINFO, NS, SOA},
    },
};
use trellis_model::name::DomainName;

use super::{Lookup, query::Question};
use crate::telemetry::events::DnsOutcome;

/// What to do with a question.
#[derive(Debug)]
pub(super) enum Decision {
    /// Send this.
    Answer(Box<Message>, DnsOutcome),
    /// Ask a resolver.
    Forward,
}

/// Decides from what the name is.
pub(super) fn decide(question: &Question, found: Lookup, ttl: Duration) -> Decision {
    let ttl = u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX);
    match found {
        Lookup::Foreign => Decision::Forward,
        Lookup::Outsider => Decision::Answer(
            Box::new(question.respond(ResponseCode::Refused)),
            DnsOutcome::Refused,
        ),
        Lookup::Missing { zone } => negative(question, &zone, ttl, ResponseCode::NXDomain),
        Lookup::Empty { zone } => records(question, &zone, ttl, &[]),
        Lookup::Service { zone, v4, v6 } => {
            let v4 = v4.into_iter().map(|address| RData::A(A(address)));
            let v6 = v6.into_iter().map(|address| RData::AAAA(AAAA(address)));
            records(question, &zone, ttl, &v4.chain(v6).collect::<Vec<_>>())
        }
    }
}

/// Answers with those of `addresses` that were asked for, or with what every zone has at its top.
fn records(question: &Question, zone: &DomainName, ttl: u32, addresses: &[RData]) -> Decision {
    let wanted = question.query.query_type();
    let at_top = question.name == zone.as_str();
    let found: Vec<RData> = match wanted {
        RecordType::A | RecordType::AAAA => addresses
            .iter()
            .filter(|data| data.record_type() == wanted)
            .cloned()
            .collect(),
        RecordType::SOA if at_top => soa(zone, ttl).into_iter().collect(),
        // Spec: RFC 6303 §3: a zone nobody transfers names itself.
        RecordType::NS if at_top => name(zone)
            .map(|zone| RData::NS(NS(zone)))
            .into_iter()
            .collect(),
        // Spec: RFC 8482 §4.2: one synthesized record, so that nobody is sent more than they asked with.
        RecordType::ANY => vec![RData::HINFO(HINFO::new(
            "RFC8482".to_owned(),
            String::new(),
        ))],
        _ => Vec::new(),
    };
    if found.is_empty() {
        return negative(question, zone, ttl, ResponseCode::NoError);
    }
    let mut answer = question.respond(ResponseCode::NoError);
    answer.metadata.authoritative = true;
    answer.add_answers(
        found
            .into_iter()
            .map(|data| Record::from_rdata(question.query.name().clone(), ttl, data)),
    );
    Decision::Answer(Box::new(answer), DnsOutcome::Answered)
}

/// No such name, or no such record: the zone's SOA says how long that holds.
///
/// Spec: RFC 2308 §3.
fn negative(question: &Question, zone: &DomainName, ttl: u32, code: ResponseCode) -> Decision {
    let mut answer = question.respond(code);
    answer.metadata.authoritative = true;
    if let (Some(zone), Some(soa)) = (name(zone), soa(zone, ttl)) {
        answer.add_authority(Record::from_rdata(zone, ttl, soa));
    }
    let outcome = match code {
        ResponseCode::NXDomain => DnsOutcome::NoSuchName,
        _ => DnsOutcome::NoData,
    };
    Decision::Answer(Box::new(answer), outcome)
}

/// The SOA of every zone. There is one primary and nobody transfers, so the values only have to be harmless.
///
/// Spec: RFC 6303 §3 for the values; the last one is the time to live of negative answers.
fn soa(zone: &DomainName, ttl: u32) -> Option<RData> {
    let nobody = Name::from_ascii("nobody.invalid.").ok()?;
    let soa = SOA::new(name(zone)?, nobody, 1, 3600, 1200, 604_800, ttl);
    Some(RData::SOA(soa))
}

fn name(zone: &DomainName) -> Option<Name> {
    let mut name = Name::from_ascii(zone.as_str()).ok()?;
    name.set_fqdn(true);
    Some(name)
}
