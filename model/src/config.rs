//! The validated configuration: parsed names, checked ranges, resolved references.
//!
//! Nothing here can be built from a wire format; [`crate::load`] makes it from documents and has then checked everything that
//! can be checked without I/O. Policies are the one exception: they are carried as text with their place, and the crate that
//! compiles them reports their problems in the same form.

mod balancing;
mod difference;
mod discovery;
mod endpoints;
mod functions;
mod gateway;
mod health;
mod identities;
mod logs;
mod networks;
mod principals;
mod services;
mod target_groups;
mod target_tls;
mod telemetry;
mod traffic;

pub use crate::quotas::Quotas;
pub use balancing::{Algorithm, Balancing, HashKey, OutlierDetection, Stickiness, ZonePreference};
pub use difference::{Carried, Difference};
pub use discovery::{Discovery, DiscoverySettings, DnsResponseType, IpPreference};
pub use endpoints::{AwsSigner, HttpEndpoint};
pub use functions::{
    EventVersion, FunctionArn, FunctionCall, FunctionGroup, FunctionNames, FunctionParts,
};
pub use gateway::{DnsSettings, GatewaySettings, Limits, SessionKey, Upgrades};
pub use health::{BodyMatch, HealthCheck, HttpProbe, Probe, ProbeVersion};
pub use identities::{
    AttributeMatch, CertificateMatch, ClaimMatch, Evidence, IdentityProvider, Mapping,
    ProviderKeys, SubjectAttribute, TextMatch, TrustStore,
};
pub use logs::{
    AccessLogSubscription, Compression, Delivery, LogDestination, LogLayout, LogShape, LogStore,
    LogStoreKind, LoggedResource, Rotation, SpoolSettings, WhenFull,
};
pub use networks::{Attachment, ServiceAssociation, ServiceNetwork, Vpc, VpcAssociation};
pub use principals::{AccessKey, Organization, Role, RoleAccessKey, Secret, User};
pub use services::{
    Action, Case, CertificateFiles, ClientCertificateMode, ClientCertificates, Forward,
    HeaderMatch, HeaderMatchKind, HttpMatch, Listener, ListenerProtocol, PathMatch, PathMatchKind,
    Rule, RulePriority, Service, Weight, WeightedTargetGroup,
};
pub use target_groups::{ProtocolVersion, Target, TargetGroup, TargetGroupType, TargetProtocol};
pub use target_tls::{PeerName, ShownCertificate, TargetTls, TlsVersion};
pub use telemetry::{OtlpSettings, TelemetrySettings, TraceFormat, TraceSettings};
pub use traffic::{ConnectionPool, Places, RetryEvents, RetryPolicy, Timeouts, Traffic};

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    name::{AccountId, Region},
    problem::Place,
};

/// Everything the gateway was told, validated.
///
/// What one configuration has in common with the next, both hold: a resource that did not change is the same allocation, so that
/// whoever compiles the next one sees at a glance what is new. Resources of which there can be thousands are shared one by one.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Settings of the gateway itself.
    pub gateway: GatewaySettings,
    /// The region: part of every ARN and of the scope of every signature. One gateway serves one region.
    pub region: Region,
    /// Tenant networks.
    pub vpcs: Vec<Arc<Vpc>>,
    /// Service networks.
    pub service_networks: Vec<Arc<ServiceNetwork>>,
    /// Services with their listeners and rules.
    pub services: Vec<Arc<Service>>,
    /// Target groups with their targets, but for functions.
    pub target_groups: Vec<Arc<TargetGroup>>,
    /// Target groups of type LAMBDA.
    pub function_groups: Vec<Arc<FunctionGroup>>,
    /// IAM users that may sign requests.
    pub users: Vec<Arc<User>>,
    /// IAM roles.
    pub roles: Vec<Arc<Role>>,
    /// Issuers whose tokens say who is calling.
    pub identity_providers: Vec<IdentityProvider>,
    /// Certificate authorities that may say who is calling.
    pub trust_stores: Vec<TrustStore>,
    /// Rules that give callers who do not sign a principal, in the order in which they are asked.
    pub mappings: Vec<Mapping>,
    /// The organization each account belongs to.
    pub organizations: BTreeMap<AccountId, Organization>,
    /// Where access records go.
    pub access_log_subscriptions: Vec<Arc<AccessLogSubscription>>,
}

/// Does an auth policy count?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthType {
    /// The policy, if any, is not consulted.
    None,
    /// Every request must be allowed by the policy; no policy denies everything.
    AwsIam,
}

/// Is what an auth policy says enforced?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthPolicyMode {
    /// What it does not allow is refused.
    Enforce,
    /// It is evaluated and recorded, and refuses nothing.
    Audit,
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
