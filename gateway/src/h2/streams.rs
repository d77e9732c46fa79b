//! Which streams a client has opened and ended, as far back as it matters.

/// Streams remembered, counted back from the newest. Frames still under way when a stream ended are far nearer than that; what
/// is older is left to the engine.
const WINDOW: u32 = 1024;

const WORDS: usize = (WINDOW / 64) as usize;

/// The client's newest streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    newest: u32,
    opened: Bits,
    ended: Bits,
}

/// What a client has done with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Not opened yet.
    Idle,
    /// Opened, and more may come.
    Open,
    /// Ended by the client: nothing more may come.
    Ended,
    /// Passed over: a newer one was opened first. Spec: RFC 9113 §5.1.1.
    Skipped,
    /// Too long ago to be remembered.
    Forgotten,
}

impl Streams {
    /// The newest stream, zero for none.
    pub(super) fn newest(&self) -> u32 {
        self.newest
    }

    /// What the client has done with the stream of this (odd) number.
    pub(super) fn state(&self, stream: u32) -> State {
        if stream > self.newest {
            State::Idle
        } else if self.newest - stream >= 2 * WINDOW {
            State::Forgotten
        } else if self.ended.has(stream) {
            State::Ended
        } else if self.opened.has(stream) {
            State::Open
        } else {
            State::Skipped
        }
    }

    /// The client opens a stream that is idle.
    pub(super) fn open(&mut self, stream: u32) {
        let passed = (stream - self.newest) / 2;
        for back in 0..passed.min(WINDOW) {
            self.opened.set(stream - 2 * back, false);
            self.ended.set(stream - 2 * back, false);
        }
        self.newest = stream;
        self.opened.set(stream, true);
        self.ended.set(stream, false);
    }

    /// The client ends a stream.
    pub(super) fn end(&mut self, stream: u32) {
        if self.state(stream) == State::Open {
            self.ended.set(stream, true);
        }
    }
}

#[derive(Debug, Default)]
struct Bits([u64; WORDS]);

impl Bits {
    fn place(stream: u32) -> (usize, u64) {
        let position = stream / 2 % WINDOW;
        ((position / 64) as usize, 1 << (position % 64))
    }

    fn has(&self, stream: u32) -> bool {
        let (word, bit) = Self::place(stream);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    fn set(&mut self, stream: u32, value: bool) {
        let (word, bit) = Self::place(stream);
        if let Some(word) = self.0.get_mut(word) {
            if value {
                *word |= bit;
            } else {
                *word &= !bit;
            }
        }
    }
}
