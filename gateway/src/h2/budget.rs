//! What a client may send that brings no request forward.

use std::time::{Duration, Instant};

/// Frames that may be sent at once. A browser or a gRPC channel that starts many streams and cancels them all stays below.
const MOST: u32 = 2000;

/// Time after which one more may be sent.
const REFILL: Duration = Duration::from_millis(10);

/// A budget of frames: spent by those that bring nothing forward, refilled slowly by time and quickly by requests that run to their
/// ends and by answers that are read.
///
/// An endless flood, of whatever kind, spends it in a moment: rapid reset (CVE-2023-44487), made resets (CVE-2025-8671), settings,
/// pings and empty frames (CVE-2019-9512, -9515, -9518). Cancelling one request in three for hours does not.
#[derive(Debug)]
pub(super) struct Budget {
    left: u32,
    refilled: Instant,
}

impl Budget {
    /// A full budget.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: MOST,
            refilled: now,
        }
    }

    /// Spends; false when there is not enough.
    #[must_use]
    pub(super) fn spend(&mut self, frames: u32, now: Instant) -> bool {
        if self.left < frames {
            self.refill(now);
        }
        match self.left.checked_sub(frames) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// Something was brought forward.
    pub(super) fn earn(&mut self, frames: u32) {
        self.left = (self.left + frames).min(MOST);
    }

    fn refill(&mut self, now: Instant) {
        let ticks = now.saturating_duration_since(self.refilled).as_millis() / REFILL.as_millis();
        let ticks = u32::try_from(ticks).unwrap_or(MOST).min(MOST);
        self.refilled += REFILL * ticks;
        self.earn(ticks);
    }
}
