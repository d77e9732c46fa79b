//! The end of a request: one access record and its metrics, also when it was refused early.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use http::Version;
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;
use trellis_access_logs::{
    Admission, Destinations, Recorder,
    record::{
        Additions, CallerCertificate, CandidateDecision, Decision, FailureReason, GrpcCode,
        IdentifiedBy, Protocol, Record, ResolvedUser, Tls,
    },
};
use trellis_policy::{Caller, Grounds, Proof, certificate::ClientCertificate};

use super::{
    answer::Answer,
    decide::is_policed,
    exchange::{Audience, Exchange, new_request_id},
    halt::Halt,
};
use crate::{conn::Facts, h1::Violation, h2::Opened, shared::Shared, tls::Negotiated};

/// Writes the record and counts.
pub(super) fn record(
    session: &Session,
    exchange: &mut Exchange,
    shared: &Arc<Shared>,
    recorder: &Recorder,
    draw: u64,
) {
    let Some(facts) = exchange.facts.clone() else {
        return;
    };
    let head = session.req_header();
    let now = exchange.concluded.unwrap_or_else(Instant::now);
    let phases = exchange.stopwatch.stop(now);
    let sent_status = session
        .response_written()
        .map(|response| response.status.as_u16());
    let mut record = Record::new(exchange.start, facts.peer);
    record.duration = now.saturating_duration_since(exchange.began);
    (record.request_to_target, record.response_from_target) = target_times(exchange, now);
    record.bytes_received = head_bytes(head) + session.body_bytes_read() as u64;
    record.bytes_sent =
        session.response_written().map_or(0, answer_bytes) + session.body_bytes_sent() as u64;
    record.response_code = sent_status.or(exchange.status);
    record.failure = exchange.failure;
    exchange.end_trace(&record);
    record.auth_denied = exchange.denied;
    record.request_id = Some(exchange.request_id.as_bytes());
    record.grpc = exchange
        .grpc
        .then(|| exchange.grpc_status.unwrap_or(GrpcCode::Missing));
    record.tls = facts.tls.as_ref().map(describe_tls);
    describe_head(&mut record, head);
    describe_place(&mut record, exchange);
    describe_caller(&mut record, exchange);
    describe_course(&mut record, exchange);
    record.trellis.phases = phases;
    record.draw = draw;
    count(&record, exchange, shared);
    exchange.leave_spans(&record, shared);
    if let Some(destinations) = destinations(exchange) {
        let destinations = match exchange.audience {
            Audience::Everybody => destinations,
            Audience::Forgiving => destinations.of_refused(),
        };
        recorder.record(destinations, &record);
    }
}

/// Counts a request wherever it belongs.
fn count(record: &Record<'_>, exchange: &Exchange, shared: &Shared) {
    let traced = exchange
        .recorded_trace()
        .map(|trace| (trace, exchange.start + record.duration));
    match exchange.service() {
        Some(service) => {
            service.metrics.observe(record, traced);
            service.account_metrics.observe(record);
        }
        None => shared.telemetry.observe_unmatched(record, traced),
    }
    if let (Some(view), Some(snapshot)) = (exchange.view(), &exchange.snapshot) {
        view.metrics.observe(record, traced);
        if let Some(network) = snapshot.network(view) {
            network.metrics.observe(record, traced);
        }
    }
    if let (Some(group), Some(_)) = (&exchange.group, exchange.sent) {
        let answered = exchange.answered.is_some();
        let zone = group.metrics.of(exchange.reached);
        zone.observe(record, answered, traced);
    }
}

/// Makes sure that a request can be recorded where somebody wants none served without. May wait, for as long as subscriptions say.
///
/// After the decision, because a subscription is the service's or the network's; before everything that depends on the outcome.
pub(super) async fn admit(exchange: &mut Exchange) -> Result<(), Halt> {
    let Some(wanted) = destinations(exchange).filter(|wanted| wanted.is_gated()) else {
        return Ok(());
    };
    let wanted = wanted.clone();
    match wanted.admit().await {
        Admission::Admit => Ok(()),
        Admission::Refuse => {
            exchange.audience = Audience::Forgiving;
            Err(Halt::Unrecorded)
        }
    }
}

/// Answers and counts a request whose head is malformed.
pub fn refuse_malformed(shared: &Arc<Shared>, facts: &Facts, violation: Violation) -> Vec<u8> {
    let request_id = new_request_id();
    let answer = Answer::refused(violation);
    let mut record = Record::new(SystemTime::now(), facts.peer);
    record.response_code = Some(answer.status());
    record_malformed(shared, facts, &request_id, record);
    answer.to_bytes(&request_id)
}

