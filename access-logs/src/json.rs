//! The JSON encoding of a record: one object, one line.
//!
//! Keys stand in the order of real VPC Lattice entries. Absent values are `"-"`. Numbers are numbers.
//!
//! Most bytes of a record come from the client, so the encoder trusts none: quotes, backslashes and every character that could
//! end or disguise a line become escapes, bytes that are not UTF-8 become U+FFFD, and each text is cut at its cap
//! ([`MAX_TEXT`], [`MAX_METHOD`], [`MAX_REQUEST_ID`]); the object `trellis` names the fields that were cut. The longest possible
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

use trellis_model::{config::ListenerProtocol, id::VpcId};

use crate::record::{
    AuthDeniedReason, CallerCertificate, CandidateDecision, FailureReason, GrpcCode, Protocol,
    Record, ResolvedUser, Tls,
};
use escape::push_escaped;
use stamp::Stamp;

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

/// No line is longer: every text at its cap and every byte of it an escape of six characters.
pub const MAX_LINE: usize = 256 * 1024;

/// Appends `record` to `out` as one JSON object and a newline.
///
/// An [`Encoder`] does the same a little faster, because it remembers the second it wrote last.
pub fn encode_json(record: &Record<'_>, out: &mut Vec<u8>) {
    Encoder::default().encode(record, out);
}

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

/// The encoder with its memory of the last timestamp.
#[derive(Debug, Clone, Default)]
pub struct Encoder {
    stamp: Stamp,
}

/// `,"name":"`: what stands before a text.
macro_rules! text {
    ($name:literal) => {
        concat!(",\"", $name, "\":\"").as_bytes()
    };
}

/// `,"name":`: what stands before a number.
macro_rules! number {
    ($name:literal) => {
        concat!(",\"", $name, "\":").as_bytes()
    };
}

impl Encoder {
    /// Appends `record` to `out` as one JSON object and a newline.
    pub fn encode(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        // Enough for a common record; longer ones grow it.
        out.reserve(2048);
        let mut line = Line { out, cut: Cut(0) };
        line.identity_and_places(record);
        line.request_and_answer(record, self.stamp.text(record.start));
        line.connection_and_caller(record);
        line.additions(record);
    }
}

/// A line being written.
struct Line<'o> {
    out: &'o mut Vec<u8>,
    cut: Cut,
}

/// Set of fields that were cut, by position in [`Cut::NAMES`].
struct Cut(u32);

/// Fields that a client or a long name could make too long.
#[derive(Clone, Copy)]
enum Field {
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
    const NAMES: [(Field, &'static str); 8] = [
        (Field::Method, "requestMethod"),
        (Field::Path, "requestPath"),
        (Field::UserAgent, "userAgent"),
        (Field::Host, "hostHeader"),
        (Field::ServerName, "serverNameIndication"),
        (Field::RequestId, "requestId"),
        (Field::Tags, "callerPrincipalTags"),
        (Field::Other, "other"),
    ];

    fn add(&mut self, field: Field) {
        self.0 |= 1 << field as u32;
    }

    fn has(&self, field: Field) -> bool {
        self.0 & (1 << field as u32) != 0
    }
}

impl Line<'_> {
    fn identity_and_places(&mut self, record: &Record<'_>) {
        self.raw(b"{\"serviceNetworkArn\":\"");
        self.own(record.service_network_arn);
        self.raw(text!("resolvedUser"));
        match record.resolved_user {
            ResolvedUser::Arn(arn) => self.own(Some(arn)),
            ResolvedUser::Anonymous => self.raw(b"Anonymous\""),
            ResolvedUser::Unknown => self.raw(b"Unknown\""),
            ResolvedUser::AuthOff => self.raw(b"-\""),
        }
        self.raw(text!("listenerType"));
        self.word(record.listener_type.map(|protocol| match protocol {
            ListenerProtocol::Http => "HTTP",
            ListenerProtocol::Https => "HTTPS",
        }));
        self.raw(text!("authDeniedReason"));
        self.word(record.auth_denied.map(AuthDeniedReason::as_str));
        self.raw(text!("targetGroupArn"));
        self.own(record.target_group_arn);
        self.raw(text!("sourceVpcArn"));
        self.own(record.source_vpc_arn);
        self.raw(text!("destinationVpcId"));
        self.own(record.destination_vpc_id.map(VpcId::as_str));
        self.raw(text!("sourceIpPort"));
        self.socket(Some(record.source));
        self.raw(text!("listenerId"));
        match record.listener_id {
            Some(id) => {
                self.display(id);
                self.raw(b"\"");
            }
            None => self.raw(b"-\""),
        }
        self.raw(text!("targetIpPort"));
        self.socket(record.target);
        self.raw(text!("failureReason"));
        self.word(record.failure.map(FailureReason::as_str));
        self.raw(text!("serviceArn"));
        self.own(record.service_arn);
        self.raw(text!("sourceVpcId"));
        self.own(record.source_vpc_id.map(VpcId::as_str));
    }

