//! The rules that a client's frames are held to.

use std::time::Instant;

use super::{
    Code,
    budget::Budget,
    frame::{FRAME_BYTES, Frames, Head, Kind, Step},
    hpack::{self, Undecodable},
    message::{Fault, Request, Trailers},
    passage::{self, Passage, Passed},
    streams::{State, Streams},
};

/// What every client sends first. Spec: RFC 9113 §3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Settings in one frame. RFC 9113 has seven, and each needs to be sent once.
const SETTINGS: usize = 64;

/// A header block up to this size leaves its buffer for the next one.
const KEPT_BLOCK: usize = 2048;

/// Frames of the budget that a stream costs which the client resets. One that runs to its end earns as much as half of it.
const RESET_COST: u32 = 2;

/// A stream that a client has opened with a whole header block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Its number.
    pub stream: u32,
    /// Why it is refused; none when the engine gets to see its request.
    pub fault: Option<Fault>,
    /// `:method`, as far as it is known.
    pub method: Option<Vec<u8>>,
    /// `:path`, as far as it is known.
    pub path: Option<Vec<u8>>,
    /// `:authority`, as far as it is known.
    pub authority: Option<Vec<u8>>,
}

/// A header block as it comes.
#[derive(Debug)]
struct Block {
    stream: u32,
    /// Does it end the stream?
    ends: bool,
    /// Is it the first of its stream?
    opens: bool,
}

/// Holds what a client sends to the rules.
#[derive(Debug)]
pub struct Guard {
    /// Bytes of the preface still to come.
    preface: usize,
    frames: Frames,
    streams: Streams,
    /// The header block that is being sent.
    block: Option<Block>,
    /// Its bytes, without padding and priority.
    block_bytes: Vec<u8>,
    decoder: hpack::Decoder,
    /// Does the engine's decoder lack a block? Then it gets later ones spelled out, without reference to any table.
    spells: bool,
    /// Most that the fields of a request may count.
    list_bytes: usize,
    /// Has the client sent its settings?
    settled: bool,
    /// Bytes that have come and must not be passed on yet.
    held: Vec<u8>,
    opened: Vec<Opened>,
    budget: Budget,
}

impl Guard {
    /// Nothing sent yet. A request's fields may count `list_bytes`, as in `SETTINGS_MAX_HEADER_LIST_SIZE`.
    pub fn new(list_bytes: usize, now: Instant) -> Self {
        Self {
            preface: PREFACE.len(),
            frames: Frames::default(),
            streams: Streams::default(),
            block: None,
            block_bytes: Vec::new(),
            decoder: hpack::Decoder::default(),
            spells: false,
            list_bytes,
            settled: false,
            held: Vec::new(),
            opened: Vec::new(),
            budget: Budget::new(now),
        }
    }

    /// Takes in bytes of the client's, and says what the engine gets. After an error nothing more is to be taken.
    pub fn take(&mut self, bytes: &[u8], now: Instant) -> Result<Passed, Code> {
        let mut passage = Passage::new(bytes, std::mem::take(&mut self.held));
        let mut rest = self.take_preface(bytes)?;
        let mut at = bytes.len() - rest.len();
        if at > 0 {
            passage.pass(at);
        }
        loop {
            let step = self.frames.step(&mut rest);
            let used = bytes.get(at..bytes.len() - rest.len()).unwrap_or_default();
            at += used.len();
            match step {
                Step::More if self.frames.is_in_payload() => {
                    self.take_payload(used)?;
                    if self.block.is_none() {
                        passage.pass(at);
                    }
                    break;
                }
                Step::More => break,
                Step::Head(head) => {
                    self.begin(&head)?;
                    if self.block.is_none() {
                        passage.pass(at);
                    }
                }
                Step::End(head) => {
                    self.take_payload(used)?;
                    let instead = self.end(&head, now)?;
                    match instead {
                        Some(frames) => passage.replace(at, &frames),
                        None if self.block.is_none() => passage.pass(at),
                        None => {}
                    }
                }
            }
        }
        let (passed, held) = passage.end();
        self.held = held;
        Ok(passed)
    }

    /// Has the client begun something that it cannot have reason to interrupt: the preface and its settings, a header block, the head
    /// of a frame?
    pub fn is_in_head(&self) -> bool {
        !self.settled || self.block.is_some() || self.frames.is_in_head()
    }

