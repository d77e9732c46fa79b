//! Certificates from files.

use trellis_model::problem::{Problem, Problems};

use super::Event;
use crate::telemetry::Telemetry;

/// Changed certificate files are in use.
#[derive(Debug)]
pub struct CertificateLoaded<'a> {
    /// The name it is for.
    pub domain: &'a str,
    /// What clients may stumble over.
    pub warnings: &'a Problems,
}

impl Event for CertificateLoaded<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry.gateway.certificates_loaded.increment(1);
        tracing::info!(domain = self.domain, "certificate loaded");
        for problem in self.warnings.iter() {
            tracing::warn!(domain = self.domain, %problem, "certificate");
        }
    }
}

/// Changed certificate files cannot be used; the certificate before stays in use.
#[derive(Debug)]
pub struct CertificateFailed<'a> {
    /// The name it is for.
    pub domain: &'a str,
    /// Why not.
    pub problem: &'a Problem,
}

impl Event for CertificateFailed<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry.gateway.certificates_failed.increment(1);
        tracing::error!(
            domain = self.domain,
            problem = %self.problem,
            "certificate not loaded; the one before stays in use"
        );
    }
}

/// The certificate in use comes near the end of its life, or is past it.
#[derive(Debug)]
pub struct CertificateExpiring<'a> {
    /// The name it is for.
    pub domain: &'a str,
    /// How near.
    pub problem: &'a Problem,
}

impl Event for CertificateExpiring<'_> {
    fn emit(&self, _: &Telemetry) {
        tracing::warn!(domain = self.domain, problem = %self.problem, "certificate expires");
    }
}
