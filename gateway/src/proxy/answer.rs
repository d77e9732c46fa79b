//! Answers that the gateway gives itself.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use pingora_error::{Error, ErrorSource, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use trellis_access_logs::record::{FailureReason, Phase};

use super::{
    exchange::{Exchange, Stage},
    tell::EXPLAIN,
};
use crate::h1::Violation;

/// Longest time in which what a client still sends of an answered request is read and thrown away.
const LINGER: Duration = Duration::from_secs(1);

/// Most bytes read in that time: more than what is under way when a client hears of the answer, which over HTTP/2 its window bounds.
const LINGER_BYTES: usize = 8 * 1024 * 1024;

/// An answer of the gateway's own: status, text for the client, reason for the record.
///
/// Texts say nothing about targets, policies or other tenants. Those of refusals are VPC Lattice's; the others are ours and short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    status: u16,
    text: Cow<'static, str>,
    failure: Option<FailureReason>,
}

impl Answer {
    const fn new(status: u16, text: &'static str, failure: Option<FailureReason>) -> Self {
        Self {
            status,
            text: Cow::Borrowed(text),
            failure,
        }
    }

    /// The fixed response of a rule: no body.
    pub(super) fn fixed(status: u16) -> Self {
        Self::new(status, "", None)
    }

    /// No such service here, or none that this caller may know of.
    pub(super) fn not_found() -> Self {
        Self::new(
            404,
            "Not Found: no service of this network has that host and port",
            None,
        )
    }

    /// The TLS server name and the host name different services.
    pub(super) fn misdirected() -> Self {
        Self::new(
            421,
            "Misdirected Request: the host is not the one that the TLS connection is for",
            None,
        )
    }

    /// What the client showed in its handshake is not what the service asks for. A new connection may do better.
    ///
    /// Spec: RFC 9110 §15.5.20, 421.
    pub(super) fn uncertified() -> Self {
        Self::new(
            421,
            "Misdirected Request: the TLS connection was not made with a client certificate that the service accepts now",
            None,
        )
    }

    /// The head is malformed or exceeds a limit.
    pub(super) fn malformed() -> Self {
        Self::new(400, "Bad Request", Some(FailureReason::ClientProtocolError))
    }

    /// The bytes of the request break the rules of HTTP/1.
    pub(super) fn refused(violation: Violation) -> Self {
        Self {
            status: violation.status(),
            text: Cow::Owned(violation.to_string()),
            failure: Some(FailureReason::ClientProtocolError),
        }
    }

    /// A signature or a policy refused, in the words of the authorizer.
    pub(super) fn forbidden(status: u16, text: String) -> Self {
        Self {
            status,
            text: Cow::Owned(text),
            failure: Some(FailureReason::ClientAccessDenied),
        }
    }

    /// The client's protocol cannot be carried to the target group's.
    pub(super) fn unsupported_version(status: u16) -> Self {
        Self::new(
            status,
            "the service does not speak the protocol version of this request",
            Some(FailureReason::ClientProtocolError),
        )
    }

    /// A fault of the gateway.
    pub(super) fn internal_error() -> Self {
        Self::new(
            500,
            "Internal Server Error",
            Some(FailureReason::InternalError),
        )
    }

    /// The request does not fit into the event of a function. Nothing is wrong with it otherwise.
    pub(super) fn too_large() -> Self {
        Self::new(
            413,
            "Content Too Large: a function takes requests of 6 MiB at most",
            Some(FailureReason::ClientProtocolError),
        )
    }

    /// A failure on the way to or from a target.
    pub(super) fn failed(status: u16, failure: FailureReason) -> Self {
        let text = match status {
            400 => "Bad Request",
            408 => "Request Timeout",
            500 => "Internal Server Error: no connection to a target",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            _ => "",
        };
        Self::new(status, text, Some(failure))
    }

    /// The status.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// The text for the client.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Sends it.
    pub(super) async fn send(self, session: &mut Session, exchange: &mut Exchange) -> Result<()> {
        exchange.status = Some(self.status);
        exchange.failure = self.failure.or(exchange.failure);
        exchange.announce_end(session);
        if self.failure == Some(FailureReason::ClientProtocolError) {
            // Whoever sends one malformed request may have meant what follows differently than we read it.
            session.set_keepalive(None);
        }
        exchange.stage = Stage::Answered {
            matched: exchange.matched(),
        };
        exchange.stopwatch.enter(Phase::Body);
        let body = match self.text {
            Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
            Cow::Owned(text) => Bytes::from(text),
        };
        let without_body = body.is_empty() || session.req_header().method == Method::HEAD;
        let mut header = self::header(self.status, body.len(), &exchange.request_id)?;
        if let Some(explanation) = &exchange.explanation {
            header.insert_header(EXPLAIN, explanation.clone())?;
        }
        let sent = async {
            session
                .write_response_header(Box::new(header), without_body)
                .await?;
            if !without_body {
                session.write_response_body(Some(body), true).await?;
            }
            Ok(())
        };
        // A client that went away before its answer is an ordinary end, and the record says so.
        sent.await.map_err(|error: Box<Error>| {
            exchange
                .failure
                .get_or_insert(FailureReason::ClientConnectionClosed);
            if *error.esource() == ErrorSource::Unset {
                error.into_down()
            } else {
                error
            }
        })?;
        exchange.concluded = Some(Instant::now());
        linger(session).await;
        Ok(())
    }

    /// The whole answer as HTTP/1.1 bytes, for requests that never reached the engine. The connection closes after it.
    pub(super) fn to_bytes(&self, request_id: &HeaderValue) -> Vec<u8> {
        let reason = http::StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("");
        let mut bytes = format!(
            "HTTP/1.1 {} {reason}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\nx-amzn-requestid: ",
            self.status,
            self.text.len()
        )
        .into_bytes();
        bytes.extend_from_slice(request_id.as_bytes());
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(self.text.as_bytes());
        bytes
    }
}

/// Reads for a moment what the client still sends of its request.
///
/// Over HTTP/2 the stream would else be reset as soon as the answer is out. RFC 9113 §8.1 allows that and asks clients to use the
/// answer all the same, but many, curl among them, then lose it. Over HTTP/1 a connection that is closed with something unread is
/// reset, which can overtake the answer (RFC 9112 §9.6).
async fn linger(session: &mut Session) {
    let client = session.as_downstream_mut();
    client.set_total_drain_timeout(Some(LINGER));
    if client.is_body_done() {
        return;
    }
    let reading = async {
        let mut total = 0;
        while total < LINGER_BYTES
            && let Ok(Some(bytes)) = client.read_request_body().await
        {
            total += bytes.len();
        }
    };
    // Whoever sends on beyond the bounds, or leaves, has had the answer.
    let _ = tokio::time::timeout(LINGER, reading).await;
}

fn header(status: u16, length: usize, request_id: &HeaderValue) -> Result<ResponseHeader> {
    let mut header = ResponseHeader::build(status, Some(4))?;
    if length > 0 {
        header.insert_header(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"))?;
    }
    header.insert_header(header::CONTENT_LENGTH, HeaderValue::from(length))?;
    header.insert_header("x-amzn-requestid", request_id.clone())?;
    Ok(header)
}
