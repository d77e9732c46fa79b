//! Certificate authorities, and what is demanded in their name.

#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ring::digest::{Context, SHA256};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, UnixTime, pem::PemObject as _},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use trellis_model::config::ClientCertificateMode;
use trellis_policy::certificate::{ClientCertificate, bounded};
use x509_parser::{
    certificate::X509Certificate,
    prelude::{FromDer as _, X509Version},
};

use super::Rejected;
use crate::tls::provider;

/// Most authorities of a store. Their names are sent to each client that is asked.
const MOST_AUTHORITIES: usize = 100;

/// Tells one trust from another: a digest of the authorities and the mode.
pub type TrustId = [u8; 32];

/// Certificate authorities, read.
#[derive(Debug, Clone)]
pub struct Authorities {
    certificates: Vec<CertificateDer<'static>>,
    roots: Arc<RootCertStore>,
    ended: Vec<usize>,
}

/// Why a file of authorities cannot be used. Texts complete "the file …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesError {
    /// There is none in it.
    #[error("holds no certificate")]
    Empty,
    /// It is damaged.
    #[error("is not PEM: {0}")]
    Pem(String),
    /// There are too many.
    #[error("holds more than {0} certificates")]
    TooMany(usize),
    /// One of them cannot be read.
    #[error("holds something that is not an X.509 certificate of version 3, as number {0}")]
    NotX509(usize),
    /// One of them may sign nothing.
    #[error("holds the certificate of no authority, as number {0}")]
    NotAuthority(usize),
}

impl AuthoritiesError {
    /// What would be right.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotAuthority(_) => {
                "certificates of authorities, which have `CA:TRUE`; clients are told apart by `principals.mappings`"
            }
            _ => {
                "certificates in PEM, one after the other, each beginning with `-----BEGIN CERTIFICATE-----`"
            }
        }
    }
}

impl Authorities {
    /// Reads certificates in PEM.
    ///
    /// # Errors
    ///
    /// They are not those of authorities; the author of the file must act.
    pub fn read(pem: &str, now: SystemTime) -> Result<Self, AuthoritiesError> {
        Self::read_up_to(MOST_AUTHORITIES, pem, now)
    }

    /// The same for authorities that stand for targets, whose names are sent to nobody: this many at most.
    pub(in crate::tls) fn read_up_to(
        most: usize,
        pem: &str,
        now: SystemTime,
    ) -> Result<Self, AuthoritiesError> {
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
            .take(most + 1)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| AuthoritiesError::Pem(error.to_string()))?;
        match certificates.len() {
            0 => return Err(AuthoritiesError::Empty),
            number if number > most => return Err(AuthoritiesError::TooMany(most)),
            _ => {}
        }
        let mut roots = RootCertStore::empty();
        let mut ended = Vec::new();
        for (number, certificate) in (1..).zip(&certificates) {
            if has_ended(certificate, number, now)? {
                ended.push(number);
            }
            roots
                .add(certificate.clone())
                .map_err(|_| AuthoritiesError::NotX509(number))?;
        }
        Ok(Self {
            certificates,
            roots: Arc::new(roots),
            ended,
        })
    }

    /// What chains are held against.
    pub(in crate::tls) fn roots(&self) -> &Arc<RootCertStore> {
        &self.roots
    }

    /// Those whose own certificates have ended, counted from one. They are trusted all the same: their being in the file says so.
    ///
    /// Spec: RFC 5280 §6.1.1 (d), of a trust anchor only name and key count.
    pub fn ended(&self) -> &[usize] {
        &self.ended
    }
}

/// Is the certificate of an authority past its end?
fn has_ended(
    certificate: &CertificateDer<'_>,
    number: usize,
    now: SystemTime,
) -> Result<bool, AuthoritiesError> {
    let parsed = match X509Certificate::from_der(certificate) {
        Ok(([], parsed)) if parsed.version() == X509Version::V3 => parsed,
        _ => return Err(AuthoritiesError::NotX509(number)),
    };
    if !parsed.is_ca() {
        return Err(AuthoritiesError::NotAuthority(number));
    }
    let end = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
    Ok(UNIX_EPOCH + Duration::from_secs(end) < now)
}

/// What a service demands of clients' certificates. Services with the same authorities and the same mode share one.
pub struct Trust {
    id: TrustId,
    mode: ClientCertificateMode,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Trust {
    /// Certificates of these authorities.
    ///
    /// # Errors
    ///
    /// The authorities cannot be used; not to be expected of what [`Authorities::read`] has read.
    pub fn new(
        authorities: &Authorities,
        mode: ClientCertificateMode,
    ) -> Result<Self, AuthoritiesError> {
        let roots = Arc::clone(&authorities.roots);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
        let builder = match mode {
            ClientCertificateMode::Request => builder.allow_unauthenticated(),
            ClientCertificateMode::Require => builder,
        };
        let mut digest = Context::new(&SHA256);
        digest.update(match mode {
            ClientCertificateMode::Request => b"request",
            ClientCertificateMode::Require => b"require",
        });
        // DER tells its own length, so no two lists are spelled the same.
        for certificate in &authorities.certificates {
            digest.update(certificate);
        }
        let mut id = TrustId::default();
        id.copy_from_slice(digest.finish().as_ref());
        Ok(Self {
            id,
            mode,
            verifier: builder.build().map_err(|_| AuthoritiesError::Empty)?,
        })
    }

    /// Tells it from others.
    pub fn id(&self) -> TrustId {
        self.id
    }

    /// What becomes of clients without a certificate.
    pub fn mode(&self) -> ClientCertificateMode {
        self.mode
    }

    pub(super) fn verifier(&self) -> &Arc<dyn ClientCertVerifier> {
        &self.verifier
    }

    /// Verifies a chain, the client's own certificate first, and reads it. Whether the client has its key is not asked.
    ///
    /// # Errors
    ///
    /// No authority stands for it now, or it cannot be used.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        now: SystemTime,
    ) -> Result<ClientCertificate, Rejected> {
        let (leaf, authorities) = chain
            .split_first()
            .ok_or(rustls::Error::NoCertificatesPresented)?;
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.verify_parts(leaf, authorities, UnixTime::since_unix_epoch(since))
    }

    pub(super) fn verify_parts(
        &self,
        leaf: &CertificateDer<'_>,
        authorities: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertificate, Rejected> {
        let chain: Vec<&[u8]> = std::iter::once(leaf)
            .chain(authorities)
            .map(AsRef::as_ref)
            .collect();
        bounded(&chain)?;
        self.verifier.verify_client_cert(leaf, authorities, now)?;
        let now = UNIX_EPOCH + Duration::from_secs(now.as_secs());
        Ok(ClientCertificate::read(&chain, now)?)
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
