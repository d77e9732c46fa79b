//! How long a request may take, and when it is tried again.

use std::{ops::BitOr, time::Duration};

/// How long a request may take, and when it is tried again: what a rule says, and the service's where the rule says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How long it may take.
    pub timeouts: Timeouts,
    /// When it is tried again; `None` for never.
    pub retry: Option<RetryPolicy>,
    /// When a second attempt begins beside the first; `None` for never.
    pub hedge_after: Option<Duration>,
}

/// Connections to the targets of a group, and how many requests each of them may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionPool {
    /// How many requests a target may have at a time; `None` for any number.
    pub places: Option<Places>,
    /// Requests on one HTTP/2 connection, before another is opened: one or more.
    pub streams: u16,
    /// How long a connection is kept without a request; zero for not at all.
    pub keep_alive: Duration,
}

impl Default for ConnectionPool {
    /// Kept below the 60 s after which common servers close theirs, so that we close first and a request does not meet a closing
    /// connection.
    fn default() -> Self {
        Self {
            places: None,
            streams: 100,
            keep_alive: Duration::from_secs(55),
        }
    }
}

/// How many requests a target may have at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// As many: one or more.
    pub most: u32,
    /// As many more may wait.
    pub pending: u32,
}

impl Traffic {
    /// May a request be sent more than once?
    pub fn may_repeat(&self) -> bool {
        self.retry.is_some() || self.hedge_after.is_some()
    }
}

/// How long a request may take; `None` for no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// From the end of the request to the end of the answer.
    pub request: Option<Duration>,
    /// From the beginning of an attempt to the head of its answer.
    pub per_try: Option<Duration>,
    /// Longest silence of client and target.
    pub idle: Option<Duration>,
    /// From the head of the request to the end of everything.
    pub stream: Option<Duration>,
}

/// When a request is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first: one or more.
    pub max_retries: u32,
    /// After what.
    pub events: RetryEvents,
    /// After which statuses as well, `400..=599`.
    pub statuses: Box<[u16]>,
    /// Longest wait before the second attempt.
    pub back_off: Duration,
    /// Longest wait before any attempt.
    pub max_back_off: Duration,
    /// How many may be tried again at the same time, as a percentage of the group's running requests, `0..=100`.
    pub budget_percent: u32,
    /// How many may in any case.
    pub budget_min: u32,
}

/// A set of events after which a request is tried again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetryEvents(u16);

impl RetryEvents {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// An answer with a status from 500 to 511.
    pub const SERVER_ERROR: Self = Self(1);
    /// An answer with status 502, 503 or 504.
    pub const GATEWAY_ERROR: Self = Self(1 << 1);
    /// An answer with status 409.
    pub const CLIENT_ERROR: Self = Self(1 << 2);
    /// The target refuses the HTTP/2 stream.
    pub const STREAM_ERROR: Self = Self(1 << 3);
    /// No connection can be made.
    pub const CONNECTION_ERROR: Self = Self(1 << 4);
    /// The target does not answer.
    pub const RESET: Self = Self(1 << 5);
    /// gRPC status 1.
    pub const CANCELLED: Self = Self(1 << 6);
    /// gRPC status 4.
    pub const DEADLINE_EXCEEDED: Self = Self(1 << 7);
    /// gRPC status 8.
    pub const RESOURCE_EXHAUSTED: Self = Self(1 << 8);
    /// gRPC status 13.
    pub const INTERNAL: Self = Self(1 << 9);
    /// gRPC status 14.
    pub const UNAVAILABLE: Self = Self(1 << 10);

    /// Their names, as documents have them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES
            .into_iter()
            .filter(move |(event, _)| self.meets(*event))
            .map(|(_, name)| name)
    }

    /// Is one of these among them?
    pub fn meets(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// What an answer with this status is.
    ///
    /// Source: App Mesh API reference, `HttpRetryPolicy`, `httpRetryEvents`.
    pub fn of_status(status: u16) -> Self {
        match status {
            409 => Self::CLIENT_ERROR,
            502..=504 => Self::SERVER_ERROR | Self::GATEWAY_ERROR,
            500 | 501 | 505..=508 | 510 | 511 => Self::SERVER_ERROR,
            _ => Self::NONE,
        }
    }

    /// What an answer with this gRPC status is.
    ///
    /// Source: App Mesh API reference, `GrpcRetryPolicy`, `grpcRetryEvents`; gRPC, `doc/statuscodes.md`.
    pub fn of_grpc_status(status: u32) -> Self {
        match status {
            1 => Self::CANCELLED,
            4 => Self::DEADLINE_EXCEEDED,
            8 => Self::RESOURCE_EXHAUSTED,
            13 => Self::INTERNAL,
            14 => Self::UNAVAILABLE,
            _ => Self::NONE,
        }
    }
}

/// `server-error` and `gateway-error` include `reset`.
const NAMES: [(RetryEvents, &str); 11] = [
    (RetryEvents::SERVER_ERROR, "server-error"),
    (RetryEvents::GATEWAY_ERROR, "gateway-error"),
    (RetryEvents::CLIENT_ERROR, "client-error"),
    (RetryEvents::STREAM_ERROR, "stream-error"),
    (RetryEvents::CONNECTION_ERROR, "connection-error"),
    (RetryEvents::RESET, "reset"),
    (RetryEvents::CANCELLED, "cancelled"),
    (RetryEvents::DEADLINE_EXCEEDED, "deadline-exceeded"),
    (RetryEvents::INTERNAL, "internal"),
    (RetryEvents::RESOURCE_EXHAUSTED, "resource-exhausted"),
    (RetryEvents::UNAVAILABLE, "unavailable"),
];

impl BitOr for RetryEvents {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
