//! Attempts at a request, until one succeeds or nothing speaks for another.

use std::net::SocketAddr;

use pingora_core::connectors::http::Connector;
use pingora_error::{Error, Result};
use pingora_proxy::Session;
use smallvec::SmallVec;
use trellis_target_groups::Lease;

use super::{Dice, attempt::attempt, exchange::Exchange, forward};

/// Attempts at a request whose kept connection turned out to be closed by the target.
const ATTEMPTS: usize = 3;

/// Sends a permitted request to a target and passes on the answer.
pub(super) async fn forward(
    connector: &Connector,
    dice: &Dice,
    session: &mut Session,
    exchange: &mut Exchange,
) -> Result<()> {
    exchange.upgrade = forward::asks_for_websocket(session, exchange);
    let mut tried = SmallVec::<[SocketAddr; ATTEMPTS]>::new();
    loop {
        let peer = forward::choose_target(exchange, dice.roll(), &tried)?;
        tried.extend(exchange.lease.as_ref().map(Lease::address));
        let Err(error) = attempt(connector, &peer, session, exchange).await else {
            return Ok(());
        };
        if tried.len() >= ATTEMPTS || !may_repeat(&error, session) {
            return Err(error);
        }
    }
}

/// May the request be sent again after this?
///
/// Spec: RFC 9110 §9.2.2: a proxy does not repeat a request of its own accord unless its method is idempotent, or it is known that the
/// request was not begun; and nothing of an answer may have gone to the client.
fn may_repeat(error: &Error, session: &Session) -> bool {
    let untold = session
        .response_written()
        .is_none_or(|response| response.status.is_informational());
    let idempotent = session.req_header().method.is_idempotent();
    error.retry() && untold && (idempotent || !begun(error))
}

/// May the target have begun to serve the request?
fn begun(error: &Error) -> bool {
    let refused = error
        .root_cause()
        .downcast_ref::<h2::Error>()
        .is_some_and(|error| {
            error.is_remote()
                && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
        });
    !refused
}
