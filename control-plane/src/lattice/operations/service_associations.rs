//! Associations of services with service networks.

use serde::Deserialize;
use serde_json::{Value, json};
use trellis_model::id::ServiceAssociationId;

use super::{
    tags,
    view::{dns_entry, generated_name, view, with},
};
use crate::{
    catalog::{Catalog, Entry},
    lattice::{
        Exchange,
        arns::Named as _,
        error::{ApiError, ResourceType},
        page::Page,
        quota,
    },
    plane::Draft,
    resource::{Resource as _, Scope, Service, ServiceAssociation, ServiceNetwork, Tags},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    service_identifier: String,
    service_network_identifier: String,
    #[serde(default)]
    tags: Tags,
}

pub(super) fn create(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let input: Create = exchange.input()?;
    tags::check(&input.tags, exchange)?;
    exchange.create(|draft| {
        let catalog = draft.catalog();
        let service = exchange.visible::<Service>(catalog, &input.service_identifier)?;
        let network =
            exchange.visible::<ServiceNetwork>(catalog, &input.service_network_identifier)?;
        if !exchange.owns(service) && !exchange.owns(network) {
            return Err(ApiError::AccessDenied(
                "Two resources that are both shared with this account cannot be associated by it"
                    .to_owned(),
            ));
        }
        draft.rely_on(service);
        draft.rely_on(network);
        let scope = Scope::Network(network.value.id);
        is_new(draft, &scope, &service.value)?;
        domain_is_free(draft, &scope, &service.value)?;
        quota::within(
            exchange.premises.quotas.service_associations,
            catalog.count::<ServiceAssociation>(&scope),
            ResourceType::ServiceNetworkServiceAssociation,
            "L-75D4A19E",
            "service associations per service network",
        )?;
        let association = ServiceAssociation {
            id: ServiceAssociationId::from_number(exchange.fresh_number()),
            account: exchange.account.clone(),
            created_at: exchange.now,
            tags: input.tags.clone(),
            service: service.value.id,
            network: network.value.id,
        };
        draft.create(&association)?;
        show(catalog, &association, exchange, "ACTIVE")
    })
}

fn is_new(draft: &mut Draft<'_>, scope: &Scope, service: &Service) -> Result<(), ApiError> {
    draft.nothing_new_on(scope);
    let mut there = draft.catalog().within::<ServiceAssociation>(scope);
    match there.find(|association| association.value.service == service.id) {
        None => Ok(()),
        Some(existing) => Err(ApiError::conflict(
            ResourceType::ServiceNetworkServiceAssociation,
            existing.value.id,
            "Association already exists.",
        )),
    }
}

/// A name of the user's own is unique within each service network.
fn domain_is_free(draft: &Draft<'_>, scope: &Scope, service: &Service) -> Result<(), ApiError> {
    let Some(domain) = &service.custom_domain_name else {
        return Ok(());
    };
    let catalog = draft.catalog();
    let other = catalog
        .within::<ServiceAssociation>(scope)
        .filter_map(|association| catalog.find::<Service>(association.value.service))
        .find(|other| other.value.custom_domain_name.as_ref() == Some(domain));
    match other {
        None => Ok(()),
        Some(other) => Err(ApiError::conflict(
            ResourceType::Service,
            other.value.id,
            format!("Custom domain name {domain} already exists in service network {scope}"),
        )),
    }
}

fn show(
    catalog: &Catalog,
    association: &ServiceAssociation,
    exchange: &Exchange<'_>,
    status: &str,
) -> Result<Value, ApiError> {
    let region = exchange.region();
    let service = catalog.find::<Service>(association.service);
    let network = catalog.find::<ServiceNetwork>(association.network);
    let mut more = json!({"status": status, "createdBy": association.account});
    if let Some(Value::Object(service)) = service.map(|entry| {
        let service = &entry.value;
        json!({
            "serviceId": service.id,
            "serviceName": service.name,
            "serviceArn": service.arn(region).as_str(),
            "customDomainName": service.custom_domain_name,
            "dnsEntry": dns_entry(service, region),
            "domainName": generated_name(service, region),
        })
    }) && let Value::Object(more) = &mut more
    {
        more.extend(service);
    }
    if let Some(Value::Object(network)) = network.map(|entry| network_members(entry, exchange))
        && let Value::Object(more) = &mut more
    {
        more.extend(network);
    }
    Ok(with(view(association, region)?, more))
}

/// What associations say about their service network.
pub(super) fn network_members(entry: &Entry<ServiceNetwork>, exchange: &Exchange<'_>) -> Value {
    json!({
        "serviceNetworkId": entry.value.id,
        "serviceNetworkName": entry.value.name,
        "serviceNetworkArn": entry.value.arn(exchange.region()).as_str(),
    })
}

/// An association that the caller made, or that hangs on something of the caller's.
fn find<'c>(
    exchange: &Exchange<'_>,
    catalog: &'c Catalog,
) -> Result<&'c Entry<ServiceAssociation>, ApiError> {
    let identifier = exchange.text("serviceNetworkServiceAssociationIdentifier");
    exchange.find(catalog, identifier, |entry: &Entry<ServiceAssociation>| {
        let service = catalog.find::<Service>(entry.value.service);
        let network = catalog.find::<ServiceNetwork>(entry.value.network);
        exchange.owns(entry)
            || service.is_some_and(|service| exchange.owns(service))
            || network.is_some_and(|network| exchange.owns(network))
    })
}

pub(super) fn get(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let catalog = exchange.plane().catalog();
    let entry = find(exchange, &catalog)?;
    show(&catalog, &entry.value, exchange, "ACTIVE")
}

pub(super) fn list(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let page = Page::of(exchange)?;
    let network = exchange.optional_text("serviceNetworkIdentifier");
    let service = exchange.optional_text("serviceIdentifier");
    let catalog = exchange.plane().catalog();
    let network = network.map(|text| exchange.visible::<ServiceNetwork>(&catalog, text));
    let service = service.map(|text| exchange.visible::<Service>(&catalog, text));
    let (Ok(network), Ok(service)) = (network.transpose(), service.transpose()) else {
        return page.nothing();
    };
    let scope = match (network, service) {
        (Some(network), _) => Scope::Network(network.value.id),
        (None, Some(service)) => Scope::Service(service.value.id),
        (None, None) => {
            return Err(ApiError::invalid(
                "serviceNetworkIdentifier or serviceIdentifier is required",
            ));
        }
    };
    let after = page.after::<ServiceAssociation>();
    let entries = ServiceAssociation::table(&catalog)
        .within(&scope, after)
        .filter(|entry| service.is_none_or(|service| entry.value.service == service.value.id));
    page.list(entries, |entry| {
        show(&catalog, &entry.value, exchange, "ACTIVE")
    })
}

pub(super) fn delete(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    exchange.change(|draft| {
        let catalog = draft.catalog();
        let entry = find(exchange, catalog)?;
        draft.remove(entry)?;
        show(catalog, &entry.value, exchange, "DELETE_IN_PROGRESS")
    })
}
