//! Reading a certificate's two files, and noticing that they changed.

use std::{fs, path::PathBuf};

use trellis_model::{config::CertificateFiles, name::DomainName, problem::Problem};

use crate::{
    files::Marks,
    reason::reason,
    tls::leaf::{Cover, Leaf},
};

/// No chain or key comes near this; it guards against a wrong path.
const LARGEST: u64 = 1024 * 1024;

/// What tells one content of the two files from another without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint([Option<Marks>; 2]);

impl Fingerprint {
    pub(super) fn of(files: &CertificateFiles) -> Self {
        Self([&files.certificate, &files.private_key].map(|path| Marks::of(path)))
    }
}

/// Reads certificate and key, and checks that they belong together and cover the domain.
pub(super) fn read(files: &CertificateFiles, domain: &DomainName) -> Result<Leaf, Problem> {
    let certificate = contents(files, &files.certificate, "certificate")?;
    let key = contents(files, &files.private_key, "private key")?;
    let leaf = Leaf::from_pem(&certificate, &key).map_err(|error| {
        let (what, path) = if error.is_about_key() {
            ("private key", &files.private_key)
        } else {
            ("certificate", &files.certificate)
        };
        let message = format!("the {what} file `{}` {error}", path.display());
        Problem::error(files.place.clone(), message)
    })?;
    if leaf.covers(domain.as_str()) == Cover::None {
        return Err(uncovered(&leaf, files, domain));
    }
    Ok(leaf)
}

fn uncovered(leaf: &Leaf, files: &CertificateFiles, domain: &DomainName) -> Problem {
    let names: Vec<String> = leaf.names().map(|name| format!("`{name}`")).collect();
    let message = format!(
        "the certificate in `{}` does not cover `{domain}`",
        files.certificate.display()
    );
    let hint = if names.is_empty() {
        "it names no domain at all".to_owned()
    } else {
        format!("it is for {}", names.join(", "))
    };
    Problem::error(files.place.clone(), message).hint(hint)
}

fn contents(files: &CertificateFiles, path: &PathBuf, what: &str) -> Result<Vec<u8>, Problem> {
    let failed = |reason: String| {
        let message = format!("cannot read the {what} file `{}`: {reason}", path.display());
        Problem::error(files.place.clone(), message)
    };
    let length = fs::metadata(path).map_err(|error| failed(reason(&error)))?;
    if !length.is_file() {
        return Err(failed("it is not a file".to_owned()));
    }
    if length.len() > LARGEST {
        return Err(failed("it is larger than one mebibyte".to_owned()));
    }
    fs::read(path).map_err(|error| failed(reason(&error)))
}
