//! Access records and where they go.

use std::io;

use trellis_access_logs::Observer;
use trellis_model::config::LogDestination;

use super::Event;
use crate::{reason::Chain, telemetry::Telemetry};

/// Access records were dropped since this was said last. The metric is read from the writer itself.
#[derive(Debug)]
pub struct RecordsDropped {
    /// How many.
    pub records: u64,
}

impl Event for RecordsDropped {
    fn emit(&self, _: &Telemetry) {
        tracing::error!(records = self.records, "access records dropped");
    }
}

/// A destination of access records cannot be written. The metric is read from the writer itself.
#[derive(Debug)]
pub struct RecordDestinationFailed<'a> {
    /// The destination.
    pub destination: &'a LogDestination,
    /// Why not.
    pub error: &'a io::Error,
}

impl Event for RecordDestinationFailed<'_> {
    fn emit(&self, _: &Telemetry) {
        tracing::error!(
            destination = ?self.destination,
            error = %Chain(self.error),
            "access records cannot be written; they wait in memory"
        );
    }
}

/// A destination of access records can be written again.
#[derive(Debug)]
pub struct RecordDestinationRecovered<'a> {
    /// The destination.
    pub destination: &'a LogDestination,
}

impl Event for RecordDestinationRecovered<'_> {
    fn emit(&self, _: &Telemetry) {
        tracing::info!(destination = ?self.destination, "access records are written again");
    }
}

/// What the writer of access records says becomes events.
impl Observer for Telemetry {
    fn destination_failed(&self, destination: &LogDestination, error: &io::Error) {
        self.emit(&RecordDestinationFailed { destination, error });
    }

    fn destination_recovered(&self, destination: &LogDestination) {
        self.emit(&RecordDestinationRecovered { destination });
    }

    fn records_dropped(&self, records: u64) {
        self.emit(&RecordsDropped { records });
    }
}
