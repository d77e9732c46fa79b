//! What requests say about traces.

use http::{HeaderMap, HeaderName, HeaderValue};
use trellis_gateway::trace::{Format, read};

/// Fields, a line each, as `name: value`. Whatever they are, an id that is read can be written as its format has it, and is the same
/// when it is read again; fields that say nothing of traces change nothing.
pub(crate) fn trace(data: &[u8]) {
    let headers = fields(data);
    let Some(incoming) = read(&headers) else {
        return;
    };
    let mut more = headers.clone();
    more.insert("x-other", HeaderValue::from_static("b3"));
    assert_eq!(
        read(&more),
        Some(incoming),
        "a field of another name counts"
    );
    let (Some(trace), Some(parent)) = (incoming.trace, incoming.parent) else {
        assert!(
            incoming.trace.is_some() || incoming.sampled.is_some(),
            "it says nothing and is taken all the same"
        );
        return;
    };
    let sampled = u8::from(incoming.sampled == Some(true));
    let (name, written) = match incoming.format {
        Format::W3c => ("traceparent", format!("00-{trace}-{parent}-0{sampled}")),
        Format::B3 | Format::B3Multi => ("b3", format!("{trace}-{parent}-{sampled}")),
        Format::Amazon => {
            let id = trace.to_string();
            let root = format!("1-{}-{}", &id[..8], &id[8..]);
            (
                "x-amzn-trace-id",
                format!("Root={root};Parent={parent};Sampled={sampled}"),
            )
        }
    };
    let mut again = HeaderMap::new();
    again.insert(name, HeaderValue::from_str(&written).unwrap());
    let again = read(&again).unwrap_or_else(|| panic!("`{written}` is not read"));
    assert_eq!(
        (again.trace, again.parent),
        (Some(trace), Some(parent)),
        "{written}"
    );
}

fn fields(data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(32) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}
