//! The fields of an access record.
//!
//! [`trellis_model::record`] has their names and what they mean for whoever reads a record.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use trellis_model::{
    config::{ListenerProtocol, RulePriority},
    id::{ListenerId, RuleId, VpcId},
    record::{LAYERS, PHASES},
};

use crate::json::Tags;

/// Everything one record says, borrowed from whoever knows it. `None` is written as `"-"`.
///
/// Fields of bytes hold what the client sent, unchecked; the encoder escapes and bounds them.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// ARN of the service network through which the request came.
    pub service_network_arn: Option<&'a str>,
    /// ARN of the service; absent when no service of the network has that host.
    pub service_arn: Option<&'a str>,
    /// ARN of the target group that the request was forwarded to.
    pub target_group_arn: Option<&'a str>,
    /// Protocol of the listener.
    pub listener_type: Option<ListenerProtocol>,
    /// Id of the listener.
    pub listener_id: Option<ListenerId>,

    /// ARN of the caller's VPC.
    pub source_vpc_arn: Option<&'a str>,
    /// Id of the caller's VPC.
    pub source_vpc_id: Option<&'a VpcId>,
    /// Id of the target's VPC.
    pub destination_vpc_id: Option<&'a VpcId>,
    /// Address and port of the caller.
    pub source: SocketAddr,
    /// Address and port of the target; absent when none was reached.
    pub target: Option<SocketAddr>,

    /// When the request began: its first byte, or the accepted connection when none came.
    pub start: SystemTime,
    /// From the start to the last byte to the client, or to the end of the exchange, if it ended earlier.
    pub duration: Duration,
    /// From the first byte sent to the target to the first byte of its answer; zero without a target.
    pub request_to_target: Duration,
    /// From the first to the last byte of the target's answer; zero without a target.
    pub response_from_target: Duration,

    /// The method; absent when the request line could not be read.
    pub method: Option<&'a [u8]>,
    /// The path as sent, without the query.
    pub path: Option<&'a [u8]>,
    /// HTTP version of the client.
    pub protocol: Option<Protocol>,
    /// `Host` or `:authority`, as sent.
    pub host: Option<&'a [u8]>,
    /// `User-Agent`, as sent.
    pub user_agent: Option<&'a [u8]>,
    /// The request's id, `x-amzn-requestid`.
    pub request_id: Option<&'a [u8]>,

    /// Status sent to the client; absent when the client was gone before there was one.
    pub response_code: Option<u16>,
    /// `grpc-status` of the answer. The field is there for gRPC requests only.
    pub grpc: Option<GrpcCode>,
    /// Bytes from the client, head and body.
    pub bytes_received: u64,
    /// Bytes to the client, head and body.
    pub bytes_sent: u64,
    /// Why the request failed, if it did.
    pub failure: Option<FailureReason>,

    /// Facts of the client's TLS connection; absent on plain listeners.
    pub tls: Option<Tls<'a>>,

    /// Who the caller turned out to be.
    pub resolved_user: ResolvedUser<'a>,
    /// Which policy layer refused.
    pub auth_denied: Option<AuthDeniedReason>,
    /// ARN of the authenticated caller.
    pub caller_principal: Option<&'a str>,
    /// Tags of the authenticated caller.
    pub caller_principal_tags: Option<&'a Tags>,
    /// Organization of the authenticated caller, `o-…`.
    pub caller_organization: Option<&'a str>,
    /// Names in the caller's certificate.
    pub caller_certificate: Option<CallerCertificate<'a>>,

    /// What Trellis adds, in an object of its own.
    pub trellis: Additions<'a>,

    /// A random number, by which subscriptions with sampling choose: all of them the same requests.
    pub draw: u64,
}

impl Record<'_> {
    /// A record of a request that began at `start` and came from `source`, with everything else absent or zero.
    pub fn new(start: SystemTime, source: SocketAddr) -> Self {
        Self {
            service_network_arn: None,
            service_arn: None,
            target_group_arn: None,
            listener_type: None,
            listener_id: None,
            source_vpc_arn: None,
            source_vpc_id: None,
            destination_vpc_id: None,
            source,
            target: None,
            start,
            duration: Duration::ZERO,
            request_to_target: Duration::ZERO,
            response_from_target: Duration::ZERO,
            method: None,
            path: None,
            protocol: None,
            host: None,
            user_agent: None,
            request_id: None,
            response_code: None,
            grpc: None,
            bytes_received: 0,
            bytes_sent: 0,
            failure: None,
            tls: None,
            resolved_user: ResolvedUser::AuthOff,
            auth_denied: None,
            caller_principal: None,
            caller_principal_tags: None,
            caller_organization: None,
            caller_certificate: None,
            trellis: Additions::default(),
            draw: 0,
        }
    }
}

