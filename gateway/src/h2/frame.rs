//! Frames in a stream of bytes: their heads and the first bytes of their payloads.

/// Largest payload of a frame: we announce no other size than the smallest. Spec: RFC 9113 §4.2.
pub(super) const FRAME_BYTES: usize = 1 << 14;

/// Length of a frame's head. Spec: RFC 9113 §4.1.
pub(super) const HEAD_BYTES: usize = 9;

/// Bytes of a payload that are kept for inspection: all of a frame of fixed size, and five settings.
pub(super) const KEPT_BYTES: usize = 32;

/// Type of a frame. Spec: RFC 9113 §6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bytes of a message.
    Data,
    /// The beginning of a header block.
    Headers,
    /// Obsolete advice.
    Priority,
    /// The end of a stream, against its will.
    RstStream,
    /// Parameters of the connection.
    Settings,
    /// An announced stream; servers only.
    PushPromise,
    /// A question whether the other side is there.
    Ping,
    /// The end of the connection, announced.
    GoAway,
    /// Room for more bytes.
    WindowUpdate,
    /// More of a header block.
    Continuation,
    /// A type that RFC 9113 does not have.
    Unknown,
}

/// Head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of payload.
    pub(super) length: usize,
    /// Type.
    pub(super) kind: Kind,
    flags: u8,
    /// Stream, zero for the connection.
    pub(super) stream: u32,
}

impl Head {
    fn parse(bytes: [u8; HEAD_BYTES]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = bytes;
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::Headers,
            2 => Kind::Priority,
            3 => Kind::RstStream,
            4 => Kind::Settings,
            5 => Kind::PushPromise,
            6 => Kind::Ping,
            7 => Kind::GoAway,
            8 => Kind::WindowUpdate,
            9 => Kind::Continuation,
            _ => Kind::Unknown,
        };
        Self {
            length: u32::from_be_bytes([0, l0, l1, l2]) as usize,
            kind,
            flags,
            // The first bit is reserved and means nothing.
            stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
        }
    }

    /// Is it the last of its stream?
    pub(super) fn ends_stream(&self) -> bool {
        matches!(self.kind, Kind::Data | Kind::Headers) && self.flags & 0x1 != 0
    }

    /// Does it acknowledge?
    pub(super) fn acknowledges(&self) -> bool {
        matches!(self.kind, Kind::Settings | Kind::Ping) && self.flags & 0x1 != 0
    }

    /// Is it the last of its header block?
    pub(super) fn ends_block(&self) -> bool {
        self.flags & 0x4 != 0
    }

    /// Does padding follow its content?
    pub(super) fn is_padded(&self) -> bool {
        matches!(self.kind, Kind::Data | Kind::Headers) && self.flags & 0x8 != 0
    }

    /// Bytes of priority before its header block.
    pub(super) fn priority_bytes(&self) -> usize {
        if self.kind == Kind::Headers && self.flags & 0x20 != 0 {
            5
        } else {
            0
        }
    }
}

/// Follows frames through bytes as they come, in pieces of any size.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; HEAD_BYTES],
    head_length: usize,
    current: Option<Head>,
    /// Bytes of the payload still to come.
    left: usize,
    kept: [u8; KEPT_BYTES],
    kept_length: usize,
}

/// What stands at the front of the bytes.
#[derive(Debug)]
pub(super) enum Step {
    /// A head is complete; its payload follows.
    Head(Head),
    /// A frame is complete; see [`Frames::kept`] for its payload.
    End(Head),
    /// All bytes are used up.
    More,
}

impl Frames {
    /// Takes bytes off the front of `bytes`, up to the next complete head or the next complete frame.
    pub(super) fn step(&mut self, bytes: &mut &[u8]) -> Step {
        if self.current.is_none() {
            return self.step_head(bytes);
        }
        let count = self.left.min(bytes.len());
        let (payload, rest) = bytes.split_at(count);
        if let Some(room) = self.kept.get_mut(self.kept_length..) {
            let kept = room.len().min(payload.len());
            if let (Some(room), Some(payload)) = (room.get_mut(..kept), payload.get(..kept)) {
                room.copy_from_slice(payload);
            }
            self.kept_length += kept;
        }
        *bytes = rest;
        self.left -= count;
        if self.left > 0 {
            return Step::More;
        }
        self.current.take().map_or(Step::More, Step::End)
    }

    /// A copy of the first bytes of the payload of the frame that has just ended, and how many of them there are.
    pub(super) fn kept(&self) -> ([u8; KEPT_BYTES], usize) {
        (self.kept, self.kept_length)
    }

    fn step_head(&mut self, bytes: &mut &[u8]) -> Step {
        let count = (HEAD_BYTES - self.head_length).min(bytes.len());
        let (part, rest) = bytes.split_at(count);
        if let Some(room) = self
            .head
            .get_mut(self.head_length..self.head_length + count)
        {
            room.copy_from_slice(part);
        }
        *bytes = rest;
        self.head_length += count;
        if self.head_length < HEAD_BYTES {
            return Step::More;
        }
        let head = Head::parse(self.head);
        self.head_length = 0;
        self.kept_length = 0;
        self.left = head.length;
        self.current = Some(head);
        Step::Head(head)
    }

    /// Has the head of a frame begun, and not ended?
    pub(super) fn is_in_head(&self) -> bool {
        self.current.is_none() && self.head_length > 0
    }

    /// Is the next byte one of a payload?
    pub(super) fn is_in_payload(&self) -> bool {
        self.current.is_some()
    }

    /// Does the next byte begin a frame?
    pub(super) fn is_between(&self) -> bool {
        self.current.is_none() && self.head_length == 0
    }
}

/// The head of a HEADERS or CONTINUATION frame that ends the stream, its block, both or neither. Spec: RFC 9113 §4.1.
pub(super) fn head(
    length: usize,
    kind: Kind,
    (ends_stream, ends_block): (bool, bool),
    stream: u32,
) -> [u8; HEAD_BYTES] {
    let [.., l0, l1, l2] = length.to_be_bytes();
    let [s0, s1, s2, s3] = stream.to_be_bytes();
    let kind = if kind == Kind::Headers { 1 } else { 9 };
    let flags = u8::from(ends_stream) | u8::from(ends_block) << 2;
    [l0, l1, l2, kind, flags, s0, s1, s2, s3]
}

/// A GOAWAY frame. Spec: RFC 9113 §6.8.
pub fn go_away(last_stream: u32, code: super::Code) -> [u8; 17] {
    let [s0, s1, s2, s3] = last_stream.to_be_bytes();
    let [c0, c1, c2, c3] = (code as u32).to_be_bytes();
    [0, 0, 8, 7, 0, 0, 0, 0, 0, s0, s1, s2, s3, c0, c1, c2, c3]
}
