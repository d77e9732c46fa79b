//! One exchange with a target, in either version of HTTP: a head and a body out, an answer in.
//!
//! The engine's client sessions do the framing. What is added here is one way to use both versions: [`Upstream::next`] may be
//! dropped at any await without losing a byte, so that a request can wait for its client, its target and its deadlines at once.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use http::{HeaderValue, Method, StatusCode, header};
use pingora_core::protocols::http::{
    HttpTask, client::HttpSession, v1::client::HttpSession as Http1, v2::client::Http2Session,
};
use pingora_error::{Error, ErrorType, OkOrErr as _, OrErr as _, Result};
use pingora_http::RequestHeader;

use crate::h1;

/// How much earlier than the target a connection is given up whose end it has announced, so that no request meets that end. Targets
/// announce whole seconds.
const BEFORE_TARGET: Duration = Duration::from_secs(1);

/// An exchange with a target.
pub(super) enum Upstream {
    /// Over HTTP/1.1.
    One(Http1),
    /// Over a stream of an HTTP/2 connection.
    Two(Two),
}

/// An exchange over HTTP/2. Its two directions are apart: a target that reads on only when its answer is read must not find us
/// waiting for it to read.
pub(super) struct Two {
    session: Http2Session,
    sending: Sending,
    part: Part,
}

/// The request's direction of an HTTP/2 stream.
struct Sending {
    body: Option<SendStream<Bytes>>,
    /// What the client sent and the target has not given room for.
    unsent: Option<Chunk>,
}

struct Chunk {
    bytes: Bytes,
    ends: bool,
}

/// Which part of an HTTP/2 answer is next.
#[derive(Clone, Copy)]
enum Part {
    Head,
    Body,
    Trailers,
    Nothing,
}

/// What an exchange brings forward.
#[derive(Debug)]
pub(super) enum Event {
    /// A part of the answer.
    Answer(HttpTask),
    /// What was queued of the body has left; there is room for more.
    Sent,
    /// What was queued of the body cannot be sent: the target wants no more of it.
    Unsent(Box<Error>),
}

impl Upstream {
    /// An exchange on a connection that is free for it; none if the engine knows other kinds of connections.
    pub(super) fn new(session: HttpSession) -> Option<Self> {
        match session {
            HttpSession::H1(session) => Some(Self::One(session)),
            HttpSession::H2(session) => Some(Self::Two(Two {
                session,
                sending: Sending {
                    body: None,
                    unsent: None,
                },
                part: Part::Head,
            })),
            HttpSession::Custom(()) => None,
        }
    }

    /// The engine's session, to keep its connection for the next request.
    pub(super) fn into_session(self) -> HttpSession {
        match self {
            Self::One(session) => HttpSession::H1(session),
            Self::Two(two) => HttpSession::H2(two.session),
        }
    }

    /// How long the connection can be kept for another request: what is `usual`, or less when the target has said that it closes the
    /// connection sooner. `None`: not at all.
    pub(super) fn kept_for(&self, usual: Duration) -> Option<Duration> {
        let Self::One(session) = self else {
            // It goes back in any case: others may have streams on it.
            return Some(usual);
        };
        let announced = session.get_header("keep-alive").and_then(announced);
        let sooner = announced.map(|time| time.saturating_sub(BEFORE_TARGET));
        let time = sooner.map_or(usual, |sooner| sooner.min(usual));
        (!time.is_zero()).then_some(time)
    }

    /// Bounds the wait for a target that takes nothing. Over HTTP/2 sending waits for nobody, see [`Self::is_sending`].
    pub(super) fn bound_writes(&mut self, limit: Option<Duration>) {
        if let Self::One(session) = self {
            session.write_timeout = limit;
        }
    }

    /// Is it an exchange over HTTP/2?
    pub(super) fn is_http2(&self) -> bool {
        matches!(self, Self::Two(_))
    }

    /// Sends the head. `ends`: there is no body.
    pub(super) async fn send_head(&mut self, head: RequestHeader, ends: bool) -> Result<()> {
        match self {
            Self::One(session) => session
                .write_request_header(Box::new(head))
                .await
                .map(drop)
                .map_err(Error::into_up),
            Self::Two(two) => {
                two.session
                    .write_request_header(Box::new(head), ends)
                    .map_err(Error::into_up)?;
                two.sending.body = two.session.take_request_body_writer();
                Ok(())
            }
        }
    }

    /// Sends a part of the body over HTTP/1.1, or takes it over for HTTP/2, see [`Self::is_sending`].
    ///
    /// `ends`: it is the last part. Not to be dropped before it is done.
    pub(super) async fn send_body(&mut self, bytes: Option<Bytes>, ends: bool) -> Result<()> {
        match self {
            Self::One(session) => send_http1(session, bytes, ends)
                .await
                .map_err(Error::into_up),
            Self::Two(two) => {
                let bytes = bytes.unwrap_or_default();
                if ends || !bytes.is_empty() {
                    two.sending.unsent = Some(Chunk { bytes, ends });
                }
                Ok(())
            }
        }
    }

    /// Sends what follows a switch of protocols, until the client ends it.
    pub(super) async fn send_upgraded(&mut self, bytes: Option<Bytes>) -> Result<()> {
        match self {
            Self::One(session) => {
                session.maybe_upgrade_body_writer();
                let ends = bytes.is_none();
                send_http1(session, bytes, ends)
                    .await
                    .map_err(Error::into_up)
            }
            Self::Two(_) => Error::e_explain(
                ErrorType::InternalError,
                "a protocol was switched over HTTP/2",
            ),
        }
    }

    /// Is there a part of the body for which the target has given no room yet? Nothing may be sent before it has left.
    pub(super) fn is_sending(&self) -> bool {
        match self {
            Self::One(_) => false,
            Self::Two(two) => two.sending.unsent.is_some(),
        }
    }

