//! What is known about one request so far.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use pingora_error::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use trellis_access_logs::record::{AuthDeniedReason, Decision, FailureReason, GrpcCode, Phase};
use trellis_model::config::Traffic;
use trellis_policy::{Caller, Grounds, Permit, Principal, Proof, certificate::ClientCertificate};
use trellis_routing::ServiceIndex;
use trellis_target_groups::Lease;

use super::{affinity::Affinity, repeat::Repeats, stopwatch::Stopwatch};
use crate::{
    conn::{Facts, Standing},
    shared::Shared,
    snapshot::{
        Action, CallerTexts, Listener, Network, Rule, Service, Snapshot, TargetGroup, View,
    },
    telemetry::Counted,
    trace::{self, Incoming, Kept, Recording},
};

/// Longest request id taken over from a client, in bytes. Source: VPC Lattice user guide, "Request tracking".
const REQUEST_ID_BYTES: usize = 512;

/// How far a request has come. Each stage holds what the one before established.
#[derive(Debug, Default)]
pub enum Stage {
    /// Its head is there.
    #[default]
    Received,
    /// It is for this rule of this service.
    Matched(Match),
    /// It may pass: the only stage that can choose a target.
    Permitted {
        /// What it matched.
        matched: Match,
        /// The authorizer's word.
        permit: Permit,
    },
    /// The gateway answered it.
    Answered {
        /// What it matched, if it came so far.
        matched: Option<Match>,
    },
}

/// What policies in audit and candidates would have decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsed {
    /// Which layer would have refused; none would have let the request pass.
    pub denied: Option<AuthDeniedReason>,
    /// Which statement would have decided, for operators.
    pub decided_by: Option<String>,
}

/// Where a request belongs, as positions in the snapshot that the exchange holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// The network it came through.
    pub network: usize,
    /// The service it is for.
    pub service: ServiceIndex,
    /// The listener of the service.
    pub listener: usize,
    /// The rule of the listener; none is the default rule.
    pub rule: Option<usize>,
}

/// Who gets the record of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// All who subscribed.
    Everybody,
    /// All but those whose fullness the request was refused for.
    Forgiving,
}

/// One request from its head to its record.
#[derive(Debug)]
pub struct Exchange {
    /// When its head was complete.
    pub began: Instant,
    /// The same by the wall clock.
    pub start: SystemTime,
    /// How far it has come.
    pub stage: Stage,
    /// The snapshot it is decided under, kept to the end.
    pub snapshot: Option<Arc<Snapshot>>,
    /// The connection it came on.
    pub facts: Option<Arc<Facts>>,
    /// Its id.
    pub request_id: HeaderValue,
    /// What it says about the trace that it belongs to.
    pub incoming: Option<Incoming>,
    /// What is noted for its trace.
    pub recording: Option<Box<Recording>>,
    /// Why that is kept, once it has ended.
    pub kept: Option<Kept>,
    /// Who sent it; none until that is settled, or when the signature was wrong.
    pub caller: Option<Caller>,
    /// What is told about the caller, when it is a session: nobody else shares that.
    session_texts: OnceLock<CallerTexts>,
    /// What showed that.
    pub known_by: Proof,
    /// Whom the token speaks of that showed it.
    pub token_subject: Option<Arc<str>>,
    /// What is wrong with the signature or the token that was to show it, for operators.
    pub unproven: Option<String>,
    /// What the client's certificate is worth to the service, where it asks for one and the client has one.
    pub standing: Option<Arc<Standing>>,
    /// How long it may take, and when it is tried again: as its rule says.
    pub traffic: Option<Arc<Traffic>>,
    /// Where its time goes.
    pub(super) stopwatch: Stopwatch,
    /// When all of it must be over, whenever the request itself ends.
    pub deadline: Option<Instant>,
    /// When the whole request had come.
    pub request_ended: Option<Instant>,
    /// How often it was sent to a target, and how often it may be.
    pub repeats: Repeats,
    /// The target group that was chosen.
    pub group: Option<Arc<TargetGroup>>,
    /// What the request has to do with one of its targets.
    pub affinity: Affinity,
    /// The target that was chosen.
    pub lease: Option<Lease>,
    /// The target, once something was sent there.
    pub reached: Option<SocketAddr>,
    /// Bytes to targets, and from them.
    pub exchanged: (u64, u64),
    /// When the request left for the target.
    pub sent: Option<Instant>,
    /// When the target's answer began.
    pub answered: Option<Instant>,
    /// When the gateway had sent an answer of its own. Reading what the client still sends is no part of the exchange.
    pub concluded: Option<Instant>,
    /// Status sent to the client.
    pub status: Option<u16>,
    /// Why it failed.
    pub failure: Option<FailureReason>,
    /// What was wrong with a function's result or its call, for operators.
    pub fault: Option<Box<str>>,
    /// Which layer refused it.
    pub denied: Option<AuthDeniedReason>,
    /// What the policies said, where one counts.
    pub decision: Option<Decision>,
    /// Which layer refused it, by its own name.
    pub decided_layer: Option<&'static str>,
    /// Which statement refused it, for operators.
    pub decided_by: Option<String>,
    /// Which statements allowed it.
    pub grounds: Grounds,
    /// What policies in audit and candidates would have decided, where there are any.
    pub candidate: Option<Rehearsed>,
    /// What an admin who asked for it is told of the decision.
    pub explanation: Option<HeaderValue>,
    /// Who gets its record.
    pub audience: Audience,
    /// Is it a gRPC request?
    pub grpc: bool,
    /// The status in the answer's head or trailers.
    pub grpc_status: Option<GrpcCode>,
    /// Was it a WebSocket handshake when it left for the target?
    pub upgrade: bool,
    /// Informational answers of the target so far.
    pub informational: u8,
    http2: bool,
    running: Option<Counted>,
}

