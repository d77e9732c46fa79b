//! The headers of a request on its way to the target: what only the gateway may say is removed, what targets are told is added.
//!
//! Hot: values that many requests share stand ready in the snapshot or in the facts of the connection, and fields are changed in
//! the plain header map. The engine's own `insert_header` parses and copies the name each time, and keeps a second map with the
//! names as the client spelled them. That map is dropped as soon as the head is there, so fields reach HTTP/1 targets in the usual
//! spelling of their names (RFC 9110 §5.1: case means nothing).

mod hop;
#[cfg(test)]
mod tests;

use std::time::Instant;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Version, header, request::Parts, uri::PathAndQuery,
};
use pingora_error::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use smallvec::SmallVec;

use super::exchange::{Exchange, GRPC_TIMEOUT};
use crate::conn::Facts;

const NETWORK: HeaderName = HeaderName::from_static("x-amzn-lattice-network");
const TARGET: HeaderName = HeaderName::from_static("x-amzn-lattice-target");
const IDENTITY: HeaderName = HeaderName::from_static("x-amzn-lattice-identity");
const IDENTITY_TAGS: HeaderName = HeaderName::from_static("x-amzn-lattice-identity-tags");
const SOURCE_VPC: HeaderName = HeaderName::from_static("x-amzn-source-vpc");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Fields that the gateway adds, at most.
const ADDED: usize = 9;

/// Forgets how the client spelled the names of header fields.
pub(super) fn forget_spelling(request: &mut RequestHeader) -> Result<()> {
    if request.has_case() {
        change_headers(request, |_| Ok(()))?;
    }
    Ok(())
}

/// Cleans and completes the headers of a request on its way to the target.
///
/// Source: VPC Lattice user guide, "HTTP targets" and "Request tracking". Hop-by-hop fields are another matter, see [`hop`].
pub(super) fn prepare_request(request: &mut RequestHeader, exchange: &Exchange) -> Result<()> {
    change_headers(request, |headers| prepare_headers(headers, exchange))
}

fn prepare_headers(headers: &mut HeaderMap, exchange: &Exchange) -> Result<()> {
    complete(headers, exchange)?;
    tell_deadline(headers, exchange)
}

/// The head of a client's request as a target gets it over HTTP/1.1. `has_body`: a body follows.
pub(super) fn in_http1(
    client: &RequestHeader,
    exchange: &Exchange,
    has_body: bool,
) -> Result<RequestHeader> {
    let mut head = client.clone();
    let authority = head.uri.authority().map(ToString::to_string);
    change_headers(&mut head, |headers| {
        hop::strip(headers)?;
        if let Some(authority) = authority {
            headers.insert(header::HOST, value(authority.into())?);
        }
        if exchange.upgrade {
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        if has_body && !headers.contains_key(header::CONTENT_LENGTH) {
            headers.insert(
                header::TRANSFER_ENCODING,
                HeaderValue::from_static("chunked"),
            );
        }
        prepare_headers(headers, exchange)
    })?;
    head.set_version(Version::HTTP_11);
    Ok(head)
}

/// The head of a client's request as a target gets it over HTTP/2.
pub(super) fn in_http2(
    client: &RequestHeader,
    exchange: &Exchange,
    tls: bool,
) -> Result<RequestHeader> {
    let mut head = client.clone();
    let mut host = None;
    change_headers(&mut head, |headers| {
        if client.version != Version::HTTP_2 {
            hop::strip(headers)?;
        }
        // Spec: RFC 9113 §8.3.1: `:authority` takes the place of `Host`.
        host = headers.remove(header::HOST);
        prepare_headers(headers, exchange)
    })?;
    if let Some(host) = host {
        let scheme = if tls { "https" } else { "http" };
        let target = client.uri.path_and_query().cloned();
        let uri = http::Uri::builder()
            .scheme(scheme)
            .authority(host.as_bytes())
            .path_and_query(target.unwrap_or(PathAndQuery::from_static("/")))
            .build();
        head.set_uri(uri.map_err(|error| {
            Error::because(ErrorType::InvalidHTTPHeader, "host", error).into_down()
        })?);
    }
    head.set_version(Version::HTTP_2);
    Ok(head)
}

/// The headers of a request as its function is told of them.
///
/// `Host` is there also when the client sent `:authority`.
pub(super) fn event_headers(request: &RequestHeader, exchange: &Exchange) -> Result<HeaderMap> {
    let mut headers = request.headers.clone();
    hop::strip(&mut headers)?;
    // Spec: RFC 9110 §10.1.1: the gateway answers it, which reads the whole body.
    headers.remove(header::EXPECT);
    let authority = request.uri.authority().map(ToString::to_string);
    if let Some(authority) = authority {
        headers.insert(header::HOST, value(authority.into())?);
    }
    complete(&mut headers, exchange)?;
    Ok(headers)
}

/// Removes what only the gateway may say, and says it.
fn complete(headers: &mut HeaderMap, exchange: &Exchange) -> Result<()> {
    let Some(facts) = &exchange.facts else {
        return Error::e_explain(ErrorType::InternalError, "request without a connection");
    };
    strip_untrusted(headers);
    join_crumbs(headers)?;
    headers.reserve(ADDED);
    forward_client(headers, facts)?;
    identify(headers, exchange);
    exchange.tell_trace(headers);
    Ok(())
}

/// Lets `change` work on the plain header map.
///
/// Taking a head apart loses a target that its URI cannot give back. No such target comes this far: heads are in origin or asterisk
/// form. Should one, it is refused rather than forwarded changed.
fn change_headers(
    request: &mut RequestHeader,
    change: impl FnOnce(&mut HeaderMap) -> Result<()>,
) -> Result<()> {
    let target = request.uri.path_and_query();
    if target.is_none_or(|target| target.as_str().as_bytes() != request.raw_path()) {
        return Error::e_explain(ErrorType::InternalError, "request target changed its form");
    }
    let empty = RequestHeader::from(http::Request::new(()).into_parts().0);
    let mut parts = Parts::from(std::mem::replace(request, empty));
    let changed = change(&mut parts.headers);
    *request = RequestHeader::from(parts);
    changed
}

/// Removes what only the gateway may say, and the session token, which is the caller's secret.
///
/// Also in the spellings with underscores or dots, because targets behind CGI and its heirs cannot tell them apart.
fn strip_untrusted(headers: &mut HeaderMap) {
    let unwanted: SmallVec<[HeaderName; 8]> = headers
        .keys()
        .filter(|name| is_untrusted(name))
        .cloned()
        .collect();
    for name in unwanted {
        headers.remove(&name);
    }
}

fn is_untrusted(name: &HeaderName) -> bool {
    let text = name.as_str().as_bytes();
    // Names are in lower case here, and all of these begin alike.
    text.first() == Some(&b'x')
        && (resembles_prefix(text, b"x-amzn-lattice-")
            || resembles(text, b"x-amzn-requestid") && *name != REQUEST_ID
            || resembles(text, b"x-forwarded-for") && *name != FORWARDED_FOR
            || resembles(text, b"x-amzn-source-vpc")
            || resembles(text, b"x-forwarded-port")
            || resembles(text, b"x-forwarded-proto")
            || resembles(text, b"x-trellis-explain")
            || *name == SECURITY_TOKEN)
}

fn resembles(name: &[u8], known: &[u8]) -> bool {
    name.len() == known.len() && resembles_prefix(name, known)
}

fn resembles_prefix(name: &[u8], known: &[u8]) -> bool {
    name.len() >= known.len()
        && name.iter().zip(known).all(|(byte, wanted)| {
            byte == wanted || (*wanted == b'-' && matches!(byte, b'_' | b'.'))
        })
}

/// Says where the client is and how it came: address, port, protocol.
fn forward_client(headers: &mut HeaderMap, facts: &Facts) -> Result<()> {
    let address = if headers.contains_key(&FORWARDED_FOR) {
        append_forwarded_for(headers, &facts.client_header)?
    } else {
        facts.client_header.clone()
    };
    headers.insert(FORWARDED_FOR, address);
    headers.insert(FORWARDED_PORT, facts.port_header.clone());
    let proto = if facts.tls.is_some() { "https" } else { "http" };
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(proto));
    Ok(())
}

