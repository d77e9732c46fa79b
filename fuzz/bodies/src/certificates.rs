//! Client certificates, as authorities that are careless or hostile may sign them.

use trellis_model::{
    config::{CertificateMatch, TextMatch},
    spiffe,
};
use trellis_policy::certificate::ClientCertificate;

use crate::world::now;

/// A certificate in DER: what is read of it could not be read in another way, and it has the names that it is said to have.
pub(crate) fn certificate(data: &[u8]) {
    let Ok(read) = ClientCertificate::read(&[data], now()) else {
        return;
    };
    let texts = read
        .dns_names
        .iter()
        .chain(&read.spiffe_id)
        .chain(&read.uri)
        .chain(&read.directory_cn)
        .chain(&read.issuer_ou)
        .map(|text| &**text)
        .chain(read.subject_cn());
    for text in texts {
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
    for name in &read.dns_names {
        assert!(!name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_uppercase()));
    }
    if let Some(id) = &read.spiffe_id {
        assert_eq!(spiffe::check(id), Ok(()));
        assert_eq!(read.uri.as_ref(), Some(id), "the only URI is the SPIFFE ID");
    }
    let exactly = |text: Option<&Box<str>>| text.map(|text| TextMatch::Exact(text.clone()));
    let own = CertificateMatch {
        spiffe_id: exactly(read.spiffe_id.as_ref()),
        dns_name: exactly(read.dns_names.last()),
        subject: Vec::new(),
    };
    assert!(read.fits(&own), "{own:?}");
    let foreign = CertificateMatch {
        spiffe_id: Some(TextMatch::Exact("spiffe://other.test/nobody".into())),
        ..own
    };
    assert!(!read.fits(&foreign));
}
