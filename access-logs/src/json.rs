//! The values of a record in JSON.
//!
//! Absent values are `"-"`, and in the object `trellis` they are left out. Numbers are numbers. Lines of text are made of the same
//! values, see [`crate::shape`].
//!
//! Most bytes of a record come from the client, so the encoder trusts none: quotes, backslashes and every character that could
//! end or disguise a line become escapes, bytes that are not UTF-8 become U+FFFD, and each text is cut at its cap
//! ([`MAX_TEXT`], [`MAX_METHOD`], [`MAX_REQUEST_ID`], [`MAX_REMARK`]); the object `trellis` names the fields that were cut. The longest possible
//! line is therefore known: [`MAX_LINE`].
//!
//! Hot: one pass, no allocation but the growth of the output.

mod escape;
mod stamp;
#[cfg(test)]
mod tests;

use std::{
    io::Write,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use trellis_model::{
    config::ListenerProtocol,
    id::VpcId,
    record::{Field, FieldSet, LAYERS, PathPattern, schema::REDACTED},
};

use crate::record::{
    AuthDeniedReason, CandidateDecision, Decision, FailedAttempt, FailureReason, GrpcCode,
    IdentifiedBy, Phases, Protocol, Record, ResolvedUser,
};
pub(crate) use escape::push_escaped;
pub(crate) use stamp::Stamp;

/// Most bytes kept of a text: path, host, user agent, server name, principals, names in certificates.
pub const MAX_TEXT: usize = 2048;

/// Most bytes kept of a method.
pub const MAX_METHOD: usize = 64;

/// Most bytes kept of a request id. Source: VPC Lattice user guide, "Request tracking".
pub const MAX_REQUEST_ID: usize = 512;

/// Most bytes kept of the tags of a principal, as JSON text; larger sets are written as `"-"` and named as cut.
///
/// Fifty tags, IAM's limit, of common length fit.
pub const MAX_TAGS: usize = 8192;

/// Most bytes kept of a text in the object `trellis`: names of statements, what is wrong with signatures and functions.
pub const MAX_REMARK: usize = 512;

/// Most attempts that are told one by one.
pub const MAX_ATTEMPTS: usize = 8;

/// No line is longer: every text at its cap and every byte of it an escape of six characters.
pub const MAX_LINE: usize = 256 * 1024;

/// Tags of a principal as the record has them: a JSON object as text. Made once per principal, not per request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags {
    /// Encoded twice: the object, then the string that holds it, without its quotes. `None` when it is over [`MAX_TAGS`].
    encoded: Option<Box<[u8]>>,
}

impl Tags {
    /// The text for these tags, in the order given; `None` when there are none.
    pub fn new<'t>(tags: impl IntoIterator<Item = (&'t str, &'t str)>) -> Option<Self> {
        let mut object = Vec::new();
        for (key, value) in tags {
            object.extend_from_slice(if object.is_empty() { b"{\"" } else { b",\"" });
            push_escaped(key.as_bytes(), &mut object);
            object.extend_from_slice(b"\":\"");
            push_escaped(value.as_bytes(), &mut object);
            object.push(b'"');
        }
        if object.is_empty() {
            return None;
        }
        object.push(b'}');
        let mut encoded = Vec::with_capacity(object.len() * 2);
        push_escaped(&object, &mut encoded);
        Some(Self {
            encoded: (encoded.len() <= MAX_TAGS).then(|| encoded.into()),
        })
    }
}

/// A line being written, and what of the record it does not show.
pub(crate) struct Line<'o> {
    pub(crate) out: &'o mut Vec<u8>,
    /// Fields whose values are not shown.
    pub(crate) hidden: FieldSet,
    /// Segments of paths that are not shown.
    pub(crate) hidden_paths: &'o [PathPattern],
    /// Most bytes of a text, where that is less than its cap.
    pub(crate) longest: usize,
    /// For how many requests the record stands.
    pub(crate) stands_for: u32,
    cut: Cut,
}

