//! Log storage that takes records in calls: what one call may hold, and what became of its records.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::StatusCode;

use super::{cloudwatch::CloudWatch, firehose::Firehose, http::Reply, loki::Loki, otlp::Otlp};
use crate::spool::reader::{Batch, Bounds};

/// What became of the records of a call that was answered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Delivered {
    /// Numbers of those that were refused for good.
    pub(super) refused: Vec<u64>,
    /// Numbers of those that have to be sent again.
    pub(super) again: Vec<u64>,
    /// What the server said of either.
    pub(super) reason: Option<String>,
}

/// Why a call brought nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It may succeed later.
    Again(String),
    /// It may succeed with fewer records: some of these are what is wrong with it.
    Refused(String),
}

/// Log storage that takes records in calls.
#[derive(Debug)]
pub(super) enum Calls {
    CloudWatch(CloudWatch),
    Firehose(Firehose),
    Otlp(Otlp),
    Loki(Loki),
}

impl Calls {
    /// What one call may hold.
    pub(super) fn bounds(&self) -> Bounds {
        match self {
            Self::CloudWatch(_) => CloudWatch::BOUNDS,
            Self::Firehose(_) => Firehose::BOUNDS,
            Self::Otlp(_) | Self::Loki(_) => Bounds {
                records: 10_000,
                ..Bounds::bytes(1 << 20)
            },
        }
    }

    /// Sends these records.
    pub(super) async fn send(&mut self, batch: &Batch) -> Result<Delivered, Failure> {
        match self {
            Self::CloudWatch(store) => store.send(batch).await,
            Self::Firehose(store) => store.send(batch).await,
            Self::Otlp(store) => store.send(batch).await,
            Self::Loki(store) => store.send(batch).await,
        }
    }
}

/// What an answer without success means, for servers that say no more than a status.
///
/// Statuses about the caller or the address (401, 403, 404) are for an operator to set right, and no record is to blame. Others of
/// the class 4xx are about what was sent.
pub(super) fn status_failure(reply: &Reply) -> Failure {
    let said = String::from_utf8_lossy(&reply.body);
    let said: String = said.trim().chars().take(300).collect();
    let text = format!("answer {}: {said}", reply.status.as_u16());
    match reply.status {
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => Failure::Refused(text),
        _ => Failure::Again(text),
    }
}

/// Compresses a body. Fast rather than small: it is done for each record.
pub(super) fn gzip(bytes: &[u8]) -> Result<Bytes, Failure> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    let done = encoder.write_all(bytes).and_then(|()| encoder.finish());
    done.map(Bytes::from)
        .map_err(|error| Failure::Again(error.to_string()))
}
