//! The rules that a client's frames are held to.

use std::time::Instant;

use super::{
    Code,
    budget::Budget,
    frame::{Frames, Head, Kind, Step},
    names::has_bad_name,
    streams::{State, Streams},
};

/// What every client sends first. Spec: RFC 9113 §3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Largest payload of a frame: we announce no other size than the smallest. Spec: RFC 9113 §4.2.
const FRAME_BYTES: usize = 1 << 14;

/// Settings in one frame. RFC 9113 has seven, and each needs to be sent once.
const SETTINGS: usize = 64;

/// Bytes of a header block that are kept for a closer look.
const KEPT_BLOCK: usize = 1024;

/// Frames of the budget that a stream costs which the client resets. One that runs to its end earns as much as half of it.
const RESET_COST: u32 = 2;

/// Holds what a client sends to the rules.
#[derive(Debug)]
pub struct Guard {
    /// Bytes of the preface still to come.
    preface: usize,
    frames: Frames,
    streams: Streams,
    /// The stream whose header block is being sent, and whether the block ends that stream.
    block: Option<(u32, bool)>,
    /// Was the block the first of its stream?
    opens: bool,
    /// Streams opened so far.
    opened: u32,
    /// Has the client sent its settings?
    settled: bool,
    /// The first bytes of the last header block, and how many of them stand before its fields.
    last_block: (Vec<u8>, usize),
    /// Has nothing come after it?
    block_is_last: bool,
    budget: Budget,
}

impl Guard {
    /// Nothing sent yet.
    pub fn new(now: Instant) -> Self {
        Self {
            preface: PREFACE.len(),
            frames: Frames::default(),
            streams: Streams::default(),
            block: None,
            opens: false,
            opened: 0,
            settled: false,
            last_block: (Vec::new(), 0),
            block_is_last: false,
            budget: Budget::new(now),
        }
    }

    /// Takes in bytes of the client's. After an error nothing more is to be taken.
    pub fn take(&mut self, bytes: &[u8], now: Instant) -> Result<(), Code> {
        let mut bytes = self.take_preface(bytes)?;
        loop {
            let before = bytes;
            let step = self.frames.step(&mut bytes);
            let used = before.get(..before.len() - bytes.len()).unwrap_or_default();
            if self.block.is_some() && !matches!(step, Step::Head(_)) {
                self.keep(used);
            }
            match step {
                Step::More => return Ok(()),
                Step::Head(head) => self.begin(&head)?,
                Step::End(head) => {
                    let (kept, length) = self.frames.kept();
                    self.end(&head, kept.get(..length).unwrap_or_default(), now)?;
                }
            }
        }
    }

    fn take_preface<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Code> {
        let (part, rest) = bytes.split_at(self.preface.min(bytes.len()));
        let wanted = PREFACE
            .get(PREFACE.len() - self.preface..)
            .unwrap_or_default();
        if !wanted.starts_with(part) {
            return Err(Code::Protocol);
        }
        self.preface -= part.len();
        Ok(rest)
    }

    /// The newest stream that was let through.
    pub fn newest_stream(&self) -> u32 {
        self.streams.newest()
    }

    /// How many streams were let through.
    pub fn opened(&self) -> u32 {
        self.opened
    }

    /// Why the engine refuses the last header block, when nothing has come after it.
    ///
    /// The rules leave two reasons: a forbidden name in it, or bytes that it cannot decompress.
    pub(super) fn blame_block(&self) -> Option<Code> {
        if !self.block_is_last {
            return None;
        }
        let (block, skipped) = &self.last_block;
        Some(if has_bad_name(block.get(*skipped..)?) {
            Code::Protocol
        } else {
            Code::Compression
        })
    }

