//! What went wrong between client and target: one function from the engine's error to status, reason and answer.

use std::io;

use pingora_error::{Error, ErrorSource, ErrorType, ImmutStr};
use pingora_proxy::{FailToProxy, Session};
use trellis_access_logs::record::FailureReason;

use super::{answer::Answer, exchange::Exchange, outcome};
use crate::{conn::Cut, h1::Violation};

/// The reason for an error raised by our own filters: there is no target to send to.
pub(super) const NO_TARGET: ErrorType = ErrorType::CustomCode("NoTarget", 503);

/// The target has as many requests as it may, and as many wait as may.
pub(super) const OVERLOADED: ErrorType = ErrorType::CustomCode("Overloaded", 503);

/// Nobody sent anything for too long.
pub(super) const SILENCE: ErrorType = ErrorType::ReadTimedout;

/// The time of an attempt is over without an answer.
pub(super) const TRY_OVER: ErrorType = ErrorType::CustomCode("TryOver", 504);

/// The time of the request is over.
pub(super) const REQUEST_OVER: ErrorType = ErrorType::CustomCode("RequestOver", 504);

/// There is an answer, and the request is to be tried again all the same.
pub(super) const ANSWERED: ErrorType = ErrorType::Custom("Answered");

/// Concludes an exchange that failed: settles reason and status, answers if nothing was sent yet.
pub(super) async fn conclude(
    session: &mut Session,
    error: &Error,
    exchange: &mut Exchange,
) -> FailToProxy {
    let (status, failure) = classify(error, exchange, RequestBody::of(session));
    exchange.failure = Some(failure);
    if let Some(outcome) = outcome::of_failure(failure) {
        outcome::report(exchange, outcome);
    }
    let started = session
        .response_written()
        .is_some_and(|response| !response.status.is_informational());
    if started || status == 0 {
        // What was sent stays the status; the client learns of the failure by the missing end.
        exchange.status = session
            .response_written()
            .map(|response| response.status.as_u16());
    } else {
        session.set_keepalive(None);
        // The client may be gone as well; then there is nobody to tell, and the record is written all the same.
        let _ = Answer::failed(status, failure)
            .send(session, exchange)
            .await;
    }
    FailToProxy {
        error_code: status,
        can_reuse_downstream: false,
    }
}

/// How much of the request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestBody {
    Complete,
    Incomplete,
}

impl RequestBody {
    pub(super) fn of(session: &mut Session) -> Self {
        if session.is_body_done() {
            Self::Complete
        } else {
            Self::Incomplete
        }
    }
}

/// Status for the client (zero: there is no client any more) and reason for the record.
///
/// Source: VPC Lattice user guide, "Troubleshoot access logs": 500 when no connection to a target can be made, 502 for bad answers;
/// 504 for silent targets and 503 for empty groups are our choice, see `docs/conformance.md`.
pub(super) fn classify(
    error: &Error,
    exchange: &Exchange,
    body: RequestBody,
) -> (u16, FailureReason) {
    let cut = exchange.facts.as_ref().and_then(|facts| facts.was_cut());
    if let (Some(Cut::Lifetime), ErrorSource::Downstream) = (cut, error.esource()) {
        return (0, FailureReason::ConnectionDurationExceeded);
    }
    match (error.esource(), error.etype()) {
        (_, etype) if *etype == NO_TARGET || *etype == OVERLOADED => {
            (503, FailureReason::TargetConnectionError)
        }
        // Both sides were silent, and it was the client's turn: the target waits for the rest of the body.
        (ErrorSource::Upstream, ErrorType::ReadTimedout) if body == RequestBody::Incomplete => {
            (408, FailureReason::ClientProtocolError)
        }
        (ErrorSource::Upstream, etype) if *etype == TRY_OVER || *etype == REQUEST_OVER => {
            (504, FailureReason::TargetDataTimeout)
        }
        (ErrorSource::Upstream, etype) => match of_http2(error) {
            Some(failure) => (502, failure),
            None => of_target(etype, exchange),
        },
        // The whole HTTP/2 connection went down for what the client did on it.
        (ErrorSource::Downstream, _) if broke_http2(exchange) => {
            (0, FailureReason::ClientProtocolError)
        }
        (ErrorSource::Downstream, etype) => of_client(etype, error),
        (ErrorSource::Internal | ErrorSource::Unset, _) => (500, FailureReason::InternalError),
    }
}

