//! Lists in pages.
//!
//! A token for the next page names the operation, the account, what was asked for and the last id of this page, with a
//! checksum over all of them, so that it is good for nothing else: an invalid token, or one of another list, is refused. It holds no
//! position, so a list may change between its pages.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::digest::{Context, SHA256};
use serde_json::{Map, Value, json};

use super::{Exchange, error::ApiError};
use crate::{catalog::Entry, resource::Resource};

/// Items of a page, unless something else is asked for. The guide gives no default; this is the most that can be asked for.
const PAGE: usize = 100;

/// Bytes of a token's seal.
const SEAL: usize = 12;

/// Digest of everything that makes a list another one than that.
pub(crate) type ListDigest = [u8; SEAL];

/// Which part of a list is asked for.
#[derive(Debug)]
pub(crate) struct Page {
    most: usize,
    list: ListDigest,
    after: Option<String>,
}

impl Page {
    /// Reads what is asked for.
    pub(crate) fn of(exchange: &Exchange<'_>) -> Result<Self, ApiError> {
        let most = exchange.input.get("maxResults").and_then(Value::as_u64);
        let list = list_digest(exchange);
        let after = exchange
            .optional_text("nextToken")
            .map(|token| {
                let wrong = || ApiError::field("nextToken", "The nextToken is not valid.");
                open(token, &list).ok_or_else(wrong)
            })
            .transpose()?;
        Ok(Self {
            most: most
                .and_then(|most| usize::try_from(most).ok())
                .unwrap_or(PAGE),
            list,
            after,
        })
    }

    /// The last id of the page before.
    pub(crate) fn after<T: Resource>(&self) -> Option<T::Id> {
        self.after.as_deref().and_then(|text| text.parse().ok())
    }

    /// The text that stood at the end of the page before.
    pub(crate) fn after_text(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// One page of the entries, which begin after the page before and are sorted by id.
    pub(crate) fn list<'e, T: Resource>(
        &self,
        entries: impl Iterator<Item = &'e Entry<T>>,
        show: impl Fn(&'e Entry<T>) -> Result<Value, ApiError>,
    ) -> Result<Value, ApiError> {
        self.texts(
            entries.map(|entry| (entry.value.id().to_string(), entry)),
            show,
        )
    }

    /// A list of nothing: of what hangs on something that is not there, or that the caller may not know of, where the model has no error
    /// for that.
    pub(crate) fn nothing(&self) -> Result<Value, ApiError> {
        self.texts(std::iter::empty(), |()| Ok(Value::Null))
    }

    /// One page of items, each with the text that a later page can begin after.
    pub(crate) fn texts<I>(
        &self,
        items: impl Iterator<Item = (String, I)>,
        show: impl Fn(I) -> Result<Value, ApiError>,
    ) -> Result<Value, ApiError> {
        let mut shown = Vec::new();
        let mut last = None;
        let mut items = items.peekable();
        while shown.len() < self.most {
            let Some((id, item)) = items.next() else {
                break;
            };
            shown.push(show(item)?);
            last = Some(id);
        }
        let mut answer = Map::new();
        answer.insert("items".to_owned(), Value::Array(shown));
        if let Some(last) = last.filter(|_| items.peek().is_some()) {
            answer.insert("nextToken".to_owned(), Value::from(seal(&last, &self.list)));
        }
        Ok(Value::Object(answer))
    }
}

fn list_digest(exchange: &Exchange<'_>) -> ListDigest {
    let mut asked: Vec<(&String, &Value)> = exchange
        .input
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "nextToken" | "maxResults"))
        .collect();
    asked.sort_unstable_by_key(|(name, _)| *name);
    digest(&json!([exchange.operation.name, exchange.account, asked]))
}

/// The digest of a list, from everything that makes it another one than that.
pub(crate) fn digest(list: &Value) -> ListDigest {
    short_digest(&[list.to_string().as_bytes()])
}

/// A token for what comes after `after` in a list.
pub(crate) fn seal(after: &str, list: &ListDigest) -> String {
    let mut bytes = short_digest(&[list, after.as_bytes()]).to_vec();
    bytes.extend(after.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a token of a list stands for, if it is one.
pub(crate) fn open(token: &str, list: &ListDigest) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (sealed, after) = bytes.split_at_checked(SEAL)?;
    let genuine = short_digest(&[list, after]) == sealed;
    genuine
        .then(|| String::from_utf8(after.to_vec()).ok())
        .flatten()
}

/// The first bytes of a digest. What it protects against is confusion, not forgery: whoever makes up a token reads a part of a list that
/// the caller may read anyway.
fn short_digest(parts: &[&[u8]]) -> [u8; SEAL] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut short = [0; SEAL];
    for (short, byte) in short.iter_mut().zip(context.finish().as_ref()) {
        *short = *byte;
    }
    short
}
