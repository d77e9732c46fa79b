//! Where metrics and traces are sent, and which requests are traced.

use std::time::Duration;

use serde_json::{Map, Value, json};
use trellis_model::config::{OtlpSettings, TelemetrySettings, TraceFormat, TraceSettings};

use super::REDACTED;

pub(super) fn telemetry(settings: &TelemetrySettings) -> Value {
    json!({
        "otlp": settings.otlp.as_ref().map(otlp),
        "traces": settings.traces.as_ref().map(traces),
    })
}

fn otlp(settings: &OtlpSettings) -> Value {
    let endpoint = &settings.endpoint;
    let scheme = if endpoint.tls { "https" } else { "http" };
    let headers: Map<String, Value> = settings
        .headers
        .iter()
        .map(|(name, _)| (name.to_string(), json!(REDACTED)))
        .collect();
    json!({
        "endpoint": format!("{scheme}://{}{}", endpoint.authority, endpoint.path),
        "headers": headers,
        "metricsIntervalSeconds": settings.metrics_interval.as_ref().map_or(0, Duration::as_secs),
        "timeoutSeconds": settings.timeout.as_secs(),
    })
}

fn traces(settings: &TraceSettings) -> Value {
    let propagate = settings.propagate.iter().map(|format| match format {
        TraceFormat::W3c => "W3C",
        TraceFormat::B3 => "B3",
        TraceFormat::B3Multi => "B3_MULTI",
        TraceFormat::Amazon => "AMAZON",
    });
    json!({
        "parent": if settings.follow_parent { "FOLLOW" } else { "IGNORE" },
        "sampleOneIn": settings.one_in,
        "errors": settings.errors,
        "slowerThanMillis": settings.slower_than.as_ref().map(Duration::as_millis),
        "propagate": propagate.collect::<Vec<_>>(),
    })
}
