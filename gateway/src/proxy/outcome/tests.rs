//! What counts against a target, as tables.

use trellis_access_logs::record::{FailureReason, GrpcCode};
use trellis_target_groups::Outcome::{self, ConnectionFailure, ServerError, Success};

use super::{of_failure, of_grpc, of_head};

#[test]
fn server_errors_count_and_nothing_else_of_http() {
    let table = [
        (200, Some(Success)),
        (204, Some(Success)),
        (101, Some(Success)),
        (304, Some(Success)),
        (404, Some(Success)),
        (429, Some(Success)),
        (499, Some(Success)),
        (500, Some(ServerError)),
        (502, Some(ServerError)),
        (503, Some(ServerError)),
        (504, Some(ServerError)),
        (599, Some(ServerError)),
    ];
    for (status, expected) in table {
        assert_eq!(of_head(status, None, false), expected, "{status}");
    }
}

/// The status of a call comes with the trailers, or with the head of an answer that has nothing else.
#[test]
fn grpc_calls_count_by_their_own_status() {
    let table = [
        (200, None, None),
        (200, Some(GrpcCode::Code(0)), Some(Success)),
        (200, Some(GrpcCode::Code(14)), Some(ServerError)),
        (200, Some(GrpcCode::Code(5)), Some(Success)),
        (503, None, Some(ServerError)),
        (404, None, Some(Success)),
    ];
    for (status, code, expected) in table {
        assert_eq!(of_head(status, code, true), expected, "{status} {code:?}");
    }
}

/// Source: Envoy, `Grpc::Utility::grpcToHttpStatus`.
#[test]
fn grpc_statuses_count_as_the_status_of_http_that_they_stand_for() {
    let http = [
        200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
    ];
    for (code, status) in (0_u32..).zip(http) {
        let expected = if status >= 500 { ServerError } else { Success };
        assert_eq!(of_grpc(code), expected, "{code}");
    }
}

#[test]
fn only_what_the_target_did_counts_against_it() {
    let table: [(FailureReason, Option<Outcome>); 8] = [
        (
            FailureReason::TargetConnectionError,
            Some(ConnectionFailure),
        ),
        (FailureReason::TargetConnectionClosed, Some(ServerError)),
        (FailureReason::TargetProtocolError, Some(ServerError)),
        (FailureReason::TargetDataTimeout, Some(ServerError)),
        (FailureReason::ClientConnectionClosed, None),
        (FailureReason::ClientProtocolError, None),
        (FailureReason::ConnectionDurationExceeded, None),
        (FailureReason::InternalError, None),
    ];
    for (failure, expected) in table {
        assert_eq!(of_failure(failure), expected, "{failure:?}");
    }
}
