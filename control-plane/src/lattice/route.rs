//! From method, path and query to an operation and its input.
//!
//! ARNs stand in paths percent-encoded, as one segment: `/services/arn%3Aaws%3A…service%2Fsvc-…`. So the raw path is split first
//! and each segment decoded after. Tools are known to send the ARN behind `/tags/` with plain slashes, which is understood too.

use http::Method;
use serde_json::{Map, Value};

use super::{
    error::ApiError,
    schema::{API, Location, Operation, Segment},
};

/// Most parameters of a query: 200 tag keys leave room.
const MAX_PARAMETERS: usize = 512;

/// An operation, and the members of its input that stand in the path.
type Found = (&'static Operation, Map<String, Value>);

/// The operation that a request asks for, with the members of its input that stand in the path. `None` when there is no such
/// operation.
pub(super) fn find(method: &Method, raw_path: &str) -> Option<Result<Found, ApiError>> {
    let parts: Vec<&str> = raw_path.strip_prefix('/')?.split('/').collect();
    let candidates = API
        .operations
        .iter()
        .filter(|known| known.method == *method);
    for operation in candidates {
        if let Some(labels) = fit(&operation.path, &parts) {
            return Some(decode_labels(labels).map(|labels| (operation, labels)));
        }
    }
    None
}

/// The raw values of the labels, if a path fits.
fn fit(pattern: &'static [Segment], parts: &[&str]) -> Option<Vec<(&'static str, String)>> {
    // The ARN behind `/tags/` may have been sent as it is.
    let rest = match (pattern, parts) {
        ([Segment::Text(first), Segment::Label(name)], [tags, rest @ ..])
            if first == "tags" && tags == first && rest.len() > 1 =>
        {
            return Some(vec![(name.as_str(), rest.join("/"))]);
        }
        _ => parts,
    };
    if pattern.len() != rest.len() {
        return None;
    }
    let mut labels = Vec::new();
    for (segment, part) in pattern.iter().zip(rest) {
        match segment {
            Segment::Text(text) if text == part => {}
            Segment::Label(name) if !part.is_empty() => {
                labels.push((name.as_str(), (*part).to_owned()));
            }
            Segment::Text(_) | Segment::Label(_) => return None,
        }
    }
    Some(labels)
}

fn decode_labels(labels: Vec<(&'static str, String)>) -> Result<Map<String, Value>, ApiError> {
    labels
        .into_iter()
        .map(|(name, raw)| {
            let decoded = decode(raw.as_bytes(), Plus::Stays).ok_or_else(|| {
                ApiError::unreadable(format!("'{name}' in the path is not percent-encoded UTF-8"))
            })?;
            Ok((name.to_owned(), Value::from(decoded)))
        })
        .collect()
}

/// Adds the members that stand in the query. Parameters that are no members are nobody's concern.
pub(super) fn read_query(
    operation: &Operation,
    raw: &str,
    input: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    let pairs = raw.split('&').filter(|pair| !pair.is_empty());
    for (count, pair) in pairs.enumerate() {
        if count == MAX_PARAMETERS {
            let text = format!("more than {MAX_PARAMETERS} parameters in the query");
            return Err(ApiError::unreadable(text));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded =
            decode(name.as_bytes(), Plus::IsSpace).zip(decode(value.as_bytes(), Plus::IsSpace));
        let Some((name, text)) = decoded else {
            return Err(ApiError::unreadable(
                "a parameter of the query is not percent-encoded UTF-8".to_owned(),
            ));
        };
        let members = API.members(operation.input).iter();
        let Some(member) = members
            .filter(|member| member.location == Location::Query)
            .find(|member| member.name == name)
        else {
            continue;
        };
        if API.is_list(member.shape) {
            let list = input
                .entry(name)
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(items) = list {
                items.push(Value::from(text));
            }
        } else if input.contains_key(&name) {
            let text = format!("'{name}' is given twice in the query");
            return Err(ApiError::unreadable(text));
        } else {
            input.insert(name, API.read_text(member.shape, text));
        }
    }
    Ok(())
}

/// What a plus sign means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plus {
    /// Itself: in paths.
    Stays,
    /// A space: in queries.
    IsSpace,
}

fn decode(raw: &[u8], plus: Plus) -> Option<String> {
    let mut plain = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((first, tail)) = rest.split_first() {
        let (byte, tail) = match (first, tail) {
            (b'%', [high, low, after @ ..]) => (hex(*high)? << 4 | hex(*low)?, after),
            (b'%', _) => return None,
            (b'+', _) if plus == Plus::IsSpace => (b' ', tail),
            (byte, _) => (*byte, tail),
        };
        plain.push(byte);
        rest = tail;
    }
    String::from_utf8(plain).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests;
