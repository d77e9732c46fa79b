//! The configuration as the request path wants it: compiled, indexed, immutable.
//!
//! A snapshot is built in two steps. What can fail (policies, certificates) is compiled first and reported whole; only then is the
//! snapshot put together, which cannot fail, so a rejected change leaves no trace. Every lookup starts from a VPC's view
//! ([`View`]): another tenant's resource cannot even be named.

mod attachments;
mod build;
mod certificates;
mod change;
mod clients;
mod preview;
mod targets;
mod texts;

pub use attachments::Attachments;
pub use build::{Compiled, Ingredients, Surroundings, compile, sockets};
pub use certificates::TlsTerms;
#[cfg(test)]
pub(crate) use change::named;
pub use change::{Change, GroupChanges};
pub use clients::{Clients, authorities};
pub use preview::preview;
pub use targets::target_certificates;

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use http::HeaderValue;
use tokio::sync::Notify;
use trellis_access_logs::Destinations;
use trellis_model::{
    arn::Arn,
    config::{
        AuthType, ConnectionPool, HashKey, Limits, ListenerProtocol, ProtocolVersion, RulePriority,
        TargetProtocol, TraceSettings, Traffic,
    },
    id::{ListenerId, RuleId, ServiceId, ServiceNetworkId, TargetGroupId, VpcId},
    name::{AccountId, DomainName, Name, Region},
};
use trellis_policy::{
    self as policy, Identities, Policies, certificate::ClientCertificate, sigv4::Verifier,
};
use trellis_routing::{HostTable, RuleTable, ServiceIndex};
use trellis_target_groups::{Group, WeightedChoice};

use build::{Pieces, World};

use crate::{
    functions::Function,
    pools::Pool,
    stickiness::Cookies,
    telemetry::{AccountMetrics, GroupMetrics, PlaceMetrics, ServiceMetrics},
    tls::{TargetTls, Terminator},
};

/// Everything a request needs to know, as of one generation of the configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts the configurations that ran, from one.
    pub generation: u64,
    /// When it was put together.
    pub built: Instant,
    /// Limits and timeouts.
    pub limits: Limits,
    /// Principals, keys and policies.
    pub policies: Policies,
    /// Verifies signatures.
    pub verifier: Arc<Verifier>,
    /// Knows callers who do not sign.
    pub identities: Arc<Identities>,
    /// The region, for those who are told.
    pub region: Region,
    /// Services, by [`ServiceIndex`].
    pub services: Arc<[Arc<Service>]>,
    /// Service networks.
    pub networks: Vec<Network>,
    /// Names and addresses for DNS.
    pub names: Names,
    /// Which requests are traced, if any are.
    pub traces: Option<Arc<TraceSettings>>,
    /// ARNs of principals that are told, when they ask, why a request was allowed or refused.
    pub explain_to: HashSet<Box<str>>,
    attachments: Arc<Attachments>,
    views: Vec<Arc<View>>,
    by_vpc: Arc<HashMap<VpcId, usize, foldhash::fast::RandomState>>,
    callers: Arc<[OnceLock<CallerTexts>]>,
    pieces: Pieces,
}

/// What DNS tells every VPC alike.
#[derive(Debug)]
pub struct Names {
    /// The zone of generated names.
    pub generated: DomainName,
    /// The gateway's addresses for every VPC; empty means those of the asking VPC's attachments.
    pub answers: Vec<IpAddr>,
}

/// The world as one VPC sees it.
#[derive(Debug)]
pub struct View {
    /// The VPC.
    pub vpc: VpcId,
    /// Its ARN.
    pub vpc_arn: Arn,
    /// Its owner.
    pub account: AccountId,
    /// The network that it is associated with, as a position in [`Snapshot::networks`].
    pub network: Option<usize>,
    /// Hosts of the services that it may meet.
    pub hosts: Arc<HostTable>,
    /// TLS for its listeners, with the certificates of those services.
    pub tls: Terminator,
    /// `x-amzn-lattice-network`.
    pub network_header: HeaderValue,
    /// `x-amzn-source-vpc`.
    pub vpc_header: HeaderValue,
    /// Addresses that its attachments listen on; may hold the unspecified address.
    pub addresses: Vec<IpAddr>,
    /// The metrics of its clients.
    pub metrics: Arc<PlaceMetrics>,
    world: Arc<World>,
}

/// Which kinds of listener a VPC finds on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortProtocols {
    /// None.
    None,
    /// HTTP only.
    Http,
    /// HTTPS only.
    Https,
    /// Both, of different services.
    Both,
}

