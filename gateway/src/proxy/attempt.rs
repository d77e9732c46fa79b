//! One attempt at a request: a connection to a target, the request out, the answer back to the client.
//!
//! The engine frames both sides; this loop carries what they read from one to the other. It waits for the client, for the target
//! and for the deadlines of the request at once, and none of them can hold up another: a client that stops reading, a target that
//! stops reading, and either of them falling silent all end the attempt with the reason that is theirs.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, StatusCode, Version, header};
use pingora_core::{
    connectors::http::Connector,
    protocols::http::HttpTask,
    upstreams::peer::{HttpPeer, Peer as _},
};
use pingora_error::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;

use super::{
    exchange::Exchange,
    outcome, request, respond,
    upstream::{Event, Upstream},
};

/// Parts of an answer that are sent to the client in one go, if they are there already: mostly the head and a whole small body.
const BATCH: usize = 4;

/// Makes one attempt. On success the answer has gone to the client; otherwise [`Error::retry`] tells whether the connection was one
/// that the target had closed meanwhile, or the target said that it had not begun, so that nothing speaks against another attempt.
pub(super) async fn attempt(
    connector: &Connector,
    peer: &HttpPeer,
    session: &mut Session,
    exchange: &mut Exchange,
) -> Result<()> {
    let (connection, reused) = connector
        .get_http_session(peer)
        .await
        .map_err(Error::into_up)?;
    let Some(mut upstream) = Upstream::new(connection) else {
        return Error::e_explain(ErrorType::InternalError, "a connection of an unknown kind");
    };
    upstream.bound_writes(peer.options.write_timeout);
    let bodiless = session.as_mut().is_body_empty();
    let head = if upstream.is_http2() {
        request::in_http2(session.req_header(), exchange, peer.is_tls())
    } else {
        request::in_http1(session.req_header(), exchange, !bodiless)
    };
    let (carried, keeps) = match head {
        // Nothing was sent yet.
        Err(error) => (Err(error), true),
        Ok(head) => carry(head, bodiless, session, exchange, &mut upstream).await,
    };
    if keeps {
        connector
            .release_http_session(upstream.into_session(), peer, peer.idle_timeout())
            .await;
    }
    carried.map_err(|mut error| {
        let buffered = !session.as_ref().retry_buffer_truncated();
        error.retry.decide_reuse(reused);
        error.retry = (error.retry() && buffered).into();
        error
    })
}

/// Carries the exchange; tells whether the connection to the target can be used again.
async fn carry(
    head: RequestHeader,
    bodiless: bool,
    session: &mut Session,
    exchange: &mut Exchange,
    upstream: &mut Upstream,
) -> (Result<()>, bool) {
    let carried = Carrier::new(session, exchange, upstream)
        .run(head, bodiless)
        .await;
    match carried {
        Ok(keeps) => (Ok(()), keeps),
        Err(error) => {
            let hung = *error.etype() == ErrorType::ReadTimedout;
            upstream.abandon(hung && *error.esource() == ErrorSource::Upstream);
            // What is wrong with one stream is not wrong with its connection.
            (Err(error), upstream.is_http2())
        }
    }
}

/// Carries one exchange between its client and its target.
struct Carrier<'a> {
    session: &'a mut Session,
    exchange: &'a mut Exchange,
    upstream: &'a mut Upstream,
    /// The whole body has been read from the client, or the target wants no more of it.
    request_done: bool,
    /// The whole answer has been sent to the client.
    answer_done: bool,
    /// The target stopped reading. It may answer all the same, and then that is what counts.
    send_error: Option<Box<Error>>,
    /// The longest silence of all sides.
    idle: Option<Duration>,
    /// When somebody last sent something.
    heard: Instant,
}

impl<'a> Carrier<'a> {
    fn new(
        session: &'a mut Session,
        exchange: &'a mut Exchange,
        upstream: &'a mut Upstream,
    ) -> Self {
        let idle = exchange.idle();
        Self {
            request_done: session.as_mut().is_body_done(),
            session,
            exchange,
            upstream,
            answer_done: false,
            send_error: None,
            idle,
            heard: Instant::now(),
        }
    }

