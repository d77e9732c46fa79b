//! A call and its answer.

use std::{net::IpAddr, time::SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

/// A call as it came.
#[derive(Debug)]
pub struct Call {
    /// Its method.
    pub method: Method,
    /// Its path, raw.
    pub path: Box<str>,
    /// Its query, raw.
    pub query: Option<Box<str>>,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its body, whole.
    pub body: Bytes,
    /// Where it comes from.
    pub source: IpAddr,
    /// When it came.
    pub at: SystemTime,
    /// Its id, drawn for it.
    pub id: Box<str>,
}

/// What is sent back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// What the body is.
    pub content: Content,
    /// The body. Where it holds credentials it is a secret.
    pub body: String,
    /// The name of the error, for protocols that have it in a header.
    pub error_type: Option<&'static str>,
    /// Seconds after which the caller may try again.
    pub retry_after: Option<u64>,
    /// What happened, for log and metrics.
    pub outcome: Outcome,
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// XML, of the Query protocols.
    Xml,
    /// JSON, of the REST protocol.
    Json,
    /// JSON, of the protocol with targets.
    AwsJson,
}

impl Content {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Xml => "text/xml",
            Self::Json => "application/json",
            Self::AwsJson => "application/x-amz-json-1.1",
        }
    }
}

impl Answer {
    /// An answer in XML.
    pub(crate) fn xml(status: StatusCode, body: String, outcome: Outcome) -> Self {
        Self {
            status,
            content: Content::Xml,
            body,
            error_type: None,
            retry_after: None,
            outcome,
        }
    }

    /// An answer in JSON.
    pub(crate) fn json(status: StatusCode, body: String, outcome: Outcome) -> Self {
        Self {
            content: Content::Json,
            ..Self::xml(status, body, outcome)
        }
    }
}

/// What happened to a call. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The operation, when it is one of ours.
    pub operation: Option<&'static str>,
    /// The code of the error, when it is one.
    pub error: Option<&'static str>,
    /// Who called, once that is known: an ARN, or the subject that an identity provider vouched for.
    pub caller: Option<String>,
    /// The role that the call was about.
    pub role: Option<String>,
    /// The session that began.
    pub session: Option<String>,
    /// Why it was refused, for operators.
    pub reason: Option<String>,
}
