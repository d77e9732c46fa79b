//! What neighbors refuse, and how each protocol tells it.

use http::StatusCode;
use serde_json::json;
use trellis_policy::sigv4::{SignatureError, SignatureFault};

use crate::{call::Content, caller::Stranger, lattice::error::ApiError, xml::Xml};

/// A refusal. What it says is for the caller unless it is ours.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// In the words of the service.
    Told {
        code: &'static str,
        status: StatusCode,
        message: String,
    },
    /// The caller may not.
    Denied(String),
    /// Nobody knows who calls.
    Stranger(Stranger),
    /// No such operation is served.
    Unknown(String),
    /// The input cannot be read.
    Unreadable(String),
    /// Too many changes at once.
    Throttled,
    /// We failed; the text is for operators.
    Internal(String),
}

/// A refusal as it is sent.
#[derive(Debug)]
pub(crate) struct Told {
    pub(super) code: &'static str,
    pub(super) status: StatusCode,
    pub(super) body: String,
}

/// How a protocol tells refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// AWS's JSON protocols.
    Json,
    /// AWS's Query protocol, with the namespace of its answers.
    Query(&'static str),
    /// EC2's variant of it.
    Ec2,
}

impl Refusal {
    /// A refusal with status 400 in the words of a service.
    pub(crate) fn told(code: &'static str, message: impl Into<String>) -> Self {
        Self::with_status(code, StatusCode::BAD_REQUEST, message)
    }

    /// The same with another status.
    pub(crate) fn with_status(
        code: &'static str,
        status: StatusCode,
        message: impl Into<String>,
    ) -> Self {
        Self::Told {
            code,
            status,
            message: message.into(),
        }
    }

    /// There is no such operation, or not here.
    pub(crate) fn unknown(name: &str) -> Self {
        let shown: String = name.chars().take(64).collect();
        Self::Unknown(format!("The operation `{shown}` is not served here."))
    }

    fn message(&self) -> String {
        match self {
            Self::Told { message, .. }
            | Self::Denied(message)
            | Self::Unknown(message)
            | Self::Unreadable(message) => message.clone(),
            Self::Stranger(Stranger::Unsigned) => {
                "Request is missing Authentication Token".to_owned()
            }
            Self::Stranger(Stranger::Signature(error)) => error.public_message(),
            Self::Throttled => "Rate exceeded".to_owned(),
            Self::Stranger(Stranger::Nobody) | Self::Internal(_) => {
                "An internal error occurred".to_owned()
            }
        }
    }

    /// Why, for operators.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Internal(reason) => reason.clone(),
            Self::Stranger(Stranger::Signature(error)) => error.to_string(),
            Self::Stranger(Stranger::Nobody) => "a verified signature is nobody's".to_owned(),
            other => other.message(),
        }
    }
}

impl From<Stranger> for Refusal {
    fn from(stranger: Stranger) -> Self {
        Self::Stranger(stranger)
    }
}

/// What the store and the drafts of changes refuse.
impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::AccessDenied(message) => Self::Denied(message),
            ApiError::Throttled(_) => Self::Throttled,
            other => Self::Internal(other.reason()),
        }
    }
}

impl Dialect {
    pub(super) fn content(self) -> Content {
        match self {
            Self::Json => Content::AwsJson,
            Self::Query(_) | Self::Ec2 => Content::Xml,
        }
    }

    /// Puts a refusal in words.
    pub(super) fn tell(self, refusal: &Refusal, id: &str) -> Told {
        let (code, status) = self.words(refusal);
        let message = refusal.message();
        let body = match self {
            Self::Json => json!({"__type": code, "message": message}).to_string(),
            Self::Query(namespace) => query_error(namespace, (code, status), &message, id),
            Self::Ec2 => ec2_error(code, &message, id),
        };
        Told { code, status, body }
    }

    fn words(self, refusal: &Refusal) -> (&'static str, StatusCode) {
        // JSON, Query, EC2.
        let (names, status) = match refusal {
            Refusal::Told { code, status, .. } => return (code, *status),
            Refusal::Denied(_) => (
                [
                    "AccessDeniedException",
                    "AccessDenied",
                    "UnauthorizedOperation",
                ],
                // Source: AWS JSON services refuse with 400, REST and XML ones with 403.
                if self == Self::Json {
                    StatusCode::BAD_REQUEST
                } else {
                    StatusCode::FORBIDDEN
                },
            ),
            Refusal::Stranger(Stranger::Unsigned) => (
                [
                    "MissingAuthenticationTokenException",
                    "MissingAuthenticationToken",
                    "AuthFailure",
                ],
                StatusCode::FORBIDDEN,
            ),
            Refusal::Stranger(Stranger::Signature(error)) => (
                signature(error),
                if self == Self::Json {
                    StatusCode::BAD_REQUEST
                } else {
                    StatusCode::FORBIDDEN
                },
            ),
            Refusal::Unknown(_) => (
                [
                    "UnknownOperationException",
                    "InvalidAction",
                    "InvalidAction",
                ],
                StatusCode::BAD_REQUEST,
            ),
            Refusal::Unreadable(_) => (
                [
                    "SerializationException",
                    "MalformedQueryString",
                    "MalformedQueryString",
                ],
                StatusCode::BAD_REQUEST,
            ),
            Refusal::Throttled => (
                ["ThrottlingException", "Throttling", "RequestLimitExceeded"],
                StatusCode::BAD_REQUEST,
            ),
            Refusal::Stranger(Stranger::Nobody) | Refusal::Internal(_) => (
                ["InternalFailure", "InternalFailure", "InternalError"],
                StatusCode::INTERNAL_SERVER_ERROR,
            ),
        };
        let [in_json, in_query, in_ec2] = names;
        let code = match self {
            Self::Json => in_json,
            Self::Query(_) => in_query,
            Self::Ec2 => in_ec2,
        };
        (code, status)
    }
}

fn signature(error: &SignatureError) -> [&'static str; 3] {
    match error.fault() {
        SignatureFault::Incomplete => [
            "IncompleteSignatureException",
            "IncompleteSignature",
            "AuthFailure",
        ],
        SignatureFault::Invalid => [
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "AuthFailure",
        ],
        SignatureFault::UnrecognizedClient => [
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "AuthFailure",
        ],
        SignatureFault::ExpiredToken => ["ExpiredTokenException", "ExpiredToken", "RequestExpired"],
    }
}

fn query_error(
    namespace: &str,
    (code, status): (&str, StatusCode),
    message: &str,
    id: &str,
) -> String {
    let at_fault = if status.is_server_error() {
        "Receiver"
    } else {
        "Sender"
    };
    let mut xml = Xml::default();
    xml.within_namespace("ErrorResponse", namespace, |xml| {
        xml.within("Error", |xml| {
            xml.text("Type", at_fault);
            xml.text("Code", code);
            xml.text("Message", message);
        });
        xml.text("RequestId", id);
    });
    xml.finish()
}

fn ec2_error(code: &str, message: &str, id: &str) -> String {
    let mut xml = Xml::default();
    xml.within("Response", |xml| {
        xml.within("Errors", |xml| {
            xml.within("Error", |xml| {
                xml.text("Code", code);
                xml.text("Message", message);
            });
        });
        xml.text("RequestID", id);
    });
    xml.finish()
}