impl PortProtocols {
    /// With a listener of this protocol besides.
    fn with(self, protocol: ListenerProtocol) -> Self {
        match (self, protocol) {
            (Self::None | Self::Http, ListenerProtocol::Http) => Self::Http,
            (Self::None | Self::Https, ListenerProtocol::Https) => Self::Https,
            _ => Self::Both,
        }
    }
}

/// A service network.
#[derive(Debug)]
pub struct Network {
    /// Its id.
    pub id: ServiceNetworkId,
    /// Its ARN.
    pub arn: Arn,
    /// Its name.
    pub name: Name,
    /// Does its policy count?
    pub auth_type: AuthType,
    /// Its layer of policy.
    pub policy: policy::NetworkIndex,
    /// Where records go of requests for which no service was found.
    pub destinations: Destinations,
    /// Its metrics.
    pub metrics: Arc<PlaceMetrics>,
}

/// A service.
#[derive(Debug)]
pub struct Service {
    /// Its id.
    pub id: ServiceId,
    /// Its ARN.
    pub arn: Arn,
    /// Its name.
    pub name: Name,
    /// Its owner.
    pub account: AccountId,
    /// What it demands of certificates of clients, if it asks for them.
    pub clients: Option<Clients>,
    /// Does its policy count?
    pub auth_type: AuthType,
    /// The name that clients and targets know it by: custom domain, else generated.
    pub domain: DomainName,
    /// Longest silence on a connection or stream.
    pub idle: Option<Duration>,
    /// Its listeners.
    pub listeners: Box<[Listener]>,
    /// The networks that it is in.
    pub memberships: Box<[Membership]>,
    /// Its metrics.
    pub metrics: Arc<ServiceMetrics>,
    /// The metrics of its owner.
    pub account_metrics: Arc<AccountMetrics>,
}

/// A service in a network.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The network.
    pub network: ServiceNetworkId,
    /// Its ARN.
    pub arn: Arn,
    /// Where the records of requests go that come through it.
    pub destinations: Destinations,
}

/// A listener with its compiled rules.
#[derive(Debug)]
pub struct Listener {
    /// Its id.
    pub id: ListenerId,
    /// What clients speak.
    pub protocol: ListenerProtocol,
    /// Its port.
    pub port: u16,
    /// Conditions of all rules.
    pub table: RuleTable,
    /// What the rules are and do, in the order of `table`.
    pub rules: Box<[Rule]>,
    /// The default rule.
    pub default: Rule,
}

/// What a rule is and does.
#[derive(Debug)]
pub struct Rule {
    /// Its id.
    pub id: RuleId,
    /// Its priority; the default rule has none.
    pub priority: Option<RulePriority>,
    /// What it does.
    pub action: Action,
}

/// What a rule does.
#[derive(Debug)]
pub enum Action {
    /// Forwards to a target. Rules in a row that do the same share it.
    Forward(Arc<Forward>),
    /// Answers with this status.
    FixedResponse(u16),
}

/// Forwarding to one of several target groups.
#[derive(Debug)]
pub struct Forward {
    /// Chooses a position in `groups`.
    pub choice: WeightedChoice,
    /// The groups.
    pub groups: Box<[Arc<TargetGroup>]>,
    /// How long a request may take, and when it is tried again.
    pub traffic: Arc<Traffic>,
}

/// A target group.
#[derive(Debug)]
pub struct TargetGroup {
    /// Its id.
    pub id: TargetGroupId,
    /// Its ARN.
    pub arn: Arn,
    /// Its name.
    pub name: Name,
    /// What takes its requests.
    pub takers: Takers,
    /// Its metrics.
    pub metrics: GroupMetrics,
    /// `x-amzn-lattice-target`, for each network of the service.
    target_headers: OnceLock<Box<[(ServiceNetworkId, HeaderValue)]>>,
}

/// What takes the requests of a target group.
#[derive(Debug)]
pub enum Takers {
    /// Targets with addresses.
    Targets(Targets),
    /// A function.
    Function(Function),
}

/// Targets with addresses.
#[derive(Debug)]
pub struct Targets {
    /// Is the connection to targets encrypted?
    pub protocol: TargetProtocol,
    /// HTTP version spoken to targets.
    pub version: ProtocolVersion,
    /// How the connection is secured, if it is.
    pub tls: Option<Arc<TargetTls>>,
    /// Where the targets live.
    pub vpc: VpcId,
    /// Who they are and how they do.
    pub live: Arc<Group>,
    /// To be rung when one of them has failed too often.
    pub alarm: Arc<Notify>,
    /// Connections to them.
    pub connections: ConnectionPool,
    /// Bounds the requests that each of them has.
    pub pool: Option<Arc<Pool>>,
    /// The algorithm that chooses among them, by name.
    pub algorithm: &'static str,
    /// What the group's algorithm hashes.
    pub hash: Option<HashKey>,
    /// Cookies that keep clients at their targets.
    pub stickiness: Option<Arc<Cookies>>,
    /// The name that they are found by, if they are.
    pub found_by: Option<DomainName>,
}

