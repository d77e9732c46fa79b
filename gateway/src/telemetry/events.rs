//! What can happen to the gateway, each with its one log line and its metrics.
//!
//! Levels: `error`, someone must act; `warn`, the gateway coped; `info`, lifecycle; `debug`, one connection. What a client can
//! cause at will is never above `debug`, or it could fill the log.

mod certificates;
mod connections;
mod control;
mod discovery;
mod dns;
mod exports;
mod identities;
mod lifecycle;
mod log;
mod records;
mod sessions;
mod targets;
#[cfg(test)]
mod tests;

pub use certificates::{CertificateExpiring, CertificateFailed, CertificateLoaded};
pub use connections::{
    AcceptFailed, ConnectionRefused, Handshake, ListenerClosed, ListenerFailed, ListenerOpened,
    Refused,
};
pub use control::{CallAnswered, StoreEntryUnreadable, StoreFailed};
pub use discovery::{AddressesRefused, DiscoveryFailed, TargetsDiscovered, TargetsGone};
pub use dns::{DnsFailed, DnsOutcome, DnsQuery};
pub use exports::{ExportFailed, ExportRecovered};
pub use identities::{IdentityKeysFailed, IdentityKeysLoaded, IdentityKeysMissed};
pub use lifecycle::{SnapshotApplied, SnapshotRejected, Started, StopBegan, Stopped};
pub use log::LogChanged;
pub use records::{
    RecordDestinationFailed, RecordDestinationRecovered, RecordShippingFailed,
    RecordShippingRecovered, RecordsDamaged, RecordsDropped, RecordsRefused, SpoolFailed,
    SpoolRepaired,
};
pub use sessions::{SessionKeyFailed, SessionKeyRotated};
pub use targets::TargetStatusChanged;
pub(crate) use targets::status_label;

use super::Telemetry;

/// Something that happened: writes its log line and changes its metric.
pub trait Event {
    /// Called by [`Telemetry::emit`].
    fn emit(&self, telemetry: &Telemetry);
}
