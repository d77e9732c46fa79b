//! Certificates of clients: whom a service trusts, the handshake that asks, and what is left of it.
//!
//! Each handshake that asks has a configuration of its own, since rustls gives tickets no way to know whose they are: what lets a
//! session resume is bound here to the trust under which the client's certificate was verified, and to the end of that certificate.
//! A ticket of another trust, of a service that did not ask, or of a certificate that has ended is not opened, so the handshake becomes
//! a full one and the client shows its certificate again. Services that do not ask share one configuration and pay nothing.
//!
//! Spec: RFC 8446 §4.6.1 and §2.2; rustls, "Sharing resumption storage between `ServerConfig`s", which tells of the mistake.

mod trust;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::{
        ProducesTickets,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    time_provider::TimeProvider,
};
use trellis_policy::certificate::{CertificateError, ClientCertificate};

pub use trust::{Authorities, AuthoritiesError, Trust, TrustId};

/// What a handshake that asked found.
#[derive(Debug)]
pub struct Client {
    /// The trust that it asked under.
    pub trust: TrustId,
    /// What was shown; nothing where nothing had to be.
    pub shown: Option<Shown>,
}

/// A chain of certificates, the first of which the client proved to have.
#[derive(Debug)]
pub struct Shown {
    /// What it says.
    pub certificate: ClientCertificate,
    /// All of it, for another trust to verify.
    pub chain: Vec<CertificateDer<'static>>,
}

/// Why a certificate is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// It does not verify.
    #[error("{0}")]
    Unverified(#[from] Error),
    /// It says something that could be understood in two ways, or too much.
    #[error("the client's certificate cannot be used: {0}")]
    Unusable(#[from] CertificateError),
}

impl From<Rejected> for Error {
    /// What is unusable is answered with the alert `certificate_unknown`. Spec: RFC 8446 §6.2.
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Unverified(error) => error,
            unusable @ Rejected::Unusable(_) => {
                rustls::CertificateError::Other(OtherError(Arc::new(unusable))).into()
            }
        }
    }
}

/// One handshake that asks for a certificate.
#[derive(Debug)]
pub(super) struct Inquiry {
    trust: Arc<Trust>,
    /// Seals tickets of handshakes that ask, and of no others.
    tickets: Arc<dyn ProducesTickets>,
    time: Arc<dyn TimeProvider>,
    found: Mutex<Found>,
}

/// What the last of verifier and ticket told: a handshake that could not resume goes on as a full one.
#[derive(Debug)]
struct Found {
    /// When what was shown ends, in seconds.
    end: u64,
    /// What was shown in this very handshake.
    certificate: Option<ClientCertificate>,
}

/// Nothing was shown, so nothing ends.
const NOTHING: Found = Found {
    end: u64::MAX,
    certificate: None,
};

/// What goes before a session in its ticket: the trust and the end.
const BINDING: usize = size_of::<TrustId>() + size_of::<u64>();

impl Inquiry {
    pub(super) fn new(
        trust: &Arc<Trust>,
        tickets: &Arc<dyn ProducesTickets>,
        time: &Arc<dyn TimeProvider>,
    ) -> Arc<Self> {
        Arc::new(Self {
            trust: Arc::clone(trust),
            tickets: Arc::clone(tickets),
            time: Arc::clone(time),
            found: Mutex::new(NOTHING),
        })
    }

    /// What the handshake found, which has come to its end; also when it resumed a session.
    pub(super) fn finish(
        &self,
        chain: Option<&[CertificateDer<'static>]>,
    ) -> Result<Client, Rejected> {
        let read = |chain: &[CertificateDer<'static>]| {
            let known = self.found.lock().certificate.take();
            let certificate =
                known.map_or_else(|| ClientCertificate::read(chain, self.now()), Ok)?;
            let chain = chain.to_vec();
            Ok::<_, CertificateError>(Shown { certificate, chain })
        };
        Ok(Client {
            trust: self.trust.id(),
            shown: chain.map(read).transpose()?,
        })
    }

    fn now(&self) -> SystemTime {
        let since = self.time.current_time().map_or(0, |now| now.as_secs());
        UNIX_EPOCH + Duration::from_secs(since)
    }
}

impl ProducesTickets for Inquiry {
    fn enabled(&self) -> bool {
        self.tickets.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.tickets.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut bound = Vec::with_capacity(BINDING + plain.len());
        bound.extend(self.trust.id());
        bound.extend(self.found.lock().end.to_be_bytes());
        bound.extend(plain);
        self.tickets.encrypt(&bound)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let bound = self.tickets.decrypt(cipher)?;
        let (trust, rest) = bound.split_first_chunk::<{ size_of::<TrustId>() }>()?;
        let (end, plain) = rest.split_first_chunk()?;
        let end = u64::from_be_bytes(*end);
        // Without a time nothing is known to be valid still.
        let now = self.time.current_time()?.as_secs();
        if *trust != self.trust.id() || end < now {
            return None;
        }
        *self.found.lock() = Found { end, ..NOTHING };
        Some(plain.to_vec())
    }
}

impl ClientCertVerifier for Inquiry {
    fn client_auth_mandatory(&self) -> bool {
        self.trust.verifier().client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.trust.verifier().root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        authorities: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let certificate = self.trust.verify_parts(leaf, authorities, now)?;
        let end = certificate.valid_until.duration_since(UNIX_EPOCH);
        *self.found.lock() = Found {
            end: end.unwrap_or_default().as_secs(),
            certificate: Some(certificate),
        };
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust
            .verifier()
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust
            .verifier()
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.verifier().supported_verify_schemes()
    }
}
