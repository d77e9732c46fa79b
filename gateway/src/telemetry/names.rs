//! Every metric of the gateway: name, kind, labels, help. Nothing else spells a metric's name.
//!
//! Names end in their unit, counters in `_total`. Labels are bounded: words of ours, and names, ids, zones and accounts of the
//! configuration; never a path, a host or a principal. `docs/metrics.md` is this list, and a test keeps the two the same.

#[cfg(test)]
mod tests;

/// What a metric does over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from the start of the process.
    Counter,
    /// A value of now.
    Gauge,
    /// Counts observations by size, [`DURATION_BUCKETS`].
    Histogram,
}

impl Kind {
    /// The word of Prometheus' text format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name, unit included.
    pub name: &'static str,
    /// What it does over time.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it counts or shows, for its reader.
    pub help: &'static str,
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: Kind::Counter,
        labels,
        help,
    }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric {
        name,
        kind: Kind::Gauge,
        labels,
        help,
    }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: Kind::Histogram,
        labels,
        help,
    }
}

/// Upper bounds of the buckets of durations, in seconds: fine where a gateway adds its share (0.25 ms and up), coarse where
/// only the target can be slow, and one at 60 s, the idle timeout.
pub const DURATION_BUCKETS: [f64; 16] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    15.0, 60.0,
];

/// Labels that name a service.
const SERVICE: [&str; 2] = ["service", "service_id"];

/// Requests answered.
pub const REQUESTS: Metric = counter(
    "gateway_requests_total",
    &[SERVICE[0], SERVICE[1], "code"],
    "Requests ended, by service and class of the status: 1xx to 5xx, or none when the client was gone before there was one. \
     Service `-` stands for requests that reached no service.",
);

/// Time taken by requests.
pub const REQUEST_DURATION: Metric = histogram(
    "gateway_request_duration_seconds",
    &SERVICE,
    "Time from the start of a request to the last byte of its answer, by service.",
);

/// Requests that failed.
pub const REQUEST_FAILURES: Metric = counter(
    "gateway_request_failures_total",
    &[SERVICE[0], SERVICE[1], "reason"],
    "Requests that failed, by service and the failureReason of their access record.",
);

/// Requests that were denied.
pub const REQUESTS_DENIED: Metric = counter(
    "gateway_requests_denied_total",
    &[SERVICE[0], SERVICE[1], "layer"],
    "Requests denied, by service and what denied them: network, service or identity for the policy layer, signature for a \
     signature that did not verify.",
);

/// What policies in audit and candidates would have decided.
pub const CANDIDATE_DECISIONS: Metric = counter(
    "gateway_candidate_decisions_total",
    &[SERVICE[0], SERVICE[1], "outcome"],
    "Requests that were also decided with policies in audit enforced and candidates active, by service and how that differs: same, \
     would_deny for a request that passed, would_allow for one that was denied.",
);

/// Bytes from clients.
pub const RECEIVED_BYTES: Metric = counter(
    "gateway_received_bytes_total",
    &SERVICE,
    "Bytes received from clients, heads and bodies, by service.",
);

/// Bytes to clients.
pub const SENT_BYTES: Metric = counter(
    "gateway_sent_bytes_total",
    &SERVICE,
    "Bytes sent to clients, heads and bodies, by service.",
);

/// Labels that name a service network.
const NETWORK: [&str; 2] = ["network", "network_id"];

/// Requests through a network.
pub const NETWORK_REQUESTS: Metric = counter(
    "gateway_network_requests_total",
    &[NETWORK[0], NETWORK[1], "code"],
    "Requests ended, by the service network that they came through and class of the status.",
);

/// Time taken by requests through a network.
pub const NETWORK_REQUEST_DURATION: Metric = histogram(
    "gateway_network_request_duration_seconds",
    &NETWORK,
    "Time from the start of a request to the last byte of its answer, by service network.",
);

/// Bytes from clients through a network.
pub const NETWORK_RECEIVED_BYTES: Metric = counter(
    "gateway_network_received_bytes_total",
    &NETWORK,
    "Bytes received from clients, heads and bodies, by service network.",
);

