//! Carries one exchange between its client and its target.
//!
//! The engine frames both sides; this loop carries what they read from one to the other. It waits for the client, for the target
//! and for the deadlines of the request at once, and none of them can hold up another: a client that stops reading, a target that
//! stops reading, and either of them falling silent all end the attempt with the reason that is theirs.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::Bytes;
use http::{Method, StatusCode, Version, header};
use pingora_core::protocols::http::HttpTask;
use pingora_error::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;

use super::{
    Route,
    clock::{Clock, Due},
    rival::{self, Rival},
};
use crate::proxy::{
    connections::Connections, exchange::Exchange, failure, outcome, report, respond,
    upstream::Event,
};

/// Parts of an answer that are sent to the client in one go, if they are there already: mostly the head and a whole small body.
const BATCH: usize = 4;

/// Carries one exchange between its client and its target.
pub(super) struct Carrier<'a> {
    connections: &'a Connections,
    session: &'a mut Session,
    exchange: &'a mut Exchange,
    route: &'a mut Route,
    clock: Clock,
    /// The whole body has been read from the client.
    request_done: bool,
    /// The whole answer has been sent to the client.
    answer_done: bool,
    /// The target stopped reading. It may answer all the same, and then that is what counts.
    send_error: Option<Box<Error>>,
    /// The attempt failed while a second one was running, which now is the only one.
    lost: Option<Box<Error>>,
}

impl<'a> Carrier<'a> {
    pub(super) fn new(
        connections: &'a Connections,
        session: &'a mut Session,
        exchange: &'a mut Exchange,
        route: &'a mut Route,
        clock: Clock,
    ) -> Self {
        Self {
            connections,
            request_done: session.as_mut().is_body_done(),
            session,
            exchange,
            route,
            clock,
            answer_done: false,
            send_error: None,
            lost: None,
        }
    }

    /// Sends the request and passes on the answer; tells whether the connection to the target can be used again.
    pub(super) async fn run(mut self, head: RequestHeader, bodiless: bool) -> Result<bool> {
        self.route.upstream.send_head(head, bodiless).await?;
        self.send_kept(bodiless).await?;
        self.note_request_end();
        let mut rival: Option<Rival<'a>> = None;
        let mut wake = self.clock.next();
        let mut timer = pin!(tokio::time::sleep_until(at(wake)));
        while !(self.answer_done && (self.request_done || self.send_error.is_some())) {
            let stalled = self.route.upstream.is_sending();
            tokio::select! {
                read = from_client(self.session, self.request_done, stalled) => {
                    self.client_sent(read.map_err(Error::into_down)?).await?;
                    if self.send_error.is_some() {
                        // Only the target can bring this exchange forward.
                        continue;
                    }
                }
                event = self.route.upstream.next(), if self.lost.is_none() && (!self.answer_done || stalled) => {
                    match event {
                        Err(error) if rival.is_some() => self.lost = Some(error),
                        event => {
                            rival = None;
                            self.target_sent(event).await?;
                        }
                    }
                }
                won = finish(&mut rival), if rival.is_some() => {
                    rival = None;
                    self.take_over(won).await?;
                }
                () = &mut timer, if wake.is_some() => match self.clock.due(stalled) {
                    Due::Failure(error) => return Err(self.lost.take().unwrap_or(error)),
                    Due::Hedge => {
                        self.clock.hedged();
                        if self.request_done {
                            rival = rival::begin(self.connections, self.session, self.exchange, &self.clock);
                        }
                        wake = self.clock.next();
                        timer.as_mut().reset(at(wake));
                        continue;
                    }
                    Due::Nothing(next) => {
                        wake = next;
                        timer.as_mut().reset(at(wake));
                        continue;
                    }
                },
            }
            self.clock.hear();
            let next = self.clock.next();
            if next < wake || wake.is_none() {
                wake = next;
                timer.as_mut().reset(at(wake));
            }
        }
        if self.session.as_mut().finish_body().await.is_err() {
            // The answer is out; that its end is not is for the client to see.
            self.session.set_keepalive(None);
        }
        Ok(self.request_done && self.send_error.is_none() && !self.route.upstream.is_sending())
    }

