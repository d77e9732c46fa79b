//! Forwarding to a function: the whole request becomes an event, the result of the call becomes the answer.
//!
//! The engine has no part in this beyond reading the request and writing the answer. Times are those of requests to targets: the
//! idle timeout between two parts of the body, and one deadline for the call. Both bodies are bounded, and held within the memory
//! that all calls share.

use std::{fmt::Display, time::Instant};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, header};
use pingora_error::{Error, ErrorSource, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use trellis_access_logs::record::{FailureReason, Phase};
use trellis_policy::Proof;
use trellis_target_groups::function::{self, Caller, Certificate, EVENT_BYTES, Event};

use super::{
    Dice,
    answer::Answer,
    decide::is_policed,
    exchange::{Exchange, Stage},
    request::{self, REQUEST_ID},
    tell::EXPLAIN,
};
use crate::{
    functions::{CallError, Client, Function, Held, Times},
    h1,
    shared::Shared,
    snapshot::TargetGroup,
};

/// Answers a request whose target group is a function's; `false` when it is not, and the request is yet to be forwarded.
pub(super) async fn answer(
    session: &mut Session,
    exchange: &mut Exchange,
    (client, dice): (&Client, &Dice),
    shared: &Shared,
) -> Result<bool> {
    // Without a permit there is no group.
    let Some(group) = exchange.group.clone() else {
        return Ok(false);
    };
    let Some(function) = group.function() else {
        return Ok(false);
    };
    exchange.set_deadline(session.req_header());
    exchange.begin_attempt(None, dice.roll());
    let mut held = shared.function_memory.share();
    match outcome(session, exchange, (&group, function), (client, &mut held)).await? {
        Ok(answer) => send(session, exchange, answer).await?,
        Err(failure) => {
            exchange.fault = failure.fault;
            failure.answer.send(session, exchange).await?;
        }
    }
    Ok(true)
}

/// Why a function has no answer for the client, whom the gateway answers then.
#[derive(Debug)]
struct Failure {
    answer: Answer,
    /// For operators.
    fault: Option<Box<str>>,
}

impl Failure {
    fn new(status: u16, reason: FailureReason, fault: &dyn Display) -> Self {
        Self {
            answer: Answer::failed(status, reason),
            fault: Some(fault.to_string().into()),
        }
    }

    /// The request does not fit into an event.
    fn too_large() -> Self {
        Self {
            answer: Answer::too_large(),
            fault: None,
        }
    }
}

/// Source: `docs/conformance.md`, for all of these.
impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        use FailureReason as Reason;
        let (status, reason) = match &error {
            CallError::Connect(_) => (500, Reason::TargetConnectionError),
            CallError::Deadline => (504, Reason::TargetDataTimeout),
            CallError::Closed => (502, Reason::TargetConnectionClosed),
            CallError::Protocol(_) => (502, Reason::TargetProtocolError),
            CallError::Fault(fault) => (fault.status(), Reason::TargetProtocolError),
            CallError::Memory => (503, Reason::InternalError),
            CallError::Unsigned => (500, Reason::InternalError),
        };
        Self::new(status, reason, &error)
    }
}

/// Reads the request, calls the function and reads its result. An error is the client's: it went away or broke a rule.
async fn outcome(
    session: &mut Session,
    exchange: &mut Exchange,
    (group, function): (&TargetGroup, &Function),
    (client, held): (&Client, &mut Held),
) -> Result<Result<function::Answer, Failure>> {
    let headers = request::event_headers(session.req_header(), exchange)?;
    let body = match read_body(session, held).await? {
        Ok(body) => body,
        Err(failure) => return Ok(Err(failure)),
    };
    let event = match event(session, exchange, (group, function), &headers, &body) {
        Ok(event) if held.take(event.len()) => event,
        Ok(_) => return Ok(Err(CallError::Memory.into())),
        Err(failure) => return Ok(Err(failure)),
    };
    held.give_back(body.len());
    drop((body, headers));
    // Taken once the request is there, so that clients who send slowly take no turn from others.
    let Some(invocation) = function.invocations.begin(function.concurrency) else {
        let fault = "as many requests are with the function as may be";
        let failure = Failure::new(503, FailureReason::TargetConnectionError, &fault);
        return Ok(Err(failure));
    };
    let limits = exchange.snapshot.as_ref().map(|snapshot| &snapshot.limits);
    let now = Instant::now();
    exchange.request_ended = Some(now);
    let timeout = function.timeout(exchange.idle());
    // What the rule allows counts as well.
    let whole = exchange.latest_end().map_or(timeout, |end| {
        timeout.min(end.saturating_duration_since(now))
    });
    let times = Times {
        connect: limits.map_or(whole, |limits| limits.connect_timeout),
        whole,
    };
    exchange.sent = Some(now);
    exchange.stopwatch.enter(Phase::FirstByte);
    exchange.exchanged.0 = event.len() as u64;
    let called = tokio::select! {
        called = client.call(function.call(), event, times, held) => called,
        // The call is dropped, and its connection with it: nobody waits for the answer.
        gone = gone(session) => return Err(gone),
    };
    exchange.answered = Some(exchange.stopwatch.enter(Phase::Body));
    drop(invocation);
    if let Ok(reply) = &called {
        exchange.exchanged.1 = reply.result.len() as u64;
    }
    let answer = called.and_then(|reply| Ok(function::answer(&reply.result)?));
    Ok(answer.map_err(Failure::from))
}

/// Waits for the client to go away, or to send what it may not while it waits for an answer.
async fn gone(session: &mut Session) -> Box<Error> {
    let client = session.as_downstream_mut();
    loop {
        match client.read_body_or_idle(true).await {
            // Nothing more of a body that has ended.
            Ok(_) => {}
            Err(error) => return error.into_down(),
        }
    }
}