    fn request_and_answer(&mut self, record: &Record<'_>, start: &[u8]) {
        self.raw(text!("startTime"));
        self.raw(start);
        self.raw(b"\"");
        self.raw(text!("requestMethod"));
        self.sent(record.method, MAX_METHOD, Field::Method);
        self.raw(text!("requestPath"));
        self.sent(record.path, MAX_TEXT, Field::Path);
        self.raw(text!("protocol"));
        self.word(record.protocol.map(Protocol::as_str));
        self.raw(number!("responseCode"));
        self.maybe(record.response_code.map(u64::from));
        if let Some(code) = record.grpc {
            self.raw(number!("grpcResponseCode"));
            self.maybe(match code {
                GrpcCode::Code(code) => Some(u64::from(code)),
                GrpcCode::Missing => None,
            });
        }
        self.raw(number!("bytesReceived"));
        self.number(record.bytes_received);
        self.raw(number!("bytesSent"));
        self.number(record.bytes_sent);
        self.raw(number!("duration"));
        self.milliseconds(record.duration);
        self.raw(text!("userAgent"));
        self.sent(record.user_agent, MAX_TEXT, Field::UserAgent);
        self.raw(text!("hostHeader"));
        self.sent(record.host, MAX_TEXT, Field::Host);
        self.raw(text!("serverNameIndication"));
        self.sent(
            record.tls.and_then(|tls| tls.server_name),
            MAX_TEXT,
            Field::ServerName,
        );
        self.raw(number!("requestToTargetDuration"));
        self.milliseconds(record.request_to_target);
        self.raw(number!("responseFromTargetDuration"));
        self.milliseconds(record.response_from_target);
    }

    fn connection_and_caller(&mut self, record: &Record<'_>) {
        self.tls(record.tls);
        self.raw(text!("callerPrincipal"));
        self.own(record.caller_principal);
        self.raw(text!("callerPrincipalTags"));
        match record.caller_principal_tags.map(|tags| &tags.encoded) {
            Some(Some(encoded)) => {
                self.raw(encoded);
                self.raw(b"\"");
            }
            Some(None) => {
                self.cut.add(Field::Tags);
                self.raw(b"-\"");
            }
            None => self.raw(b"-\""),
        }
        self.raw(text!("callerPrincipalOrgID"));
        self.own(record.caller_organization);
        self.certificate(record.caller_certificate);
        self.raw(text!("requestId"));
        self.sent(record.request_id, MAX_REQUEST_ID, Field::RequestId);
    }