impl TargetGroup {
    /// Its targets, unless it is a function's.
    pub fn targets(&self) -> Option<&Targets> {
        match &self.takers {
            Takers::Targets(targets) => Some(targets),
            Takers::Function(_) => None,
        }
    }

    /// Its function, if it is one's.
    pub fn function(&self) -> Option<&Function> {
        match &self.takers {
            Takers::Targets(_) => None,
            Takers::Function(function) => Some(function),
        }
    }
}

/// What targets and records are told about a caller.
#[derive(Debug)]
pub struct CallerTexts {
    /// `x-amzn-lattice-identity`.
    pub identity: HeaderValue,
    /// `x-amzn-lattice-identity-tags`.
    pub tags: HeaderValue,
    /// Its tags as the access record has them.
    pub record_tags: Option<trellis_access_logs::json::Tags>,
}

impl CallerTexts {
    /// What they are told about a principal.
    pub fn of(principal: &policy::Principal) -> Self {
        texts::caller_texts(principal, None)
    }

    /// The same about one who is known by this certificate.
    pub fn certified(principal: &policy::Principal, certificate: &ClientCertificate) -> Self {
        texts::caller_texts(principal, Some(certificate))
    }
}

impl Snapshot {
    /// The VPC of a client that connected from `peer` to `local`, if any.
    pub fn attach(&self, local: IpAddr, peer: IpAddr) -> Option<&View> {
        let view = self.views.get(self.attachments.find(local, peer)?)?;
        Some(view)
    }

    /// The world as `vpc` sees it, if it is still there.
    pub fn view(&self, vpc: &VpcId) -> Option<&View> {
        let view = self.views.get(*self.by_vpc.get(vpc)?)?;
        Some(view)
    }

    /// All VPCs.
    pub fn views(&self) -> &[Arc<View>] {
        &self.views
    }

    /// The network of a view.
    pub fn network(&self, view: &View) -> Option<&Network> {
        self.networks.get(view.network?)
    }

    /// A service.
    pub fn service(&self, index: ServiceIndex) -> Option<&Service> {
        let service = self.services.get(index.0 as usize)?;
        Some(service)
    }

    /// A service as policies know it.
    pub fn service_policy(&self, index: ServiceIndex) -> Option<policy::ServiceIndex> {
        self.policies.service_at(index.0)
    }

    /// What targets and records are told about a principal; put together once.
    pub fn caller_texts(&self, index: policy::PrincipalIndex) -> Option<&CallerTexts> {
        let slot = self.callers.get(index.0 as usize)?;
        let principal = self.policies.principal(index)?;
        Some(slot.get_or_init(|| CallerTexts::of(principal)))
    }

    /// `x-amzn-lattice-target` for requests to `group` of a service that came through the network at `network`.
    ///
    /// INVARIANT: a group serves one service, so the texts can be kept with the group. They are put together once, at its first
    /// request.
    pub fn target_header<'a>(
        &self,
        service: ServiceIndex,
        network: usize,
        group: &'a TargetGroup,
    ) -> Option<&'a HeaderValue> {
        let service = self.service(service)?;
        let network = self.networks.get(network)?.id;
        let texts = group
            .target_headers
            .get_or_init(|| texts::target_headers(service, group));
        texts
            .iter()
            .find(|(of, _)| *of == network)
            .map(|(_, text)| text)
    }
}

impl View {
    /// Which kinds of listener are on `port`?
    pub fn protocols(&self, port: u16) -> PortProtocols {
        self.world
            .ports
            .get(&port)
            .copied()
            .unwrap_or(PortProtocols::None)
    }
}

impl Service {
    /// The listener of a port, for clients that speak TLS or not.
    pub fn listener(&self, port: u16, tls: bool) -> Option<&Listener> {
        let protocol = if tls {
            ListenerProtocol::Https
        } else {
            ListenerProtocol::Http
        };
        self.listeners
            .iter()
            .find(|listener| listener.port == port && listener.protocol == protocol)
    }

    /// Where the records of requests go that came through a network.
    pub fn destinations(&self, network: ServiceNetworkId) -> &Destinations {
        static NONE: Destinations = Destinations::NONE;
        self.memberships
            .iter()
            .find(|membership| membership.network == network)
            .map_or(&NONE, |membership| &membership.destinations)
    }
}

impl Listener {
    /// A rule by its position in the table; `None` means the default rule.
    pub fn rule(&self, position: Option<usize>) -> &Rule {
        position
            .and_then(|position| self.rules.get(position))
            .unwrap_or(&self.default)
    }
}

#[cfg(test)]
mod tests;
