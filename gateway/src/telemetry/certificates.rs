//! When the certificates in use end.

use std::time::SystemTime;

use super::{names, page::Samples};

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateKind {
    /// Clients of a service see it.
    Service,
    /// Targets of a group see it.
    TargetClient,
    /// The gateway's own authority.
    Ca,
}

/// A certificate in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// What it is for.
    pub kind: CertificateKind,
    /// Whose: a domain, the id of a target group, `internal`.
    pub name: Box<str>,
    /// Its end.
    pub not_after: SystemTime,
}

/// Adds them to the page.
pub(super) fn collect(expiries: &[Expiry], samples: &mut Samples) {
    samples.family(&names::CERTIFICATE_EXPIRY, |family| {
        for Expiry {
            kind,
            name,
            not_after,
        } in expiries
        {
            let kind = match kind {
                CertificateKind::Service => "service",
                CertificateKind::TargetClient => "target_client",
                CertificateKind::Ca => "ca",
            };
            let since = not_after.duration_since(SystemTime::UNIX_EPOCH);
            family.sample(&[kind, name], since.unwrap_or_default().as_secs_f64());
        }
    });
}