/// Bytes to clients through a network.
pub const NETWORK_SENT_BYTES: Metric = counter(
    "gateway_network_sent_bytes_total",
    &NETWORK,
    "Bytes sent to clients, heads and bodies, by service network.",
);

/// Labels that name a VPC.
const VPC: [&str; 2] = ["vpc", "vpc_id"];

/// Requests from a VPC.
pub const VPC_REQUESTS: Metric = counter(
    "gateway_vpc_requests_total",
    &[VPC[0], VPC[1], "code"],
    "Requests ended, by the VPC of the client and class of the status.",
);

/// Time taken by requests from a VPC.
pub const VPC_REQUEST_DURATION: Metric = histogram(
    "gateway_vpc_request_duration_seconds",
    &VPC,
    "Time from the start of a request to the last byte of its answer, by the VPC of the client.",
);

/// Bytes from clients in a VPC.
pub const VPC_RECEIVED_BYTES: Metric = counter(
    "gateway_vpc_received_bytes_total",
    &VPC,
    "Bytes received from clients, heads and bodies, by the VPC of the client.",
);

/// Bytes to clients in a VPC.
pub const VPC_SENT_BYTES: Metric = counter(
    "gateway_vpc_sent_bytes_total",
    &VPC,
    "Bytes sent to clients, heads and bodies, by the VPC of the client.",
);

/// Connections from a VPC.
pub const VPC_CONNECTIONS: Metric = gauge(
    "gateway_vpc_connections",
    &VPC,
    "Client connections open now, by the VPC of the client.",
);

/// Requests to services of an account.
pub const ACCOUNT_REQUESTS: Metric = counter(
    "gateway_account_requests_total",
    &["account"],
    "Requests ended, by the account that owns the service.",
);

/// Bytes from clients of an account's services.
pub const ACCOUNT_RECEIVED_BYTES: Metric = counter(
    "gateway_account_received_bytes_total",
    &["account"],
    "Bytes received from clients, heads and bodies, by the account that owns the service.",
);

/// Bytes to clients of an account's services.
pub const ACCOUNT_SENT_BYTES: Metric = counter(
    "gateway_account_sent_bytes_total",
    &["account"],
    "Bytes sent to clients, heads and bodies, by the account that owns the service.",
);

/// Resources of an account.
pub const ACCOUNT_RESOURCES: Metric = gauge(
    "gateway_account_resources",
    &["account", "kind"],
    "Resources that an account owns in the running configuration, by kind: vpc, service_network, service, target_group or target.",
);

/// Requests running.
pub const REQUESTS_IN_FLIGHT: Metric = gauge(
    "gateway_requests_in_flight",
    &[],
    "Requests being handled now.",
);

/// Lookups in the decision cache.
pub const DECISION_CACHE_LOOKUPS: Metric = counter(
    "gateway_decision_cache_lookups_total",
    &["outcome"],
    "Lookups in the cache of policy decisions since the configuration was loaded, by outcome: hit or miss.",
);

/// Connections open.
pub const CONNECTIONS: Metric = gauge("gateway_connections", &[], "Client connections open now.");

/// Connections accepted.
pub const CONNECTIONS_ACCEPTED: Metric = counter(
    "gateway_connections_accepted_total",
    &[],
    "Client connections accepted.",
);

/// Connections refused.
pub const CONNECTIONS_REFUSED: Metric = counter(
    "gateway_connections_refused_total",
    &["reason"],
    "Client connections closed unserved, by reason: unknown_vpc (the source belongs to no VPC that is attached there), \
     too_many, too_many_of_vpc, too_many_of_client (limits.connections, connectionsPerVpc, connectionsPerClient), accept_failed (the system could not hand the connection over).",
);

/// TLS handshakes with clients.
pub const TLS_HANDSHAKES: Metric = counter(
    "gateway_tls_handshakes_total",
    &["outcome"],
    "TLS handshakes with clients, by outcome: ok, unknown_name (no certificate for the server name), client_certificate (the \
     service requires a certificate and got none, or got one that it does not accept), refused (one side did not accept what the \
     other sent), lost (the connection ended) or timeout.",
);

