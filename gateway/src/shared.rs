//! What all workers share: the running snapshot, counters, the way to the access records.

use std::sync::Arc;

use arc_swap::ArcSwap;
use trellis_access_logs::{Recorder, Writer};

use crate::{functions, listen::Slots, otlp, snapshot::Snapshot, telemetry::Telemetry};

/// What all workers share. Nothing in it blocks a request.
pub struct Shared {
    /// The running snapshot; a request takes it once and keeps it.
    pub snapshot: ArcSwap<Snapshot>,
    /// Metrics and events.
    pub telemetry: Arc<Telemetry>,
    /// Writes access records; each worker has a recorder of its own.
    pub writer: Arc<Writer>,
    /// For the records of requests that never reach an engine.
    pub early_recorder: Recorder,
    /// Takes the spans of requests that are kept.
    pub spans: otlp::Intake,
    /// Open client connections.
    pub slots: Arc<Slots>,
    /// What calls of functions hold.
    pub function_memory: functions::Memory,
    /// File with a root certificate, for the engine's connections to targets.
    pub target_roots: String,
    /// Where the random numbers of the workers begin.
    pub seed: u64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("generation", &self.snapshot.load().generation)
            .finish_non_exhaustive()
    }
}