/// Source: specification gap, `docs/conformance.md`: the client's address is appended, as application load balancers do.
fn append_forwarded_for(headers: &HeaderMap, client: &HeaderValue) -> Result<HeaderValue> {
    let said = headers.get_all(&FORWARDED_FOR).iter();
    joined(said.chain([client]), b", ")
}

/// Makes one cookie of the crumbs that HTTP/2 clients may cut it into. Spec: RFC 9113 §8.2.3.
fn join_crumbs(headers: &mut HeaderMap) -> Result<()> {
    let crumbs = headers.get_all(header::COOKIE);
    if crumbs.iter().nth(1).is_some() {
        let whole = joined(crumbs.iter(), b"; ")?;
        headers.insert(header::COOKIE, whole);
    }
    Ok(())
}

fn joined<'a>(
    values: impl Iterator<Item = &'a HeaderValue>,
    separator: &[u8],
) -> Result<HeaderValue> {
    let mut line = Vec::with_capacity(64);
    for (position, value) in values.enumerate() {
        if position > 0 {
            line.extend_from_slice(separator);
        }
        line.extend_from_slice(value.as_bytes());
    }
    value(line)
}

fn value(bytes: Vec<u8>) -> Result<HeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(bytes)).map_err(|error| {
        Error::because(ErrorType::InternalError, "a header value made here", error)
    })
}

/// Tells a gRPC target how much time is left of what its client and the rule allow.
///
/// Spec: gRPC over HTTP/2, "Requests": at most eight digits.
fn tell_deadline(headers: &mut HeaderMap, exchange: &Exchange) -> Result<()> {
    /// Most that eight digits can say.
    const MOST: u128 = 99_999_999;
    let Some(deadline) = exchange.deadline.filter(|_| exchange.grpc) else {
        return Ok(());
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let (number, unit) = if left.as_micros() <= MOST {
        (left.as_micros(), 'u')
    } else if left.as_millis() <= MOST {
        (left.as_millis(), 'm')
    } else {
        (u128::from(left.as_secs()).min(MOST), 'S')
    };
    headers.insert(GRPC_TIMEOUT, value(format!("{number}{unit}").into())?);
    Ok(())
}

/// Says which request this is, through what it came, and who sent it.
fn identify(headers: &mut HeaderMap, exchange: &Exchange) {
    headers.insert(REQUEST_ID, exchange.request_id.clone());
    if let Some(view) = exchange.view() {
        headers.insert(NETWORK, view.network_header.clone());
        headers.insert(SOURCE_VPC, view.vpc_header.clone());
    }
    if let Some(target) = target_header(exchange) {
        headers.insert(TARGET, target.clone());
    }
    if let Some((_, texts)) = exchange.caller_texts() {
        headers.insert(IDENTITY, texts.identity.clone());
        headers.insert(IDENTITY_TAGS, texts.tags.clone());
    }
}

fn target_header(exchange: &Exchange) -> Option<&HeaderValue> {
    let (snapshot, matched) = (exchange.snapshot.as_ref()?, exchange.matched()?);
    snapshot.target_header(matched.service, matched.network, exchange.group.as_ref()?)
}