impl Exchange {
    /// What targets and records are told about the caller, and who it is; nothing about an anonymous one.
    pub fn caller_texts(&self) -> Option<(&Principal, &CallerTexts)> {
        let snapshot = self.snapshot.as_ref()?;
        match self.caller.as_ref()? {
            Caller::Anonymous => None,
            Caller::Principal(index) => {
                let principal = snapshot.policies.principal(*index)?;
                if self.known_by == Proof::Certificate {
                    let standing = self.standing.as_ref()?;
                    let texts = standing.texts(principal, self.certificate()?)?;
                    return Some((principal, texts));
                }
                Some((principal, snapshot.caller_texts(*index)?))
            }
            Caller::Session(session) => {
                let principal = session.principal();
                let texts = || CallerTexts::of(principal);
                Some((principal, self.session_texts.get_or_init(texts)))
            }
        }
    }

    /// The client's certificate, if the service asks for it and accepts it.
    pub fn certificate(&self) -> Option<&ClientCertificate> {
        self.standing.as_ref()?;
        self.facts.as_ref()?.certificate()
    }

    /// A request whose head is being read.
    pub fn begin() -> Self {
        let began = Instant::now();
        Self {
            began,
            start: SystemTime::UNIX_EPOCH,
            stage: Stage::Received,
            snapshot: None,
            facts: None,
            request_id: HeaderValue::from_static("-"),
            incoming: None,
            recording: None,
            kept: None,
            caller: None,
            session_texts: OnceLock::new(),
            known_by: Proof::None,
            token_subject: None,
            unproven: None,
            standing: None,
            traffic: None,
            stopwatch: Stopwatch::start(began),
            deadline: None,
            request_ended: None,
            repeats: Repeats::default(),
            group: None,
            affinity: Affinity::default(),
            lease: None,
            reached: None,
            exchanged: (0, 0),
            sent: None,
            answered: None,
            concluded: None,
            status: None,
            failure: None,
            fault: None,
            denied: None,
            decision: None,
            decided_layer: None,
            decided_by: None,
            grounds: Grounds::NONE,
            candidate: None,
            explanation: None,
            audience: Audience::Everybody,
            grpc: false,
            grpc_status: None,
            upgrade: false,
            informational: 0,
            http2: false,
            running: None,
        }
    }

    /// Takes in what the connection knows, the snapshot, and the request's id.
    pub fn arrive(&mut self, session: &mut Session, shared: &Shared) -> Result<()> {
        self.start = SystemTime::now();
        self.running = Some(shared.telemetry.request_began());
        let facts = facts_of(session)
            .ok_or_else(|| Error::explain(ErrorType::InternalError, "connection without facts"))?;
        self.http2 = session.is_http2();
        if self.http2 {
            facts.begin_stream();
        }
        if let Some((accept, tls)) = facts.take_opening() {
            self.stopwatch.add(Phase::Accept, accept);
            if let Some(tls) = tls {
                self.stopwatch.add(Phase::Tls, tls);
            }
        }
        self.facts = Some(facts);
        self.snapshot = Some(shared.snapshot.load_full());
        self.see_head(session.req_header());
        Ok(())
    }

    /// Takes in what the head itself says about the exchange.
    pub(super) fn see_head(&mut self, head: &RequestHeader) {
        self.request_id = request_id(head.headers.get("x-amzn-requestid"));
        self.incoming = trace::read(&head.headers);
        self.grpc = head
            .headers
            .get(http::header::CONTENT_TYPE)
            .is_some_and(is_grpc);
    }

