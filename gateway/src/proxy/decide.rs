//! Match, authenticate, authorize: what happens to a request before anything leaves the gateway.
//!
//! [`decide`] is the request path's. `trellis explain` goes through the same steps ([`decide_as`]), and then asks for their
//! reasons.

use std::time::SystemTime;

use http::{Method, Version};
use pingora_http::RequestHeader;
use trellis_access_logs::record::Phase;
use trellis_model::config::{AuthType, ProtocolVersion};
use trellis_policy::{
    self as policy, Caller, Given, Identified, Origin,
    sigv4::{Presigned, SignedParts},
};
use trellis_routing::{Authority, RequestParts};

use super::{
    exchange::{Exchange, Match, Rehearsed, Stage},
    halt::{Halt, Unmatched, Unproven, VersionMismatch, denied_reason},
    tell,
};
use crate::{
    conn::{Facts, Standing},
    h1::{self, Violation},
    snapshot::{Action, Network, Service, Snapshot, View},
};

/// Takes a request from its head to a permit, or to what stops it here.
///
/// Spec: VPC Lattice user guide, in this order: service lookup (404), syntax (400), authentication and authorisation (403),
/// rules. Auth comes before the action of any rule, fixed responses included: the policy is the service's, not the rule's.
pub(super) fn decide(head: &RequestHeader, exchange: &mut Exchange) -> Result<(), Halt> {
    decide_as(head, exchange, authenticate).inspect_err(|halt| halt.note(exchange))
}

/// The same, with another way to find out who is calling.
pub(super) fn decide_as(
    head: &RequestHeader,
    exchange: &mut Exchange,
    identify: impl FnOnce(&Head<'_>, &Arrival<'_>, Match) -> Result<Identified, Unproven>,
) -> Result<(), Halt> {
    let (Some(snapshot), Some(facts)) = (exchange.snapshot.clone(), exchange.facts.clone()) else {
        return Err(Halt::Internal);
    };
    let request = Head::check(head, &snapshot)?;
    let arrival = Arrival {
        snapshot: &snapshot,
        view: snapshot.view(&facts.vpc).ok_or(Unmatched::Vpc)?,
        facts: &facts,
        certified: None,
        at: exchange.start,
    };

    let matched = find(&request, &arrival)?;
    exchange.stage = Stage::Matched(matched);
    exchange.stopwatch.enter(Phase::Authenticate);
    facts.set_idle(exchange.idle());

    let service = snapshot.service(matched.service).ok_or(Unmatched::Host)?;
    exchange.standing = facts
        .standing(&snapshot, service, exchange.start)
        .map_err(Unmatched::from)?;
    let standing = exchange.standing.clone();
    let arrival = Arrival {
        certified: standing.as_deref().and_then(Standing::given),
        ..arrival
    };

    let Identified {
        caller,
        by,
        subject,
    } = identify(&request, &arrival, matched).map_err(Halt::Unproven)?;
    exchange.known_by = by;
    exchange.token_subject = subject;
    exchange.stopwatch.enter(Phase::Authorize);
    let caller = exchange.caller.insert(caller);

    exchange.candidate = rehearse(&request, &arrival, matched, caller);
    exchange.explanation = tell::explanation(&request, &arrival, matched, caller);
    let permit = authorize(&request, &arrival, matched, caller)?;
    exchange.grounds = permit.grounds();
    exchange.stopwatch.enter(Phase::Queue);
    exchange.stage = Stage::Permitted { matched, permit };

    match exchange.permitted_action() {
        Some(Action::Forward(_)) => Ok(()),
        Some(Action::FixedResponse(status)) => Err(Halt::Fixed(*status)),
        None => Err(Halt::Internal),
    }
}

/// The connection that a request came on, and the snapshot and the time under which it is decided.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) view: &'a View,
    pub(super) facts: &'a Facts,
    /// Who the client's certificate is of, once it is known what the service makes of it.
    pub(super) certified: Option<&'a Given>,
    pub(super) at: SystemTime,
}

/// The parts of a head that decisions rest on, checked.
#[derive(Debug)]
pub(super) struct Head<'a> {
    header: &'a RequestHeader,
    authority: &'a [u8],
    path: &'a [u8],
    query: Option<&'a [u8]>,
}

