//! Who is calling, when nothing is signed: tokens, certificates and networks, mapped to principals by rules.
//!
//! The signature is asked first, then the token, the certificate and the network. Two of the explicit ones (signature, token,
//! certificate) that name different principals refuse the request: whoever sends both means one caller, and which one is not for us to
//! guess. A certificate that no rule fits names nobody and contradicts nothing: it comes with the connection, whatever the request, and
//! a service may ask for certificates only to keep others out.
//!
//! Tokens of a provider speak for callers from VPCs of the provider's account only, and give principals of that account only, so an
//! account that trusts an issuer trusts it for nobody else. For the same reason a certificate gives principals of the account whose
//! trust store it was verified with, which is that of the service; from which VPC it comes does not matter, since the service asked.

use std::{net::IpAddr, sync::Arc, time::SystemTime};

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use http::{HeaderMap, header::AUTHORIZATION};
use ipnet::IpNet;
use trellis_model::{
    arn::Arn,
    config::{CertificateMatch, ClaimMatch, Config, Evidence, IdentityProvider, ProviderKeys},
    id::VpcId,
    name::AccountId,
    problem::{Problem, Problems},
};

use crate::{
    certificate::ClientCertificate,
    compile::Policies,
    jwt::{Issuer, IssuerIndex, JwtError, JwtVerifier, KeySet, KeySource, VerifiedJwt},
    principal::{Caller, PrincipalIndex},
};

/// Why a caller was refused who sent a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The token is not proven.
    #[error(transparent)]
    Token(#[from] JwtError),
    /// It is, and no rule gives it a principal.
    #[error("no mapping gives the token of subject `{subject}` a principal")]
    NoMapping {
        /// Its `sub`.
        subject: Box<str>,
    },
    /// Two proofs name different principals.
    #[error("the request has {one} of one principal and {other} of another")]
    Contradiction {
        /// The one that comes first.
        one: Proof,
        /// The one that contradicts it.
        other: Proof,
    },
}

impl IdentityError {
    /// Status of the answer.
    pub fn status(&self) -> u16 {
        403
    }

    /// Body of the answer, plain text, in the manner of AWS.
    pub fn public_text(&self) -> String {
        match self {
            Self::Token(error) => error.public_text().to_owned(),
            Self::NoMapping { .. } => {
                "AccessDeniedException: The web identity token included in the request gives no access."
                    .to_owned()
            }
            Self::Contradiction { one, other } => {
                let public = |proof: &Proof| match proof {
                    Proof::Token => "web identity token",
                    Proof::Certificate => "client certificate",
                    Proof::None | Proof::Signature | Proof::Network => "signature",
                };
                format!(
                    "AccessDeniedException: The {} and the {} included in the request are of different principals.",
                    public(one),
                    public(other)
                )
            }
        }
    }
}

/// Who is calling, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identified {
    /// Who.
    pub caller: Caller,
    /// How.
    pub by: Proof,
    /// Whom the token speaks of, where that was how.
    pub subject: Option<Arc<str>>,
}

impl Identified {
    /// Nothing tells who is calling.
    pub const ANONYMOUS: Self = Self {
        caller: Caller::Anonymous,
        by: Proof::None,
        subject: None,
    };

    /// What a signature alone tells.
    pub fn by_signature(caller: Caller) -> Self {
        let by = match caller {
            Caller::Anonymous => Proof::None,
            Caller::Principal(_) | Caller::Session(_) => Proof::Signature,
        };
        Self {
            caller,
            by,
            subject: None,
        }
    }
}

/// What showed who is calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Nothing.
    None,
    /// The signature of an access key.
    Signature,
    /// A token of an identity provider.
    Token,
    /// The certificate that the client proved to have in the handshake.
    Certificate,
    /// The network that the connection came from.
    Network,
}

impl std::fmt::Display for Proof {
    /// As the object of a sentence, for operators.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "nothing",
            Self::Signature => "the signature",
            Self::Token => "the token",
            Self::Certificate => "the certificate",
            Self::Network => "the network",
        })
    }
}

