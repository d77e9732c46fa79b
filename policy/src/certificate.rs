//! What a client certificate says of its holder, read strictly and once per connection.
//!
//! Whether it may be believed (signatures, dates, purposes) has been settled before by whoever did the handshake. Here its names are
//! read, and a certificate whose names could be read in two ways is refused whole: a character that another reader would stop at or
//! drop, two SPIFFE IDs, a list of names that is there twice. Everything is bounded, since the certificates of a large authority are
//! only as good as what it signs.

#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use trellis_model::{
    config::{CertificateMatch, SubjectAttribute},
    spiffe::{self, SpiffeIdError},
};
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    oid_registry::{
        OID_DOMAIN_COMPONENT, OID_USERID, OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME,
        OID_X509_ORGANIZATIONAL_UNIT, Oid,
    },
    prelude::{FromDer as _, X509Version},
    x509::X509Name,
};

/// Most certificates that a client may show, its own and those of authorities between. Chains in use have two or three.
pub const MOST_CERTIFICATES: usize = 8;

/// Largest sum of their sizes, in bytes.
pub const MOST_BYTES: usize = 32 * 1024;

/// Most alternative names, and most attributes of a name.
const MOST_NAMES: usize = 100;

/// Longest DNS name. Spec: RFC 1035 §2.3.4.
const LONGEST_DNS_NAME: usize = 253;

/// Longest URI and longest attribute of a name.
const LONGEST_TEXT: usize = 2048;

/// Why a certificate cannot be used, although an authority signed it. Its issuer must act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// No certificate, or too many or too long ones.
    #[error(
        "the chain is not of 1 to {MOST_CERTIFICATES} certificates and {MOST_BYTES} bytes at most"
    )]
    Chain,
    /// It cannot be read.
    #[error("it is not an X.509 certificate of version 3")]
    Encoding,
    /// Its alternative names cannot be read, or are there twice.
    #[error("its alternative names cannot be read")]
    AlternativeNames,
    /// There are too many.
    #[error("it has more than {MOST_NAMES} names")]
    Many,
    /// A DNS name is empty, too long, or has characters of no DNS name.
    #[error("one of its DNS names is not a DNS name")]
    DnsName,
    /// A URI has characters that no URI has, or is too long.
    #[error("one of its URIs is not a URI")]
    Uri,
    /// An attribute of its subject or its issuer has control characters, or is too long.
    #[error("an attribute of its subject or its issuer has control characters or is too long")]
    Attribute,
    /// It has a URI besides its SPIFFE ID.
    #[error("it has several URIs, one of them a SPIFFE ID")]
    SeveralUris,
    /// Its SPIFFE ID is none.
    #[error("its SPIFFE ID is not valid: {0}")]
    SpiffeId(#[from] SpiffeIdError),
    /// It has a SPIFFE ID and may sign others.
    #[error("it has a SPIFFE ID and may sign certificates")]
    SpiffeSigner,
}

/// What a client certificate says of its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its SPIFFE ID.
    pub spiffe_id: Option<Box<str>>,
    /// The DNS names among its alternative names, in lower case.
    pub dns_names: Box<[Box<str>]>,
    /// The first URI among its alternative names.
    pub uri: Option<Box<str>>,
    /// Common name of the first directory name among its alternative names.
    pub directory_cn: Option<Box<str>>,
    /// Organizational unit of its issuer.
    pub issuer_ou: Option<Box<str>>,
    /// Attributes of its subject.
    pub(crate) subject: Attributes,
    /// The moment after which it, or one of the authorities shown with it, is not valid any more.
    pub valid_until: SystemTime,
}

impl ClientCertificate {
    /// Reads a chain in DER, the client's own certificate first.
    ///
    /// `now` is when it was verified: what had ended before was no part of what verified it.
    ///
    /// # Errors
    ///
    /// The certificate says something that could be understood in two ways, or too much; its issuer must act.
    pub fn read<C: AsRef<[u8]>>(chain: &[C], now: SystemTime) -> Result<Self, CertificateError> {
        let (leaf, authorities) = bounded(chain)?;
        let leaf = parse(leaf)?;
        let names = Alternative::of(&leaf)?;
        if names.spiffe_id.is_some() && may_sign(&leaf)? {
            return Err(CertificateError::SpiffeSigner);
        }
        let mut valid_until = end(&leaf);
        for authority in authorities {
            let end = end(&parse(authority.as_ref())?);
            if end >= now {
                valid_until = valid_until.min(end);
            }
        }
        let issuer = Attributes::of(leaf.issuer())?;
        Ok(Self {
            spiffe_id: names.spiffe_id,
            dns_names: names.dns_names.into(),
            uri: names.uri,
            directory_cn: names.directory_cn,
            issuer_ou: issuer
                .first(SubjectAttribute::OrganizationalUnit)
                .map(Into::into),
            subject: Attributes::of(leaf.subject())?,
            valid_until,
        })
    }

    /// Common name of its subject.
    pub fn subject_cn(&self) -> Option<&str> {
        self.subject.first(SubjectAttribute::CommonName)
    }

    /// Has it all of these names?
    pub fn fits(&self, names: &CertificateMatch) -> bool {
        let CertificateMatch {
            spiffe_id,
            dns_name,
            subject,
        } = names;
        let has_spiffe_id = spiffe_id
            .as_ref()
            .is_none_or(|wanted| self.spiffe_id.as_ref().is_some_and(|id| wanted.fits(id)));
        let has_dns_name = dns_name
            .as_ref()
            .is_none_or(|wanted| self.dns_names.iter().any(|name| wanted.fits(name)));
        let has_subject = subject.iter().all(|wanted| {
            let mut attributes = self.subject.0.iter();
            attributes.any(|(of, value)| *of == wanted.attribute && wanted.value.fits(value))
        });
        has_spiffe_id && has_dns_name && has_subject
    }
}

