//! The way a request would take: the steps of the request path, walked without a connection, with the reasons for each.
//!
//! Nothing here decides: whether a connection finds a VPC, a handshake a certificate, a head its way through the checks, and a
//! request its rule, its permit, its target and its headers is asked of the code that serves real requests.

mod head;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use http::{HeaderValue, Version};
use pingora_http::RequestHeader;
use rustls_pki_types::CertificateDer;
use trellis_model::{config::ClientCertificateMode, id::VpcId};
use trellis_policy::{Caller, Explanation, Identified, PrincipalIndex, Proof};
use trellis_routing::Trial;

use super::{
    answer::Answer,
    decide::{self, Arrival, Head},
    exchange::{Exchange, Match},
    failure::{self, RequestBody},
    forward,
    halt::{Halt, Unproven},
    request,
};
use crate::{
    conn::Facts,
    snapshot::{Action, PortProtocols, Snapshot, TargetGroup, View},
    tls::{Client, Http, Negotiated, Shown},
};

/// A request that nobody sends.
#[derive(Debug, Clone)]
pub struct Supposed {
    /// The client's address.
    pub peer: IpAddr,
    /// Where it connects to.
    pub local: SocketAddr,
    /// Does it speak TLS, and which server name does it ask for?
    pub tls: Option<ServerName>,
    /// The certificates that it shows when it is asked, its own first, whose key it is supposed to have.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The HTTP version.
    pub version: Version,
    /// The method.
    pub method: String,
    /// The request target: path and query.
    pub target: String,
    /// What it puts into `Host` or `:authority`.
    pub authority: String,
    /// Its other header fields.
    pub fields: Vec<(String, String)>,
    /// Who sends it.
    pub sender: Sender,
    /// When it arrives.
    pub at: SystemTime,
}

/// The server name of a TLS client; none when it connects to an address.
pub type ServerName = Option<Box<str>>;

/// Who sends a supposed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// Whoever its signature, its token, its certificate or its network shows; nobody if nothing does.
    Signature,
    /// This caller, as if it had signed.
    Supposed(Caller),
}

/// How far a request comes, and why.
#[derive(Debug)]
pub struct Walk {
    /// The caller's VPC.
    pub vpc: Option<VpcId>,
    /// Where the request belongs.
    pub matched: Option<Match>,
    /// The rules tried, up to the one that matched.
    pub trials: Vec<Trial>,
    /// Who sent it.
    pub caller: Option<Caller>,
    /// What showed that.
    pub known_by: Proof,
    /// What the policies say.
    pub decision: Option<Explanation>,
    /// What they would say if policies in audit were enforced and candidates active, where there are any.
    pub rehearsal: Option<Explanation>,
    /// What becomes of it in each group that can be chosen. Where some forward it and some do not, its end is to be forwarded.
    pub groups: Vec<Candidate>,
    /// What becomes of its headers, as a target of this group gets them.
    pub headers: Option<(Arc<TargetGroup>, HeaderChanges)>,
    /// How it ends.
    pub end: End,
}

/// How a request ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// There is no answer: the connection ends before the request, or the stream is reset.
    Unanswered {
        /// Why.
        reason: String,
    },
    /// The gateway refuses it.
    Refused {
        /// Status of the answer.
        status: u16,
        /// Body of the answer.
        text: String,
        /// Why, for operators.
        reason: String,
    },
    /// The gateway answers with the fixed response of a rule.
    FixedResponse {
        /// Status of the answer.
        status: u16,
    },
    /// It is forwarded to a target.
    Forwarded,
}

/// What becomes of a request for which this group is chosen.
#[derive(Debug)]
pub struct Candidate {
    /// The group's position in the action.
    pub position: usize,
    /// How it ends.
    pub end: End,
    /// The target that it gets while that may be chosen, where the request says so itself.
    pub bound: Option<Bound>,
}