/// What an error of a target's HTTP/2 stream or connection says: it was ended by the target's own word, or by ours because the target
/// broke the rules. `None` when the error is of another kind.
fn of_http2(error: &Error) -> Option<FailureReason> {
    let cause = error.root_cause().downcast_ref::<h2::Error>()?;
    if cause.is_library() {
        Some(FailureReason::TargetProtocolError)
    } else if cause.is_remote() {
        Some(FailureReason::TargetConnectionClosed)
    } else {
        None
    }
}

fn of_target(etype: &ErrorType, exchange: &Exchange) -> (u16, FailureReason) {
    use ErrorType as E;
    match etype {
        E::ConnectTimedout
        | E::ConnectRefused
        | E::ConnectNoRoute
        | E::TLSWantX509Lookup
        | E::TLSHandshakeFailure
        | E::TLSHandshakeTimedout
        | E::InvalidCert
        | E::HandshakeError
        | E::ConnectError
        | E::BindError
        | E::SocketError
        | E::ConnectProxyFailure => (500, FailureReason::TargetConnectionError),
        E::ReadTimedout | E::WriteTimedout => (504, FailureReason::TargetDataTimeout),
        E::ReadError | E::WriteError | E::ConnectionClosed if exchange.sent.is_none() => {
            (500, FailureReason::TargetConnectionError)
        }
        E::ReadError | E::WriteError | E::ConnectionClosed => {
            (502, FailureReason::TargetConnectionClosed)
        }
        _ => (502, FailureReason::TargetProtocolError),
    }
}

/// Source: VPC Lattice user guide, "Troubleshoot access logs": 400 when the client closed before the whole body came. That is
/// for a client that still reads; one that reset its connection or stream has no status.
fn of_client(etype: &ErrorType, error: &Error) -> (u16, FailureReason) {
    use ErrorType as E;
    if reset_for_fault(error) {
        return (0, FailureReason::ClientProtocolError);
    }
    match (etype, violation(error)) {
        (_, Some(Violation::Incomplete)) => (400, FailureReason::ClientConnectionClosed),
        (_, Some(_)) => (400, FailureReason::ClientProtocolError),
        (E::ReadTimedout, _) => (408, FailureReason::ClientProtocolError),
        // On HTTP/2, any other error of the client's stream is its reset.
        (
            E::ReadError
            | E::WriteError
            | E::WriteTimedout
            | E::ConnectionClosed
            | E::ConnectError
            | E::H2Error,
            _,
        ) => (0, FailureReason::ClientConnectionClosed),
        _ => (400, FailureReason::ClientProtocolError),
    }
}

fn broke_http2(exchange: &Exchange) -> bool {
    let facts = exchange.facts.as_ref();
    facts.is_some_and(|facts| facts.is_malformed())
}

/// Did the engine reset the client's stream, for a malformed trailer section or a body of another length than was announced?
fn reset_for_fault(error: &Error) -> bool {
    let cause = error.root_cause().downcast_ref::<h2::Error>();
    cause.is_some_and(h2::Error::is_library)
}

/// What the connection itself said about the bytes of a body. See [`crate::conn`].
fn violation(error: &Error) -> Option<Violation> {
    let cause = error.root_cause().downcast_ref::<io::Error>()?;
    cause.get_ref()?.downcast_ref::<Violation>().copied()
}

/// A target that takes no more requests.
#[expect(
    clippy::unnecessary_box_returns,
    reason = "the engine's errors are boxed"
)]
pub(super) fn overloaded(exchange: &mut Exchange, why: &'static str) -> Box<Error> {
    exchange.fault = Some(why.into());
    Error::create(
        OVERLOADED,
        ErrorSource::Internal,
        Some(ImmutStr::from(why)),
        None,
    )
}

/// The engine's context texts are for its own log; ours says what an operator can act on.
#[expect(
    clippy::unnecessary_box_returns,
    reason = "the engine's errors are boxed"
)]
pub(super) fn no_target(reason: &'static str) -> Box<Error> {
    Error::create(
        NO_TARGET,
        ErrorSource::Internal,
        Some(ImmutStr::from(reason)),
        None,
    )
}