    /// Goes on with the second attempt, which was faster, or is told that it failed.
    async fn take_over(&mut self, won: Result<rival::Won>) -> Result<()> {
        match (won, self.lost.take()) {
            (Ok(won), _) => {
                self.route.upstream.abandon(false);
                *self.route = won.route;
                self.exchange.exchanged.0 += won.sent;
                self.exchange.rely_on_attempt(won.position);
                self.exchange.reached = Some(won.lease.address());
                self.exchange.lease = Some(won.lease);
                self.exchange.repeats.place = won.place;
                self.send_error = None;
                self.target_sent(Ok(won.first)).await
            }
            (Err(_), Some(error)) => Err(error),
            // The first one is still running.
            (Err(_), None) => Ok(()),
        }
    }

    /// Lets the time that the target has for its answer begin.
    fn note_request_end(&mut self) {
        if self.request_done && self.exchange.request_ended.is_none() {
            let now = Instant::now();
            self.exchange.request_ended = Some(now);
            self.clock.request_ended(now);
        }
    }

    /// Sends what an earlier attempt has read of the body, and the end of the request if that is known.
    async fn send_kept(&mut self, bodiless: bool) -> Result<()> {
        let client = self.session.as_mut();
        client.enable_retry_buffering();
        let kept = client.get_retry_buffer();
        if bodiless && self.route.upstream.is_http2() {
            // The head has said so.
            return Ok(());
        }
        if bodiless || self.request_done || kept.is_some() {
            let ends = bodiless || self.request_done;
            self.exchange.exchanged.0 += kept.as_ref().map_or(0, Bytes::len) as u64;
            return self.route.upstream.send_body(kept, ends).await;
        }
        Ok(())
    }

    /// Passes on what the client sent of its body, or after a switch of protocols.
    async fn client_sent(&mut self, bytes: Option<Bytes>) -> Result<()> {
        let ended = bytes.is_none();
        let upgraded = self.session.was_upgraded();
        // After a switch of protocols, the client's end is the end of both directions.
        self.answer_done |= upgraded && ended;
        self.request_done |= ended || !upgraded && self.session.as_mut().is_body_done();
        self.note_request_end();
        if self.send_error.is_some() {
            // Read and thrown away, so that the client comes to read the answer.
            return Ok(());
        }
        self.exchange.exchanged.0 += bytes.as_ref().map_or(0, Bytes::len) as u64;
        let sent = if upgraded {
            self.route.upstream.send_upgraded(bytes).await
        } else {
            self.route
                .upstream
                .send_body(bytes, self.request_done)
                .await
        };
        match sent {
            // It did not just stop reading: it does nothing at all.
            Err(error) if *error.etype() == ErrorType::WriteTimedout => Err(error),
            // It wants no more of it. Its answer may be on its way, and then that is what counts.
            sent => {
                self.send_error = sent.err();
                Ok(())
            }
        }
    }

    /// Passes on what the target sent, with what it has sent right after it.
    async fn target_sent(&mut self, event: Result<Event>) -> Result<()> {
        let mut next = match event {
            Ok(Event::Sent) => return Ok(()),
            Ok(Event::Unsent(error)) => {
                self.send_error = Some(error);
                return Ok(());
            }
            Ok(Event::Answer(task)) => task,
            // What it says about the stream as a whole tells more than that it takes no more of the body.
            Err(mut error) => {
                error.retry.decide_reuse(self.route.reused);
                let unsent = self.send_error.take().filter(|_| !error.retry());
                HttpTask::Failed(unsent.unwrap_or(error))
            }
        };
        if let HttpTask::Header(head, _) = &next
            && self.exchange.wants_again(self.session, head)
        {
            self.exchange.exchanged.1 += report::answer_bytes(head);
            self.exchange.attempt_answered(head.status.as_u16());
            outcome::report_refused_answer(self.exchange, head);
            return Err(
                Error::explain(failure::ANSWERED, "the answer is to be tried again").into_up(),
            );
        }
        let mut tasks = Vec::with_capacity(BATCH);
        loop {
            let last = next.is_end() || tasks.len() + 1 == BATCH;
            tasks.push(self.prepare(next)?);
            if last {
                break;
            }
            next = match ready(self.route.upstream.next()) {
                Some(Ok(Event::Answer(task))) => task,
                Some(Err(error)) => HttpTask::Failed(error),
                Some(Ok(Event::Unsent(error))) => {
                    self.send_error = Some(error);
                    break;
                }
                Some(Ok(Event::Sent)) | None => break,
            };
        }
        if self.request_done && tasks.last().is_some_and(HttpTask::is_end) {
            // The target has done its part. The client may take its time, or be back with another request before this returns.
            self.exchange.repeats.place = None;
        }
        self.answer(tasks).await
    }

