//! The internal CA: signs certificates for generated names, and for custom domains without certificate files.
//!
//! Its root is made on first use and kept in one file, `ca/root.pem` in the data folder: certificate and key together, so that
//! no crash can leave one without the other. Clients that trust [`InternalCa::root_pem`] trust every name the gateway answers
//! for.
//!
//! Leaves are issued when the first handshake wants them and live in memory only. All share one key, made when the process
//! starts and never written down: whoever could read one key out of the process could read them all, so a key per name would
//! buy nothing and cost time at each issue and memory for each name. A certificate still says which single name it is for.

mod file;
mod issued;
mod root;
#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::RwLock;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use rustls::{
    crypto::ring::sign::any_ecdsa_type,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::{CertifiedKey, SigningKey},
};

use self::issued::{Age, Generations, Issued};
use super::parameters::provider;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Life of a leaf.
const LEAF_LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Age at which a leaf is replaced: clients never see the last third of its life.
const LEAF_RENEWAL: Duration = Duration::from_secs(60 * 24 * 60 * 60);
/// Certificates begin this long before they are made, for clients whose clocks are slow.
const BACKDATED: Duration = Duration::from_secs(60 * 60);
/// Remaining life at which the root is worth a warning.
const ROOT_WARNING: Duration = Duration::from_secs(180 * 24 * 60 * 60);
/// Longest common name. Source: RFC 5280, appendix A, `ub-common-name`.
const LONGEST_COMMON_NAME: usize = 64;

/// Why the internal CA cannot be used. The operator has to act.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The file is there but cannot be read.
    #[error("cannot read the internal CA's file `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be made.
    #[error("cannot write the internal CA's file `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else than one CA certificate and its key.
    #[error("the internal CA's file `{}` {what}; restore it, or remove it to get a new CA", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The root's life is over.
    #[error("the root certificate in `{}` has expired; remove the file to get a new CA", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
    },
    /// The cryptography refused.
    #[error("cannot make a certificate for `{name}`")]
    Issue {
        /// The name on the certificate.
        name: String,
        /// What the library said.
        source: rcgen::Error,
    },
    /// The random source failed.
    #[error("no random numbers for a certificate")]
    Random,
}

/// The internal CA. One per process, shared by all snapshots.
pub struct InternalCa {
    path: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    root_pem: String,
    root_expires: SystemTime,
    warnings: Vec<String>,
    leaf_key: KeyPair,
    leaf_signer: Arc<dyn SigningKey>,
    issued: RwLock<Generations>,
}

impl InternalCa {
    /// Loads the CA kept in `data_dir`, or makes one and keeps it there. Reads and writes files.
    ///
    /// Two processes that start together on one folder end up with the same CA.
    pub fn open(data_dir: &Path, now: SystemTime) -> Result<Self, CaError> {
        let path = data_dir.join("ca").join("root.pem");
        let contents = match file::read(&path)? {
            Some(contents) => contents,
            None => file::create(&path, root::generate(now)?)?,
        };
        Self::from_file(path, &contents, now)
    }

    /// A CA that is kept nowhere, for a gateway that is only thought of. Nobody can trust it.
    pub fn unkept(now: SystemTime) -> Result<Self, CaError> {
        let contents = file::Contents::unkept(root::generate(now)?);
        Self::from_file(PathBuf::new(), &contents, now)
    }

    fn from_file(path: PathBuf, file: &file::Contents, now: SystemTime) -> Result<Self, CaError> {
        let root = match root::Root::parse(&file.pem) {
            Ok(root) => root,
            Err(what) => return Err(CaError::Corrupt { path, what }),
        };
        if root.expires <= now {
            return Err(CaError::Expired { path });
        }
        let mut warnings: Vec<String> = file.warning(&path).into_iter().collect();
        let remaining = root.expires.duration_since(now).unwrap_or_default();
        if remaining < ROOT_WARNING {
            warnings.push(format!(
                "the root certificate in `{}` expires in {} days",
                path.display(),
                remaining.as_secs() / DAY.as_secs()
            ));
        }
        let (leaf_key, leaf_signer) = new_leaf_key()?;
        Ok(Self {
            path,
            issuer: root.issuer,
            root_pem: root.certificate_pem,
            root_expires: root.expires,
            warnings,
            leaf_key,
            leaf_signer,
            issued: RwLock::default(),
        })
    }

