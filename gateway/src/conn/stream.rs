//! The connection as a byte stream for the HTTP engine.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType, raw_connect::ProxyDigest,
};
use pingora_http::ResponseHeader;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Conn, Mode, PIPELINED_BYTES, Transport, WRITE_BUFFER_BYTES};
use crate::h1::{Body, Violation};

thread_local! {
    /// Where bytes from the network land first. One for all connections of a worker, so that an idle one holds no buffer; larger
    /// than most requests, so that one system call reads them whole.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; 16 * 1024].into_boxed_slice());
}

impl Conn {
    /// Reads what the transport has into the pending bytes; zero means the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(self.transport.poll_read(cx, &mut buffer))?;
            self.inbound.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }

    /// Reads what the transport has and throws it away; zero means the end.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(self.transport.poll_read(cx, &mut buffer))?;
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }

    /// Hands out up to `limit` pending bytes.
    pub(super) fn hand_out(&mut self, limit: usize, out: &mut ReadBuf<'_>) -> usize {
        let count = limit.min(out.remaining()).min(self.pending().len());
        out.put_slice(self.pending().get(..count).unwrap_or_default());
        self.consume(count);
        count
    }

    fn poll_read_http1(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.head_left > 0 {
            self.head_left -= self.hand_out(self.head_left, out);
            return Poll::Ready(Ok(()));
        }
        if self.body.is_done() {
            return self.poll_end(cx);
        }
        if self.pending().is_empty() {
            if let Body::Length(left) = &mut self.body {
                return poll_read_length(&mut self.transport, left, cx, out);
            }
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Err(refusal(Violation::Incomplete)));
            }
        }
        let limit = out.remaining().min(self.pending().len());
        let bytes = self
            .inbound
            .get(self.start..self.start + limit)
            .unwrap_or_default();
        match self.body.take(bytes) {
            Ok(count) => {
                self.hand_out(count, out);
                Poll::Ready(Ok(()))
            }
            Err(violation) => {
                self.facts.retire();
                Poll::Ready(Err(refusal(violation)))
            }
        }
    }

    /// The message has been handed out whole: all that is left to notice is that the client goes away. What it sends ahead is
    /// kept for its turn.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.pending().len() < PIPELINED_BYTES {
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        // No waker is registered: the client is alive, and whatever ends the request polls again.
        Poll::Pending
    }

    /// Writes out the buffered answer.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(bytes) = self
            .outbound
            .get(self.written..)
            .filter(|bytes| !bytes.is_empty())
        {
            let count = ready!(self.transport.poll_write(cx, bytes))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        self.written = 0;
        self.outbound.clear();
        if self.outbound.capacity() > WRITE_BUFFER_BYTES / 4 {
            self.outbound = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_flush(cx)).await
    }

    fn check_cut(&self) -> io::Result<()> {
        match self.facts.was_cut() {
            Some(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the connection was cut",
            )),
            None => Ok(()),
        }
    }
}

/// An error that the request filters can tell from those of the network.
fn refusal(violation: Violation) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, violation)
}

/// Reads a body of known length past our own buffer. A client that ends before it is an error of its own kind: the engine would
/// take the body for done.
fn poll_read_length(
    transport: &mut Transport,
    left: &mut u64,
    cx: &mut Context<'_>,
    out: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let limit = usize::try_from(*left)
        .unwrap_or(usize::MAX)
        .min(out.remaining());
    let mut part = ReadBuf::new(out.initialize_unfilled_to(limit));
    ready!(transport.poll_read(cx, &mut part))?;
    let count = part.filled().len();
    if count == 0 && limit > 0 {
        return Poll::Ready(Err(refusal(Violation::Incomplete)));
    }
    *left -= count as u64;
    out.advance(count);
    Poll::Ready(Ok(()))
}

impl AsyncRead for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_cut()?;
        if !self.outbound.is_empty() {
            // The engine has nothing more to write for now: do not sit on what it wrote. A full socket is not an error here.
            if let Poll::Ready(Err(error)) = self.poll_drain(cx) {
                return Poll::Ready(Err(error));
            }
        }
        match self.mode {
            Mode::Http1 => return self.poll_read_http1(cx, out),
            Mode::Http2 => return self.poll_read_http2(cx, out),
            Mode::Raw => {}
        }
        if !self.pending().is_empty() {
            self.hand_out(usize::MAX, out);
            return Poll::Ready(Ok(()));
        }
        self.transport.poll_read(cx, out)
    }
}

impl AsyncWrite for Conn {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_cut()?;
        if self.mode == Mode::Http2 {
            return self.poll_write_http2(cx, bytes);
        }
        if self.mode == Mode::Http1 {
            if self.upgrade && bytes.starts_with(b"HTTP/1.1 101 ") {
                self.mode = Mode::Raw;
            }
            if self.outbound.len() + bytes.len() <= WRITE_BUFFER_BYTES {
                self.outbound.extend_from_slice(bytes);
                return Poll::Ready(Ok(bytes.len()));
            }
        }
        ready!(self.poll_drain(cx))?;
        self.transport.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_cut()?;
        ready!(self.poll_drain(cx))?;
        self.transport.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.mode == Mode::Http2 {
            return self.poll_ending(cx);
        }
        ready!(self.poll_drain(cx))?;
        self.transport.poll_shutdown(cx)
    }
}

impl Transport {
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, out),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, out),
        }
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }
}

#[async_trait]
impl Shutdown for Conn {
    async fn shutdown(&mut self) {
        self.close().await;
    }
}

impl UniqueID for Conn {
    fn id(&self) -> UniqueIDType {
        // The engine uses ids of pooled connections only, and client connections are never pooled.
        0
    }
}

impl Ssl for Conn {
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        (self.mode == Mode::Http2).then_some(ALPN::H2)
    }
}

impl GetTimingDigest for Conn {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Conn {
    /// The engine passes this digest to the request filters unread: the way by which the facts reach them.
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.digest.clone()
    }
}

impl GetSocketDigest for Conn {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl Peek for Conn {}

/// Wraps facts so that the engine carries them.
pub(super) fn digest_of(facts: &Arc<super::Facts>) -> Option<Arc<ProxyDigest>> {
    let response = ResponseHeader::build(200, Some(0)).ok()?;
    Some(Arc::new(ProxyDigest::new(
        Box::new(response),
        Some(Box::new(Arc::clone(facts))),
    )))
}