    async fn answer(&mut self, tasks: Vec<HttpTask>) -> Result<()> {
        let upgraded = self.session.was_upgraded();
        let done = self.session.write_response_tasks(tasks).await?;
        self.answer_done |= done;
        if self.session.was_upgraded() {
            if !upgraded {
                self.request_done = false;
            }
            // The target's end is the end of both directions.
            self.request_done |= done;
        } else if !self.request_done && self.session.as_mut().is_body_done() {
            // The target declined to switch protocols, so there is nothing more to come from the client.
            self.request_done = true;
            self.send_error = self.route.upstream.send_body(None, true).await.err();
        }
        Ok(())
    }

    /// Makes a part of the answer fit for the client.
    fn prepare(&mut self, mut task: HttpTask) -> Result<HttpTask> {
        match &mut task {
            HttpTask::Header(head, ends) => {
                self.exchange.exchanged.1 += report::answer_bytes(head);
                self.exchange.announce_end(self.session);
                respond::prepare_response(head, self.exchange)?;
                if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS
                {
                    self.clock.answered();
                }
                frame(head, *ends, self.session.req_header())?;
            }
            HttpTask::Trailer(Some(trailers)) => {
                self.exchange.see_grpc_status(trailers);
                outcome::report_trailers(self.exchange);
            }
            HttpTask::Body(bytes, _) | HttpTask::UpgradedBody(bytes, _) => {
                self.exchange.exchanged.1 += bytes.as_ref().map_or(0, Bytes::len) as u64;
            }
            HttpTask::Trailer(None) | HttpTask::Done | HttpTask::Failed(_) => {}
        }
        Ok(task)
    }
}

/// What the client sends. Once its body has come, or while the target takes no more of it, only the client's leaving counts.
pub(in crate::proxy) async fn from_client(
    session: &mut Session,
    done: bool,
    stalled: bool,
) -> Result<Option<Bytes>> {
    let client = session.as_downstream_mut();
    if !stalled {
        return client.read_body_or_idle(done).await;
    }
    match client.watch_h2_stream_close() {
        Some(closed) => {
            let reason = closed.await?;
            Error::e_explain(
                ErrorType::H2Error,
                format!("the client reset its stream: {reason}"),
            )
        }
        // Over HTTP/1 nothing tells but reading on, for which there is no room.
        None => std::future::pending().await,
    }
}

/// The rival's answer; without a rival, nothing ever.
async fn finish(rival: &mut Option<Rival<'_>>) -> Result<rival::Won> {
    match rival {
        Some(rival) => Pin::as_mut(rival).await,
        None => std::future::pending().await,
    }
}

/// A deadline as a timer wants it; none is far away.
fn at(deadline: Option<Instant>) -> tokio::time::Instant {
    /// A day: timers that nobody waits for.
    const FAR: std::time::Duration = std::time::Duration::from_secs(86_400);
    deadline.unwrap_or_else(|| Instant::now() + FAR).into()
}

/// What a future gives without waiting. The future must be one that may be dropped.
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    // Outside the budget of cooperative scheduling: what is there is taken, whatever the task has done before.
    let future = pin!(tokio::task::unconstrained(future));
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Frames an answer as HTTP/1.1, from which the engine derives HTTP/2 as well: a length, or chunks.
fn frame(head: &mut ResponseHeader, ends: bool, request: &RequestHeader) -> Result<()> {
    let bodiless = request.method == Method::HEAD
        || head.status.is_informational()
        || matches!(
            head.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
    let framed = head.headers.contains_key(header::CONTENT_LENGTH)
        || head.headers.contains_key(header::TRANSFER_ENCODING);
    // Over HTTP/1 an answer without a body says so by its length; over HTTP/2 it just ends.
    let complete = ends && head.version != Version::HTTP_2;
    if head.version == Version::HTTP_2 {
        head.set_version(Version::HTTP_11);
    }
    if !bodiless && !framed && !complete {
        head.set_version(Version::HTTP_11);
        head.insert_header(header::TRANSFER_ENCODING, "chunked")?;
    }
    Ok(())
}
