//! What the engine sends to a client: followed for what it says of the client.

use std::time::Instant;

use super::{
    Code,
    frame::{Frames, Head, KEPT_BYTES, Kind, Step},
    guard::Guard,
};

/// Frames of the budget that a stream costs which the client made the engine reset. A client with a mistake in it makes a few.
const MADE_RESET_COST: u32 = 20;

/// The same for a stream that was one too many: those may have been sent before our settings were read.
const REFUSED_COST: u32 = 2;

/// Codes of RFC 9113 §7 that only the engine uses here.
const REFUSED_STREAM: u32 = 0x7;

/// Follows what the engine sends to the client.
#[derive(Debug, Default)]
pub struct Answers {
    frames: Frames,
    resets: Vec<u32>,
    gave_up: bool,
}

impl Answers {
    /// Does the next byte begin a frame?
    pub fn is_between(&self) -> bool {
        self.frames.is_between()
    }

    /// The streams that the engine has reset for what the client did, since the last call.
    pub fn resets(&mut self) -> std::vec::Drain<'_, u32> {
        self.resets.drain(..)
    }

    /// Has the engine ended the connection because the client broke a rule?
    pub fn gave_up(&self) -> bool {
        self.gave_up
    }

    /// Takes in bytes that are on their way, with what they mean for the client's guard.
    pub fn take(&mut self, mut bytes: &[u8], guard: &mut Guard, now: Instant) -> Result<(), Code> {
        loop {
            match self.frames.step(&mut bytes) {
                Step::More => return Ok(()),
                Step::Head(head) => earn(&head, guard),
                Step::End(head) => {
                    let (kept, _) = self.frames.kept();
                    match head.kind {
                        Kind::RstStream => {
                            self.see_reset(head.stream, number(kept), guard, now)?;
                        }
                        Kind::GoAway => {
                            let [_, _, _, _, code @ ..] = kept;
                            self.gave_up |= !code.starts_with(&[0; 4]);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    fn see_reset(
        &mut self,
        stream: u32,
        code: u32,
        guard: &mut Guard,
        now: Instant,
    ) -> Result<(), Code> {
        let made = [
            Code::Protocol,
            Code::FlowControl,
            Code::StreamClosed,
            Code::FrameSize,
        ];
        let cost = if made.iter().any(|made| *made as u32 == code) {
            MADE_RESET_COST
        } else if code == REFUSED_STREAM {
            REFUSED_COST
        } else {
            return Ok(());
        };
        self.resets.push(stream);
        if guard.budget().spend(cost, now) {
            Ok(())
        } else {
            Err(Code::EnhanceYourCalm)
        }
    }
}

/// Whoever gets an answer may acknowledge it: two updates of windows for each frame of it.
fn earn(head: &Head, guard: &mut Guard) {
    match head.kind {
        Kind::Data => guard.budget().earn(2),
        Kind::Headers => guard.budget().earn(1),
        _ => {}
    }
}

/// The first four bytes as a number.
fn number(kept: [u8; KEPT_BYTES]) -> u32 {
    let [b0, b1, b2, b3, ..] = kept;
    u32::from_be_bytes([b0, b1, b2, b3])
}
