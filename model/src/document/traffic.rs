//! How long a request may take, and when it is tried again.

use schemars::JsonSchema;
use serde::Deserialize;

use super::object::objects;
use crate::ranges;

/// How long a request may take, in milliseconds; 0 for no limit. What is absent in a rule is the service's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct Timeouts {
    /// From the end of the request to the end of the answer, with all its attempts. Absent: no limit but the others.
    #[schemars(range(min = *ranges::MILLIS_OR_NONE.start(), max = *ranges::MILLIS_OR_NONE.end()), extend("default" = 0))]
    pub request_millis: Option<i64>,
    /// From the beginning of an attempt, the first included, to the head of its answer.
    #[schemars(range(min = *ranges::MILLIS_OR_NONE.start(), max = *ranges::MILLIS_OR_NONE.end()), extend("default" = 0))]
    pub per_try_millis: Option<i64>,
    /// Longest silence of client and target. Absent: the idle timeout of the service.
    #[schemars(range(min = *ranges::MILLIS_OR_NONE.start(), max = *ranges::MILLIS_OR_NONE.end()))]
    pub idle_millis: Option<i64>,
    /// From the head of the request to the end of everything, long streams and upgraded connections included.
    #[schemars(range(min = *ranges::MILLIS_OR_NONE.start(), max = *ranges::MILLIS_OR_NONE.end()), extend("default" = 0))]
    pub stream_millis: Option<i64>,
}

/// When a request is tried again. It is as long as nothing of an answer has gone to the client and its body, up to 64 KiB, is still
/// there to be sent again, whatever its method.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryPolicy {
    /// Attempts after the first; 0 for none.
    #[schemars(range(min = *ranges::RETRIES.start(), max = *ranges::RETRIES.end()))]
    pub max_retries: i64,
    /// After what.
    #[serde(default)]
    pub on: Vec<RetryEvent>,
    /// After answers with these statuses as well, 400 to 599.
    #[serde(default)]
    #[schemars(length(max = ranges::RETRY_STATUSES))]
    pub statuses: Vec<i64>,
    /// How long to wait before.
    pub back_off: Option<BackOff>,
    /// How many requests to a target group may be tried again at the same time.
    pub budget: Option<RetryBudget>,
}

/// What a request is tried again after, in the words of App Mesh: `server-error` (500 to 511, or a reset), `gateway-error` (502 to 504,
/// or a reset), `client-error` (409), `stream-error` (the target refuses the HTTP/2 stream), `connection-error` (no connection can be
/// made), `reset` (the target does not answer: the connection ends, or the time of the attempt is over), and the gRPC statuses
/// `cancelled`, `deadline-exceeded`, `internal`, `resource-exhausted` and `unavailable`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "described with the type: the schema shows one list of values"
)]
pub enum RetryEvent {
    ServerError,
    GatewayError,
    ClientError,
    StreamError,
    ConnectionError,
    Reset,
    Cancelled,
    DeadlineExceeded,
    Internal,
    ResourceExhausted,
    Unavailable,
}

/// How long to wait before another attempt: at random up to the base, twice the base, four times the base …
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct BackOff {
    /// Longest wait before the second attempt, in milliseconds.
    #[schemars(range(min = *ranges::BACK_OFF.start(), max = *ranges::BACK_OFF.end()), extend("default" = 25))]
    pub base_millis: Option<i64>,
    /// Longest wait before any attempt, in milliseconds. Absent: ten times the base.
    #[schemars(range(min = *ranges::BACK_OFF.start(), max = *ranges::BACK_OFF.end()))]
    pub max_millis: Option<i64>,
}

/// How many requests to a target group may be tried again at the same time, so that attempts do not bury targets that are in trouble.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct RetryBudget {
    /// Percentage of the group's running requests.
    #[schemars(range(min = *ranges::PERCENT.start(), max = *ranges::PERCENT.end()), extend("default" = 20))]
    pub percent: Option<i64>,
    /// As many in any case.
    #[schemars(range(min = *ranges::RETRY_CONCURRENCY.start(), max = *ranges::RETRY_CONCURRENCY.end()), extend("default" = 10))]
    pub min_concurrency: Option<i64>,
}

/// A second attempt beside one that takes long; the first answer counts, and the other attempt is given up. Only for requests whose
/// method is idempotent and whose body, up to 64 KiB, has come.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Hedging {
    /// How long an attempt is without an answer before the second one begins, in milliseconds.
    #[schemars(range(min = *ranges::HEDGE_DELAY.start(), max = *ranges::HEDGE_DELAY.end()))]
    pub after_millis: i64,
}

/// Connections to targets, and how many requests each target of a group may have at a time, on all workers of the gateway together. Beyond
/// it they wait for a place, as long as their timeouts allow; beyond those that may wait, they are answered with 503 at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct ConnectionPool {
    /// Of groups of version `HTTP1`: connections in use, of which each has one request.
    #[schemars(range(min = *ranges::POOL.start(), max = *ranges::POOL.end()))]
    pub max_connections: Option<i64>,
    /// Of groups of versions `HTTP2` and `GRPC`: requests, which share connections.
    #[schemars(range(min = *ranges::POOL.start(), max = *ranges::POOL.end()))]
    pub max_requests: Option<i64>,
    /// Of groups of versions `HTTP2` and `GRPC`: requests on one connection, before another is opened.
    #[schemars(range(min = *ranges::STREAMS.start(), max = *ranges::STREAMS.end()), extend("default" = 100))]
    pub max_streams_per_connection: Option<i64>,
    /// How long a connection is kept without a request, in seconds; 0 for not at all. It should be less than the targets' own time, so
    /// that no request meets a closing connection.
    #[schemars(range(min = *ranges::KEEP_ALIVE.start(), max = *ranges::KEEP_ALIVE.end()), extend("default" = 55))]
    pub keep_alive_seconds: Option<i64>,
    /// Requests that wait for a place at a target.
    #[schemars(range(min = *ranges::PENDING.start(), max = *ranges::PENDING.end()), extend("default" = 1024))]
    pub max_pending_requests: Option<i64>,
}

objects!(
    ConnectionPool,
    Timeouts,
    RetryPolicy,
    BackOff,
    RetryBudget,
    Hedging
);
