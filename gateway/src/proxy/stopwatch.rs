//! Where the time of a request goes.

use std::time::Instant;

use trellis_access_logs::record::{Phase, Phases};

/// Tells how long each phase took. One phase follows another without a gap, so that together they are the request's whole time.
///
/// Hot: a look at the clock for each phase, some 25 ns.
#[derive(Debug, Clone)]
pub(super) struct Stopwatch {
    phase: Phase,
    since: Instant,
    phases: Phases,
}

impl Stopwatch {
    /// The request is being matched since `began`.
    pub(super) fn start(began: Instant) -> Self {
        Self {
            phase: Phase::Match,
            since: began,
            phases: Phases::default(),
        }
    }

    /// The next phase begins now.
    pub(super) fn enter(&mut self, phase: Phase) -> Instant {
        let now = Instant::now();
        self.close(now);
        self.phase = phase;
        now
    }

    /// Adds what was before the request.
    pub(super) fn add(&mut self, phase: Phase, time: std::time::Duration) {
        self.phases.add(phase, time);
    }

    /// The request ended at `end`.
    pub(super) fn stop(&mut self, end: Instant) -> Phases {
        self.close(end);
        self.phases
    }

    fn close(&mut self, now: Instant) {
        let time = now.saturating_duration_since(self.since);
        self.phases.add(self.phase, time);
        self.since = now;
    }
}
