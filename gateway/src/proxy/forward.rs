//! Choosing a target and talking to it: the peer and the headers that go there.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use pingora_core::{
    protocols::ALPN,
    upstreams::peer::{H1UpgradePolicy, HttpPeer, HttpUpstreamRequestPolicy, Scheme},
};
use pingora_error::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use smallvec::SmallVec;
use trellis_model::config::{Limits, ProtocolVersion, TargetProtocol, Upgrades};
use trellis_policy::Caller;

use super::{decide::check_versions, exchange::Exchange, failure::no_target, halt::Halt};
use crate::snapshot::{Action, TargetGroup};

/// How long an idle connection to a target is kept. Below the 60 s after which common servers close theirs, so that we close first
/// and a request does not meet a closing connection.
const TARGET_IDLE: Duration = Duration::from_secs(55);

/// Streams on one HTTP/2 connection to a target, before another is opened.
const TARGET_STREAMS: usize = 100;

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

/// Bounds every wait for the client by the service's idle timeout.
pub(super) fn set_deadlines(session: &mut Session, exchange: &Exchange) {
    let idle = exchange.idle();
    session.set_read_timeout(idle);
    session.set_write_timeout(idle);
}

/// Chooses the target group of a permitted request, by weight, and checks that it can be reached in the client's protocol.
///
/// The groups of one action may differ in protocol, so the check waits for the choice.
pub(super) fn choose_group(
    head: &RequestHeader,
    exchange: &mut Exchange,
    roll: u64,
) -> Result<(), Halt> {
    let Some(Action::Forward { choice, groups }) = exchange.permitted_action() else {
        return Err(Halt::Internal);
    };
    let group = choice
        .choose(roll)
        .and_then(|position| groups.get(position))
        .ok_or(Halt::NoGroup)?
        .clone();
    take_group(head, exchange, group)
}

/// Settles on a target group, if it can be reached in the client's protocol.
pub(super) fn take_group(
    head: &RequestHeader,
    exchange: &mut Exchange,
    group: Arc<TargetGroup>,
) -> Result<(), Halt> {
    check_versions(head, exchange.grpc, group.version).map_err(Halt::Version)?;
    exchange.group = Some(group);
    Ok(())
}

/// Chooses a target of the group. Called again for another attempt.
pub(super) fn choose_target(exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
    // Without a permit there is no group.
    let Some(group) = exchange.group.clone() else {
        return Error::e_explain(
            ErrorType::InternalError,
            "a target was asked for without a target group",
        );
    };
    let lease = group
        .live
        .choose()
        .map_err(|_| no_target("the target group has no targets"))?;
    let peer = peer(exchange, &group, lease.address());
    exchange.lease = Some(lease);
    peer.ok_or_else(|| Error::explain(ErrorType::InternalError, "request without a snapshot"))
}

fn peer(
    exchange: &Exchange,
    group: &TargetGroup,
    address: std::net::SocketAddr,
) -> Option<Box<HttpPeer>> {
    let service = exchange.service()?;
    let limits = &exchange.snapshot.as_ref()?.limits;
    let tls = group.protocol == TargetProtocol::Https;
    let server_name = if tls {
        service.domain.as_str().to_owned()
    } else {
        String::new()
    };
    let mut peer = Box::new(HttpPeer::new(address, tls, server_name));
    peer.scheme = Scheme::from_tls_bool(tls);
    // Connections are made inside the group's VPC and shared with no other group, even where addresses are the same.
    peer.group_key = group.id.number();
    let options = &mut peer.options;
    options.connection_timeout = Some(limits.connect_timeout);
    options.total_connection_timeout = Some(limits.connect_timeout * 2);
    options.read_timeout = exchange.idle();
    options.write_timeout = exchange.idle();
    options.idle_timeout = Some(TARGET_IDLE);
    options.verify_cert = false;
    options.verify_hostname = false;
    options.alpn = match group.version {
        ProtocolVersion::Http1 => ALPN::H1,
        ProtocolVersion::Http2 | ProtocolVersion::Grpc => ALPN::H2,
    };
    options.max_h2_streams = TARGET_STREAMS;
    options.http_upstream_request_policy = request_policy(limits, exchange.upgrade);
    Some(peer)
}

fn request_policy(limits: &Limits, upgrade: bool) -> HttpUpstreamRequestPolicy {
    let h1_upgrade = match limits.upgrades {
        Upgrades::Pass if upgrade => H1UpgradePolicy::WebSocketOnly,
        Upgrades::Pass | Upgrades::Drop => H1UpgradePolicy::Deny,
    };
    HttpUpstreamRequestPolicy {
        h1_upgrade,
        ..HttpUpstreamRequestPolicy::standard()
    }
}

/// Is this the opening handshake of a WebSocket? Any other request goes on without its `Upgrade` field.
///
/// Spec: RFC 6455 §4.1 wants GET without a body; RFC 9110 §7.8 wants `Upgrade` named in `Connection`.
pub(super) fn asks_for_websocket(session: &mut Session) -> bool {
    let without_body = session.as_downstream_mut().is_body_empty();
    let request = session.req_header();
    let named = request
        .headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"));
    let mut protocols = request.headers.get_all(header::UPGRADE).iter();
    let asked = protocols
        .next()
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    request.version == http::Version::HTTP_11
        && request.method == http::Method::GET
        && named
        && asked
        && protocols.next().is_none()
        && without_body
}

