//! Services, listeners, rules and actions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::object::objects;
use super::{AuthPolicyMode, AuthType, Hedging, Policy, RetryPolicy, Timeouts, unique_keys};
use crate::ranges;

/// A service: a named application with listeners and rules.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// Name, unique in the account; must not begin with `svc-`.
    #[schemars(
        length(min = *ranges::SERVICE_NAME.start(), max = *ranges::SERVICE_NAME.end()),
        regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$")
    )]
    pub name: String,
    /// A domain name of your own besides the generated one; unique within each service network.
    #[schemars(length(min = *ranges::CUSTOM_DOMAIN.start(), max = *ranges::CUSTOM_DOMAIN.end()))]
    pub custom_domain_name: Option<String>,
    /// Trellis: certificate for the custom domain name. Absent: the internal CA signs one.
    pub certificate: Option<Certificate>,
    /// Trellis: certificates that clients of HTTPS listeners show. Absent: they are asked for none.
    pub client_certificates: Option<ClientCertificates>,
    /// Does the auth policy count?
    #[schemars(extend("default" = "NONE"))]
    pub auth_type: Option<AuthType>,
    /// Who may call this service. Counts only with `authType: AWS_IAM`.
    pub auth_policy: Option<Policy>,
    /// Trellis: is what the auth policy says enforced? With `AUDIT` it is evaluated and recorded, and refuses nothing.
    #[schemars(extend("default" = "ENFORCE"))]
    pub auth_policy_mode: Option<AuthPolicyMode>,
    /// Trellis: a candidate for the auth policy. It is evaluated beside the auth policy and recorded, and decides nothing.
    pub shadow_auth_policy: Option<Policy>,
    /// Longest silence on a connection or stream, in seconds.
    #[schemars(range(min = *ranges::IDLE_TIMEOUT.start(), max = *ranges::IDLE_TIMEOUT.end()), extend("default" = 60))]
    pub idle_timeout_seconds: Option<i64>,
    /// Trellis: how long a request may take.
    pub timeouts: Option<Timeouts>,
    /// Trellis: when a request is tried again. Absent: never, but for a kept connection that turns out to be closed.
    pub retry_policy: Option<RetryPolicy>,
    /// Trellis: a second attempt beside one that takes long.
    pub hedging: Option<Hedging>,
    /// Trellis: limits beyond those of VPC Lattice.
    pub limits: Option<ServiceLimits>,
    /// Tags, 50 at most, seen by policies as `aws:ResourceTag/<key>`.
    #[serde(default, deserialize_with = "unique_keys")]
    pub tags: BTreeMap<String, String>,
    /// Listeners: protocols and ports, each with its rules.
    #[serde(default)]
    pub listeners: Vec<Listener>,
}

/// A certificate and its key, read again when the files change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Certificate {
    /// Path of the certificate chain in PEM, the service's own certificate first.
    pub certificate_file: String,
    /// Path of its private key in PEM.
    pub private_key_file: String,
}

/// Certificates that clients are asked for in the handshake. One that does not verify ends the handshake, whatever the mode.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientCertificates {
    /// Name of the trust store, one of the account, whose authorities must have signed them.
    pub trust_store: String,
    /// What becomes of clients without one.
    #[schemars(extend("default" = "REQUIRE"))]
    pub mode: Option<ClientCertificateMode>,
}

/// What becomes of clients without a certificate: with `REQUIRE` their handshake fails, and the service has HTTPS listeners only; with
/// `REQUEST` nothing is known of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ClientCertificateMode {
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Request,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Require,
}

/// Limits of a service beyond those of VPC Lattice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct ServiceLimits {
    /// Longest silence on a connection or stream, in seconds; 0 for no limit. Takes the place of the service's own
    /// `idleTimeoutSeconds` and goes beyond its range.
    #[schemars(range(min = *ranges::LONG_IDLE_TIMEOUT.start(), max = *ranges::LONG_IDLE_TIMEOUT.end()))]
    pub idle_timeout_seconds: Option<i64>,
}

/// Protocol spoken by clients: `HTTP` is HTTP/1.1, or HTTP/2 with prior knowledge; `HTTPS` is either over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ListenerProtocol {
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Http,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Https,
}

