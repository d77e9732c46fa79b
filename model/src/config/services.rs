//! Services: where they listen, which rule a request matches, what becomes of it.

use std::{collections::BTreeMap, ops::RangeInclusive, path::PathBuf, sync::Arc, time::Duration};

use super::{AuthPolicyMode, AuthType, PolicyText, Traffic};
use crate::{
    arn::Arn,
    id::{ListenerId, RuleId, ServiceId, TargetGroupId},
    name::{AccountId, DomainName, Name},
    problem::Place,
};

/// A named application.
#[derive(Debug, Clone, PartialEq)]
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
    pub certificate: Option<Box<CertificateFiles>>,
    /// Certificates that its clients are asked for.
    pub client_certificates: Option<ClientCertificates>,
    /// Does its policy count?
    pub auth_type: AuthType,
    /// Its policy.
    pub auth_policy: Option<PolicyText>,
    /// Is what its policy says enforced?
    pub auth_policy_mode: AuthPolicyMode,
    /// A candidate for its policy, evaluated beside it.
    pub shadow_auth_policy: Option<PolicyText>,
    /// Longest silence on a connection or stream; `None` for no limit. Default 60 s.
    pub idle_timeout: Option<Duration>,
    /// Listeners, no port twice.
    pub listeners: Vec<Listener>,
    /// Tags, seen by policies as `aws:ResourceTag/<key>`.
    pub tags: BTreeMap<String, String>,
    /// Where it is declared.
    pub place: Place,
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

/// Certificates that clients are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Signed by an authority of this store, by position in [`super::Config::trust_stores`]; it is of the service's account.
    pub trust_store: usize,
    /// What becomes of clients without one.
    pub mode: ClientCertificateMode,
}

/// What becomes of clients without a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientCertificateMode {
    /// Nothing is known of them.
    Request,
    /// Their handshake fails. INVARIANT: every listener of the service is HTTPS.
    Require,
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
#[derive(Debug, Clone, PartialEq)]
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
#[derive(Debug, Clone, PartialEq)]
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
    /// Sends it to a target.
    Forward(Arc<Forward>),
    /// Answers it with this status (404 or 500).
    FixedResponse(u16),
}

/// Sending a request to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// The target's group is one of these, chosen by weight; one to ten of them, no group twice.
    pub groups: Vec<WeightedTargetGroup>,
    /// How long it may take, and when it is tried again.
    pub traffic: Arc<Traffic>,
}

/// A target group in a forward action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightedTargetGroup {
    /// The group.
    pub group: TargetGroupId,
    /// Its share. Default 100.
    pub weight: Weight,
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
