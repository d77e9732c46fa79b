//! The deadlines of one attempt.

use std::time::{Duration, Instant};

use pingora_error::{Error, ErrorType};

use crate::proxy::{exchange::Exchange, failure};

/// The deadlines of one attempt, and which of them comes first.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Clock {
    began: Instant,
    /// When somebody last sent something.
    heard: Instant,
    /// The longest silence of all sides.
    idle: Option<Duration>,
    /// When the answer must have begun.
    answer_by: Option<Instant>,
    /// When all of it must be over.
    end: Option<Instant>,
    /// How long it may take from the end of the request on.
    request: Option<Duration>,
    /// When a second attempt may begin beside this one.
    hedge_at: Option<Instant>,
}

/// What is due.
#[derive(Debug)]
pub(super) enum Due {
    /// Nothing yet; look again then, or not at all.
    Nothing(Option<Instant>),
    /// A second attempt.
    Hedge,
    /// The end of this one.
    Failure(Box<Error>),
}

impl Clock {
    /// The clock of an attempt that begins now.
    pub(in crate::proxy) fn start(exchange: &Exchange) -> Self {
        let now = Instant::now();
        let traffic = exchange.traffic.as_deref();
        let timeouts = traffic.map(|traffic| traffic.timeouts).unwrap_or_default();
        let mut clock = Self {
            began: now,
            heard: now,
            idle: timeouts.idle,
            answer_by: timeouts.per_try.and_then(|limit| now.checked_add(limit)),
            end: exchange.deadline,
            request: timeouts.request,
            hedge_at: traffic
                .and_then(|traffic| traffic.hedge_after)
                .and_then(|after| now.checked_add(after)),
        };
        if let Some(ended) = exchange.request_ended {
            clock.request_ended(ended);
        }
        clock
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// Somebody sent something.
    pub(super) fn hear(&mut self) {
        self.heard = Instant::now();
    }

    /// The whole request has come.
    pub(super) fn request_ended(&mut self, at: Instant) {
        let end = self.request.and_then(|limit| at.checked_add(limit));
        self.end = earlier(self.end, end);
    }

    /// The answer has begun, or two attempts are running.
    pub(super) fn answered(&mut self) {
        self.answer_by = None;
        self.hedge_at = None;
    }

    /// No second attempt shall begin any more.
    pub(super) fn hedged(&mut self) {
        self.hedge_at = None;
    }

    /// When a connection must be there, besides the limits of connecting.
    pub(super) fn connected_by(&self) -> Option<Instant> {
        earlier(self.answer_by, self.end)
    }

    /// When to look again; silence counts from the last time that somebody was heard.
    pub(super) fn next(&self) -> Option<Instant> {
        let silence = self.idle.and_then(|limit| self.heard.checked_add(limit));
        earlier(earlier(silence, self.hedge_at), self.connected_by())
    }

    #[expect(
        clippy::unnecessary_box_returns,
        reason = "the engine's errors are boxed"
    )]
    /// The error of an attempt whose time is over.
    pub(super) fn expired(&self, now: Instant) -> Box<Error> {
        if self.end.is_some_and(|end| end <= now) {
            Error::explain(failure::REQUEST_OVER, "the time of the request is over")
        } else {
            Error::explain(failure::TRY_OVER, "the time of the attempt is over")
        }
    }

    /// What is due. `sending`: the target gives no room for more of the body.
    pub(super) fn due(&self, sending: bool) -> Due {
        let now = Instant::now();
        if self.connected_by().is_some_and(|deadline| deadline <= now) {
            return Due::Failure(self.expired(now).into_up());
        }
        if self.hedge_at.is_some_and(|at| at <= now) {
            return Due::Hedge;
        }
        match self.next() {
            Some(next) if next <= now && sending => Due::Failure(
                Error::explain(
                    ErrorType::WriteTimedout,
                    "the target takes no more of the body",
                )
                .into_up(),
            ),
            Some(next) if next <= now => Due::Failure(
                Error::explain(failure::SILENCE, "client and target are silent").into_up(),
            ),
            next => Due::Nothing(next),
        }
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
