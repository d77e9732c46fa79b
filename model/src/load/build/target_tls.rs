//! TLS towards targets.

use super::{Builder, gateway::given};
use crate::{
    config::{PeerName, Secret, ShownCertificate, TargetProtocol, TargetTls, TlsVersion},
    document,
    load::path::At,
    name::DomainName,
    ranges,
};

impl Builder<'_> {
    pub(super) fn target_tls(
        &mut self,
        at: &At<'_>,
        file: usize,
        protocol: TargetProtocol,
        written: &document::TargetTls,
    ) -> Option<TargetTls> {
        if protocol == TargetProtocol::Http {
            self.error(at, "`HTTP` targets have no TLS")
                .hint("`protocol: HTTPS` in `config`, or leave it out");
        }
        let in_ca = at.member("caFile");
        let authorities = self.policy_file(&in_ca, &self.relative(file, &written.ca_file));
        let in_name = at.member("serverName");
        let server_name = written.server_name.as_ref();
        let server_name = server_name.map(|name| self.server_name(&in_name, name));
        let in_names = at.member("subjectAlternativeNames");
        let names = &written.subject_alternative_names;
        if names.len() > ranges::ALTERNATIVE_NAMES {
            let most = ranges::ALTERNATIVE_NAMES;
            self.error(
                &in_names,
                format!("{} names are more than {most}", names.len()),
            );
        }
        let names: Vec<_> = (0..)
            .zip(names)
            .map(|(index, name)| self.peer_name(&in_names.index(index), name))
            .collect();
        let in_certificate = at.member("certificate");
        let certificate = written.certificate.as_ref();
        let certificate =
            certificate.map(|written| self.shown_certificate(&in_certificate, file, written));
        Some(TargetTls {
            authorities: authorities?,
            server_name: given(server_name)?,
            alternative_names: names.into_iter().collect::<Option<_>>()?,
            certificate: given(certificate)?,
            minimum_version: match written.minimum_version {
                None | Some(document::TlsVersion::Tls12) => TlsVersion::Tls12,
                Some(document::TlsVersion::Tls13) => TlsVersion::Tls13,
            },
            place: self.place(at),
        })
    }

    fn server_name(&mut self, at: &At<'_>, text: &str) -> Option<PeerName> {
        let name = self.peer_name(at, text)?;
        if let PeerName::Uri(_) = name {
            self.error(at, "a URI cannot be asked for").hint(
                "a domain name or an IP address here, the URI among `subjectAlternativeNames`",
            );
            return None;
        }
        Some(name)
    }

    fn peer_name(&mut self, at: &At<'_>, text: &str) -> Option<PeerName> {
        if !self.length(at, text, &ranges::ALTERNATIVE_NAME) {
            return None;
        }
        if text.contains("://") {
            return Some(PeerName::Uri(text.into()));
        }
        if let Ok(address) = text.parse() {
            return Some(PeerName::Address(address));
        }
        let name = text.to_ascii_lowercase().parse::<DomainName>();
        if name.is_err() {
            self.error(
                at,
                format!("`{text}` is neither a domain name nor an IP address nor a URI"),
            )
            .hint("such as `orders.internal`, `10.0.0.7` or `spiffe://shop.test/orders`");
        }
        Some(PeerName::Domain(name.ok()?.as_str().into()))
    }

    fn shown_certificate(
        &mut self,
        at: &At<'_>,
        file: usize,
        written: &document::Certificate,
    ) -> Option<ShownCertificate> {
        let chain = self.relative(file, &written.certificate_file);
        let chain = self.policy_file(&at.member("certificateFile"), &chain);
        let path = self.relative(file, &written.private_key_file);
        let key = match self.inputs.read(&path) {
            Ok(text) => Some(Secret::new(&text)),
            Err(reason) => {
                let message = format!("cannot read `{}`: {reason}", path.display());
                self.error(&at.member("privateKeyFile"), message);
                None
            }
        };
        Some(ShownCertificate {
            chain: chain?,
            key: key?,
            place: self.place(at),
        })
    }
}
