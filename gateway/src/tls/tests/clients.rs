//! Certificates of clients: which are accepted, with which alert the others end, and what a resumed session may carry on.

use std::sync::{LazyLock, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, SanType, date_time_ymd,
};
use rustls::{
    client::ResolvesClientCert,
    pki_types::{PrivateKeyDer, UnixTime},
    time_provider::TimeProvider,
};
use trellis_model::config::ClientCertificateMode::{self, Request, Require};

use super::*;
use crate::tls::{Authorities, Client};

const SECOND: &str = "pay.shop.test";
const WORKLOAD: &str = "spiffe://shop.test/checkout";

/// An authority of a scenario.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        Self::under(name, None)
    }

    /// One that another one has signed.
    fn under(name: &str, above: Option<&Self>) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = match above {
            None => params.self_signed(&key),
            Some(above) => params.signed_by(&key, &above.issuer),
        };
        Self {
            pem: certificate.unwrap().pem(),
            issuer: Issuer::new(params, key),
        }
    }

    fn trust(&self, mode: ClientCertificateMode) -> Arc<Trust> {
        let authorities = Authorities::read(&self.pem, SystemTime::now()).unwrap();
        Arc::new(Trust::new(&authorities, mode).unwrap())
    }

    /// A certificate of a workload, and its key.
    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = workload();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            chain: vec![leaf.der().clone()],
            key: Arc::new(key),
        }
    }
}

fn workload() -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = vec![SanType::URI(WORKLOAD.try_into().unwrap())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

#[derive(Debug, Clone)]
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<KeyPair>,
}

impl Identity {
    /// The same with these authorities between.
    fn with(mut self, authorities: &[&Authority]) -> Self {
        let der = |of: &&Authority| CertificateDer::from_pem_slice(of.pem.as_bytes()).unwrap();
        self.chain.extend(authorities.iter().map(der));
        self
    }
}

/// Shows one certificate whatever authorities are asked for.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A client with this certificate, or with none.
fn client(
    house: &House,
    version: &'static SupportedProtocolVersion,
    identity: Option<&Identity>,
) -> Arc<ClientConfig> {
    let mut config = house.client(version, &["h2"]);
    if let Some(identity) = identity {
        let key = PrivateKeyDer::Pkcs8(identity.key.serialize_der().into());
        let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
        let shown = CertifiedKey::new(identity.chain.clone(), key);
        config.client_auth_cert_resolver = Arc::new(Shows(Arc::new(shown)));
    }
    Arc::new(config)
}

/// What the server found, or the alert that the client got.
async fn outcome(
    terminator: &Terminator,
    client: &Arc<ClientConfig>,
) -> Result<Arc<Client>, AlertDescription> {
    let (server, client) = shake(terminator, client, NAME).await;
    match server {
        Ok(negotiated) => {
            client.unwrap();
            Ok(negotiated.client.unwrap())
        }
        Err(error) => {
            let ours = matches!(error, HandshakeError::ClientCertificate(_));
            assert!(ours, "{error:?}");
            match client.unwrap_err().downcast::<rustls::Error>().unwrap() {
                rustls::Error::AlertReceived(alert) => Err(alert),
                other => panic!("{other}"),
            }
        }
    }
}

fn spiffe_id(client: &Client) -> Option<&str> {
    client.shown.as_ref()?.certificate.spiffe_id.as_deref()
}

