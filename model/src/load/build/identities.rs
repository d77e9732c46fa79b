//! Identity providers and mappings.

use std::{collections::HashSet, net::IpAddr, sync::Arc};

use super::{AccountIndex, Builder};
use crate::{
    arn::Arn,
    config::{
        self, ClaimMatch, Evidence, IdentityProvider, Mapping, ProviderKeys, Role, TrustStore, User,
    },
    document::{self, KeySource, MappedPrincipal, MappingSource, TextMatch},
    load::path::At,
    ranges,
};

/// Names seen so far.
pub(super) type Taken<'a> = HashSet<(AccountIndex, &'a str)>;

/// Most claims of a mapping, attributes of a subject, and audiences of a provider.
pub(super) const MOST: usize = 32;

impl<'a> Builder<'a> {
    pub(super) fn build_identity_providers(&mut self) -> Vec<IdentityProvider> {
        let mut built = Vec::new();
        let mut taken = Taken::new();
        for (position, file) in self.files.iter().enumerate() {
            let Some(principals) = &file.document.principals else {
                continue;
            };
            let root = At::file(position);
            let at = root.member("principals");
            let list = at.member("identityProviders");
            for (index, provider) in principals.identity_providers.iter().enumerate() {
                let at = list.index(index);
                let provider = self.identity_provider(&at, position, provider, &mut taken);
                // One token must not be two providers' of an account.
                let repeated = provider.as_ref().is_some_and(|new: &IdentityProvider| {
                    built.iter().any(|known: &IdentityProvider| {
                        known.account == new.account && known.issuer == new.issuer
                    })
                });
                if repeated {
                    self.error(&at.member("issuer"), "another provider has this issuer")
                        .hint("a provider may have several audiences");
                }
                built.extend(provider);
            }
        }
        built
    }

    fn identity_provider(
        &mut self,
        at: &At<'_>,
        file: usize,
        written: &'a document::IdentityProvider,
        taken: &mut Taken<'a>,
    ) -> Option<IdentityProvider> {
        let in_name = at.member("name");
        let named = self.length(&in_name, &written.name, &ranges::PRINCIPAL_NAME);
        if !taken.insert((self.owner(file), &written.name)) {
            self.error(&in_name, format!("{:?} is taken", written.name));
        }
        if written.issuer.is_empty() {
            self.error(&at.member("issuer"), "an issuer has a name")
                .hint("what its tokens have as `iss`, such as `https://issuer.example.com`");
        }
        if !(1..=MOST).contains(&written.audiences.len())
            || written.audiences.iter().any(String::is_empty)
        {
            self.error(
                &at.member("audiences"),
                format!("from 1 to {MOST} audiences, none of them empty"),
            )
            .hint("without an audience, tokens made for others would be taken");
        }
        let keys = self.provider_keys(at, written)?;
        let stated = match keys {
            ProviderKeys::Secret(_) => "secret",
            _ => "jwks",
        };
        named.then(|| IdentityProvider {
            name: written.name.as_str().into(),
            account: self.account(file).clone(),
            issuer: written.issuer.as_str().into(),
            audiences: written
                .audiences
                .iter()
                .map(|audience| audience.as_str().into())
                .collect(),
            keys,
            place: self.place(&at.member(stated)),
        })
    }

    fn provider_keys(
        &mut self,
        at: &At<'_>,
        written: &document::IdentityProvider,
    ) -> Option<ProviderKeys> {
        match (&written.jwks, &written.secret) {
            (Some(jwks), None) => self.public_keys(&at.member("jwks"), jwks),
            (None, Some(secret)) => {
                let secret = self.secret(&at.member("secret"), secret)?;
                Some(ProviderKeys::Secret(secret))
            }
            (None, None) | (Some(_), Some(_)) => {
                self.error(at, "either `jwks` or `secret`")
                    .hint("`jwks: {file: keys.json}`, or `jwks: {url: https://…}`");
                None
            }
        }
    }

