//! What the gateway notes of a request that it traces, until the end of the request decides whether it is kept.

use std::{net::SocketAddr, time::Instant};

use http::HeaderMap;
use smallvec::SmallVec;
use trellis_model::config::TraceSettings;

use super::{
    Format, Incoming, SpanId, TraceId,
    write::{self, Place},
};

/// Most attempts that have a span of their own; retry policies may allow more.
const ATTEMPTS: usize = 16;

/// Why a trace is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Its client said so.
    Parent,
    /// By chance.
    Sampled,
    /// The request failed.
    Error,
    /// The request took long.
    Slow,
}

/// One attempt at a request.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its span.
    pub span: SpanId,
    /// The target; none for a function.
    pub target: Option<SocketAddr>,
    /// When it began.
    pub began: Instant,
    /// What became of it.
    pub end: End,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It ends with the request.
    Open,
    /// The target answered, and that was not passed on.
    Answered(Instant, u16),
    /// It failed.
    Failed(Instant, &'static str),
}

/// What is noted of one request.
#[derive(Debug)]
pub struct Recording {
    /// Its trace.
    pub trace: TraceId,
    /// The span of the request as a whole.
    pub span: SpanId,
    /// The client's span, if it told one.
    pub parent: Option<SpanId>,
    /// What others have to say about the trace.
    pub state: Option<String>,
    /// Attempts, in their order.
    pub attempts: SmallVec<[Attempt; 1]>,
    /// The one whose answer goes to the client, as far as that is known.
    pub current: usize,
    head: Option<Kept>,
    told_by: Option<Format>,
}

impl Recording {
    /// Decides whether the request is traced, or may be kept for what becomes of it; `None`: nothing is noted.
    pub fn begin(
        settings: &TraceSettings,
        incoming: Option<Incoming>,
        headers: &HeaderMap,
        mut roll: impl FnMut() -> u64,
    ) -> Option<Box<Self>> {
        let said = incoming.and_then(|incoming| incoming.sampled);
        let head = match said.filter(|_| settings.follow_parent) {
            Some(true) => Some(Kept::Parent),
            // Whoever began the trace does not want it.
            Some(false) => return None,
            None => {
                let drawn = settings.one_in > 0 && roll().is_multiple_of(settings.one_in);
                drawn.then_some(Kept::Sampled)
            }
        };
        if head.is_none() && !settings.errors && settings.slower_than.is_none() {
            return None;
        }
        let trace = incoming.and_then(|incoming| incoming.trace);
        let told_by = incoming.filter(|_| trace.is_some());
        let is_w3c = told_by.is_some_and(|incoming| incoming.format == Format::W3c);
        Some(Box::new(Self {
            trace: trace.or_else(|| new_trace(&mut roll))?,
            span: new_span(&mut roll)?,
            parent: incoming.and_then(|incoming| incoming.parent),
            state: is_w3c.then(|| write::state(headers)).flatten(),
            attempts: SmallVec::new(),
            current: 0,
            head,
            told_by: told_by.map(|incoming| incoming.format),
        }))
    }

    /// Is it known from the beginning that the trace is kept?
    pub fn is_sampled(&self) -> bool {
        self.head.is_some()
    }

    /// Begins an attempt; gives its position. There are only so many: later ones are part of the last.
    pub fn attempt(&mut self, target: Option<SocketAddr>, roll: u64) -> usize {
        let last = self.attempts.len();
        if last == ATTEMPTS {
            return last - 1;
        }
        // Zero is no span; the next number is.
        if let Some(span) = SpanId::new(roll.max(1).to_be_bytes()) {
            self.attempts.push(Attempt {
                span,
                target,
                began: Instant::now(),
                end: End::Open,
            });
        }
        last
    }

    /// Notes what became of an attempt, the first time that something did.
    pub fn end(&mut self, position: usize, end: End) {
        if let Some(attempt) = self.attempts.get_mut(position)
            && attempt.end == End::Open
        {
            attempt.end = end;
        }
    }

    /// Tells the target of the latest attempt where the trace goes on. A trace that may not be kept is none of its business: its fields
    /// stay as they came.
    pub fn tell(&self, headers: &mut HeaderMap, settings: &TraceSettings) {
        let Some(attempt) = self.attempts.last().filter(|_| self.is_sampled()) else {
            return;
        };
        let place = Place {
            trace: self.trace,
            span: attempt.span,
            parent: self.span,
        };
        for format in [Format::W3c, Format::B3, Format::B3Multi, Format::Amazon] {
            if settings.propagate.contains(&format) || self.told_by == Some(format) {
                write::write(headers, format, place, self.state.is_some());
            }
        }
    }

    /// Is the trace kept, and why? `failed` and `slow` tell what became of the request.
    pub fn kept(&self, failed: bool, slow: bool) -> Option<Kept> {
        self.head
            .or(failed.then_some(Kept::Error))
            .or(slow.then_some(Kept::Slow))
    }
}

fn new_trace(roll: &mut impl FnMut() -> u64) -> Option<TraceId> {
    let (high, low) = (roll(), roll().max(1));
    TraceId::new((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
}

fn new_span(roll: &mut impl FnMut() -> u64) -> Option<SpanId> {
    SpanId::new(roll().max(1).to_be_bytes())
}