/// Who a connection comes from, as far as networks and its handshake tell.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The VPC.
    pub vpc: &'a VpcId,
    /// Its account.
    pub account: &'a AccountId,
    /// The client's address.
    pub address: IpAddr,
    /// The principal of the client's certificate: what [`Identities::by_certificate`] said of it, asked once for each connection.
    pub certified: Option<&'a Given>,
}

/// Who the holder of a token or a certificate is, says the mapping that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The principal.
    pub principal: PrincipalIndex,
    /// Its ARN.
    arn: Arn,
}

impl Given {
    /// Is it this caller? A session of the same name of the same role is: what holders of its temporary credentials may do is the
    /// session's, which they signed with.
    fn is(&self, caller: &Caller) -> bool {
        match caller {
            Caller::Anonymous => false,
            Caller::Principal(index) => *index == self.principal,
            Caller::Session(session) => *session.principal().arn == *self.arn.as_str(),
        }
    }
}

/// What an identity provider says in a token, whoever brings it.
#[derive(Debug)]
pub struct Testimony<'a> {
    /// ARN of the provider: `arn:aws:iam::111122223333:oidc-provider/issuer.test`.
    pub provider: &'a Arn,
    /// The issuer without `https://`, which condition keys begin with.
    pub issuer: &'a str,
    /// What it says.
    pub token: Arc<VerifiedJwt>,
}

/// Providers and mappings of a configuration, each found by whom it concerns: what other accounts have costs a request nothing.
#[derive(Debug)]
pub struct Identities {
    tokens: JwtVerifier,
    /// By position of the issuer in `tokens`.
    providers: Vec<Provider>,
    /// Accounts with a provider.
    accounts: HashSet<AccountId, RandomState>,
    /// By position of the trust store in the configuration.
    by_certificate: Vec<Vec<CertificateRule>>,
    by_network: HashMap<VpcId, Vec<NetworkRule>, RandomState>,
}

#[derive(Debug)]
struct Provider {
    arn: Arn,
    /// Without `https://`.
    issuer: Box<str>,
    account: AccountId,
    rules: Vec<TokenRule>,
}

#[derive(Debug)]
struct TokenRule {
    claims: Vec<ClaimMatch>,
    gives: Given,
}

#[derive(Debug)]
struct CertificateRule {
    names: CertificateMatch,
    gives: Arc<Given>,
}

#[derive(Debug)]
struct NetworkRule {
    sources: Vec<IpNet>,
    principal: PrincipalIndex,
}

impl Identities {
    /// The providers and mappings of a configuration, for the principals that were compiled from it. `served` gives the keys of
    /// providers whose keys are read from this address.
    pub fn compile(
        config: &Config,
        policies: &Policies,
        mut served: impl FnMut(&Arc<str>) -> KeySource,
    ) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let mut issuers = Vec::new();
        for provider in &config.identity_providers {
            match keys(provider, &mut served) {
                Ok(keys) => issuers.push(Issuer {
                    issuer: provider.issuer.clone(),
                    audiences: provider.audiences.clone(),
                    keys,
                }),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(problems.into_iter().collect());
        }
        let providers = config.identity_providers.iter();
        let mut providers: Vec<Provider> = providers
            .map(|provider| {
                let issuer = provider.issuer.trim_start_matches("https://");
                let name = format_args!("oidc-provider/{issuer}");
                Provider {
                    arn: Arn::iam(&provider.account, &config.region, name),
                    issuer: issuer.into(),
                    account: provider.account.clone(),
                    rules: Vec::new(),
                }
            })
            .collect();
        let mut by_network: HashMap<VpcId, Vec<NetworkRule>, RandomState> = HashMap::default();
        let stores = config.trust_stores.len();
        let mut by_certificate: Vec<Vec<CertificateRule>> =
            std::iter::repeat_with(Vec::new).take(stores).collect();
        for mapping in &config.mappings {
            // A principal that was not compiled is nobody, so its mapping gives nothing.
            let Some(principal) = policies.principal_by_arn(mapping.caller.as_str()) else {
                continue;
            };
            let given = Given {
                principal,
                arn: mapping.caller.clone(),
            };
            match &mapping.evidence {
                Evidence::Jwt { provider, claims } => {
                    let rule = TokenRule {
                        claims: claims.clone(),
                        gives: given,
                    };
                    if let Some(provider) = providers.get_mut(*provider) {
                        provider.rules.push(rule);
                    }
                }
                Evidence::Certificate { trust_store, names } => {
                    let rule = CertificateRule {
                        names: names.clone(),
                        gives: Arc::new(given),
                    };
                    if let Some(rules) = by_certificate.get_mut(*trust_store) {
                        rules.push(rule);
                    }
                }
                Evidence::Attachment { vpc, sources } => {
                    let rules = by_network.entry(vpc.clone()).or_default();
                    rules.push(NetworkRule {
                        sources: sources.clone(),
                        principal,
                    });
                }
            }
        }
        Ok(Self {
            tokens: JwtVerifier::new(issuers, config.gateway.limits.clock_skew),
            accounts: providers.iter().map(|of| of.account.clone()).collect(),
            providers,
            by_certificate,
            by_network,
        })
    }

