//! Functions: the event that a request becomes, and the answer that a function's result is.
//!
//! * [`mod@event`] writes the JSON of versions V1 and V2.
//! * [`mod@answer`] reads what the function gave back. Whatever that is, the outcome is an answer that can be sent or a [`Fault`] with a
//!   name: functions are their owner's code, and their results are as hostile as any other byte.
//!
//! * [`Invocations`] counts the requests that are with a function, and bounds them.
//!
//! Source: VPC Lattice user guide, "Lambda functions as targets"; what it leaves open is in `docs/conformance.md`.
//!
//! Hot, but for the size of what passes through: one pass over the body, one over the event, and no copy of either besides.

pub mod answer;
pub mod event;
mod fault;
mod invocations;

pub use answer::{Answer, answer};
pub use event::{Caller, Certificate, Event, TooLarge, event, is_text};
pub use fault::Fault;
pub use invocations::{Invocation, Invocations};

/// Most bytes of an event. Source: VPC Lattice user guide, "Lambda functions as targets", and Lambda's quota of 6 MB, which is binary.
pub const EVENT_BYTES: usize = 6 * 1024 * 1024;

/// Most bytes of a result. Source: the same.
pub const RESULT_BYTES: usize = 6 * 1024 * 1024;

/// Fewest bytes that a body of `length` bytes takes in an event: as many as it has for a text without a character to escape, a third
/// more in base64.
pub fn least_length(headers: &http::HeaderMap, length: usize) -> usize {
    if is_text(headers) {
        length
    } else {
        length.div_ceil(3).saturating_mul(4)
    }
}

#[cfg(test)]
mod tests;