/// HTTP version of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `HTTP/1.0`, which VPC Lattice's documentation does not mention.
    Http10,
    /// `HTTP/1.1`.
    Http11,
    /// `HTTP/2`.
    Http2,
}

impl Protocol {
    /// As written in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// The `grpc-status` of a gRPC answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GrpcCode {
    /// The status that came, in the head or in the trailers.
    Code(u32),
    /// The answer ended without one.
    Missing,
}

/// Who the caller turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ResolvedUser<'a> {
    /// An authenticated caller, by ARN.
    Arn(&'a str),
    /// A caller without a signature, where policies count: `Anonymous`.
    Anonymous,
    /// A signature that did not verify: `Unknown`.
    Unknown,
    /// No policy counts and nobody asked, or the request failed earlier: `-`.
    #[default]
    AuthOff,
}

/// What showed who the caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdentifiedBy {
    /// The signature of an access key.
    Signature,
    /// A token of an identity provider.
    Token,
    /// The certificate that the client proved to have.
    Certificate,
    /// The network that the connection came from.
    Network,
}

impl IdentifiedBy {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 4] = [
        Self::Signature,
        Self::Token,
        Self::Certificate,
        Self::Network,
    ];

    /// As written in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "SIGNATURE",
            Self::Token => "TOKEN",
            Self::Certificate => "CERTIFICATE",
            Self::Network => "NETWORK",
        }
    }
}

/// Which policy layer refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthDeniedReason {
    /// The service's policy.
    Service,
    /// The service network's policy.
    Network,
    /// The caller's own policies.
    Identity,
}

impl AuthDeniedReason {
    /// Every reason, for tables and tests.
    pub const ALL: [Self; 3] = [Self::Service, Self::Network, Self::Identity];

    /// As written in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::Network => "Network",
            Self::Identity => "Identity",
        }
    }
}

/// Why a request failed, in VPC Lattice's words; all of them but `ClientRateLimited`, as there are no limits of rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureReason {
    /// No connection to a target could be made, or there is no target.
    TargetConnectionError,
    /// The target's answer was not valid HTTP.
    TargetProtocolError,
    /// The target was silent for too long.
    TargetDataTimeout,
    /// The target closed the connection before its answer was complete.
    TargetConnectionClosed,
    /// The client closed the connection before the exchange was complete.
    ClientConnectionClosed,
    /// A signature or a policy refused the request.
    ClientAccessDenied,
    /// The request was not valid HTTP, or exceeded a limit of size.
    ClientProtocolError,
    /// The connection reached its greatest age while the request was running.
    ConnectionDurationExceeded,
    /// A fault of the gateway.
    InternalError,
}

impl FailureReason {
    /// Every reason, for tables and tests; each stands at the position of its number.
    pub const ALL: [Self; 9] = [
        Self::TargetConnectionError,
        Self::TargetProtocolError,
        Self::TargetDataTimeout,
        Self::TargetConnectionClosed,
        Self::ClientConnectionClosed,
        Self::ClientAccessDenied,
        Self::ClientProtocolError,
        Self::ConnectionDurationExceeded,
        Self::InternalError,
    ];

    /// As written in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TargetConnectionError => "TargetConnectionError",
            Self::TargetProtocolError => "TargetProtocolError",
            Self::TargetDataTimeout => "TargetDataTimeout",
            Self::TargetConnectionClosed => "TargetConnectionClosed",
            Self::ClientConnectionClosed => "ClientConnectionClosed",
            Self::ClientAccessDenied => "ClientAccessDenied",
            Self::ClientProtocolError => "ClientProtocolError",
            Self::ConnectionDurationExceeded => "ConnectionDurationExceeded",
            Self::InternalError => "InternalError",
        }
    }
}

/// Facts of the client's TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tls<'a> {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by OpenSSL's name, `ECDHE-RSA-AES128-GCM-SHA256`.
    pub cipher: &'static str,
    /// The server name that the client asked for, as sent.
    pub server_name: Option<&'a [u8]>,
    /// Did the client resume an earlier session?
    pub resumed: bool,
    /// The group of the key exchange, `X25519`; absent where there was none.
    pub group: Option<&'static str>,
    /// The protocol that was agreed on, `h2` or `http/1.1`; absent where the client asked for none that we know.
    pub alpn: Option<&'static str>,
}

/// Names in the caller's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallerCertificate<'a> {
    /// Organizational unit of the issuer.
    pub issuer_ou: Option<&'a [u8]>,
    /// Common name of the subject.
    pub subject_cn: Option<&'a [u8]>,
    /// First DNS name among the alternative names.
    pub san_dns: Option<&'a [u8]>,
    /// First URI among the alternative names.
    pub san_uri: Option<&'a [u8]>,
    /// Common name of the first directory name among the alternative names.
    pub san_name_cn: Option<&'a [u8]>,
}