/// Listeners open.
pub const LISTENERS: Metric = gauge(
    "gateway_listeners",
    &[],
    "Addresses that the gateway listens on now.",
);

/// Listeners that failed.
pub const LISTENER_FAILURES: Metric = counter(
    "gateway_listener_failures_total",
    &[],
    "Failed attempts to listen on an address.",
);

/// Generation of the running configuration.
pub const CONFIG_GENERATION: Metric = gauge(
    "gateway_config_generation",
    &[],
    "Generation of the running configuration; grows by one with each change that is applied.",
);

/// Was the last change applied?
pub const CONFIG_LAST_RELOAD_SUCCESSFUL: Metric = gauge(
    "gateway_config_last_reload_successful",
    &[],
    "Was the last attempt to load the configuration successful (1) or is an older one still running (0)?",
);

/// When the last change was applied.
pub const CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP: Metric = gauge(
    "gateway_config_last_reload_success_timestamp_seconds",
    &[],
    "Unix time of the last successful load of the configuration.",
);

/// Age of the snapshot.
pub const SNAPSHOT_AGE: Metric = gauge(
    "gateway_snapshot_age_seconds",
    &[],
    "Time since the running configuration was applied.",
);

/// Attempts to change the configuration.
pub const CONFIG_RELOADS: Metric = counter(
    "gateway_config_reloads_total",
    &["outcome"],
    "Attempts to load the configuration, the first included, by outcome: applied or rejected.",
);

/// Errors in the configuration that was rejected.
pub const CONFIG_ERRORS: Metric = gauge(
    "gateway_config_errors",
    &[],
    "Errors found by the last attempt to load the configuration; 0 when it was applied.",
);

/// Certificates loaded.
pub const CERTIFICATE_LOADS: Metric = counter(
    "gateway_certificate_loads_total",
    &["outcome"],
    "Attempts to load a certificate from its files, by outcome: loaded or failed.",
);

/// When certificates end.
pub const CERTIFICATE_EXPIRY: Metric = gauge(
    "gateway_certificate_expiry_timestamp_seconds",
    &["kind", "name"],
    "Unix time at which a certificate in use ends, by kind: service (name: the domain), target_client (what a target group shows \
     its targets; name: the group's id) or ca (the gateway's own authority; name: `internal`).",
);

/// Keys of session tokens made anew.
pub const SESSION_KEY_ROTATIONS: Metric = counter(
    "gateway_session_key_rotations_total",
    &["outcome"],
    "Attempts to follow the gateway's own key for session tokens by a new one, by outcome: rotated or failed.",
);

/// Keys of identity providers read.
pub const IDENTITY_KEY_LOADS: Metric = counter(
    "gateway_identity_key_loads_total",
    &["outcome"],
    "Attempts to read the keys of an identity provider from their address, by outcome: loaded or failed.",
);

/// Readings of keys that a token brought forward.
pub const IDENTITY_KEY_EARLY_LOADS: Metric = counter(
    "gateway_identity_key_early_loads_total",
    &[],
    "Readings of the keys of an identity provider before their time, because a token named a key that was not among the last ones.",
);

/// Calls of the control API.
pub const CONTROL_CALLS: Metric = counter(
    "gateway_control_calls_total",
    &["operation", "error"],
    "Calls of the control address, by operation (other: one that does not exist) and code of the error (none: answered).",
);

/// Trouble with the store of the control plane.
pub const STORE_FAILURES: Metric = counter(
    "gateway_control_store_failures_total",
    &["part"],
    "Failures to read the control plane's store: an entry that was left out, or the store as a whole.",
);

/// Targets by status.
pub const TARGETS: Metric = gauge(
    "gateway_targets",
    &["target_group", "target_group_id", "status"],
    "Targets, by target group and status.",
);

/// Groups that fail open.
pub const TARGET_GROUP_FAILING_OPEN: Metric = gauge(
    "gateway_target_group_failing_open",
    &["target_group", "target_group_id"],
    "Do all targets of the group get requests, because none or too few are healthy (1), or not (0)?",
);

