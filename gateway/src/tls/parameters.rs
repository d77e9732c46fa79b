//! Versions, cipher suites, protocols and session resumption of every HTTPS listener.
//!
//! Source: VPC Lattice user guide, "HTTPS listeners": TLS 1.2 and 1.3, server order wins, `h2` before `http/1.1`, no choice
//! for the user. Not offered, because rustls has neither: suites with RSA key exchange and suites with CBC. Added: the ECDSA
//! forms of the same suites, since the internal CA signs with ECDSA.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{
        ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert,
        ServerSessionMemoryCache, StoresServerSessions, WebPkiClientVerifier,
        danger::ClientCertVerifier,
    },
    sign::CertifiedKey,
    time_provider::{DefaultTimeProvider, TimeProvider},
};

use super::client::{Inquiry, Trust};

/// TLS 1.2 sessions kept for clients that resume by session id because they know no tickets. Oldest go first.
const SESSIONS_PER_VPC: usize = 128;

/// Answers which certificate a server name has, and which it asks for. Implemented by the snapshot, per VPC.
///
/// Called on the request path, so it must not block; issuing from the internal CA is cheap enough.
pub trait CertificateFor: fmt::Debug + Send + Sync {
    /// The certificate for `server_name` (lower case, no trailing dot), or `None` when nobody in this view has that name.
    fn certificate(&self, server_name: &str) -> Option<Arc<CertifiedKey>>;

    /// Whose certificates clients of `server_name` are asked for, if they are asked.
    fn trust(&self, server_name: &str) -> Option<&Arc<Trust>>;
}

/// The one source of cryptography: *ring*, with the cipher suites of the listeners in their order.
///
/// Named wherever rustls wants one, so that nothing depends on a process-wide default.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        use ring::cipher_suite::{
            TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
        };
        Arc::new(CryptoProvider {
            cipher_suites: vec![
                TLS13_AES_128_GCM_SHA256,
                TLS13_AES_256_GCM_SHA384,
                TLS13_CHACHA20_POLY1305_SHA256,
                TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            ],
            ..ring::default_provider()
        })
    });
    Arc::clone(&PROVIDER)
}

/// The random source failed while making the keys that seal session tickets.
#[derive(Debug, thiserror::Error)]
#[error("cannot make keys for session tickets")]
pub struct TicketError(#[source] rustls::Error);

/// What lets a client resume a session: keys for tickets, changed every six hours, and a few stored TLS 1.2 sessions.
///
/// One per VPC, kept across snapshots by its owner. A ticket only resumes a session under the server name it was made for, and
/// the certificate of that name is still asked for, so a service that left the view is not reached by an old ticket.
#[derive(Debug, Clone)]
pub struct Resumption {
    tickets: Arc<dyn ProducesTickets>,
    /// The same for sessions of clients who were asked for a certificate, with keys of their own.
    asked: Arc<dyn ProducesTickets>,
    time: Arc<dyn TimeProvider>,
    sessions: Arc<dyn StoresServerSessions>,
}

impl Resumption {
    /// Fresh keys; sessions of an earlier `Resumption` cannot be resumed with them.
    pub fn new() -> Result<Self, TicketError> {
        Self::with_time(Arc::new(DefaultTimeProvider))
    }

    /// The same, with another clock to tell which certificates of clients are valid.
    pub(super) fn with_time(time: Arc<dyn TimeProvider>) -> Result<Self, TicketError> {
        Ok(Self {
            tickets: ring::Ticketer::new().map_err(TicketError)?,
            asked: ring::Ticketer::new().map_err(TicketError)?,
            time,
            sessions: ServerSessionMemoryCache::new(SESSIONS_PER_VPC),
        })
    }

    /// A handshake that asks for certificates under this trust.
    pub(super) fn inquiry(&self, trust: &Arc<Trust>) -> Arc<Inquiry> {
        Inquiry::new(trust, &self.asked, &self.time)
    }
}

/// The TLS parameters of a VPC's HTTPS listeners over `certificates`, with `h2` and `http/1.1` offered and no certificate asked for.
///
/// [`Terminator`](super::Terminator) is the better way in: rustls alone answers an unknown server name with `access_denied`.
pub fn server_config(
    certificates: &Arc<dyn CertificateFor>,
    resumption: &Resumption,
) -> ServerConfig {
    let mut config = parameters(certificates, WebPkiClientVerifier::no_client_auth());
    config.session_storage = Arc::clone(&resumption.sessions);
    config.ticketer = Arc::clone(&resumption.tickets);
    config
}

/// The same for one handshake that asks for a certificate.
///
/// Sessions are resumed by tickets only: what is stored by session id is bound to nothing.
pub(super) fn asking_config(
    certificates: &Arc<dyn CertificateFor>,
    resumption: &Resumption,
    inquiry: &Arc<Inquiry>,
) -> ServerConfig {
    let mut config = parameters(certificates, Arc::clone(inquiry) as _);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Arc::clone(inquiry) as _;
    config.time_provider = Arc::clone(&resumption.time);
    config
}

#[expect(
    clippy::expect_used,
    reason = "fails only for a provider without suites of the default versions, and ours has both"
)]
fn parameters(
    certificates: &Arc<dyn CertificateFor>,
    clients: Arc<dyn ClientCertVerifier>,
) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider offers TLS 1.2 and 1.3")
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(ByServerName(Arc::clone(certificates))));
    config.ignore_client_order = true;
    // Each ticket costs a key derivation, a sealing and a quarter of a kilobyte; clients that resume get a new one each time.
    config.send_tls13_tickets = 1;
    // A replayed request must not reach a target, so there is no early data. This is also the library's default.
    config.max_early_data_size = 0;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

#[derive(Debug)]
struct ByServerName(Arc<dyn CertificateFor>);

impl ResolvesServerCert for ByServerName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.certificate(&canonical(hello.server_name()?))
    }
}

/// A server name as [`CertificateFor`] wants it: lower case, without the trailing dot.
pub(super) fn canonical(server_name: &str) -> std::borrow::Cow<'_, str> {
    let name = server_name.strip_suffix('.').unwrap_or(server_name);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        name.to_ascii_lowercase().into()
    } else {
        name.into()
    }
}
