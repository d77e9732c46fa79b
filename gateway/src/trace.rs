//! Distributed traces: which trace a request belongs to, and how the gateway takes part in it.
//!
//! What clients say about traces is theirs to choose: it is read strictly, bounded, and never becomes a label of a metric. A
//! request that the gateway does not trace keeps its fields as they came, as it does with VPC Lattice.

mod read;
mod recording;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;

pub use read::read;
pub use recording::{Attempt, End, Kept, Recording};
pub use trellis_model::config::TraceFormat as Format;

/// Names a trace: 16 bytes, not all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// Names a span within its trace: 8 bytes, not all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// `None` for the id of zeros, which stands for no trace.
    pub fn new(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl SpanId {
    /// `None` for the id of zeros, which stands for no span.
    pub fn new(bytes: [u8; 8]) -> Option<Self> {
        (bytes != [0; 8]).then_some(Self(bytes))
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

/// 32 hexadecimal digits in lower case.
impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// 16 hexadecimal digits in lower case.
impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// What a request says about its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incoming {
    /// How it says so.
    pub format: Format,
    /// The trace; none when it only says that it wants or does not want to be traced, which B3 allows.
    pub trace: Option<TraceId>,
    /// The span that sent it; a load balancer of AWS may leave it out.
    pub parent: Option<SpanId>,
    /// Is the trace recorded? None leaves that to whoever receives the request.
    pub sampled: Option<bool>,
}
