//! Between requests: waiting for the next head, checking it, and answering what is malformed.

use std::{
    future::poll_fn,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::io::AsyncWriteExt;

use super::{Conn, Mode, Transport};
use crate::h1::{self, Body, HeadEnd, HeadLimits, Violation};

/// What a client that speaks HTTP/2 with prior knowledge sends first. Spec: RFC 9113 §3.4.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// Longest time spent on letting a client read the answer before its connection is closed with data unread.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// Most bytes read and thrown away in that time.
pub(super) const LINGER_BYTES: usize = 256 * 1024;

/// Most empty lines before a request. Old clients sent one behind a body; more of them than this are a client that keeps us busy.
const EMPTY_LINES: usize = 32;

/// What came of waiting for the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextHead {
    /// A well-formed head stands ready for the engine.
    Ready,
    /// The client speaks HTTP/2 with prior knowledge.
    Http2,
    /// There is no next request: the client closed, was idle too long, or the connection is retired.
    Closed,
    /// The head is malformed.
    Refused(Violation),
}

impl Conn {
    /// Waits for the next request and checks its head.
    ///
    /// The waits have deadlines, which the owner of the connection watches through [`super::Facts`]: the idle timeout before the
    /// first byte, `head_timeout` from then to the end of the head.
    pub async fn next_head(
        &mut self,
        limits: HeadLimits,
        head_timeout: Duration,
        first: bool,
    ) -> NextHead {
        if self.inbound.capacity() > 2048 && self.pending().is_empty() {
            self.inbound = Vec::new();
        }
        let mut begun = false;
        let mut searched = 0;
        let mut empty_lines = 0;
        self.facts.idle_since(Instant::now());
        loop {
            empty_lines += self.skip_empty_lines();
            if empty_lines > EMPTY_LINES {
                return NextHead::Refused(Violation::RequestLine);
            }
            if !self.pending().is_empty() && !begun {
                begun = true;
                self.facts.wait_until(Some(Instant::now() + head_timeout));
            }
            match h1::find_end(self.pending(), searched) {
                Ok(HeadEnd::At(end)) => {
                    self.facts.wait_until(None);
                    return self.take_head(end, limits, first);
                }
                Ok(HeadEnd::Beyond(next)) => searched = next,
                Err(violation) => return NextHead::Refused(violation),
            }
            if self.pending().len() > limits.bytes {
                return NextHead::Refused(Violation::TooLarge);
            }
            match self.fill_while_wanted().await {
                Some(_) => {}
                None if begun && self.facts.was_cut().is_none() => {
                    return NextHead::Refused(Violation::Incomplete);
                }
                None => return NextHead::Closed,
            }
        }
    }

    /// Reads more bytes; `None` when none will come or nobody waits for them any more.
    async fn fill_while_wanted(&mut self) -> Option<usize> {
        poll_fn(|cx| {
            let idle = self.pending().is_empty();
            if self.facts.is_expired()
                || self.facts.was_cut().is_some()
                || (idle && self.facts.is_retired())
            {
                return Poll::Ready(None);
            }
            self.poll_fill(cx)
                .map(|read| read.ok().filter(|count| *count > 0))
        })
        .await
    }

    /// Empty lines before a request line are skipped. Spec: RFC 9112 §2.2. Gives how many there were.
    fn skip_empty_lines(&mut self) -> usize {
        let mut lines = 0;
        while self.pending().starts_with(b"\r\n") {
            self.consume(2);
            lines += 1;
        }
        lines
    }

    /// Checks the head that ends at `end` of the pending bytes, and makes it the one handed out next.
    fn take_head(&mut self, end: usize, limits: HeadLimits, first: bool) -> NextHead {
        let bytes = self.pending().get(..end).unwrap_or_default();
        if first && bytes == HTTP2_PREFACE && matches!(self.transport, Transport::Plain(_)) {
            return NextHead::Http2;
        }
        let head = match h1::check(bytes, limits) {
            Ok(head) => head,
            Err(violation) => return NextHead::Refused(violation),
        };
        let mut length = end;
        if let Some(cut) = head.absolute {
            length -= cut.len();
            let start = self.start;
            self.inbound.drain(cut.start + start..cut.end + start);
        }
        self.mode = Mode::Http1;
        self.head_left = length;
        self.body = head.body;
        self.upgrade = head.upgrade && self.body == Body::None;
        NextHead::Ready
    }

    /// Sends a complete answer and closes, letting the client read it.
    pub async fn answer_and_close(mut self, answer: &[u8]) {
        let sent = tokio::time::timeout(LINGER, async {
            match &mut self.transport {
                Transport::Plain(stream) => stream.write_all(answer).await,
                Transport::Tls(stream) => stream.write_all(answer).await,
            }
        });
        if matches!(sent.await, Ok(Ok(()))) {
            self.close().await;
        }
    }

    /// Closes in order: what is buffered is sent, then the end; what the client still sends is read for a moment, because closing
    /// with unread data resets the connection and can take the answer from the client's hands.
    pub(super) async fn close(&mut self) {
        let finished = self.pending().is_empty() && self.body.is_done();
        let closing = tokio::time::timeout(LINGER, async {
            self.flush().await?;
            match &mut self.transport {
                Transport::Plain(stream) => stream.shutdown().await?,
                Transport::Tls(stream) => stream.shutdown().await?,
            }
            if !finished {
                self.discard().await?;
            }
            std::io::Result::Ok(())
        });
        // A client that is gone or does not read is simply closed; there is nobody to tell.
        let _ = closing.await;
    }

    async fn discard(&mut self) -> std::io::Result<()> {
        let mut total = 0;
        while total < LINGER_BYTES {
            let count = poll_fn(|cx| self.poll_discard(cx)).await?;
            if count == 0 {
                break;
            }
            total += count;
        }
        Ok(())
    }
}