type Case = (&'static str, Identity, Result<(), AlertDescription>);

/// What is accepted, each with twins that are not.
fn cases(ours: &Authority) -> Vec<Case> {
    use AlertDescription::{CertificateExpired, UnknownCA, UnsupportedCertificate};

    let theirs = Authority::new("theirs");
    let between = Authority::under("between", Some(ours));
    let good = || ours.issue(|_| {});
    let purpose = |purposes: Vec<ExtendedKeyUsagePurpose>| {
        ours.issue(|params| params.extended_key_usages = purposes)
    };
    let key = KeyPair::generate().unwrap();
    let leaf = workload().self_signed(&key).unwrap();
    let alone = Identity {
        chain: vec![leaf.der().clone()],
        key: Arc::new(key),
    };
    let stolen = Identity {
        key: Arc::new(KeyPair::generate().unwrap()),
        ..good()
    };
    let expired = ours.issue(|params| params.not_after = date_time_ymd(2020, 1, 1));
    let early = ours.issue(|params| params.not_before = date_time_ymd(2200, 1, 1));
    let server = purpose(vec![ExtendedKeyUsagePurpose::ServerAuth]);
    let without = between.issue(|_| {});
    let with = without.clone().with(&[&between]);
    let foreign = theirs.issue(|_| {});
    let foreign_chain = foreign.clone().with(&[&theirs]);
    vec![
        ("good", good(), Ok(())),
        ("with the authority itself", good().with(&[ours]), Ok(())),
        (
            "with the key of another",
            stolen,
            Err(AlertDescription::DecryptError),
        ),
        ("by an authority between", with, Ok(())),
        ("without the authority between", without, Err(UnknownCA)),
        ("without any purpose", purpose(Vec::new()), Ok(())),
        ("of a server", server, Err(UnsupportedCertificate)),
        ("expired", expired, Err(CertificateExpired)),
        ("not yet valid", early, Err(CertificateExpired)),
        ("by another authority", foreign, Err(UnknownCA)),
        ("by another authority, shown", foreign_chain, Err(UnknownCA)),
        ("signed by itself", alone, Err(UnknownCA)),
    ]
}

/// Signed by the authority, and not to be used all the same.
fn hostile(ours: &Authority) -> Vec<Case> {
    let refused = Err(AlertDescription::CertificateUnknown);
    let san = |names: &[&str]| {
        let uri = |name: &&str| SanType::URI((*name).try_into().unwrap());
        let names: Vec<_> = names.iter().map(uri).collect();
        ours.issue(|params| params.subject_alt_names = names)
    };
    let signer = ours.issue(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let large = ours.issue(|params| {
        let mut content = vec![0x04, 0x82, 0xc0, 0x00];
        content.resize(4 + 0xc000, 0);
        params.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 3, 9], content)];
    });
    let none = Identity {
        chain: vec![CertificateDer::from(vec![0x30, 0x00])],
        ..ours.issue(|_| {})
    };
    let long = ours.issue(|_| {}).with(&[ours; 8]);
    let zero = san(&["spiffe://shop.test/a\0b"]);
    vec![
        ("that may sign", signer, refused),
        (
            "with two URIs",
            san(&[WORKLOAD, "https://shop.test/"]),
            refused,
        ),
        ("with a zero byte", zero, refused),
        (
            "with another spelling",
            san(&["spiffe://Shop.test/a"]),
            refused,
        ),
        ("with nine certificates", long, refused),
        ("with a large one", large, refused),
        ("that is none", none, Err(AlertDescription::BadCertificate)),
    ]
}

#[tokio::test]
async fn certificates_of_the_authority_are_accepted_and_their_twins_end_the_handshake() {
    let (house, ours) = (House::new(), Authority::new("ours"));
    for (what, identity, expected) in cases(&ours).into_iter().chain(hostile(&ours)) {
        for version in [&TLS12, &TLS13] {
            for mode in [Request, Require] {
                let terminator = house.asking(&[NAME], &[(NAME, &ours.trust(mode))]);
                let client = client(&house, version, Some(&identity));
                let got = outcome(&terminator, &client).await;
                let got = got.map(|client| assert_eq!(spiffe_id(&client), Some(WORKLOAD)));
                assert_eq!(got, expected, "{what}, {mode:?}, {version:?}");
            }
        }
    }
}

#[tokio::test]
async fn without_a_certificate_a_client_is_nobody_or_refused() {
    let (house, ours) = (House::new(), Authority::new("ours"));
    for version in [&TLS12, &TLS13] {
        let client = client(&house, version, None);
        let terminator = house.asking(&[NAME], &[(NAME, &ours.trust(Require))]);
        let alert = outcome(&terminator, &client).await.unwrap_err();
        assert_eq!(alert, AlertDescription::CertificateRequired, "{version:?}");
        let terminator = house.asking(&[NAME], &[(NAME, &ours.trust(Request))]);
        let found = outcome(&terminator, &client).await.unwrap();
        assert!(found.shown.is_none());
    }
}

