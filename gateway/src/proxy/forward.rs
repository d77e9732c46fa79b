//! Choosing a target and connecting to it.

use std::{net::SocketAddr, sync::Arc};

use http::header;
use pingora_core::{
    protocols::ALPN,
    upstreams::peer::{HttpPeer, Scheme},
};
use pingora_error::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use trellis_model::{
    config::{ProtocolVersion, TargetProtocol, Upgrades},
    id::TargetGroupId,
};
use trellis_target_groups::{Lease, Wanted};

use super::{
    affinity::{self, Affinity},
    connections::Destination,
    decide::check_versions,
    exchange::Exchange,
    failure::no_target,
    halt::{Halt, VersionMismatch},
};
use crate::{
    snapshot::{Action, Takers, TargetGroup, Targets},
    telemetry::ZoneMetrics,
    tls::Http,
};

/// Bounds every wait for the client by the service's idle timeout.
pub(super) fn set_deadlines(session: &mut Session, exchange: &Exchange) {
    let idle = exchange.idle();
    session.set_read_timeout(idle);
    session.set_write_timeout(idle);
}

/// Chooses the target group of a permitted request, the one that its cookie keeps it at or else by weight, and checks that it can be reached in the client's protocol.
///
/// The groups of one action may differ in protocol, so the check waits for the choice.
pub(super) fn choose_group(
    head: &RequestHeader,
    exchange: &mut Exchange,
    roll: u64,
) -> Result<(), Halt> {
    let Some(Action::Forward(forward)) = exchange.permitted_action() else {
        return Err(Halt::Internal);
    };
    let traffic = Arc::clone(&forward.traffic);
    let weights = forward.choice.weights();
    let kept = affinity::kept_group(&head.headers, &forward.groups, weights);
    let drawn = || forward.groups.get(forward.choice.choose(roll)?);
    let group = kept.or_else(drawn).ok_or(Halt::NoGroup)?.clone();
    if let (true, Some(targets)) = (traffic.may_repeat(), group.targets()) {
        exchange.repeats.running = Some(targets.live.running().begin());
    }
    exchange.traffic = Some(traffic);
    take_group(head, exchange, group)
}

/// Settles on a target group, if it can be reached in the client's protocol.
pub(super) fn take_group(
    head: &RequestHeader,
    exchange: &mut Exchange,
    group: Arc<TargetGroup>,
) -> Result<(), Halt> {
    match &group.takers {
        Takers::Targets(targets) => check_versions(head, exchange.grpc, targets.version),
        Takers::Function(_) if exchange.grpc => Err(VersionMismatch::Function),
        Takers::Function(_) => Ok(()),
    }
    .map_err(Halt::Version)?;
    exchange.affinity = Affinity::of(&head.headers, exchange, &group);
    exchange.group = Some(group);
    Ok(())
}

/// Chooses a target of the group, another one than those that were tried, where there is one. Called again for another attempt.
pub(super) fn choose_target(
    exchange: &Exchange,
    random: u64,
    tried: &[SocketAddr],
) -> Result<(Box<Destination>, Lease)> {
    // Without a permit there is no group.
    let Some(group) = exchange.group.clone() else {
        return Error::e_explain(
            ErrorType::InternalError,
            "a target was asked for without a target group",
        );
    };
    let Some(targets) = group.targets() else {
        return Error::e_explain(ErrorType::InternalError, "a function has no target");
    };
    let lease = targets
        .live
        .choose(&Wanted {
            random,
            now: exchange.began,
            hash: exchange.affinity.hash,
            sticky: exchange.affinity.sticky.as_ref(),
            tried,
        })
        .map_err(|_| no_target("the target group has no targets"))?;
    let metrics = Arc::clone(group.metrics.of(Some(lease.address())));
    let destination = destination(exchange, group.id, targets, (lease.address(), metrics));
    destination
        .map(|destination| (destination, lease))
        .ok_or_else(|| Error::explain(ErrorType::InternalError, "request without a snapshot"))
}

fn destination(
    exchange: &Exchange,
    group: TargetGroupId,
    targets: &Targets,
    (address, metrics): (SocketAddr, Arc<ZoneMetrics>),
) -> Option<Box<Destination>> {
    let service = exchange.service()?;
    let limits = &exchange.snapshot.as_ref()?.limits;
    let tls = targets.protocol == TargetProtocol::Https;
    let server_name = if tls {
        service.domain.as_str().to_owned()
    } else {
        String::new()
    };
    let mut peer = HttpPeer::new(address, tls, server_name);
    peer.scheme = Scheme::from_tls_bool(tls);
    // Connections are made inside the group's VPC and shared with no other group, even where addresses are the same; nor with those
    // that were made under other terms of TLS.
    let terms = targets.tls.as_ref().map_or(0, |tls| tls.key());
    peer.group_key = group.number() ^ terms;
    let options = &mut peer.options;
    options.connection_timeout = Some(limits.connect_timeout);
    options.total_connection_timeout = Some(limits.connect_timeout * 2);
    options.write_timeout = exchange.idle();
    options.idle_timeout = Some(targets.connections.keep_alive);
    let http = match targets.version {
        ProtocolVersion::Http1 => Http::One,
        ProtocolVersion::Http2 | ProtocolVersion::Grpc => Http::Two,
    };
    options.alpn = match http {
        Http::One => ALPN::H1,
        Http::Two => ALPN::H2,
    };
    options.max_h2_streams = usize::from(targets.connections.streams);
    Some(Box::new(Destination {
        peer,
        http,
        tls: targets.tls.clone(),
        metrics,
    }))
}

/// Is this the opening handshake of a WebSocket? Any other request goes on without its `Upgrade` field.
///
/// Spec: RFC 6455 §4.1 wants GET without a body; RFC 9110 §7.8 wants `Upgrade` named in `Connection`.
pub(super) fn asks_for_websocket(session: &mut Session, exchange: &Exchange) -> bool {
    if !session.req_header().headers.contains_key(header::UPGRADE) {
        return false;
    }
    let snapshot = exchange.snapshot.as_ref();
    if snapshot.is_none_or(|snapshot| snapshot.limits.upgrades == Upgrades::Drop) {
        return false;
    }
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