/// Which target a request is bound to, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// What of the request says so.
    pub by: Tie,
    /// Where the target is.
    pub target: SocketAddr,
}

/// What binds a request to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// The group's stickiness cookie.
    Cookie,
    /// The hash of what the group's algorithm hashes.
    Hash,
}

/// How headers change on the way to a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderChanges {
    /// Fields added or replaced, with their values.
    pub set: Vec<(String, String)>,
    /// Fields removed.
    pub removed: Vec<String>,
}

/// The id that a target sees unless the client sent one.
const NEW_REQUEST_ID: HeaderValue = HeaderValue::from_static("(a new one for each request)");

/// Idle timeouts play no part here.
const IDLE: Duration = Duration::ZERO;

/// Walks the way of a request through a snapshot.
pub fn walk(snapshot: &Arc<Snapshot>, supposed: &Supposed) -> Walk {
    let view = snapshot.attach(supposed.local.ip(), supposed.peer);
    let mut walk = Walk {
        vpc: view.map(|view| view.vpc.clone()),
        matched: None,
        trials: Vec::new(),
        caller: None,
        known_by: Proof::None,
        decision: None,
        rehearsal: None,
        groups: Vec::new(),
        headers: None,
        end: End::Forwarded,
    };
    let arrived = connect(view, supposed).and_then(|facts| {
        let head = head::of(supposed, &snapshot.limits)?;
        Ok((facts, head))
    });
    match arrived {
        Ok((facts, head)) => walk.request(snapshot, facts, &head, supposed),
        Err(end) => walk.end = end,
    }
    walk
}

/// From the client's address to a connection that takes requests.
fn connect(view: Option<&View>, supposed: &Supposed) -> Result<Facts, End> {
    let unanswered = |reason: String| End::Unanswered { reason };
    let Supposed { peer, local, .. } = *supposed;
    let view = view.ok_or_else(|| {
        unanswered(format!(
            "no VPC is attached at `{}` for clients from `{peer}`",
            local.ip()
        ))
    })?;
    let wants_tls = supposed.tls.is_some();
    let takes_tls = match view.protocols(local.port()) {
        PortProtocols::None => {
            let text = format!(
                "no service that the VPC may meet has a listener on port {}",
                local.port()
            );
            return Err(unanswered(text));
        }
        PortProtocols::Http => false,
        PortProtocols::Https => true,
        PortProtocols::Both => wants_tls,
    };
    if wants_tls != takes_tls {
        let (taken, spoken) = if takes_tls {
            ("HTTPS", "plain HTTP")
        } else {
            ("plain HTTP", "TLS")
        };
        return Err(unanswered(format!(
            "port {} takes {taken} only and the client speaks {spoken}",
            local.port()
        )));
    }
    let tls = match &supposed.tls {
        None => None,
        Some(None) => {
            return Err(unanswered(
                "the TLS client sends no server name, which it cannot for an address".to_owned(),
            ));
        }
        Some(Some(name)) if !view.tls.answers_for(name) => {
            return Err(unanswered(format!(
                "no service of the service network has the TLS server name `{name}`"
            )));
        }
        Some(Some(name)) => Some(Negotiated {
            server_name: name.clone(),
            version: "TLSv1.3",
            cipher: "-",
            http: if supposed.version == Version::HTTP_2 {
                Http::Two
            } else {
                Http::One
            },
            resumed: false,
            group: None,
            alpn: None,
            client: show(view, name, supposed)?,
        }),
    };
    let peer = SocketAddr::new(peer, 0);
    Ok(Facts::new(
        view.vpc.clone(),
        (peer, local),
        tls,
        Instant::now(),
        IDLE,
    ))
}

