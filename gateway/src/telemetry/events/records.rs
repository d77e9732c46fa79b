//! Access records and where they go.

use std::io;

use trellis_access_logs::Observer;
use trellis_model::config::{LogDestination, LogStore};

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
            destination = %self.destination,
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
        tracing::info!(destination = %self.destination, "access records are written again");
    }
}

/// Log storage takes no records; they wait in the spool. The metric is read from the spool itself.
#[derive(Debug)]
pub struct RecordShippingFailed<'a> {
    /// Id of the subscription.
    pub subscription: &'a str,
    /// The log storage.
    pub store: &'a LogStore,
    /// Why not.
    pub reason: &'a str,
}

impl Event for RecordShippingFailed<'_> {
    fn emit(&self, _: &Telemetry) {
        tracing::error!(
            subscription = self.subscription,
            destination = %self.store.name,
            reason = self.reason,
            "access records cannot be shipped; they wait in the spool"
        );
    }
}

/// Log storage takes records again.
#[derive(Debug)]
pub struct RecordShippingRecovered<'a> {
    /// Id of the subscription.
    pub subscription: &'a str,
    /// The log storage.
    pub store: &'a LogStore,
}

impl Event for RecordShippingRecovered<'_> {
    fn emit(&self, _: &Telemetry) {
        tracing::info!(
            subscription = self.subscription,
            destination = %self.store.name,
            "access records are shipped again"
        );
    }
}

/// Log storage refused records for good. The metric is read from the spool itself.
#[derive(Debug)]
pub struct RecordsRefused<'a> {
    /// Id of the subscription.
    pub subscription: &'a str,
    /// The log storage.
    pub store: &'a LogStore,
    /// How many.
    pub records: u64,
    /// Why.
    pub reason: &'a str,
}

impl Event for RecordsRefused<'_> {
    fn emit(&self, _: &Telemetry) {
        tracing::error!(
            subscription = self.subscription,
            destination = %self.store.name,
            records = self.records,
            reason = self.reason,
            "access records were refused; they are dead letters now"
        );
    }
}

/// Records in a spool were damaged, and skipped. The metric is read from the spool itself.
#[derive(Debug)]
pub struct RecordsDamaged<'a> {
    /// Id of the subscription.
    pub subscription: &'a str,
    /// How many.
    pub records: u64,
}

impl Event for RecordsDamaged<'_> {
    fn emit(&self, _: &Telemetry) {
        tracing::error!(
            subscription = self.subscription,
            records = self.records,
            "access records in the spool are damaged"
        );
    }
}

/// A crash tore the tail of a spool.
#[derive(Debug)]
pub struct SpoolRepaired<'a> {
    /// Id of the subscription.
    pub subscription: &'a str,
    /// Bytes of the torn record that were cut off.
    pub bytes: u64,
}

impl Event for SpoolRepaired<'_> {
    fn emit(&self, _: &Telemetry) {
        tracing::warn!(
            subscription = self.subscription,
            bytes = self.bytes,
            "the spool's last record was torn; it is cut off"
        );
    }
}

/// The disk did not make a spool permanent, or did not take its cursor.
#[derive(Debug)]
pub struct SpoolFailed<'a> {
    /// Id of the subscription.
    pub subscription: &'a str,
    /// Why not.
    pub error: &'a io::Error,
}

impl Event for SpoolFailed<'_> {
    fn emit(&self, _: &Telemetry) {
        tracing::error!(
            subscription = self.subscription,
            error = %Chain(self.error),
            "the spool is not safe on its disk"
        );
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

    fn shipping_failed(&self, subscription: &str, store: &LogStore, reason: &str) {
        self.emit(&RecordShippingFailed {
            subscription,
            store,
            reason,
        });
    }

    fn shipping_recovered(&self, subscription: &str, store: &LogStore) {
        self.emit(&RecordShippingRecovered {
            subscription,
            store,
        });
    }

    fn records_refused(&self, subscription: &str, store: &LogStore, records: u64, reason: &str) {
        self.emit(&RecordsRefused {
            subscription,
            store,
            records,
            reason,
        });
    }

    fn records_damaged(&self, subscription: &str, records: u64) {
        self.emit(&RecordsDamaged {
            subscription,
            records,
        });
    }

    fn spool_repaired(&self, subscription: &str, bytes: u64) {
        self.emit(&SpoolRepaired {
            subscription,
            bytes,
        });
    }

    fn spool_failed(&self, subscription: &str, error: &io::Error) {
        self.emit(&SpoolFailed {
            subscription,
            error,
        });
    }
}
