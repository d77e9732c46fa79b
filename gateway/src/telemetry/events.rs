//! What can happen to the gateway, each with its one log line and its metrics.
//!
//! Levels: `error`, someone must act; `warn`, the gateway coped; `info`, lifecycle; `debug`, one connection. What a client can
//! cause at will is never above `debug`, or it could fill the log.

#[cfg(test)]
mod tests;

use std::{
    error::Error,
    io,
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};

use trellis_access_logs::Observer;
use trellis_model::{
    config::LogDestination,
    problem::{Problem, Problems},
};

use super::{Telemetry, names};
use crate::{reason::Chain, registry::StatusEvent};

/// Something that happened: writes its log line and changes its metric.
pub trait Event {
    /// Called by [`Telemetry::emit`].
    fn emit(&self, telemetry: &Telemetry);
}

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
    pub records: Result<(), trellis_access_logs::writer::Unfinished>,
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

/// A socket listens.
#[derive(Debug)]
pub struct ListenerOpened {
    /// Its address.
    pub address: SocketAddr,
}

impl Event for ListenerOpened {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry.gateway.listeners.increment(1.0);
        tracing::info!(address = %self.address, "listening");
    }
}

/// A socket that listened was closed, because no service wants it any more. Its connections go on.
#[derive(Debug)]
pub struct ListenerClosed {
    /// Its address.
    pub address: SocketAddr,
}

impl Event for ListenerClosed {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry.gateway.listeners.decrement(1.0);
        tracing::info!(address = %self.address, "no longer listening");
    }
}

/// An address cannot be listened on, so the configuration that wants it is refused. Only counted: the report of the refusal tells the
/// address and why.
#[derive(Debug)]
pub struct ListenerFailed;

impl Event for ListenerFailed {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry.gateway.listener_failures.increment(1);
    }
}

/// Why a connection was closed unserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Its source belongs to no VPC that is attached where it arrived.
    UnknownVpc,
    /// The gateway has as many connections as it may.
    TooMany,
}

/// A connection was closed unserved.
#[derive(Debug)]
pub struct ConnectionRefused {
    /// The client.
    pub peer: SocketAddr,
    /// Where it arrived.
    pub local: SocketAddr,
    /// Why.
    pub reason: Refused,
}

impl Event for ConnectionRefused {
    fn emit(&self, telemetry: &Telemetry) {
        let (counter, why) = match self.reason {
            Refused::UnknownVpc => (
                &telemetry.gateway.refused_unknown_vpc,
                "its source belongs to no VPC attached there",
            ),
            Refused::TooMany => (
                &telemetry.gateway.refused_too_many,
                "the limit of connections is reached",
            ),
        };
        counter.increment(1);
        tracing::debug!(peer = %self.peer, local = %self.local, why, "connection refused");
    }
}

/// The system could not hand over a connection: out of descriptors or memory, mostly.
#[derive(Debug)]
pub struct AcceptFailed<'a> {
    /// The listening address.
    pub address: SocketAddr,
    /// Why.
    pub error: &'a io::Error,
}

impl Event for AcceptFailed<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry.gateway.refused_accept_failed.increment(1);
        tracing::error!(address = %self.address, error = %Chain(self.error), "cannot accept connections");
    }
}

/// How a TLS handshake with a client ended.
#[derive(Debug)]
pub enum Handshake<'a> {
    /// Well.
    Ok,
    /// Badly.
    Failed {
        /// The client.
        peer: SocketAddr,
        /// What went wrong.
        error: &'a (dyn Error + 'static),
    },
    /// Not in time.
    Timeout {
        /// The client.
        peer: SocketAddr,
    },
}

impl Event for Handshake<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        match self {
            Self::Ok => telemetry.gateway.handshakes_ok.increment(1),
            Self::Failed { peer, error } => {
                telemetry.gateway.handshakes_failed.increment(1);
                tracing::debug!(%peer, error = %Chain(*error), "TLS handshake failed");
            }
            Self::Timeout { peer } => {
                telemetry.gateway.handshakes_timeout.increment(1);
                tracing::debug!(%peer, "TLS handshake took too long");
            }
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

/// A target came, went or changed its status.
#[derive(Debug)]
pub struct TargetStatusChanged<'a>(pub &'a StatusEvent<'a>);

impl Event for TargetStatusChanged<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        use trellis_target_groups::TargetStatus;

