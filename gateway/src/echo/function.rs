//! An echo as the endpoint of a function: it answers calls of the Lambda Invoke API with the event that they bring.

use bytes::Bytes;
use http::{Method, StatusCode, request::Parts};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::json;

use super::body::Died;

/// Most bytes of an event. Source: Lambda's quota.
const EVENT_BYTES: usize = 6 * 1024 * 1024;

/// Is it a call of the API? Source: Lambda API reference, `Invoke`.
pub(super) fn is_call(head: &Parts) -> bool {
    let path = head.uri.path().rsplit_once("/2015-03-31/functions/");
    head.method == Method::POST
        && path.is_some_and(|(_, call)| {
            call.strip_suffix("/invocations")
                .is_some_and(|function| !function.is_empty() && !function.contains('/'))
        })
}

/// The result of the call: an answer to the request of the event, with the event as its body.
pub(super) async fn result(body: Incoming) -> Result<(StatusCode, Bytes), Died> {
    let Ok(event) = Limited::new(body, EVENT_BYTES).collect().await else {
        return Err(Died);
    };
    let event = event.to_bytes();
    let Ok(event) = std::str::from_utf8(&event) else {
        return Ok((StatusCode::BAD_REQUEST, Bytes::new()));
    };
    let result = json!({
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": event,
    });
    Ok((StatusCode::OK, result.to_string().into()))
}