    pub(super) fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    /// Judges a frame by its head, before its payload has come.
    fn begin(&mut self, head: &Head) -> Result<(), Code> {
        if !self.settled && (head.kind != Kind::Settings || head.acknowledges()) {
            return Err(Code::Protocol);
        }
        if head.length > FRAME_BYTES {
            return Err(Code::FrameSize);
        }
        // Spec: RFC 9113 §4.3: nothing may come between the frames of a header block.
        match (self.block, head.kind) {
            (Some((stream, _)), Kind::Continuation) if stream == head.stream => {}
            (None, kind) if kind != Kind::Continuation => {}
            _ => return Err(Code::Protocol),
        }
        check_size(head)?;
        check_stream(head)?;
        match head.kind {
            Kind::Headers => self.begin_headers(head),
            Kind::Data => self.check_open(head.stream),
            Kind::RstStream | Kind::WindowUpdate
                if self.streams.state(head.stream) == State::Idle && head.stream > 0 =>
            {
                Err(Code::Protocol)
            }
            _ => Ok(()),
        }
    }

    /// Spec: RFC 9113 §5.1, §5.1.1, §8.1: a stream's first header block opens it, a second one is its trailer section.
    fn begin_headers(&mut self, head: &Head) -> Result<(), Code> {
        self.opens = self.streams.state(head.stream) == State::Idle;
        if !self.opens {
            self.check_open(head.stream)?;
            if !head.ends_stream() {
                return Err(Code::Protocol);
            }
        }
        self.block = Some((head.stream, head.ends_stream()));
        self.last_block.0.clear();
        self.last_block.1 = usize::from(head.is_padded()) + head.priority_bytes();
        Ok(())
    }

    fn check_open(&self, stream: u32) -> Result<(), Code> {
        match self.streams.state(stream) {
            State::Open | State::Forgotten => Ok(()),
            State::Ended => Err(Code::StreamClosed),
            State::Idle | State::Skipped => Err(Code::Protocol),
        }
    }

    /// Judges a complete frame by the first bytes of its payload.
    fn end(&mut self, head: &Head, kept: &[u8], now: Instant) -> Result<(), Code> {
        self.block_is_last = matches!(head.kind, Kind::Headers | Kind::Continuation);
        let cost = match head.kind {
            Kind::Data => {
                check_padding(head, kept)?;
                if head.ends_stream() {
                    self.streams.end(head.stream);
                }
                u32::from(head.length == 0 && !head.ends_stream())
            }
            Kind::Headers => {
                let content = check_padding(head, kept)?;
                check_dependency(head, content)?;
                if !self.opens && is_pseudo_header(fields(head, content)) {
                    return Err(Code::Protocol);
                }
                self.end_block(head);
                0
            }
            Kind::Continuation => {
                self.end_block(head);
                1
            }
            Kind::RstStream => {
                self.streams.end(head.stream);
                RESET_COST
            }
            Kind::Settings => {
                self.settled = true;
                check_settings(head, kept)?;
                u32::from(!head.acknowledges())
            }
            Kind::Priority => {
                if number(kept) & 0x7fff_ffff == head.stream {
                    return Err(Code::Protocol);
                }
                1
            }
            Kind::Ping | Kind::WindowUpdate | Kind::Unknown => 1,
            Kind::GoAway | Kind::PushPromise => 0,
        };
        if self.budget.spend(cost, now) {
            Ok(())
        } else {
            Err(Code::EnhanceYourCalm)
        }
    }

    /// Keeps bytes of a header block for [`Guard::blame_block`].
    fn keep(&mut self, bytes: &[u8]) {
        let block = &mut self.last_block.0;
        let room = KEPT_BLOCK.saturating_sub(block.len()).min(bytes.len());
        block.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }

    fn end_block(&mut self, head: &Head) {
        if !head.ends_block() {
            return;
        }
        if let Some((stream, ends)) = self.block.take() {
            if self.opens {
                self.streams.open(stream);
                self.opened += 1;
            }
            if ends {
                self.streams.end(stream);
            }
        }
    }
}

