//! A second attempt beside one that takes long.

use std::pin::Pin;

use pingora_error::Result;
use pingora_proxy::Session;
use trellis_target_groups::Lease;

use super::{Clock, Route, connect};
use crate::{
    pools::Place,
    proxy::{
        connections::Connections, exchange::Exchange, forward, repeat, report, request,
        upstream::Event,
    },
};

/// An attempt that runs until the first part of its answer is there.
pub(super) type Rival<'a> = Pin<Box<dyn Future<Output = Result<Won>> + Send + 'a>>;

/// An attempt that has an answer.
pub(super) struct Won {
    pub(super) route: Route,
    pub(super) lease: Lease,
    pub(super) place: Option<Place>,
    /// Bytes to its target.
    pub(super) sent: u64,
    pub(super) first: Event,
    /// Among the attempts that are noted for the trace.
    pub(super) position: usize,
}

/// Begins a second attempt at another target, if the request may be sent twice and its whole body is there to be sent.
pub(super) fn begin<'a>(
    connections: &'a Connections,
    session: &mut Session,
    exchange: &mut Exchange,
    clock: &Clock,
) -> Option<Rival<'a>> {
    if !session.req_header().method.is_idempotent() || !repeat::is_replayable(session) {
        return None;
    }
    let tried: Vec<_> = exchange.reached.into_iter().collect();
    let (to, lease) = forward::choose_target(exchange, exchange.repeats.roll, &tried).ok()?;
    if tried.contains(&lease.address()) || !exchange.allow_repeat() {
        return None;
    }
    // A second attempt waits for nobody's place.
    let pool = exchange
        .group
        .as_ref()
        .and_then(|group| group.targets()?.pool.clone());
    let place = match pool {
        Some(pool) => Some(pool.try_enter(lease.address())?),
        None => None,
    };
    let position = exchange.begin_attempt(Some(lease.address()), !exchange.repeats.roll);
    let bodiless = session.as_mut().is_body_empty();
    // Which version the connection speaks shows when it is there.
    let http1 = request::in_http1(session.req_header(), exchange, !bodiless).ok()?;
    let http2 = request::in_http2(session.req_header(), exchange, to.tls.is_some()).ok()?;
    let body = session.as_ref().get_retry_buffer();
    let (clock, silence) = (clock.clone(), exchange.idle());
    Some(Box::pin(async move {
        let mut route = connect(connections, to, &clock, silence).await?;
        let upstream = &mut route.upstream;
        let over_http2 = upstream.is_http2();
        let head = if over_http2 { http2 } else { http1 };
        let body_bytes = body.as_ref().map_or(0, bytes::Bytes::len) as u64;
        let sent = report::head_bytes(&head) + body_bytes;
        upstream.send_head(head, bodiless).await?;
        if !(bodiless && over_http2) {
            upstream.send_body(body, true).await?;
        }
        let first = loop {
            match upstream.next().await? {
                Event::Sent => {}
                first => break first,
            }
        };
        Ok(Won {
            route,
            lease,
            place,
            sent,
            first,
            position,
        })
    }))
}
