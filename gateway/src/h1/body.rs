//! The body of a request: which of the bytes that follow the head belong to it.

use super::{Violation, head};

/// Longest line of chunk metadata (size and extensions, or one trailer field) in bytes.
///
/// RFC 9112 §7.1.1 asks servers to limit chunk extensions; 256 bytes hold every one seen in practice.
const CHUNK_LINE_BYTES: usize = 256;

/// Longest trailer section in bytes.
const TRAILER_BYTES: usize = 8 * 1024;

/// Bytes of a body that are still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// None.
    None,
    /// So many.
    Length(u64),
    /// Chunks, up to the last one and its trailer section.
    Chunked(ChunkScanner),
}

impl Body {
    /// A chunked body at its beginning.
    pub fn chunked() -> Self {
        Self::Chunked(ChunkScanner::default())
    }

    /// Has every byte been taken?
    pub fn is_done(&self) -> bool {
        match self {
            Self::None => true,
            Self::Length(left) => *left == 0,
            Self::Chunked(scanner) => scanner.state == State::Done,
        }
    }

    /// Takes what belongs to this body from the front of `bytes`; gives its length, which is less than `bytes.len()` only when
    /// the body is done.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        match self {
            Self::None => Ok(0),
            Self::Length(left) => {
                let taken = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left -= taken as u64;
                Ok(taken)
            }
            Self::Chunked(scanner) => scanner.take(bytes),
        }
    }
}

/// Follows the framing of a chunked body byte by byte, except within chunk data, which it steps over.
///
/// Spec: RFC 9112 §7.1. Only CRLF ends a line; the size is 1 to 15 hex digits, directly followed by CRLF or `;`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChunkScanner {
    state: State,
    /// Size of the chunk being announced.
    size: u64,
    /// Digits of the size seen so far.
    digits: u8,
    /// Bytes seen on the current line of metadata.
    line: usize,
    /// Bytes of trailer section seen.
    trailer: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Size,
    Extension,
    SizeLf,
    Data(u64),
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

impl ChunkScanner {
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        let mut position = 0;
        while let Some(byte) = bytes.get(position) {
            if self.state == State::Done {
                break;
            }
            if let State::Data(left) = self.state {
                let available = bytes.len() - position;
                let step = usize::try_from(left).unwrap_or(usize::MAX).min(available);
                position += step;
                let left = left - step as u64;
                self.state = if left == 0 {
                    State::DataCr
                } else {
                    State::Data(left)
                };
                continue;
            }
            self.state = self.step(*byte)?;
            position += 1;
        }
        Ok(position)
    }

    /// The state after one byte of metadata.
    fn step(&mut self, byte: u8) -> Result<State, Violation> {
        self.line += 1;
        if self.line > CHUNK_LINE_BYTES {
            return Err(Violation::Chunk);
        }
        match (self.state, byte) {
            (State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte),
            (State::Size, b';') if self.digits > 0 => Ok(State::Extension),
            (State::Size, b'\r') if self.digits > 0 => Ok(State::SizeLf),
            (State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, _) if head::is_field_text(byte) => Ok(State::Extension),
            (State::SizeLf, b'\n') => Ok(self.begin_chunk()),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(self.begin_line(State::Size)),
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (State::TrailerStart | State::TrailerName, _) if head::is_token(byte) => {
                self.trailer(State::TrailerName)
            }
            (State::TrailerName, b':') => self.trailer(State::TrailerValue),
            (State::TrailerValue, b'\r') => self.trailer(State::TrailerLf),
            (State::TrailerValue, _) if head::is_field_text(byte) => {
                self.trailer(State::TrailerValue)
            }
            (State::TrailerLf, b'\n') => Ok(self.begin_line(State::TrailerStart)),
            (State::EndLf, b'\n') => Ok(State::Done),
            _ => Err(Violation::Chunk),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<State, Violation> {
        let value = char::from(byte)
            .to_digit(16)
            .map(u64::from)
            .ok_or(Violation::Chunk)?;
        self.digits += 1;
        if self.digits > 15 {
            return Err(Violation::Chunk);
        }
        self.size = self.size << 4 | value;
        Ok(State::Size)
    }

    fn begin_chunk(&mut self) -> State {
        let size = std::mem::take(&mut self.size);
        self.digits = 0;
        self.begin_line(if size == 0 {
            State::TrailerStart
        } else {
            State::Data(size)
        })
    }

    fn begin_line(&mut self, state: State) -> State {
        self.line = 0;
        state
    }

    fn trailer(&mut self, state: State) -> Result<State, Violation> {
        self.trailer += 1;
        if self.trailer > TRAILER_BYTES {
            Err(Violation::Chunk)
        } else {
            Ok(state)
        }
    }
}