/// Targets ejected now.
pub const TARGETS_EJECTED: Metric = gauge(
    "gateway_targets_ejected",
    &["target_group", "target_group_id"],
    "Targets that get no requests now, because too many in a row failed there (outlierDetection).",
);

/// Ejections.
pub const TARGET_EJECTIONS: Metric = counter(
    "gateway_target_ejections_total",
    &["target_group", "target_group_id"],
    "Ejections of targets by outlierDetection, since it was switched on.",
);

/// Labels that name the targets of a group in one zone.
const TARGET_ZONE: [&str; 3] = ["target_group", "target_group_id", "zone"];

/// Requests sent to targets.
pub const TARGET_REQUESTS: Metric = counter(
    "gateway_target_requests_total",
    &[TARGET_ZONE[0], TARGET_ZONE[1], TARGET_ZONE[2], "code"],
    "Requests sent to a target or a function, by target group, zone of the target that was tried last (`-`: none) and class of the \
     status that the target answered, or none when it did not answer.",
);

/// Time taken by targets.
pub const TARGET_REQUEST_DURATION: Metric = histogram(
    "gateway_target_request_duration_seconds",
    &TARGET_ZONE,
    "Time from a request's leaving for its target to the last byte of the answer, by target group and zone.",
);

/// Requests with targets now.
pub const TARGET_REQUESTS_IN_FLIGHT: Metric = gauge(
    "gateway_target_requests_in_flight",
    &["target_group", "target_group_id"],
    "Requests that are with the targets of a group now.",
);

/// Retries.
pub const TARGET_RETRIES: Metric = counter(
    "gateway_target_retries_total",
    &TARGET_ZONE,
    "Attempts at requests after the first one of each, by target group and zone of the target that was tried last.",
);

/// Connections to targets, ever.
pub const TARGET_CONNECTIONS_OPENED: Metric = counter(
    "gateway_target_connections_opened_total",
    &[TARGET_ZONE[0], TARGET_ZONE[1], TARGET_ZONE[2], "protocol"],
    "Connections made to targets, by target group, zone and what they speak: http1 or http2.",
);

/// Connections to targets, now.
pub const TARGET_CONNECTIONS: Metric = gauge(
    "gateway_target_connections",
    &TARGET_ZONE,
    "Connections to targets open now, those kept for further requests included, by target group and zone.",
);

/// Connections to targets that were not made.
pub const TARGET_CONNECTION_FAILURES: Metric = counter(
    "gateway_target_connection_failures_total",
    &[TARGET_ZONE[0], TARGET_ZONE[1], TARGET_ZONE[2], "reason"],
    "Connections to targets that could not be made, by target group, zone and reason: refused, timeout or tls.",
);

/// TLS handshakes with targets.
pub const TARGET_TLS_HANDSHAKES: Metric = counter(
    "gateway_target_tls_handshakes_total",
    &[TARGET_ZONE[0], TARGET_ZONE[1], TARGET_ZONE[2], "outcome"],
    "TLS handshakes with targets, by target group, zone and outcome: ok or failed.",
);

/// Bytes from targets.
pub const TARGET_RECEIVED_BYTES: Metric = counter(
    "gateway_target_received_bytes_total",
    &TARGET_ZONE,
    "Bytes received over connections to targets, TLS included, by target group and zone.",
);

/// Bytes to targets.
pub const TARGET_SENT_BYTES: Metric = counter(
    "gateway_target_sent_bytes_total",
    &TARGET_ZONE,
    "Bytes sent over connections to targets, TLS included, by target group and zone.",
);

/// Changes of target status.
pub const TARGET_STATUS_CHANGES: Metric = counter(
    "gateway_target_status_changes_total",
    &["status"],
    "Changes of a target's status, by the status it changed to; gone for a target that was drained.",
);

/// Questions for names of targets.
pub const TARGET_DISCOVERIES: Metric = counter(
    "gateway_target_discoveries_total",
    &["outcome"],
    "Questions for the names of targets, by outcome: answered, no_name (there is none), no_address (it has none), outside (none in the VPC), server_failure, timeout, unreachable or malformed.",
);

