//! The gRPC side of an echo: `trellis.Echo` (see `echo.proto`) and `grpc.health.v1.Health`.
//!
//! Messages are framed by hand: one byte for compression, four for the length, then the message.
//! Spec: gRPC over HTTP/2, "Requests" and "Responses".

use std::{sync::Arc, time::Duration};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming};
use prost::Message;
use tokio::sync::mpsc::{self, Sender};

use super::{
    Health, Shared,
    answer::{ConnectionFacts, lines},
    body::Answer,
};

/// Largest message taken, the usual default of gRPC servers.
const LARGEST_MESSAGE: usize = 4 * 1024 * 1024;

/// Most answers of one `SayMany` call.
const MOST_ANSWERS: u32 = 1_000_000;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const CONTENT_TYPE: &str = "application/grpc";

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub(super) struct SayRequest {
    #[prost(string, tag = "1")]
    pub(super) text: String,
    #[prost(uint32, tag = "2")]
    pub(super) count: u32,
    #[prost(uint32, tag = "3")]
    pub(super) status: u32,
    #[prost(uint32, tag = "4")]
    pub(super) delay_milliseconds: u32,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub(super) struct SayReply {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) text: String,
    #[prost(uint32, tag = "3")]
    pub(super) index: u32,
    #[prost(message, repeated, tag = "4")]
    pub(super) headers: Vec<Header>,
}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub(super) struct Header {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

/// `grpc.health.v1.HealthCheckRequest`; the service name is read and ignored: an echo is well or not as a whole.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub(super) struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    pub(super) service: String,
}

/// `grpc.health.v1.HealthCheckResponse`: 1 is `SERVING`, 2 `NOT_SERVING`.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub(super) struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    pub(super) status: i32,
}

impl HealthCheckResponse {
    fn of(health: Health) -> Self {
        Self {
            status: match health {
                Health::Healthy => 1,
                Health::Unhealthy => 2,
            },
        }
    }
}

/// How a call ends when not well; codes as in `google.rpc.Code`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Status {
    code: u32,
    message: String,
}

impl Status {
    fn new(code: u32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(3, message)
    }

    fn unimplemented(message: impl Into<String>) -> Self {
        Self::new(12, message)
    }

    /// The caller's side of the call broke off.
    fn cancelled() -> Self {
        Self::new(1, "the request broke off")
    }
}

/// The method of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Say,
    SayMany,
    Chat,
    Check,
    Watch,
}

impl Call {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/trellis.Echo/Say" => Self::Say,
            "/trellis.Echo/SayMany" => Self::SayMany,
            "/trellis.Echo/Chat" => Self::Chat,
            "/grpc.health.v1.Health/Check" => Self::Check,
            "/grpc.health.v1.Health/Watch" => Self::Watch,
            _ => return None,
        })
    }
}

/// Is this a gRPC call?
pub(super) fn is_grpc<B>(request: &Request<B>) -> bool {
    request.method() == Method::POST
        && request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| {
                value == CONTENT_TYPE || value.starts_with("application/grpc+proto")
            })
}

/// Answers a gRPC call. The answer is written by a task of its own, which ends with the call.
pub(super) fn answer(
    shared: &Arc<Shared>,
    facts: &ConnectionFacts,
    request: Request<Incoming>,
) -> Response<Answer> {
    let Some(call) = Call::of(request.uri().path()) else {
        let status = Status::unimplemented(format!("no method `{}`", request.uri().path()));
        return respond(Answer::Empty, trailers(&shared.name, Err(status)));
    };
    tracing::debug!(peer = %facts.peer, ?call, "gRPC call");
    let (head, body) = request.into_parts();
    let (sender, frames) = mpsc::channel(1);
    let conversation = Conversation {
        shared: Arc::clone(shared),
        headers: head.headers,
        sender,
        messages: Messages {
            body,
            buffer: BytesMut::new(),
        },
    };
    tokio::spawn(conversation.run(call));
    respond(Answer::Frames(frames), HeaderMap::new())
}

fn respond(body: Answer, mut headers: HeaderMap) -> Response<Answer> {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

fn trailers(name: &str, outcome: Result<(), Status>) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let (code, message) = match outcome {
        Ok(()) => (0, String::new()),
        Err(Status { code, message }) => (code, message),
    };
    trailers.insert(GRPC_STATUS, HeaderValue::from(code));
    if let Ok(message) = HeaderValue::from_str(&percent_encode(&message))
        && !message.is_empty()
    {
        trailers.insert(GRPC_MESSAGE, message);
    }
    if let Ok(name) = HeaderValue::from_str(name) {
        trailers.insert("x-echo-name", name);
    }
    trailers
}

/// Spec: gRPC over HTTP/2, "Status-Message": all but printable ASCII, and `%`, is percent-encoded.
fn percent_encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'%' => encoded.push_str("%25"),
            b' '..=b'~' => encoded.push(char::from(byte)),
            // Writing to a `String` cannot fail.
            _ => _ = write!(encoded, "%{byte:02X}"),
        }
        encoded
    })
}

/// One call.
struct Conversation {
    shared: Arc<Shared>,
    headers: HeaderMap,
    sender: Sender<Frame<Bytes>>,
    messages: Messages,
}

/// The caller no longer listens, so the call is over.
struct Gone;

impl Conversation {
    async fn run(mut self, call: Call) {
        let outcome = match call {
            Call::Say => self.say().await,
            Call::SayMany => self.say_many().await,
            Call::Chat => self.chat().await,
            Call::Check => self.check().await,
            Call::Watch => self.watch().await,
        };
        let Ok(outcome) = outcome else { return };
        let trailers = trailers(&self.shared.name, outcome);
        // A caller that left misses its trailers.
        let _ = self.sender.send(Frame::trailers(trailers)).await;
    }