/// Set of fields that were cut, by position in [`Cut::NAMES`].
struct Cut(u32);

/// Fields that a client or a long name could make too long.
#[derive(Clone, Copy)]
enum Long {
    Method,
    Path,
    UserAgent,
    Host,
    ServerName,
    RequestId,
    Tags,
    Other,
}

impl Cut {
    const NAMES: [(Long, &'static str); 8] = [
        (Long::Method, "requestMethod"),
        (Long::Path, "requestPath"),
        (Long::UserAgent, "userAgent"),
        (Long::Host, "hostHeader"),
        (Long::ServerName, "serverNameIndication"),
        (Long::RequestId, "requestId"),
        (Long::Tags, "callerPrincipalTags"),
        (Long::Other, "other"),
    ];

    fn add(&mut self, field: Long) {
        self.0 |= 1 << field as u32;
    }

    fn has(&self, field: Long) -> bool {
        self.0 & (1 << field as u32) != 0
    }
}

impl<'o> Line<'o> {
    /// A line at the end of `out` that shows everything.
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            hidden: FieldSet::NONE,
            hidden_paths: &[],
            longest: usize::MAX,
            stands_for: 1,
            cut: Cut(0),
        }
    }

    /// Appends the value of a field; `false`: the record has none and nothing was written.
    pub(crate) fn value(&mut self, field: Field, record: &Record<'_>, stamp: &mut Stamp) -> bool {
        let start = self.out.len();
        let written = if field <= Field::SourceVpcId {
            self.place(field, record)
        } else if field <= Field::ResponseFromTargetDuration {
            self.exchange(field, record, stamp)
        } else if field <= Field::RequestId {
            self.caller(field, record)
        } else if field <= Field::AuthenticationFailure {
            self.decision(field, record)
        } else {
            self.course(field, record)
        };
        let is_hidden = self.hidden.has(field);
        if is_hidden && written && self.out.get(start..) != Some(b"\"-\"") {
            self.out.truncate(start);
            self.word(Some(REDACTED));
        }
        written
    }

    /// Where the request came from, what it was for and where it went.
    fn place(&mut self, field: Field, record: &Record<'_>) -> bool {
        match field {
            Field::ServiceNetworkArn => self.own(record.service_network_arn),
            Field::ResolvedUser => match record.resolved_user {
                ResolvedUser::Arn(arn) => self.own(Some(arn)),
                ResolvedUser::Anonymous => self.word(Some("Anonymous")),
                ResolvedUser::Unknown => self.word(Some("Unknown")),
                ResolvedUser::AuthOff => self.word(None),
            },
            Field::ListenerType => self.word(record.listener_type.map(|protocol| match protocol {
                ListenerProtocol::Http => "HTTP",
                ListenerProtocol::Https => "HTTPS",
            })),
            Field::AuthDeniedReason => self.word(record.auth_denied.map(AuthDeniedReason::as_str)),
            Field::TargetGroupArn => self.own(record.target_group_arn),
            Field::SourceVpcArn => self.own(record.source_vpc_arn),
            Field::DestinationVpcId => self.own(record.destination_vpc_id.map(VpcId::as_str)),
            Field::SourceIpPort => self.socket(Some(record.source)),
            Field::ListenerId => match record.listener_id {
                Some(id) => self.display(id),
                None => self.word(None),
            },
            Field::TargetIpPort => self.socket(record.target),
            Field::FailureReason => self.word(record.failure.map(FailureReason::as_str)),
            Field::ServiceArn => self.own(record.service_arn),
            Field::SourceVpcId => self.own(record.source_vpc_id.map(VpcId::as_str)),
            _ => return false,
        }
        true
    }

    /// The request, its answer, and how long they took.
    fn exchange(&mut self, field: Field, record: &Record<'_>, stamp: &mut Stamp) -> bool {
        match field {
            Field::StartTime => {
                self.raw(b"\"");
                self.out.extend_from_slice(stamp.text(record.start));
                self.raw(b"\"");
            }
            Field::RequestMethod => self.sent(record.method, MAX_METHOD, Long::Method),
            Field::RequestPath => {
                let hidden = record
                    .path
                    .and_then(|path| PathPattern::redact(self.hidden_paths, path));
                let path = hidden.as_deref().or(record.path);
                self.sent(path, MAX_TEXT, Long::Path);
            }
            Field::Protocol => self.word(record.protocol.map(Protocol::as_str)),
            Field::ResponseCode => self.maybe(record.response_code.map(u64::from)),
            Field::GrpcResponseCode => match record.grpc {
                Some(GrpcCode::Code(code)) => self.number(u64::from(code)),
                Some(GrpcCode::Missing) => self.word(None),
                None => return false,
            },
            Field::BytesReceived => self.number(record.bytes_received),
            Field::BytesSent => self.number(record.bytes_sent),
            Field::Duration => self.milliseconds(record.duration),
            Field::UserAgent => self.sent(record.user_agent, MAX_TEXT, Long::UserAgent),
            Field::HostHeader => self.sent(record.host, MAX_TEXT, Long::Host),
            Field::ServerNameIndication => {
                let name = record.tls.and_then(|tls| tls.server_name);
                self.sent(name, MAX_TEXT, Long::ServerName);
            }
            Field::RequestToTargetDuration => self.milliseconds(record.request_to_target),
            Field::ResponseFromTargetDuration => self.milliseconds(record.response_from_target),
            _ => return false,
        }
        true
    }

    /// The connection, and who is calling.
    fn caller(&mut self, field: Field, record: &Record<'_>) -> bool {
        let names = record.caller_certificate.as_ref();
        let name = match field {
            Field::SslCipher => {
                self.word(record.tls.map(|tls| tls.cipher));
                return true;
            }
            Field::TlsVersion => {
                self.word(record.tls.map(|tls| tls.version));
                return true;
            }
            Field::CallerPrincipal => {
                self.own(record.caller_principal);
                return true;
            }
            Field::CallerPrincipalTags => {
                self.tags(record);
                return true;
            }
            Field::CallerPrincipalOrgId => {
                self.own(record.caller_organization);
                return true;
            }
            Field::RequestId => {
                self.sent(record.request_id, MAX_REQUEST_ID, Long::RequestId);
                return true;
            }
            Field::CallerX509IssuerOu => names.and_then(|names| names.issuer_ou),
            Field::CallerX509SubjectCn => names.and_then(|names| names.subject_cn),
            Field::CallerX509SanDns => names.and_then(|names| names.san_dns),
            Field::CallerX509SanUri => names.and_then(|names| names.san_uri),
            Field::CallerX509SanNameCn => names.and_then(|names| names.san_name_cn),
            _ => return false,
        };
        self.sent(name, MAX_TEXT, Long::Other);
        true
    }

    fn tags(&mut self, record: &Record<'_>) {
        match record.caller_principal_tags.map(|tags| &tags.encoded) {
            Some(Some(encoded)) => {
                self.raw(b"\"");
                self.raw(encoded);
                self.raw(b"\"");
            }
            Some(None) => {
                self.cut.add(Long::Tags);
                self.word(None);
            }
            None => self.word(None),
        }
    }

    /// Of the additions: under what the request was decided, and how.
    fn decision(&mut self, field: Field, record: &Record<'_>) -> bool {
        let additions = &record.trellis;
        let candidate = additions.candidate.as_ref();
        match field {
            Field::Generation => {
                self.number(additions.generation);
                true
            }
            Field::Rule => additions.rule.map(|(rule, _)| self.display(rule)).is_some(),
            Field::Priority => additions
                .rule
                .and_then(|(_, priority)| priority)
                .map(|priority| self.number(u64::from(priority.get())))
                .is_some(),
            Field::Decision => self.word_if(additions.decision.map(Decision::as_str)),
            Field::DecidedLayer => self.word_if(additions.decided_layer),
            Field::DecidedBy => self.remark(additions.decided_by),
            Field::AllowedBy => self.layers(&additions.allowed_by),
            Field::CandidateDecision => {
                let word = |candidate: &CandidateDecision<'_>| {
                    candidate.denied.map_or("Allow", |_| "Deny")
                };
                self.word_if(candidate.map(word))
            }
            Field::CandidateDeniedReason => {
                let denied = candidate.and_then(|candidate| candidate.denied);
                self.word_if(denied.map(AuthDeniedReason::as_str))
            }
            Field::CandidateDecidedBy => {
                self.remark(candidate.and_then(|candidate| candidate.decided_by))
            }
            Field::IdentifiedBy => self.word_if(additions.identified_by.map(IdentifiedBy::as_str)),
            Field::TokenSubject => self.remark(additions.token_subject),
            Field::AuthenticationFailure => self.remark(additions.authentication_failure),
            _ => false,
        }
    }

    /// Of the additions: how the request fared.
    fn course(&mut self, field: Field, record: &Record<'_>) -> bool {
        let additions = &record.trellis;
        let tls = record.tls.as_ref();
        match field {
            Field::TraceId => additions
                .trace_id
                .map(|id| self.display(format_args!("{:032x}", u128::from_be_bytes(id))))
                .is_some(),
            Field::Phases => self.phases(&additions.phases),
            Field::TargetAlgorithm => self.word_if(additions.choice.map(|choice| choice.0)),
            Field::TargetReason => self.word_if(additions.choice.map(|choice| choice.1)),
            Field::Attempts => {
                self.number_if(u64::from(additions.attempts), additions.attempts > 1)
            }
            Field::FailedAttempts => self.attempts(additions.failed_attempts),
            Field::BytesToTarget => {
                self.number_if(additions.bytes_to_target, additions.bytes_to_target > 0)
            }
            Field::BytesFromTarget => {
                self.number_if(additions.bytes_from_target, additions.bytes_from_target > 0)
            }
            Field::TlsResumed => {
                let resumed = tls.is_some_and(|tls| tls.resumed);
                if resumed {
                    self.raw(b"true");
                }
                resumed
            }
            Field::TlsGroup => self.word_if(tls.and_then(|tls| tls.group)),
            Field::Alpn => self.word_if(tls.and_then(|tls| tls.alpn)),
            Field::Fault => self.remark(additions.fault),
            Field::StandsFor => self.number_if(u64::from(self.stands_for), self.stands_for > 1),
            Field::Truncated => self.truncated(),
            _ => false,
        }
    }

    fn layers(&mut self, statements: &[Option<&str>; LAYERS.len()]) -> bool {
        let mut before: &[u8] = b"{\"";
        for (layer, statement) in LAYERS.iter().zip(statements) {
            if let Some(statement) = statement {
                self.raw(before);
                self.raw(layer.as_bytes());
                self.raw(b"\":");
                self.sent(Some(statement.as_bytes()), MAX_REMARK, Long::Other);
                before = b",\"";
            }
        }
        let any = before != b"{\"";
        if any {
            self.raw(b"}");
        }
        any
    }

    fn phases(&mut self, phases: &Phases) -> bool {
        if phases.is_empty() {
            return false;
        }
        let mut before: &[u8] = b"{\"";
        for (name, time) in phases.iter() {
            self.raw(before);
            self.raw(name.as_bytes());
            self.raw(b"\":");
            self.microseconds(time);
            before = b",\"";
        }
        self.raw(b"}");
        true
    }

    fn attempts(&mut self, attempts: &[FailedAttempt]) -> bool {
        if attempts.is_empty() {
            return false;
        }
        let mut before: &[u8] = b"[{\"target\":";
        for attempt in attempts.iter().take(MAX_ATTEMPTS) {
            self.raw(before);
            self.socket(attempt.target);
            if let Some(failure) = attempt.failure {
                self.raw(b",\"failure\":");
                self.word(Some(failure.as_str()));
            }
            if let Some(status) = attempt.status {
                self.raw(b",\"status\":");
                self.number(u64::from(status));
            }
            self.raw(b",\"micros\":");
            self.microseconds(attempt.time);
            before = b"},{\"target\":";
        }
        self.raw(b"}]");
        true
    }

    fn truncated(&mut self) -> bool {
        if self.cut.0 == 0 {
            return false;
        }
        let mut before: &[u8] = b"[\"";
        for (field, name) in Cut::NAMES {
            if self.cut.has(field) {
                self.raw(before);
                self.raw(name.as_bytes());
                before = b"\",\"";
            }
        }
        self.raw(b"\"]");
        true
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// One of our own fixed words.
    pub(crate) fn word(&mut self, word: Option<&'static str>) {
        self.raw(b"\"");
        self.raw(word.unwrap_or("-").as_bytes());
        self.raw(b"\"");
    }

    fn word_if(&mut self, word: Option<&'static str>) -> bool {
        if word.is_some() {
            self.word(word);
        }
        word.is_some()
    }

    /// A text of the configuration. It is escaped all the same: principals carry session names.
    fn own(&mut self, text: Option<&str>) {
        self.sent(text.map(str::as_bytes), MAX_TEXT, Long::Other);
    }

    fn remark(&mut self, text: Option<&str>) -> bool {
        if let Some(text) = text {
            self.sent(Some(text.as_bytes()), MAX_REMARK, Long::Other);
        }
        text.is_some()
    }

    /// A text that somebody sent.
    fn sent(&mut self, text: Option<&[u8]>, cap: usize, field: Long) {
        let text = text.unwrap_or(b"-");
        self.raw(b"\"");
        let kept = match text.get(..cap.min(self.longest)) {
            Some(start) if start.len() < text.len() => {
                self.cut.add(field);
                escape::whole_characters(start)
            }
            _ => text,
        };
        push_escaped(kept, self.out);
        self.raw(b"\"");
    }

    fn maybe(&mut self, value: Option<u64>) {
        match value {
            Some(value) => self.number(value),
            None => self.word(None),
        }
    }

    pub(crate) fn number(&mut self, value: u64) {
        self.raw(itoa::Buffer::new().format(value).as_bytes());
    }

    fn number_if(&mut self, value: u64, present: bool) -> bool {
        if present {
            self.number(value);
        }
        present
    }

    pub(crate) fn milliseconds(&mut self, time: Duration) {
        self.number(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    fn microseconds(&mut self, time: Duration) {
        self.number(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// `ip:port`; IPv6 in brackets, IPv4 in IPv6 as IPv4.
    fn socket(&mut self, socket: Option<SocketAddr>) {
        let Some(socket) = socket else {
            return self.word(None);
        };
        self.raw(b"\"");
        match socket.ip().to_canonical() {
            // By hand, because formatting machinery costs as much as the rest of the line's numbers together.
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                for (octet, end) in [(a, b'.'), (b, b'.'), (c, b'.'), (d, b':')] {
                    self.number(u64::from(octet));
                    self.out.push(end);
                }
            }
            IpAddr::V6(address) => self.plain(format_args!("[{address}]:")),
        }
        self.number(u64::from(socket.port()));
        self.raw(b"\"");
    }

    /// Something of ours whose text needs no escapes: an id, an address.
    fn display(&mut self, value: impl std::fmt::Display) {
        self.raw(b"\"");
        self.plain(value);
        self.raw(b"\"");
    }

    pub(crate) fn plain(&mut self, value: impl std::fmt::Display) {
        // Writing into memory does not fail.
        let _ = write!(self.out, "{value}");
    }
}