/// Spec: RFC 9113 §6.3 to §6.9.
fn check_size(head: &Head) -> Result<(), Code> {
    let fits = match head.kind {
        Kind::Priority => head.length == 5,
        Kind::RstStream | Kind::WindowUpdate => head.length == 4,
        Kind::Ping => head.length == 8,
        Kind::GoAway => head.length >= 8,
        Kind::Settings if head.acknowledges() => head.length == 0,
        Kind::Settings => head.length.is_multiple_of(6),
        _ => true,
    };
    if !fits {
        return Err(Code::FrameSize);
    }
    if head.kind == Kind::Settings && head.length > SETTINGS * 6 {
        return Err(Code::EnhanceYourCalm);
    }
    Ok(())
}

/// Spec: RFC 9113 §5.1.1 and §6: frames of the connection are on stream 0, those of streams on odd ones, and clients do not push.
fn check_stream(head: &Head) -> Result<(), Code> {
    let fits = match head.kind {
        Kind::Settings | Kind::Ping | Kind::GoAway => head.stream == 0,
        Kind::Data | Kind::Headers | Kind::RstStream | Kind::Continuation => head.stream % 2 == 1,
        Kind::WindowUpdate => head.stream == 0 || head.stream % 2 == 1,
        Kind::Priority => head.stream != 0,
        Kind::PushPromise => false,
        Kind::Unknown => true,
    };
    if fits { Ok(()) } else { Err(Code::Protocol) }
}

/// Gives the payload without the length of its padding. Spec: RFC 9113 §6.1, §6.2.
fn check_padding<'a>(head: &Head, kept: &'a [u8]) -> Result<&'a [u8], Code> {
    if !head.is_padded() {
        return Ok(kept);
    }
    let (padding, content) = kept.split_first().ok_or(Code::FrameSize)?;
    if 1 + head.priority_bytes() + usize::from(*padding) > head.length {
        return Err(Code::Protocol);
    }
    Ok(content)
}

/// Spec: RFC 7540 §5.3.1, obsolete and still harmless to check: no stream depends on itself.
fn check_dependency(head: &Head, content: &[u8]) -> Result<(), Code> {
    if head.priority_bytes() == 0 {
        return Ok(());
    }
    if content.len() < 5 {
        return Err(Code::FrameSize);
    }
    if number(content) & 0x7fff_ffff == head.stream {
        return Err(Code::Protocol);
    }
    Ok(())
}

/// The beginning of the header block.
fn fields<'a>(head: &Head, content: &'a [u8]) -> &'a [u8] {
    content.get(head.priority_bytes()..).unwrap_or_default()
}

/// Does a header block begin with a pseudo-header, by an index of the static table or spelled out? Trailers must not have any.
///
/// Spec: RFC 9113 §8.1; RFC 7541 §6 and appendices A and B (`:` is 1011100 in Huffman's code). A name out of the dynamic table, or
/// one that comes later, is not seen; the engine drops those, and no target gets them.
fn is_pseudo_header(block: &[u8]) -> bool {
    let Some(first) = block.first() else {
        return false;
    };
    let index = match first {
        0x80.. => first & 0x7f,
        0x40..0x80 => first & 0x3f,
        0x20..0x40 => return false,
        _ => first & 0x0f,
    };
    let spelled = || {
        block
            .get(1)
            .zip(block.get(2))
            .is_some_and(|(length, name)| match length {
                0x80.. => name >> 1 == 0b101_1100,
                _ => *name == b':',
            })
    };
    (1..=14).contains(&index) || (index == 0 && *first < 0x80 && spelled())
}

/// Spec: RFC 9113 §6.5.2. Other settings are judged by the engine, which names the right code for them.
fn check_settings(head: &Head, kept: &[u8]) -> Result<(), Code> {
    if head.acknowledges() {
        return Ok(());
    }
    for setting in kept.chunks_exact(6) {
        let (name, value) = setting.split_at(2);
        if name == [0, 4] && number(value) > 0x7fff_ffff {
            return Err(Code::FlowControl);
        }
    }
    Ok(())
}

/// The first four bytes as a number.
fn number(bytes: &[u8]) -> u32 {
    bytes
        .first_chunk()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
