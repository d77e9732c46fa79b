//! The validated configuration: parsed names, checked ranges, resolved references.
//!
//! Nothing here can be built from a wire format; [`crate::load`] makes it from documents and has then checked everything that
//! can be checked without I/O. Policies are the one exception: they are carried as text with their place, and the crate that
//! compiles them reports their problems in the same form.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;

use crate::{
    arn::Arn,
    id::{
        AccessLogSubscriptionId, ListenerId, RuleId, ServiceAssociationId, ServiceId,
        ServiceNetworkId, TargetGroupId, VpcAssociationId, VpcId,
    },
    name::{AccountId, DomainName, Name, Region},
    problem::Place,
};

/// Everything the gateway was told, validated.
#[derive(Debug, Clone)]
pub struct Config {
    /// Settings of the gateway itself.
    pub gateway: GatewaySettings,
    /// The region: part of every ARN and of the scope of every signature. One gateway serves one region.
    pub region: Region,
    /// Tenant networks.
    pub vpcs: Vec<Vpc>,
    /// Service networks.
    pub service_networks: Vec<ServiceNetwork>,
    /// Services with their listeners and rules.
    pub services: Vec<Service>,
    /// Target groups with their targets.
    pub target_groups: Vec<TargetGroup>,
    /// IAM users that may sign requests.
    pub users: Vec<User>,
    /// IAM roles.
    pub roles: Vec<Role>,
    /// The organization each account belongs to.
    pub organizations: BTreeMap<AccountId, Organization>,
    /// Where access records go.
    pub access_log_subscriptions: Vec<AccessLogSubscription>,
}

/// Settings of the gateway process.
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// Address of metrics, health and the running configuration; none means no admin listener.
    pub admin: Option<SocketAddr>,
    /// Address of the control API.
    pub control: Option<SocketAddr>,
    /// DNS, where wanted.
    pub dns: Option<DnsSettings>,
    /// Folder for what must survive a restart: the internal CA.
    pub data_dir: PathBuf,
    /// Number of worker threads; `None` means one per core.
    pub workers: Option<std::num::NonZeroUsize>,
    /// Limits and timeouts of the data plane.
    pub limits: Limits,
}

/// Limits and timeouts of the data plane. Defaults are VPC Lattice's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest request header block in bytes, request line included. Default 61 440 (60 KiB).
    pub header_bytes: usize,
    /// Most header fields in a request. Default 100.
    pub headers: usize,
    /// Age at which a client connection stops taking new requests; `None` for no limit. Default 600 s.
    pub connection_lifetime: Option<Duration>,
    /// How long requests and streams still running at the end of the lifetime may go on; `None` for no limit. Default 60 s.
    pub wind_down: Option<Duration>,
    /// Longest wait for the complete header block of a request, once its first byte came. Default 10 s.
    pub header_timeout: Duration,
    /// Longest wait for a connection to a target, TLS included. Default 5 s.
    pub connect_timeout: Duration,
    /// Most open client connections per gateway; further ones are closed at once. Default 100 000.
    pub connections: usize,
    /// Grace period of a stop: how long running requests may go on after SIGTERM. Default 30 s.
    pub stop_grace: Duration,
    /// Are `Upgrade` requests (WebSocket) passed through? VPC Lattice drops the header. Default yes.
    pub upgrades: Upgrades,
    /// Allowed difference between a signature's date and the gateway's clock. Default 300 s.
    pub clock_skew: Duration,
}

/// What happens to requests with an `Upgrade` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrades {
    /// Passed through; a `101` from the target turns the connection into a tunnel.
    Pass,
    /// The header is dropped and the request goes on as an ordinary one, as VPC Lattice does.
    Drop,
}

/// The DNS server.
#[derive(Debug, Clone)]
pub struct DnsSettings {
    /// Addresses to answer on, UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// The gateway's addresses given in answers. Empty: those that the asking VPC's attachments listen on.
    pub answers: Vec<IpAddr>,
    /// Resolvers that everything else is forwarded to; empty means REFUSED.
    pub forward: Vec<SocketAddr>,
    /// Time to live of answers. Default 60 s.
    pub ttl: Duration,
}

