//! Associations of VPCs with service networks.

use serde::Deserialize;
use serde_json::{Value, json};
use trellis_model::id::{VpcAssociationId, VpcId};

use super::{
    service_associations::network_members,
    tags,
    view::{view, with},
};
use crate::{
    catalog::{Catalog, Entry},
    lattice::{
        Exchange,
        error::{ApiError, ResourceType},
        page::Page,
        quota,
    },
    plane::{Draft, changed},
    resource::{DnsOptions, Resource as _, Scope, ServiceNetwork, Tags, VpcAssociation},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    service_network_identifier: String,
    vpc_identifier: VpcId,
    private_dns_enabled: Option<bool>,
    security_group_ids: Option<Vec<String>>,
    dns_options: Option<DnsOptions>,
    #[serde(default)]
    tags: Tags,
}

pub(super) fn create(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let input: Create = exchange.input()?;
    tags::check(&input.tags, exchange)?;
    check_dns(input.dns_options.as_ref())?;
    exchange.create(|draft| {
        let catalog = draft.catalog();
        let network =
            exchange.visible::<ServiceNetwork>(catalog, &input.service_network_identifier)?;
        exchange.own_vpc(catalog, &input.vpc_identifier)?;
        draft.rely_on(network);
        is_free(draft, &input.vpc_identifier)?;
        let scope = Scope::Network(network.value.id);
        quota::within(
            exchange.premises.quotas.vpc_associations,
            catalog.count::<VpcAssociation>(&scope),
            ResourceType::ServiceNetworkVpcAssociation,
            "L-EF6E2D62",
            "VPC associations per service network",
        )?;
        let association = VpcAssociation {
            id: VpcAssociationId::from_number(exchange.fresh_number()),
            account: exchange.account.clone(),
            created_at: exchange.now,
            last_updated_at: exchange.now,
            tags: input.tags.clone(),
            network: network.value.id,
            vpc: input.vpc_identifier.clone(),
            security_group_ids: input.security_group_ids.clone(),
            private_dns_enabled: input.private_dns_enabled,
            dns_options: input.dns_options.clone(),
        };
        draft.create(&association)?;
        show(catalog, &association, exchange, "ACTIVE")
    })
}

/// Domains are named exactly where the preference speaks of them.
fn check_dns(options: Option<&DnsOptions>) -> Result<(), ApiError> {
    let Some(options) = options else {
        return Ok(());
    };
    let preference = options
        .private_dns_preference
        .as_deref()
        .unwrap_or_default();
    let given = options.private_dns_specified_domains.is_some();
    let wanted = preference.contains("SPECIFIED_DOMAINS");
    if given != wanted {
        let text = if wanted {
            format!("privateDnsSpecifiedDomains is required with {preference}")
        } else {
            "privateDnsSpecifiedDomains requires a privateDnsPreference with SPECIFIED_DOMAINS"
                .to_owned()
        };
        return Err(ApiError::field(
            "dnsOptions.privateDnsSpecifiedDomains",
            text,
        ));
    }
    Ok(())
}

/// A VPC is in one service network at most.
fn is_free(draft: &mut Draft<'_>, vpc: &VpcId) -> Result<(), ApiError> {
    let scope = Scope::Vpc(vpc.clone());
    draft.nothing_new_on(&scope);
    let existing = draft.catalog().within::<VpcAssociation>(&scope).next();
    match existing {
        None => Ok(()),
        Some(existing) => Err(ApiError::conflict(
            ResourceType::ServiceNetworkVpcAssociation,
            existing.value.id,
            "VPC has already been associated to a service network.",
        )),
    }
}

fn show(
    catalog: &Catalog,
    association: &VpcAssociation,
    exchange: &Exchange<'_>,
    status: &str,
) -> Result<Value, ApiError> {
    let network = catalog.find::<ServiceNetwork>(association.network);
    let network = network.map(|entry| network_members(entry, exchange));
    let mut members = view(association, exchange.region())?;
    if let Some(Value::Object(network)) = network {
        members.extend(network);
    }
    Ok(with(
        members,
        json!({
            "status": status,
            "createdBy": association.account,
            "vpcId": association.vpc,
        }),
    ))
}

/// An association that the caller made, or that hangs on a service network of the caller's.
fn find<'c>(
    exchange: &Exchange<'_>,
    catalog: &'c Catalog,
) -> Result<&'c Entry<VpcAssociation>, ApiError> {
    let identifier = exchange.text("serviceNetworkVpcAssociationIdentifier");
    exchange.find(catalog, identifier, |entry: &Entry<VpcAssociation>| {
        let network = catalog.find::<ServiceNetwork>(entry.value.network);
        exchange.owns(entry) || network.is_some_and(|network| exchange.owns(network))
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
    let network = network.map(|text| exchange.visible::<ServiceNetwork>(&catalog, text));
    let Ok(network) = network.transpose() else {
        return page.nothing();
    };
    let vpc: Option<VpcId> = exchange
        .optional_text("vpcIdentifier")
        .and_then(|text| text.parse().ok());
    let scope = match (network, &vpc) {
        (Some(network), _) => Scope::Network(network.value.id),
        (None, Some(vpc)) => Scope::Vpc(vpc.clone()),
        (None, None) if exchange.optional_text("vpcIdentifier").is_some() => {
            // A well-formed id that no VPC of ours can have: nothing is associated with it.
            return page.nothing();
        }
        (None, None) => {
            return Err(ApiError::invalid(
                "serviceNetworkIdentifier or vpcIdentifier is required",
            ));
        }
    };
    let after = page.after::<VpcAssociation>();
    let entries = VpcAssociation::table(&catalog)
        .within(&scope, after)
        .filter(|entry| vpc.as_ref().is_none_or(|vpc| entry.value.vpc == *vpc))
        .filter(|entry| network.is_some() || exchange.owns(entry));
    page.list(entries, |entry| {
        show(&catalog, &entry.value, exchange, "ACTIVE")
    })
}

pub(super) fn update(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Update {
        security_group_ids: Option<Vec<String>>,
        private_dns_enabled: Option<bool>,
        dns_options: Option<DnsOptions>,
    }
    let input: Update = exchange.input()?;
    check_dns(input.dns_options.as_ref())?;
    exchange.change(|draft| {
        let catalog = draft.catalog();
        let entry = find(exchange, catalog)?;
        if !exchange.owns(entry) {
            return Err(ApiError::AccessDenied(
                "Only the account that created the association can update it".to_owned(),
            ));
        }
        let association = changed(&entry.value, |association| {
            if let Some(groups) = &input.security_group_ids {
                association.security_group_ids = Some(groups.clone());
            }
            if input.private_dns_enabled.is_some() {
                association.private_dns_enabled = input.private_dns_enabled;
            }
            if input.dns_options.is_some() {
                association.dns_options.clone_from(&input.dns_options);
            }
            association.last_updated_at = exchange.now;
        });
        draft.update(entry, &association)?;
        show(catalog, &association, exchange, "ACTIVE")
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
