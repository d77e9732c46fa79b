//! Certificates and TLS clients of the scenarios.

use std::{path::Path, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa,
    Issuer as Signer, KeyPair, SanType,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::ResolvesClientCert,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
    sign::CertifiedKey,
};

/// A certificate authority of a scenario.
#[derive(Debug)]
pub struct Issuer {
    pem: String,
    signer: Signer<'static, KeyPair>,
}

impl Issuer {
    /// A new one.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            signer: Signer::new(params, key),
        }
    }

    /// Its own certificate in PEM.
    pub fn root_pem(&self) -> &str {
        &self.pem
    }

    /// Writes a certificate for `domain` and its key to these files.
    pub fn issue(&self, domain: &str, certificate: &Path, key: &Path) {
        let (chain, private) = self.leaf(domain);
        std::fs::write(key, private).unwrap();
        std::fs::write(certificate, chain).unwrap();
    }

    /// The TLS side of a target that speaks HTTP/1.1 and HTTP/2.
    pub(crate) fn server(&self, domain: &str) -> Arc<ServerConfig> {
        let (chain, private) = self.leaf(domain);
        let chain = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
        let private = PrivateKeyDer::from_pem_slice(private.as_bytes()).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain], private)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// A client certificate with these alternative names, `spiffe://…` or DNS names, and this common name, changed by `change`.
    pub fn client(
        &self,
        common_name: &str,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> ClientIdentity {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names
            .iter()
            .map(|name| match name.split_once("://") {
                Some(_) => SanType::URI((*name).try_into().unwrap()),
                None => match name.parse() {
                    Ok(address) => SanType::IpAddress(address),
                    Err(_) => SanType::DnsName((*name).try_into().unwrap()),
                },
            })
            .collect();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.signer).unwrap();
        ClientIdentity {
            chain: vec![leaf.der().clone()],
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        }
    }

    /// A server's certificate with these alternative names, `spiffe://…`, IP addresses or DNS names, changed by `change`.
    pub fn server_identity(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> ClientIdentity {
        self.client("target", names, |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            change(params);
        })
    }

    fn leaf(&self, domain: &str) -> (String, String) {
        let params = CertificateParams::new(vec![domain.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.signer).unwrap();
        (leaf.pem(), key.serialize_pem())
    }
}

/// The TLS side of a target, with terms of its own.
#[derive(Debug, Clone)]
pub struct TargetSide(pub(crate) Arc<ServerConfig>);

impl TargetSide {
    /// Shows this certificate, speaks these versions, and demands certificates of `clients` if there is one.
    pub fn new(
        identity: &ClientIdentity,
        versions: &[&'static rustls::SupportedProtocolVersion],
        clients: Option<&Issuer>,
    ) -> Self {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(issuer) => {
                let mut roots = RootCertStore::empty();
                let root = CertificateDer::from_pem_slice(issuer.root_pem().as_bytes());
                roots.add(root.unwrap()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let mut config = builder
            .with_single_cert(identity.chain.clone(), identity.key.clone_key())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self(Arc::new(config))
    }
}

/// A client certificate, or a target's, and its key.
#[derive(Debug)]
pub struct ClientIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Whom a TLS client trusts. It keeps the sessions it was given, as a browser does, for all its connections.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Shared by all connections: sessions are resumed only where verifier and client certificate are the same objects.
    config: ClientConfig,
}

impl Trust {
    /// These roots, in PEM.
    pub fn new(pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(root.unwrap()).unwrap();
        }
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { config }
    }

    /// The same, showing this certificate to whoever asks, with sessions of its own.
    #[must_use]
    pub fn showing(&self, identity: &ClientIdentity) -> Self {
        let key = rustls::crypto::ring::sign::any_supported_type(&identity.key).unwrap();
        let shown = CertifiedKey::new(identity.chain.clone(), key);
        let mut config = self.config.clone();
        config.client_auth_cert_resolver = Arc::new(Shows(Arc::new(shown)));
        config.resumption = rustls::client::Resumption::in_memory_sessions(32);
        Self { config }
    }

    /// A client that offers these protocols.
    pub(crate) fn client(&self, alpn: &[&str]) -> Arc<ClientConfig> {
        let mut config = self.config.clone();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

/// Shows one certificate, whatever authorities are asked for.
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

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
