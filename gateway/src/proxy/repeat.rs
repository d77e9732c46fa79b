//! Attempts at a request, until one succeeds or nothing speaks for another.

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, time::Duration, time::Instant};

use pingora_error::{Error, ErrorSource, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use smallvec::SmallVec;
use trellis_access_logs::{
    json::MAX_ATTEMPTS,
    record::{FailedAttempt, Phase},
};
use trellis_model::config::{RetryEvents, RetryPolicy};
use trellis_target_groups::{Lease, Repeat, Request};

use super::{
    Dice,
    attempt::{Failure, attempt, from_client},
    connections::{Connections, Destination},
    exchange::Exchange,
    failure::{self, RequestBody},
    forward, outcome,
};
use crate::pools::{Full, Place, Pool};

/// Attempts at a request that no policy speaks for, besides the first and the retries of its policy: see [`may_repeat`].
const SPARE: usize = 2;

/// Targets that are looked at for a place before a request waits for one.
const LOOKS: usize = 4;

/// Longest wait for a place, where no timeout says otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// Share of a group's requests that may be sent twice where no retry policy says otherwise: as the policies' default.
const BUDGET: (u32, u32) = (20, 10);

/// How often a request was sent to a target, and how often it may be.
#[derive(Debug, Default)]
pub struct Repeats {
    /// Attempts made.
    pub attempts: u32,
    /// A random number for a second attempt beside the present one.
    pub roll: u64,
    /// The first of those that another one followed.
    pub failed: Vec<FailedAttempt>,
    /// The status of an answer that was taken for a failure.
    refused: Option<u16>,
    /// Attempts that the retry policy allowed.
    allowed: u32,
    /// An answer was taken for a failure, and another attempt is allowed.
    granted: bool,
    /// Counts the request among those that are tried again.
    counted: Option<Repeat>,
    /// Counts it among those that run on the group.
    pub running: Option<Request>,
    /// Its place at the target, where places are counted.
    pub place: Option<Place>,
}

/// Sends a permitted request to a target and passes on the answer.
pub(super) async fn forward(
    connections: &Connections,
    dice: &Dice,
    session: &mut Session,
    exchange: &mut Exchange,
) -> Result<()> {
    exchange.upgrade = forward::asks_for_websocket(session, exchange);
    exchange.set_deadline(session.req_header());
    let mut tried = SmallVec::<[SocketAddr; 4]>::new();
    let mut spare = SPARE;
    loop {
        exchange.repeats.roll = dice.roll();
        let to = take_target(dice, session, exchange, &mut tried).await?;
        exchange.repeats.attempts = exchange.repeats.attempts.saturating_add(1);
        let began = exchange.stopwatch.enter(Phase::Connect);
        let target = exchange.lease.as_ref().map(Lease::address);
        let position = exchange.begin_attempt(target, dice.roll());
        exchange.rely_on_attempt(position);
        let Err(failure) = attempt(connections, to, session, exchange).await else {
            return Ok(());
        };
        note_failure(&failure.error, session, exchange);
        let answered = std::mem::take(&mut exchange.repeats.granted);
        if answered || wants_again(&failure, session, exchange) {
            if !answered {
                report(&failure.error, session, exchange);
            }
            exchange.note_failed(&failure.error, session, began);
            let wait = exchange.back_off(dice.roll());
            exchange.stopwatch.enter(Phase::BackOff);
            pause(session, exchange, wait).await?;
            exchange.stopwatch.enter(Phase::Queue);
            continue;
        }
        let again = may_repeat(&failure, session, exchange);
        if again.is_none() || spare == 0 {
            return Err(failure.error);
        }
        spare -= 1;
        if again == Some(Again::Elsewhere) {
            if !is_another_left(dice, exchange, &tried) {
                return Err(failure.error);
            }
            report(&failure.error, session, exchange);
        }
        exchange.note_failed(&failure.error, session, began);
        exchange.stopwatch.enter(Phase::Queue);
    }
}

/// Notes what an attempt failed with, for the trace.
fn note_failure(error: &Error, session: &mut Session, exchange: &mut Exchange) {
    if exchange.recording.is_some() {
        let (_, failure) = failure::classify(error, exchange, RequestBody::of(session));
        exchange.attempt_failed(failure.as_str());
    }
}

/// Is there a target that was not tried?
fn is_another_left(dice: &Dice, exchange: &Exchange, tried: &[SocketAddr]) -> bool {
    forward::choose_target(exchange, dice.roll(), tried)
        .is_ok_and(|(_, lease)| !tried.contains(&lease.address()))
}

/// Chooses a target and, where places are counted, waits for a place at it: one that has a place at once, if there is one among the first few.
async fn take_target(
    dice: &Dice,
    session: &mut Session,
    exchange: &mut Exchange,
    tried: &mut SmallVec<[SocketAddr; 4]>,
) -> Result<Destination> {
    // The place of the attempt before is free for others, this request included.
    exchange.repeats.place = None;
    let (mut to, mut lease) = forward::choose_target(exchange, dice.roll(), tried)?;
    let pool = exchange
        .group
        .as_ref()
        .and_then(|group| group.targets()?.pool.clone());
    if let Some(pool) = pool {
        let mut busy = tried.clone();
        exchange.repeats.place = pool.try_enter(lease.address());
        while exchange.repeats.place.is_none() && busy.len() < tried.len() + LOOKS {
            busy.push(lease.address());
            let (other, others) = forward::choose_target(exchange, dice.roll(), &busy)?;
            if busy.contains(&others.address()) {
                break;
            }
            (to, lease) = (other, others);
            exchange.repeats.place = pool.try_enter(lease.address());
        }
        if exchange.repeats.place.is_none() {
            let place = wait(&pool, lease.address(), session, exchange).await?;
            exchange.repeats.place = Some(place);
        }
    }
    tried.push(lease.address());
    exchange.lease = Some(lease);
    Ok(to)
}

/// Waits for a place at a target, as long as the request has time and its client stays.
async fn wait(
    pool: &Pool,
    target: SocketAddr,
    session: &mut Session,
    exchange: &mut Exchange,
) -> Result<Place> {
    let body_pending = !session.as_mut().is_body_done();
    let deadline = exchange.latest_end();
    let patience = exchange.idle().unwrap_or(PATIENCE);
    let until = Instant::now() + patience;
    let until = deadline.map_or(until, |deadline| deadline.min(until));
    tokio::select! {
        place = pool.enter(target) => place.map_err(|Full| {
            failure::overloaded(exchange, "the target has as many requests as it may, and as many wait for it")
        }),
        gone = from_client(session, true, body_pending) => match gone {
            Err(error) => Err(error.into_down()),
            Ok(_) => Err(Error::explain(ErrorType::ConnectionClosed, "the client left").into_down()),
        },
        () = tokio::time::sleep_until(until.into()) => Err(if deadline == Some(until) {
            Error::explain(failure::REQUEST_OVER, "the time of the request is over").into_up()
        } else {
            failure::overloaded(exchange, "no place at the target became free")
        }),
    }
}

/// Can the request be sent again: is what was read of its body still there, and has nothing of an answer gone to the client?
pub(super) fn is_replayable(session: &Session) -> bool {
    let untold = session
        .response_written()
        .is_none_or(|response| response.status.is_informational());
    untold && !session.as_ref().retry_buffer_truncated()
}

/// Where a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// Anywhere: what failed was the connection, which is not used again.
    Anywhere,
    /// Only to a target that was not tried: what failed may be the target.
    Elsewhere,
}

