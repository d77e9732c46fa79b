//! Refusals, as AWS writes them.
//!
//! Source: STS API reference, "Common errors" and the errors of each operation.

use http::StatusCode;
use trellis_policy::sigv4::{SignatureError, SignatureFault};

use crate::{query::QueryError, xml::Xml};

/// The code of an error, which SDKs make exceptions of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    AccessDenied,
    /// Of temporary credentials that are over.
    ExpiredToken,
    /// Of a web identity that is over.
    ExpiredTokenException,
    IncompleteSignature,
    InternalFailure,
    InvalidAction,
    InvalidClientTokenId,
    InvalidIdentityToken,
    InvalidParameterValue,
    MalformedPolicyDocument,
    MalformedQueryString,
    MissingAction,
    MissingAuthenticationToken,
    PackedPolicyTooLarge,
    SignatureDoesNotMatch,
    ValidationError,
}

impl Code {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDenied",
            Self::ExpiredToken => "ExpiredToken",
            Self::ExpiredTokenException => "ExpiredTokenException",
            Self::IncompleteSignature => "IncompleteSignature",
            Self::InternalFailure => "InternalFailure",
            Self::InvalidAction => "InvalidAction",
            Self::InvalidClientTokenId => "InvalidClientTokenId",
            Self::InvalidIdentityToken => "InvalidIdentityToken",
            Self::InvalidParameterValue => "InvalidParameterValue",
            Self::MalformedPolicyDocument => "MalformedPolicyDocument",
            Self::MalformedQueryString => "MalformedQueryString",
            Self::MissingAction => "MissingAction",
            Self::MissingAuthenticationToken => "MissingAuthenticationToken",
            Self::PackedPolicyTooLarge => "PackedPolicyTooLarge",
            Self::SignatureDoesNotMatch => "SignatureDoesNotMatch",
            Self::ValidationError => "ValidationError",
        }
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::AccessDenied
            | Self::ExpiredToken
            | Self::InvalidClientTokenId
            | Self::MissingAuthenticationToken
            | Self::SignatureDoesNotMatch => StatusCode::FORBIDDEN,
            Self::MalformedQueryString => StatusCode::NOT_FOUND,
            Self::InternalFailure => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ExpiredTokenException
            | Self::IncompleteSignature
            | Self::InvalidAction
            | Self::InvalidIdentityToken
            | Self::InvalidParameterValue
            | Self::MalformedPolicyDocument
            | Self::MissingAction
            | Self::PackedPolicyTooLarge
            | Self::ValidationError => StatusCode::BAD_REQUEST,
        }
    }
}

/// A refusal: what the caller is told, and what operators are told besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) message: String,
    /// Why, when the message does not say.
    pub(super) reason: Option<String>,
}

impl Fault {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            reason: None,
        }
    }

    pub(super) fn because(mut self, reason: impl std::fmt::Display) -> Self {
        self.reason = Some(reason.to_string());
        self
    }

    pub(super) fn invalid_action(message: &str) -> Self {
        Self::new(Code::InvalidAction, message)
    }

    pub(super) fn internal() -> Self {
        Self::new(
            Code::InternalFailure,
            "The request processing has failed because of an unknown error, exception or failure.",
        )
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
    pub(super) fn malformed(error: QueryError) -> Self {
        Self::new(
            Code::MalformedQueryString,
            format!("The query string contains a syntax error: {error}"),
        )
    }

    /// A parameter that breaks a rule. Source: texts of the service, "1 validation error detected: …".
    pub(super) fn validation(member: &str, value: Option<&str>, constraint: &str) -> Self {
        let value = value.map_or_else(|| "null".to_owned(), |value| format!("'{}'", shown(value)));
        Self::new(
            Code::ValidationError,
            format!(
                "1 validation error detected: Value {value} at '{member}' failed to satisfy constraint: {constraint}"
            ),
        )
    }

    pub(super) fn signature(error: &SignatureError) -> Self {
        let code = match error.fault() {
            SignatureFault::Incomplete => Code::IncompleteSignature,
            SignatureFault::Invalid => Code::SignatureDoesNotMatch,
            SignatureFault::UnrecognizedClient => Code::InvalidClientTokenId,
            SignatureFault::ExpiredToken => Code::ExpiredToken,
        };
        Self::new(code, error.public_message()).because(error)
    }

    /// The document that the caller gets.
    pub(super) fn body(&self, namespace: &str, id: &str) -> String {
        let kind = if self.code == Code::InternalFailure {
            "Receiver"
        } else {
            "Sender"
        };
        let mut xml = Xml::default();
        xml.within_namespace("ErrorResponse", namespace, |xml| {
            xml.within("Error", |xml| {
                xml.text("Type", kind);
                xml.text("Code", self.code.name());
                xml.text("Message", &self.message);
            });
            xml.text("RequestId", id);
        });
        xml.finish()
    }
}

/// Something of the caller's, short enough to be repeated.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 128;
    let mut shown: String = text.chars().take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}