/// A tenant network.
#[derive(Debug, Clone)]
pub struct Vpc {
    /// Its id, given or derived.
    pub id: VpcId,
    /// Its ARN.
    pub arn: Arn,
    /// Its name, unique in the account.
    pub name: Name,
    /// Its owner.
    pub account: AccountId,
    /// Address ranges in use inside; IP targets must lie in one of them when any is given.
    pub cidrs: Vec<IpNet>,
    /// The ways in which the gateway touches it.
    pub attachments: Vec<Attachment>,
}

/// One way in which the gateway touches a VPC. The attachment, and nothing the client sends, decides the caller's VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Local addresses to listen on; connections that arrive there may belong to the VPC.
    pub listen: Vec<IpAddr>,
    /// Source ranges of the VPC's clients; empty means every source. The longest matching prefix wins between VPCs.
    pub sources: Vec<IpNet>,
}

/// Does an auth policy count?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthType {
    /// The policy, if any, is not consulted.
    None,
    /// Every request must be allowed by the policy; no policy denies everything.
    AwsIam,
}

/// The language of a policy text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PolicyLanguage {
    /// IAM JSON.
    Iam,
    /// Native Cedar.
    Cedar,
}

/// A policy as text, with the place to name in problems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyText {
    /// Which language it is in.
    pub language: PolicyLanguage,
    /// The text; JSON for IAM, also when the document was YAML.
    pub text: Arc<str>,
    /// The value in a document, or the file that it came from.
    pub place: Place,
}

/// Boundary within which associated services and clients may meet.
#[derive(Debug, Clone)]
pub struct ServiceNetwork {
    /// Its id.
    pub id: ServiceNetworkId,
    /// Its ARN.
    pub arn: Arn,
    /// Its name, unique in the account.
    pub name: Name,
    /// Its owner.
    pub account: AccountId,
    /// Does its policy count?
    pub auth_type: AuthType,
    /// Its policy.
    pub auth_policy: Option<PolicyText>,
    /// VPCs whose clients may call. A VPC is in at most one network.
    pub vpcs: Vec<VpcAssociation>,
    /// Services that may be called.
    pub services: Vec<ServiceAssociation>,
}

/// Membership of a VPC in a service network.
#[derive(Debug, Clone)]
pub struct VpcAssociation {
    /// Its id.
    pub id: VpcAssociationId,
    /// The VPC.
    pub vpc: VpcId,
}

/// Membership of a service in a service network.
#[derive(Debug, Clone)]
pub struct ServiceAssociation {
    /// Its id.
    pub id: ServiceAssociationId,
    /// The service.
    pub service: ServiceId,
}

/// A named application.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its id.
    pub id: ServiceId,
    /// Its ARN.
    pub arn: Arn,
    /// Its name, unique in the account.
    pub name: Name,
    /// Its owner.
    pub account: AccountId,
    /// `<name>-<id>.7d67968.vpc-lattice-svcs.<region>.on.aws`.
    pub generated_domain: DomainName,
    /// The user's own name for it; unique within each network.
    pub custom_domain: Option<DomainName>,
    /// Certificate for the custom domain; without one the internal CA signs.
    pub certificate: Option<CertificateFiles>,
    /// Does its policy count?
    pub auth_type: AuthType,
    /// Its policy.
    pub auth_policy: Option<PolicyText>,
    /// Longest silence on a connection or stream; `None` for no limit. Default 60 s.
    pub idle_timeout: Option<Duration>,
    /// Listeners, no port twice.
    pub listeners: Vec<Listener>,
    /// Tags, seen by policies as `aws:ResourceTag/<key>`.
    pub tags: BTreeMap<String, String>,
}

/// A certificate and its key in PEM files, read by the shell and read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key of the leaf.
    pub private_key: PathBuf,
    /// Where the document names them.
    pub place: Place,
}

/// Protocol spoken by clients of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListenerProtocol {
    /// HTTP/1.1, or HTTP/2 with prior knowledge, in the clear.
    Http,
    /// HTTP/1.1 or HTTP/2 over TLS.
    Https,
}

/// Protocol and port of a service, with its rules.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Its id.
    pub id: ListenerId,
    /// Its ARN.
    pub arn: Arn,
    /// Its name, unique in the service.
    pub name: Name,
    /// What clients speak.
    pub protocol: ListenerProtocol,
    /// TCP port, unique in the service.
    pub port: u16,
    /// Rules in ascending order of priority, all priorities different.
    pub rules: Vec<Rule>,
    /// Id of the default rule.
    pub default_rule: RuleId,
    /// What happens when no rule matches.
    pub default_action: Action,
}