/// The client's own certificate and the others, if they are few and short enough to be looked at.
///
/// # Errors
///
/// They are not.
pub fn bounded<C: AsRef<[u8]>>(chain: &[C]) -> Result<(&[u8], &[C]), CertificateError> {
    let bytes: usize = chain.iter().map(|one| one.as_ref().len()).sum();
    match chain.split_first() {
        Some((leaf, authorities)) if chain.len() <= MOST_CERTIFICATES && bytes <= MOST_BYTES => {
            Ok((leaf.as_ref(), authorities))
        }
        _ => Err(CertificateError::Chain),
    }
}

/// The alternative names that count.
#[derive(Debug, Default)]
struct Alternative {
    spiffe_id: Option<Box<str>>,
    dns_names: Vec<Box<str>>,
    uri: Option<Box<str>>,
    directory_cn: Option<Box<str>>,
}

impl Alternative {
    fn of(leaf: &X509Certificate<'_>) -> Result<Self, CertificateError> {
        let list = leaf
            .subject_alternative_name()
            .map_err(|_| CertificateError::AlternativeNames)?;
        let list = list.map_or(&[][..], |extension| &extension.value.general_names);
        if list.len() > MOST_NAMES {
            return Err(CertificateError::Many);
        }
        let mut names = Self::default();
        let mut uris = 0;
        for name in list {
            match name {
                GeneralName::DNSName(name) => names.dns_names.push(dns_name(name)?),
                GeneralName::URI(uri) => {
                    uris += 1;
                    names.see_uri(uri)?;
                }
                GeneralName::DirectoryName(name) if names.directory_cn.is_none() => {
                    let attributes = Attributes::of(name)?;
                    let common = attributes.first(SubjectAttribute::CommonName);
                    names.directory_cn = common.map(Into::into);
                }
                GeneralName::Invalid(..) => return Err(CertificateError::AlternativeNames),
                // Nothing is said of these, and nothing follows from them.
                _ => {}
            }
        }
        // Spec: SPIFFE X509-SVID §2: one URI, and validators refuse a certificate with more.
        if names.spiffe_id.is_some() && uris > 1 {
            return Err(CertificateError::SeveralUris);
        }
        Ok(names)
    }

    fn see_uri(&mut self, uri: &str) -> Result<(), CertificateError> {
        if uri.len() > LONGEST_TEXT || !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(CertificateError::Uri);
        }
        let scheme = uri.split(':').next().unwrap_or_default();
        // Schemes are compared without case, SPIFFE IDs with it: another spelling is meant as one and is none.
        if scheme.eq_ignore_ascii_case("spiffe") {
            spiffe::check(uri)?;
            self.spiffe_id = Some(uri.into());
        }
        self.uri.get_or_insert_with(|| uri.into());
        Ok(())
    }
}

/// Spec: SPIFFE X509-SVID §4.3 and §5.2: a certificate of a workload neither is an authority nor has the key usages of one.
fn may_sign(leaf: &X509Certificate<'_>) -> Result<bool, CertificateError> {
    let usage = leaf.key_usage().map_err(|_| CertificateError::Encoding)?;
    let signs = usage.is_some_and(|usage| usage.value.key_cert_sign() || usage.value.crl_sign());
    Ok(signs || leaf.is_ca())
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, CertificateError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) if certificate.version() == X509Version::V3 => Ok(certificate),
        _ => Err(CertificateError::Encoding),
    }
}

fn end(certificate: &X509Certificate<'_>) -> SystemTime {
    let seconds = certificate.validity().not_after.timestamp();
    // What ended before 1970 has ended.
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    SystemTime::UNIX_EPOCH
        .checked_add(since)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

fn dns_name(name: &str) -> Result<Box<str>, CertificateError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'*');
    if (1..=LONGEST_DNS_NAME).contains(&name.len()) && name.bytes().all(fits) {
        Ok(name.to_ascii_lowercase().into())
    } else {
        Err(CertificateError::DnsName)
    }
}

/// The attributes of a name that mappings and records know, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes(Box<[(SubjectAttribute, Box<str>)]>);

impl Attributes {
    fn of(name: &X509Name<'_>) -> Result<Self, CertificateError> {
        if name.iter_attributes().nth(MOST_NAMES).is_some() {
            return Err(CertificateError::Many);
        }
        let mut known = Vec::new();
        for attribute in name.iter_attributes() {
            // Kinds of texts that nobody has used for decades say nothing here.
            let (Some(kind), Ok(value)) = (kind(attribute.attr_type()), attribute.as_str()) else {
                continue;
            };
            if value.len() > LONGEST_TEXT || value.chars().any(char::is_control) {
                return Err(CertificateError::Attribute);
            }
            known.push((kind, value.into()));
        }
        Ok(Self(known.into()))
    }

    fn first(&self, kind: SubjectAttribute) -> Option<&str> {
        let found = self.0.iter().find(|(of, _)| *of == kind);
        found.map(|(_, value)| &**value)
    }
}

fn kind(oid: &Oid<'_>) -> Option<SubjectAttribute> {
    let known = [
        (OID_X509_COMMON_NAME, SubjectAttribute::CommonName),
        (OID_X509_ORGANIZATION_NAME, SubjectAttribute::Organization),
        (
            OID_X509_ORGANIZATIONAL_UNIT,
            SubjectAttribute::OrganizationalUnit,
        ),
        (OID_DOMAIN_COMPONENT, SubjectAttribute::DomainComponent),
        (OID_USERID, SubjectAttribute::UserId),
    ];
    let found = known.into_iter().find(|(of, _)| of == oid);
    found.map(|(_, kind)| kind)
}