/// Addresses that did not become targets.
pub const TARGET_ADDRESSES_REFUSED: Metric = counter(
    "gateway_target_addresses_refused_total",
    &["reason"],
    "Addresses of names that did not become targets: outside (not in the VPC) or too_many.",
);

/// Names without an answer.
pub const TARGET_DISCOVERY_FAILING: Metric = gauge(
    "gateway_target_discovery_failing",
    &["target_group", "target_group_id"],
    "Had the last question for the name of the group's targets no answer (1), so that an earlier one counts, or had it one (0)?",
);

/// Age of the answer.
pub const TARGET_DISCOVERY_AGE: Metric = gauge(
    "gateway_target_discovery_answer_age_seconds",
    &["target_group", "target_group_id"],
    "Time since the last answer about the name of the group's targets; no sample before the first.",
);

/// Records written.
pub const RECORDS_WRITTEN: Metric = counter(
    "gateway_access_records_written_total",
    &[],
    "Access records written, once for each destination.",
);

/// Bytes of records written.
pub const RECORD_BYTES_WRITTEN: Metric = counter(
    "gateway_access_record_written_bytes_total",
    &[],
    "Bytes of access records written, over all destinations.",
);

/// Records dropped.
pub const RECORDS_DROPPED: Metric = counter(
    "gateway_access_records_dropped_total",
    &[],
    "Access records dropped because a buffer was full or a destination did not take them before the end.",
);

/// Failed writes of records.
pub const RECORD_WRITE_ERRORS: Metric = counter(
    "gateway_access_record_write_errors_total",
    &[],
    "Failed attempts to open or write a destination of access records.",
);

/// Messages to the collector.
pub const EXPORTS: Metric = counter(
    "gateway_exports_total",
    &["signal", "outcome"],
    "Messages sent to the collector (gateway.telemetry.otlp), by signal, traces or metrics, and outcome: ok or failed. One that failed may be sent again.",
);

/// Spans that were not delivered.
pub const SPANS_DROPPED: Metric = counter(
    "gateway_spans_dropped_total",
    &["reason"],
    "Spans that did not reach the collector, by reason: queue_full (more came than it takes), not_taken (it was tried in vain) or \
     rejected (it said so of a part of a message).",
);

/// Traces kept.
pub const TRACES: Metric = counter(
    "gateway_traces_total",
    &["reason"],
    "Requests whose spans were kept, by reason: parent (their client traces them), sampled, error or slow.",
);

/// Records in a spool.
pub const SPOOL_RECORDS: Metric = gauge(
    "gateway_access_spool_records",
    &["subscription"],
    "Access records that wait for log storage, by id of the subscription.",
);

/// Bytes of a spool.
pub const SPOOL_BYTES: Metric = gauge(
    "gateway_access_spool_bytes",
    &["subscription"],
    "Bytes of spool that hold records which wait for log storage.",
);

/// Age of the oldest record in a spool.
pub const SHIP_LAG: Metric = gauge(
    "gateway_access_ship_lag_seconds",
    &["subscription"],
    "How long the oldest access record has been waiting for log storage; 0 when none waits.",
);

/// Records shipped.
pub const RECORDS_SHIPPED: Metric = counter(
    "gateway_access_records_shipped_total",
    &["subscription"],
    "Access records that log storage acknowledged, dead letters included.",
);

/// Failed attempts to ship.
pub const SHIP_RETRIES: Metric = counter(
    "gateway_access_ship_failures_total",
    &["subscription"],
    "Attempts to ship access records that failed and are repeated.",
);

/// Records lost on their way to log storage.
pub const RECORDS_LOST: Metric = counter(
    "gateway_access_spool_lost_records_total",
    &["subscription", "reason"],
    "Access records that will not reach log storage: dropped as the oldest or newest of a full spool, damaged on disk, or dead letters that had to make room.",
);

/// Dead letters.
pub const DEAD_LETTERS: Metric = counter(
    "gateway_access_dead_letters_total",
    &["subscription"],
    "Access records that log storage refused for good.",
);

/// DNS queries.
pub const DNS_QUERIES: Metric = counter(
    "gateway_dns_queries_total",
    &["outcome"],
    "DNS queries, by outcome: answered, no_data, no_such_name, refused, forwarded, malformed or failed.",
);