/// Priority, match, action.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its id.
    pub id: RuleId,
    /// Its name, unique in the listener.
    pub name: Name,
    /// Lowest number first.
    pub priority: RulePriority,
    /// When it applies.
    pub condition: HttpMatch,
    /// What happens then.
    pub action: Action,
}

/// Order of a rule among its siblings: `1..=2000`, lowest first.
///
/// Source: VPC Lattice API model, `RulePriority`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RulePriority(u16);

impl RulePriority {
    /// The allowed range.
    pub const RANGE: RangeInclusive<u16> = 1..=2000;

    /// A priority, if `number` is in range.
    pub fn new(number: u16) -> Option<Self> {
        Self::RANGE.contains(&number).then_some(Self(number))
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

/// Share of a forward action's traffic, relative to its siblings: `0..=999`, zero sends nothing.
///
/// Source: VPC Lattice user guide, "Listener rules".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u16);

impl Weight {
    /// The allowed range.
    pub const RANGE: RangeInclusive<u16> = 0..=999;

    /// A weight, if `number` is in range.
    pub fn new(number: u16) -> Option<Self> {
        Self::RANGE.contains(&number).then_some(Self(number))
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

/// Conditions of a rule, all of which must hold. None at all matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpMatch {
    /// The method, compared exactly.
    pub method: Option<Box<str>>,
    /// The path, without the query.
    pub path: Option<PathMatch>,
    /// Header conditions, at most five.
    pub headers: Vec<HeaderMatch>,
}

/// Do two texts differ when only the case of ASCII letters does?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Case {
    /// They differ.
    Sensitive,
    /// They are the same.
    Insensitive,
}

/// Condition on the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathMatch {
    /// How `value` is compared.
    pub kind: PathMatchKind,
    /// The text to compare with, as written.
    pub value: Box<str>,
    /// Default: sensitive.
    pub case: Case,
}

/// How a path is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathMatchKind {
    /// The whole path.
    Exact,
    /// The beginning of the path, by characters, not by segments.
    Prefix,
}

/// Condition on a header: some field line of that name, or all of them joined with commas, has a fitting value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderMatch {
    /// The name in lower case; names are always compared without case.
    pub name: Box<str>,
    /// How `value` is compared.
    pub kind: HeaderMatchKind,
    /// The text to compare with, as written.
    pub value: Box<str>,
    /// Default: insensitive.
    pub case: Case,
}

/// How a header value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeaderMatchKind {
    /// The whole value.
    Exact,
    /// The beginning of the value.
    Prefix,
    /// Any part of the value.
    Contains,
}

/// What a rule does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Sends it to one of these groups, chosen by weight; one to ten of them, no group twice.
    Forward(Vec<WeightedTargetGroup>),
    /// Answers it with this status (404 or 500).
    FixedResponse(u16),
}

/// A target group in a forward action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightedTargetGroup {
    /// The group.
    pub group: TargetGroupId,
    /// Its share. Default 100.
    pub weight: Weight,
}

/// Kind of the targets of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetGroupType {
    /// IP addresses in the VPC.
    Ip,
    /// Instances, `i-…`, located by the VPC's address book.
    Instance,
    /// An application load balancer, located by the VPC's address book; it checks the health of its own targets.
    Alb,
}

/// Is the connection to a target encrypted?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetProtocol {
    /// In the clear.
    Http,
    /// TLS; the target's certificate is not verified, as in VPC Lattice.
    Https,
}

/// HTTP version spoken to targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProtocolVersion {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// gRPC over HTTP/2.
    Grpc,
}

/// Targets sharing protocol and health check.
#[derive(Debug, Clone)]
pub struct TargetGroup {
    /// Its id.
    pub id: TargetGroupId,
    /// Its ARN.
    pub arn: Arn,
    /// Its name, unique in the account.
    pub name: Name,
    /// Its owner.
    pub account: AccountId,
    /// Kind of its targets.
    pub kind: TargetGroupType,
    /// Is the connection to targets encrypted?
    pub protocol: TargetProtocol,
    /// HTTP version spoken to targets.
    pub version: ProtocolVersion,
    /// The VPC that the targets live in; connections to them are made inside it.
    pub vpc: VpcId,
    /// How targets are checked; `None` for types that are not checked (ALB).
    pub health_check: Option<HealthCheck>,
    /// The targets, no (id, port) twice.
    pub targets: Vec<Target>,
}

