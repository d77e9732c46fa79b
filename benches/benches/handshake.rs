//! What does it cost to ask a client for its certificate, and does a name that does not ask pay for one that does?
//!
//! `cargo bench -p trellis-benches --bench handshake`. Whole TLS 1.3 handshakes over a pipe in memory, client and gateway on one thread,
//! so both sides' work is in each figure: compare them with each other. Certificates are of P-256, as the internal CA makes them. The
//! resumed handshake opens and seals a ticket with the chain in it, and verifies nothing.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement stops where it cannot go on"
)]

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use criterion::{Criterion, criterion_group, criterion_main};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    sign::CertifiedKey,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use trellis_gateway::tls::{
    Authorities, CertificateFor, Resumption, Terminator, Trust, ca::InternalCa, provider,
};
use trellis_model::config::ClientCertificateMode;

const OPEN: &str = "open.test";
const ASKING: &str = "asking.test";

#[derive(Debug)]
struct View {
    ca: InternalCa,
    trusts: HashMap<&'static str, Arc<Trust>>,
}

impl CertificateFor for View {
    fn certificate(&self, server_name: &str) -> Option<Arc<CertifiedKey>> {
        self.ca.certificate(server_name, SystemTime::now()).ok()
    }

    fn trust(&self, server_name: &str) -> Option<&Arc<Trust>> {
        self.trusts.get(server_name)
    }
}

/// A terminator one of whose names asks, and a client that has what it asks for.
fn world() -> (Terminator, ClientConfig) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    let id = "spiffe://shop.test/ns/web/checkout";
    params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &issuer).unwrap();

    let authorities = Authorities::read(&authority, SystemTime::now()).unwrap();
    let trust = Trust::new(&authorities, ClientCertificateMode::Require).unwrap();
    let ca = InternalCa::unkept(SystemTime::now()).unwrap();
    let root = CertificateDer::from_pem_slice(ca.root_pem().as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let view = View {
        ca,
        trusts: HashMap::from([(ASKING, Arc::new(trust))]),
    };
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let client = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![leaf.der().clone()], key)
        .unwrap();
    let terminator = Terminator::new(Arc::new(view), &Resumption::new().unwrap());
    (terminator, client)
}

/// One handshake and a byte each way, so that the client has its ticket.
async fn shake(
    terminator: &Terminator,
    client: &TlsConnector,
    name: &'static str,
) -> HandshakeKind {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let server = async {
        let (mut stream, negotiated) = terminator.accept(far).await.unwrap();
        assert_eq!(negotiated.client.is_some(), name == ASKING);
        let byte = stream.read_u8().await.unwrap();
        stream.write_u8(byte).await.unwrap();
        stream.flush().await.unwrap();
    };
    let client = async {
        let name = ServerName::try_from(name).unwrap();
        let mut stream = client.connect(name, near).await.unwrap();
        stream.write_u8(1).await.unwrap();
        stream.flush().await.unwrap();
        stream.read_u8().await.unwrap();
        stream.get_ref().1.handshake_kind().unwrap()
    };
    tokio::join!(server, client).1
}

fn handshakes(criterion: &mut Criterion) {
    let (terminator, client) = world();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut fresh = client.clone();
    fresh.resumption = rustls::client::Resumption::disabled();
    let (fresh, resuming) = (Arc::new(fresh), Arc::new(client));
    let mut group = criterion.benchmark_group("TLS 1.3 handshake");
    for (what, client, kind) in [
        ("full", fresh, HandshakeKind::Full),
        ("resumed", resuming, HandshakeKind::Resumed),
    ] {
        for (name, asked) in [(OPEN, "not asked"), (ASKING, "certificate asked for")] {
            let client = TlsConnector::from(Arc::clone(&client));
            runtime.block_on(shake(&terminator, &client, name));
            assert_eq!(runtime.block_on(shake(&terminator, &client, name)), kind);
            group.bench_function(format!("{what}, {asked}"), |bench| {
                bench.iter(|| runtime.block_on(shake(&terminator, &client, name)));
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = handshakes
}
criterion_main!(benches);
