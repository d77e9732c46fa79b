//! OpenTelemetry: OTLP over HTTP in protobuf.
//!
//! The few messages that are needed are written here; their numbers are those of `opentelemetry/proto/logs/v1/logs.proto` and
//! `opentelemetry/proto/collector/logs/v1/logs_service.proto`, which are stable.

use http::{HeaderValue, Method, StatusCode, header};
use prost::Message as _;
use trellis_model::config::Secret;

use super::{
    calls::{Delivered, Failure, gzip, status_failure},
    http::{Client, request},
};
use crate::spool::reader::Batch;

/// A collector.
#[derive(Debug)]
pub(super) struct Otlp {
    pub(super) client: Client,
    pub(super) bearer: Option<Secret>,
    /// What the records are about: names and values.
    pub(super) resource: Vec<(&'static str, String)>,
}

impl Otlp {
    pub(super) async fn send(&mut self, batch: &Batch) -> Result<Delivered, Failure> {
        let body = gzip(&self.message(batch).encode_to_vec())?;
        let mut call = request(&self.client, Method::POST, self.client.path(), body)
            .map_err(Failure::Again)?;
        let headers = call.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-protobuf"),
        );
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        if let Some(bearer) = &self.bearer {
            headers.insert(header::AUTHORIZATION, bearer_value(bearer)?);
        }
        let reply = self.client.send(call).await.map_err(Failure::Again)?;
        if reply.status != StatusCode::OK {
            return Err(status_failure(&reply));
        }
        let answer = Answer::decode(reply.body)
            .map_err(|error| Failure::Again(format!("an answer that is none: {error}")))?;
        Ok(delivered(answer.partial_success, batch))
    }

    fn message(&self, batch: &Batch) -> Request {
        let attributes = self.resource.iter().map(|(key, value)| KeyValue {
            key: (*key).to_owned(),
            value: Some(AnyValue::of(value.clone())),
        });
        let records = batch.items().map(|item| {
            let nanoseconds = item.time.saturating_mul(1_000_000);
            LogRecord {
                time: nanoseconds,
                // Spec: OpenTelemetry logs data model: 9 is INFO.
                severity: 9,
                body: Some(AnyValue::of(
                    String::from_utf8_lossy(item.record).into_owned(),
                )),
                observed: nanoseconds,
            }
        });
        Request {
            resource_logs: vec![ResourceLogs {
                resource: Some(Resource {
                    attributes: attributes.collect(),
                }),
                scope_logs: vec![ScopeLogs {
                    scope: Some(Scope {
                        name: "trellis.access".to_owned(),
                        version: env!("CARGO_PKG_VERSION").to_owned(),
                    }),
                    records: records.collect(),
                }],
            }],
        }
    }
}

/// Spec: OTLP 1.x, "Partial success": what was rejected must not be sent again, and which records those are is not said. So all of
/// the call's records are kept as refused: better twice than not at all.
fn delivered(partial: Option<PartialSuccess>, batch: &Batch) -> Delivered {
    match partial {
        Some(partial) if partial.rejected > 0 => Delivered {
            refused: batch.items().map(|item| item.number).collect(),
            reason: Some(format!(
                "{} of {} rejected: {}",
                partial.rejected,
                batch.len(),
                partial.message.chars().take(300).collect::<String>()
            )),
            ..Delivered::default()
        },
        _ => Delivered::default(),
    }
}

/// The value of `Authorization`.
pub(super) fn bearer_value(token: &Secret) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .map_err(|_| Failure::Again("a token that no header can carry".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resource_logs: Vec<ResourceLogs>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResourceLogs {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_logs: Vec<ScopeLogs>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

/// Of its kinds only text is needed; as one of a choice it is there even when it is empty.
#[derive(Clone, PartialEq, prost::Message)]
struct AnyValue {
    #[prost(string, optional, tag = "1")]
    string: Option<String>,
}

impl AnyValue {
    fn of(text: String) -> Self {
        Self { string: Some(text) }
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct ScopeLogs {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    records: Vec<LogRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct LogRecord {
    #[prost(fixed64, tag = "1")]
    time: u64,
    #[prost(int32, tag = "2")]
    severity: i32,
    #[prost(message, optional, tag = "5")]
    body: Option<AnyValue>,
    #[prost(fixed64, tag = "11")]
    observed: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Answer {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    message: String,
}