/// A listener: protocol and port of a service, with its rules.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Listener {
    /// Name, unique in the service; must not begin with `listener-`.
    #[schemars(
        length(min = *ranges::LISTENER_NAME.start(), max = *ranges::LISTENER_NAME.end()),
        regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$")
    )]
    pub name: String,
    /// What clients speak.
    pub protocol: ListenerProtocol,
    /// TCP port, unique in the service. Absent: 80 for HTTP, 443 for HTTPS.
    #[schemars(range(min = *ranges::PORT.start(), max = *ranges::PORT.end()))]
    pub port: Option<i64>,
    /// What happens when no rule matches.
    pub default_action: Action,
    /// Rules; the one with the lowest priority that matches decides.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// A rule of a listener: priority, match, action.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Name, unique in the listener; must not begin with `rule-`.
    #[schemars(
        length(min = *ranges::RULE_NAME.start(), max = *ranges::RULE_NAME.end()),
        regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$")
    )]
    pub name: String,
    /// Order among the listener's rules, unique there; the lowest number comes first.
    #[schemars(range(min = *ranges::PRIORITY.start(), max = *ranges::PRIORITY.end()))]
    pub priority: i64,
    /// Which requests the rule applies to.
    #[serde(rename = "match")]
    pub condition: RuleMatch,
    /// What happens to them.
    pub action: Action,
}

/// Which requests a rule applies to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleMatch {
    /// Conditions on the HTTP request.
    pub http_match: HttpMatch,
}

/// Conditions on an HTTP request, all of which must hold. None at all: every request matches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct HttpMatch {
    /// The method, compared exactly.
    #[schemars(length(min = *ranges::METHOD.start(), max = *ranges::METHOD.end()))]
    pub method: Option<String>,
    /// The path, without the query.
    pub path_match: Option<PathMatch>,
    /// Headers, 5 at most.
    #[schemars(length(max = ranges::HEADER_MATCHES))]
    pub header_matches: Vec<HeaderMatch>,
}

/// A condition on the path.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct PathMatch {
    /// How the path is compared, and with what.
    #[serde(rename = "match")]
    pub value: PathMatchValue,
    /// Do upper and lower case differ?
    #[schemars(extend("default" = true))]
    pub case_sensitive: Option<bool>,
}

/// A comparison with a path: 1 to 200 characters that begin with `/`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PathMatchValue {
    /// The whole path is this.
    Exact(String),
    /// The path begins with this, by characters, not by segments.
    Prefix(String),
}

/// A condition on a header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderMatch {
    /// Name of the header; its case never matters.
    #[schemars(length(min = *ranges::HEADER_NAME.start(), max = *ranges::HEADER_NAME.end()))]
    pub name: String,
    /// How the value is compared, and with what.
    #[serde(rename = "match")]
    pub value: HeaderMatchValue,
    /// Do upper and lower case differ in the value?
    #[schemars(extend("default" = false))]
    pub case_sensitive: Option<bool>,
}

/// A comparison with a header's value: 1 to 200 characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HeaderMatchValue {
    /// The whole value is this.
    Exact(String),
    /// The value begins with this.
    Prefix(String),
    /// The value contains this.
    Contains(String),
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// The request goes to a target of one of these groups.
    Forward(Box<Forward>),
    /// The request is answered at once.
    FixedResponse(FixedResponse),
}

/// Forwarding to target groups.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Forward {
    /// The groups, 1 to 10, no group twice.
    #[schemars(length(min = 1, max = ranges::FORWARD_GROUPS))]
    pub target_groups: Vec<WeightedTargetGroup>,
    /// Trellis: how long a request may take.
    pub timeouts: Option<Timeouts>,
    /// Trellis: when a request is tried again. Absent: as the service says.
    pub retry_policy: Option<RetryPolicy>,
    /// Trellis: a second attempt beside one that takes long.
    pub hedging: Option<Hedging>,
}

/// A target group in a forward action.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct WeightedTargetGroup {
    /// Name, id or ARN of the target group. A group serves one service only.
    pub target_group_identifier: String,
    /// Share of the requests relative to the other groups; 0 sends nothing.
    #[schemars(range(min = *ranges::WEIGHT.start(), max = *ranges::WEIGHT.end()), extend("default" = 100))]
    pub weight: Option<i64>,
}

/// An answer without a target.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct FixedResponse {
    /// The status: 404 or 500.
    #[schemars(extend("enum" = [404, 500]))]
    pub status_code: i64,
}

objects!(
    Service,
    Certificate,
    ClientCertificates,
    ServiceLimits,
    Listener,
    Rule,
    RuleMatch,
    HttpMatch,
    PathMatch,
    HeaderMatch,
    Forward,
    WeightedTargetGroup,
    FixedResponse
);
