//! Refusals, as the API documents them.
//!
//! Source: VPC Lattice API model; user guide and `docs/conformance.md` for what the model does not say.

use std::fmt;

use http::StatusCode;
use serde_json::{Map, Value, json};
use trellis_policy::sigv4::{SignatureError, SignatureFault};

use super::schema::{Complaint, Complaints};

/// A kind of resource, as errors name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ResourceType {
    AccessLogSubscription,
    AuthPolicy,
    DomainVerification,
    Listener,
    ManagedPolicy,
    ResourceConfiguration,
    ResourceEndpointAssociation,
    ResourceGateway,
    ResourcePolicy,
    Role,
    Rule,
    Service,
    ServiceNetwork,
    ServiceNetworkResourceAssociation,
    ServiceNetworkServiceAssociation,
    ServiceNetworkVpcAssociation,
    Target,
    TargetGroup,
    Token,
    User,
    Vpc,
}

impl ResourceType {
    /// As errors have it, `TARGET_GROUP`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AccessLogSubscription => "ACCESS_LOG_SUBSCRIPTION",
            Self::AuthPolicy => "AUTH_POLICY",
            Self::DomainVerification => "DOMAIN_VERIFICATION",
            Self::Listener => "LISTENER",
            Self::ManagedPolicy => "POLICY",
            Self::ResourceConfiguration => "RESOURCE_CONFIGURATION",
            Self::ResourceEndpointAssociation => "RESOURCE_ENDPOINT_ASSOCIATION",
            Self::ResourceGateway => "RESOURCE_GATEWAY",
            Self::ResourcePolicy => "RESOURCE_POLICY",
            Self::Role => "ROLE",
            Self::Rule => "RULE",
            Self::Service => "SERVICE",
            Self::ServiceNetwork => "SERVICE_NETWORK",
            Self::ServiceNetworkResourceAssociation => "SERVICE_NETWORK_RESOURCE_ASSOCIATION",
            Self::ServiceNetworkServiceAssociation => "SERVICE_NETWORK_SERVICE_ASSOCIATION",
            Self::ServiceNetworkVpcAssociation => "SERVICE_NETWORK_VPC_ASSOCIATION",
            Self::Target => "TARGET",
            Self::TargetGroup => "TARGET_GROUP",
            Self::Token => "CLIENT_TOKEN",
            Self::User => "USER",
            Self::Vpc => "VPC",
        }
    }

    /// As messages have it, `TargetGroup`.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::AccessLogSubscription => "AccessLogSubscription",
            Self::AuthPolicy => "AuthPolicy",
            Self::DomainVerification => "DomainVerification",
            Self::Listener => "Listener",
            Self::ManagedPolicy => "Policy",
            Self::ResourceConfiguration => "ResourceConfiguration",
            Self::ResourceEndpointAssociation => "ResourceEndpointAssociation",
            Self::ResourceGateway => "ResourceGateway",
            Self::ResourcePolicy => "ResourcePolicy",
            Self::Role => "Role",
            Self::Rule => "Rule",
            Self::Service => "Service",
            Self::ServiceNetwork => "ServiceNetwork",
            Self::ServiceNetworkResourceAssociation => "ServiceNetworkResourceAssociation",
            Self::ServiceNetworkServiceAssociation => "ServiceNetworkServiceAssociation",
            Self::ServiceNetworkVpcAssociation => "ServiceNetworkVpcAssociation",
            Self::Target => "Target",
            Self::TargetGroup => "TargetGroup",
            Self::Token => "ClientToken",
            Self::User => "User",
            Self::Vpc => "Vpc",
        }
    }
}

/// Why an input is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValidationReason {
    UnknownOperation,
    CannotParse,
    FieldValidationFailed,
    Other,
}

impl ValidationReason {
    fn name(self) -> &'static str {
        match self {
            Self::UnknownOperation => "unknownOperation",
            Self::CannotParse => "cannotParse",
            Self::FieldValidationFailed => "fieldValidationFailed",
            Self::Other => "other",
        }
    }
}

/// A refusal. What it says is for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// The input is wrong; the caller must act.
    Validation {
        reason: ValidationReason,
        message: String,
        fields: Vec<(String, String)>,
    },
    /// The caller may not.
    AccessDenied(String),
    /// The signature is wrong or missing: the code, and the text.
    Unauthenticated {
        code: &'static str,
        status: StatusCode,
        message: String,
        reason: String,
    },
    /// No such resource, as far as the caller may know.
    NotFound { kind: ResourceType, id: String },
    /// The state of a resource is against it.
    Conflict {
        kind: ResourceType,
        id: String,
        message: String,
    },
    /// There would be too many.
    Quota {
        kind: ResourceType,
        code: &'static str,
        message: String,
    },
    /// Too many calls: seconds to wait.
    Throttled(u64),
    /// We failed; the second text is for operators.
    Internal(String),
}

impl ApiError {
    /// What cannot be read.
    pub(crate) fn unreadable(message: String) -> Self {
        Self::Validation {
            reason: ValidationReason::CannotParse,
            message,
            fields: Vec::new(),
        }
    }

    /// One member of the input is wrong.
    pub(crate) fn field(name: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Validation {
            reason: ValidationReason::FieldValidationFailed,
            message: message.clone(),
            fields: vec![(name.to_owned(), message)],
        }
    }

