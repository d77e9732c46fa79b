//! Verifications of domains.
//!
//! Whoever starts one gets a TXT record to publish below the domain. Nobody looks for the record yet: a verification stays pending until
//! its time is over.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use trellis_model::{id::DomainVerificationId, name::DomainName};

use super::{
    services::domain_name,
    tags,
    view::{view, with},
};
use crate::{
    lattice::{
        Exchange,
        error::{ApiError, ResourceType},
        page::Page,
        quota,
    },
    plane::Draft,
    resource::{DomainVerification, Resource as _, Scope, Tags, TxtRecord},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    domain_name: String,
    #[serde(default)]
    tags: Tags,
}

pub(super) fn start(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let input: Start = exchange.input()?;
    tags::check(&input.tags, exchange)?;
    let domain = domain_name("domainName", &input.domain_name)?;
    exchange.create(|draft| {
        is_new(exchange, draft, &domain)?;
        let account = Scope::Account(exchange.account.clone());
        quota::within(
            exchange.premises.quotas.domain_verifications,
            draft.catalog().count::<DomainVerification>(&account),
            ResourceType::DomainVerification,
            "L-73D0F278",
            "domain verifications per account",
        )?;
        let verification = DomainVerification {
            id: DomainVerificationId::from_number(exchange.fresh_number()),
            account: exchange.account.clone(),
            created_at: exchange.now,
            tags: input.tags.clone(),
            domain_name: domain.clone(),
            txt_method_config: TxtRecord {
                name: format!("_{}", random(exchange)),
                value: format!("vpc-lattice:{}", random(exchange)),
            },
        };
        draft.create(&verification)?;
        Ok(Value::Object(show(&verification, exchange)?))
    })
}

/// 128 random bits, as text.
fn random(exchange: &Exchange<'_>) -> String {
    format!("{:016x}{:016x}", (exchange.draw)(), (exchange.draw)())
}

/// An account verifies a domain once.
fn is_new(exchange: &Exchange<'_>, draft: &Draft<'_>, domain: &DomainName) -> Result<(), ApiError> {
    let account = Scope::Account(exchange.account.clone());
    let there = draft
        .catalog()
        .named::<DomainVerification>(&account, domain.as_str());
    match there {
        None => Ok(()),
        Some(there) => Err(ApiError::conflict(
            ResourceType::DomainVerification,
            there.value.id,
            format!("A verification of {domain} already exists"),
        )),
    }
}

fn show(
    verification: &DomainVerification,
    exchange: &Exchange<'_>,
) -> Result<Map<String, Value>, ApiError> {
    let mut members = view(verification, exchange.region())?;
    let status = verification.status(exchange.now);
    members.insert("status".to_owned(), json!(status));
    Ok(members)
}

/// What was started, with its tags, which starting does not show.
fn show_with_tags(
    verification: &DomainVerification,
    exchange: &Exchange<'_>,
) -> Result<Value, ApiError> {
    Ok(with(
        show(verification, exchange)?,
        json!({"tags": verification.tags}),
    ))
}

pub(super) fn get(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let catalog = exchange.plane().catalog();
    let identifier = exchange.text("domainVerificationIdentifier");
    let entry = exchange.own::<DomainVerification>(&catalog, identifier)?;
    show_with_tags(&entry.value, exchange)
}

pub(super) fn list(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let page = Page::of(exchange)?;
    let catalog = exchange.plane().catalog();
    let after = page.after::<DomainVerification>();
    let entries = DomainVerification::table(&catalog).visible(exchange.account, after);
    page.list(entries, |entry| show_with_tags(&entry.value, exchange))
}

/// Resource configurations that name the verification stay, and are unverified from now on.
pub(super) fn delete(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    exchange.change(|draft| {
        let identifier = exchange.text("domainVerificationIdentifier");
        let entry = exchange.own::<DomainVerification>(draft.catalog(), identifier)?;
        draft.remove(entry)?;
        Ok(json!({}))
    })
}
