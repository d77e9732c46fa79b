//! What a target answers, on its way to the client: framing that can be taken only one way, clean headers.
//!
//! The engine reads answers by RFC 9112 and is lenient where that allows it. A client may read them otherwise, so what is left
//! ambiguous goes no further: it becomes a 502, and the target's connection is not used again.

#[cfg(test)]
mod tests;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header, response::Parts};
use pingora_error::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use smallvec::SmallVec;
use trellis_access_logs::record::Phase;

use super::{affinity, exchange::Exchange, outcome, request::REQUEST_ID, tell::EXPLAIN};
use crate::h1;

/// Most informational answers (1xx) before the final one. A few are ordinary (100, 102, 103); more of them are a target that never
/// comes to the point, and each would be passed on.
const INFORMATIONAL: u8 = 32;

/// Most fields of an answer, and most bytes of their names and values. Over HTTP/1 the engine has the same bounds; over HTTP/2 it would
/// pass on 16 MiB.
const FIELDS: usize = 256;
const BYTES: usize = 1024 * 1024;

/// Fields that are for one hop, whether `Connection` names them or not.
const HOP_BY_HOP: [HeaderName; 5] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::CONNECTION,
    header::TE,
    header::UPGRADE,
];

/// Checks a target's answer, notes what it says and completes its headers.
pub(super) fn prepare_response(
    response: &mut ResponseHeader,
    exchange: &mut Exchange,
) -> Result<()> {
    let switching = response.status == StatusCode::SWITCHING_PROTOCOLS;
    if switching && !exchange.upgrade {
        // Otherwise the rest of the target's bytes would reach the client unread, as a protocol that it never asked for.
        return refuse("protocol switched without being asked to");
    }
    if response.version == Version::HTTP_2 {
        check_size(&response.headers)?;
    }
    check_framing(response)?;
    if response.version == Version::HTTP_10 {
        // Spec: RFC 9110 §2.5: each hop says its own version.
        response.set_version(Version::HTTP_11);
    }
    if response.status.is_informational() && !switching {
        exchange.informational += 1;
        if exchange.informational > INFORMATIONAL {
            return refuse("too many informational answers");
        }
        strip_hop_by_hop(response);
        response.remove_header(&EXPLAIN);
        return Ok(());
    }
    if exchange.answered.is_none() {
        exchange.answered = Some(exchange.stopwatch.enter(Phase::Body));
    }
    exchange.status = Some(response.status.as_u16());
    exchange.see_grpc_status(&response.headers);
    let status = response.status.as_u16();
    if let Some(outcome) = outcome::of_head(status, exchange.grpc_status, exchange.grpc) {
        outcome::report(exchange, outcome);
    }
    if !switching {
        strip_hop_by_hop(response);
    }
    change_headers(response, |headers| {
        headers.insert(REQUEST_ID, exchange.request_id.clone());
        affinity::keep(headers, exchange);
        // Only the gateway explains.
        match &exchange.explanation {
            Some(explanation) => drop(headers.insert(EXPLAIN, explanation.clone())),
            None => drop(headers.remove(EXPLAIN)),
        }
    })
}

/// Lets `change` work on the plain header map, and forgets how the target spelled the names, as [`super::request`] does.
fn change_headers(
    response: &mut ResponseHeader,
    change: impl FnOnce(&mut HeaderMap),
) -> Result<()> {
    let reason = response
        .get_reason_phrase()
        .filter(|reason| Some(*reason) != response.status.canonical_reason())
        .map(str::to_owned);
    let empty = ResponseHeader::from(http::Response::new(()).into_parts().0);
    let mut parts = Parts::from(std::mem::replace(response, empty));
    change(&mut parts.headers);
    *response = ResponseHeader::from(parts);
    match reason {
        Some(reason) => response.set_reason_phrase(Some(&reason)),
        None => Ok(()),
    }
}

fn check_size(headers: &HeaderMap) -> Result<()> {
    let fields = headers.iter();
    let bytes: usize = fields
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers.len() > FIELDS || bytes > BYTES {
        return refuse("too many or too large header fields");
    }
    Ok(())
}

/// Spec: RFC 9112 §6.1, §6.3; RFC 9110 §8.6: one plain `Content-Length`, or one `chunked`, or neither.
fn check_framing(response: &mut ResponseHeader) -> Result<()> {
    let headers = &response.headers;
    let chunked = one(headers, &header::TRANSFER_ENCODING, |value| {
        value.eq_ignore_ascii_case(b"chunked")
    })?;
    let length = one(headers, &header::CONTENT_LENGTH, |value| {
        h1::parse_length(value).is_some()
    })?;
    if chunked && response.version == Version::HTTP_10 {
        // Spec: RFC 9112 §6.1: framing that its sender cannot know is faulty.
        return refuse("transfer-encoding in an HTTP/1.0 answer");
    }
    if chunked && length {
        return refuse("content-length beside transfer-encoding");
    }
    if response.status.is_informational() && (chunked || length) {
        return refuse("informational answer with a body");
    }
    if response.status == StatusCode::NO_CONTENT {
        response.remove_header(&header::TRANSFER_ENCODING);
        response.remove_header(&header::CONTENT_LENGTH);
    }
    Ok(())
}

/// Is the field there? At most once, and with a value that is as it should be.
fn one(headers: &HeaderMap, name: &HeaderName, good: impl Fn(&[u8]) -> bool) -> Result<bool> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(HeaderValue::as_bytes);
    if values.next().is_some() || first.is_some_and(|value| !good(value)) {
        return refuse("repeated, malformed or unknown framing");
    }
    Ok(first.is_some())
}

/// Spec: RFC 9110 §7.6.1: what is for this hop, and what `Connection` names, stops here. Never the framing.
fn strip_hop_by_hop(response: &mut ResponseHeader) {
    let named: SmallVec<[HeaderName; 4]> = response
        .headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok())
        .filter(|name| *name != header::TRANSFER_ENCODING && *name != header::CONTENT_LENGTH)
        .collect();
    let ours = response
        .headers
        .keys()
        .filter(|name| HOP_BY_HOP.contains(name));
    let unwanted: SmallVec<[HeaderName; 4]> = ours.cloned().chain(named).collect();
    for name in unwanted {
        response.remove_header(&name);
    }
}

fn refuse<T>(why: &'static str) -> Result<T> {
    Err(Error::explain(ErrorType::InvalidHTTPHeader, why).into_up())
}
