//! Requests as scenarios write them, and bodies that are sent piece by piece.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

use crate::signer::Key;

/// A body to send.
pub type Payload = BoxBody<Bytes, io::Error>;

/// A body that is known whole.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Payload {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed()
}

/// A body whose pieces come from a channel, and end with it. A piece that is an error breaks the message off.
pub(crate) fn pieces(source: mpsc::Receiver<io::Result<Frame<Bytes>>>) -> Payload {
    Pieces(source).boxed()
}

struct Pieces(mpsc::Receiver<io::Result<Frame<Bytes>>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx)
    }
}

/// A request.
#[derive(Debug)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Payload,
}

impl Request {
    /// Any method.
    pub fn new(method: &str, host: &str, path: &str) -> Self {
        Self {
            method: method.parse().expect("a method"),
            host: host.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: whole(Bytes::new()),
        }
    }

    /// `GET`.
    pub fn get(host: &str, path: &str) -> Self {
        Self::new("GET", host, path)
    }

    /// `POST` with a body.
    pub fn post(host: &str, path: &str, body: impl Into<Bytes>) -> Self {
        let mut this = Self::new("POST", host, path);
        this.body = whole(body);
        this
    }

    /// A call of a gRPC method with one message, as its framed bytes. Source: gRPC over HTTP2, "Length-Prefixed-Message".
    pub fn grpc(host: &str, path: &str, message: &[u8]) -> Self {
        let length = u32::try_from(message.len()).expect("a short message");
        let mut framed = vec![0];
        framed.extend(length.to_be_bytes());
        framed.extend(message);
        Self::post(host, path, framed)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header's value");
        self.headers
            .push((name.parse().expect("a header's name"), value));
        self
    }

    /// A body that comes in pieces, through the sender.
    #[must_use]
    pub fn streaming(mut self) -> (Self, mpsc::Sender<io::Result<Frame<Bytes>>>) {
        let (sender, source) = mpsc::channel(4);
        self.body = pieces(source);
        (self, sender)
    }

    /// The same with a body that ends in trailers.
    #[must_use]
    pub fn with_trailers(mut self, body: impl Into<Bytes>, trailers: HeaderMap) -> Self {
        let (sender, source) = mpsc::channel(2);
        for frame in [Frame::data(body.into()), Frame::trailers(trailers)] {
            sender.try_send(Ok(frame)).expect("room for two pieces");
        }
        self.body = pieces(source);
        self
    }

    /// Signed, as it stands: what is added later is not covered.
    #[must_use]
    pub fn signed(mut self, key: &Key) -> Self {
        key.sign(&mut self);
        self
    }

    /// As the client library wants it: HTTP/2 has the authority in the target, HTTP/1.1 in `Host`.
    pub(crate) fn build(self, version: Version) -> http::Request<Payload> {
        let mut builder = http::Request::builder().method(self.method);
        builder = if version == Version::HTTP_2 {
            builder
                .version(version)
                .uri(format!("http://{}{}", self.host, self.path))
        } else {
            builder.uri(&self.path).header("host", &self.host)
        };
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        builder.body(self.body).expect("a request")
    }
}