    /// The streams opened since the last call.
    pub fn opened(&mut self) -> std::vec::Drain<'_, Opened> {
        self.opened.drain(..)
    }

    /// Keeps the payload of a header block.
    fn take_payload(&mut self, bytes: &[u8]) -> Result<(), Code> {
        if self.block.is_none() {
            return Ok(());
        }
        if self.block_bytes.len() + bytes.len() > self.list_bytes + FRAME_BYTES {
            // No encoder needs more bytes for a list than the list counts.
            return Err(Code::EnhanceYourCalm);
        }
        self.block_bytes.extend_from_slice(bytes);
        Ok(())
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
        match (&self.block, head.kind) {
            (Some(block), Kind::Continuation) if block.stream == head.stream => {}
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
        let opens = self.streams.state(head.stream) == State::Idle;
        if !opens {
            self.check_open(head.stream)?;
        }
        self.block = Some(Block {
            stream: head.stream,
            ends: head.ends_stream(),
            opens,
        });
        self.block_bytes.clear();
        Ok(())
    }

    fn check_open(&self, stream: u32) -> Result<(), Code> {
        match self.streams.state(stream) {
            State::Open | State::Forgotten => Ok(()),
            State::Ended => Err(Code::StreamClosed),
            State::Idle | State::Skipped => Err(Code::Protocol),
        }
    }

    /// Judges a complete frame. Gives the frames that the engine gets in its place, if it gets others.
    fn end(&mut self, head: &Head, now: Instant) -> Result<Option<Vec<u8>>, Code> {
        let (kept, length) = self.frames.kept();
        let kept = kept.get(..length).unwrap_or_default();
        let mut instead = None;
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
                self.strip(head, kept);
                instead = self.end_block(head)?;
                // After the block: a request that takes the connection down with it has a record.
                check_dependency(head, content)?;
                0
            }
            Kind::Continuation => {
                instead = self.end_block(head)?;
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
            Ok(instead)
        } else {
            Err(Code::EnhanceYourCalm)
        }
    }

    /// Takes padding and priority off the block's first frame, whose payload begins with `kept`.
    fn strip(&mut self, head: &Head, kept: &[u8]) {
        let (mut front, mut back) = (head.priority_bytes(), 0);
        if head.is_padded() {
            front += 1;
            back = usize::from(kept.first().copied().unwrap_or_default());
        }
        self.block_bytes
            .truncate(self.block_bytes.len().saturating_sub(back));
        self.block_bytes.drain(..front.min(self.block_bytes.len()));
    }

    /// Reads the header block, if this frame is its last.
    fn end_block(&mut self, head: &Head) -> Result<Option<Vec<u8>>, Code> {
        if !head.ends_block() {
            return Ok(None);
        }
        let Some(block) = self.block.take() else {
            return Ok(None);
        };
        let bytes = std::mem::take(&mut self.block_bytes);
        let mut spelled = Vec::new();
        let fault = if block.opens {
            self.streams.open(block.stream);
            self.read_request(&block, &bytes, &mut spelled)
        } else {
            self.read_trailers(&block, &bytes, &mut spelled)
        }
        .map_err(|Undecodable| Code::Compression)?;
        if block.ends {
            self.streams.end(block.stream);
        }
        if bytes.capacity() <= KEPT_BLOCK {
            self.block_bytes = bytes;
        }
        if fault.is_some() {
            self.spells = true;
            return Ok(Some(refused(&block)));
        }
        Ok(self
            .spells
            .then(|| passage::header_frames(block.stream, block.ends, &spelled)))
    }

    fn read_request(
        &mut self,
        block: &Block,
        bytes: &[u8],
        spelled: &mut Vec<u8>,
    ) -> Result<Option<Fault>, Undecodable> {
        let mut request = Request::new(self.list_bytes);
        let spells = self.spells;
        let read = self.decoder.decode(bytes, |name, value| {
            request.see(name, value);
            if spells && request.is_sound() {
                hpack::spell(name, value, spelled);
            }
        });
        let fault = request.finish(block.ends).err();
        self.opened.push(Opened {
            stream: block.stream,
            fault: fault.or(read.is_err().then_some(Fault::Undecodable)),
            method: request.method,
            path: request.path,
            authority: request.authority,
        });
        read.map(|()| fault)
    }

    fn read_trailers(
        &mut self,
        block: &Block,
        bytes: &[u8],
        spelled: &mut Vec<u8>,
    ) -> Result<Option<Fault>, Undecodable> {
        let mut trailers = Trailers::new(self.list_bytes);
        let spells = self.spells;
        self.decoder.decode(bytes, |name, value| {
            trailers.see(name, value);
            if spells && trailers.is_sound() {
                hpack::spell(name, value, spelled);
            }
        })?;
        Ok(trailers.finish(block.ends).err())
    }
}

/// What the engine gets in place of a refused block: one that it refuses too, by resetting the stream and nothing else.
///
/// An empty block lacks `:method`, and as a trailer section it must end the stream, which this one does not.
fn refused(block: &Block) -> Vec<u8> {
    passage::header_frames(block.stream, block.opens && block.ends, &[])
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
