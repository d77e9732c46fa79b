//! Identity providers and mappings.

use serde_json::{Value, json};
use trellis_model::config::{
    ClaimMatch, Config, Evidence, IdentityProvider, Mapping, ProviderKeys, TextMatch,
};

use super::{REDACTED, list};

pub(super) fn provider(provider: &IdentityProvider) -> Value {
    let (name, keys) = match &provider.keys {
        // What is published is no secret.
        ProviderKeys::Set(text) => ("jwks", json!({"text": text})),
        ProviderKeys::Url(url) => ("jwks", json!({"url": url})),
        ProviderKeys::Secret(_) => ("secret", REDACTED.into()),
    };
    let members = [
        ("name", json!(provider.name)),
        ("account", json!(provider.account.as_str())),
        ("type", json!("OIDC")),
        ("issuer", json!(provider.issuer)),
        ("audiences", json!(provider.audiences)),
        (name, keys),
    ];
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

pub(super) fn mapping(mapping: &Mapping, config: &Config) -> Value {
    let (from, conditions) = match &mapping.evidence {
        Evidence::Jwt { provider, claims } => (
            "JWT",
            json!({
                "identityProvider": config.identity_providers.get(*provider).map(|of| &of.name),
                "claims": list(claims, claim),
            }),
        ),
        Evidence::Attachment { vpc, sources } => (
            "ATTACHMENT",
            json!({"vpcIdentifier": vpc.to_string(), "sources": sources}),
        ),
    };
    json!({
        "name": mapping.name,
        "from": from,
        "match": conditions,
        "principal": mapping.principal.as_str(),
        "caller": mapping.caller.as_str(),
    })
}

fn claim(claim: &ClaimMatch) -> Value {
    let value = match &claim.value {
        TextMatch::Exact(text) => json!({"exact": text}),
        TextMatch::Prefix(text) => json!({"prefix": text}),
    };
    json!({"name": claim.name, "value": value})
}
