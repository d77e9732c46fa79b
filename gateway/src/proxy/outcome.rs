//! What a request says about its target, for outlier detection.
//!
//! Source: App Mesh, outlier detection: answers 5xx, the gRPC statuses that mean the same, failed connections. What the client did
//! says nothing about a target.

#[cfg(test)]
mod tests;

use pingora_http::ResponseHeader;
use trellis_access_logs::record::{FailureReason, GrpcCode};
use trellis_target_groups::{Outcome, Verdict};

use super::exchange::Exchange;

/// Tells the group how its target did: once for each attempt, by whoever knows how it ended.
pub(super) fn report(exchange: &Exchange, outcome: Outcome) {
    let targets = exchange.group.as_ref().and_then(|group| group.targets());
    let (Some(targets), Some(lease)) = (targets, &exchange.lease) else {
        return;
    };
    if targets.live.report(lease, outcome) == Verdict::Suspect {
        targets.alarm.notify_one();
    }
}

/// Tells the group what the trailers of a gRPC call say.
pub(super) fn report_trailers(exchange: &Exchange) {
    if let (true, Some(GrpcCode::Code(code))) = (exchange.grpc, exchange.grpc_status) {
        report(exchange, of_grpc(code));
    }
}

/// Tells the group of an answer that does not go to the client, because the request is to be tried again.
pub(super) fn report_refused_answer(exchange: &mut Exchange, head: &ResponseHeader) {
    exchange.see_grpc_status(&head.headers);
    let said = of_head(
        head.status.as_u16(),
        exchange.grpc_status.take(),
        exchange.grpc,
    );
    if let Some(outcome) = said {
        report(exchange, outcome);
    }
}

/// What the head of an answer says; `None` while the status of a gRPC call is still to come.
pub(super) fn of_head(status: u16, grpc: Option<GrpcCode>, is_grpc: bool) -> Option<Outcome> {
    match (status, grpc) {
        (500.., _) => Some(Outcome::ServerError),
        (_, Some(GrpcCode::Code(code))) => Some(of_grpc(code)),
        (200, _) if is_grpc => None,
        _ => Some(Outcome::Success),
    }
}

/// What a gRPC status says. Source: Envoy, which counts the status of HTTP that each one stands for: 500, 501, 503 or 504 for
/// unknown, deadline exceeded, unimplemented, internal, unavailable and data loss.
pub(super) fn of_grpc(code: u32) -> Outcome {
    match code {
        2 | 4 | 12..=15 => Outcome::ServerError,
        _ => Outcome::Success,
    }
}

/// What a failure says; `None` for one that was not the target's.
pub(super) fn of_failure(failure: FailureReason) -> Option<Outcome> {
    match failure {
        FailureReason::TargetConnectionError => Some(Outcome::ConnectionFailure),
        FailureReason::TargetDataTimeout
        | FailureReason::TargetConnectionClosed
        | FailureReason::TargetProtocolError => Some(Outcome::ServerError),
        _ => None,
    }
}