impl<'a> Head<'a> {
    /// HTTP/1 heads have passed [`crate::h1`] already, and HTTP/2 ones [`crate::h2`].
    pub(super) fn check(header: &'a RequestHeader, snapshot: &Snapshot) -> Result<Self, Violation> {
        let target = header.raw_path();
        if header.method == Method::CONNECT {
            return Err(Violation::Connect);
        }
        if header.version == Version::HTTP_2 {
            check_http2(header, snapshot)?;
        }
        let authority = match header.uri.authority() {
            Some(authority) if header.version == Version::HTTP_2 => authority.as_str().as_bytes(),
            _ => header
                .headers
                .get(http::header::HOST)
                .map(http::HeaderValue::as_bytes)
                .unwrap_or_default(),
        };
        let (path, query) = match memchr::memchr(b'?', target) {
            Some(at) => (target.get(..at).unwrap_or_default(), target.get(at + 1..)),
            None => (target, None),
        };
        Ok(Self {
            header,
            authority,
            path,
            query,
        })
    }

    /// Does it have a field of this name?
    pub(super) fn has(&self, name: &http::HeaderName) -> bool {
        self.header.headers.contains_key(name)
    }

    /// What rules look at.
    pub(super) fn parts(&self) -> RequestParts<'a> {
        RequestParts {
            method: self.header.method.as_str(),
            path: self.path,
            authority: self.authority,
            headers: &self.header.headers,
        }
    }

    /// What policies look at.
    pub(super) fn question(
        &self,
        arrival: &Arrival<'a>,
        matched: Match,
        caller: &'a Caller,
    ) -> Option<policy::Request<'a>> {
        let Arrival {
            snapshot,
            view,
            facts,
            at,
            ..
        } = *arrival;
        Some(policy::Request {
            action: policy::Action::Invoke,
            network: snapshot.networks.get(matched.network)?.policy,
            service: snapshot.service_policy(matched.service)?,
            caller,
            method: self.header.method.as_str(),
            path: self.path,
            query: self.query,
            authority: self.authority,
            headers: &self.header.headers,
            port: facts.local.port(),
            source_ip: facts.peer.ip(),
            source_vpc: &view.vpc,
            source_vpc_owner: &view.account,
            secure_transport: facts.tls.is_some(),
            now: at,
        })
    }
}

/// What of an HTTP/2 head is well formed, and refused nevertheless: too much of it, and names that a target may misread.
fn check_http2(header: &RequestHeader, snapshot: &Snapshot) -> Result<(), Violation> {
    let limits = &snapshot.limits;
    let fields = &header.headers;
    let bytes: usize = fields
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if fields.len() > limits.headers || bytes + header.raw_path().len() > limits.header_bytes {
        return Err(Violation::TooLarge);
    }
    if fields
        .keys()
        .any(|name| h1::is_disguised(name.as_str().as_bytes()))
    {
        return Err(Violation::Field);
    }
    Ok(())
}

/// Host → service, port → listener, head → rule. What is missing and what is foreign look the same.
fn find(request: &Head<'_>, arrival: &Arrival<'_>) -> Result<Match, Halt> {
    let Arrival {
        snapshot,
        view,
        facts,
        ..
    } = arrival;
    if request.authority.is_empty() && request.header.version == Version::HTTP_10 {
        return Err(Unmatched::NoHost.into());
    }
    let authority = Authority::parse(request.authority).map_err(Halt::Authority)?;
    let network = view.network.ok_or(Unmatched::Network)?;
    let index = view.hosts.find(authority.host()).ok_or(Unmatched::Host)?;
    if let Some(tls) = &facts.tls {
        let named = view.hosts.find(tls.server_name.as_bytes());
        if named != Some(index) {
            return Err(Unmatched::Misdirected.into());
        }
    }
    let service = snapshot.service(index).ok_or(Unmatched::Host)?;
    let wanted = service
        .listener(facts.local.port(), facts.tls.is_some())
        .ok_or(Unmatched::Listener)?;
    let listener = service
        .listeners
        .iter()
        .position(|listener| listener.id == wanted.id)
        .ok_or(Unmatched::Listener)?;
    Ok(Match {
        network,
        service: index,
        listener,
        rule: wanted.table.first_match(&request.parts()),
    })
}