#[tokio::test]
async fn only_the_names_that_ask_are_asked_for() {
    let (house, ours) = (House::new(), Authority::new("ours"));
    let terminator = house.asking(&[NAME, SECOND], &[(SECOND, &ours.trust(Require))]);
    let identity = ours.issue(|_| {});
    for version in [&TLS12, &TLS13] {
        let client = client(&house, version, Some(&identity));
        let (server, _) = shake(&terminator, &client, NAME).await;
        assert!(server.unwrap().client.is_none());
        let (server, _) = shake(&terminator, &client, SECOND).await;
        assert_eq!(spiffe_id(&server.unwrap().client.unwrap()), Some(WORKLOAD));
    }
}

/// The second of two handshakes of one client, whose server is changed in between: was the session resumed, and what was found?
async fn again(
    version: &'static SupportedProtocolVersion,
    client: &Arc<ClientConfig>,
    one: &Terminator,
    two: &Terminator,
) -> (Option<HandshakeKind>, Option<Arc<Client>>) {
    let (server, stream) = shake(one, client, NAME).await;
    server.unwrap();
    stream.unwrap();
    let (server, stream) = shake(two, client, NAME).await;
    let kind = stream.unwrap().get_ref().1.handshake_kind();
    assert!(kind.is_some(), "{version:?}");
    (kind, server.unwrap().client)
}

