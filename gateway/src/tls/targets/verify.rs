//! What targets' certificates are held against, besides rustls' own verifier of a server's name.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{
        WebPkiSupportedAlgorithms, ring::default_provider, verify_tls12_signature,
        verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use trellis_model::config::PeerName;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

/// Takes every certificate.
#[derive(Debug)]
pub(super) struct AnyCertificate {
    schemes: Vec<SignatureScheme>,
}

impl Default for AnyCertificate {
    fn default() -> Self {
        let algorithms = default_provider().signature_verification_algorithms;
        Self {
            schemes: algorithms.supported_schemes(),
        }
    }
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

/// Takes certificates that an authority stands for and that are for one of these names, whatever name was asked for.
///
/// Source: App Mesh API reference, `SubjectAlternativeNameMatchers`.
#[derive(Debug)]
pub(super) struct OneOf {
    roots: Arc<RootCertStore>,
    names: Vec<Name>,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Name {
    /// A domain name, which a wildcard in the certificate may stand for, or an address. Spec: RFC 6125 §6.4.
    Server(ServerName<'static>),
    /// Byte for byte. Spec: RFC 3986 §6.2.1.
    Uri(Box<str>),
}

impl OneOf {
    pub(super) fn new(roots: Arc<RootCertStore>, names: &[PeerName]) -> Self {
        let name = |name: &PeerName| match name {
            PeerName::Uri(uri) => Some(Name::Uri(uri.clone())),
            other => super::server_name(other).map(Name::Server),
        };
        Self {
            roots,
            // One that cannot be compared fits nothing.
            names: names.iter().filter_map(name).collect(),
            algorithms: default_provider().signature_verification_algorithms,
        }
    }
}

impl ServerCertVerifier for OneOf {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        let uris = uris(end_entity);
        let fits = |name: &Name| match name {
            Name::Server(name) => verify_server_name(&certificate, name).is_ok(),
            Name::Uri(uri) => uris.iter().any(|other| other == uri),
        };
        if self.names.iter().any(fits) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::NotValidForName.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The URIs that a certificate is for; none where it cannot be read without doubt.
fn uris(certificate: &CertificateDer<'_>) -> Vec<Box<str>> {
    let Ok(([], certificate)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    // An extension that is there twice could be understood in two ways, and is refused as an error here.
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = names.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some((*uri).into()),
            _ => None,
        })
        .collect()
}
