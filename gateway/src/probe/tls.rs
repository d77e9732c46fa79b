//! TLS to targets under check, whose certificates are not verified.
//!
//! Source: VPC Lattice user guide, "Target groups": the load balancer does not validate target certificates, so expired and
//! self-signed ones work. This is the only place where probes decide that.

use std::{net::IpAddr, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// TLS clients for the two HTTP versions.
#[derive(Clone)]
pub(super) struct Unverified {
    http1: TlsConnector,
    http2: TlsConnector,
}

impl Unverified {
    pub(super) fn new() -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        Ok(Self {
            http1: connector(&provider, b"http/1.1")?,
            http2: connector(&provider, b"h2")?,
        })
    }

    /// A TLS session for HTTP/1.1. The target is named by its address, so no SNI is sent.
    pub(super) async fn http1(
        &self,
        stream: TcpStream,
        target: IpAddr,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.http1
            .connect(ServerName::IpAddress(target.into()), stream)
            .await
    }

    /// A TLS session for HTTP/2. A target that does not take part in ALPN is taken to speak it all the same.
    pub(super) async fn http2(
        &self,
        stream: TcpStream,
        target: IpAddr,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.http2
            .connect(ServerName::IpAddress(target.into()), stream)
            .await
    }
}

fn connector(provider: &Arc<CryptoProvider>, protocol: &[u8]) -> Result<TlsConnector, Error> {
    let verifier = AnyCertificate {
        schemes: provider
            .signature_verification_algorithms
            .supported_schemes(),
    };
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    // A resumed session would skip the part of the handshake that a probe is meant to try.
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Takes every certificate.
#[derive(Debug)]
struct AnyCertificate {
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    // Without knowing whose certificate it should be, a signature with its key proves nothing; checking it would only cost.
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
