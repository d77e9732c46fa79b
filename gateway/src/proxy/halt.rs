//! Why a request goes no further than the gateway: for its answer, its record, and whoever asks `trellis explain`.

use trellis_access_logs::record::{AuthDeniedReason, Decision, FailureReason};
use trellis_model::config::ProtocolVersion;
use trellis_policy::{IdentityError, Layer, Refusal, RefusalKind, sigv4::SignatureError};
use trellis_routing::AuthorityError;

use super::{answer::Answer, exchange::Exchange};
use crate::{conn::Unfounded, h1::Violation};

/// Why a request goes no further than the gateway.
///
/// `Display` is for operators; what the client is told, which is less, is in the [`Answer`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Halt {
    /// The head breaks a rule, or a limit.
    #[error("{0}")]
    Malformed(Violation),
    /// `Host` or `:authority` cannot be read.
    #[error("{0}")]
    Authority(AuthorityError),
    /// It is for no listener of a service that the caller may meet.
    #[error("{0}")]
    Unmatched(Unmatched),
    /// What it says of its sender does not hold.
    #[error("{0}")]
    Unproven(Unproven),
    /// The policies refuse it.
    #[error("{refusal}")]
    Denied {
        /// The authorizer's word.
        refusal: Refusal,
        /// What the client is told.
        text: String,
    },
    /// Its protocol cannot be carried to the target group's.
    #[error("{0}")]
    Version(VersionMismatch),
    /// Every target group of the action has weight zero.
    #[error("every target group of the action has weight zero")]
    NoGroup,
    /// The action of its rule is an answer.
    #[error("the action is a fixed response")]
    Fixed(u16),
    /// Its record could not be accepted, and somebody wants no request served without.
    #[error("its access record could not be accepted, and a subscription refuses requests then")]
    Unrecorded,
    /// A fault of the gateway.
    #[error("the gateway lost track of the request")]
    Internal,
}

/// Why it is not known who sends a request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unproven {
    /// Its signature does not hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Its token does not hold, or contradicts its signature.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl Unproven {
    fn answer(&self) -> Answer {
        match self {
            Self::Signature(error) => Answer::forbidden(error.status(), error.public_text()),
            Self::Identity(error) => Answer::forbidden(error.status(), error.public_text()),
        }
    }
}

/// Why a request is for no listener of a service. What is missing and what is foreign look the same to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unmatched {
    /// The VPC of the connection has left the configuration since.
    #[error("the VPC is not in the configuration any more")]
    Vpc,
    /// HTTP/1.0 without `Host`.
    #[error("an HTTP/1.0 request without `Host` names no service")]
    NoHost,
    /// The VPC is in no service network.
    #[error("the VPC is not associated with a service network")]
    Network,
    /// The network has no such host.
    #[error("no service of the service network has this host")]
    Host,
    /// The TLS server name and the host name different services.
    #[error("the host belongs to another service than the TLS server name")]
    Misdirected,
    /// The service asks for certificates, and the connection has nothing that it accepts.
    #[error("{0}")]
    Uncertified(#[from] Unfounded),
    /// The service listens, but not like this.
    #[error("the service has no listener of this protocol on this port")]
    Listener,
}

/// Why a client's protocol cannot be carried to a target group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum VersionMismatch {
    /// HTTP/1 cannot reach HTTP2 and GRPC groups.
    #[error("the target group speaks {group}, which takes requests over HTTP/2 only", group = word(*group))]
    NotHttp2 {
        /// What the group speaks.
        group: ProtocolVersion,
    },
    /// gRPC cannot reach HTTP1 groups.
    #[error("the target group speaks HTTP1, which cannot carry gRPC")]
    Grpc,
    /// Functions know no gRPC.
    #[error("the target group is a function, which cannot be called over gRPC")]
    Function,
    /// GRPC groups take POST only.
    #[error("the target group speaks GRPC, which takes POST only")]
    NotPost,
}

fn word(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::Http1 => "HTTP1",
        ProtocolVersion::Http2 => "HTTP2",
        ProtocolVersion::Grpc => "GRPC",
    }
}

/// The layer as records name it.
pub(super) fn denied_reason(layer: Layer) -> AuthDeniedReason {
    match layer {
        Layer::Network => AuthDeniedReason::Network,
        Layer::Service => AuthDeniedReason::Service,
        // Records know three reasons; what limits an identity is part of it.
        Layer::Identity | Layer::Boundary | Layer::Session => AuthDeniedReason::Identity,
    }
}

impl From<Unmatched> for Halt {
    fn from(unmatched: Unmatched) -> Self {
        Self::Unmatched(unmatched)
    }
}

impl From<Violation> for Halt {
    fn from(violation: Violation) -> Self {
        Self::Malformed(violation)
    }
}

impl Halt {
    /// Notes for the record what is wrong with what the caller showed, or which layer and which statement refused.
    pub(super) fn note(&self, exchange: &mut Exchange) {
        match self {
            Self::Unproven(error) => exchange.unproven = Some(error.to_string()),
            Self::Denied { refusal, .. } => {
                exchange.denied = Some(denied_reason(refusal.layer));
                exchange.decided_layer = Some(refusal.layer.name());
                exchange.decision = Some(match refusal.kind {
                    RefusalKind::Explicit => Decision::ExplicitDeny,
                    RefusalKind::Implicit => Decision::ImplicitDeny,
                    RefusalKind::EvaluationFailed => Decision::EvaluationFailed,
                });
                exchange.decided_by = refusal.statement.as_ref().map(ToString::to_string);
            }
            _ => {}
        }
    }

    /// What the client is answered.
    ///
    /// The statuses of mismatched versions are our choice, see `docs/conformance.md`.
    pub(super) fn into_answer(self) -> Answer {
        match self {
            Self::Malformed(violation) => Answer::refused(violation),
            Self::Authority(_) => Answer::malformed(),
            Self::Unmatched(Unmatched::Misdirected) => Answer::misdirected(),
            Self::Unmatched(Unmatched::Uncertified(_)) => Answer::uncertified(),
            Self::Unmatched(_) => Answer::not_found(),
            Self::Unproven(error) => error.answer(),
            Self::Denied { text, .. } => Answer::forbidden(403, text),
            Self::Version(VersionMismatch::NotHttp2 { .. }) => Answer::unsupported_version(400),
            Self::Version(
                VersionMismatch::Grpc | VersionMismatch::NotPost | VersionMismatch::Function,
            ) => Answer::unsupported_version(502),
            Self::NoGroup => Answer::failed(503, FailureReason::TargetConnectionError),
            Self::Fixed(status) => Answer::fixed(status),
            Self::Unrecorded => Answer::failed(503, FailureReason::InternalError),
            Self::Internal => Answer::internal_error(),
        }
    }
}