    async fn say(&mut self) -> Result<Result<(), Status>, Gone> {
        match self.messages.only::<SayRequest>().await {
            Ok(request) => self.reply(&request, 0, Headers::Included).await,
            Err(status) => Ok(Err(status)),
        }
    }

    async fn say_many(&mut self) -> Result<Result<(), Status>, Gone> {
        let request = match self.messages.only::<SayRequest>().await {
            Ok(request) => request,
            Err(status) => return Ok(Err(status)),
        };
        // The status is for the end of the call, so it must not stop the first answer.
        let plain = SayRequest {
            status: 0,
            ..request.clone()
        };
        for index in 0..request.count.clamp(1, MOST_ANSWERS) {
            let headers = if index == 0 {
                Headers::Included
            } else {
                Headers::Omitted
            };
            if let Err(status) = self.reply(&plain, index, headers).await? {
                return Ok(Err(status));
            }
        }
        Ok(asked_for(request.status))
    }

    async fn chat(&mut self) -> Result<Result<(), Status>, Gone> {
        let mut index = 0;
        loop {
            let request = match self.messages.next::<SayRequest>().await {
                Ok(Some(request)) => request,
                Ok(None) => return Ok(Ok(())),
                Err(status) => return Ok(Err(status)),
            };
            if let Err(status) = self.reply(&request, index, Headers::Omitted).await? {
                return Ok(Err(status));
            }
            index = index.saturating_add(1);
        }
    }

    async fn check(&mut self) -> Result<Result<(), Status>, Gone> {
        if let Err(status) = self.messages.only::<HealthCheckRequest>().await {
            return Ok(Err(status));
        }
        let health = *self.shared.health.borrow();
        self.send(&HealthCheckResponse::of(health)).await?;
        Ok(Ok(()))
    }

    /// Tells the health now and after each change, until the caller leaves.
    async fn watch(&mut self) -> Result<Result<(), Status>, Gone> {
        if let Err(status) = self.messages.only::<HealthCheckRequest>().await {
            return Ok(Err(status));
        }
        let mut health = self.shared.health.subscribe();
        loop {
            let now = *health.borrow_and_update();
            self.send(&HealthCheckResponse::of(now)).await?;
            tokio::select! {
                // Lost branches: waiting for a change that the next turn would see, or for a departure. Neither holds anything.
                changed = health.changed() => if changed.is_err() {
                    return Ok(Ok(()));
                },
                () = self.sender.closed() => return Err(Gone),
            }
        }
    }

    async fn reply(
        &mut self,
        request: &SayRequest,
        index: u32,
        headers: Headers,
    ) -> Result<Result<(), Status>, Gone> {
        if request.delay_milliseconds > 0 {
            tokio::time::sleep(Duration::from_millis(request.delay_milliseconds.into())).await;
        }
        if let Err(status) = asked_for(request.status) {
            return Ok(Err(status));
        }
        let headers = match headers {
            Headers::Omitted => Vec::new(),
            Headers::Included => lines(&self.headers)
                .into_iter()
                .map(|(name, value)| Header {
                    name: name.to_owned(),
                    value,
                })
                .collect(),
        };
        self.send(&SayReply {
            name: self.shared.name.clone(),
            text: request.text.clone(),
            index,
            headers,
        })
        .await?;
        Ok(Ok(()))
    }

    async fn send(&mut self, message: &impl Message) -> Result<(), Gone> {
        let frame = Frame::data(framed(message));
        self.sender.send(frame).await.map_err(|_| Gone)
    }
}

/// Are the call's headers given back in a reply?
#[derive(Debug, Clone, Copy)]
enum Headers {
    Included,
    Omitted,
}

fn asked_for(code: u32) -> Result<(), Status> {
    match code {
        0 => Ok(()),
        code => Err(Status::new(code, "the caller asked for this status")),
    }
}

/// A message with its five bytes of framing.
pub(super) fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(5 + length);
    frame.put_u8(0);
    // Replies are far below 4 GiB: they repeat a request that is bounded.
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    frame.put_slice(&message.encode_to_vec());
    frame.freeze()
}

/// The messages of a request's body.
struct Messages {
    body: Incoming,
    buffer: BytesMut,
}

impl Messages {
    /// The one message of a call that takes one.
    async fn only<M: Message + Default>(&mut self) -> Result<M, Status> {
        self.next()
            .await?
            .ok_or_else(|| Status::invalid_argument("the request has no message"))
    }

    /// The next message; none at the end of the request.
    async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Status> {
        loop {
            if let Some(message) = take_message(&mut self.buffer)? {
                return M::decode(message)
                    .map(Some)
                    .map_err(|error| Status::invalid_argument(error.to_string()));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(_)) => return Err(Status::cancelled()),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    return Err(Status::invalid_argument(
                        "the request ends within a message",
                    ));
                }
            }
        }
    }
}

/// Takes a whole message off the front of `buffer`, if there is one.
fn take_message(buffer: &mut BytesMut) -> Result<Option<Bytes>, Status> {
    let Some(mut head) = buffer.get(..5) else {
        return Ok(None);
    };
    if head.get_u8() != 0 {
        return Err(Status::unimplemented(
            "compressed messages are not supported",
        ));
    }
    // A length that does not fit is too large in any case.
    let length = usize::try_from(head.get_u32()).unwrap_or(usize::MAX);
    if length > LARGEST_MESSAGE {
        // RESOURCE_EXHAUSTED, as other servers answer.
        return Err(Status::new(
            8,
            format!("a message of {length} bytes is too large"),
        ));
    }
    if buffer.len() < 5 + length {
        return Ok(None);
    }
    buffer.advance(5);
    Ok(Some(buffer.split_to(length).freeze()))
}
