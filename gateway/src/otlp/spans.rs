//! The spans of one request: one for all of it, one for each attempt, after OpenTelemetry's conventions for HTTP.
//!
//! Source: OpenTelemetry semantic conventions 1.26, "Semantic conventions for HTTP spans". Queries are left out: they may hold secrets, as
//! in access records.

use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use trellis_access_logs::record::{FailureReason, Protocol, Record};

use super::{
    Spans,
    encode::{nanoseconds, number, text},
    messages::{KeyValue, Span, Status},
};
use crate::trace::{Attempt, End, Recording, SpanId};

const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const ERROR: i32 = 2;

/// Most bytes of a text that a client chose.
const TEXT: usize = 1024;

/// A request that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// Its record.
    pub record: &'r Record<'r>,
    /// Names of the service and of the target group.
    pub names: (Option<&'r str>, Option<&'r str>),
    /// When it began.
    pub began: Instant,
    /// The gateway's port.
    pub port: u16,
}

/// The spans of a request.
pub fn spans(request: Request<'_>, recording: &Recording) -> Spans {
    let record = request.record;
    let end = request.began + record.duration;
    let method = method(record);
    let name = if method == "_OTHER" { "HTTP" } else { method };
    let mut all = Vec::with_capacity(1 + recording.attempts.len());
    let of = |span: &SpanId, parent: Option<&SpanId>, kind, from, to| Span {
        trace_id: recording.trace.bytes().to_vec(),
        span_id: span.bytes().to_vec(),
        trace_state: recording.state.clone().unwrap_or_default(),
        parent_span_id: parent.map_or_else(Vec::new, |id| id.bytes().to_vec()),
        name: name.to_owned(),
        kind,
        start_time_unix_nano: wall(request, from),
        end_time_unix_nano: wall(request, to),
        attributes: Vec::new(),
        status: None,
        // Spec: OTLP, `SpanFlags`: the trace flags of W3C.
        flags: u32::from(recording.is_sampled()),
    };
    let parent = recording.parent.as_ref();
    all.push(Span {
        attributes: server_attributes(&request, method),
        status: failed(record.response_code.is_none_or(|code| code >= 500)),
        ..of(&recording.span, parent, SERVER, request.began, end)
    });
    for (position, attempt) in recording.attempts.iter().enumerate() {
        let (to, code, error) = outcome(attempt, position == recording.current, record, end);
        let mut attributes = client_attributes(record, method, attempt, position);
        attributes.extend(code.map(|code| number("http.response.status_code", code)));
        let error = error.map(str::to_owned).or_else(|| {
            code.filter(|code| *code >= 400)
                .map(|code| code.to_string())
        });
        attributes.extend(error.clone().map(|error| text("error.type", error)));
        all.push(Span {
            attributes,
            status: failed(error.is_some()),
            ..of(
                &attempt.span,
                Some(&recording.span),
                CLIENT,
                attempt.began,
                to,
            )
        });
    }
    Spans(all)
}

/// When an attempt ended, the status that its target answered, and what was wrong with it.
fn outcome(
    attempt: &Attempt,
    current: bool,
    record: &Record<'_>,
    end: Instant,
) -> (Instant, Option<u16>, Option<&'static str>) {
    match &attempt.end {
        End::Answered(at, code) => (*at, Some(*code), None),
        End::Failed(at, why) => (*at, None, Some(why)),
        End::Open if current => {
            let failure = record.failure.map(FailureReason::as_str);
            (
                end,
                record.response_code.filter(|_| failure.is_none()),
                failure,
            )
        }
        // Another attempt was faster.
        End::Open => (end, None, Some("superseded")),
    }
}

fn failed(failed: bool) -> Option<Status> {
    failed.then(|| Status {
        message: String::new(),
        code: ERROR,
    })
}

/// Methods of RFC 9110 and RFC 5789; any other is one of the client's making.
fn method<'r>(record: &Record<'r>) -> &'r str {
    let text = record
        .method
        .and_then(|bytes| std::str::from_utf8(bytes).ok());
    match text {
        Some(
            known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE"
            | "PATCH"),
        ) => known,
        _ => "_OTHER",
    }
}

fn server_attributes(request: &Request<'_>, method: &str) -> Vec<KeyValue> {
    let record = request.record;
    let scheme = if record.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let mut attributes = vec![
        text("http.request.method", method),
        text("url.scheme", scheme),
        text("client.address", record.source.ip().to_string()),
        number("client.port", record.source.port()),
        number("server.port", request.port),
        text("trellis.request.id", cut(record.request_id)),
    ];
    if method == "_OTHER" {
        attributes.push(text("http.request.method_original", cut(record.method)));
    }
    attributes.push(text("url.path", cut(record.path)));
    if let Some(host) = record.host {
        attributes.push(text("server.address", cut(Some(host))));
    }
    if let Some(agent) = record.user_agent {
        attributes.push(text("user_agent.original", cut(Some(agent))));
    }
    let version = record.protocol.map(|protocol| match protocol {
        Protocol::Http10 => "1.0",
        Protocol::Http11 => "1.1",
        Protocol::Http2 => "2",
    });
    attributes.extend(version.map(|version| text("network.protocol.version", version)));
    if let Some(code) = record.response_code {
        attributes.push(number("http.response.status_code", code));
    }
    let error = match (record.failure, record.response_code) {
        (Some(failure), _) => Some(failure.as_str().to_owned()),
        (None, Some(code)) if code >= 500 => Some(code.to_string()),
        _ => None,
    };
    attributes.extend(error.map(|error| text("error.type", error)));
    let (service, group) = request.names;
    attributes.extend(service.map(|name| text("trellis.service.name", name)));
    attributes.extend(group.map(|name| text("trellis.target_group.name", name)));
    if let Some(vpc) = record.source_vpc_id {
        attributes.push(text("trellis.source_vpc.id", vpc.to_string()));
    }
    attributes
}

fn client_attributes(
    record: &Record<'_>,
    method: &str,
    attempt: &Attempt,
    position: usize,
) -> Vec<KeyValue> {
    let mut attributes = vec![text("http.request.method", method)];
    if let Some(target) = attempt.target {
        attributes.extend(address(target));
    }
    attributes.push(text("url.path", cut(record.path)));
    if position > 0 {
        let again = i64::try_from(position).unwrap_or(i64::MAX);
        attributes.push(number("http.request.resend_count", again));
    }
    attributes
}

fn address(target: SocketAddr) -> [KeyValue; 2] {
    [
        text("server.address", target.ip().to_string()),
        number("server.port", target.port()),
    ]
}

/// What a client sent, as text of a bounded length.
fn cut(bytes: Option<&[u8]>) -> String {
    let bytes = bytes.unwrap_or_default();
    let bytes = bytes.get(..TEXT).unwrap_or(bytes);
    String::from_utf8_lossy(bytes).into_owned()
}

/// The wall clock's time of a moment within the request.
fn wall(request: Request<'_>, at: Instant) -> u64 {
    let since: Duration = at.saturating_duration_since(request.began);
    let start: SystemTime = request.record.start;
    nanoseconds(start + since)
}
