//! Strict HTTP/1 framing: where a request's head ends, whether it is well formed, and which bytes belong to its body.
//!
//! Request smuggling lives on two parties reading one byte stream differently. So the gateway reads it once, here, by the
//! narrowest reading that RFC 9112 allows, before the HTTP engine sees a byte: what is ambiguous is refused, and the engine is
//! handed exactly the bytes of one message, so that its own reading cannot reach into the next. Nothing here does I/O.
//!
//! Refused although some servers take it: bare LF, obsolete line folding, white space before a colon, several or
//! combined `Content-Length` values, any `Transfer-Encoding` but `chunked`, both of them together, a body length on
//! HTTP/1.0 by chunks, several or missing `Host`, a `Host` that differs from the authority of an absolute target, control
//! characters anywhere.

mod answer;
mod body;
#[cfg(test)]
mod desync;
mod head;
#[cfg(test)]
mod tests;

pub use answer::check_answer;
pub use body::{Body, ChunkScanner};
pub use head::{Head, HeadEnd, HeadLimits, Version, check, find_end, is_disguised, is_target_text};
pub(crate) use head::{is_field_text, is_token, parse_length};

/// Why a request is refused before anything routes on it. The texts go to the client, so they quote nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A line ended in LF alone.
    #[error("a line ends without a carriage return")]
    BareLineFeed,
    /// The request line is not `method SP target SP version`.
    #[error("malformed request line")]
    RequestLine,
    /// The version is not HTTP/1.0 or HTTP/1.1.
    #[error("unsupported HTTP version")]
    Version,
    /// The method asks for a tunnel.
    #[error("method CONNECT is not supported")]
    Connect,
    /// The target holds a character that RFC 3986 does not allow there, or is not in a form that we route.
    #[error("malformed request target")]
    Target,
    /// A header line is malformed: bad name, missing colon, white space before the colon, control character.
    #[error("malformed header field")]
    Field,
    /// A header line continues the one before (RFC 9112 §5.2, obsolete line folding).
    #[error("obsolete line folding")]
    Folding,
    /// The header block is too long or has too many fields.
    #[error("request header fields too large")]
    TooLarge,
    /// `Host` is missing, given twice, or contradicts the target.
    #[error("missing, repeated or conflicting host")]
    Host,
    /// `Content-Length` is not one plain number.
    #[error("malformed or repeated content-length")]
    ContentLength,
    /// `Transfer-Encoding` is anything but one `chunked` on HTTP/1.1, or stands beside `Content-Length`.
    #[error("unsupported or conflicting transfer-encoding")]
    TransferEncoding,
    /// `Transfer-Encoding` names a coding that we do not undo.
    #[error("transfer coding not implemented")]
    Coding,
    /// The chunked body is malformed.
    #[error("malformed chunked body")]
    Chunk,
    /// The client closed the connection, or stayed silent too long, in the middle of the head.
    #[error("incomplete request")]
    Incomplete,
}

impl Violation {
    /// The status of the answer: 400, or the more exact one where RFC 9110 has it.
    pub fn status(self) -> u16 {
        match self {
            Self::Version => 505,
            Self::Connect => 405,
            Self::Coding => 501,
            Self::Incomplete => 408,
            _ => 400,
        }
    }
}
