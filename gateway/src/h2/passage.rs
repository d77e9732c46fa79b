//! What the engine gets of the bytes that a client sends: nearly always those very bytes.

use super::frame::{self, FRAME_BYTES};

/// What of the bytes taken in goes to the engine.
#[derive(Debug, PartialEq, Eq)]
pub enum Passed {
    /// The first so many of them; what is left follows later, or something in its place.
    First(usize),
    /// These.
    Instead(Vec<u8>),
}

/// Bytes on their way to the engine: passed as they are, replaced, or held back.
#[derive(Debug)]
pub(super) struct Passage<'a> {
    bytes: &'a [u8],
    /// How many of the bytes are settled.
    settled: usize,
    /// Bytes held back earlier, which come before all others.
    held: Vec<u8>,
    /// What goes to the engine, once it differs from the settled bytes.
    instead: Option<Vec<u8>>,
}

impl<'a> Passage<'a> {
    /// Nothing settled yet.
    pub(super) fn new(bytes: &'a [u8], held: Vec<u8>) -> Self {
        let instead = (!held.is_empty()).then(Vec::new);
        Self {
            bytes,
            settled: 0,
            held,
            instead,
        }
    }

    /// Everything before this position goes to the engine.
    pub(super) fn pass(&mut self, position: usize) {
        if let Some(instead) = &mut self.instead {
            instead.append(&mut self.held);
            let bytes = self.bytes.get(self.settled..position);
            instead.extend_from_slice(bytes.unwrap_or_default());
        }
        self.settled = position;
    }

    /// The engine gets `frames` in place of everything unsettled before this position.
    pub(super) fn replace(&mut self, position: usize, frames: &[u8]) {
        let before = self.bytes.get(..self.settled).unwrap_or_default();
        self.held.clear();
        self.instead
            .get_or_insert_with(|| before.to_vec())
            .extend_from_slice(frames);
        self.settled = position;
    }

    /// What goes to the engine now, and what is held back.
    pub(super) fn end(mut self) -> (Passed, Vec<u8>) {
        let rest = self.bytes.get(self.settled..).unwrap_or_default();
        self.held.extend_from_slice(rest);
        let passed = match self.instead {
            Some(bytes) => Passed::Instead(bytes),
            None => Passed::First(self.settled),
        };
        (passed, self.held)
    }
}

/// A header block in frames. Spec: RFC 9113 §6.2, §6.10.
pub(super) fn header_frames(stream: u32, ends: bool, block: &[u8]) -> Vec<u8> {
    let mut frames = Vec::with_capacity(block.len() + frame::HEAD_BYTES);
    let mut rest = block;
    let mut kind = frame::Kind::Headers;
    loop {
        let (part, after) = rest.split_at(rest.len().min(FRAME_BYTES));
        let ends_stream = ends && kind == frame::Kind::Headers;
        frames.extend(frame::head(
            part.len(),
            kind,
            (ends_stream, after.is_empty()),
            stream,
        ));
        frames.extend_from_slice(part);
        if after.is_empty() {
            return frames;
        }
        (rest, kind) = (after, frame::Kind::Continuation);
    }
}