    /// Who sent a request that `signed` signed, or nobody: of the signature, the token, the certificate and the network, the first that
    /// tells.
    ///
    /// # Errors
    ///
    /// The token is not proven or gives no principal, or two proofs are of different principals; the caller must act.
    pub fn resolve(
        &self,
        signed: Caller,
        headers: &HeaderMap,
        origin: &Origin<'_>,
        now: SystemTime,
    ) -> Result<Identified, IdentityError> {
        let (token, subject) = self.by_token(headers, origin, now)?.unzip();
        let mapped = [
            (token, Proof::Token),
            (origin.certified, Proof::Certificate),
        ];
        let mut mapped = mapped
            .into_iter()
            .filter_map(|(given, by)| Some((given?, by)));
        let (caller, by) = match signed {
            Caller::Anonymous => match mapped.next() {
                Some((given, by)) => (Caller::Principal(given.principal), by),
                None => return Ok(self.by_network(origin)),
            },
            signed => (signed, Proof::Signature),
        };
        match mapped.find(|(given, _)| !given.is(&caller)) {
            Some((_, other)) => Err(IdentityError::Contradiction { one: by, other }),
            None => Ok(Identified {
                subject: subject.flatten().filter(|_| by == Proof::Token),
                caller,
                by,
            }),
        }
    }

    /// The principal of whoever has this certificate, verified with the trust store at this position in the configuration.
    pub fn by_certificate(
        &self,
        trust_store: usize,
        certificate: &ClientCertificate,
    ) -> Option<&Arc<Given>> {
        let rules = self.by_certificate.get(trust_store)?;
        rules
            .iter()
            .find(|rule| certificate.fits(&rule.names))
            .map(|rule| &rule.gives)
    }