/// Signature, token, certificate, network → caller. A signature that does not verify refuses, even where anonymous callers may pass;
/// tokens, certificates and networks are asked only where a policy asks who is calling.
pub(super) fn authenticate(
    request: &Head<'_>,
    arrival: &Arrival<'_>,
    matched: Match,
) -> Result<Identified, Unproven> {
    let network = arrival.snapshot.networks.get(matched.network);
    let service = arrival.snapshot.service(matched.service);
    let asked = asks_for_callers(network, service);
    let presigned = if asked {
        Presigned::Counts
    } else {
        Presigned::Ignored
    };
    let parts = SignedParts {
        method: request.header.method.as_str(),
        path: request.path,
        query: request.query,
        authority: request.authority,
        headers: &request.header.headers,
        presigned,
    };
    let snapshot = arrival.snapshot;
    let signed = snapshot.verifier.verify(&parts, arrival.at)?;
    if !asked {
        return Ok(Identified::by_signature(signed));
    }
    let origin = Origin {
        vpc: &arrival.view.vpc,
        account: &arrival.view.account,
        address: arrival.facts.peer.ip(),
        certified: arrival.certified,
    };
    let headers = &request.header.headers;
    let identified = snapshot
        .identities
        .resolve(signed, headers, &origin, arrival.at)?;
    Ok(identified)
}

/// Caller and facts → permit.
fn authorize<'a>(
    request: &Head<'a>,
    arrival: &Arrival<'a>,
    matched: Match,
    caller: &'a Caller,
) -> Result<policy::Permit, Halt> {
    let snapshot = arrival.snapshot;
    let (Some(question), Some(service)) = (
        request.question(arrival, matched, caller),
        snapshot.service(matched.service),
    ) else {
        return Err(Halt::Internal);
    };
    snapshot.policies.authorize(&question).map_err(|refusal| {
        let who = match caller {
            Caller::Anonymous => "anonymous",
            caller => snapshot
                .policies
                .caller(caller)
                .map_or("-", |principal| &principal.arn),
        };
        let path = String::from_utf8_lossy(request.path);
        let text = refusal.public_text(who, service.arn.as_str(), &path);
        Halt::Denied { refusal, text }
    })
}

/// What policies in audit and candidates would decide, where there are any. Decides nothing.
fn rehearse(
    request: &Head<'_>,
    arrival: &Arrival<'_>,
    matched: Match,
    caller: &Caller,
) -> Option<Rehearsed> {
    let policies = &arrival.snapshot.policies;
    if !policies.has_rehearsals() {
        return None;
    }
    let question = request.question(arrival, matched, caller)?;
    let refusal = policies.rehearse(&question)?.err();
    Some(Rehearsed {
        denied: refusal.as_ref().map(|refusal| denied_reason(refusal.layer)),
        decided_by: refusal
            .and_then(|refusal| refusal.statement)
            .map(|statement| statement.to_string()),
    })
}

/// Can the client's protocol be carried to the group's?
///
/// Source: VPC Lattice user guide, "Protocol version": HTTP/1.1 cannot reach HTTP2 and GRPC groups, gRPC cannot reach HTTP1
/// groups, GRPC groups take POST only.
pub(super) fn check_versions(
    head: &RequestHeader,
    grpc: bool,
    group: ProtocolVersion,
) -> Result<(), VersionMismatch> {
    let http2 = head.version == Version::HTTP_2;
    match group {
        ProtocolVersion::Http2 | ProtocolVersion::Grpc if !http2 => {
            Err(VersionMismatch::NotHttp2 { group })
        }
        ProtocolVersion::Http1 if grpc => Err(VersionMismatch::Grpc),
        ProtocolVersion::Grpc if head.method != Method::POST => Err(VersionMismatch::NotPost),
        _ => Ok(()),
    }
}

/// Do policies count for this exchange?
pub(super) fn is_policed(exchange: &Exchange) -> bool {
    asks_for_callers(exchange.network(), exchange.service())
}

/// Does the auth type of one of them put a policy before requests?
fn asks_for_callers(network: Option<&Network>, service: Option<&Service>) -> bool {
    let network = network.map(|network| network.auth_type);
    let service = service.map(|service| service.auth_type);
    network == Some(AuthType::AwsIam) || service == Some(AuthType::AwsIam)
}
