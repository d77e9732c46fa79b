//! CloudWatch Logs.
//!
//! Each subscription has one log stream for each gateway, so that records of one stream are in order.

use serde_json::{Value, json};

use super::{
    calls::{Delivered, Failure},
    json::JsonApi,
};
use crate::spool::reader::{Batch, Bounds, Item};

/// A log stream of a log group.
#[derive(Debug)]
pub(super) struct CloudWatch {
    pub(super) api: JsonApi,
    pub(super) group: Box<str>,
    pub(super) stream: String,
    /// May the group be created?
    pub(super) create_group: bool,
}

impl CloudWatch {
    /// Source: CloudWatch Logs API reference, `PutLogEvents`: 10,000 events and 1,048,576 bytes, with 26 bytes for each event; within
    /// 24 hours.
    pub(super) const BOUNDS: Bounds = Bounds {
        records: 10_000,
        bytes: 1_048_576,
        overhead: 26,
        before: u64::MAX,
        span: Bounds::DAY,
        within: (0, u64::MAX),
    };

    pub(super) async fn send(&mut self, batch: &Batch) -> Result<Delivered, Failure> {
        let mut items: Vec<Item<'_>> = batch.items().collect();
        // A clock that was set back leaves records out of order, which the API refuses. Stable: equal times keep their order.
        items.sort_by_key(|item| item.time);
        let body = bytes::Bytes::from(self.body(&items)?);
        let mut answer = self.api.call("PutLogEvents", body.clone()).await?;
        if let Err(error) = &answer
            && error.code == "ResourceNotFoundException"
        {
            self.create().await?;
            answer = self.api.call("PutLogEvents", body).await?;
        }
        match answer {
            Ok(answer) => Ok(rejected(&answer, &items)),
            // Only older servers say so: a repeated call whose first answer was lost.
            Err(error) if error.code == "DataAlreadyAcceptedException" => Ok(Delivered::default()),
            Err(error) => Err(error.into_failure()),
        }
    }

    fn body(&self, items: &[Item<'_>]) -> Result<Vec<u8>, Failure> {
        let failed = |error: serde_json::Error| Failure::Again(error.to_string());
        let size = items.iter().map(|item| item.record.len() + 64).sum();
        let mut body: Vec<u8> = Vec::with_capacity(size);
        body.extend_from_slice(b"{\"logGroupName\":");
        serde_json::to_writer(&mut body, &self.group).map_err(failed)?;
        body.extend_from_slice(b",\"logStreamName\":");
        serde_json::to_writer(&mut body, &self.stream).map_err(failed)?;
        body.extend_from_slice(b",\"logEvents\":[");
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(b"{\"timestamp\":");
            body.extend_from_slice(itoa::Buffer::new().format(item.time).as_bytes());
            body.extend_from_slice(b",\"message\":");
            let message = String::from_utf8_lossy(item.record);
            serde_json::to_writer(&mut body, &message).map_err(failed)?;
            body.push(b'}');
        }
        body.extend_from_slice(b"]}");
        Ok(body)
    }

    /// Creates the stream, and the group where that is allowed.
    async fn create(&mut self) -> Result<(), Failure> {
        let stream =
            json!({"logGroupName": &*self.group, "logStreamName": self.stream}).to_string();
        let found = self.api.call("CreateLogStream", stream.clone()).await?;
        let code = found.as_ref().err().map(|error| error.code.as_str());
        if code == Some("ResourceNotFoundException") && self.create_group {
            let group = json!({"logGroupName": &*self.group}).to_string();
            made(self.api.call("CreateLogGroup", group).await?)?;
            return made(self.api.call("CreateLogStream", stream).await?);
        }
        made(found)
    }
}

/// Somebody else may have been faster.
fn made(answer: Result<Value, super::json::ApiError>) -> Result<(), Failure> {
    match answer {
        Err(error) if error.code != "ResourceAlreadyExistsException" => {
            Err(Failure::Again(format!("{}: {}", error.code, error.message)))
        }
        _ => Ok(()),
    }
}

/// Source: CloudWatch Logs API reference, `RejectedLogEventsInfo`: the ends are exclusive, the start is not.
fn rejected(answer: &Value, items: &[Item<'_>]) -> Delivered {
    let Some(info) = answer
        .get("rejectedLogEventsInfo")
        .filter(|info| !info.is_null())
    else {
        return Delivered::default();
    };
    let index = |name: &str| {
        let index = info.get(name).and_then(Value::as_u64)?;
        usize::try_from(index).ok()
    };
    let old = index("tooOldLogEventEndIndex").max(index("expiredLogEventEndIndex"));
    let old = old.unwrap_or(0);
    let new = index("tooNewLogEventStartIndex").unwrap_or(items.len());
    let refused = items.iter().enumerate();
    let refused = refused.filter(|(index, _)| *index < old || *index >= new);
    let refused: Vec<u64> = refused.map(|(_, item)| item.number).collect();
    let reason = (!refused.is_empty()).then(|| format!("too old or too new: {info}"));
    Delivered {
        refused,
        reason,
        ..Delivered::default()
    }
}

#[cfg(test)]
mod tests;
