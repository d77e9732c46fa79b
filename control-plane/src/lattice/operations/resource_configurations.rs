//! Resource configurations.
//!
//! Which member goes with which type is a table ([`compose::applies`]); a child has what it does not say itself from its group.
//!
//! Source: VPC Lattice API reference, `CreateResourceConfiguration`, which names the types with each member.

mod compose;

use serde::Deserialize;
use serde_json::{Value, json};
use trellis_model::id::ResourceGatewayId;

use self::compose::{Create, Domains, check_members, compose};
use super::{
    access_logs,
    definitions::{self, Surroundings},
    networks::name_is_free,
    tags,
    view::{view, with},
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
    plane::{Draft, changed},
    resource::{
        Definition, DomainVerification, Resource as _, ResourceAssociation, ResourceConfiguration,
        ResourceGateway, Scope, ServiceNetwork,
    },
};

pub(super) fn create(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let input: Create = exchange.input()?;
    tags::check(&input.tags, exchange)?;
    check_members(exchange, input.kind)?;
    if let Some(ranges) = &input.port_ranges {
        definitions::check_port_ranges(ranges)?;
    }
    let domains = Domains::of(&input)?;
    exchange.create(|draft| {
        let account = Scope::Account(exchange.account.clone());
        name_is_free::<ResourceConfiguration>(draft, &account, &input.name)?;
        quota::within(
            exchange.premises.quotas.resource_configurations,
            draft.catalog().count::<ResourceConfiguration>(&account),
            ResourceType::ResourceConfiguration,
            "L-5FF8F9B9",
            "resource configurations per account",
        )?;
        let configuration = compose(exchange, draft, &input, &domains)?;
        draft.create(&configuration)?;
        show(draft.catalog(), &configuration, exchange)
    })
}

fn gateway(catalog: &Catalog, id: ResourceGatewayId) -> Result<&Entry<ResourceGateway>, ApiError> {
    // It stays as long as anything uses it.
    let gone = || ApiError::Internal(format!("{id} is gone, but used"));
    catalog.find::<ResourceGateway>(id).ok_or_else(gone)
}

fn surroundings<'c>(catalog: &'c Catalog, gateway: &'c ResourceGateway) -> Surroundings<'c> {
    Surroundings {
        gateway,
        vpc: catalog.vpc(&gateway.vpc_id),
    }
}

fn show(
    catalog: &Catalog,
    configuration: &ResourceConfiguration,
    exchange: &Exchange<'_>,
) -> Result<Value, ApiError> {
    let region = exchange.region();
    let mut members = view(configuration, region)?;
    let group = configuration.group;
    let group = group.and_then(|id| catalog.find::<ResourceConfiguration>(id));
    if let (None, Some(group)) = (&configuration.port_ranges, group)
        && let Some(ranges) = &group.value.port_ranges
    {
        members.insert("portRanges".to_owned(), json!(ranges));
    }
    let verification = configuration.domain_verification_id;
    match verification.and_then(|id| catalog.find::<DomainVerification>(id)) {
        // It may be gone while the configuration stays.
        None => drop(members.remove("domainVerificationId")),
        Some(entry) => {
            let arn = json!(entry.value.arn(region).as_str());
            let status = json!(entry.value.status(exchange.now));
            members.insert("domainVerificationArn".to_owned(), arn);
            members.insert("domainVerificationStatus".to_owned(), status);
        }
    }
    Ok(with(
        members,
        json!({"status": "ACTIVE", "amazonManaged": false}),
    ))
}

/// A resource configuration that the caller may know of: its own, or shared with it, by itself or with its group.
pub(super) fn find<'c>(
    exchange: &Exchange<'_>,
    catalog: &'c Catalog,
    identifier: &str,
) -> Result<&'c Entry<ResourceConfiguration>, ApiError> {
    exchange.find(
        catalog,
        identifier,
        |entry: &Entry<ResourceConfiguration>| {
            exchange.sees(entry) || is_shared_with_group(exchange, catalog, entry)
        },
    )
}

fn is_shared_with_group(
    exchange: &Exchange<'_>,
    catalog: &Catalog,
    entry: &Entry<ResourceConfiguration>,
) -> bool {
    let group = entry.value.group;
    group
        .and_then(|id| catalog.find::<ResourceConfiguration>(id))
        .is_some_and(|group| exchange.sees(group))
}

pub(super) fn get(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let catalog = exchange.plane().catalog();
    let identifier = exchange.text("resourceConfigurationIdentifier");
    let entry = find(exchange, &catalog, identifier)?;
    show(&catalog, &entry.value, exchange)
}

