//! The meaning of rules once more, as plainly as it can be said and sharing nothing with the tables.

use trellis_model::config::{
    Case, HeaderMatch, HeaderMatchKind, HttpMatch, PathMatch, PathMatchKind,
};

use crate::rules::RequestParts;

/// Position of the first rule that fits.
pub(super) fn first_match(rules: &[HttpMatch], request: &RequestParts<'_>) -> Option<usize> {
    rules
        .iter()
        .position(|rule| failure(rule, request).is_none())
}

/// The first condition that does not hold: `method`, `path`, or the number of a header condition.
pub(super) fn failure(rule: &HttpMatch, request: &RequestParts<'_>) -> Option<String> {
    if rule
        .method
        .as_deref()
        .is_some_and(|method| method != request.method)
    {
        return Some("method".to_owned());
    }
    if rule
        .path
        .as_ref()
        .is_some_and(|path| !path_fits(path, request.path))
    {
        return Some("path".to_owned());
    }
    let headers = &rule.headers;
    let failed = headers
        .iter()
        .position(|condition| !header_fits(condition, request))?;
    Some(failed.to_string())
}

fn path_fits(condition: &PathMatch, path: &[u8]) -> bool {
    let path = cased(path, condition.case);
    let value = cased(condition.value.as_bytes(), condition.case);
    match condition.kind {
        PathMatchKind::Exact => path == value,
        PathMatchKind::Prefix => path.starts_with(&value),
    }
}

fn header_fits(condition: &HeaderMatch, request: &RequestParts<'_>) -> bool {
    let mut values: Vec<Vec<u8>> = request
        .headers
        .iter()
        .filter(|(name, _)| name.as_str() == &*condition.name)
        .map(|(_, value)| value.as_bytes().to_vec())
        .collect();
    if &*condition.name == "host" {
        values = vec![request.authority.to_vec()];
        values.retain(|authority| !authority.is_empty());
    }
    if values.is_empty() {
        return false;
    }
    let separator: &[u8] = if &*condition.name == "cookie" {
        b"; "
    } else {
        b", "
    };
    values.push(values.join(separator));
    let wanted = cased(condition.value.as_bytes(), condition.case);
    values
        .iter()
        .map(|value| cased(value, condition.case))
        .any(|value| match condition.kind {
            HeaderMatchKind::Exact => value == wanted,
            HeaderMatchKind::Prefix => value.starts_with(&wanted),
            HeaderMatchKind::Contains => {
                (0..=value.len()).any(|start| value[start..].starts_with(&wanted))
            }
        })
}

fn cased(text: &[u8], case: Case) -> Vec<u8> {
    match case {
        Case::Sensitive => text.to_vec(),
        Case::Insensitive => text.to_ascii_lowercase(),
    }
}
