//! Where metrics and traces are sent, and which requests are traced.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{SecretSource, object::objects};
use crate::ranges;

/// Where metrics and traces are sent, and which requests are traced. Metrics are on the admin listener either way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct Telemetry {
    /// The collector that gets metrics and traces, over OTLP. Absent: nothing is sent.
    pub otlp: Option<Otlp>,
    /// Which requests are traced. Absent: none, and what requests say about their trace goes on as it came.
    pub traces: Option<Traces>,
}

/// A collector of OTLP over HTTP, with protobuf.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Otlp {
    /// Address of the collector, `http://127.0.0.1:4318`; `/v1/metrics` and `/v1/traces` follow it.
    pub endpoint: String,
    /// PEM file of the authorities that the collector's certificate is verified with. Absent: those of the system.
    pub ca_file: Option<String>,
    /// Header fields of every request, such as a token, by name.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretSource>,
    /// Time between two exports of all metrics, in seconds; 0 for no export of metrics.
    #[schemars(range(min = *ranges::METRICS_INTERVAL.start(), max = *ranges::METRICS_INTERVAL.end()), extend("default" = 60))]
    pub metrics_interval_seconds: Option<i64>,
    /// Longest wait for the collector's answer, in seconds.
    #[schemars(range(min = *ranges::EXPORT_TIMEOUT.start(), max = *ranges::EXPORT_TIMEOUT.end()), extend("default" = 10))]
    pub timeout_seconds: Option<i64>,
}

/// Which requests are traced, and how targets are told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct Traces {
    /// What counts of a request whose client says whether its trace is recorded.
    #[schemars(extend("default" = "FOLLOW"))]
    pub parent: Option<TraceParent>,
    /// Traces one of so many of the other requests, at random; 0 for none of them.
    #[schemars(range(min = *ranges::SAMPLE_ONE_IN.start(), max = *ranges::SAMPLE_ONE_IN.end()), extend("default" = 100))]
    pub sample_one_in: Option<i64>,
    /// Keeps what the gateway did for a request that ended with status 500 or higher, or without one, although it was not sampled.
    #[schemars(extend("default" = true))]
    pub errors: Option<bool>,
    /// Keeps what the gateway did for a request that took at least so many milliseconds, although it was not sampled. Absent: time
    /// does not matter.
    #[schemars(range(min = *ranges::SLOW_MILLIS.start(), max = *ranges::SLOW_MILLIS.end()))]
    pub slower_than_millis: Option<i64>,
    /// Formats in which targets are told of the trace of a traced request, besides the one in which the client told it.
    #[schemars(extend("default" = ["W3C"]))]
    pub propagate: Option<Vec<TraceFormat>>,
}

/// What counts of a request whose client says whether its trace is recorded: with `FOLLOW`, what the client says; with `IGNORE`, it is
/// like any other request, but stays part of its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum TraceParent {
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Follow,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Ignore,
}

/// How a request says what trace it belongs to: `W3C` in `traceparent` and `tracestate`, `B3` in one field, `B3_MULTI` in
/// `x-b3-traceid` and its siblings, `AMAZON` in `x-amzn-trace-id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum TraceFormat {
    #[serde(rename = "W3C")]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    W3c,
    #[serde(rename = "B3")]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    B3,
    #[serde(rename = "B3_MULTI")]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    B3Multi,
    #[serde(rename = "AMAZON")]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Amazon,
}

objects!(Telemetry, Otlp, Traces);
