//! Tenant networks, service networks and access log subscriptions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::object::objects;
use super::{Policy, unique_keys};
use crate::ranges;

/// A tenant network: its address ranges and the ways in which the gateway touches it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Vpc {
    /// Name, unique in the account.
    #[schemars(
        length(min = *ranges::VPC_NAME.start(), max = *ranges::VPC_NAME.end()),
        regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$")
    )]
    pub name: String,
    /// Id, to keep the one that the VPC has on AWS: `vpc-` and 8 or 17 hex digits. Absent: derived from account, region and name.
    #[schemars(regex(pattern = r"^vpc-[0-9a-f]{8}([0-9a-f]{9})?$"))]
    pub id: Option<String>,
    /// Address ranges in use inside. When any is given, targets must lie in one of them or on the loopback network.
    #[serde(default)]
    pub cidrs: Vec<String>,
    /// DNS servers that know the names of its targets (`discovery`), `10.0.0.2` or `10.0.0.2:53`, asked in this order. Absent or
    /// empty: those of `gateway.discovery`.
    #[serde(default)]
    pub resolvers: Vec<String>,
    /// The ways in which the gateway touches the VPC; they decide which VPC a caller is in. None: only targets live there.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// Where the things live that targets name otherwise than by address: from instance ids (`i-…`) and ARNs of application load
    /// balancers to IP addresses.
    #[serde(default, deserialize_with = "unique_keys")]
    pub address_book: BTreeMap<String, String>,
}

/// One way in which the gateway touches a VPC: addresses to listen on, source ranges, or both.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Attachment {
    /// Local IP addresses to listen on. Absent: `0.0.0.0` and `::`.
    #[serde(default)]
    pub listen: Vec<String>,
    /// Source ranges of the VPC's clients. Absent: every source. Between VPCs on one listening address, the longest matching range
    /// wins.
    #[serde(default)]
    pub sources: Vec<String>,
}

/// Whether the auth policy counts: `NONE` lets every request pass, `AWS_IAM` asks the policy, and without a policy denies all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum AuthType {
    #[default]
    #[serde(rename = "NONE")]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    None,
    #[serde(rename = "AWS_IAM")]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    AwsIam,
}

/// Whether an auth policy that counts is enforced: `ENFORCE`, or `AUDIT` to evaluate and record what it says, and let requests pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum AuthPolicyMode {
    #[default]
    #[serde(rename = "ENFORCE")]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Enforce,
    #[serde(rename = "AUDIT")]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Audit,
}

/// A service network: the boundary within which associated services and clients may meet.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceNetwork {
    /// Name, unique in the account.
    #[schemars(
        length(min = *ranges::SERVICE_NETWORK_NAME.start(), max = *ranges::SERVICE_NETWORK_NAME.end()),
        regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$")
    )]
    pub name: String,
    /// Does the auth policy count?
    #[schemars(extend("default" = "NONE"))]
    pub auth_type: Option<AuthType>,
    /// Who may call services through this network. Counts only with `authType: AWS_IAM`.
    pub auth_policy: Option<Policy>,
    /// Trellis: is what the auth policy says enforced? With `AUDIT` it is evaluated and recorded, and refuses nothing.
    #[schemars(extend("default" = "ENFORCE"))]
    pub auth_policy_mode: Option<AuthPolicyMode>,
    /// Trellis: a candidate for the auth policy. It is evaluated beside the auth policy and recorded, and decides nothing.
    pub shadow_auth_policy: Option<Policy>,
    /// Tags, 50 at most, shown with the running configuration.
    #[serde(default, deserialize_with = "unique_keys")]
    pub tags: BTreeMap<String, String>,
    /// VPCs whose clients may call. A VPC is in one network at most.
    #[serde(default)]
    pub vpc_associations: Vec<VpcAssociation>,
    /// Services that may be called.
    #[serde(default)]
    pub service_associations: Vec<ServiceAssociation>,
}

/// Membership of a VPC in a service network.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct VpcAssociation {
    /// Name, id or ARN of the VPC.
    pub vpc_identifier: String,
}

/// Membership of a service in a service network.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceAssociation {
    /// Name, id or ARN of the service.
    pub service_identifier: String,
}

/// A subscription to the access records of a service network or a service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessLogSubscription {
    /// Name, id or ARN of the service network or service. A name that both have means the service network.
    pub resource_identifier: String,
    /// Trellis: where the records go.
    pub destination: LogDestination,
    /// Trellis: the fields that a record in JSON has, by name, in the order of the record; `trellis` for all of that object. Absent: every
    /// field.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Trellis: what records do not show.
    #[serde(default)]
    pub redact: LogRedaction,
    /// Trellis: leaves out some of the requests that nothing was wrong with. What was refused or failed is always recorded.
    #[serde(default)]
    pub sampling: LogSampling,
    /// Trellis: how a record looks. Absent: JSON with VPC Lattice's names.
    pub format: Option<LogFormat>,
}

/// What access records do not show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct LogRedaction {
    /// Names of fields that hold texts or addresses; `[redacted]` stands in their place.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Beginnings of paths, such as `/customers/*/cards/*`: in paths that begin like one of them, `*` stands in the place of each
    /// segment that is `*` here. Escapes and case make no difference, and a path that can be read in several ways is hidden whole.
    #[serde(default)]
    pub paths: Vec<String>,
}

/// Which requests leave no access record: of those that nothing was wrong with, all but one in so many, at random.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct LogSampling {
    /// One in so many of those answered below 500. Absent: all of them.
    #[schemars(range(min = *ranges::LOG_SAMPLING.start(), max = *ranges::LOG_SAMPLING.end()))]
    pub one_in: Option<i64>,
    /// One in so many of those answered below 300, instead.
    #[serde(rename = "oneIn2xx")]
    #[schemars(range(min = *ranges::LOG_SAMPLING.start(), max = *ranges::LOG_SAMPLING.end()))]
    pub one_in_2xx: Option<i64>,
    /// One in so many of those answered 3xx, instead.
    #[serde(rename = "oneIn3xx")]
    #[schemars(range(min = *ranges::LOG_SAMPLING.start(), max = *ranges::LOG_SAMPLING.end()))]
    pub one_in_3xx: Option<i64>,
    /// One in so many of those answered 4xx by their targets or by rules, instead.
    #[serde(rename = "oneIn4xx")]
    #[schemars(range(min = *ranges::LOG_SAMPLING.start(), max = *ranges::LOG_SAMPLING.end()))]
    pub one_in_4xx: Option<i64>,
}

/// How access records look, as in App Mesh: `{text: "%START_TIME% %REQ(:METHOD)% %RESPONSE_CODE%"}`, or `{json: [{key: status, value: "%RESPONSE_CODE%"}]}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// Lines of text with Envoy's command operators; `default` is Envoy's own format.
    Text(String),
    /// Objects with these members.
    Json(Vec<LogMember>),
}

/// A member of an access record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct LogMember {
    /// Its name.
    pub key: String,
    /// Its value, a text with Envoy's command operators.
    pub value: String,
}

/// Where access records go: `{file: ./access.jsonl}` appends JSON lines to a file, `stdout` prints them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogDestination {
    /// Path of a file that JSON lines are appended to.
    File(String),
    /// JSON lines on standard output.
    Stdout,
}

objects!(
    Vpc,
    Attachment,
    ServiceNetwork,
    VpcAssociation,
    ServiceAssociation,
    AccessLogSubscription,
    LogRedaction,
    LogSampling,
    LogMember
);
