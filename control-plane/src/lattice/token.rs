//! Tokens that make a repeated request the same one.
//!
//! A token is kept with the request's fingerprint and its answer for a day. The same token with another request is refused.

use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Exchange,
    error::{ApiError, ResourceType},
};
use crate::{
    plane::Draft,
    resource::Stamp,
    store::{Condition, Store, Write},
};

/// What the keys of tokens begin with.
pub(crate) const PREFIX: &str = "token/";

/// How long a token is known. The guide does not say; AWS usually keeps tokens for 8 to 24 hours.
pub(crate) const LIFE: Duration = Duration::from_secs(24 * 3600);

/// A token as it is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Kept {
    pub(crate) at: Stamp,
    fingerprint: String,
    answer: Value,
}

impl Kept {
    /// Is it too old to count at this time?
    pub(crate) fn is_over(&self, now: Stamp) -> bool {
        let age = now.millis().saturating_sub(self.at.millis());
        u128::from(age) >= LIFE.as_millis()
    }
}

/// The token of one request.
#[derive(Debug)]
pub(super) struct Token<'a> {
    given: &'a str,
    key: String,
    fingerprint: String,
}

impl<'a> Token<'a> {
    /// The token `given` with this request.
    pub(super) fn new(exchange: &Exchange<'_>, given: &'a str) -> Self {
        let operation = &exchange.operation.name;
        let hash = hex(digest(&SHA256, given.as_bytes()).as_ref());
        let mut asked = exchange.input.clone();
        asked.remove("clientToken");
        let asked = sorted(&Value::Object(asked)).to_string();
        Self {
            given,
            key: format!("{PREFIX}{}/{operation}/{hash}", exchange.account),
            fingerprint: hex(digest(&SHA256, asked.as_bytes()).as_ref()),
        }
    }

    /// The answer that was given to this request before.
    ///
    /// # Errors
    ///
    /// The token was used for another request.
    pub(super) fn replay(&self, store: &dyn Store, now: Stamp) -> Result<Option<Value>, ApiError> {
        let found = store
            .get(&self.key)
            .map_err(|error| ApiError::Internal(error.to_string()))?;
        let Some(kept) = found.and_then(|entry| serde_json::from_slice::<Kept>(&entry.value).ok())
        else {
            return Ok(None);
        };
        if kept.is_over(now) {
            return Ok(None);
        }
        if kept.fingerprint == self.fingerprint {
            return Ok(Some(kept.answer));
        }
        Err(ApiError::conflict(
            ResourceType::Token,
            self.given,
            format!(
                "clientToken {} was used before for a request with other parameters",
                self.given
            ),
        ))
    }

    /// Keeps the answer with the change that it tells of.
    pub(super) fn remember(
        &self,
        draft: &mut Draft<'_>,
        answer: &Value,
        now: Stamp,
    ) -> Result<(), ApiError> {
        let kept = Kept {
            at: now,
            fingerprint: self.fingerprint.clone(),
            answer: answer.clone(),
        };
        let bytes = serde_json::to_vec(&kept)
            .map_err(|error| ApiError::Internal(format!("token: {error}")))?;
        draft.put_token(self.key.clone(), bytes);
        Ok(())
    }
}

/// The same value with the members of its objects in one order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            let members = members.into_iter();
            Value::Object(
                members
                    .map(|(name, value)| (name.clone(), sorted(value)))
                    .collect::<Map<_, _>>(),
            )
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Removes tokens that are over, up to some number of them; how many there were.
pub(crate) fn sweep(store: &dyn Store, now: Stamp) -> Result<usize, crate::store::StoreError> {
    const AT_ONCE: usize = 1000;
    let mut after: Option<String> = None;
    let mut swept = 0;
    loop {
        let range = store.range(PREFIX, after.as_deref(), AT_ONCE)?;
        let Some(last) = range.entries.last() else {
            return Ok(swept);
        };
        after = Some(last.key.clone());
        let over = range.entries.into_iter().filter(|entry| {
            serde_json::from_slice::<Kept>(&entry.value).map_or(true, |kept| kept.is_over(now))
        });
        let mut transaction = crate::store::Transaction::default();
        for entry in over {
            let written = Condition::WrittenAt(entry.key.clone(), entry.revision);
            transaction.conditions.push(written);
            transaction.writes.push(Write {
                key: entry.key,
                value: None,
            });
        }
        let count = transaction.writes.len();
        // Somebody who uses one of them at this moment makes it fail; the next sweep is soon enough.
        if count > 0 && store.commit(transaction).is_ok() {
            swept += count;
        }
    }
}