/// What Trellis adds to VPC Lattice's fields, in the object `trellis`. What is absent is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Additions<'a> {
    /// Generation of the configuration under which the request was decided.
    pub generation: u64,
    /// The rule that matched; the default rule has no priority.
    pub rule: Option<(RuleId, Option<RulePriority>)>,
    /// What the policies said, where one counts.
    pub decision: Option<Decision>,
    /// The policy layer that refused, a word of [`trellis_model::record::LAYERS`].
    pub decided_layer: Option<&'static str>,
    /// The policy statement that refused, in the words of the authorizer; for operators, never sent to callers.
    pub decided_by: Option<&'a str>,
    /// The first statement of each layer that allowed the request, in the order of [`trellis_model::record::LAYERS`].
    pub allowed_by: [Option<&'a str>; LAYERS.len()],
    /// What would have been decided if policies in audit were enforced and candidates active, where there are any.
    pub candidate: Option<CandidateDecision<'a>>,
    /// What showed who the caller is; absent for anonymous callers.
    pub identified_by: Option<IdentifiedBy>,
    /// The subject of the token that showed it.
    pub token_subject: Option<&'a str>,
    /// What is wrong with the signature or the token that was to show who the caller is; for operators, never sent to callers.
    pub authentication_failure: Option<&'a str>,
    /// The trace that the request belongs to.
    pub trace_id: Option<[u8; 16]>,
    /// How long each phase took.
    pub phases: Phases,
    /// How the group's targets are chosen, and why this one was.
    pub choice: Option<(&'static str, &'static str)>,
    /// Attempts made at targets.
    pub attempts: u32,
    /// Those that came before the last one; the first eight are told.
    pub failed_attempts: &'a [FailedAttempt],
    /// Bytes to the targets over all attempts.
    pub bytes_to_target: u64,
    /// Bytes from the targets over all attempts.
    pub bytes_from_target: u64,
    /// What was wrong with the result of a function, or with its call; for operators, never sent to callers.
    pub fault: Option<&'a str>,
}

/// What the policies said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Every layer that counts allows the request.
    Allow,
    /// A statement denies it.
    ExplicitDeny,
    /// No statement allows it.
    ImplicitDeny,
    /// A policy could not be evaluated.
    EvaluationFailed,
}

impl Decision {
    /// Every decision, for tables and tests.
    pub const ALL: [Self; 4] = [
        Self::Allow,
        Self::ExplicitDeny,
        Self::ImplicitDeny,
        Self::EvaluationFailed,
    ];

    /// As written in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::ExplicitDeny => "ExplicitDeny",
            Self::ImplicitDeny => "ImplicitDeny",
            Self::EvaluationFailed => "EvaluationFailed",
        }
    }
}

/// What policies in audit and candidates would have decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CandidateDecision<'a> {
    /// Which layer would have refused; none would have let the request pass.
    pub denied: Option<AuthDeniedReason>,
    /// The statement that would have decided.
    pub decided_by: Option<&'a str>,
}

/// A part of a request's time. The positions are those of [`PHASES`], which says what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Before TLS.
    Accept,
    /// The handshake with the client.
    Tls,
    /// Finding the rule.
    Match,
    /// Finding out who is calling.
    Authenticate,
    /// Asking the policies.
    Authorize,
    /// Choosing a target and waiting for a place at it.
    Queue,
    /// Connecting to the target.
    Connect,
    /// Waiting for the target's answer.
    FirstByte,
    /// The answer.
    Body,
    /// Waiting before another attempt.
    BackOff,
}

/// How long each phase of a request took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Phases {
    times: [Duration; PHASES.len()],
    /// Which of them there were, a bit for each.
    entered: u16,
}

impl Phases {
    /// Adds to the time of a phase.
    pub fn add(&mut self, phase: Phase, time: Duration) {
        self.entered |= 1 << phase as u8;
        if let Some(sum) = self.times.get_mut(phase as usize) {
            *sum += time;
        }
    }

    /// The phases that there were, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        let all = PHASES.iter().zip(self.times).enumerate();
        all.filter(|(position, _)| self.entered & 1 << position != 0)
            .map(|(_, ((name, _), time))| (*name, time))
    }

    /// Was there none?
    pub fn is_empty(&self) -> bool {
        self.entered == 0
    }
}

/// An attempt that another one followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailedAttempt {
    /// The target.
    pub target: Option<SocketAddr>,
    /// Why it failed; none where the target answered.
    pub failure: Option<FailureReason>,
    /// What the target answered.
    pub status: Option<u16>,
    /// From its beginning to its end.
    pub time: Duration,
}