    /// Sends the request and passes on the answer; tells whether the connection to the target can be used again.
    async fn run(mut self, head: RequestHeader, bodiless: bool) -> Result<bool> {
        self.upstream.send_head(head, bodiless).await?;
        self.send_kept(bodiless).await?;
        let mut silence = pin!(tokio::time::sleep(self.idle.unwrap_or(Duration::MAX)));
        while !(self.answer_done && (self.request_done || self.send_error.is_some())) {
            let stalled = self.upstream.is_sending();
            tokio::select! {
                read = from_client(self.session, self.request_done, stalled) => {
                    self.client_sent(read.map_err(Error::into_down)?).await?;
                    if self.send_error.is_some() {
                        // Only the target can bring this exchange forward.
                        continue;
                    }
                }
                event = self.upstream.next(), if !self.answer_done || stalled => {
                    self.target_sent(event).await?;
                }
                () = &mut silence, if self.idle.is_some() => {
                    silence.as_mut().reset(self.silent_until()?.into());
                    continue;
                }
            }
            self.heard = Instant::now();
        }
        if self.session.as_mut().finish_body().await.is_err() {
            // The answer is out; that its end is not is for the client to see.
            self.session.set_keepalive(None);
        }
        Ok(self.request_done && self.send_error.is_none() && !self.upstream.is_sending())
    }

    /// When the silence will have been too long; an error if it is already.
    fn silent_until(&self) -> Result<Instant> {
        let until = self.heard + self.idle.unwrap_or(Duration::MAX);
        if Instant::now() < until {
            return Ok(until);
        }
        let (what, why) = if self.upstream.is_sending() {
            (
                ErrorType::WriteTimedout,
                "the target takes no more of the body",
            )
        } else {
            (ErrorType::ReadTimedout, "client and target are silent")
        };
        Err(Error::explain(what, why).into_up())
    }

    /// Sends what an earlier attempt has read of the body, and the end of the request if that is known.
    async fn send_kept(&mut self, bodiless: bool) -> Result<()> {
        let client = self.session.as_mut();
        client.enable_retry_buffering();
        let kept = client.get_retry_buffer();
        if bodiless && self.upstream.is_http2() {
            // The head has said so.
            return Ok(());
        }
        if bodiless || self.request_done || kept.is_some() {
            let ends = bodiless || self.request_done;
            return self.upstream.send_body(kept, ends).await;
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
        if self.send_error.is_some() {
            // Read and thrown away, so that the client comes to read the answer.
            return Ok(());
        }
        let sent = if upgraded {
            self.upstream.send_upgraded(bytes).await
        } else {
            self.upstream.send_body(bytes, self.request_done).await
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
            Err(error) => HttpTask::Failed(self.send_error.take().unwrap_or(error)),
        };
        let mut tasks = Vec::with_capacity(BATCH);
        loop {
            let last = next.is_end() || tasks.len() + 1 == BATCH;
            tasks.push(self.prepare(next)?);
            if last {
                break;
            }
            next = match ready(self.upstream.next()) {
                Some(Ok(Event::Answer(task))) => task,
                Some(Err(error)) => HttpTask::Failed(error),
                Some(Ok(Event::Unsent(error))) => {
                    self.send_error = Some(error);
                    break;
                }
                Some(Ok(Event::Sent)) | None => break,
            };
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
            self.send_error = self.upstream.send_body(None, true).await.err();
        }
        Ok(())
    }

    /// Makes a part of the answer fit for the client.
    fn prepare(&mut self, mut task: HttpTask) -> Result<HttpTask> {
        match &mut task {
            HttpTask::Header(head, ends) => {
                self.exchange.announce_end(self.session);
                respond::prepare_response(head, self.exchange)?;
                frame(head, *ends, self.session.req_header())?;
            }
            HttpTask::Trailer(Some(trailers)) => {
                self.exchange.see_grpc_status(trailers);
                outcome::report_trailers(self.exchange);
            }
            HttpTask::Trailer(None)
            | HttpTask::Body(..)
            | HttpTask::UpgradedBody(..)
            | HttpTask::Done
            | HttpTask::Failed(_) => {}
        }
        Ok(task)
    }
}

/// What the client sends. Once its body has come, or while the target takes no more of it, only the client's leaving counts.
async fn from_client(session: &mut Session, done: bool, stalled: bool) -> Result<Option<Bytes>> {
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