    fn tls(&mut self, tls: Option<Tls<'_>>) {
        let Some(tls) = tls else {
            return self.raw(br#","sslCipher":"-","tlsVersion":"-""#);
        };
        self.raw(text!("sslCipher"));
        self.word(Some(tls.cipher));
        self.raw(text!("tlsVersion"));
        self.word(Some(tls.version));
    }

    fn certificate(&mut self, certificate: Option<CallerCertificate<'_>>) {
        let Some(names) = certificate else {
            // Written whole: nearly every record has none of the five.
            return self.raw(
                concat!(
                    r#","callerX509IssuerOU":"-","callerX509SubjectCN":"-","callerX509SANDNS":"-""#,
                    r#","callerX509SANURI":"-","callerX509SANNameCN":"-""#
                )
                .as_bytes(),
            );
        };
        self.raw(text!("callerX509IssuerOU"));
        self.sent(names.issuer_ou, MAX_TEXT, Field::Other);
        self.raw(text!("callerX509SubjectCN"));
        self.sent(names.subject_cn, MAX_TEXT, Field::Other);
        self.raw(text!("callerX509SANDNS"));
        self.sent(names.san_dns, MAX_TEXT, Field::Other);
        self.raw(text!("callerX509SANURI"));
        self.sent(names.san_uri, MAX_TEXT, Field::Other);
        self.raw(text!("callerX509SANNameCN"));
        self.sent(names.san_name_cn, MAX_TEXT, Field::Other);
    }

    fn additions(&mut self, record: &Record<'_>) {
        let additions = record.trellis;
        self.raw(b",\"trellis\":{\"generation\":");
        self.number(additions.generation);
        if let Some((rule, priority)) = additions.rule {
            self.raw(text!("rule"));
            self.display(rule);
            self.raw(b"\"");
            if let Some(priority) = priority {
                self.raw(number!("priority"));
                self.number(u64::from(priority.get()));
            }
        }
        if additions.attempts > 1 {
            self.raw(number!("attempts"));
            self.number(u64::from(additions.attempts));
        }
        if let Some(proof) = additions.identified_by {
            self.raw(text!("identifiedBy"));
            self.word(Some(proof.as_str()));
        }
        if let Some(failure) = additions.authentication_failure {
            self.raw(text!("authenticationFailure"));
            self.own(Some(failure));
        }
        if let Some(statement) = additions.decided_by {
            self.raw(text!("decidedBy"));
            self.own(Some(statement));
        }
        if let Some(fault) = additions.fault {
            self.raw(text!("fault"));
            self.own(Some(fault));
        }
        if let Some(candidate) = additions.candidate {
            self.candidate(candidate);
        }
        if self.cut.0 != 0 {
            self.raw(number!("truncated"));
            let mut before: &[u8] = b"[\"";
            for (field, name) in Cut::NAMES {
                if self.cut.has(field) {
                    self.raw(before);
                    self.raw(name.as_bytes());
                    before = b"\",\"";
                }
            }
            self.raw(b"\"]");
        }
        self.raw(b"}}\n");
    }

    fn candidate(&mut self, candidate: CandidateDecision<'_>) {
        self.raw(text!("candidateDecision"));
        let decision = candidate.denied.map_or("Allow", |_| "Deny");
        self.word(Some(decision));
        if let Some(denied) = candidate.denied {
            self.raw(text!("candidateDeniedReason"));
            self.word(Some(denied.as_str()));
        }
        if let Some(statement) = candidate.decided_by {
            self.raw(text!("candidateDecidedBy"));
            self.own(Some(statement));
        }
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// One of our own fixed words and the closing quote.
    fn word(&mut self, word: Option<&'static str>) {
        self.raw(word.unwrap_or("-").as_bytes());
        self.raw(b"\"");
    }

    /// A text of the configuration and the closing quote. It is escaped all the same: principals carry session names.
    fn own(&mut self, text: Option<&str>) {
        self.sent(text.map(str::as_bytes), MAX_TEXT, Field::Other);
    }

    /// A text that somebody sent and the closing quote.
    fn sent(&mut self, text: Option<&[u8]>, cap: usize, field: Field) {
        let text = text.unwrap_or(b"-");
        let kept = match text.get(..cap) {
            Some(start) if text.len() > cap => {
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
            None => self.raw(b"\"-\""),
        }
    }

    fn number(&mut self, value: u64) {
        self.raw(itoa::Buffer::new().format(value).as_bytes());
    }

    fn milliseconds(&mut self, time: Duration) {
        self.number(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    /// `ip:port` and the closing quote; IPv6 in brackets, IPv4 in IPv6 as IPv4.
    fn socket(&mut self, socket: Option<SocketAddr>) {
        let Some(socket) = socket else {
            return self.raw(b"-\"");
        };
        match socket.ip().to_canonical() {
            // By hand, because formatting machinery costs as much as the rest of the line's numbers together.
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                for (octet, end) in [(a, b'.'), (b, b'.'), (c, b'.'), (d, b':')] {
                    self.number(u64::from(octet));
                    self.out.push(end);
                }
            }
            IpAddr::V6(address) => self.display(format_args!("[{address}]:")),
        }
        self.number(u64::from(socket.port()));
        self.raw(b"\"");
    }

    /// Something of ours whose text needs no escapes: an id, an address.
    fn display(&mut self, value: impl std::fmt::Display) {
        // Writing into memory does not fail.
        let _ = write!(self.out, "{value}");
    }
}