/// What comes of asking for a certificate, where the service of the server name asks.
fn show(view: &View, server_name: &str, supposed: &Supposed) -> Result<Option<Arc<Client>>, End> {
    let Some(trust) = view.tls.trust(server_name) else {
        return Ok(None);
    };
    let chain = &supposed.certificates;
    let required = trust.mode() == ClientCertificateMode::Require;
    if chain.is_empty() && required {
        return Err(End::Unanswered {
            reason: "the service requires a client certificate and the client shows none"
                .to_owned(),
        });
    }
    let shown = (!chain.is_empty())
        .then(|| trust.verify(chain, supposed.at))
        .transpose()
        .map_err(|rejected| End::Unanswered {
            reason: format!("the service does not accept the client certificate: {rejected}"),
        })?;
    Ok(Some(Arc::new(Client {
        trust: trust.id(),
        shown: shown.map(|certificate| Shown {
            certificate,
            chain: chain.clone(),
        }),
    })))
}

impl Walk {
    /// Decides, and then collects the reasons.
    fn request(
        &mut self,
        snapshot: &Arc<Snapshot>,
        facts: Facts,
        head: &RequestHeader,
        supposed: &Supposed,
    ) {
        let facts = Arc::new(facts);
        let mut exchange = Exchange::begin();
        exchange.start = supposed.at;
        exchange.snapshot = Some(Arc::clone(snapshot));
        exchange.facts = Some(Arc::clone(&facts));
        exchange.see_head(head);
        if !head.headers.contains_key("x-amzn-requestid") {
            exchange.request_id = NEW_REQUEST_ID;
        }
        let decided = decide::decide_as(head, &mut exchange, |head, arrival, matched| {
            identify(&supposed.sender, head, arrival, matched)
        });
        self.matched = exchange.matched();
        self.caller.clone_from(&exchange.caller);
        self.known_by = exchange.known_by;
        self.give_reasons(snapshot, &facts, head, supposed.at);
        self.end = match decided {
            Ok(()) => self.forward(&mut exchange, head),
            Err(Halt::Fixed(status)) => End::FixedResponse { status },
            Err(halt) => stopped(halt),
        };
    }

    /// Which rules were tried and what each policy said, as far as the request came.
    fn give_reasons(
        &mut self,
        snapshot: &Snapshot,
        facts: &Facts,
        head: &RequestHeader,
        at: SystemTime,
    ) {
        let (Some(matched), Some(view), Ok(head)) = (
            self.matched,
            snapshot.view(&facts.vpc),
            Head::check(head, snapshot),
        ) else {
            return;
        };
        let arrival = Arrival {
            snapshot,
            view,
            facts,
            certified: None,
            at,
        };
        let listener = snapshot
            .service(matched.service)
            .and_then(|service| service.listeners.get(matched.listener));
        self.trials =
            listener.map_or_else(Vec::new, |listener| listener.table.trials(&head.parts()));
        let question = self
            .caller
            .as_ref()
            .and_then(|caller| head.question(&arrival, matched, caller));
        if let Some(question) = question {
            self.decision = Some(snapshot.policies.explain(&question));
            self.rehearsal = snapshot.policies.explain_rehearsal(&question);
        }
    }

    /// Chooses as the request path does, each group that can be chosen in turn.
    fn forward(&mut self, exchange: &mut Exchange, head: &RequestHeader) -> End {
        let Some(Action::Forward(action)) = exchange.permitted_action() else {
            return stopped(Halt::Internal);
        };
        let candidates: Vec<(usize, Arc<TargetGroup>)> = action
            .groups
            .iter()
            .cloned()
            .enumerate()
            .zip(action.choice.weights())
            .filter(|(_, weight)| *weight > 0)
            .map(|(group, _)| group)
            .collect();
        if candidates.is_empty() {
            let chosen = forward::choose_group(head, exchange, 0);
            return chosen.map_or_else(stopped, |()| stopped(Halt::Internal));
        }
        for (position, group) in candidates {
            let end = forward_to(exchange, head, Arc::clone(&group));
            if end == End::Forwarded && self.headers.is_none() {
                self.headers = Some(group).zip(header_changes(exchange, head));
            }
            let bound = (end == End::Forwarded).then(|| bound(exchange)).flatten();
            self.groups.push(Candidate {
                position,
                end,
                bound,
            });
        }
        let mut ends = self.groups.iter().map(|candidate| &candidate.end);
        let first = ends.clone().next().cloned();
        if ends.any(|end| *end == End::Forwarded) {
            End::Forwarded
        } else {
            first.unwrap_or_else(|| stopped(Halt::Internal))
        }
    }
}