    /// The root certificate in PEM, without its key: what clients install.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// The file that holds root and key.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A key for stickiness cookies, made from the root's key and for nothing else: it is as secret, and lives as long.
    pub fn stickiness_key(&self) -> crate::stickiness::Key {
        let root = self.issuer.key().serialize_der();
        crate::stickiness::Key::of_bytes(&root)
    }

    /// When the root stops being valid.
    pub fn root_expires(&self) -> SystemTime {
        self.root_expires
    }

    /// What an operator should know about the file although it can be used: too open a mode, a root near its end.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The certificate for `name` (lower case, no trailing dot), issued now unless a fresh one is at hand.
    ///
    /// The caller has checked that `name` is a name of ours. Takes some 50 µs for a new name, well under one for a known one.
    pub fn certificate(&self, name: &str, now: SystemTime) -> Result<Arc<CertifiedKey>, CaError> {
        let found = self.issued.read().find(name, now);
        match found {
            Some((key, Age::Current)) => Ok(key),
            Some((key, Age::Previous)) => {
                self.issued.write().carry_over(name);
                Ok(key)
            }
            None => {
                // Two threads may issue the same name at once; either certificate serves.
                let leaf = self.issue(name, now)?;
                let key = Arc::clone(&leaf.key);
                self.issued.write().insert(name, leaf);
                Ok(key)
            }
        }
    }

    fn issue(&self, name: &str, now: SystemTime) -> Result<Issued, CaError> {
        if self.root_expires <= now {
            return Err(CaError::Expired {
                path: self.path.clone(),
            });
        }
        let failed = |source| CaError::Issue {
            name: name.to_owned(),
            source,
        };
        let begins = now - BACKDATED;
        let ends = (now + LEAF_LIFETIME).min(self.root_expires);
        let mut params = CertificateParams::new([name.to_owned()]).map_err(failed)?;
        // Without an explicit number it would be derived from the key, which all leaves share.
        params.serial_number = Some(serial_number()?);
        params.distinguished_name = subject(name);
        params.not_before = begins.into();
        params.not_after = ends.into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params
            .signed_by(&self.leaf_key, &self.issuer)
            .map_err(failed)?;
        let chain = vec![leaf.der().clone()];
        Ok(Issued {
            key: Arc::new(CertifiedKey::new(chain, Arc::clone(&self.leaf_signer))),
            fresh: begins..(now + LEAF_RENEWAL).min(ends),
        })
    }
}

impl fmt::Debug for InternalCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InternalCa")
            .field("path", &self.path)
            .field("root_expires", &self.root_expires)
            .finish_non_exhaustive()
    }
}

/// One key for all leaves of this process.
fn new_leaf_key() -> Result<(KeyPair, Arc<dyn SigningKey>), CaError> {
    let failed = |source| CaError::Issue {
        name: "leaf key".to_owned(),
        source,
    };
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signer = any_ecdsa_type(&der).map_err(|_| failed(rcgen::Error::CouldNotParseKeyPair))?;
    Ok((key, signer))
}

/// Who a certificate is for. A name too long for a common name stands in the alternative names only.
fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "Trellis");
    if name.len() <= LONGEST_COMMON_NAME {
        subject.push(DnType::CommonName, name);
    }
    subject
}

/// Sixteen random bytes, positive as a DER integer.
fn serial_number() -> Result<SerialNumber, CaError> {
    let mut number = [0; 16];
    let random = provider().secure_random;
    random.fill(&mut number).map_err(|_| CaError::Random)?;
    if let Some(first) = number.first_mut() {
        // Neither negative nor beginning with a zero byte, which DER would drop.
        *first = *first & 0x7f | 0x40;
    }
    Ok(SerialNumber::from_slice(&number))
}
