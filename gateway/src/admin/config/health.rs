//! Health checks of the running configuration.

use serde_json::{Value, json};
use trellis_model::config::{BodyMatch, HealthCheck, HttpProbe, Probe, ProbeVersion};

use super::protocol;

/// In the members of the documents. Times are in seconds where that says all, otherwise in milliseconds.
pub(super) fn health_check(check: &HealthCheck) -> Value {
    let mut shown = match &check.probe {
        Probe::Http(probe) => http_probe(probe),
        Probe::Grpc {
            protocol: over,
            service,
        } => json!({
            "protocol": protocol(*over),
            "protocolVersion": "GRPC",
            "grpcService": service,
        }),
        Probe::Tcp => json!({"protocol": "TCP"}),
        Probe::Tls => json!({"protocol": "TLS"}),
    };
    let mut show = |member: &str, value: Value| {
        if let Some(shown) = shown.as_object_mut() {
            shown.insert(member.to_owned(), value);
        }
    };
    let (interval, timeout) = (check.interval, check.timeout);
    match interval.subsec_millis() {
        0 => show("healthCheckIntervalSeconds", json!(interval.as_secs())),
        _ => show("intervalMillis", json!(interval.as_millis())),
    }
    match timeout.subsec_millis() {
        0 => show("healthCheckTimeoutSeconds", json!(timeout.as_secs())),
        _ => show("timeoutMillis", json!(timeout.as_millis())),
    }
    show("enabled", json!(check.enabled));
    show("port", json!(check.port));
    show("jitterPercent", json!(check.jitter_percent));
    show("healthyThresholdCount", json!(check.healthy_threshold));
    show("unhealthyThresholdCount", json!(check.unhealthy_threshold));
    shown
}

fn http_probe(probe: &HttpProbe) -> Value {
    let codes: Vec<String> = probe
        .success_codes
        .iter()
        .map(|range| match (range.start(), range.end()) {
            (start, end) if start == end => start.to_string(),
            (start, end) => format!("{start}-{end}"),
        })
        .collect();
    let body = probe.body.as_ref().map(|body| match body {
        BodyMatch::Exact(text) => json!({"exact": text}),
        BodyMatch::Contains(text) => json!({"contains": text}),
    });
    json!({
        "protocol": protocol(probe.protocol),
        "protocolVersion": match probe.version {
            ProbeVersion::Http1 => "HTTP1",
            ProbeVersion::Http2 => "HTTP2",
        },
        "path": probe.path,
        "matcher": {"httpCode": codes.join(","), "body": body},
    })
}
