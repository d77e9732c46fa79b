//! TLS towards targets.

use std::sync::Arc;

use super::Secret;
use crate::problem::Place;

/// How targets are verified, and what they are shown.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetTls {
    /// Certificates in PEM of those who may stand for targets.
    pub authorities: Arc<str>,
    /// What targets are asked for, and what their certificates must be for; `None` for the service's domain name.
    pub server_name: Option<PeerName>,
    /// What certificates must be for instead, one of them; empty for the server name.
    pub alternative_names: Vec<PeerName>,
    /// What targets are shown that ask.
    pub certificate: Option<ShownCertificate>,
    /// The oldest version that is spoken. Default TLS 1.2.
    pub minimum_version: TlsVersion,
    /// Where it is written.
    pub place: Place,
}

/// A name that a certificate may be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerName {
    /// A domain name, in lower case.
    Domain(Box<str>),
    /// An IP address.
    Address(std::net::IpAddr),
    /// A URI, compared byte for byte. Never a server name.
    Uri(Box<str>),
}

/// A certificate chain and its key.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownCertificate {
    /// The chain in PEM, leaf first.
    pub chain: Arc<str>,
    /// The leaf's key in PEM.
    pub key: Secret,
    /// Where the document names the files.
    pub place: Place,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}