/// May the request be sent again although no policy says so?
///
/// Spec: RFC 9110 §9.2.2: a proxy does not repeat a request of its own accord unless its method is idempotent, or it is known that the
/// request was not begun. Where there is no connection, nothing was begun. A rule with a policy says itself what is done about targets
/// that fail; only the end of a kept connection says nothing about its target.
fn may_repeat(failure: &Failure, session: &Session, exchange: &mut Exchange) -> Option<Again> {
    let Failure { error, connected } = failure;
    if !is_replayable(session) {
        return None;
    }
    let idempotent = session.req_header().method.is_idempotent();
    // A kept HTTP/2 connection on which no stream can be opened.
    let unopened = !connected && *error.etype() == ErrorType::H2Error;
    if unopened || error.retry() && (idempotent || is_refused(error)) {
        return Some(Again::Anywhere);
    }
    let over = *error.etype() == failure::TRY_OVER || *error.etype() == failure::REQUEST_OVER;
    if exchange.retry_policy().is_some() || over || *error.esource() != ErrorSource::Upstream {
        return None;
    }
    let lost = matches!(
        error.etype(),
        ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError
    );
    let allowed = !connected || lost && idempotent && exchange.allow_repeat();
    allowed.then_some(Again::Elsewhere)
}

/// Did the target say that it has not begun? Spec: RFC 9113 §6.8, §8.7.
fn is_refused(error: &Error) -> bool {
    let cause = error.root_cause().downcast_ref::<h2::Error>();
    cause.is_some_and(|cause| {
        let refused = cause.reason() == Some(h2::Reason::REFUSED_STREAM);
        cause.is_remote() && (cause.is_go_away() || refused)
    })
}

/// Is the request to be tried again after this failure? Takes from the budget if so.
fn wants_again(failure: &Failure, session: &Session, exchange: &mut Exchange) -> bool {
    let events = events(failure);
    let wanted = exchange
        .retry_policy()
        .is_some_and(|policy| policy.events.meets(events));
    wanted && is_replayable(session) && exchange.allow_retry()
}

/// What a failure is, in the words of retry policies.
///
/// Source: App Mesh user guide, "Routes": a target that does not answer at all counts as a reset, whatever the reason.
fn events(failure: &Failure) -> RetryEvents {
    let Failure { error, connected } = failure;
    if *error.esource() != ErrorSource::Upstream || *error.etype() == failure::REQUEST_OVER {
        RetryEvents::NONE
    } else if !connected {
        RetryEvents::CONNECTION_ERROR | RetryEvents::RESET
    } else if is_refused(error) {
        RetryEvents::STREAM_ERROR | RetryEvents::RESET
    } else {
        RetryEvents::RESET
    }
}