    fn public_keys(&mut self, at: &At<'_>, written: &KeySource) -> Option<ProviderKeys> {
        let interval = at.member("refreshIntervalSeconds");
        let seconds = written.refresh_interval_seconds;
        match (&written.file, &written.url) {
            (Some(path), None) => {
                if seconds.is_some() {
                    self.error(&interval, "only what has a `url` is read at intervals")
                        .hint("a file is read again when it changes");
                }
                let path = self.relative(at.steps().0, path);
                let text = self.policy_file(&at.member("file"), &path)?;
                Some(ProviderKeys::Set(text))
            }
            (None, Some(url)) => {
                let refresh = self.seconds(&interval, seconds, &ranges::KEY_REFRESH, 300);
                if is_key_address(url) {
                    let url = url.as_str().into();
                    return refresh.map(|refresh| ProviderKeys::Published { url, refresh });
                }
                self.error(
                    &at.member("url"),
                    format!("`{url}` is not an address to read keys from"),
                )
                .hint("`https://…`; `http://` only with a loopback address, such as `http://127.0.0.1:8080/keys`");
                None
            }
            (None, None) | (Some(_), Some(_)) => {
                self.error(at, "either `file` or `url`");
                None
            }
        }
    }

    pub(super) fn build_mappings(
        &mut self,
        providers: &[IdentityProvider],
        trust_stores: &[TrustStore],
        (users, roles): (&[Arc<User>], &[Arc<Role>]),
    ) -> Vec<Mapping> {
        let mut built = Vec::new();
        let mut taken = Taken::new();
        for (position, file) in self.files.iter().enumerate() {
            let Some(principals) = &file.document.principals else {
                continue;
            };
            let root = At::file(position);
            let at = root.member("principals");
            let list = at.member("mappings");
            for (index, mapping) in principals.mappings.iter().enumerate() {
                let at = list.index(index);
                let in_name = at.member("name");
                let named = self.length(&in_name, &mapping.name, &ranges::SESSION_NAME)
                    && self.principal_characters(&in_name, &mapping.name);
                if !taken.insert((self.owner(position), mapping.name.as_str())) {
                    self.error(&in_name, format!("{:?} is taken", mapping.name));
                }
                let evidence = self.evidence(&at, position, mapping, (providers, trust_stores));
                let principal = self.mapped(&at, position, mapping, users, roles);
                let (Some(evidence), Some((principal, caller)), true) =
                    (evidence, principal, named)
                else {
                    continue;
                };
                built.push(Mapping {
                    name: mapping.name.as_str().into(),
                    evidence,
                    principal,
                    caller,
                });
            }
        }
        built
    }

    fn evidence(
        &mut self,
        at: &At<'_>,
        file: usize,
        written: &document::Mapping,
        (providers, trust_stores): (&[IdentityProvider], &[TrustStore]),
    ) -> Option<Evidence> {
        let at = at.member("match");
        let conditions = &written.conditions;
        for (kind, members, present) in members(conditions) {
            if present && kind != written.from {
                let from = match kind {
                    MappingSource::Jwt => "JWT",
                    MappingSource::Certificate => "CERTIFICATE",
                    MappingSource::Attachment => "ATTACHMENT",
                };
                self.error(&at, format!("{members} are of `from: {from}`"));
                return None;
            }
        }
        match written.from {
            MappingSource::Jwt => self.token_evidence(&at, file, conditions, providers),
            MappingSource::Certificate => {
                self.certificate_evidence(&at, file, conditions, trust_stores)
            }
            MappingSource::Attachment => self.network_evidence(&at, file, conditions),
        }
    }

    fn token_evidence(
        &mut self,
        at: &At<'_>,
        file: usize,
        conditions: &document::MappingMatch,
        providers: &[IdentityProvider],
    ) -> Option<Evidence> {
        if !(1..=MOST).contains(&conditions.claims.len()) {
            self.error(&at.member("claims"), format!("from 1 to {MOST} claims"))
                .hint("`claims: [{name: sub, value: {exact: checkout}}]`; without one, every token of the provider would fit");
            return None;
        }
        let account = self.account(file).clone();
        let name = conditions.identity_provider.as_deref().unwrap_or_default();
        let provider = providers
            .iter()
            .position(|provider| provider.account == account && &*provider.name == name);
        let Some(provider) = provider else {
            self.error(
                &at.member("identityProvider"),
                format!("no identity provider `{name}` in this account"),
            )
            .hint("name of one of `principals.identityProviders`");
            return None;
        };
        let claims = conditions.claims.iter().map(|claim| ClaimMatch {
            name: claim.name.as_str().into(),
            value: text_match(&claim.value),
        });
        Some(Evidence::Jwt {
            provider,
            claims: claims.collect(),
        })
    }

