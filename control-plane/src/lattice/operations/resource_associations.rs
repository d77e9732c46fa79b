//! Associations of resource configurations with service networks.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use trellis_model::{
    id::ResourceAssociationId,
    name::{GENERATED_SHARD, Region},
};

use super::{
    resource_configurations,
    service_associations::network_members,
    tags,
    view::{HOSTED_ZONE, view, with},
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
    resource::{
        DomainVerification, Resource as _, ResourceAssociation, ResourceConfiguration,
        ResourceConfigurationType, Scope, ServiceNetwork, Tags,
    },
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    resource_configuration_identifier: String,
    service_network_identifier: String,
    #[serde(default)]
    private_dns_enabled: bool,
    #[serde(default)]
    tags: Tags,
}

pub(super) fn create(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let input: Create = exchange.input()?;
    tags::check(&input.tags, exchange)?;
    exchange.create(|draft| {
        let catalog = draft.catalog();
        let configuration = resource_configurations::find(
            exchange,
            catalog,
            &input.resource_configuration_identifier,
        )?;
        let network =
            exchange.visible::<ServiceNetwork>(catalog, &input.service_network_identifier)?;
        if !exchange.owns(configuration) && !exchange.owns(network) {
            return Err(ApiError::AccessDenied(
                "Two resources that are both shared with this account cannot be associated by it"
                    .to_owned(),
            ));
        }
        draft.rely_on(configuration);
        draft.rely_on(network);
        may_join(&configuration.value, &network.value)?;
        let scope = Scope::Network(network.value.id);
        is_new(draft, &scope, &configuration.value)?;
        quota::within(
            exchange.premises.quotas.resource_associations,
            catalog.count::<ResourceAssociation>(&scope),
            ResourceType::ServiceNetworkResourceAssociation,
            "L-6095700C",
            "resource configurations per service network",
        )?;
        let association = ResourceAssociation {
            id: ResourceAssociationId::from_number(exchange.fresh_number()),
            account: exchange.account.clone(),
            created_at: exchange.now,
            tags: input.tags.clone(),
            configuration: configuration.value.id,
            network: network.value.id,
            // Resources of AWS are always found under the names that AWS gave them.
            private_dns_enabled: input.private_dns_enabled
                || configuration.value.kind == ResourceConfigurationType::Arn,
        };
        draft.create(&association)?;
        show(catalog, &association, exchange, "ACTIVE")
    })
}

/// Refuses what cannot be reached through a service network, and what may not be in one that others may see.
fn may_join(
    configuration: &ResourceConfiguration,
    network: &ServiceNetwork,
) -> Result<(), ApiError> {
    let refuse = |text: &str| Err(ApiError::field("resourceConfigurationIdentifier", text));
    if configuration.kind == ResourceConfigurationType::Cidr {
        return refuse(
            "A resource configuration of type CIDR cannot be associated with a service network",
        );
    }
    // A child has nothing to say about this: its group decides when it is associated.
    let decides = configuration.kind != ResourceConfigurationType::Child;
    if decides
        && network.is_shareable()
        && !configuration.allow_association_to_shareable_service_network
    {
        return refuse(
            "The resource configuration does not allow association to a shareable service network",
        );
    }
    Ok(())
}

fn is_new(
    draft: &mut Draft<'_>,
    scope: &Scope,
    configuration: &ResourceConfiguration,
) -> Result<(), ApiError> {
    draft.nothing_new_on(scope);
    let mut there = draft.catalog().within::<ResourceAssociation>(scope);
    match there.find(|association| association.value.configuration == configuration.id) {
        None => Ok(()),
        Some(existing) => Err(ApiError::conflict(
            ResourceType::ServiceNetworkResourceAssociation,
            existing.value.id,
            "Association already exists.",
        )),
    }
}

fn show(
    catalog: &Catalog,
    association: &ResourceAssociation,
    exchange: &Exchange<'_>,
    status: &str,
) -> Result<Value, ApiError> {
    let region = exchange.region();
    let mut members = view(association, region)?;
    if let Some(entry) = catalog.find::<ResourceConfiguration>(association.configuration) {
        let shown = configuration_members(catalog, association, &entry.value, exchange);
        members.extend(shown);
    }
    let network = catalog.find::<ServiceNetwork>(association.network);
    if let Some(Value::Object(network)) = network.map(|entry| network_members(entry, exchange)) {
        members.extend(network);
    }
    Ok(with(
        members,
        json!({
            "status": status,
            "createdBy": association.account,
            "lastUpdatedAt": association.created_at,
            "isManagedAssociation": false,
        }),
    ))
}

