//! The fields of access records: their names, what they hold and what they mean, each said once.
//!
//! The encoders of `trellis-access-logs`, the JSON Schema ([`schema`]), the tables of `docs/access-records.md`, what a subscription
//! selects and redacts, and what `trellis logs` filters by go by this table.
//!
//! Source of names, order and the `"-"` of what is absent: VPC Lattice user guide, "Access logs for Amazon VPC Lattice", and published
//! entries of 2024 and 2025, which have some fields more (`listenerType`, `listenerId`, `callerPrincipalOrgID`). What Trellis adds is
//! in the object `trellis`, where what is absent is left out.

mod redaction;
mod sampling;
pub mod schema;
pub mod template;
#[cfg(test)]
mod tests;

pub use redaction::{PathPattern, PathPatternError};
pub use sampling::Sampling;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// `YYYY-MM-DDTHH:MM:SSZ`.
    Time,
    /// Address and port, IPv6 in brackets.
    Address,
    /// A whole number, always.
    Number,
    /// A whole number, or nothing.
    MaybeNumber,
    /// A whole number that only some records have.
    RareNumber,
    /// `true`, or nothing.
    Flag,
    /// A list of texts.
    Texts,
    /// An object: microseconds by phase.
    Phases,
    /// An object: texts by policy layer.
    Layers,
    /// A list of objects, see [`ATTEMPT`].
    Attempts,
}

/// What is said about a field.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// Its name; those of the object `trellis` begin with `trellis.`.
    pub name: &'static str,
    /// What stands before its value in JSON, unless it is the first: `,"name":`.
    pub before: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What it means, in the notation of the documentation.
    pub text: &'static str,
}

