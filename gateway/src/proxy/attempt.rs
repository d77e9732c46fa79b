//! One attempt at a request: a connection to a target, the request out, the answer back to the client.

mod carrier;
mod clock;
mod rival;

use std::time::Duration;

use pingora_core::protocols::http::client::HttpSession;
use pingora_error::{Error, ErrorSource, ErrorType, Result};
use pingora_proxy::Session;
use trellis_access_logs::record::Phase;
use trellis_target_groups::Lease;

use super::{
    connections::{Connections, Destination},
    exchange::Exchange,
    failure, report, request,
    upstream::Upstream,
};
use carrier::Carrier;
pub(super) use {carrier::from_client, clock::Clock};

/// An exchange with a target, and what it holds as long as it lasts.
pub(super) struct Route {
    upstream: Upstream,
    to: Destination,
    /// Was the connection used before?
    reused: bool,
}

/// How an attempt failed.
pub(super) struct Failure {
    /// What the engine says.
    pub(super) error: Box<Error>,
    /// Was there a connection?
    pub(super) connected: bool,
}

impl From<Box<Error>> for Failure {
    fn from(error: Box<Error>) -> Self {
        Self {
            error,
            connected: true,
        }
    }
}

/// Makes one attempt at the target of `exchange.lease`. On success the answer has gone to the client; otherwise [`Error::retry`] tells
/// whether the connection was one that the target had closed meanwhile, or the target said that it had not begun.
pub(super) async fn attempt(
    connections: &Connections,
    to: Destination,
    session: &mut Session,
    exchange: &mut Exchange,
) -> Result<(), Failure> {
    let clock = Clock::start(exchange);
    let bodiless = session.as_mut().is_body_empty();
    if !(bodiless && session.req_header().method.is_idempotent()) {
        hear_of_ends().await;
    }
    let mut route = connect(connections, to, &clock, exchange.idle())
        .await
        .map_err(|mut error| {
            error.retry.decide_reuse(false);
            Failure {
                error,
                connected: false,
            }
        })?;
    let head = if route.upstream.is_http2() {
        request::in_http2(session.req_header(), exchange, route.to.tls.is_some())
    } else {
        request::in_http1(session.req_header(), exchange, !bodiless)
    };
    let (carried, keeps) = match head {
        // Nothing was sent yet.
        Err(error) => (Err(error), true),
        Ok(head) => {
            exchange.sent = Some(clock.began());
            exchange.stopwatch.enter(Phase::FirstByte);
            exchange.exchanged.0 += report::head_bytes(&head);
            exchange.reached = exchange.lease.as_ref().map(Lease::address);
            let carried = Carrier::new(connections, session, exchange, &mut route, clock)
                .run(head, bodiless)
                .await;
            let keeps = keeps(&carried, &mut route.upstream);
            (carried.map(drop), keeps)
        }
    };
    let reused = route.reused;
    let kept = route.upstream.kept_for(route.to.keep_alive);
    if let (true, Some(idle)) = (keeps, kept) {
        connections
            .put(route.upstream.into_session(), &route.to, idle)
            .await;
    }
    carried.map_err(|mut error| {
        error.retry.decide_reuse(reused);
        Failure::from(error)
    })
}

/// Lets the runtime hear which kept connections their targets have closed, so that none of them is taken for a request that cannot be
/// sent again.
///
/// A connection is looked at when it is taken, but what the kernel knows is asked for only between two rounds of all tasks. A task that
/// yields goes on after that has been done.
async fn hear_of_ends() {
    tokio::task::yield_now().await;
}

/// Connects, or takes a connection that is free, before the attempt's time is over.
///
/// `silence`: how long to wait for a target that takes nothing.
async fn connect(
    connections: &Connections,
    to: Destination,
    clock: &Clock,
    silence: Option<Duration>,
) -> Result<Route> {
    let connecting = connections.get(&to);
    let connected = match clock.connected_by() {
        None => connecting.await,
        Some(deadline) => match tokio::time::timeout_at(deadline.into(), connecting).await {
            Ok(connected) => connected,
            Err(_) => return Err(clock.expired(deadline).into_up()),
        },
    };
    let (connection, reused): (HttpSession, bool) = connected.map_err(Error::into_up)?;
    let Some(mut upstream) = Upstream::new(connection) else {
        return Error::e_explain(ErrorType::InternalError, "a connection of an unknown kind");
    };
    upstream.bound_writes(silence);
    Ok(Route {
        upstream,
        to,
        reused,
    })
}

/// Can the connection be used again? `carried` tells that of an exchange that went well.
fn keeps(carried: &Result<bool>, upstream: &mut Upstream) -> bool {
    match carried {
        Ok(keeps) => *keeps,
        Err(error) => {
            let hung = *error.etype() == failure::SILENCE;
            upstream.abandon(hung && *error.esource() == ErrorSource::Upstream);
            // What is wrong with one stream is not wrong with its connection.
            upstream.is_http2()
        }
    }
}
