//! The head of a supposed request, as the engine would hand it to the request path.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header, request::Parts};
use pingora_http::RequestHeader;
use trellis_model::config::Limits;

use super::{End, Supposed, refused};
use crate::{
    h1::{self, HeadEnd, HeadLimits, Violation},
    proxy::answer::Answer,
};

/// Fields that HTTP/2 forbids, because they belong to one connection. Spec: RFC 9113 §8.2.2.
const CONNECTION_FIELDS: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

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

/// Puts the head together; the error says what the engine's HTTP/2 takes for a malformed request.
fn http2(supposed: &Supposed) -> Result<RequestHeader, String> {
    let uri = Uri::builder()
        .scheme(if supposed.tls.is_some() {
            "https"
        } else {
            "http"
        })
        .authority(supposed.authority.as_str())
        .path_and_query(supposed.target.as_str())
        .build()
        .map_err(|error| error.to_string())?;
    let mut fields = HeaderMap::new();
    for (name, value) in &supposed.fields {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        if CONNECTION_FIELDS.contains(&name) || (name == header::TE && value != "trailers") {
            return Err(format!("HTTP/2 forbids the header `{name}`"));
        }
        let value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
        fields.append(name, value);
    }
    let mut parts: Parts = http::Request::new(()).into_parts().0;
    parts.method =
        Method::from_bytes(supposed.method.as_bytes()).map_err(|error| error.to_string())?;
    parts.uri = uri;
    parts.version = Version::HTTP_2;
    parts.headers = fields;
    Ok(RequestHeader::from(parts))
}