pub(super) fn list(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let page = Page::of(exchange)?;
    let catalog = exchange.plane().catalog();
    let after = page.after::<ResourceConfiguration>();
    let table = ResourceConfiguration::table(&catalog);
    let Some(scopes) = filters(exchange, &catalog) else {
        return page.nothing();
    };
    let known = |entry: &Entry<ResourceConfiguration>| {
        exchange.sees(entry) || is_shared_with_group(exchange, &catalog, entry)
    };
    let fits = |entry: &Entry<ResourceConfiguration>| {
        let there = entry.value.scopes();
        known(entry) && scopes.iter().all(|scope| there.contains(scope))
    };
    let shown = |entry: &Entry<ResourceConfiguration>| show(&catalog, &entry.value, exchange);
    match scopes.first() {
        None => page.list(table.visible(exchange.account, after), shown),
        Some(first) => page.list(
            table.within(first, after).filter(|entry| fits(entry)),
            shown,
        ),
    }
}

/// What a list is limited to, unless that is unknown to the caller.
fn filters(exchange: &Exchange<'_>, catalog: &Catalog) -> Option<Vec<Scope>> {
    let mut scopes = Vec::new();
    if let Some(identifier) = exchange.optional_text("resourceConfigurationGroupIdentifier") {
        let group = find(exchange, catalog, identifier).ok()?;
        scopes.push(Scope::ResourceConfiguration(group.value.id));
    }
    if let Some(identifier) = exchange.optional_text("resourceGatewayIdentifier") {
        let gateway = exchange.own::<ResourceGateway>(catalog, identifier).ok()?;
        scopes.push(Scope::ResourceGateway(gateway.value.id));
    }
    if let Some(identifier) = exchange.optional_text("domainVerificationIdentifier") {
        let entry = exchange
            .own::<DomainVerification>(catalog, identifier)
            .ok()?;
        scopes.push(Scope::DomainVerification(entry.value.id));
    }
    Some(scopes)
}

pub(super) fn update(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Update {
        resource_configuration_definition: Option<Definition>,
        allow_association_to_shareable_service_network: Option<bool>,
        port_ranges: Option<Vec<String>>,
    }
    let input: Update = exchange.input()?;
    if let Some(ranges) = &input.port_ranges {
        definitions::check_port_ranges(ranges)?;
    }
    exchange.change(|draft| {
        let catalog = draft.catalog();
        let identifier = exchange.text("resourceConfigurationIdentifier");
        let entry = exchange.own::<ResourceConfiguration>(catalog, identifier)?;
        check_members(exchange, entry.value.kind)?;
        if let Some(definition) = &input.resource_configuration_definition {
            let gateway = gateway(catalog, entry.value.gateway)?;
            let around = surroundings(catalog, &gateway.value);
            definitions::check(entry.value.kind, definition, around)?;
        }
        if input.allow_association_to_shareable_service_network == Some(false) {
            in_no_shareable_network(draft, &entry.value)?;
        }
        let configuration = changed(&entry.value, |configuration| {
            if let Some(definition) = &input.resource_configuration_definition {
                configuration.definition = Some(definition.clone());
            }
            if let Some(allow) = input.allow_association_to_shareable_service_network {
                configuration.allow_association_to_shareable_service_network = allow;
            }
            if let Some(ranges) = &input.port_ranges {
                configuration.port_ranges = Some(ranges.clone());
            }
            configuration.last_updated_at = exchange.now;
        });
        draft.update(entry, &configuration)?;
        show(catalog, &configuration, exchange)
    })
}

/// Refuses to forbid what there is.
fn in_no_shareable_network(
    draft: &mut Draft<'_>,
    configuration: &ResourceConfiguration,
) -> Result<(), ApiError> {
    let scope = Scope::ResourceConfiguration(configuration.id);
    draft.nothing_new_on(&scope);
    let catalog = draft.catalog();
    let shareable = catalog
        .within::<ResourceAssociation>(&scope)
        .filter_map(|association| catalog.find::<ServiceNetwork>(association.value.network))
        .find(|network| network.value.is_shareable());
    match shareable {
        None => Ok(()),
        Some(network) => Err(ApiError::field(
            "allowAssociationToShareableServiceNetwork",
            format!(
                "{} is associated with the shareable service network {}",
                configuration.id, network.value.id
            ),
        )),
    }
}

pub(super) fn delete(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    exchange.change(|draft| {
        let catalog = draft.catalog();
        let identifier = exchange.text("resourceConfigurationIdentifier");
        let entry = exchange.own::<ResourceConfiguration>(catalog, identifier)?;
        let id = entry.value.id;
        let scope = Scope::ResourceConfiguration(id);
        let held = |by: &str| {
            let message = format!("ResourceConfiguration {id} has {by} associated");
            let kind = ResourceType::ResourceConfiguration;
            Err(ApiError::conflict(kind, id, message))
        };
        if catalog.count::<ResourceAssociation>(&scope) > 0 {
            return held("service network(s)");
        }
        if catalog.count::<ResourceConfiguration>(&scope) > 0 {
            return held("child resource configuration(s)");
        }
        draft.nothing_new_on(&scope);
        draft.remove(entry)?;
        access_logs::remove_all(draft, &scope)?;
        Ok(json!({}))
    })
}