/// Cleans and completes the headers of a request on its way to the target.
///
/// Source: VPC Lattice user guide, "HTTP targets" and "Request tracking". Hop-by-hop fields are gone already: the engine drops them
/// (RFC 9110 §7.6.1).
pub(super) fn prepare_request(request: &mut RequestHeader, exchange: &mut Exchange) -> Result<()> {
    strip_untrusted(request);
    join_crumbs(request)?;
    append_forwarded_for(request, exchange)?;
    let Some(facts) = &exchange.facts else {
        return Error::e_explain(ErrorType::InternalError, "request without a connection");
    };
    request.insert_header(FORWARDED_PORT, HeaderValue::from(facts.local.port()))?;
    let proto = if facts.tls.is_some() { "https" } else { "http" };
    request.insert_header(FORWARDED_PROTO, HeaderValue::from_static(proto))?;
    request.insert_header(REQUEST_ID, exchange.request_id.clone())?;
    if let Some(view) = exchange.view() {
        request.insert_header(NETWORK, view.network_header.clone())?;
        request.insert_header(SOURCE_VPC, view.vpc_header.clone())?;
    }
    if let Some(target) = target_header(exchange) {
        request.insert_header(TARGET, target)?;
    }
    if let (Some(Caller::Principal(index)), Some(snapshot)) = (exchange.caller, &exchange.snapshot)
        && let Some(headers) = snapshot.caller_texts(index)
    {
        request.insert_header(IDENTITY, headers.identity.clone())?;
        request.insert_header(IDENTITY_TAGS, headers.tags.clone())?;
    }
    exchange.sent = Some(std::time::Instant::now());
    exchange.reached = exchange
        .lease
        .as_ref()
        .map(trellis_target_groups::Lease::address);
    Ok(())
}

/// Removes what only the gateway may say, and the session token, which is the caller's secret.
///
/// Also in the spellings with underscores or dots, because targets behind CGI and its heirs cannot tell them apart.
fn strip_untrusted(request: &mut RequestHeader) {
    let ours = |name: &HeaderName| {
        let text = name.as_str().as_bytes();
        resembles_prefix(text, b"x-amzn-lattice-")
            || resembles(text, b"x-amzn-requestid") && *name != REQUEST_ID
            || resembles(text, b"x-forwarded-for") && *name != FORWARDED_FOR
            || resembles(text, b"x-amzn-source-vpc")
            || resembles(text, b"x-forwarded-port")
            || resembles(text, b"x-forwarded-proto")
            || *name == SECURITY_TOKEN
    };
    let unwanted: SmallVec<[HeaderName; 8]> = request
        .headers
        .keys()
        .filter(|name| ours(name))
        .cloned()
        .collect();
    for name in unwanted {
        request.remove_header(&name);
    }
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

/// Makes one cookie of the crumbs that HTTP/2 clients may cut it into. Spec: RFC 9113 §8.2.3.
fn join_crumbs(request: &mut RequestHeader) -> Result<()> {
    let mut whole = Vec::new();
    let mut crumbs = 0;
    for crumb in request.headers.get_all(header::COOKIE) {
        if crumbs > 0 {
            whole.extend_from_slice(b"; ");
        }
        whole.extend_from_slice(crumb.as_bytes());
        crumbs += 1;
    }
    if crumbs < 2 {
        return Ok(());
    }
    let value = HeaderValue::from_maybe_shared(Bytes::from(whole))
        .map_err(|error| Error::because(ErrorType::InternalError, "cookie", error))?;
    request.insert_header(header::COOKIE, value)
}

/// Appends the client's address. Source: specification gap, `docs/conformance.md`: appended as application load balancers do.
fn append_forwarded_for(request: &mut RequestHeader, exchange: &Exchange) -> Result<()> {
    let Some(facts) = &exchange.facts else {
        return Ok(());
    };
    let mut line = Vec::with_capacity(64);
    for value in request.headers.get_all(&FORWARDED_FOR) {
        line.extend_from_slice(value.as_bytes());
        line.extend_from_slice(b", ");
    }
    line.extend_from_slice(facts.peer.ip().to_canonical().to_string().as_bytes());
    let value = HeaderValue::from_maybe_shared(Bytes::from(line))
        .map_err(|error| Error::because(ErrorType::InternalError, "x-forwarded-for", error))?;
    request.insert_header(FORWARDED_FOR, value)
}

/// `ServiceArn=…; ServiceNetworkArn=…; TargetGroupArn=…`
fn target_header(exchange: &Exchange) -> Option<HeaderValue> {
    let (service, network, group) = (
        exchange.service()?,
        exchange.network()?,
        exchange.group.as_ref()?,
    );
    let text = format!(
        "ServiceArn={}; ServiceNetworkArn={}; TargetGroupArn={}",
        service.arn, network.arn, group.arn
    );
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
}
