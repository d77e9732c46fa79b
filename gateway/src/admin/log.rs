//! Changing what the log says: the only thing that the admin listener lets anybody change.
//!
//! Bounded in size and in time, since nobody is asked who they are. Requests that a browser makes for a page are refused, so that no
//! page that an operator visits can reach the listener through them.

use std::time::{Duration, Instant};

use http::{Method, Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::json;

use super::pages::{JSON_TYPE, TEXT_TYPE, page};
use crate::telemetry::{
    Telemetry,
    events::LogChanged,
    log::{self, ChangeError, Heard},
};

/// How long a change holds, in seconds: when nothing is said, and at most.
const SECONDS: (u64, u64) = (600, 86_400);

/// Answers for `/log`, and for `/logging`, which is what users of Envoy know.
pub(super) fn answer(request: &Parts, telemetry: &Telemetry) -> Response<Full<Bytes>> {
    let method = &request.method;
    if method == Method::GET || method == Method::HEAD {
        return shown();
    }
    let headers = &request.headers;
    if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
        return refused(StatusCode::FORBIDDEN, "not for browsers");
    }
    let query = request.uri.query().unwrap_or_default();
    match *method {
        Method::PUT | Method::POST => change(query, telemetry),
        Method::DELETE => {
            if log::revert(None) {
                tell(telemetry, None);
            }
            shown()
        }
        _ => {
            let mut answer = refused(
                StatusCode::METHOD_NOT_ALLOWED,
                "GET shows the filter, PUT or POST changes it, DELETE takes a change back",
            );
            let allowed = http::HeaderValue::from_static("GET, HEAD, PUT, POST, DELETE");
            answer.headers_mut().insert(header::ALLOW, allowed);
            answer
        }
    }
}

fn change(query: &str, telemetry: &Telemetry) -> Response<Full<Bytes>> {
    let (mut filter, mut seconds) = (None, SECONDS.0);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "filter" | "level" => match decoded(value) {
                Some(text) if filter.is_none() => filter = Some(text),
                _ => return refused(StatusCode::BAD_REQUEST, "one `filter`, in UTF-8"),
            },
            "seconds" => match value.parse() {
                Ok(number) if (1..=SECONDS.1).contains(&number) => seconds = number,
                _ => return refused(StatusCode::BAD_REQUEST, "`seconds` is 1 to 86400"),
            },
            _ => return refused(StatusCode::BAD_REQUEST, "`filter` and `seconds` only"),
        }
    }
    let Some(filter) = filter.filter(|filter| !filter.trim().is_empty()) else {
        return refused(
            StatusCode::BAD_REQUEST,
            "no `filter`, such as `?filter=debug`",
        );
    };
    let until = Instant::now() + Duration::from_secs(seconds);
    match log::change(&filter, until) {
        Ok(()) => {
            tell(telemetry, Some(seconds));
            shown()
        }
        Err(error @ (ChangeError::None | ChangeError::Gone(_))) => {
            refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
        }
        Err(error) => refused(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

fn tell(telemetry: &Telemetry, seconds: Option<u64>) {
    if let Some(Heard { filter, .. }) = log::heard(Instant::now()) {
        telemetry.emit(&LogChanged {
            filter: &filter,
            seconds,
        });
    }
}

fn shown() -> Response<Full<Bytes>> {
    let Some(heard) = log::heard(Instant::now()) else {
        return refused(
            StatusCode::SERVICE_UNAVAILABLE,
            &ChangeError::None.to_string(),
        );
    };
    let reverts = heard.reverts_in.as_ref().map(Duration::as_secs);
    let text = json!({"filter": heard.filter, "revertsInSeconds": reverts});
    page(StatusCode::OK, JSON_TYPE, format!("{text:#}\n"))
}

fn refused(status: StatusCode, why: &str) -> Response<Full<Bytes>> {
    page(status, TEXT_TYPE, format!("{why}\n"))
}

/// A value of a query. Spec: RFC 3986 §2.1.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let text = std::str::from_utf8(&digits).ok()?;
                u8::from_str_radix(text, 16).ok()?
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}
