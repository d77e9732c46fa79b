//! Services.

use serde::Deserialize;
use serde_json::{Value, json};
use trellis_model::{
    id::ServiceId,
    name::{DomainName, Name},
};

use super::{
    access_logs, listeners,
    networks::name_is_free,
    tags,
    view::{dns_entry, view, with},
};
use crate::{
    catalog::Entry,
    lattice::{
        Exchange,
        error::{ApiError, ResourceType},
        page::Page,
        quota,
    },
    plane::changed,
    resource::{
        AuthType, Listener, Resource as _, Scope, Service, ServiceAssociation, Sharing, Tags,
    },
};

/// Idle timeout unless something else is asked for, in seconds.
const IDLE_TIMEOUT: u32 = 60;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    name: Name,
    #[serde(default)]
    tags: Tags,
    custom_domain_name: Option<String>,
    certificate_arn: Option<String>,
    auth_type: Option<AuthType>,
    idle_timeout_seconds: Option<u32>,
}

pub(super) fn create(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let input: Create = exchange.input()?;
    tags::check(&input.tags, exchange)?;
    let custom_domain = input
        .custom_domain_name
        .as_deref()
        .map(|text| domain_name("customDomainName", text))
        .transpose()?;
    exchange.create(|draft| {
        let account = Scope::Account(exchange.account.clone());
        name_is_free::<Service>(draft, &account, &input.name)?;
        quota::within(
            exchange.premises.quotas.services,
            draft.catalog().count::<Service>(&account),
            ResourceType::Service,
            "L-620C821E",
            "services per account",
        )?;
        let service = Service {
            id: ServiceId::from_number(exchange.fresh_number()),
            account: exchange.account.clone(),
            name: input.name.clone(),
            created_at: exchange.now,
            last_updated_at: exchange.now,
            tags: input.tags.clone(),
            custom_domain_name: custom_domain.clone(),
            certificate_arn: certificate(input.certificate_arn.as_deref()),
            auth_type: input.auth_type.unwrap_or_default(),
            idle_timeout_seconds: input.idle_timeout_seconds.unwrap_or(IDLE_TIMEOUT),
            auth_policy: None,
            sharing: Sharing::default(),
        };
        draft.create(&service)?;
        show(&service, exchange)
    })
}

/// A domain name of the user's own, in the member of this name.
pub(super) fn domain_name(member: &str, text: &str) -> Result<DomainName, ApiError> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let numeric = name
        .rsplit('.')
        .next()
        .is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    let parsed = name.parse().ok().filter(|_| !numeric);
    parsed.ok_or_else(|| {
        ApiError::field(
            member,
            format!(
                "{member} must be a domain name: labels of letters, digits and hyphens, joined by dots, the last not a number"
            ),
        )
    })
}

/// An empty ARN means none.
fn certificate(arn: Option<&str>) -> Option<String> {
    arn.filter(|arn| !arn.is_empty()).map(str::to_owned)
}

fn show(service: &Service, exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    Ok(with(
        view(service, exchange.region())?,
        json!({"status": "ACTIVE", "dnsEntry": dns_entry(service, exchange.region())}),
    ))
}

pub(super) fn get(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let catalog = exchange.plane().catalog();
    let entry: &Entry<Service> = exchange.visible(&catalog, exchange.text("serviceIdentifier"))?;
    show(&entry.value, exchange)
}

pub(super) fn list(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let page = Page::of(exchange)?;
    let catalog = exchange.plane().catalog();
    let entries = Service::table(&catalog).visible(exchange.account, page.after::<Service>());
    page.list(entries, |entry| show(&entry.value, exchange))
}

pub(super) fn update(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Update {
        certificate_arn: Option<String>,
        auth_type: Option<AuthType>,
        idle_timeout_seconds: Option<u32>,
    }
    let input: Update = exchange.input()?;
    exchange.change(|draft| {
        let entry = exchange.own::<Service>(draft.catalog(), exchange.text("serviceIdentifier"))?;
        let service = changed(&entry.value, |service| {
            if input.certificate_arn.is_some() {
                service.certificate_arn = certificate(input.certificate_arn.as_deref());
            }
            if let Some(auth_type) = input.auth_type {
                service.auth_type = auth_type;
            }
            if let Some(seconds) = input.idle_timeout_seconds {
                service.idle_timeout_seconds = seconds;
            }
            service.last_updated_at = exchange.now;
        });
        draft.update(entry, &service)?;
        show(&service, exchange)
    })
}

pub(super) fn delete(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    exchange.change(|draft| {
        let catalog = draft.catalog();
        let entry = exchange.own::<Service>(catalog, exchange.text("serviceIdentifier"))?;
        let id = entry.value.id;
        let scope = Scope::Service(id);
        if catalog.count::<ServiceAssociation>(&scope) > 0 {
            let message = format!("Service {id} has one or more associated service networks.");
            return Err(ApiError::conflict(ResourceType::Service, id, message));
        }
        draft.nothing_new_on(&scope);
        draft.remove(entry)?;
        for listener in catalog.within::<Listener>(&scope) {
            listeners::remove(draft, listener)?;
        }
        access_logs::remove_all(draft, &scope)?;
        Ok(with(
            view(&*entry.value, exchange.region())?,
            json!({"status": "DELETE_IN_PROGRESS"}),
        ))
    })
}
