//! Where metrics and traces are sent, and which requests are traced.

use std::time::Duration;

use super::{HttpEndpoint, Secret};

/// Where metrics and traces are sent, and which requests are traced.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TelemetrySettings {
    /// The collector.
    pub otlp: Option<OtlpSettings>,
    /// Which requests are traced; none means that none is.
    pub traces: Option<TraceSettings>,
}

/// A collector of OTLP over HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct OtlpSettings {
    /// Where it is; its path does not end in a slash.
    pub endpoint: HttpEndpoint,
    /// Header fields of every request.
    pub headers: Vec<(Box<str>, Secret)>,
    /// Time between two exports of metrics; none means that they are not exported. Default 60 s.
    pub metrics_interval: Option<Duration>,
    /// Longest wait for an answer. Default 10 s.
    pub timeout: Duration,
}

/// Which requests are traced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceSettings {
    /// Does the client's word count on whether its trace is recorded? Default yes.
    pub follow_parent: bool,
    /// One of so many others is traced; zero for none. Default 100.
    pub one_in: u64,
    /// Are requests kept that ended with status 500 or higher, or without one? Default yes.
    pub errors: bool,
    /// Requests that took so long are kept.
    pub slower_than: Option<Duration>,
    /// How targets are told, besides as the client did. Default W3C.
    pub propagate: Vec<TraceFormat>,
}

/// How a request says what trace it belongs to. The order is that in which they count: of several in one request, the first that can
/// be read wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TraceFormat {
    /// `traceparent` and `tracestate`. Spec: W3C Trace Context, level 1.
    W3c,
    /// `b3`. Spec: openzipkin/b3-propagation, "Single Header".
    B3,
    /// `x-b3-traceid` and its siblings. Spec: openzipkin/b3-propagation, "Multiple Headers".
    B3Multi,
    /// `x-amzn-trace-id`. Source: Application Load Balancer user guide, "Request tracing"; X-Ray developer guide, "Tracing header".
    Amazon,
}
