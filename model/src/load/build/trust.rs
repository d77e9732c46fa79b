//! Certificate authorities, who is asked for certificates of theirs, and what such certificates must say.

use super::{
    Builder,
    identities::{MOST, Taken, text_match},
};
use crate::{
    config::{
        AttributeMatch, CertificateMatch, ClientCertificateMode, ClientCertificates, Evidence,
        SubjectAttribute, TextMatch, TrustStore,
    },
    document,
    load::path::At,
    ranges, spiffe,
};

impl<'a> Builder<'a> {
    pub(super) fn build_trust_stores(&mut self) -> Vec<TrustStore> {
        let mut built = Vec::new();
        let mut taken = Taken::new();
        for (position, file) in self.files.iter().enumerate() {
            let Some(principals) = &file.document.principals else {
                continue;
            };
            let root = At::file(position);
            let at = root.member("principals");
            let list = at.member("trustStores");
            for (index, written) in principals.trust_stores.iter().enumerate() {
                let at = list.index(index);
                built.extend(self.trust_store(&at, position, written, &mut taken));
            }
        }
        built
    }

    fn trust_store(
        &mut self,
        at: &At<'_>,
        file: usize,
        written: &'a document::TrustStore,
        taken: &mut Taken<'a>,
    ) -> Option<TrustStore> {
        let in_name = at.member("name");
        let named = self.length(&in_name, &written.name, &ranges::PRINCIPAL_NAME);
        if !taken.insert((self.owner(file), &written.name)) {
            self.error(&in_name, format!("{:?} is taken", written.name));
        }
        let at = at.member("caFile");
        let path = self.relative(file, &written.ca_file);
        let authorities = self.policy_file(&at, &path)?;
        named.then(|| TrustStore {
            name: written.name.as_str().into(),
            account: self.account(file).clone(),
            authorities,
            place: self.place(&at),
        })
    }

    /// The trust store of the account that a document names, by position.
    fn named_trust_store(
        &mut self,
        at: &At<'_>,
        file: usize,
        name: &str,
        trust_stores: &[TrustStore],
    ) -> Option<usize> {
        let account = self.account(file).clone();
        let found = trust_stores
            .iter()
            .position(|store| store.account == account && &*store.name == name);
        // One that was left out has been reported already.
        if found.is_none() && !self.has_trust_store(file, name) {
            self.error(at, format!("no trust store `{name}` in this account"))
                .hint("name of one of `principals.trustStores`");
        }
        found
    }

    fn has_trust_store(&self, file: usize, name: &str) -> bool {
        let of_account = |(position, _): &(usize, _)| self.owner(*position) == self.owner(file);
        let files = self.files.iter().enumerate().filter(of_account);
        files
            .filter_map(|(_, file)| file.document.principals.as_ref())
            .flat_map(|principals| &principals.trust_stores)
            .any(|store| store.name == name)
    }

    pub(super) fn client_certificates(
        &mut self,
        at: &At<'_>,
        file: usize,
        service: &document::Service,
        trust_stores: &[TrustStore],
    ) -> Option<ClientCertificates> {
        let written = service.client_certificates.as_ref()?;
        let at_member = at.member("clientCertificates");
        let mode = match written.mode {
            Some(document::ClientCertificateMode::Request) => ClientCertificateMode::Request,
            Some(document::ClientCertificateMode::Require) | None => ClientCertificateMode::Require,
        };
        let listeners = at.member("listeners");
        let mut secure = false;
        for (index, listener) in service.listeners.iter().enumerate() {
            match (listener.protocol, mode) {
                (document::ListenerProtocol::Https, _) => secure = true,
                (document::ListenerProtocol::Http, ClientCertificateMode::Require) => {
                    self.error(
                        &listeners.index(index).member("protocol"),
                        "`HTTP` has no certificates, and `clientCertificates` requires one",
                    )
                    .hint("`HTTPS`, or `mode: REQUEST`, with which these callers are known by other means");
                }
                (document::ListenerProtocol::Http, ClientCertificateMode::Request) => {}
            }
        }
        if !secure && mode == ClientCertificateMode::Request {
            self.warning(&at_member, "has no effect without an HTTPS listener");
        }
        let in_store = at_member.member("trustStore");
        let trust_store =
            self.named_trust_store(&in_store, file, &written.trust_store, trust_stores)?;
        Some(ClientCertificates { trust_store, mode })
    }

