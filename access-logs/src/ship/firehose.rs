//! Data Firehose.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    calls::{Delivered, Failure},
    json::JsonApi,
};
use crate::spool::reader::{Batch, Bounds};

/// A delivery stream.
#[derive(Debug)]
pub(super) struct Firehose {
    pub(super) api: JsonApi,
    pub(super) stream: Box<str>,
}

impl Firehose {
    /// Source: Data Firehose API reference, `PutRecordBatch`: 500 records and 4 MiB, before their encoding in base64. One byte more for
    /// each is the line end.
    pub(super) const BOUNDS: Bounds = Bounds {
        records: 500,
        bytes: 4 << 20,
        overhead: 1,
        before: u64::MAX,
        span: u64::MAX,
        within: (0, u64::MAX),
    };

    pub(super) async fn send(&mut self, batch: &Batch) -> Result<Delivered, Failure> {
        let answer = self.api.call("PutRecordBatch", self.body(batch)?).await?;
        match answer {
            Ok(answer) => failed(&answer, batch),
            Err(error) => Err(error.into_failure()),
        }
    }

    fn body(&self, batch: &Batch) -> Result<String, Failure> {
        let name = serde_json::to_string(&self.stream)
            .map_err(|error| Failure::Again(error.to_string()))?;
        let mut body = format!("{{\"DeliveryStreamName\":{name},\"Records\":[");
        let mut line = Vec::new();
        for (index, item) in batch.items().enumerate() {
            if index > 0 {
                body.push(',');
            }
            line.clear();
            line.extend_from_slice(item.record);
            line.push(b'\n');
            body.push_str("{\"Data\":\"");
            STANDARD.encode_string(&line, &mut body);
            body.push_str("\"}");
        }
        body.push_str("]}");
        Ok(body)
    }
}

/// Which records have to be sent again. Source: Data Firehose API reference, `PutRecordBatch`: one response for each record, in order;
/// those that failed have an `ErrorCode`.
fn failed(answer: &Value, batch: &Batch) -> Result<Delivered, Failure> {
    let count = answer.get("FailedPutCount").and_then(Value::as_u64);
    if count == Some(0) {
        return Ok(Delivered::default());
    }
    let responses = answer.get("RequestResponses").and_then(Value::as_array);
    let Some(responses) = responses.filter(|responses| responses.len() == batch.len()) else {
        return Err(Failure::Again(
            "an answer that does not say what became of each record".to_owned(),
        ));
    };
    let mut delivered = Delivered::default();
    for (item, response) in batch.items().zip(responses) {
        if let Some(code) = response.get("ErrorCode").and_then(Value::as_str) {
            delivered.again.push(item.number);
            delivered
                .reason
                .get_or_insert_with(|| code.chars().take(100).collect());
        }
    }
    Ok(delivered)
}

#[cfg(test)]
mod tests;