/// Counts an attempt that failed against its target. The last one is counted when the request is concluded.
fn report(error: &Error, session: &mut Session, exchange: &Exchange) {
    let (_, failure) = failure::classify(error, exchange, RequestBody::of(session));
    if let Some(outcome) = outcome::of_failure(failure) {
        outcome::report(exchange, outcome);
    }
}

/// Waits before another attempt; an error if the client leaves meanwhile.
///
/// Where nothing is to be waited for, other requests have their turn, but no timer runs: it would end with the next tick at best.
async fn pause(session: &mut Session, exchange: &Exchange, wait: Duration) -> Result<()> {
    if wait.is_zero() {
        tokio::task::yield_now().await;
        return Ok(());
    }
    let deadline = exchange.latest_end();
    let left = deadline.map_or(wait, |end| end.saturating_duration_since(Instant::now()));
    let body_pending = !session.as_mut().is_body_done();
    tokio::select! {
        () = tokio::time::sleep(wait.min(left)) => Ok(()),
        gone = from_client(session, true, body_pending) => gone.map(drop).map_err(Error::into_down),
    }
}

impl Exchange {
    /// Notes an attempt that another one follows, for the record.
    fn note_failed(&mut self, error: &Error, session: &mut Session, began: Instant) {
        let status = self.repeats.refused.take();
        if self.repeats.failed.len() >= MAX_ATTEMPTS {
            return;
        }
        let failure = failure::classify(error, self, RequestBody::of(session)).1;
        self.repeats.failed.push(FailedAttempt {
            target: self.lease.as_ref().map(Lease::address),
            failure: status.is_none().then_some(failure),
            status,
            time: began.elapsed(),
        });
    }

    /// The retry policy of the rule.
    fn retry_policy(&self) -> Option<&RetryPolicy> {
        self.traffic.as_ref()?.retry.as_ref()
    }

    /// Is the request to be tried again after this answer? Takes from the budget if so.
    pub(super) fn wants_again(&mut self, session: &Session, head: &ResponseHeader) -> bool {
        let Some(policy) = self.retry_policy() else {
            return false;
        };
        let status = head.status.as_u16();
        let grpc = self.grpc.then(|| head.headers.get("grpc-status")).flatten();
        let grpc = grpc.and_then(|value| value.to_str().ok()?.parse().ok());
        let grpc = grpc.map_or(RetryEvents::NONE, RetryEvents::of_grpc_status);
        let wanted = policy.events.meets(RetryEvents::of_status(status) | grpc)
            || policy.statuses.contains(&status);
        self.repeats.granted = wanted && is_replayable(session) && self.allow_retry();
        self.repeats.refused = self.repeats.granted.then_some(status);
        self.repeats.granted
    }

    /// Takes a retry, if the policy and the budget of the group have one left.
    fn allow_retry(&mut self) -> bool {
        let most = self.retry_policy().map_or(0, |policy| policy.max_retries);
        let allowed = self.repeats.allowed < most && self.allow_repeat();
        if allowed {
            self.repeats.allowed += 1;
        }
        allowed
    }

    /// Lets the request be sent once more, if the budget of the group allows it.
    pub(super) fn allow_repeat(&mut self) -> bool {
        if self.repeats.counted.is_some() {
            return true;
        }
        let (percent, least) = self
            .retry_policy()
            .map_or(BUDGET, |policy| (policy.budget_percent, policy.budget_min));
        let running = self
            .group
            .as_ref()
            .and_then(|group| Some(group.targets()?.live.running()));
        self.repeats.counted = running.and_then(|running| running.repeat(percent, least));
        self.repeats.counted.is_some()
    }

    /// How long to wait before the retry that was just allowed: at random, up to a time that doubles.
    fn back_off(&self, roll: u64) -> Duration {
        let Some(policy) = self.retry_policy() else {
            return Duration::ZERO;
        };
        back_off(policy, self.repeats.allowed, roll)
    }

    /// When the request must be over as far as that is known; the time since its own end counts once there is one.
    pub(super) fn latest_end(&self) -> Option<Instant> {
        let limit = self
            .traffic
            .as_ref()
            .and_then(|traffic| traffic.timeouts.request);
        let end = limit.and_then(|limit| self.request_ended?.checked_add(limit));
        match (self.deadline, end) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }
}

/// The wait before retry number `retry`, counted from one, in whole milliseconds: what timers count in, and what Envoy draws.
fn back_off(policy: &RetryPolicy, retry: u32, roll: u64) -> Duration {
    let doubled = 1_u32
        .checked_shl(retry.saturating_sub(1))
        .unwrap_or(u32::MAX);
    let most = policy
        .back_off
        .saturating_mul(doubled)
        .min(policy.max_back_off);
    let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    Duration::from_millis(roll % micros.saturating_add(1) / 1000)
}
