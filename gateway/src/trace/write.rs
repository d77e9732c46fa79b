//! How targets are told which trace a request belongs to.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Format, SpanId, TraceId};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const B3: HeaderName = HeaderName::from_static("b3");
const B3_TRACE: HeaderName = HeaderName::from_static("x-b3-traceid");
const B3_SPAN: HeaderName = HeaderName::from_static("x-b3-spanid");
const B3_PARENT: HeaderName = HeaderName::from_static("x-b3-parentspanid");
const B3_SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const B3_FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");
const AMAZON: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// Most entries of `tracestate`, and most bytes that are passed on: as many as everybody must.
///
/// Spec: W3C Trace Context §3.3.1.1, §3.3.1.5.
const STATE_ENTRIES: usize = 32;
const STATE_BYTES: usize = 512;

/// A span that a target's own spans are below.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) trace: TraceId,
    /// The attempt at the request.
    pub(super) span: SpanId,
    /// What the attempt is part of.
    pub(super) parent: SpanId,
}

/// Says where the trace of a recorded request goes on, in one format.
pub(super) fn write(headers: &mut HeaderMap, format: Format, place: Place, keeps_state: bool) {
    let Place {
        trace,
        span,
        parent,
    } = place;
    match format {
        Format::W3c => {
            headers.insert(TRACEPARENT, value(format!("00-{trace}-{span}-01")));
            if !keeps_state {
                headers.remove(TRACESTATE);
            }
        }
        Format::B3 => {
            headers.insert(B3, value(format!("{trace}-{span}-1-{parent}")));
        }
        Format::B3Multi => {
            headers.insert(B3_TRACE, value(trace.to_string()));
            headers.insert(B3_SPAN, value(span.to_string()));
            headers.insert(B3_PARENT, value(parent.to_string()));
            headers.insert(B3_SAMPLED, HeaderValue::from_static("1"));
            headers.remove(B3_FLAGS);
        }
        Format::Amazon => {
            let id = trace.to_string();
            let (time, random) = id.split_at_checked(8).unwrap_or_default();
            let text = format!("Root=1-{time}-{random};Parent={span};Sampled=1");
            headers.insert(AMAZON, value(text));
        }
    }
}

/// The `tracestate` of a request, if it may be passed on as it came; what is malformed or too long is dropped whole.
pub(super) fn state(headers: &HeaderMap) -> Option<String> {
    let mut text = String::new();
    for line in headers.get_all(TRACESTATE) {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(line.to_str().ok()?);
        if text.len() > STATE_BYTES {
            return None;
        }
    }
    let entries = text.split(',').map(str::trim);
    let mut entries = entries.filter(|entry| !entry.is_empty());
    let right = entries.by_ref().take(STATE_ENTRIES).all(is_entry);
    (right && entries.next().is_none() && !text.is_empty()).then_some(text)
}

/// Spec: W3C Trace Context §3.3.1.3: a key, an equals sign and a value without commas and equals signs.
fn is_entry(entry: &str) -> bool {
    let Some((key, value)) = entry.split_once('=') else {
        return false;
    };
    let of_key =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let of_value = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'=';
    (1..=256).contains(&key.len())
        && key.bytes().all(of_key)
        && (1..=256).contains(&value.len())
        && value.bytes().all(of_value)
}

/// What is written here consists of digits, letters and dashes.
fn value(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static("-"))
}