        let Self(event) = self;
        let (before, after) = (event.change.before, event.change.after);
        // Changes are rare, so the handle may be looked up.
        telemetry
            .registry
            .counter(&names::TARGET_STATUS_CHANGES, &[status_label(after)])
            .increment(1);
        let target = event.change.target.id();
        let address = event.change.target.address();
        let before = before.map_or("-", TargetStatus::as_str);
        let status = after.map_or("-", TargetStatus::as_str);
        let reason = event.change.reason.map(tracing::field::display);
        let cause = event
            .cause
            .map(|cause| tracing::field::display(Chain(cause)));
        if after == Some(TargetStatus::Unhealthy) {
            tracing::warn!(group = %event.group, target = %target, %address, before, status, reason, cause, "target status");
        } else {
            tracing::info!(group = %event.group, target = %target, %address, before, status, reason, cause, "target status");
        }
    }
}

/// The label of a status; `gone` for a target that is not there any more.
pub(crate) fn status_label(status: Option<trellis_target_groups::TargetStatus>) -> &'static str {
    use trellis_target_groups::TargetStatus;

    match status {
        Some(TargetStatus::Initial) => "initial",
        Some(TargetStatus::Healthy) => "healthy",
        Some(TargetStatus::Unhealthy) => "unhealthy",
        Some(TargetStatus::Draining) => "draining",
        Some(TargetStatus::Unused) => "unused",
        Some(TargetStatus::Unavailable) => "unavailable",
        None => "gone",
    }
}

/// Changed certificate files are in use.
#[derive(Debug)]
pub struct CertificateLoaded<'a> {
    /// The name it is for.
    pub domain: &'a str,
    /// What clients may stumble over.
    pub warnings: &'a [Problem],
}

impl Event for CertificateLoaded<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry.gateway.certificates_loaded.increment(1);
        tracing::info!(domain = self.domain, "certificate loaded");
        for problem in self.warnings {
            tracing::warn!(domain = self.domain, %problem, "certificate");
        }
    }
}

/// Changed certificate files cannot be used; the certificate before stays in use.
#[derive(Debug)]
pub struct CertificateFailed<'a> {
    /// The name it is for.
    pub domain: &'a str,
    /// Why not.
    pub problem: &'a Problem,
}

impl Event for CertificateFailed<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry.gateway.certificates_failed.increment(1);
        tracing::error!(
            domain = self.domain,
            problem = %self.problem,
            "certificate not loaded; the one before stays in use"
        );
    }
}

/// The certificate in use comes near the end of its life, or is past it.
#[derive(Debug)]
pub struct CertificateExpiring<'a> {
    /// The name it is for.
    pub domain: &'a str,
    /// How near.
    pub problem: &'a Problem,
}

impl Event for CertificateExpiring<'_> {
    fn emit(&self, _: &Telemetry) {
        tracing::warn!(domain = self.domain, problem = %self.problem, "certificate expires");
    }
}

/// What became of a DNS query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsOutcome {
    /// Answered from the snapshot.
    Answered,
    /// The name is one of ours, without records of that type.
    NoData,
    /// The name would be one of ours, but is not there for this VPC.
    NoSuchName,
    /// Not for us, and there is no resolver to ask; or the client belongs to no VPC.
    Refused,
    /// Answered by another resolver.
    Forwarded,
    /// Not a query.
    Malformed,
    /// The other resolver did not answer.
    Failed,
}

impl DnsOutcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Answered,
        Self::NoData,
        Self::NoSuchName,
        Self::Refused,
        Self::Forwarded,
        Self::Malformed,
        Self::Failed,
    ];

    /// The word in the metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::NoData => "no_data",
            Self::NoSuchName => "no_such_name",
            Self::Refused => "refused",
            Self::Forwarded => "forwarded",
            Self::Malformed => "malformed",
            Self::Failed => "failed",
        }
    }
}

/// A DNS query was handled.
#[derive(Debug)]
pub struct DnsQuery<'a> {
    /// Who asked.
    pub client: IpAddr,
    /// The name asked for; absent when it could not be read.
    pub name: Option<&'a str>,
    /// What became of it.
    pub outcome: DnsOutcome,
}

impl Event for DnsQuery<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        if let Some(counter) = telemetry.gateway.dns_queries.get(self.outcome as usize) {
            counter.increment(1);
        }
        tracing::debug!(client = %self.client, name = self.name, outcome = self.outcome.as_str(), "DNS query");
    }
}

/// Trouble of the DNS server that an operator should know of.
#[derive(Debug)]
pub struct DnsFailed<'a> {
    /// The address it listens on, or the resolver it asks.
    pub address: SocketAddr,
    /// What went wrong.
    pub error: &'a (dyn Error + 'static),
}

impl Event for DnsFailed<'_> {
    fn emit(&self, _: &Telemetry) {
        tracing::warn!(address = %self.address, error = %Chain(self.error), "DNS");
    }
}

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
