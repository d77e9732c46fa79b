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

objects!(
    Vpc,
    Attachment,
    ServiceNetwork,
    VpcAssociation,
    ServiceAssociation
);