    /// What a provider of this account says in a token.
    ///
    /// # Errors
    ///
    /// The token is not proven; the caller must act.
    pub fn vouch(
        &self,
        token: &[u8],
        account: &str,
        now: SystemTime,
    ) -> Result<Testimony<'_>, JwtError> {
        let provider = |issuer: IssuerIndex| self.providers.get(issuer.0);
        let ours = |issuer| provider(issuer).is_some_and(|of| of.account.as_str() == account);
        let token = self.tokens.verify(token, ours, now)?;
        // Not to be missing: whoever issued it is one of the list.
        let Provider { arn, issuer, .. } = provider(token.issuer).ok_or(JwtError::Signature)?;
        Ok(Testimony {
            provider: arn,
            issuer,
            token,
        })
    }

    /// What a rule gives the request's token, and whom that speaks of; none if it has none, or none that is meant for us.
    ///
    /// A `Bearer` authorization is ours where the account of the caller's VPC has a provider, and the application's elsewhere.
    ///
    /// # Errors
    ///
    /// The token is not proven, or gives no principal; the caller must act.
    fn by_token(
        &self,
        headers: &HeaderMap,
        origin: &Origin<'_>,
        now: SystemTime,
    ) -> Result<Option<ByToken<'_>>, IdentityError> {
        let provider = |issuer: IssuerIndex| self.providers.get(issuer.0);
        let ours = |issuer| provider(issuer).is_some_and(|of| of.account == *origin.account);
        if !self.accounts.contains(origin.account) {
            return Ok(None);
        }
        let Some(token) = bearer(headers)? else {
            return Ok(None);
        };
        let token = self.tokens.verify(token, ours, now)?;
        let rules = provider(token.issuer).map_or(&[][..], |of| &of.rules);
        match rules.iter().find(|rule| rule.fits(&token)) {
            Some(rule) => Ok(Some((&rule.gives, token.subject.clone()))),
            None => Err(IdentityError::NoMapping {
                subject: crate::sigv4::quote(token.subject.as_deref().unwrap_or("-").as_bytes()),
            }),
        }
    }

    /// Callers from this network.
    fn by_network(&self, origin: &Origin<'_>) -> Identified {
        let mut rules = self.by_network.get(origin.vpc).into_iter().flatten();
        match rules.find(|rule| rule.fits(origin.address)) {
            Some(rule) => Identified {
                caller: Caller::Principal(rule.principal),
                by: Proof::Network,
                subject: None,
            },
            None => Identified::ANONYMOUS,
        }
    }
}

/// What a token gives, and whom it speaks of.
type ByToken<'i> = (&'i Given, Option<Arc<str>>);

impl TokenRule {
    fn fits(&self, token: &VerifiedJwt) -> bool {
        self.claims.iter().all(|claim| has_claim(token, claim))
    }
}

impl NetworkRule {
    fn fits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.sources.is_empty() || self.sources.iter().any(|range| range.contains(&address))
    }
}

/// Texts count as they are, and so do lists of texts; of other values nothing is a text, so nothing fits.
fn has_claim(token: &VerifiedJwt, claim: &ClaimMatch) -> bool {
    match token.claims.get(&*claim.name) {
        Some(serde_json::Value::String(text)) => claim.value.fits(text),
        Some(serde_json::Value::Array(list)) => list
            .iter()
            .filter_map(serde_json::Value::as_str)
            .any(|text| claim.value.fits(text)),
        _ => false,
    }
}

/// The one token that the request has. Spec: RFC 6750 §2.1; RFC 9110 §11.1: schemes are compared without case.
fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, JwtError> {
    let lines = headers.get_all(AUTHORIZATION);
    let mut tokens = lines.iter().filter_map(|line| token_of(line.as_bytes()));
    let Some(first) = tokens.next() else {
        return Ok(None);
    };
    if lines.iter().nth(1).is_some() {
        return Err(JwtError::Several);
    }
    Ok(Some(first))
}

fn token_of(line: &[u8]) -> Option<&[u8]> {
    let line = line.trim_ascii();
    let (scheme, token) = line.split_at_checked(6)?;
    let parted = token.is_empty() || matches!(token, [b' ' | b'\t', ..]);
    (scheme.eq_ignore_ascii_case(b"bearer") && parted).then(|| token.trim_ascii_start())
}

fn keys(
    provider: &IdentityProvider,
    served: &mut impl FnMut(&Arc<str>) -> KeySource,
) -> Result<KeySource, Problem> {
    let keys = match &provider.keys {
        ProviderKeys::Published { url, .. } => return Ok(served(url)),
        ProviderKeys::Set(text) => KeySet::parse(text.as_bytes()),
        ProviderKeys::Secret(secret) => KeySet::secret(secret.expose().as_bytes()),
    };
    keys.map(KeySource::fixed)
        .map_err(|error| Problem::error(provider.place.clone(), format!("the keys are {error}")))
}

#[cfg(test)]
mod tests;