/// Counts an HTTP/2 request whose stream was reset before anything was decided, or whatever it was that ended the connection. No
/// status was sent.
pub fn record_refused_stream(shared: &Arc<Shared>, facts: &Facts, opened: Option<&Opened>) {
    let mut record = Record::new(SystemTime::now(), facts.peer);
    record.protocol = Some(Protocol::Http2);
    if let Some(opened) = opened {
        record.method = opened.method.as_deref();
        record.path = opened.path.as_deref().and_then(path);
        record.host = opened.authority.as_deref();
    }
    record_malformed(shared, facts, &new_request_id(), record);
}

/// No service is known, so the record goes to those who subscribed to the network of the VPC.
fn record_malformed(
    shared: &Arc<Shared>,
    facts: &Facts,
    request_id: &http::HeaderValue,
    record: Record<'_>,
) {
    let snapshot = shared.snapshot.load();
    let mut record = record;
    record.failure = Some(FailureReason::ClientProtocolError);
    record.request_id = Some(request_id.as_bytes());
    record.tls = facts.tls.as_ref().map(describe_tls);
    record.trellis.generation = snapshot.generation;
    let view = snapshot.view(&facts.vpc);
    record.source_vpc_id = view.map(|view| &view.vpc);
    record.source_vpc_arn = view.map(|view| view.vpc_arn.as_str());
    let network = view.and_then(|view| snapshot.network(view));
    record.service_network_arn = network.map(|network| network.arn.as_str());
    shared.telemetry.observe_unmatched(&record, None);
    if let Some(view) = view {
        view.metrics.observe(&record, None);
    }
    if let Some(network) = network {
        network.metrics.observe(&record, None);
    }
    if let Some(network) = network {
        let destinations = network.destinations.of_unserved();
        shared.early_recorder.record(destinations, &record);
    }
}

/// Whoever subscribed to the service or the network; for a request without a service, to the network of its VPC.
fn destinations(exchange: &Exchange) -> Option<&Destinations> {
    if let (Some(service), Some(network)) = (exchange.service(), exchange.network()) {
        return Some(service.destinations(network.id));
    }
    let snapshot = exchange.snapshot.as_ref()?;
    Some(&snapshot.network(exchange.view()?)?.destinations)
}

/// From the request's leaving to the answer's beginning, and from there to its end.
fn target_times(exchange: &Exchange, now: Instant) -> (Duration, Duration) {
    let Some(sent) = exchange.sent else {
        return (Duration::ZERO, Duration::ZERO);
    };
    match exchange.answered {
        Some(answered) => (
            answered.saturating_duration_since(sent),
            now.saturating_duration_since(answered),
        ),
        None => (now.saturating_duration_since(sent), Duration::ZERO),
    }
}

/// A target without its query.
fn path(target: &[u8]) -> Option<&[u8]> {
    target.split(|byte| *byte == b'?').next()
}

fn describe_head<'a>(record: &mut Record<'a>, head: &'a RequestHeader) {
    let target = head.raw_path();
    record.method = Some(head.method.as_str().as_bytes());
    record.path = path(target);
    record.protocol = match head.version {
        Version::HTTP_10 => Some(Protocol::Http10),
        Version::HTTP_11 => Some(Protocol::Http11),
        Version::HTTP_2 => Some(Protocol::Http2),
        _ => None,
    };
    let authority = head
        .uri
        .authority()
        .filter(|_| head.version == Version::HTTP_2)
        .map(|authority| authority.as_str().as_bytes());
    record.host = authority.or_else(|| {
        head.headers
            .get(http::header::HOST)
            .map(http::HeaderValue::as_bytes)
    });
    record.user_agent = head
        .headers
        .get(http::header::USER_AGENT)
        .map(http::HeaderValue::as_bytes);
}

fn describe_place<'a>(record: &mut Record<'a>, exchange: &'a Exchange) {
    let snapshot = exchange.snapshot.as_ref();
    record.trellis = Additions {
        generation: snapshot.map_or(0, |snapshot| snapshot.generation),
        rule: exchange.rule().map(|(_, rule)| (rule.id, rule.priority)),
        identified_by: identified_by(exchange.known_by),
        token_subject: exchange.token_subject.as_deref(),
        authentication_failure: exchange.unproven.as_deref(),
        decided_layer: exchange.decided_layer,
        decided_by: exchange.decided_by.as_deref(),
        candidate: exchange
            .candidate
            .as_ref()
            .map(|candidate| CandidateDecision {
                denied: candidate.denied,
                decided_by: candidate.decided_by.as_deref(),
            }),
        ..Additions::default()
    };
    describe_permit(record, exchange);
    if let Some(view) = exchange.view() {
        record.source_vpc_arn = Some(view.vpc_arn.as_str());
        record.source_vpc_id = Some(&view.vpc);
        let network = snapshot.and_then(|snapshot| snapshot.network(view));
        record.service_network_arn = network.map(|network| network.arn.as_str());
    }
    if let Some(service) = exchange.service() {
        record.service_arn = Some(service.arn.as_str());
    }
    if let Some((listener, _)) = exchange.rule() {
        record.listener_type = Some(listener.protocol);
        record.listener_id = Some(listener.id);
    }
    if let Some(group) = &exchange.group {
        record.target_group_arn = Some(group.arn.as_str());
        record.destination_vpc_id = group.targets().map(|targets| &targets.vpc);
    }
    record.target = exchange.reached;
}