    pub(super) fn certificate_evidence(
        &mut self,
        at: &At<'_>,
        file: usize,
        conditions: &document::MappingMatch,
        trust_stores: &[TrustStore],
    ) -> Option<Evidence> {
        let Some(store) = &conditions.trust_store else {
            self.error(at, "`trustStore` is missing")
                .hint("the trust store whose word counts: name of one of `principals.trustStores`");
            return None;
        };
        let nothing = conditions.spiffe_id.is_none()
            && conditions.dns_name.is_none()
            && conditions.subject.is_empty();
        if nothing {
            self.error(at, "none of `spiffeId`, `dnsName` and `subject`")
                .hint("without a name, every certificate of the trust store would fit");
        }
        if conditions.subject.len() > MOST {
            self.error(
                &at.member("subject"),
                format!("more than {MOST} attributes"),
            );
        }
        let spiffe_id = conditions.spiffe_id.as_ref().map(text_match);
        if let Some(written) = &spiffe_id {
            self.check_spiffe_id(&at.member("spiffeId"), written);
        }
        let dns_name = conditions.dns_name.as_ref().map(text_match);
        if let Some(written) = &dns_name {
            self.check_dns_name(&at.member("dnsName"), written);
        }
        let trust_store =
            self.named_trust_store(&at.member("trustStore"), file, store, trust_stores)?;
        let subject = conditions.subject.iter().map(|condition| AttributeMatch {
            attribute: attribute(condition.attribute),
            value: text_match(&condition.value),
        });
        Some(Evidence::Certificate {
            trust_store,
            names: CertificateMatch {
                spiffe_id,
                dns_name,
                subject: subject.collect(),
            },
        })
    }

    /// What no SPIFFE ID is, or may begin with, fits no certificate; a prefix of a trust domain fits others' too.
    fn check_spiffe_id(&mut self, at: &At<'_>, written: &TextMatch) {
        match written {
            TextMatch::Exact(text) => {
                if let Err(error) = spiffe::check(text) {
                    self.error(
                        &at.member("exact"),
                        format!("`{text}` is not a SPIFFE ID: {error}"),
                    )
                    .hint("such as `spiffe://shop.test/checkout`");
                }
            }
            TextMatch::Prefix(text) => {
                if !spiffe::has_whole_domain(text) {
                    self.error(
                        &at.member("prefix"),
                        format!("`{text}` is not the beginning of the SPIFFE IDs of one trust domain"),
                    )
                    .hint("the whole trust domain and the slash after it: `spiffe://shop.test/`, `spiffe://shop.test/ns/pay/`");
                }
            }
        }
    }

    fn check_dns_name(&mut self, at: &At<'_>, written: &TextMatch) {
        let (member, text) = match written {
            TextMatch::Exact(text) => ("exact", text),
            TextMatch::Prefix(text) => ("prefix", text),
        };
        let fits = |byte: u8| {
            byte.is_ascii_lowercase()
                || byte.is_ascii_digit()
                || matches!(byte, b'-' | b'.' | b'_' | b'*')
        };
        if text.is_empty() || !text.bytes().all(fits) {
            self.error(
                &at.member(member),
                format!("`{text}` is not what names of certificates are compared with"),
            )
            .hint("lower case letters, digits and `- . _ *`: `checkout.shop.test`");
        }
    }
}

fn attribute(written: document::SubjectAttribute) -> SubjectAttribute {
    use document::SubjectAttribute as Written;

    match written {
        Written::Cn => SubjectAttribute::CommonName,
        Written::O => SubjectAttribute::Organization,
        Written::Ou => SubjectAttribute::OrganizationalUnit,
        Written::Dc => SubjectAttribute::DomainComponent,
        Written::Uid => SubjectAttribute::UserId,
    }
}
