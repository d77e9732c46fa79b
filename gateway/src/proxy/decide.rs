//! Match, authenticate, authorize: what happens to a request before anything leaves the gateway.

use http::{Method, Version};
use pingora_http::RequestHeader;
use trellis_access_logs::record::AuthDeniedReason;
use trellis_model::config::{AuthType, ProtocolVersion};
use trellis_policy::{
    self as policy, Caller, Layer,
    sigv4::{SignatureError, SignedParts},
};
use trellis_routing::{Authority, RequestParts};

use super::{
    answer::Answer,
    exchange::{Exchange, Match, Stage},
};
use crate::{
    conn::Facts,
    h1,
    snapshot::{Action, Snapshot, View},
};

/// Takes a request from its head to a permit, or to the answer that it gets instead.
///
/// Spec: VPC Lattice user guide, in this order: service lookup (404), syntax (400), authentication and authorisation (403),
/// rules. Auth comes before the action of any rule, fixed responses included: the policy is the service's, not the rule's.
pub(super) fn decide(head: &RequestHeader, exchange: &mut Exchange) -> Result<(), Answer> {
    let (Some(snapshot), Some(facts)) = (exchange.snapshot.clone(), exchange.facts.clone()) else {
        return Err(Answer::internal_error());
    };
    let request = Head::check(head, &snapshot)?;
    let view = snapshot.view(&facts.vpc).ok_or_else(Answer::not_found)?;

    let matched = find(&request, &snapshot, view, &facts)?;
    exchange.stage = Stage::Matched(matched);
    facts.set_idle(exchange.idle());

    let caller = authenticate(&request, exchange, &snapshot)?;
    exchange.caller = Some(caller);

    let permit = authorize(&request, exchange, &snapshot, view, &facts, caller)?;
    exchange.stage = Stage::Permitted { matched, permit };

    match exchange.permitted_action() {
        Some(Action::Forward { groups, .. }) => check_versions(
            head,
            exchange.grpc,
            groups.first().map(|group| group.version),
        ),
        Some(Action::FixedResponse(status)) => Err(Answer::fixed(*status)),
        None => Err(Answer::internal_error()),
    }
}

/// The parts of a head that decisions rest on, checked.
struct Head<'a> {
    header: &'a RequestHeader,
    authority: &'a [u8],
    path: &'a [u8],
    query: Option<&'a [u8]>,
}