fn configuration_members(
    catalog: &Catalog,
    association: &ResourceAssociation,
    configuration: &ResourceConfiguration,
    exchange: &Exchange<'_>,
) -> Map<String, Value> {
    let region = exchange.region();
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    put("resourceConfigurationId", json!(configuration.id));
    put("resourceConfigurationName", json!(configuration.name));
    let arn = configuration.arn(region);
    put("resourceConfigurationArn", json!(arn.as_str()));
    // A group is no resource, so it has no name of its own; its children have.
    if configuration.kind != ResourceConfigurationType::Group {
        let name = generated_name(association, region);
        let entry = json!({"domainName": name, "hostedZoneId": HOSTED_ZONE});
        put("dnsEntry", entry);
    }
    let domain = configuration.custom_domain_name.as_ref();
    if let Some(domain) = domain.or(configuration.group_domain.as_ref())
        && association.private_dns_enabled
    {
        put("privateDnsEntry", json!({"domainName": domain}));
    }
    let verification = configuration.domain_verification_id;
    if let Some(entry) = verification.and_then(|id| catalog.find::<DomainVerification>(id)) {
        let status = entry.value.status(exchange.now);
        put("domainVerificationStatus", json!(status));
    }
    members
}

/// Under which name the resource is found in the service network. AWS does not document its form.
fn generated_name(association: &ResourceAssociation, region: &Region) -> String {
    format!(
        "{}.{}.{GENERATED_SHARD}.vpc-lattice-rsc.{region}.on.aws",
        association.id, association.configuration
    )
}

/// An association that the caller made, or that hangs on something of the caller's.
fn find<'c>(
    exchange: &Exchange<'_>,
    catalog: &'c Catalog,
) -> Result<&'c Entry<ResourceAssociation>, ApiError> {
    let identifier = exchange.text("serviceNetworkResourceAssociationIdentifier");
    exchange.find(catalog, identifier, |entry: &Entry<ResourceAssociation>| {
        let configuration = catalog.find::<ResourceConfiguration>(entry.value.configuration);
        let network = catalog.find::<ServiceNetwork>(entry.value.network);
        exchange.owns(entry)
            || configuration.is_some_and(|configuration| exchange.owns(configuration))
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
    let catalog = exchange.plane().catalog();
    let network = exchange.optional_text("serviceNetworkIdentifier");
    let configuration = exchange.optional_text("resourceConfigurationIdentifier");
    if network.is_none() && configuration.is_none() {
        return Err(ApiError::invalid(
            "serviceNetworkIdentifier or resourceConfigurationIdentifier is required",
        ));
    }
    let network = network.map(|text| exchange.visible::<ServiceNetwork>(&catalog, text));
    let wanted = configuration.map(|text| with_children(exchange, &catalog, text));
    let (Ok(network), Ok(wanted)) = (network.transpose(), wanted.transpose()) else {
        return page.nothing();
    };
    let after = page.after::<ResourceAssociation>();
    let table = ResourceAssociation::table(&catalog);
    let shown =
        |entry: &Entry<ResourceAssociation>| show(&catalog, &entry.value, exchange, "ACTIVE");
    if let Some(network) = network {
        let entries = table
            .within(&Scope::Network(network.value.id), after)
            .filter(|entry| {
                let wanted = wanted.as_ref();
                wanted.is_none_or(|wanted| wanted.contains(&entry.value.configuration))
            });
        return page.list(entries, shown);
    }
    let mut entries: Vec<_> = wanted
        .into_iter()
        .flatten()
        .flat_map(|id| table.within(&Scope::ResourceConfiguration(id), after))
        .collect();
    entries.sort_unstable_by_key(|entry| entry.value.id);
    page.list(entries.into_iter(), shown)
}

/// A resource configuration, and the children of a group where they are asked for.
fn with_children(
    exchange: &Exchange<'_>,
    catalog: &Catalog,
    identifier: &str,
) -> Result<Vec<trellis_model::id::ResourceConfigurationId>, ApiError> {
    let entry = resource_configurations::find(exchange, catalog, identifier)?;
    let mut wanted = vec![entry.value.id];
    if exchange.input.get("includeChildren") == Some(&Value::Bool(true)) {
        let scope = Scope::ResourceConfiguration(entry.value.id);
        let children = catalog.within::<ResourceConfiguration>(&scope);
        wanted.extend(children.map(|child| child.value.id));
    }
    Ok(wanted)
}

pub(super) fn delete(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    exchange.change(|draft| {
        let catalog = draft.catalog();
        let entry = find(exchange, catalog)?;
        draft.remove(entry)?;
        show(catalog, &entry.value, exchange, "DELETE_IN_PROGRESS")
    })
}