    /// Members of the input are wrong, each by itself.
    pub(crate) fn fields(fields: Vec<(String, String)>) -> Self {
        let texts: Vec<&str> = fields.iter().map(|(_, text)| text.as_str()).collect();
        Self::Validation {
            reason: ValidationReason::FieldValidationFailed,
            message: texts.join("; "),
            fields,
        }
    }

    /// The input as a whole is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Validation {
            reason: ValidationReason::Other,
            message: message.into(),
            fields: Vec::new(),
        }
    }

    /// No such resource, as far as the caller may know.
    pub(crate) fn not_found(kind: ResourceType, id: impl fmt::Display) -> Self {
        Self::NotFound {
            kind,
            id: format!("{id}"),
        }
    }

    /// The state of a resource is against it.
    pub(crate) fn conflict(
        kind: ResourceType,
        id: impl fmt::Display,
        message: impl Into<String>,
    ) -> Self {
        Self::Conflict {
            kind,
            id: format!("{id}"),
            message: message.into(),
        }
    }

    /// The model's complaints about an input.
    pub(crate) fn complaints(complaints: Complaints) -> Self {
        let Complaints(complaints) = complaints;
        let texts: Vec<&str> = complaints.iter().map(|one| one.message.as_str()).collect();
        let plural = if texts.len() == 1 { "" } else { "s" };
        let message = format!(
            "{} validation error{plural} detected: {}",
            texts.len(),
            texts.join("; ")
        );
        let unreadable = complaints.iter().any(|one| one.unreadable);
        Self::Validation {
            reason: if unreadable {
                ValidationReason::CannotParse
            } else {
                ValidationReason::FieldValidationFailed
            },
            message,
            fields: complaints
                .into_iter()
                .map(|Complaint { name, message, .. }| (name, message))
                .collect(),
        }
    }

    /// A signature that does not hold.
    pub(crate) fn signature(error: &SignatureError) -> Self {
        let (code, status) = match error.fault() {
            SignatureFault::Incomplete => ("IncompleteSignatureException", StatusCode::BAD_REQUEST),
            SignatureFault::Invalid => ("InvalidSignatureException", StatusCode::FORBIDDEN),
            SignatureFault::UnrecognizedClient => {
                ("UnrecognizedClientException", StatusCode::FORBIDDEN)
            }
            SignatureFault::ExpiredToken => ("ExpiredTokenException", StatusCode::FORBIDDEN),
        };
        Self::Unauthenticated {
            code,
            status,
            message: error.public_message(),
            reason: error.to_string(),
        }
    }

    /// No signature at all.
    pub(crate) fn unsigned() -> Self {
        Self::Unauthenticated {
            code: "MissingAuthenticationTokenException",
            status: StatusCode::FORBIDDEN,
            message: "Missing Authentication Token".to_owned(),
            reason: "the call is not signed".to_owned(),
        }
    }

    /// The name of the exception.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Validation { .. } => "ValidationException",
            Self::AccessDenied(_) => "AccessDeniedException",
            Self::Unauthenticated { code, .. } => code,
            Self::NotFound { .. } => "ResourceNotFoundException",
            Self::Conflict { .. } => "ConflictException",
            Self::Quota { .. } => "ServiceQuotaExceededException",
            Self::Throttled(_) => "ThrottlingException",
            Self::Internal(_) => "InternalServerException",
        }
    }

    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Validation { .. } => StatusCode::BAD_REQUEST,
            Self::AccessDenied(_) => StatusCode::FORBIDDEN,
            Self::Unauthenticated { status, .. } => *status,
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::Quota { .. } => StatusCode::PAYMENT_REQUIRED,
            Self::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Seconds after which the caller may try again.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Throttled(seconds) => Some(*seconds),
            Self::Internal(_) => Some(1),
            _ => None,
        }
    }

    /// Why, for operators.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Internal(reason) | Self::Unauthenticated { reason, .. } => reason.clone(),
            other => other.message(),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Validation { message, .. }
            | Self::AccessDenied(message)
            | Self::Unauthenticated { message, .. }
            | Self::Conflict { message, .. }
            | Self::Quota { message, .. } => message.clone(),
            Self::NotFound { kind, id } => format!("{} {id} not found", kind.noun()),
            Self::Throttled(_) => "Rate exceeded".to_owned(),
            Self::Internal(_) => "An internal error occurred".to_owned(),
        }
    }

    /// The body.
    pub(crate) fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert("message".to_owned(), Value::from(self.message()));
        let mut more = |name: &str, value: Value| {
            body.insert(name.to_owned(), value);
        };
        match self {
            Self::Validation { reason, fields, .. } => {
                more("reason", Value::from(reason.name()));
                if !fields.is_empty() {
                    let list = fields
                        .iter()
                        .map(|(name, text)| json!({"name": name, "message": text}));
                    more("fieldList", list.collect());
                }
            }
            Self::NotFound { kind, id } | Self::Conflict { kind, id, .. } => {
                more("resourceId", Value::from(id.as_str()));
                more("resourceType", Value::from(kind.name()));
            }
            Self::Quota { kind, code, .. } => {
                more("resourceType", Value::from(kind.name()));
                more("serviceCode", Value::from("vpc-lattice"));
                more("quotaCode", Value::from(*code));
            }
            Self::AccessDenied(_)
            | Self::Unauthenticated { .. }
            | Self::Throttled(_)
            | Self::Internal(_) => {}
        }
        Value::Object(body)
    }
}