#[tokio::test]
async fn a_resumed_session_keeps_the_certificate_under_the_same_trust_only() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let identity = ours.issue(|_| {});
    let both = format!("{}{}", ours.pem, other.pem);
    let both = Authorities::read(&both, SystemTime::now()).unwrap();
    let both = Arc::new(Trust::new(&both, Require).unwrap());
    let (require, request) = (ours.trust(Require), ours.trust(Request));
    let same = ours.trust(Require);
    let (full, resumed) = (HandshakeKind::Full, HandshakeKind::Resumed);
    for version in [&TLS12, &TLS13] {
        for (what, before, after, kind) in [
            ("the same", Some(&require), Some(&same), resumed),
            (
                "the same, not required",
                Some(&request),
                Some(&request),
                resumed,
            ),
            ("another mode", Some(&request), Some(&require), full),
            ("one authority more", Some(&require), Some(&both), full),
            ("not asked before", None, Some(&require), full),
            ("not asked any more", Some(&require), None, full),
        ] {
            let house = House::new();
            let terminator = |trust: Option<&Arc<Trust>>| match trust {
                Some(trust) => house.asking(&[NAME], &[(NAME, trust)]),
                None => house.terminator(&[NAME]),
            };
            let client = client(&house, version, Some(&identity));
            let (one, two) = (terminator(before), terminator(after));
            let (got, found) = again(version, &client, &one, &two).await;
            assert_eq!(got, Some(kind), "{what}, {version:?}");
            assert_eq!(found.is_some(), after.is_some(), "{what}");
            if let (Some(found), Some(after)) = (found, after) {
                assert_eq!(found.trust, after.id(), "{what}");
                assert_eq!(spiffe_id(&found), Some(WORKLOAD), "{what}, {version:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_session_of_another_authority_is_refused_by_what_its_client_shows() {
    let (house, ours, other) = (
        House::new(),
        Authority::new("ours"),
        Authority::new("other"),
    );
    let identity = ours.issue(|_| {});
    for version in [&TLS12, &TLS13] {
        let client = client(&house, version, Some(&identity));
        let before = house.asking(&[NAME], &[(NAME, &ours.trust(Require))]);
        outcome(&before, &client).await.unwrap();
        let after = house.asking(&[NAME], &[(NAME, &other.trust(Require))]);
        let alert = outcome(&after, &client).await.unwrap_err();
        assert_eq!(alert, AlertDescription::UnknownCA, "{version:?}");
    }
}

#[tokio::test]
async fn a_session_is_of_one_server_name() {
    let (house, ours) = (House::new(), Authority::new("ours"));
    let trust = ours.trust(Require);
    let terminator = house.asking(&[NAME, SECOND], &[(NAME, &trust), (SECOND, &trust)]);
    let identity = ours.issue(|_| {});
    for version in [&TLS12, &TLS13] {
        // A client that brings the sessions of one name to another.
        let mut confused = (*client(&house, version, Some(&identity))).clone();
        confused.resumption = rustls::client::Resumption::store(Arc::new(OneName::default()));
        let confused = Arc::new(confused);
        for (name, kind) in [
            (NAME, HandshakeKind::Full),
            (SECOND, HandshakeKind::Full),
            (SECOND, HandshakeKind::Resumed),
        ] {
            let (server, stream) = shake(&terminator, &confused, name).await;
            assert_eq!(spiffe_id(&server.unwrap().client.unwrap()), Some(WORKLOAD));
            let got = stream.unwrap().get_ref().1.handshake_kind();
            assert_eq!(got, Some(kind), "{name}, {version:?}");
        }
    }
}

/// Sessions of every name under one.
#[derive(Debug)]
struct OneName(rustls::client::ClientSessionMemoryCache);

impl Default for OneName {
    fn default() -> Self {
        Self(rustls::client::ClientSessionMemoryCache::new(8))
    }
}

static ONE: LazyLock<ServerName<'static>> = LazyLock::new(|| ServerName::try_from(NAME).unwrap());

impl rustls::client::ClientSessionStore for OneName {
    fn set_kx_hint(&self, _: ServerName<'static>, group: rustls::NamedGroup) {
        self.0.set_kx_hint(ONE.clone(), group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<rustls::NamedGroup> {
        self.0.kx_hint(&ONE)
    }

    fn set_tls12_session(
        &self,
        _: ServerName<'static>,
        value: rustls::client::Tls12ClientSessionValue,
    ) {
        self.0.set_tls12_session(ONE.clone(), value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<rustls::client::Tls12ClientSessionValue> {
        self.0.tls12_session(&ONE)
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.0.remove_tls12_session(&ONE);
    }

    fn insert_tls13_ticket(
        &self,
        _: ServerName<'static>,
        value: rustls::client::Tls13ClientSessionValue,
    ) {
        self.0.insert_tls13_ticket(ONE.clone(), value);
    }

    fn take_tls13_ticket(
        &self,
        _: &ServerName<'static>,
    ) -> Option<rustls::client::Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&ONE)
    }
}

/// A clock that goes when it is told to.
#[derive(Debug)]
struct Clock(Mutex<SystemTime>);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let now = *self.0.lock().unwrap();
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Some(UnixTime::since_unix_epoch(since))
    }
}

#[tokio::test]
async fn a_session_ends_with_the_certificate() {
    let ours = Authority::new("ours");
    let trust = ours.trust(Require);
    let end = SystemTime::now() + Duration::from_secs(3600);
    let identity = ours.issue(|params| params.not_after = end.into());
    for version in [&TLS12, &TLS13] {
        let clock = Arc::new(Clock(Mutex::new(SystemTime::now())));
        let resumption = Resumption::with_time(Arc::clone(&clock) as _).unwrap();
        let house = House {
            resumption,
            ..House::new()
        };
        let terminator = house.asking(&[NAME], &[(NAME, &trust)]);
        let client = client(&house, version, Some(&identity));
        // Twice, so that the ticket of a resumed session is looked at as well.
        for _ in 0..2 {
            let (kind, found) = again(version, &client, &terminator, &terminator).await;
            assert_eq!(kind, Some(HandshakeKind::Resumed), "{version:?}");
            assert_eq!(spiffe_id(&found.unwrap()), Some(WORKLOAD));
        }
        *clock.0.lock().unwrap() = end + Duration::from_secs(2);
        let alert = outcome(&terminator, &client).await.unwrap_err();
        assert_eq!(alert, AlertDescription::CertificateExpired, "{version:?}");
    }
}
