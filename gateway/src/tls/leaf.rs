//! Reading a certificate chain and its key, and what can be said about them without asking anybody.

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::SystemTime};

use rustls::{
    InconsistentKeys,
    crypto::ring::sign::any_supported_type,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    sign::CertifiedKey,
};
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    prelude::{FromDer as _, ParsedExtension},
};

/// A chain whose key fits, and the facts of its leaf.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
    /// Each certificate is signed by the one after it, as far as their names tell.
    pub(super) chain: Chain,
    names: Names,
}

/// Do the certificates follow each other?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chain {
    Ordered,
    Broken,
}

/// How a leaf covers a domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cover {
    /// By a subject alternative name.
    AlternativeName,
    /// By its common name, there being no alternative names.
    CommonName,
    /// Not at all.
    None,
}

/// Why certificate and key cannot be used. Texts complete "certificate file …" or "key file …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum LeafError {
    #[error("holds no certificate")]
    NoCertificate,
    #[error("is not PEM: {0}")]
    CertificatePem(String),
    #[error("holds something that is not an X.509 certificate of version 3")]
    NotX509,
    #[error("holds no private key, or an encrypted one")]
    NoKey,
    #[error("is not PEM: {0}")]
    KeyPem(String),
    #[error("holds a private key of an unsupported kind: {0}")]
    UnsupportedKey(String),
    #[error("does not belong to the key")]
    OtherKey,
    #[error("begins with a certificate that is not the key's own, though a later one is")]
    LeafNotFirst,
}

impl LeafError {
    /// Is the fault in the key file rather than in the certificate file?
    pub(super) fn is_about_key(&self) -> bool {
        matches!(
            self,
            Self::NoKey | Self::KeyPem(_) | Self::UnsupportedKey(_)
        )
    }
}

#[derive(Debug)]
struct Names {
    /// `None` when the certificate has no list at all.
    alternative: Option<Vec<String>>,
    common: Option<String>,
}

impl Leaf {
    /// Reads a chain, leaf first, and the leaf's key, both in PEM.
    pub(super) fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, LeafError> {
        let chain = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| LeafError::CertificatePem(error.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => LeafError::NoKey,
            other => LeafError::KeyPem(other.to_string()),
        })?;
        Self::new(chain, &key)
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'_>,
    ) -> Result<Self, LeafError> {
        let parsed = chain
            .iter()
            .map(|der| X509Certificate::from_der(der).map(|(_, certificate)| certificate))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| LeafError::NotX509)?;
        let leaf = parsed.first().ok_or(LeafError::NoCertificate)?;
        let names = Names::of(leaf);
        let validity = leaf.validity();
        let not_before = system_time(validity.not_before.timestamp());
        let not_after = system_time(validity.not_after.timestamp());
        let order = if parsed
            .iter()
            .zip(parsed.iter().skip(1))
            .all(|(one, next)| one.issuer().as_raw() == next.subject().as_raw())
        {
            Chain::Ordered
        } else {
            Chain::Broken
        };
        drop(parsed);

        let signer = any_supported_type(key)
            .map_err(|error| LeafError::UnsupportedKey(error.to_string()))?;
        let key = CertifiedKey::new(chain, signer);
        match key.keys_match() {
            Ok(()) => Ok(Self {
                key: Arc::new(key),
                not_before,
                not_after,
                chain: order,
                names,
            }),
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(blame_order(&key))
            }
            Err(_) => Err(LeafError::NotX509),
        }
    }

    /// Whether and how the leaf covers `name` (lower case, no trailing dot).
    ///
    /// Source: VPC Lattice user guide, "Bring your own certificate (BYOC)": with a list of alternative names only that list
    /// counts, otherwise the common name; a wildcard stands for exactly one label, the first.
    pub(super) fn covers(&self, name: &str) -> Cover {
        match (&self.names.alternative, &self.names.common) {
            (Some(list), _) if list.iter().any(|pattern| matches(pattern, name)) => {
                Cover::AlternativeName
            }
            (None, Some(common)) if matches(common, name) => Cover::CommonName,
            _ => Cover::None,
        }
    }

    /// The names the leaf is for, for messages.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let common = match self.names.alternative {
            Some(_) => None,
            None => self.names.common.as_deref(),
        };
        let alternative = self.names.alternative.iter().flatten();
        alternative.map(String::as_str).chain(common)
    }
}

impl Names {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let alternative = certificate.extensions().iter().find_map(|extension| {
            let ParsedExtension::SubjectAlternativeName(list) = extension.parsed_extension() else {
                return None;
            };
            let names = list.general_names.iter();
            Some(
                names
                    .filter_map(|name| match name {
                        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                        _ => None,
                    })
                    .collect(),
            )
        });
        let common = certificate
            .subject()
            .iter_common_name()
            .last()
            .and_then(|name| name.as_str().ok())
            .map(str::to_ascii_lowercase);
        Self {
            alternative,
            common,
        }
    }
}

/// The key does not fit the first certificate: does it fit a later one?
fn blame_order(key: &CertifiedKey) -> LeafError {
    let fits_later = key.cert.iter().skip(1).any(|certificate| {
        CertifiedKey::new(vec![certificate.clone()], Arc::clone(&key.key))
            .keys_match()
            .is_ok()
    });
    if fits_later {
        LeafError::LeafNotFirst
    } else {
        LeafError::OtherKey
    }
}

/// Does a name in a certificate cover `name`? Both in lower case.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => {
            !parent.contains('*') && name.split_once('.').is_some_and(|(_, rest)| rest == parent)
        }
        None => pattern == name,
    }
}

fn system_time(seconds: i64) -> SystemTime {
    let distance = std::time::Duration::from_secs(seconds.unsigned_abs());
    let moment = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    moment.unwrap_or(SystemTime::UNIX_EPOCH)
}
