//! Handshakes in process, with clients of tokio-rustls over a pipe.

mod clients;

use std::{
    collections::HashMap,
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    AlertDescription, ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    CertificateFor, HandshakeError, Http, Negotiated, Resumption, Terminator, Trust,
    ca::InternalCa, cipher_name, provider, version_name,
};

const NAME: &str = "orders.shop.test";

/// A VPC's view: a CA and the names it may sign for.
#[derive(Debug)]
struct View {
    ca: Arc<InternalCa>,
    names: Vec<&'static str>,
    trusts: HashMap<&'static str, Arc<Trust>>,
}

impl CertificateFor for View {
    fn certificate(&self, server_name: &str) -> Option<Arc<CertifiedKey>> {
        let known = self.names.contains(&server_name);
        known.then(|| self.ca.certificate(server_name, SystemTime::now()).unwrap())
    }

    fn trust(&self, server_name: &str) -> Option<&Arc<Trust>> {
        self.trusts.get(server_name)
    }
}

struct House {
    _folder: tempfile::TempDir,
    ca: Arc<InternalCa>,
    resumption: Resumption,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = InternalCa::open(folder.path(), SystemTime::now()).unwrap();
        Self {
            _folder: folder,
            ca: Arc::new(ca),
            resumption: Resumption::new().unwrap(),
        }
    }

    fn terminator(&self, names: &[&'static str]) -> Terminator {
        self.asking(names, &[])
    }

    /// One that asks for certificates of clients where a name has a trust.
    fn asking(&self, names: &[&'static str], trusts: &[(&'static str, &Arc<Trust>)]) -> Terminator {
        let trusts = trusts.iter();
        let view = View {
            ca: Arc::clone(&self.ca),
            names: names.to_vec(),
            trusts: trusts
                .map(|(name, trust)| (*name, Arc::clone(trust)))
                .collect(),
        };
        Terminator::new(Arc::new(view), &self.resumption)
    }

    fn client(
        &self,
        version: &'static SupportedProtocolVersion,
        protocols: &[&str],
    ) -> ClientConfig {
        let root = CertificateDer::from_pem_slice(self.ca.root_pem().as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(root).unwrap();
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        config
    }
}

type Pipe = tokio::io::DuplexStream;

/// One handshake and, if it succeeds, one byte each way, so that the client sees its ticket.
async fn shake(
    terminator: &Terminator,
    client: &Arc<ClientConfig>,
    name: &str,
) -> (
    Result<Negotiated, HandshakeError>,
    io::Result<TlsStream<Pipe>>,
) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let server = async {
        let (mut stream, negotiated) = terminator.accept(far).await?;
        assert_eq!(stream.read_u8().await.unwrap(), b'?');
        stream.write_u8(b'!').await.unwrap();
        stream.flush().await.unwrap();
        Ok(negotiated)
    };
    let client = async {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::clone(client));
        let mut stream = connector.connect(name, near).await?;
        stream.write_u8(b'?').await?;
        stream.flush().await?;
        assert_eq!(stream.read_u8().await?, b'!');
        Ok(stream)
    };
    tokio::join!(server, client)
}

/// A handshake that succeeds with what the server and the client found.
async fn check(
    version: &'static SupportedProtocolVersion,
    protocols: &[&str],
    http: Http,
    selected: Option<&str>,
) {
    let house = House::new();
    let client = Arc::new(house.client(version, protocols));
    let (server, client) = shake(&house.terminator(&[NAME]), &client, NAME).await;
    let (server, client) = (server.unwrap(), client.unwrap());
    let connection = client.get_ref().1;
    assert_eq!(&*server.server_name, NAME);
    assert_eq!(server.version, version_name(version.version));
    let cipher = match version.version {
        rustls::ProtocolVersion::TLSv1_3 => "TLS_AES_128_GCM_SHA256",
        _ => "ECDHE-ECDSA-AES128-GCM-SHA256",
    };
    assert_eq!(server.cipher, cipher);
    assert_eq!(server.http, http, "{protocols:?}");
    assert!(server.client.is_none(), "nobody asked for a certificate");
    assert_eq!(
        connection.alpn_protocol(),
        selected.map(str::as_bytes),
        "{protocols:?}"
    );
}

