//! Documents: what somebody wrote, as strings and numbers.
//!
//! One document is one YAML or JSON file; a folder of them is one configuration. A resource has the same members as in the VPC
//! Lattice API, in the same spelling; what Trellis adds is optional and its description begins with "Trellis:". The comments of
//! these types are the configuration reference: [`crate::schema`] makes the JSON Schema and the reference page from them. Nothing
//! here checks anything beyond shape; that is [`crate::load`]'s work.

mod balancing;
mod discovery;
mod function;
mod gateway;
mod health;
mod logs;
mod network;
pub(crate) mod object;
mod policy;
mod principal;
mod service;
mod target_group;
mod target_tls;
mod telemetry;
mod traffic;

pub use crate::quotas::WrittenQuotas;

pub use self::{
    balancing::{
        Balancing, BalancingAlgorithm, HashKey, OutlierDetection, Stickiness, ZonePreference,
    },
    discovery::{Discovery, DiscoverySettings, DnsDiscovery, DnsResponseType, IpPreference},
    function::{AwsCredentials, FunctionApi, FunctionCall, FunctionMode, FunctionNames},
    gateway::{Dns, Explain, Gateway, GatewayLimits, SessionKey, Upgrades},
    health::{BodyMatch, HealthCheck, Matcher, ProbeProtocol, ProbeVersion},
    logs::{
        AccessLogSubscription, CloudWatchLogsApi, Compression, FirehoseApi, LogDestination,
        LogFormat, LogMember, LogRedaction, LogSampling, LogStorage, Loki, OtlpDestination,
        RotatingFile, S3Api, S3Destination, Spool, WhenFull,
    },
    network::{
        Attachment, AuthPolicyMode, AuthType, ServiceAssociation, ServiceNetwork, Vpc,
        VpcAssociation,
    },
    policy::Policy,
    principal::{
        AccessKey, AttributeMatch, ClaimMatch, IdentityProvider, IdentityProviderType, KeySource,
        MappedPrincipal, Mapping, MappingMatch, MappingSource, Principals, Role, RoleAccessKey,
        SecretSource, SubjectAttribute, TextMatch, TrustStore, User,
    },
    service::{
        Action, Certificate, ClientCertificateMode, ClientCertificates, FixedResponse, Forward,
        HeaderMatch, HeaderMatchValue, HttpMatch, Listener, ListenerProtocol, PathMatch,
        PathMatchValue, Rule, RuleMatch, Service, ServiceLimits, WeightedTargetGroup,
    },
    target_group::{
        EventVersion, IpAddressType, ProtocolVersion, Target, TargetGroup, TargetGroupConfig,
        TargetGroupType, TargetProtocol,
    },
    target_tls::{TargetTls, TlsVersion},
    telemetry::{Otlp, Telemetry, TraceFormat, TraceParent, Traces},
    traffic::{BackOff, ConnectionPool, Hedging, RetryBudget, RetryEvent, RetryPolicy, Timeouts},
};

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use self::object::objects;

/// A Trellis configuration file. A folder of files is one configuration: their lists are joined. Relative paths are relative to the
/// file that names them. Identifiers (members that end in `Identifier`) may be names, ids or ARNs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
#[schemars(title = "Trellis configuration")]
pub struct Document {
    /// The account, 12 digits, that owns the resources of this file. A file without one takes the only account that appears in the
    /// others.
    #[schemars(regex(pattern = r"^\d{12}$"))]
    pub account: Option<String>,
    /// The region, part of every ARN and of the scope of every signature. One gateway serves one region, so all files that name it
    /// name the same.
    #[schemars(regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"))]
    pub region: Option<String>,
    /// Trellis: the organization that the account belongs to.
    pub organization: Option<Organization>,
    /// Trellis: settings of the gateway process. They appear in one file only.
    pub gateway: Option<Gateway>,
    /// Trellis: tenant networks.
    pub vpcs: Vec<Vpc>,
    /// Service networks: boundaries within which associated services and clients may meet.
    pub service_networks: Vec<ServiceNetwork>,
    /// Services with their listeners and rules.
    pub services: Vec<Service>,
    /// Target groups with their targets.
    pub target_groups: Vec<TargetGroup>,
    /// Trellis: IAM users and roles that may sign requests, and who else is one of them.
    pub principals: Option<Principals>,
    /// Subscriptions to access records.
    pub access_log_subscriptions: Vec<AccessLogSubscription>,
}

/// The organization of an account, seen by policies as `aws:PrincipalOrgID` and `aws:PrincipalOrgPaths`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Organization {
    /// Id of the organization, `o-…`.
    #[schemars(regex(pattern = r"^o-[a-z0-9]+$"))]
    pub id: String,
    /// Paths of the account within the organization, `o-…/r-…/ou-…/`.
    #[serde(default)]
    pub paths: Vec<String>,
}

objects!(Document, Organization);

/// Reads a map and refuses a key that appears twice.
pub(crate) fn unique_keys<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Unique<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Unique<T> {
        type Value = BTreeMap<String, T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = BTreeMap::new();
            while let Some((key, value)) = map.next_entry::<String, T>()? {
                if entries.contains_key(&key) {
                    return Err(serde::de::Error::custom(format_args!(
                        "duplicate key `{key}`"
                    )));
                }
                entries.insert(key, value);
            }
            Ok(entries)
        }
    }

    deserializer.deserialize_map(Unique(PhantomData))
}