/// Version of the gateway.
pub const BUILD_INFO: Metric = gauge(
    "gateway_build_info",
    &["version"],
    "Always 1; the label has the version of the gateway.",
);

/// CPU time of the process.
pub const PROCESS_CPU: Metric = counter(
    "process_cpu_seconds_total",
    &[],
    "CPU time of the process, user and system, in seconds.",
);

/// Memory of the process.
pub const PROCESS_MEMORY: Metric = gauge(
    "process_resident_memory_bytes",
    &[],
    "Resident memory of the process in bytes.",
);

/// Descriptors of the process.
pub const PROCESS_FDS: Metric = gauge(
    "process_open_fds",
    &[],
    "File descriptors that the process has open.",
);

/// Start of the process.
pub const PROCESS_START: Metric = gauge(
    "process_start_time_seconds",
    &[],
    "Unix time at which the process began to keep metrics.",
);

/// All of them, in the order of the documentation.
pub const ALL: &[Metric] = &[
    REQUESTS,
    REQUEST_DURATION,
    REQUEST_FAILURES,
    REQUESTS_DENIED,
    CANDIDATE_DECISIONS,
    RECEIVED_BYTES,
    SENT_BYTES,
    NETWORK_REQUESTS,
    NETWORK_REQUEST_DURATION,
    NETWORK_RECEIVED_BYTES,
    NETWORK_SENT_BYTES,
    VPC_REQUESTS,
    VPC_REQUEST_DURATION,
    VPC_RECEIVED_BYTES,
    VPC_SENT_BYTES,
    VPC_CONNECTIONS,
    ACCOUNT_REQUESTS,
    ACCOUNT_RECEIVED_BYTES,
    ACCOUNT_SENT_BYTES,
    ACCOUNT_RESOURCES,
    REQUESTS_IN_FLIGHT,
    DECISION_CACHE_LOOKUPS,
    CONNECTIONS,
    CONNECTIONS_ACCEPTED,
    CONNECTIONS_REFUSED,
    TLS_HANDSHAKES,
    LISTENERS,
    LISTENER_FAILURES,
    CONFIG_GENERATION,
    CONFIG_LAST_RELOAD_SUCCESSFUL,
    CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP,
    SNAPSHOT_AGE,
    CONFIG_RELOADS,
    CONFIG_ERRORS,
    CERTIFICATE_LOADS,
    CERTIFICATE_EXPIRY,
    SESSION_KEY_ROTATIONS,
    IDENTITY_KEY_LOADS,
    IDENTITY_KEY_EARLY_LOADS,
    CONTROL_CALLS,
    STORE_FAILURES,
    TARGETS,
    TARGET_GROUP_FAILING_OPEN,
    TARGETS_EJECTED,
    TARGET_EJECTIONS,
    TARGET_REQUESTS,
    TARGET_REQUEST_DURATION,
    TARGET_REQUESTS_IN_FLIGHT,
    TARGET_RETRIES,
    TARGET_CONNECTIONS_OPENED,
    TARGET_CONNECTIONS,
    TARGET_CONNECTION_FAILURES,
    TARGET_TLS_HANDSHAKES,
    TARGET_RECEIVED_BYTES,
    TARGET_SENT_BYTES,
    TARGET_STATUS_CHANGES,
    TARGET_DISCOVERIES,
    TARGET_ADDRESSES_REFUSED,
    TARGET_DISCOVERY_FAILING,
    TARGET_DISCOVERY_AGE,
    RECORDS_WRITTEN,
    RECORD_BYTES_WRITTEN,
    RECORDS_DROPPED,
    RECORD_WRITE_ERRORS,
    TRACES,
    EXPORTS,
    SPANS_DROPPED,
    SPOOL_RECORDS,
    SPOOL_BYTES,
    SHIP_LAG,
    RECORDS_SHIPPED,
    SHIP_RETRIES,
    RECORDS_LOST,
    DEAD_LETTERS,
    DNS_QUERIES,
    BUILD_INFO,
    PROCESS_CPU,
    PROCESS_MEMORY,
    PROCESS_FDS,
    PROCESS_START,
];
