//! The head of a supposed request, as the engine would hand it to the request path.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, request::Parts};
use pingora_http::RequestHeader;
use trellis_model::config::Limits;

use super::{End, Supposed, refused};
use crate::{
    h1::{self, HeadEnd, HeadLimits, Violation},
    h2,
    proxy::answer::Answer,
};

/// The head, or the end that a request with such a head finds before anything is decided.
pub(super) fn of(supposed: &Supposed, limits: &Limits) -> Result<RequestHeader, End> {
    if supposed.version == Version::HTTP_2 {
        http2(supposed).map_err(|reason| End::Unanswered {
            reason: format!("the stream is reset: {reason}"),
        })
    } else {
        http1(supposed, limits)
            .map_err(|violation| refused(&Answer::refused(violation), violation.to_string()))
    }
}

/// Writes the head, checks its bytes as those of a client, and reads it as the engine does.
fn http1(supposed: &Supposed, limits: &Limits) -> Result<RequestHeader, Violation> {
    let bytes = written(supposed);
    let limits = HeadLimits {
        bytes: limits.header_bytes,
        fields: limits.headers,
    };
    let HeadEnd::At(end) = h1::find_end(&bytes, 0)? else {
        return Err(Violation::Incomplete);
    };
    let bytes = bytes.get(..end).unwrap_or_default();
    h1::check(bytes, limits)?;
    let mut fields = vec![httparse::EMPTY_HEADER; limits.fields];
    let mut parsed = httparse::Request::new(&mut fields);
    parsed.parse(bytes).map_err(|_| Violation::RequestLine)?;
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else {
        return Err(Violation::RequestLine);
    };
    let mut head = RequestHeader::build(method, target.as_bytes(), Some(parsed.headers.len()))
        .map_err(|_| Violation::RequestLine)?;
    head.set_version(supposed.version);
    for field in parsed.headers.iter() {
        head.append_header(field.name.to_owned(), field.value)
            .map_err(|_| Violation::Field)?;
    }
    Ok(head)
}

fn written(supposed: &Supposed) -> Vec<u8> {
    let Supposed {
        method,
        target,
        authority,
        fields,
        version,
        ..
    } = supposed;
    let mut text = format!("{method} {target} {version:?}\r\nhost: {authority}\r\n");
    for (name, value) in fields {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// Puts the head together; the error says why the stream of such a request would be reset.
fn http2(supposed: &Supposed) -> Result<RequestHeader, String> {
    let scheme = if supposed.tls.is_some() {
        "https"
    } else {
        "http"
    };
    // Clients send names in lower case, however they were given to them.
    let fields: Vec<(String, &str)> = supposed
        .fields
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
        .collect();
    let pseudo = [
        (":method", supposed.method.as_str()),
        (":authority", &supposed.authority),
        (":scheme", scheme),
        (":path", &supposed.target),
    ];
    // Spec: RFC 9113 §8.5: a tunnel has neither scheme nor path.
    let pseudo_count = if supposed.method == "CONNECT" { 2 } else { 4 };
    let all = pseudo
        .into_iter()
        .take(pseudo_count)
        .chain(fields.iter().map(|(name, value)| (name.as_str(), *value)))
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    h2::check_request(all, false).map_err(|fault| fault.to_string())?;
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(supposed.authority.as_str())
        .path_and_query(supposed.target.as_str())
        .build()
        .map_err(|error| error.to_string())?;
    let mut headers = HeaderMap::new();
    for (name, value) in &fields {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        let value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
        headers.append(name, value);
    }
    let mut parts: Parts = http::Request::new(()).into_parts().0;
    parts.method =
        Method::from_bytes(supposed.method.as_bytes()).map_err(|error| error.to_string())?;
    parts.uri = uri;
    parts.version = Version::HTTP_2;
    parts.headers = headers;
    Ok(RequestHeader::from(parts))
}