/// How a request ends for which this group is chosen.
fn forward_to(exchange: &mut Exchange, head: &RequestHeader, group: Arc<TargetGroup>) -> End {
    let is_function = group.function().is_some();
    let is_found = group
        .targets()
        .is_some_and(|targets| targets.found_by.is_some());
    if let Err(halt) = forward::take_group(head, exchange, group) {
        return stopped(halt);
    }
    // Nobody asks for names here: there are targets, as far as anybody knows.
    if is_function || is_found {
        return End::Forwarded;
    }
    match forward::choose_target(exchange, 0, &[]) {
        Ok(_) => End::Forwarded,
        Err(error) => {
            let (status, failure) = failure::classify(&error, exchange, RequestBody::Complete);
            let reason = error
                .context
                .as_ref()
                .map_or("", |context| context.as_str());
            refused(&Answer::failed(status, failure), reason.to_owned())
        }
    }
}

/// The target that the exchange has got, if it would always get that one.
///
/// Nothing is checked here, so all targets may be chosen. Where a zone is preferred, a hash then leads elsewhere than when they are healthy.
fn bound(exchange: &Exchange) -> Option<Bound> {
    let targets = exchange.group.as_ref()?.targets()?;
    let lease = exchange.lease.as_ref()?;
    let by = match (&exchange.affinity.sticky, exchange.affinity.hash) {
        (Some(kept), _) if kept == lease.key() => Tie::Cookie,
        (None, Some(_)) if !targets.live.prefers_zone() => Tie::Hash,
        _ => return None,
    };
    Some(Bound {
        by,
        target: lease.address(),
    })
}

/// Finds out who is calling as the request path does, unless that is supposed.
fn identify(
    sender: &Sender,
    head: &Head<'_>,
    arrival: &Arrival<'_>,
    matched: Match,
) -> Result<Identified, Unproven> {
    match sender {
        Sender::Signature => decide::authenticate(head, arrival, matched),
        Sender::Supposed(caller) => Ok(Identified::by_signature(caller.clone())),
    }
}

fn stopped(halt: Halt) -> End {
    let reason = halt.to_string();
    refused(&halt.into_answer(), reason)
}

fn refused(answer: &Answer, reason: String) -> End {
    End::Refused {
        status: answer.status(),
        text: answer.text().to_owned(),
        reason,
    }
}

/// What [`super::request::prepare_request`] does to a head.
fn header_changes(exchange: &mut Exchange, head: &RequestHeader) -> Option<HeaderChanges> {
    let mut sent = head.clone();
    request::prepare_request(&mut sent, exchange).ok()?;
    let mut changes = HeaderChanges::default();
    for name in sent.headers.keys() {
        let values = sent.headers.get_all(name);
        if !values.iter().eq(head.headers.get_all(name)) {
            let texts = values.iter().map(|value| {
                let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.to_string(), text)
            });
            changes.set.extend(texts);
        }
    }
    let gone = head
        .headers
        .keys()
        .filter(|name| !sent.headers.contains_key(*name));
    changes.removed = gone.map(ToString::to_string).collect();
    changes.set.sort();
    changes.removed.sort();
    Some(changes)
}

/// The caller at this position.
impl From<PrincipalIndex> for Sender {
    fn from(index: PrincipalIndex) -> Self {
        Self::Supposed(Caller::Principal(index))
    }
}