/// The whole body of the request, within what an event can hold.
async fn read_body(session: &mut Session, held: &mut Held) -> Result<Result<Bytes, Failure>> {
    let headers = &session.req_header().headers;
    let fits = |length: usize| function::least_length(headers, length) <= EVENT_BYTES;
    let announced = headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| h1::parse_length(value.as_bytes()));
    if announced.is_some_and(|length| !usize::try_from(length).is_ok_and(&fits)) {
        return Ok(Err(Failure::too_large()));
    }
    let most = largest_body(fits);
    let expects = headers
        .get(header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let client = session.as_downstream_mut();
    if client.is_body_empty() {
        return Ok(Ok(Bytes::new()));
    }
    if expects {
        let continued = client.write_continue_response().await;
        continued.map_err(Error::into_down)?;
    }
    let mut body = BytesMut::new();
    while let Some(part) = client.read_request_body().await.map_err(Error::into_down)? {
        if body.len() + part.len() > most {
            return Ok(Err(Failure::too_large()));
        }
        if !held.take(part.len()) {
            return Ok(Err(CallError::Memory.into()));
        }
        body.extend_from_slice(&part);
    }
    Ok(Ok(body.freeze()))
}

/// The length of the largest body that fits.
fn largest_body(fits: impl Fn(usize) -> bool) -> usize {
    if fits(EVENT_BYTES) {
        EVENT_BYTES
    } else {
        EVENT_BYTES / 4 * 3
    }
}

fn event(
    session: &Session,
    exchange: &Exchange,
    (group, function): (&TargetGroup, &Function),
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Vec<u8>, Failure> {
    let lost = || {
        Failure::new(
            500,
            FailureReason::InternalError,
            &"the request lost its place",
        )
    };
    let head = session.req_header();
    let snapshot = exchange.snapshot.as_ref().ok_or_else(lost)?;
    let view = exchange.view().ok_or_else(lost)?;
    // Source: VPC Lattice user guide, "Receive events": the caller is told where an auth policy asked who it is.
    let known = exchange.caller_texts().filter(|_| is_policed(exchange));
    let caller = known.map(|(principal, _)| Caller {
        principal: &principal.arn,
        organization: principal.organization.as_ref().map(|of| &*of.id),
        session: principal.session_name.as_deref(),
        certificate: shown_certificate(exchange),
    });
    let event = Event {
        method: head.method.as_str(),
        target: head.raw_path(),
        headers,
        body,
        service_network_arn: exchange.network().ok_or_else(lost)?.arn.as_str(),
        service_arn: exchange.service().ok_or_else(lost)?.arn.as_str(),
        target_group_arn: group.arn.as_str(),
        source_vpc_arn: view.vpc_arn.as_str(),
        region: snapshot.region.as_str(),
        caller,
        at: exchange.start,
        request_id: exchange.request_id.as_bytes(),
    };
    function::event(function.event, &event, EVENT_BYTES).map_err(|_| Failure::too_large())
}

/// What the certificate says that showed who calls.
fn shown_certificate(exchange: &Exchange) -> Certificate<'_> {
    let proven = exchange.known_by == Proof::Certificate;
    let certificate = exchange.certificate().filter(|_| proven);
    certificate.map_or_else(Certificate::default, |certificate| Certificate {
        issuer_ou: certificate.issuer_ou.as_deref(),
        dns: certificate.dns_names.first().map(|name| &**name),
        name_cn: certificate.directory_cn.as_deref(),
        uri: certificate.uri.as_deref(),
        subject_cn: certificate.subject_cn(),
    })
}

/// Sends a function's answer.
async fn send(
    session: &mut Session,
    exchange: &mut Exchange,
    answer: function::Answer,
) -> Result<()> {
    let function::Answer {
        status,
        headers,
        body,
    } = answer;
    exchange.status = Some(status.as_u16());
    exchange.announce_end(session);
    exchange.stage = Stage::Answered {
        matched: exchange.matched(),
    };
    let is_head = session.req_header().method == Method::HEAD;
    let head = answer_head(exchange, status, headers, body.len(), is_head);
    let without_body = is_head || body.is_empty() || has_no_body(status);
    let sent = async {
        session
            .write_response_header(Box::new(head), without_body)
            .await?;
        if !without_body {
            session.write_response_body(Some(body.into()), true).await?;
        }
        Ok(())
    };
    // A client that went away before its answer is an ordinary end, and the record says so.
    sent.await.map_err(|error: Box<Error>| {
        exchange
            .failure
            .get_or_insert(FailureReason::ClientConnectionClosed);
        if *error.esource() == ErrorSource::Unset {
            error.into_down()
        } else {
            error
        }
    })
}

fn answer_head(
    exchange: &Exchange,
    status: StatusCode,
    headers: HeaderMap,
    length: usize,
    is_head: bool,
) -> ResponseHeader {
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = status;
    parts.headers = headers;
    let headers = &mut parts.headers;
    // Spec: RFC 9110 §8.6. What a function answers to HEAD without a body says nothing of the length that GET would have.
    let unknown = is_head && length == 0;
    if status == StatusCode::RESET_CONTENT {
        headers.insert(header::CONTENT_LENGTH, 0.into());
    } else if !unknown && !has_no_body(status) {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    headers.insert(REQUEST_ID, exchange.request_id.clone());
    // Only the gateway explains.
    match &exchange.explanation {
        Some(explanation) => drop(headers.insert(EXPLAIN, explanation.clone())),
        None => drop(headers.remove(EXPLAIN)),
    }
    ResponseHeader::from(parts)
}

/// Spec: RFC 9110 §15.3.5, §15.3.6, §15.4.5.
fn has_no_body(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
    )
}
