//! Metrics of the gateway as a whole: handles resolved once, at the start.

use metrics::{Counter, Gauge};

use super::{events::DnsOutcome, names, registry::Registry};

/// Handles of the metrics that are not by service.
#[derive(Debug)]
pub(super) struct GatewayMetrics {
    pub(super) requests_in_flight: Gauge,
    pub(super) connections: Gauge,
    pub(super) connections_accepted: Counter,
    pub(super) refused_unknown_vpc: Counter,
    pub(super) refused_too_many: Counter,
    pub(super) refused_too_many_of_vpc: Counter,
    pub(super) refused_too_many_of_client: Counter,
    pub(super) refused_accept_failed: Counter,
    pub(super) handshakes_ok: Counter,
    pub(super) handshakes_unknown_name: Counter,
    pub(super) handshakes_no_certificate: Counter,
    pub(super) handshakes_refused: Counter,
    pub(super) handshakes_lost: Counter,
    pub(super) handshakes_timeout: Counter,
    pub(super) listeners: Gauge,
    pub(super) listener_failures: Counter,
    pub(super) config_generation: Gauge,
    pub(super) config_last_reload_successful: Gauge,
    pub(super) config_last_reload_success_timestamp: Gauge,
    pub(super) config_applied: Counter,
    pub(super) config_rejected: Counter,
    pub(super) config_errors: Gauge,
    pub(super) certificates_loaded: Counter,
    pub(super) certificates_failed: Counter,
    pub(super) session_keys_rotated: Counter,
    pub(super) session_keys_failed: Counter,
    pub(super) identity_keys_loaded: Counter,
    pub(super) identity_keys_failed: Counter,
    pub(super) identity_keys_missed: Counter,
    /// Traces and metrics, each well and badly.
    pub(super) exports: [[Counter; 2]; 2],
    pub(super) spans_queue_full: Counter,
    pub(super) spans_not_taken: Counter,
    pub(super) spans_rejected: Counter,
    /// By [`crate::trace::Kept`].
    pub(super) traces: [Counter; 4],
    /// By position in [`DnsOutcome::ALL`].
    pub(super) dns_queries: [Counter; DnsOutcome::ALL.len()],
}

impl GatewayMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let counter = |metric, value: &[&str]| registry.counter(metric, value);
        let gauge = |metric| registry.gauge(metric, &[]);
        Self {
            requests_in_flight: gauge(&names::REQUESTS_IN_FLIGHT),
            connections: gauge(&names::CONNECTIONS),
            connections_accepted: counter(&names::CONNECTIONS_ACCEPTED, &[]),
            refused_unknown_vpc: counter(&names::CONNECTIONS_REFUSED, &["unknown_vpc"]),
            refused_too_many: counter(&names::CONNECTIONS_REFUSED, &["too_many"]),
            refused_too_many_of_vpc: counter(&names::CONNECTIONS_REFUSED, &["too_many_of_vpc"]),
            refused_too_many_of_client: counter(
                &names::CONNECTIONS_REFUSED,
                &["too_many_of_client"],
            ),
            refused_accept_failed: counter(&names::CONNECTIONS_REFUSED, &["accept_failed"]),
            handshakes_ok: counter(&names::TLS_HANDSHAKES, &["ok"]),
            handshakes_unknown_name: counter(&names::TLS_HANDSHAKES, &["unknown_name"]),
            handshakes_no_certificate: counter(&names::TLS_HANDSHAKES, &["client_certificate"]),
            handshakes_refused: counter(&names::TLS_HANDSHAKES, &["refused"]),
            handshakes_lost: counter(&names::TLS_HANDSHAKES, &["lost"]),
            handshakes_timeout: counter(&names::TLS_HANDSHAKES, &["timeout"]),
            listeners: gauge(&names::LISTENERS),
            listener_failures: counter(&names::LISTENER_FAILURES, &[]),
            config_generation: gauge(&names::CONFIG_GENERATION),
            config_last_reload_successful: gauge(&names::CONFIG_LAST_RELOAD_SUCCESSFUL),
            config_last_reload_success_timestamp: gauge(
                &names::CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP,
            ),
            config_applied: counter(&names::CONFIG_RELOADS, &["applied"]),
            config_rejected: counter(&names::CONFIG_RELOADS, &["rejected"]),
            config_errors: gauge(&names::CONFIG_ERRORS),
            certificates_loaded: counter(&names::CERTIFICATE_LOADS, &["loaded"]),
            certificates_failed: counter(&names::CERTIFICATE_LOADS, &["failed"]),
            session_keys_rotated: counter(&names::SESSION_KEY_ROTATIONS, &["rotated"]),
            session_keys_failed: counter(&names::SESSION_KEY_ROTATIONS, &["failed"]),
            identity_keys_loaded: counter(&names::IDENTITY_KEY_LOADS, &["loaded"]),
            identity_keys_failed: counter(&names::IDENTITY_KEY_LOADS, &["failed"]),
            identity_keys_missed: counter(&names::IDENTITY_KEY_EARLY_LOADS, &[]),
            exports: ["traces", "metrics"].map(|signal| {
                ["ok", "failed"].map(|outcome| counter(&names::EXPORTS, &[signal, outcome]))
            }),
            spans_queue_full: counter(&names::SPANS_DROPPED, &["queue_full"]),
            spans_not_taken: counter(&names::SPANS_DROPPED, &["not_taken"]),
            spans_rejected: counter(&names::SPANS_DROPPED, &["rejected"]),
            traces: ["parent", "sampled", "error", "slow"]
                .map(|reason| counter(&names::TRACES, &[reason])),
            dns_queries: DnsOutcome::ALL
                .map(|outcome| counter(&names::DNS_QUERIES, &[outcome.as_str()])),
        }
    }
}
