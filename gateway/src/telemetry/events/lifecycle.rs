//! The gateway starts, changes and stops.

use std::time::{Duration, SystemTime};

use trellis_access_logs::writer::Unfinished;
use trellis_model::problem::Problems;

use super::Event;
use crate::telemetry::Telemetry;

/// The gateway runs.
#[derive(Debug)]
pub struct Started {
    /// Version of the program.
    pub version: &'static str,
    /// Number of worker threads.
    pub workers: usize,
}

impl Event for Started {
    fn emit(&self, _: &Telemetry) {
        tracing::info!(version = self.version, workers = self.workers, "started");
    }
}

/// The gateway takes no new connections and waits for what runs.
#[derive(Debug)]
pub struct StopBegan {
    /// Longest wait.
    pub grace: Duration,
}

impl Event for StopBegan {
    fn emit(&self, _: &Telemetry) {
        tracing::info!(grace = ?self.grace, "stopping: no new connections, running requests may finish");
    }
}

/// The gateway has stopped.
#[derive(Debug)]
pub struct Stopped {
    /// Connections that were cut because their requests did not end within the grace period.
    pub cut: usize,
    /// Whether every access record was written.
    pub records: Result<(), Unfinished>,
}

impl Event for Stopped {
    fn emit(&self, _: &Telemetry) {
        if self.cut > 0 {
            tracing::warn!(
                cut = self.cut,
                "stopped; connections were cut at the end of the grace period"
            );
        } else {
            tracing::info!("stopped");
        }
        if let Err(error) = &self.records {
            tracing::error!(%error, "access records were lost");
        }
    }
}

/// A configuration was compiled and runs.
#[derive(Debug)]
pub struct SnapshotApplied<'a> {
    /// Its generation.
    pub generation: u64,
    /// Number of services in it.
    pub services: usize,
    /// What is odd about it, but does not stop it.
    pub warnings: &'a Problems,
    /// Time it took to load and compile.
    pub took: Duration,
    /// When it began to run.
    pub at: SystemTime,
}

impl Event for SnapshotApplied<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        let metrics = &telemetry.gateway;
        metrics.config_applied.increment(1);
        // Generations are counted one by one: far from where floating point begins to skip.
        #[expect(clippy::cast_precision_loss, reason = "gauges are floating point")]
        metrics.config_generation.set(self.generation as f64);
        metrics.config_last_reload_successful.set(1.0);
        metrics.config_errors.set(0.0);
        if let Ok(since) = self.at.duration_since(SystemTime::UNIX_EPOCH) {
            metrics
                .config_last_reload_success_timestamp
                .set(since.as_secs_f64());
        }
        for problem in self.warnings.iter() {
            tracing::warn!(%problem, "configuration");
        }
        tracing::info!(
            generation = self.generation,
            services = self.services,
            took = ?self.took,
            "configuration applied"
        );
    }
}

/// A configuration was refused; the one before runs on, if there was one.
#[derive(Debug)]
pub struct SnapshotRejected<'a> {
    /// Generation that runs on.
    pub running: Option<u64>,
    /// What is wrong, a problem each.
    pub problems: &'a [String],
}

impl Event for SnapshotRejected<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        let metrics = &telemetry.gateway;
        metrics.config_rejected.increment(1);
        metrics.config_last_reload_successful.set(0.0);
        let errors = u32::try_from(self.problems.len()).unwrap_or(u32::MAX);
        metrics.config_errors.set(f64::from(errors));
        for problem in self.problems {
            tracing::error!(%problem, "configuration");
        }
        let keeps_running = self.running;
        tracing::error!(errors, keeps_running, "configuration rejected");
    }
}
