//! How long things took: counts by size, and a trace to look at for each size.
//!
//! Hot: an observation is two additions. The trace is kept beside them only for requests whose trace is recorded, and never waited for.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;

use super::names::DURATION_BUCKETS;
use crate::trace::TraceId;

/// One more than there are bounds: the last bucket takes what is above all of them.
pub(super) const BUCKETS: usize = DURATION_BUCKETS.len() + 1;

/// Bounds in nanoseconds.
const BOUNDS: [u64; DURATION_BUCKETS.len()] = {
    let mut bounds = [0; DURATION_BUCKETS.len()];
    let mut index = 0;
    while index < bounds.len() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::indexing_slicing,
            reason = "positive constants of at most a minute, worked out by the compiler"
        )]
        {
            bounds[index] = (DURATION_BUCKETS[index] * 1e9 + 0.5) as u64;
        }
        index += 1;
    }
    bounds
};

/// Durations by size.
#[derive(Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    nanoseconds: AtomicU64,
    /// Made with the first trace.
    exemplars: OnceLock<Box<[Mutex<Option<Exemplar>>; BUCKETS]>>,
}

/// A request that took so long, by its trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exemplar {
    /// The trace.
    pub trace: TraceId,
    /// How long it took.
    pub took: Duration,
    /// When it ended.
    pub at: SystemTime,
}

/// What a histogram has counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    /// Observations by bucket, each on its own.
    pub buckets: [u64; BUCKETS],
    /// All of them together, in seconds.
    pub sum: f64,
    /// The last trace of each bucket.
    pub exemplars: [Option<Exemplar>; BUCKETS],
}

impl Counts {
    /// How many observations there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

impl Histogram {
    /// Counts one; `traced` is the trace to look at, if it is recorded, and when this was.
    pub(super) fn observe(&self, took: Duration, traced: Option<(TraceId, SystemTime)>) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let position = BOUNDS.partition_point(|bound| *bound < nanoseconds);
        if let Some(bucket) = self.buckets.get(position) {
            bucket.fetch_add(1, Relaxed);
        }
        self.nanoseconds.fetch_add(nanoseconds, Relaxed);
        let Some((trace, at)) = traced else { return };
        let exemplars = self.exemplars.get_or_init(Box::default);
        // Somebody else writes or reads it now: theirs is as good.
        if let Some(mut slot) = exemplars.get(position).and_then(Mutex::try_lock) {
            *slot = Some(Exemplar { trace, took, at });
        }
    }

    /// What it has counted. Observations meanwhile may be in the sum and not yet in a bucket, or the other way round.
    pub(super) fn counts(&self) -> Counts {
        let mut exemplars = [None; BUCKETS];
        if let Some(kept) = self.exemplars.get() {
            for (exemplar, slot) in exemplars.iter_mut().zip(&**kept) {
                *exemplar = *slot.lock();
            }
        }
        Counts {
            buckets: std::array::from_fn(|index| {
                self.buckets
                    .get(index)
                    .map_or(0, |bucket| bucket.load(Relaxed))
            }),
            sum: Duration::from_nanos(self.nanoseconds.load(Relaxed)).as_secs_f64(),
            exemplars,
        }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Histogram")
    }
}
