//! TLS towards targets.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Certificate, object::objects};
use crate::ranges;

/// TLS towards targets, whose certificates are verified. The files are read again when they change, and connections made before are not
/// used any more.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetTls {
    /// Path of the certificates in PEM of the authorities one of which must stand for a target's certificate.
    pub ca_file: String,
    /// Domain name or IP address that targets are asked for (SNI) and that their certificates must be for. Absent: the service's domain
    /// name.
    #[schemars(length(min = *ranges::ALTERNATIVE_NAME.start(), max = *ranges::ALTERNATIVE_NAME.end()))]
    pub server_name: Option<String>,
    /// Domain names, IP addresses and URIs, such as SPIFFE IDs, at most 100. A certificate must be for one of them, in the place of the
    /// server name.
    #[serde(default)]
    pub subject_alternative_names: Vec<String>,
    /// Certificate that targets are shown when they ask for one. Absent: none.
    pub certificate: Option<Certificate>,
    /// The oldest version of TLS that is spoken.
    #[schemars(extend("default" = "TLSv1.2"))]
    pub minimum_version: Option<TlsVersion>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum TlsVersion {
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    #[serde(rename = "TLSv1.2")]
    Tls12,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    #[serde(rename = "TLSv1.3")]
    Tls13,
}

objects!(TargetTls);
