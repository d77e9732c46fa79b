//! The root certificate and its key.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use super::{BACKDATED, CaError, serial_number, subject};

/// Life of the root: ten years. Clients install it by hand, so it should outlive the machine.
const LIFETIME: Duration = Duration::from_secs(3650 * 24 * 60 * 60);
const NAME: &str = "Trellis internal CA";
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// A root that may issue.
pub(super) struct Root {
    pub(super) issuer: Issuer<'static, KeyPair>,
    pub(super) certificate_pem: String,
    pub(super) expires: SystemTime,
}

impl Root {
    /// Reads certificate and key from one PEM text. The error completes "the file …".
    pub(super) fn parse(pem: &str) -> Result<Self, String> {
        let root = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| "holds no certificate in PEM")?;
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| "holds no private key in PEM")?;
        let key = KeyPair::try_from(&key)
            .map_err(|_| "holds a damaged private key or one of an unsupported kind")?;
        let (_, parsed) =
            X509Certificate::from_der(&root).map_err(|_| "holds a damaged certificate")?;
        if !parsed.is_ca() {
            return Err("holds a certificate that is not a CA's".to_owned());
        }
        if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return Err("holds a certificate and a key that do not belong together".to_owned());
        }
        let expires = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
        let issuer = Issuer::from_ca_cert_der(&root, key)
            .map_err(|_| "holds a certificate that cannot issue others")?;
        Ok(Self {
            issuer,
            certificate_pem: certificate_block(pem).ok_or("holds no certificate in PEM")?,
            expires: SystemTime::UNIX_EPOCH + Duration::from_secs(expires),
        })
    }
}

/// A new root with its key, in one PEM text.
pub(super) fn generate(now: SystemTime) -> Result<String, CaError> {
    let failed = |source| CaError::Issue {
        name: NAME.to_owned(),
        source,
    };
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let serial = serial_number()?;
    // The roots of two gateways need different subjects, or a client that trusts both may try the wrong one.
    let mut name = format!("{NAME} ");
    for byte in serial.to_bytes().iter().take(4) {
        let _ = write!(name, "{byte:02x}");
    }
    let mut params = CertificateParams::default();
    params.serial_number = Some(serial);
    params.distinguished_name = subject(&name);
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + LIFETIME).into();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let root = params.self_signed(&key).map_err(failed)?;
    Ok(format!("{}{}", root.pem(), key.serialize_pem()))
}

/// The first certificate of a PEM text, as text.
fn certificate_block(pem: &str) -> Option<String> {
    let (_, rest) = pem.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    Some(format!("{BEGIN}{body}{END}\n"))
}