macro_rules! fields {
    ($(#[doc = $doc:literal] $variant:ident $prefix:literal $name:literal $kind:expr;)*) => {
        /// A field of the record. The order is that of the record.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Field {
            $(#[doc = $doc] $variant,)*
        }

        impl Field {
            /// Every field, in the order of the record.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// What is said about it.
            pub const fn description(self) -> Description {
                match self {
                    $(Self::$variant => Description {
                        name: concat!($prefix, $name),
                        before: concat!(",\"", $name, "\":"),
                        kind: $kind,
                        text: $doc,
                    },)*
                }
            }
        }
    };
}

fields! {
    #[doc = "ARN of the service network"]
    ServiceNetworkArn "" "serviceNetworkArn" Kind::Text;
    #[doc = "ARN of the authenticated caller; `Anonymous` without a signature; `Unknown` when the signature did not verify; `-` when no policy counts, or the request failed before anybody asked"]
    ResolvedUser "" "resolvedUser" Kind::Text;
    #[doc = "`HTTP` or `HTTPS` (VPC Lattice's published entries all have `-`)"]
    ListenerType "" "listenerType" Kind::Word(&["HTTP", "HTTPS"]);
    #[doc = "which layer refused: `Network`, `Service` or `Identity`"]
    AuthDeniedReason "" "authDeniedReason" Kind::Word(&["Service", "Network", "Identity"]);
    #[doc = "ARN of the target group that was chosen"]
    TargetGroupArn "" "targetGroupArn" Kind::Text;
    #[doc = "ARN of the caller's VPC"]
    SourceVpcArn "" "sourceVpcArn" Kind::Text;
    #[doc = "id of the target group's VPC"]
    DestinationVpcId "" "destinationVpcId" Kind::Text;
    #[doc = "address and port of the caller, IPv6 in brackets"]
    SourceIpPort "" "sourceIpPort" Kind::Address;
    #[doc = "id of the listener (VPC Lattice's published entries all have `-`)"]
    ListenerId "" "listenerId" Kind::Text;
    #[doc = "address and port of the target; `-` when none was reached"]
    TargetIpPort "" "targetIpPort" Kind::Address;
    #[doc = "why the request failed, see below"]
    FailureReason "" "failureReason" Kind::Word(&[
        "TargetConnectionError", "TargetProtocolError", "TargetDataTimeout", "TargetConnectionClosed", "ClientConnectionClosed",
        "ClientAccessDenied", "ClientProtocolError", "ConnectionDurationExceeded", "InternalError",
    ]);
    #[doc = "ARN of the service"]
    ServiceArn "" "serviceArn" Kind::Text;
    #[doc = "id of the caller's VPC"]
    SourceVpcId "" "sourceVpcId" Kind::Text;
    #[doc = "when the request began, `YYYY-MM-DDTHH:MM:SSZ`"]
    StartTime "" "startTime" Kind::Time;
    #[doc = "the method"]
    RequestMethod "" "requestMethod" Kind::Text;
    #[doc = "the path as sent, without the query"]
    RequestPath "" "requestPath" Kind::Text;
    #[doc = "`HTTP/1.1` or `HTTP/2` (`HTTP/1.0` where a client speaks it), on the client's side"]
    Protocol "" "protocol" Kind::Word(&["HTTP/1.0", "HTTP/1.1", "HTTP/2"]);
    #[doc = "status sent to the client; `-` when it was gone before there was one"]
    ResponseCode "" "responseCode" Kind::MaybeNumber;
    #[doc = "`grpc-status`, for gRPC requests only; `-` when the answer had none"]
    GrpcResponseCode "" "grpcResponseCode" Kind::RareNumber;
    #[doc = "bytes from the client, heads and bodies"]
    BytesReceived "" "bytesReceived" Kind::Number;
    #[doc = "bytes to the client, heads and bodies"]
    BytesSent "" "bytesSent" Kind::Number;
    #[doc = "milliseconds from the start to the end"]
    Duration "" "duration" Kind::Number;
    #[doc = "`User-Agent` as sent"]
    UserAgent "" "userAgent" Kind::Text;
    #[doc = "`Host` or `:authority` as sent"]
    HostHeader "" "hostHeader" Kind::Text;
    #[doc = "server name of the TLS connection"]
    ServerNameIndication "" "serverNameIndication" Kind::Text;
    #[doc = "milliseconds from the first byte sent to the target to the first byte of its answer; 0 without a target"]
    RequestToTargetDuration "" "requestToTargetDuration" Kind::Number;
    #[doc = "milliseconds from the first to the last byte of the target's answer; 0 without a target"]
    ResponseFromTargetDuration "" "responseFromTargetDuration" Kind::Number;
    #[doc = "cipher suite by OpenSSL's name"]
    SslCipher "" "sslCipher" Kind::Text;
    #[doc = "`TLSv1.2` or `TLSv1.3`"]
    TlsVersion "" "tlsVersion" Kind::Word(&["TLSv1.2", "TLSv1.3"]);
    #[doc = "ARN of the authenticated caller"]
    CallerPrincipal "" "callerPrincipal" Kind::Text;
    #[doc = "its tags, a JSON object as text"]
    CallerPrincipalTags "" "callerPrincipalTags" Kind::Text;
    #[doc = "its organization"]
    CallerPrincipalOrgId "" "callerPrincipalOrgID" Kind::Text;
    #[doc = "organizational unit of the issuer of the caller's certificate, where the service asks for one"]
    CallerX509IssuerOu "" "callerX509IssuerOU" Kind::Text;
    #[doc = "common name of its subject"]
    CallerX509SubjectCn "" "callerX509SubjectCN" Kind::Text;
    #[doc = "its first DNS name"]
    CallerX509SanDns "" "callerX509SANDNS" Kind::Text;
    #[doc = "its first URI"]
    CallerX509SanUri "" "callerX509SANURI" Kind::Text;
    #[doc = "common name of its first directory name"]
    CallerX509SanNameCn "" "callerX509SANNameCN" Kind::Text;
    #[doc = "the request's id, also sent to the target and the client as `x-amzn-requestid`"]
    RequestId "" "requestId" Kind::Text;

    #[doc = "generation of the configuration under which the request was decided"]
    Generation "trellis." "generation" Kind::Number;
    #[doc = "id of the rule that matched"]
    Rule "trellis." "rule" Kind::Text;
    #[doc = "its priority; the default rule has none"]
    Priority "trellis." "priority" Kind::MaybeNumber;
    #[doc = "what the policies said, where one counts: `Allow`, `ExplicitDeny`, `ImplicitDeny` (nothing allows it) or `EvaluationFailed`"]
    Decision "trellis." "decision" Kind::Word(&["Allow", "ExplicitDeny", "ImplicitDeny", "EvaluationFailed"]);
    #[doc = "the layer that refused: `Network`, `Service`, `Identity`, `PermissionsBoundary` or `SessionPolicy`"]
    DecidedLayer "trellis." "decidedLayer" Kind::Word(&LAYERS);
    #[doc = "the policy statement that refused, by `Sid` or position; nothing where no statement allows"]
    DecidedBy "trellis." "decidedBy" Kind::Text;
    #[doc = "the first statement of each layer that allowed the request, by layer"]
    AllowedBy "trellis." "allowedBy" Kind::Layers;
    #[doc = "where a policy is in audit or has a candidate ([policies.md](policies.md)): `Allow` or `Deny`, what would have been decided with audits enforced and candidates active"]
    CandidateDecision "trellis." "candidateDecision" Kind::Word(&["Allow", "Deny"]);
    #[doc = "the layer that would have refused, in the words of `authDeniedReason`"]
    CandidateDeniedReason "trellis." "candidateDeniedReason" Kind::Word(&["Service", "Network", "Identity"]);
    #[doc = "the statement that would have denied"]
    CandidateDecidedBy "trellis." "candidateDecidedBy" Kind::Text;
    #[doc = "what showed who the caller is ([identities.md](identities.md)): `SIGNATURE`, `TOKEN`, `CERTIFICATE` or `NETWORK`; anonymous callers have none"]
    IdentifiedBy "trellis." "identifiedBy" Kind::Word(&["SIGNATURE", "TOKEN", "CERTIFICATE", "NETWORK"]);
    #[doc = "the subject of the token (`sub`) that showed it"]
    TokenSubject "trellis." "tokenSubject" Kind::Text;
    #[doc = "what is wrong with the signature or the token, where that refused the request"]
    AuthenticationFailure "trellis." "authenticationFailure" Kind::Text;
    #[doc = "the trace that the request belongs to, 32 hexadecimal digits, whichever of the formats it came in"]
    TraceId "trellis." "traceId" Kind::Text;
    #[doc = "microseconds by phase, see below"]
    Phases "trellis." "phases" Kind::Phases;
    #[doc = "how the group's targets are chosen, as in [balancing.md](balancing.md)"]
    TargetAlgorithm "trellis." "targetAlgorithm" Kind::Word(&["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM_TWO_CHOICES", "MAGLEV"]);
    #[doc = "why this target: `COOKIE` (the client was kept at it), `HASH`, `DRAW` (by the algorithm), `NEAR` (drawn in the preferred zone), `FAR` (drawn outside it), `FAIL_OPEN` (too few targets are healthy, so all may be chosen)"]
    TargetReason "trellis." "targetReason" Kind::Word(&["COOKIE", "HASH", "DRAW", "NEAR", "FAR", "FAIL_OPEN"]);
    #[doc = "how often the request was sent to a target, where that was more than once"]
    Attempts "trellis." "attempts" Kind::MaybeNumber;
    #[doc = "the attempts before the last one, eight at most, see below"]
    FailedAttempts "trellis." "failedAttempts" Kind::Attempts;
    #[doc = "bytes to the targets over all attempts, heads as HTTP/1.1 would send them"]
    BytesToTarget "trellis." "bytesToTarget" Kind::MaybeNumber;
    #[doc = "bytes from the targets likewise"]
    BytesFromTarget "trellis." "bytesFromTarget" Kind::MaybeNumber;
    #[doc = "the client resumed an earlier TLS session"]
    TlsResumed "trellis." "tlsResumed" Kind::Flag;
    #[doc = "the group of the TLS key exchange, `X25519`"]
    TlsGroup "trellis." "tlsGroup" Kind::Text;
    #[doc = "the protocol that the TLS client and the gateway agreed on (ALPN): `h2` or `http/1.1`"]
    Alpn "trellis." "alpn" Kind::Word(&["h2", "http/1.1"]);
    #[doc = "what was wrong with a function's result, or with its call ([functions.md](functions.md)), or why a target takes no more requests"]
    Fault "trellis." "fault" Kind::Text;
    #[doc = "the subscription keeps one of so many requests like this one"]
    StandsFor "trellis." "standsFor" Kind::MaybeNumber;
    #[doc = "names of the fields that were cut (`other` for ARNs, certificate names and texts of `trellis`)"]
    Truncated "trellis." "truncated" Kind::Texts;
}

/// Policy layers, in the order in which missing permissions are reported.
pub const LAYERS: [&str; 5] = [
    "Network",
    "Service",
    "Identity",
    "PermissionsBoundary",
    "SessionPolicy",
];

/// The name of the object with what Trellis adds.
pub const ADDITIONS: &str = "trellis";

/// Phases of a request, in their order, and what they are.
pub const PHASES: [(&str, &str); 10] = [
    (
        "accept",
        "from the accepted connection to its first byte of TLS, on the first request of a connection",
    ),
    (
        "tls",
        "the TLS handshake with the client, on the first request of a connection",
    ),
    (
        "match",
        "finding network, service, listener and rule, from the complete head on",
    ),
    ("authenticate", "finding out who is calling"),
    ("authorize", "asking the policies"),
    (
        "queue",
        "choosing target group and target, and waiting for a place at it",
    ),
    (
        "connect",
        "a connection to the target, TLS included; next to nothing for one that was kept",
    ),
    ("firstByte", "from there to the head of the target's answer"),
    (
        "body",
        "from there, or from the gateway's own answer, to the end",
    ),
    ("backOff", "waiting before attempts after the first"),
];

/// Members of an attempt in `trellis.failedAttempts`, and what they are.
pub const ATTEMPT: [(&str, &str); 4] = [
    ("target", "address and port of the target"),
    (
        "failure",
        "why it failed, in the words of `failureReason`; nothing where the target answered",
    ),
    ("status", "the status that the target answered"),
    ("micros", "microseconds from its beginning to its end"),
];

impl Field {
    /// Its name; those of the object `trellis` begin with `trellis.`.
    pub const fn name(self) -> &'static str {
        self.description().name
    }

    /// Its name within the object that it is a member of.
    pub fn key(self) -> &'static str {
        let name = self.name();
        name.split_once('.').map_or(name, |(_, key)| key)
    }

    /// Is it a member of the object `trellis`?
    pub fn is_addition(self) -> bool {
        self >= Self::Generation
    }

    /// May a subscription redact it? Texts and addresses; numbers and words tell nothing about a person.
    pub fn is_redactable(self) -> bool {
        matches!(self.description().kind, Kind::Text | Kind::Address)
    }

    /// The field of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }
}

/// A set of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FieldSet(u128);

// The set has a bit for each.
const _: () = assert!(Field::ALL.len() <= 128);

impl FieldSet {
    /// No field.
    pub const NONE: Self = Self(0);
    /// Every field.
    pub const ALL: Self = Self(u128::MAX);

    /// With one more.
    #[must_use]
    pub const fn with(self, field: Field) -> Self {
        Self(self.0 | 1 << field as u8)
    }

    /// Is it one of them?
    pub const fn has(self, field: Field) -> bool {
        self.0 & (1 << field as u8) != 0
    }

    /// Are there none?
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those of them that records have, in the order of the record.
    pub fn iter(self) -> impl Iterator<Item = Field> {
        Field::ALL
            .iter()
            .copied()
            .filter(move |field| self.has(*field))
    }
}

impl FromIterator<Field> for FieldSet {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        fields.into_iter().fold(Self::NONE, Self::with)
    }
}
