//! What the engine sends to a client: followed for what it says of the client.

use std::time::Instant;

use super::{
    Code,
    frame::{Frames, HEAD_BYTES, Head, Kind, Step, go_away},
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
    resets: u32,
    gave_up: bool,
}

impl Answers {
    /// Does the next byte begin a frame?
    pub fn is_between(&self) -> bool {
        self.frames.is_between()
    }

    /// How many streams the engine has reset because the client broke a rule.
    pub fn resets(&self) -> u32 {
        self.resets
    }

    /// Has the engine ended the connection because the client broke a rule?
    pub fn gave_up(&self) -> bool {
        self.gave_up
    }

    /// Takes in bytes that are on their way, with what they mean for the client's guard. Gives other bytes to be sent in their
    /// place, where the engine names the wrong code.
    pub fn take(
        &mut self,
        bytes: &[u8],
        guard: &mut Guard,
        now: Instant,
    ) -> Result<Option<Vec<u8>>, Code> {
        let mut rest = bytes;
        let mut corrected = None;
        loop {
            match self.frames.step(&mut rest) {
                Step::More => return Ok(corrected),
                Step::Head(head) => earn(&head, guard),
                Step::End(head) => {
                    let (kept, _) = self.frames.kept();
                    match head.kind {
                        Kind::RstStream => self.see_reset(number(kept), guard, now)?,
                        Kind::GoAway => {
                            let end = bytes.len() - rest.len();
                            corrected = self.see_go_away(kept, guard, &head, bytes, end);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    fn see_reset(&mut self, code: u32, guard: &mut Guard, now: Instant) -> Result<(), Code> {
        let made = [
            Code::Protocol,
            Code::FlowControl,
            Code::StreamClosed,
            Code::FrameSize,
        ];
        let cost = if made.iter().any(|made| *made as u32 == code) {
            self.resets += 1;
            MADE_RESET_COST
        } else if code == REFUSED_STREAM {
            REFUSED_COST
        } else {
            0
        };
        if guard.budget().spend(cost, now) {
            Ok(())
        } else {
            Err(Code::EnhanceYourCalm)
        }
    }

    fn see_go_away(
        &mut self,
        kept: [u8; super::frame::KEPT_BYTES],
        guard: &Guard,
        head: &Head,
        bytes: &[u8],
        end: usize,
    ) -> Option<Vec<u8>> {
        let [s0, s1, s2, s3, c0, c1, c2, c3, ..] = kept;
        let code = u32::from_be_bytes([c0, c1, c2, c3]);
        self.gave_up |= code != 0;
        if code != Code::Protocol as u32 {
            return None;
        }
        let code = guard.blame_block()?;
        let last = u32::from_be_bytes([s0, s1, s2, s3]);
        let start = end.checked_sub(HEAD_BYTES + head.length)?;
        let mut corrected = bytes.get(..start)?.to_vec();
        corrected.extend_from_slice(&go_away(last, code));
        corrected.extend_from_slice(bytes.get(end..)?);
        Some(corrected)
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
fn number(kept: [u8; super::frame::KEPT_BYTES]) -> u32 {
    let [b0, b1, b2, b3, ..] = kept;
    u32::from_be_bytes([b0, b1, b2, b3])
}