/// One address and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// As registered: an IP address, `i-…` or the ARN of a load balancer.
    pub id: Box<str>,
    /// Where requests go: the target's own address and port, or the group's port.
    pub address: SocketAddr,
}

/// How targets are checked. Defaults are those of the specification, §5.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// Are probes sent at all? Default: only for HTTP/1.1 groups.
    pub enabled: bool,
    /// Protocol of the probe. Default HTTP.
    pub protocol: TargetProtocol,
    /// Version of the probe: HTTP/1.1 or HTTP/2.
    pub version: ProtocolVersion,
    /// Port of the probe; `None` for the port on which the target receives traffic.
    pub port: Option<u16>,
    /// Path of the probe, query included. Default `/`.
    pub path: Box<str>,
    /// From the start of one probe to the start of the next: `5..=300` s, default 30.
    pub interval: Duration,
    /// Longest wait for the answer: `1..=120` s, default 5.
    pub timeout: Duration,
    /// Successes in a row that make an unhealthy target healthy: `2..=10`, default 5.
    pub healthy_threshold: u8,
    /// Failures in a row that make a healthy target unhealthy: `2..=10`, default 2.
    pub unhealthy_threshold: u8,
    /// Status codes that count as success, `200..=499`. Default 200.
    pub success_codes: Vec<RangeInclusive<u16>>,
}

/// An IAM user.
#[derive(Debug, Clone)]
pub struct User {
    /// `arn:aws:iam::<account>:user/<name>`.
    pub arn: Arn,
    /// Its name, unique among the account's users.
    pub name: Box<str>,
    /// Its account.
    pub account: AccountId,
    /// Identity-based policies.
    pub policies: Vec<PolicyText>,
    /// Keys that it signs with.
    pub access_keys: Vec<AccessKey>,
    /// Tags, seen by policies as `aws:PrincipalTag/<key>`.
    pub tags: BTreeMap<String, String>,
}

/// An IAM role.
#[derive(Debug, Clone)]
pub struct Role {
    /// `arn:aws:iam::<account>:role/<name>`.
    pub arn: Arn,
    /// Its name, unique among the account's roles.
    pub name: Box<str>,
    /// Its account.
    pub account: AccountId,
    /// Who may assume it; kept for the security token service.
    pub trust_policy: Option<PolicyText>,
    /// Identity-based policies.
    pub policies: Vec<PolicyText>,
    /// Long-lived sessions: keys whose holders are sessions of this role.
    pub access_keys: Vec<RoleAccessKey>,
    /// Tags, seen by policies as `aws:PrincipalTag/<key>`.
    pub tags: BTreeMap<String, String>,
}

/// An access key and its secret.
#[derive(Debug, Clone)]
pub struct AccessKey {
    /// Public part, unique over all accounts.
    pub id: Box<str>,
    /// Secret part, read from the environment or a file.
    pub secret: Secret,
}

/// An access key of a role: whoever signs with it is the session `session_name` of the role.
#[derive(Debug, Clone)]
pub struct RoleAccessKey {
    /// The key.
    pub key: AccessKey,
    /// Name of the session. Default: the key's id.
    pub session_name: Box<str>,
}

/// A text that must not be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a text.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// The organization of an account, seen by policies as `aws:PrincipalOrgID` and `aws:PrincipalOrgPaths`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// `o-…`.
    pub id: Box<str>,
    /// Paths of the account within it, `o-…/r-…/ou-…/`; may be empty.
    pub paths: Vec<Box<str>>,
}

/// A subscription to the access records of a service network or service.
#[derive(Debug, Clone)]
pub struct AccessLogSubscription {
    /// Its id.
    pub id: AccessLogSubscriptionId,
    /// Its ARN.
    pub arn: Arn,
    /// Whose records.
    pub resource: LoggedResource,
    /// Where they go.
    pub destination: LogDestination,
    /// Where the subscription was written, for problems that show when the destination is opened.
    pub place: Place,
}

/// What a subscription listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoggedResource {
    /// All requests that came through a network.
    ServiceNetwork(ServiceNetworkId),
    /// All requests to a service.
    Service(ServiceId),
}

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogDestination {
    /// JSON lines appended to a file.
    File(PathBuf),
    /// JSON lines on standard output.
    Stdout,
}
