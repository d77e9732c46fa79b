//! HTTP/2 on a connection: frames are checked on their way to the engine, and the end is orderly.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::{io::ReadBuf, time::Sleep};

use super::{
    Conn,
    idle::{LINGER, LINGER_BYTES},
};
use crate::h2::{Answers, Code, Guard, Passed, go_away};

/// The frames in both directions.
#[derive(Debug)]
pub(super) struct Http2 {
    guard: Guard,
    answers: Answers,
    /// Bytes for the engine that differ from what the client sent; those before `handed` have been handed out.
    inbound: Vec<u8>,
    handed: usize,
    head_timeout: Duration,
    /// Has the client begun something that must be complete soon?
    in_head: bool,
}

impl Http2 {
    pub(super) fn new(list_bytes: usize, head_timeout: Duration, now: Instant) -> Self {
        Self {
            guard: Guard::new(list_bytes, now),
            answers: Answers::default(),
            inbound: Vec::new(),
            handed: 0,
            head_timeout,
            in_head: true,
        }
    }

    /// Hands out what was put in the place of the client's bytes; false when there is nothing.
    fn hand_out(&mut self, out: &mut ReadBuf<'_>) -> bool {
        let left = self.inbound.get(self.handed..).unwrap_or_default();
        if left.is_empty() {
            return false;
        }
        let count = left.len().min(out.remaining());
        out.put_slice(left.get(..count).unwrap_or_default());
        self.handed += count;
        if self.handed == self.inbound.len() {
            (self.inbound, self.handed) = (Vec::new(), 0);
        }
        true
    }
}

/// The end of a connection: what is buffered leaves, then the end; what the client still sends is read for a moment, or the
/// system would reset the connection and take the last frames from the client's hands.
#[derive(Debug)]
pub(super) struct Ending {
    over: Pin<Box<Sleep>>,
    discarded: usize,
    told: bool,
    /// Why the connection ends, unless the engine has ended it.
    code: Option<Code>,
}

impl Ending {
    fn new(code: Option<Code>) -> Self {
        Self {
            over: Box::pin(tokio::time::sleep(LINGER)),
            discarded: 0,
            told: false,
            code,
        }
    }
}

impl Conn {
    /// Hands out what the transport has, once it has passed the guard.
    pub(super) fn poll_read_http2(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.ending.is_some() {
                return self.poll_ending(cx);
            }
            if self.http2.as_mut().is_some_and(|http2| http2.hand_out(out)) {
                return Poll::Ready(Ok(()));
            }
            let before = out.filled().len();
            if self.pending().is_empty() {
                ready!(self.transport.poll_read(cx, out))?;
            } else {
                self.hand_out(usize::MAX, out);
            }
            if out.filled().len() == before {
                // The client has closed its side.
                return Poll::Ready(Ok(()));
            }
            self.guard_http2(before, out);
            // Nothing is an end to the engine: what is held back is waited for, and a refusal has begun the end.
            if out.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Leaves in `out`, behind what it held before, what the engine may have of it.
    fn guard_http2(&mut self, before: usize, out: &mut ReadBuf<'_>) {
        let Some(http2) = &mut self.http2 else {
            return;
        };
        let bytes = out.filled().get(before..).unwrap_or_default();
        let now = Instant::now();
        let judged = http2.guard.take(bytes, now);
        if http2.in_head != http2.guard.is_in_head() {
            http2.in_head = !http2.in_head;
            self.facts
                .wait_for_head(http2.in_head.then(|| now + http2.head_timeout));
        }
        for opened in http2.guard.opened() {
            self.facts.open(opened);
        }
        match judged {
            Ok(Passed::First(count)) => out.set_filled(before + count),
            Ok(Passed::Instead(bytes)) => {
                out.set_filled(before);
                http2.inbound = bytes;
                http2.hand_out(out);
            }
            Err(code) => {
                out.set_filled(before);
                self.refuse_http2(code);
            }
        }
    }

    /// Sends GOAWAY, and nothing after it.
    fn refuse_http2(&mut self, code: Code) {
        self.facts.find_malformed();
        if let Some(http2) = &self.http2
            && http2.answers.is_between()
        {
            let last = http2.guard.newest_stream();
            self.outbound.extend_from_slice(&go_away(last, code));
        }
        // Else a frame is stuck half-way, because the client does not read; it would not read this either.
        self.ending = Some(Box::new(Ending::new(Some(code))));
    }

    /// Writes what the engine sends. All of it is taken at once, because it has been looked at; what the transport does not take
    /// yet is held, and nothing further is taken before that is gone.
    pub(super) fn poll_write_http2(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.ending.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(self.poll_drain(cx))?;
        let Some(http2) = &mut self.http2 else {
            return self.transport.poll_write(cx, bytes);
        };
        let seen = http2.answers.take(bytes, &mut http2.guard, Instant::now());
        self.facts.reset(http2.answers.resets());
        if http2.answers.gave_up() {
            self.facts.find_malformed();
        }
        let taken = match self.transport.poll_write(cx, bytes) {
            Poll::Ready(taken) if seen.is_ok() => taken?,
            Poll::Ready(Ok(taken)) => taken,
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        let rest = bytes.get(taken..).unwrap_or_default();
        self.outbound.extend_from_slice(rest);
        if let Err(code) = seen {
            self.refuse_http2(code);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    /// Ends the connection: as an error when a rule was broken, else in order.
    pub(super) fn poll_ending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let over = self.poll_end_of_connection(cx);
        let broken = self.ending.as_ref().and_then(|ending| ending.code);
        match (over, broken) {
            (Poll::Pending, _) => Poll::Pending,
            (Poll::Ready(_), Some(code)) => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, code)))
            }
            (Poll::Ready(ended), None) => Poll::Ready(ended),
        }
    }

    fn poll_end_of_connection(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ending = self
            .ending
            .get_or_insert_with(|| Box::new(Ending::new(None)));
        let (told, discarded) = (ending.told, ending.discarded);
        if ending.over.as_mut().poll(cx).is_ready()
            || discarded > LINGER_BYTES
            || self.facts.was_cut().is_some()
        {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_drain(cx))?;
        if !told {
            ready!(self.transport.poll_shutdown(cx))?;
            if let Some(ending) = &mut self.ending {
                ending.told = true;
            }
        }
        let count = ready!(self.poll_discard(cx))?;
        if count == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(ending) = &mut self.ending {
            ending.discarded += count;
        }
        // There may be more; the engine is not to wait for it in one go.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