    /// The next part of the answer, or the departure of a queued part of the body. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Result<Event> {
        match self {
            Self::One(session) => read_http1(session)
                .await
                .map(Event::Answer)
                .map_err(Error::into_up),
            Self::Two(two) => two.next().await.map_err(Error::into_up),
        }
    }

    /// Gives the exchange up. `hung`: the connection may be as well, so it takes no further requests.
    pub(super) fn abandon(&mut self, hung: bool) {
        if let Self::Two(two) = self {
            if let Some(body) = &mut two.sending.body {
                body.send_reset(h2::Reason::CANCEL);
            }
            if hung {
                two.session.conn.mark_shutdown();
            }
        }
    }
}

/// After how long without a request the target closes the connection, `Keep-Alive: timeout=5, max=100`.
///
/// Spec: RFC 2068 §19.7.1.1 has the field; no later one does, but Node.js, Apache and others send it.
fn announced(value: &HeaderValue) -> Option<Duration> {
    let mut parameters = value.as_bytes().split(|byte| *byte == b',');
    parameters.find_map(|parameter| {
        let (name, value) = std::str::from_utf8(parameter).ok()?.split_once('=')?;
        let named = name.trim().eq_ignore_ascii_case("timeout");
        named.then(|| value.trim().parse().ok().map(Duration::from_secs))?
    })
}

async fn send_http1(session: &mut Http1, bytes: Option<Bytes>, ends: bool) -> Result<()> {
    // An empty part would read as the end of a chunked body.
    if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) {
        session.write_body(&bytes).await?;
    }
    if ends {
        session.finish_body().await?;
    }
    Ok(())
}

impl Two {
    async fn next(&mut self) -> Result<Event> {
        let Self {
            session,
            sending,
            part,
        } = self;
        if sending.unsent.is_none() {
            return read_http2(session, part).await.map(Event::Answer);
        }
        tokio::select! {
            answer = read_http2(session, part) => answer.map(Event::Answer),
            sent = sending.flush() => Ok(match sent {
                Ok(()) => Event::Sent,
                Err(error) => {
                    sending.unsent = None;
                    Event::Unsent(error.into_up())
                }
            }),
        }
    }
}

impl Sending {
    /// Sends the queued part as the target gives room. What has left is taken off at once, so this may be dropped at any time.
    async fn flush(&mut self) -> Result<()> {
        let Some(body) = &mut self.body else {
            self.unsent = None;
            return Ok(());
        };
        while let Some(chunk) = &mut self.unsent {
            let room = if chunk.bytes.is_empty() {
                0
            } else {
                body.reserve_capacity(chunk.bytes.len());
                std::future::poll_fn(|context| body.poll_capacity(context))
                    .await
                    .or_err(
                        ErrorType::H2Error,
                        "the target's stream takes no more of the body",
                    )?
                    .or_err(
                        ErrorType::H2Error,
                        "while waiting for room in the target's window",
                    )?
            };
            let part = chunk.bytes.split_to(room.min(chunk.bytes.len()));
            let last = chunk.bytes.is_empty();
            let ends = last && chunk.ends;
            if last {
                self.unsent = None;
            }
            body.send_data(part, ends)
                .or_err(ErrorType::WriteError, "while sending the body")?;
        }
        Ok(())
    }
}

/// Reads the next part of an HTTP/1 answer. Its head can be taken one way only, or is refused.
async fn read_http1(session: &mut Http1) -> Result<HttpTask> {
    let task = session.read_response_task().await?;
    if matches!(task, HttpTask::Header(..)) {
        h1::check_answer(&session.get_headers_raw_bytes())
            .or_err(ErrorType::InvalidHTTPHeader, "in the head of an answer")?;
    }
    Ok(task)
}

/// Reads the next part of an HTTP/2 answer.
async fn read_http2(session: &mut Http2Session, part: &mut Part) -> Result<HttpTask> {
    loop {
        match part {
            Part::Head => {
                session.read_response_header().await?;
                *part = Part::Body;
                return head_http2(session, part);
            }
            Part::Body => match session.read_response_body().await? {
                None => *part = Part::Trailers,
                Some(bytes) => {
                    let ends = session.check_response_end_or_error()?;
                    if bytes.is_empty() && !ends {
                        continue;
                    }
                    if ends {
                        *part = Part::Nothing;
                    }
                    return Ok(HttpTask::Body(Some(bytes), ends));
                }
            },
            Part::Trailers => {
                let trailers = session.read_trailers().await?;
                *part = Part::Nothing;
                return Ok(match trailers {
                    Some(trailers) => HttpTask::Trailer(Some(Box::new(trailers))),
                    None => HttpTask::Done,
                });
            }
            Part::Nothing => return Ok(HttpTask::Done),
        }
    }
}

fn head_http2(session: &mut Http2Session, part: &mut Part) -> Result<HttpTask> {
    let ends = session.check_response_end_or_error()?;
    let head = session
        .response_header()
        .cloned()
        .or_err(ErrorType::InternalError, "an answer without a head")?;
    if ends {
        *part = Part::Nothing;
        // The library compares the announced length with the body's, but not where there is no body at all.
        // Spec: RFC 9113 §8.1.1, RFC 9110 §8.6.
        let bodiless = matches!(
            head.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        ) || session
            .request_header()
            .is_some_and(|request| request.method == Method::HEAD);
        let announced = head.headers.get(header::CONTENT_LENGTH);
        if !bodiless && announced.is_some_and(|length| length.as_bytes().iter().any(|b| *b != b'0'))
        {
            return Error::e_explain(ErrorType::H2Error, "a content-length without content");
        }
    }
    Ok(HttpTask::Header(Box::new(head), ends))
}