    fn network_evidence(
        &mut self,
        at: &At<'_>,
        file: usize,
        conditions: &document::MappingMatch,
    ) -> Option<Evidence> {
        let in_vpc = at.member("vpcIdentifier");
        let Some(name) = &conditions.vpc_identifier else {
            self.error(at, "`vpcIdentifier` is missing")
                .hint("the VPC whose callers get the principal");
            return None;
        };
        let vpc = self.resolve_vpc(file, &in_vpc, name);
        let sources = self.each(&at.member("sources"), &conditions.sources, Self::network);
        Some(Evidence::Attachment {
            vpc: vpc?,
            sources: sources?,
        })
    }

    /// The principal, and who its caller is.
    fn mapped(
        &mut self,
        at: &At<'_>,
        file: usize,
        written: &document::Mapping,
        users: &[Arc<User>],
        roles: &[Arc<Role>],
    ) -> Option<(Arn, Arn)> {
        let account = self.account(file).clone();
        let (kind, name) = match &written.principal {
            MappedPrincipal::User(name) => ("user", name),
            MappedPrincipal::Role(name) => ("role", name),
        };
        let found = match &written.principal {
            MappedPrincipal::User(name) => users
                .iter()
                .find(|user| user.account == account && *user.name == **name)
                .map(|user| (user.arn.clone(), user.arn.clone())),
            MappedPrincipal::Role(name) => roles
                .iter()
                .find(|role| role.account == account && *role.name == **name)
                .map(|role| {
                    let session =
                        Arn::assumed_role(&role.account, &self.region, &role.name, &written.name);
                    (role.arn.clone(), session)
                }),
        };
        if found.is_none() {
            self.error(
                &at.member("principal").member(kind),
                format!("no {kind} `{name}` in this account"),
            )
            .hint(format!("name of one of `principals.{kind}s`"));
        }
        found
    }
}

/// The members of each kind of evidence, and whether there are any.
fn members(conditions: &document::MappingMatch) -> [(MappingSource, &'static str, bool); 3] {
    let of_certificate = conditions.trust_store.is_some()
        || conditions.spiffe_id.is_some()
        || conditions.dns_name.is_some()
        || !conditions.subject.is_empty();
    [
        (
            MappingSource::Jwt,
            "`identityProvider` and `claims`",
            conditions.identity_provider.is_some() || !conditions.claims.is_empty(),
        ),
        (
            MappingSource::Certificate,
            "`trustStore`, `spiffeId`, `dnsName` and `subject`",
            of_certificate,
        ),
        (
            MappingSource::Attachment,
            "`vpcIdentifier` and `sources`",
            conditions.vpc_identifier.is_some() || !conditions.sources.is_empty(),
        ),
    ]
}

pub(super) fn text_match(written: &TextMatch) -> config::TextMatch {
    match written {
        TextMatch::Exact(text) => config::TextMatch::Exact(text.as_str().into()),
        TextMatch::Prefix(text) => config::TextMatch::Prefix(text.as_str().into()),
    }
}

/// `https` with a host, or `http` with a loopback address.
///
/// Spec: `OpenID` Connect Discovery 1.0 §3, `jwks_uri`: "This URL MUST use the https scheme".
fn is_key_address(url: &str) -> bool {
    let printable = url.bytes().all(|byte| byte.is_ascii_graphic());
    let Some((scheme, rest)) = url.split_once("://").filter(|_| printable) else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || authority.contains('@') || rest.contains('#') {
        return false;
    }
    match scheme {
        "https" => true,
        "http" => authority
            .parse::<std::net::SocketAddr>()
            .map(|address| address.ip())
            .or_else(|_| authority.trim_matches(['[', ']']).parse::<IpAddr>())
            .is_ok_and(|address| address.is_loopback()),
        _ => false,
    }
}
