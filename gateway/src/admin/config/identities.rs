//! Identity providers, trust stores and mappings.

use serde_json::{Value, json};
use trellis_model::config::{
    AttributeMatch, ClaimMatch, Config, Evidence, IdentityProvider, Mapping, ProviderKeys,
    TextMatch, TrustStore,
};

use super::{REDACTED, list};

pub(super) fn provider(provider: &IdentityProvider) -> Value {
    let (name, keys) = match &provider.keys {
        // What is published is no secret.
        ProviderKeys::Set(text) => ("jwks", json!({"text": text})),
        ProviderKeys::Published { url, refresh } => {
            let seconds = refresh.as_secs();
            (
                "jwks",
                json!({"url": url, "refreshIntervalSeconds": seconds}),
            )
        }
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

/// Certificates of authorities are no secret.
pub(super) fn trust_store(store: &TrustStore) -> Value {
    json!({
        "name": store.name,
        "account": store.account.as_str(),
        "ca": {"text": store.authorities},
    })
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
        Evidence::Certificate { trust_store, names } => (
            "CERTIFICATE",
            json!({
                "trustStore": config.trust_stores.get(*trust_store).map(|of| &of.name),
                "spiffeId": names.spiffe_id.as_ref().map(text),
                "dnsName": names.dns_name.as_ref().map(text),
                "subject": list(&names.subject, attribute),
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
    json!({"name": claim.name, "value": text(&claim.value)})
}

fn attribute(condition: &AttributeMatch) -> Value {
    json!({"attribute": condition.attribute.as_str(), "value": text(&condition.value)})
}

fn text(condition: &TextMatch) -> Value {
    match condition {
        TextMatch::Exact(text) => json!({"exact": text}),
        TextMatch::Prefix(text) => json!({"prefix": text}),
    }
}
