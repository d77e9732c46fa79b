//! A client connection as the HTTP engine sees it: exactly the bytes of one message at a time, and answers in few writes.
//!
//! The engine reads from and writes to a [`Conn`]. For HTTP/1 the connection first collects a whole request head and has
//! [`crate::h1`] check it; then it hands out that head and the bytes of its body, and nothing beyond. What a client sends ahead
//! (pipelining) waits here, bounded. In the other direction, the head of an answer and a small body leave in one system call.
//!
//! Facts about the connection (who, from where, over which TLS) are fixed at its start and travel to the request filters in
//! [`Facts`].

mod facts;
mod http2;
mod idle;
mod opened;
mod standing;
mod stream;
#[cfg(test)]
mod tests;

pub use facts::{Cut, Facts};
pub use idle::NextHead;
pub use standing::{Standing, Unfounded};

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pingora_core::protocols::raw_connect::ProxyDigest;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::h1::Body;

/// Most bytes held of requests that a client sends ahead of their turn. Beyond it the socket is not read, and TCP pushes back.
const PIPELINED_BYTES: usize = 64 * 1024;

/// Answers up to this size leave in one write; larger writes go to the socket directly.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// The transport under a connection.
#[derive(Debug)]
pub enum Transport {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
}

/// How the bytes of a connection are handed to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Message by message.
    Http1,
    /// Frame by frame.
    Http2,
    /// As they come: a tunnel after `101 Switching Protocols`.
    Raw,
}

/// A client connection. See the module.
#[derive(Debug)]
pub struct Conn {
    transport: Transport,
    facts: Arc<Facts>,
    /// The facts as the engine carries them to the request filters.
    digest: Option<Arc<ProxyDigest>>,
    mode: Mode,
    /// Bytes read from the transport; those before `start` have been handed out.
    inbound: Vec<u8>,
    start: usize,
    /// Bytes of the checked head not yet handed out.
    head_left: usize,
    /// Bytes of the current body not yet handed out.
    body: Body,
    /// Does the current request ask to change the protocol?
    upgrade: bool,
    /// Bytes of the answer not yet written.
    outbound: Vec<u8>,
    /// Bytes at the front of `outbound` that the transport has taken.
    written: usize,
    /// The frames of an HTTP/2 connection.
    http2: Option<Box<http2::Http2>>,
    /// The end of the connection, once it has begun.
    ending: Option<Box<http2::Ending>>,
}

impl Conn {
    /// A connection over `transport`.
    pub fn new(transport: Transport, facts: Arc<Facts>) -> Self {
        Self {
            transport,
            digest: stream::digest_of(&facts),
            facts,
            mode: Mode::Http1,
            inbound: Vec::new(),
            start: 0,
            head_left: 0,
            body: Body::None,
            upgrade: false,
            outbound: Vec::new(),
            written: 0,
            http2: None,
            ending: None,
        }
    }

    /// The facts of the connection.
    pub fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// From now on the client speaks HTTP/2. The fields of a request may count `list_bytes`; preface, settings and each header block
    /// must be complete within `head_timeout` of their beginning.
    pub fn speak_http2(&mut self, list_bytes: usize, head_timeout: Duration) {
        self.mode = Mode::Http2;
        let now = Instant::now();
        self.facts.wait_for_head(Some(now + head_timeout));
        self.http2 = Some(Box::new(http2::Http2::new(list_bytes, head_timeout, now)));
    }

    /// Bytes read and not yet handed out.
    fn pending(&self) -> &[u8] {
        self.inbound.get(self.start..).unwrap_or_default()
    }

    /// Forgets the first `count` pending bytes.
    fn consume(&mut self, count: usize) {
        self.start += count;
        if self.start >= self.inbound.len() {
            self.inbound.clear();
            self.start = 0;
        }
    }
}
