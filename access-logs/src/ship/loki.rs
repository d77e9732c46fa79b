//! Grafana Loki.

use std::collections::BTreeMap;

use http::{HeaderValue, Method, header};
use trellis_model::config::Secret;

use super::{
    calls::{Delivered, Failure, gzip, status_failure},
    http::{Client, request},
    otlp::bearer_value,
};
use crate::spool::reader::Batch;

/// Nanoseconds of a millisecond.
const MILLISECOND: u64 = 1_000_000;

/// A Loki, and the stream that records go to.
#[derive(Debug)]
pub(super) struct Loki {
    pub(super) client: Client,
    pub(super) tenant: Option<Box<str>>,
    pub(super) bearer: Option<Secret>,
    pub(super) labels: BTreeMap<String, String>,
}

impl Loki {
    pub(super) async fn send(&mut self, batch: &Batch) -> Result<Delivered, Failure> {
        let body = gzip(&self.body(batch)?)?;
        let mut call = request(&self.client, Method::POST, self.client.path(), body)
            .map_err(Failure::Again)?;
        let headers = call.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        if let Some(tenant) = &self.tenant {
            let tenant = HeaderValue::from_str(tenant);
            let tenant = tenant.map_err(|error| Failure::Again(error.to_string()))?;
            headers.insert("x-scope-orgid", tenant);
        }
        if let Some(bearer) = &self.bearer {
            headers.insert(header::AUTHORIZATION, bearer_value(bearer)?);
        }
        let reply = self.client.send(call).await.map_err(Failure::Again)?;
        if reply.status.is_success() {
            Ok(Delivered::default())
        } else {
            Err(status_failure(&reply))
        }
    }

    /// Spec: Loki HTTP API, "Ingest logs".
    fn body(&self, batch: &Batch) -> Result<Vec<u8>, Failure> {
        let failed = |error: serde_json::Error| Failure::Again(error.to_string());
        let mut body = Vec::with_capacity(batch.bytes() * 2);
        body.extend_from_slice(b"{\"streams\":[{\"stream\":");
        serde_json::to_writer(&mut body, &self.labels).map_err(failed)?;
        body.extend_from_slice(b",\"values\":[");
        for (index, item) in batch.items().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            // Loki orders by time alone: records of one millisecond are told apart by their numbers.
            let time = item.time.saturating_mul(MILLISECOND) + item.number % MILLISECOND;
            body.extend_from_slice(b"[\"");
            body.extend_from_slice(itoa::Buffer::new().format(time).as_bytes());
            body.extend_from_slice(b"\",");
            let line = String::from_utf8_lossy(item.record);
            serde_json::to_writer(&mut body, &line).map_err(failed)?;
            body.push(b']');
        }
        body.extend_from_slice(b"]}]}");
        Ok(body)
    }
}
