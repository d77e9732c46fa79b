//! Choosing a target and connecting to it.

use std::{net::SocketAddr, sync::Arc};

use http::header;
use pingora_error::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use trellis_model::config::{ProtocolVersion, TargetProtocol, Upgrades};
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
    snapshot::{Action, Takers, TargetGroup},
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
) -> Result<(Destination, Lease)> {
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
    let Some(destination) = destination(exchange, &group, lease.address()) else {
        let why = "a target that cannot be connected to";
        return Error::e_explain(ErrorType::InternalError, why);
    };
    Ok((destination, lease))
}

fn destination(
    exchange: &Exchange,
    group: &TargetGroup,
    address: SocketAddr,
) -> Option<Destination> {
    let domain = &exchange.service()?.domain;
    let targets = group.targets()?;
    let tls = targets.tls.as_ref();
    if tls.is_none() && targets.protocol == TargetProtocol::Https {
        return None;
    }
    Some(Destination {
        group: group.id.number(),
        address,
        http: match targets.version {
            ProtocolVersion::Http1 => Http::One,
            ProtocolVersion::Http2 | ProtocolVersion::Grpc => Http::Two,
        },
        tls: tls.map(|tls| (Arc::clone(tls), domain.clone())),
        connect: exchange.snapshot.as_ref()?.limits.connect_timeout,
        streams: targets.connections.streams,
        keep_alive: targets.connections.keep_alive,
        metrics: Arc::clone(group.metrics.of(Some(address))),
    })
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
