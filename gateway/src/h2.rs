//! Strict HTTP/2 framing and limits: what of a client's frames is let through to the engine, and when it has sent too much of nothing.
//!
//! The engine's codec is sound but lenient. It names the wrong error for malformed frames, and it works off whatever a client sends
//! at no cost to itself: settings to acknowledge, pings to answer, streams opened only to be reset. So each frame passes here first,
//! read by RFC 9113 to the letter, and frames that bring no request forward are paid for from a budget. What breaks a
//! rule ends the connection with GOAWAY and the code that the RFC gives. Nothing here does I/O.
//!
//! Header blocks are read here as well (`hpack`), because the engine gives up the whole connection over one bad field. A malformed
//! request costs its own stream only (§8.1.1): others of the connection may be somebody else's. Where a frame is malformed, the
//! error is one of the connection (§5.4.1 allows it): well-behaved clients make none, and a connection that goes on is what floods are
//! made of.

mod answers;
mod budget;
mod frame;
mod guard;
mod hpack;
mod huffman;
mod message;
mod passage;
mod streams;
#[cfg(test)]
mod tests;

pub use answers::Answers;
pub use frame::go_away;
pub use guard::{Guard, Opened};
pub use message::{Fault, check_request};
pub use passage::Passed;

/// Why a connection is ended. Spec: RFC 9113 §7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[repr(u32)]
pub enum Code {
    /// A rule of the protocol was broken.
    #[error("PROTOCOL_ERROR")]
    Protocol = 0x1,
    /// A window was made larger than it can be.
    #[error("FLOW_CONTROL_ERROR")]
    FlowControl = 0x3,
    /// A frame came for a stream that its sender had ended.
    #[error("STREAM_CLOSED")]
    StreamClosed = 0x5,
    /// A frame has another size than its type or the settings allow.
    #[error("FRAME_SIZE_ERROR")]
    FrameSize = 0x6,
    /// A header block could not be read.
    #[error("COMPRESSION_ERROR")]
    Compression = 0x9,
    /// Too much was sent that brings nothing forward.
    #[error("ENHANCE_YOUR_CALM")]
    EnhanceYourCalm = 0xb,
}