impl<'a> Head<'a> {
    /// HTTP/1 heads have passed [`crate::h1`] already; HTTP/2 ones are held to the same rules here.
    fn check(header: &'a RequestHeader, snapshot: &Snapshot) -> Result<Self, Answer> {
        let target = header.raw_path();
        if !h1::is_target_text(target) || header.method == Method::CONNECT {
            return Err(Answer::malformed());
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
}

/// Limits and host of an HTTP/2 head. Spec: RFC 9113 §8.3.1: `:authority` and `Host`, where both are given, must agree.
fn check_http2(header: &RequestHeader, snapshot: &Snapshot) -> Result<(), Answer> {
    let limits = &snapshot.limits;
    let fields = &header.headers;
    let bytes: usize = fields
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if fields.len() > limits.headers || bytes + header.raw_path().len() > limits.header_bytes {
        return Err(Answer::malformed());
    }
    let mut hosts = fields.get_all(http::header::HOST).iter();
    let host = hosts.next();
    let differs = host
        .zip(header.uri.authority())
        .is_some_and(|(host, authority)| {
            !host
                .as_bytes()
                .eq_ignore_ascii_case(authority.as_str().as_bytes())
        });
    let forms_agree = header.raw_path().starts_with(b"/")
        || (header.raw_path() == b"*" && header.method == Method::OPTIONS);
    if differs || hosts.next().is_some() || !forms_agree {
        return Err(Answer::malformed());
    }
    Ok(())
}

/// Host → service, port → listener, head → rule. What is missing and what is foreign look the same.
fn find(
    request: &Head<'_>,
    snapshot: &Snapshot,
    view: &View,
    facts: &Facts,
) -> Result<Match, Answer> {
    if request.authority.is_empty() && request.header.version == Version::HTTP_10 {
        return Err(Answer::not_found());
    }
    let authority = Authority::parse(request.authority).map_err(|_| Answer::malformed())?;
    let (Some(network), Some(index)) = (view.network, view.hosts.find(authority.host())) else {
        return Err(Answer::not_found());
    };
    if let Some(tls) = &facts.tls {
        let named = view.hosts.find(tls.server_name.as_bytes());
        if named != Some(index) {
            return Err(Answer::misdirected());
        }
    }
    let service = snapshot.service(index).ok_or_else(Answer::not_found)?;
    let port = facts.local.port();
    let wanted = service
        .listener(port, facts.tls.is_some())
        .ok_or_else(Answer::not_found)?;
    let listener = service
        .listeners
        .iter()
        .position(|listener| listener.id == wanted.id)
        .ok_or_else(Answer::not_found)?;
    let rule = wanted.table.first_match(&RequestParts {
        method: request.header.method.as_str(),
        path: request.path,
        headers: &request.header.headers,
    });
    Ok(Match {
        network,
        service: index,
        listener,
        rule,
    })
}

/// Signature → caller. A signature that does not verify refuses, even where anonymous callers may pass.
fn authenticate(
    request: &Head<'_>,
    exchange: &mut Exchange,
    snapshot: &Snapshot,
) -> Result<Caller, Answer> {
    let verified = snapshot.verifier.verify(
        &SignedParts {
            method: request.header.method.as_str(),
            path: request.path,
            query: request.query,
            authority: request.authority,
            headers: &request.header.headers,
        },
        exchange.start,
    );
    verified.map_err(|error: SignatureError| {
        exchange.decided_by = Some(error.to_string());
        Answer::forbidden(error.status(), error.public_text())
    })
}

/// Caller and facts → permit.
fn authorize(
    request: &Head<'_>,
    exchange: &mut Exchange,
    snapshot: &Snapshot,
    view: &View,
    facts: &Facts,
    caller: Caller,
) -> Result<policy::Permit, Answer> {
    let matched = exchange.matched();
    let network = matched.and_then(|matched| snapshot.networks.get(matched.network));
    let (Some(network), Some(service)) = (
        network,
        matched.and_then(|matched| snapshot.service(matched.service)),
    ) else {
        return Err(Answer::internal_error());
    };
    let arn = service.arn.as_str();
    let asked = policy::Request {
        action: policy::Action::Invoke,
        network: network.policy,
        service: service.policy,
        caller,
        method: request.header.method.as_str(),
        path: request.path,
        query: request.query,
        headers: &request.header.headers,
        port: facts.local.port(),
        source_ip: facts.peer.ip(),
        source_vpc: &view.vpc,
        source_vpc_owner: &view.account,
        secure_transport: facts.tls.is_some(),
        now: exchange.start,
    };
    snapshot.policies.authorize(&asked).map_err(|refusal| {
        let who = match caller {
            Caller::Anonymous => "anonymous",
            Caller::Principal(index) => snapshot
                .policies
                .principal(index)
                .map_or("-", |principal| &principal.arn),
        };
        let path = String::from_utf8_lossy(request.path);
        let text = refusal.public_text(who, arn, &path);
        exchange.denied = Some(match refusal.layer {
            Layer::Network => AuthDeniedReason::Network,
            Layer::Service => AuthDeniedReason::Service,
            Layer::Identity => AuthDeniedReason::Identity,
        });
        exchange.decided_by = refusal.statement.as_ref().map(ToString::to_string);
        Answer::forbidden(403, text)
    })
}

/// Can the client's protocol be carried to the group's?
///
/// Source: VPC Lattice user guide, "Protocol version": HTTP/1.1 cannot reach HTTP2 and GRPC groups, gRPC cannot reach HTTP1
/// groups, GRPC groups take POST only. The statuses are our choice, see `docs/conformance.md`.
fn check_versions(
    head: &RequestHeader,
    grpc: bool,
    group: Option<ProtocolVersion>,
) -> Result<(), Answer> {
    let http2 = head.version == Version::HTTP_2;
    match group {
        Some(ProtocolVersion::Http2 | ProtocolVersion::Grpc) if !http2 => {
            Err(Answer::unsupported_version(400))
        }
        Some(ProtocolVersion::Http1) if grpc => Err(Answer::unsupported_version(502)),
        Some(ProtocolVersion::Grpc) if head.method != Method::POST => {
            Err(Answer::unsupported_version(502))
        }
        _ => Ok(()),
    }
}

/// Do policies count for this exchange?
pub(super) fn is_policed(exchange: &Exchange) -> bool {
    let network = exchange.network().map(|network| network.auth_type);
    let service = exchange.service().map(|service| service.auth_type);
    network == Some(AuthType::AwsIam) || service == Some(AuthType::AwsIam)
}
