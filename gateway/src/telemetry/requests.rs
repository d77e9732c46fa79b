//! Metrics of requests, by service.
//!
//! Hot: every handle is looked up once, at the first request of a service, and never on the way of a later one. Services that
//! nobody calls cost a pointer.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use metrics::{Counter, Gauge, Histogram};
use trellis_access_logs::record::{AuthDeniedReason, FailureReason, Record};
use trellis_model::id::ServiceId;

use super::{Telemetry, names, registry::Registry};

/// Metrics of one service, made at its first request. Held by the snapshot; a later snapshot's go on where these were.
pub struct ServiceMetrics {
    telemetry: Arc<Telemetry>,
    name: Box<str>,
    id: Box<str>,
    metrics: OnceLock<RequestMetrics>,
}

impl ServiceMetrics {
    pub(super) fn new(telemetry: Arc<Telemetry>, name: &str, id: ServiceId) -> Self {
        Self {
            telemetry,
            name: name.into(),
            id: id.to_string().into(),
            metrics: OnceLock::new(),
        }
    }

    /// Counts one request as its record has it.
    pub fn observe(&self, record: &Record<'_>) {
        self.metrics
            .get_or_init(|| RequestMetrics::new(&self.telemetry.registry, &self.name, &self.id))
            .observe(&self.telemetry.registry, record);
    }
}

impl fmt::Debug for ServiceMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceMetrics")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Classes of status codes; the last stands for requests without one.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// What denies a request.
const LAYERS: [&str; 4] = ["network", "service", "identity", "signature"];

/// How what candidates decide differs from what was decided.
const DIFFERENCES: [&str; 3] = ["same", "would_deny", "would_allow"];

/// Resolved handles for the requests of one service.
pub(super) struct RequestMetrics {
    name: Box<str>,
    id: Box<str>,
    by_class: [Counter; CLASSES.len()],
    duration: Histogram,
    received: Counter,
    sent: Counter,
    /// Made when needed: most services never see most failures.
    failures: [OnceLock<Counter>; FailureReason::ALL.len()],
    denied: [OnceLock<Counter>; LAYERS.len()],
    candidates: [OnceLock<Counter>; DIFFERENCES.len()],
}

impl RequestMetrics {
    pub(super) fn new(registry: &Registry, name: &str, id: &str) -> Self {
        let of_service = [name, id];
        Self {
            name: name.into(),
            id: id.into(),
            by_class: CLASSES.map(|class| registry.counter(&names::REQUESTS, &[name, id, class])),
            duration: registry.histogram(&names::REQUEST_DURATION, &of_service),
            received: registry.counter(&names::RECEIVED_BYTES, &of_service),
            sent: registry.counter(&names::SENT_BYTES, &of_service),
            failures: [const { OnceLock::new() }; FailureReason::ALL.len()],
            denied: [const { OnceLock::new() }; LAYERS.len()],
            candidates: [const { OnceLock::new() }; DIFFERENCES.len()],
        }
    }

    pub(super) fn observe(&self, registry: &Registry, record: &Record<'_>) {
        let class = match record.response_code {
            Some(code @ 100..=599) => usize::from(code / 100 - 1),
            _ => CLASSES.len() - 1,
        };
        if let Some(counter) = self.by_class.get(class) {
            counter.increment(1);
        }
        self.duration.record(record.duration.as_secs_f64());
        self.received.increment(record.bytes_received);
        self.sent.increment(record.bytes_sent);
        if let Some(candidate) = record.trellis.candidate {
            let difference = match (record.auth_denied, candidate.denied) {
                (None, Some(_)) => 1,
                (Some(_), None) => 2,
                (None, None) | (Some(_), Some(_)) => 0,
            };
            if let (Some(cell), Some(word)) =
                (self.candidates.get(difference), DIFFERENCES.get(difference))
            {
                self.count(registry, cell, &names::CANDIDATE_DECISIONS, word);
            }
        }
        if let Some(reason) = record.failure {
            self.observe_failure(registry, reason, record.auth_denied);
        }
    }

    fn observe_failure(
        &self,
        registry: &Registry,
        reason: FailureReason,
        denied: Option<AuthDeniedReason>,
    ) {
        let position = reason as usize;
        if let Some(cell) = self.failures.get(position) {
            self.count(registry, cell, &names::REQUEST_FAILURES, reason.as_str());
        }
        let layer = match denied {
            Some(AuthDeniedReason::Network) => 0,
            Some(AuthDeniedReason::Service) => 1,
            Some(AuthDeniedReason::Identity) => 2,
            None if reason == FailureReason::ClientAccessDenied => 3,
            None => return,
        };
        if let (Some(cell), Some(word)) = (self.denied.get(layer), LAYERS.get(layer)) {
            self.count(registry, cell, &names::REQUESTS_DENIED, word);
        }
    }

    fn count(
        &self,
        registry: &Registry,
        cell: &OnceLock<Counter>,
        metric: &names::Metric,
        word: &str,
    ) {
        cell.get_or_init(|| registry.counter(metric, &[&self.name, &self.id, word]))
            .increment(1);
    }
}

/// A request or a connection that is counted as long as this lives.
#[must_use = "the gauge falls again when this is dropped"]
pub struct Counted(Gauge);

impl Counted {
    pub(super) fn new(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counted")
    }
}