/// What the policies said, and which statements allowed the request.
fn describe_permit<'a>(record: &mut Record<'a>, exchange: &'a Exchange) {
    record.trellis.decision = exchange.decision;
    let (Some(snapshot), Some(network), Some(matched), Some(caller)) = (
        &exchange.snapshot,
        exchange.network(),
        exchange.matched(),
        &exchange.caller,
    ) else {
        return;
    };
    let Some(service) = snapshot.service_policy(matched.service) else {
        return;
    };
    if exchange.grounds != Grounds::NONE {
        let place = (network.policy, service);
        record.trellis.decision = Some(Decision::Allow);
        record.trellis.allowed_by = snapshot.policies.allowing(place, caller, exchange.grounds);
    }
}

/// How the request fared on its way to targets.
fn describe_course<'a>(record: &mut Record<'a>, exchange: &'a Exchange) {
    let targets = exchange.group.as_ref().and_then(|group| group.targets());
    let additions = &mut record.trellis;
    additions.trace_id = exchange.trace_id().map(|id| *id.bytes());
    additions.attempts = exchange.repeats.attempts;
    additions.failed_attempts = &exchange.repeats.failed;
    additions.choice = targets
        .zip(exchange.lease.as_ref())
        .map(|(targets, lease)| (targets.algorithm, lease.chosen().word()));
    (additions.bytes_to_target, additions.bytes_from_target) = exchange.exchanged;
    additions.fault = exchange.fault.as_deref();
}

fn describe_caller<'a>(record: &mut Record<'a>, exchange: &'a Exchange) {
    let policed = is_policed(exchange);
    record.resolved_user = match exchange.caller {
        Some(Caller::Anonymous) if policed => ResolvedUser::Anonymous,
        None if exchange.failure == Some(FailureReason::ClientAccessDenied) => {
            ResolvedUser::Unknown
        }
        _ => ResolvedUser::AuthOff,
    };
    record.caller_certificate = exchange.certificate().map(describe_certificate);
    if let Some((principal, texts)) = exchange.caller_texts() {
        record.resolved_user = ResolvedUser::Arn(&principal.arn);
        record.caller_principal = Some(&principal.arn);
        record.caller_principal_tags = texts.record_tags.as_ref();
        record.caller_organization = principal
            .organization
            .as_ref()
            .map(|organization| &*organization.id);
    }
}

fn identified_by(proof: Proof) -> Option<IdentifiedBy> {
    match proof {
        Proof::None => None,
        Proof::Signature => Some(IdentifiedBy::Signature),
        Proof::Token => Some(IdentifiedBy::Token),
        Proof::Certificate => Some(IdentifiedBy::Certificate),
        Proof::Network => Some(IdentifiedBy::Network),
    }
}

fn describe_certificate(certificate: &ClientCertificate) -> CallerCertificate<'_> {
    fn bytes(text: &str) -> &[u8] {
        text.as_bytes()
    }
    CallerCertificate {
        issuer_ou: certificate.issuer_ou.as_deref().map(bytes),
        subject_cn: certificate.subject_cn().map(bytes),
        san_dns: certificate.dns_names.first().map(|name| bytes(name)),
        san_uri: certificate.uri.as_deref().map(bytes),
        san_name_cn: certificate.directory_cn.as_deref().map(bytes),
    }
}

fn describe_tls(tls: &Negotiated) -> Tls<'_> {
    Tls {
        version: tls.version,
        cipher: tls.cipher,
        server_name: Some(tls.server_name.as_bytes()),
        resumed: tls.resumed,
        group: tls.group,
        alpn: tls.alpn,
    }
}

/// Size of a head as HTTP/1.1 would send it, which is what the record means also for HTTP/2.
pub(super) fn head_bytes(head: &RequestHeader) -> u64 {
    let fields: usize = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    (head.method.as_str().len() + head.raw_path().len() + 14 + fields) as u64
}

/// The same of an answer's head.
pub(super) fn answer_bytes(head: &ResponseHeader) -> u64 {
    let fields: usize = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    (19 + fields) as u64
}