/// A handshake that is refused, with the alert the client sees.
async fn check_refused(
    terminator: &Terminator,
    client: ClientConfig,
    name: &str,
    wanted: AlertDescription,
) {
    let (server, client) = shake(terminator, &Arc::new(client), name).await;
    let error = server.unwrap_err();
    assert!(
        matches!(error, HandshakeError::UnrecognizedName { .. }),
        "{name}: {error}"
    );
    let error = client.unwrap_err().downcast::<rustls::Error>().unwrap();
    assert_eq!(error, rustls::Error::AlertReceived(wanted), "{name}");
}

#[tokio::test]
async fn http2_is_preferred_and_everything_else_is_http1() {
    for version in [&TLS12, &TLS13] {
        check(version, &["h2", "http/1.1"], Http::Two, Some("h2")).await;
        check(version, &["http/1.1", "h2"], Http::Two, Some("h2")).await;
        check(version, &["http/1.1"], Http::One, Some("http/1.1")).await;
        check(version, &["h2"], Http::Two, Some("h2")).await;
        check(version, &[], Http::One, None).await;
        check(version, &["spdy/3", "http/1.0"], Http::One, None).await;
        check(version, &["h3", "http/1.1"], Http::One, Some("http/1.1")).await;
    }
}

#[tokio::test]
async fn server_order_of_suites_wins() {
    let house = House::new();
    let mut reversed = (*provider()).clone();
    reversed.cipher_suites.reverse();
    for (version, wanted) in [
        (&TLS13, "TLS_AES_128_GCM_SHA256"),
        (&TLS12, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ] {
        let mut client = ClientConfig::builder_with_provider(Arc::new(reversed.clone()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let trusting = house.client(version, &[]);
        client
            .dangerous()
            .set_certificate_verifier(verifier(&house));
        assert_eq!(client.alpn_protocols, trusting.alpn_protocols);
        let (server, _) = shake(&house.terminator(&[NAME]), &Arc::new(client), NAME).await;
        assert_eq!(server.unwrap().cipher, wanted);
    }
}

fn verifier(house: &House) -> Arc<rustls::client::WebPkiServerVerifier> {
    let root = CertificateDer::from_pem_slice(house.ca.root_pem().as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_name_that_nobody_in_the_view_has_is_refused_with_its_own_alert() {
    let house = House::new();
    let terminator = house.terminator(&[NAME]);
    for version in [&TLS12, &TLS13] {
        for name in [
            "pay.shop.test",
            "shop.test",
            "a.orders.shop.test",
            "localhost",
        ] {
            let client = house.client(version, &["h2"]);
            check_refused(
                &terminator,
                client,
                name,
                AlertDescription::UnrecognisedName,
            )
            .await;
        }
    }
}

#[tokio::test]
async fn a_client_without_a_server_name_is_refused() {
    let house = House::new();
    let terminator = house.terminator(&[NAME]);
    for version in [&TLS12, &TLS13] {
        let mut silent = house.client(version, &["h2"]);
        silent.enable_sni = false;
        check_refused(
            &terminator,
            silent,
            NAME,
            AlertDescription::UnrecognisedName,
        )
        .await;
        // Addresses are never sent as server names.
        let client = house.client(version, &["h2"]);
        check_refused(
            &terminator,
            client,
            "127.0.0.1",
            AlertDescription::UnrecognisedName,
        )
        .await;
    }
}

#[tokio::test]
async fn names_are_compared_without_case() {
    let house = House::new();
    let client = Arc::new(house.client(&TLS13, &[]));
    let (server, client) = shake(&house.terminator(&[NAME]), &client, "Orders.SHOP.test").await;
    assert_eq!(&*server.unwrap().server_name, NAME);
    client.unwrap();
}

#[tokio::test]
async fn something_else_than_tls_is_refused() {
    const REFUSED: &str = "handshake refused";
    const LOST: &str = "connection lost during the handshake";
    let house = House::new();
    for (sent, outcome) in [
        (&b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..], REFUSED),
        (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", REFUSED),
        (b"\x16\x03\x01", LOST),
        (b"", LOST),
    ] {
        let (mut near, far) = tokio::io::duplex(1024);
        near.write_all(sent).await.unwrap();
        near.shutdown().await.unwrap();
        let error = house.terminator(&[NAME]).accept(far).await.unwrap_err();
        assert_eq!(error.to_string(), outcome, "{sent:?}");
    }
}

/// The kind of the second of two handshakes of one client.
async fn second(
    version: &'static SupportedProtocolVersion,
    client: &Arc<ClientConfig>,
    one: &Terminator,
    two: &Terminator,
) -> Option<HandshakeKind> {
    let (server, stream) = shake(one, client, NAME).await;
    server.unwrap();
    let first = stream.unwrap().get_ref().1.handshake_kind();
    assert_eq!(first, Some(HandshakeKind::Full), "{version:?}");
    let (server, stream) = shake(two, client, NAME).await;
    server.unwrap();
    stream.unwrap().get_ref().1.handshake_kind()
}

#[tokio::test]
async fn a_session_is_resumed_in_the_next_snapshot_but_not_in_another_vpc() {
    for version in [&TLS12, &TLS13] {
        let house = House::new();
        let before = house.terminator(&[NAME]);
        let after = house.terminator(&[NAME, "new.shop.test"]);
        let client = Arc::new(house.client(version, &["h2"]));
        let kind = second(version, &client, &before, &after).await;
        assert_eq!(kind, Some(HandshakeKind::Resumed), "{version:?}");

        let view = View {
            ca: Arc::clone(&house.ca),
            names: vec![NAME],
            trusts: HashMap::new(),
        };
        let elsewhere = Terminator::new(Arc::new(view), &Resumption::new().unwrap());
        let client = Arc::new(house.client(version, &["h2"]));
        let kind = second(version, &client, &before, &elsewhere).await;
        assert_eq!(kind, Some(HandshakeKind::Full), "{version:?}");
    }
}

#[tokio::test]
async fn a_resumed_session_does_not_reach_a_service_that_left_the_view() {
    for version in [&TLS12, &TLS13] {
        let house = House::new();
        let client = house.client(version, &["h2"]);
        let (server, _) = shake(&house.terminator(&[NAME]), &Arc::new(client.clone()), NAME).await;
        server.unwrap();
        let without = house.terminator(&["pay.shop.test"]);
        check_refused(&without, client, NAME, AlertDescription::UnrecognisedName).await;
    }
}

#[tokio::test]
async fn early_data_is_not_offered() {
    let house = House::new();
    let mut client = house.client(&TLS13, &["h2"]);
    client.enable_early_data = true;
    let client = Arc::new(client);
    let terminator = house.terminator(&[NAME]);
    second(&TLS13, &client, &terminator, &terminator).await;
    let name = ServerName::try_from(NAME).unwrap();
    let mut third = rustls::ClientConnection::new(client, name).unwrap();
    assert!(third.early_data().is_none());
}

#[test]
fn every_suite_offered_has_an_openssl_name() {
    let mut seen = HashMap::new();
    for suite in &provider().cipher_suites {
        let name = cipher_name(suite.suite());
        assert_ne!(name, "-", "{suite:?}");
        assert_eq!(seen.insert(name, suite.suite()), None);
    }
    assert_eq!(
        cipher_name(rustls::CipherSuite::TLS_RSA_WITH_AES_128_CBC_SHA),
        "-"
    );
    assert_eq!(version_name(rustls::ProtocolVersion::SSLv3), "-");
}

#[tokio::test]
async fn a_leaf_is_issued_once_and_renewed_in_time() {
    let house = House::new();
    let now = SystemTime::now();
    let day = Duration::from_secs(24 * 60 * 60);
    let first = house.ca.certificate(NAME, now).unwrap();
    let same = house.ca.certificate(NAME, now + 59 * day).unwrap();
    assert!(Arc::ptr_eq(&first, &same));
    let renewed = house.ca.certificate(NAME, now + 61 * day).unwrap();
    assert!(!Arc::ptr_eq(&first, &renewed));
    assert_ne!(first.cert, renewed.cert);
}