    /// Lets the answer say that its connection takes no further request, where that is settled before the answer begins: a client
    /// that knows does not send one in vain. HTTP/2 says it by GOAWAY.
    pub(super) fn announce_end(&self, session: &mut Session) {
        let retired = self.facts.as_ref().is_some_and(|facts| facts.is_retired());
        if retired && !self.http2 {
            session.set_keepalive(None);
        }
    }

    /// What the request matched, if it came so far.
    pub fn matched(&self) -> Option<Match> {
        match &self.stage {
            Stage::Received => None,
            Stage::Matched(matched) | Stage::Permitted { matched, .. } => Some(*matched),
            Stage::Answered { matched } => *matched,
        }
    }

    /// The VPC's view of the snapshot.
    pub fn view(&self) -> Option<&View> {
        self.snapshot.as_ref()?.view(&self.facts.as_ref()?.vpc)
    }

    /// The service that it is for.
    pub fn service(&self) -> Option<&Service> {
        self.snapshot.as_ref()?.service(self.matched()?.service)
    }

    /// The network that it came through.
    pub fn network(&self) -> Option<&Network> {
        self.snapshot
            .as_ref()?
            .networks
            .get(self.matched()?.network)
    }

    /// The listener and rule that it matched.
    pub fn rule(&self) -> Option<(&Listener, &Rule)> {
        let matched = self.matched()?;
        let listener = self.service()?.listeners.get(matched.listener)?;
        Some((listener, listener.rule(matched.rule)))
    }

    /// The groups that a permitted request may go to.
    pub fn permitted_action(&self) -> Option<&Action> {
        match &self.stage {
            Stage::Permitted { .. } => self.rule().map(|(_, rule)| &rule.action),
            _ => None,
        }
    }

    /// The longest silence allowed to either side.
    pub fn idle(&self) -> Option<Duration> {
        match &self.traffic {
            Some(traffic) => traffic.timeouts.idle,
            None => self.service()?.idle,
        }
    }

    /// Settles when all of it must be over: by its rule, and by the deadline that a gRPC client says it has.
    pub fn set_deadline(&mut self, head: &RequestHeader) {
        let stream = self
            .traffic
            .as_ref()
            .and_then(|traffic| traffic.timeouts.stream);
        let grpc = if self.grpc {
            grpc_timeout(head.headers.get(GRPC_TIMEOUT))
        } else {
            None
        };
        let shorter = match (stream, grpc) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self.deadline = shorter.and_then(|limit| self.began.checked_add(limit));
    }

    /// Looks for the gRPC status in the head or the trailers of an answer.
    pub fn see_grpc_status(&mut self, headers: &http::HeaderMap) {
        if !self.grpc {
            return;
        }
        let status = headers
            .get("grpc-status")
            .and_then(|value| value.to_str().ok());
        if let Some(code) = status.and_then(|text| text.parse().ok()) {
            self.grpc_status = Some(GrpcCode::Code(code));
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let (true, Some(facts)) = (self.http2, &self.facts) {
            facts.end_stream(Instant::now());
        }
    }
}

/// The facts that the connection attached for us.
fn facts_of(session: &Session) -> Option<Arc<Facts>> {
    let digest = session.digest()?.proxy_digest.as_ref()?;
    digest
        .user_data
        .as_ref()?
        .downcast_ref::<Arc<Facts>>()
        .cloned()
}

/// The client's id if it sent one, cut to size, else a new one.
fn request_id(sent: Option<&HeaderValue>) -> HeaderValue {
    match sent {
        Some(value) if value.is_empty() => new_request_id(),
        Some(value) if value.len() <= REQUEST_ID_BYTES => value.clone(),
        Some(value) => {
            let cut = value.as_bytes().get(..REQUEST_ID_BYTES).unwrap_or_default();
            HeaderValue::from_bytes(cut).unwrap_or_else(|_| new_request_id())
        }
        None => new_request_id(),
    }
}

pub(super) fn new_request_id() -> HeaderValue {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let id: &str = uuid::Uuid::new_v4().hyphenated().encode_lower(&mut text);
    HeaderValue::from_maybe_shared(Bytes::copy_from_slice(id.as_bytes()))
        .unwrap_or(HeaderValue::from_static("-"))
}

/// The field in which gRPC clients say how long they wait. Spec: gRPC over HTTP/2, "Requests".
pub(super) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// What a gRPC client says how long it waits: up to eight digits and a unit. Anything else says nothing.
fn grpc_timeout(value: Option<&HeaderValue>) -> Option<Duration> {
    let (unit, digits) = value?.as_bytes().split_last()?;
    let plain = (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let number: u64 = plain
        .then(|| std::str::from_utf8(digits).ok()?.parse().ok())
        .flatten()?;
    match unit {
        b'H' => Some(Duration::from_secs(number * 3600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

fn is_grpc(content_type: &HeaderValue) -> bool {
    content_type
        .as_bytes()
        .get(..16)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"application/grpc"))
}
