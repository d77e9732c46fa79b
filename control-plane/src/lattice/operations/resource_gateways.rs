//! Resource gateways.
//!
//! Source: VPC Lattice user guide, "Resource gateways".

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};
use trellis_model::{
    id::{ResourceGatewayId, VpcId},
    name::Name,
};

use super::{
    networks::name_is_free,
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
    plane::changed,
    resource::{
        DnsResolution, IpVersions, Resource as _, ResourceConfiguration, ResourceConfigurationType,
        ResourceGateway, Scope, Tags,
    },
};

/// IPv4 addresses of each network interface unless something else is asked for.
const ADDRESSES: u32 = 16;

/// Most subnets of a gateway. The guide gives no number; a region has fewer availability zones.
const SUBNETS: usize = 32;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    name: Name,
    vpc_identifier: Option<VpcId>,
    #[serde(default)]
    subnet_ids: Vec<String>,
    #[serde(default)]
    security_group_ids: Vec<String>,
    #[serde(default)]
    ip_address_type: IpVersions,
    ipv4_addresses_per_eni: Option<u32>,
    #[serde(default)]
    resource_config_dns_resolution: DnsResolution,
    #[serde(default)]
    tags: Tags,
}

pub(super) fn create(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let input: Create = exchange.input()?;
    tags::check(&input.tags, exchange)?;
    check(&input)?;
    // A subnet would name its VPC as well, if it were known which VPC a subnet is of.
    let vpc_id = input
        .vpc_identifier
        .clone()
        .ok_or_else(|| ApiError::field("vpcIdentifier", "vpcIdentifier is required"))?;
    exchange.create(|draft| {
        let catalog = draft.catalog();
        let account = Scope::Account(exchange.account.clone());
        name_is_free::<ResourceGateway>(draft, &account, &input.name)?;
        exchange.own_vpc(catalog, &vpc_id)?;
        quota::within(
            exchange.premises.quotas.resource_gateways,
            catalog.count::<ResourceGateway>(&Scope::Vpc(vpc_id.clone())),
            ResourceType::ResourceGateway,
            "L-0DCA4434",
            "resource gateways per VPC",
        )?;
        let has_ipv4 = input.ip_address_type.reaches(IpVersions::Ipv4);
        let gateway = ResourceGateway {
            id: ResourceGatewayId::from_number(exchange.fresh_number()),
            account: exchange.account.clone(),
            name: input.name.clone(),
            created_at: exchange.now,
            last_updated_at: exchange.now,
            tags: input.tags.clone(),
            vpc_id: vpc_id.clone(),
            subnet_ids: input.subnet_ids.clone(),
            security_group_ids: input.security_group_ids.clone(),
            ip_address_type: input.ip_address_type,
            ipv4_addresses_per_eni: has_ipv4
                .then(|| input.ipv4_addresses_per_eni.unwrap_or(ADDRESSES)),
            resource_config_dns_resolution: input.resource_config_dns_resolution,
        };
        draft.create(&gateway)?;
        show(&gateway, exchange, "ACTIVE")
    })
}

fn check(input: &Create) -> Result<(), ApiError> {
    let mut wrong = Vec::new();
    let mut refuse = |name: &str, text: String| wrong.push((name.to_owned(), text));
    if input.subnet_ids.len() > SUBNETS {
        let text = format!("subnetIds has more than {SUBNETS} items");
        refuse("subnetIds", text);
    }
    let shape = |id: &String| {
        let digits = id.strip_prefix("subnet-").unwrap_or_default();
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if let Some(id) = input.subnet_ids.iter().find(|id| !shape(id)) {
        refuse("subnetIds", format!("{id} is not the id of a subnet"));
    }
    for (name, ids) in [
        ("subnetIds", &input.subnet_ids),
        ("securityGroupIds", &input.security_group_ids),
    ] {
        if has_twice(ids) {
            refuse(name, format!("{name} names one twice"));
        }
    }
    if input.ipv4_addresses_per_eni.is_some() && input.ip_address_type == IpVersions::Ipv6 {
        let text = "ipv4AddressesPerEni makes no sense with ipAddressType IPV6";
        refuse("ipv4AddressesPerEni", text.to_owned());
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(ApiError::fields(wrong))
    }
}

fn has_twice(ids: &[String]) -> bool {
    ids.iter().collect::<BTreeSet<_>>().len() < ids.len()
}

/// Answers call the VPC `vpcIdentifier` or `vpcId`; the model picks.
fn show(
    gateway: &ResourceGateway,
    exchange: &Exchange<'_>,
    status: &str,
) -> Result<Value, ApiError> {
    Ok(with(
        view(gateway, exchange.region())?,
        json!({
            "status": status,
            "vpcIdentifier": gateway.vpc_id,
            "serviceManaged": false,
        }),
    ))
}

pub(super) fn get(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let catalog = exchange.plane().catalog();
    let identifier = exchange.text("resourceGatewayIdentifier");
    let entry = exchange.own::<ResourceGateway>(&catalog, identifier)?;
    show(&entry.value, exchange, "ACTIVE")
}

pub(super) fn list(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let page = Page::of(exchange)?;
    let catalog = exchange.plane().catalog();
    let entries =
        ResourceGateway::table(&catalog).visible(exchange.account, page.after::<ResourceGateway>());
    page.list(entries, |entry| show(&entry.value, exchange, "ACTIVE"))
}

pub(super) fn update(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Update {
        security_group_ids: Option<Vec<String>>,
        resource_config_dns_resolution: Option<DnsResolution>,
    }
    let input: Update = exchange.input()?;
    if input.security_group_ids.as_deref().is_some_and(has_twice) {
        let text = "securityGroupIds names one twice";
        return Err(ApiError::field("securityGroupIds", text));
    }
    exchange.change(|draft| {
        let catalog = draft.catalog();
        let identifier = exchange.text("resourceGatewayIdentifier");
        let entry = exchange.own::<ResourceGateway>(catalog, identifier)?;
        let gateway = changed(&entry.value, |gateway| {
            if let Some(groups) = &input.security_group_ids {
                gateway.security_group_ids.clone_from(groups);
            }
            if let Some(resolution) = input.resource_config_dns_resolution {
                gateway.resource_config_dns_resolution = resolution;
            }
            gateway.last_updated_at = exchange.now;
        });
        let scope = Scope::ResourceGateway(gateway.id);
        draft.nothing_new_on(&scope);
        let mut users = catalog.within::<ResourceConfiguration>(&scope);
        let resolution = gateway.resource_config_dns_resolution;
        if let Some(user) = users.find(|user| !resolves_for(resolution, user.value.kind)) {
            return Err(ApiError::conflict(
                ResourceType::ResourceGateway,
                gateway.id,
                format!(
                    "ResourceGateway {} is used by {} of type {}, which does not work with this resourceConfigDnsResolution",
                    gateway.id,
                    user.value.id,
                    user.value.kind.name()
                ),
            ));
        }
        draft.update(entry, &gateway)?;
        show(&gateway, exchange, "ACTIVE")
    })
}

/// Do resource configurations of a type work with gateways that resolve names like this?
pub(super) fn resolves_for(resolution: DnsResolution, kind: ResourceConfigurationType) -> bool {
    match kind {
        ResourceConfigurationType::Arn => resolution == DnsResolution::Public,
        ResourceConfigurationType::Cidr => resolution == DnsResolution::InVpc,
        _ => true,
    }
}

pub(super) fn delete(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    exchange.change(|draft| {
        let catalog = draft.catalog();
        let identifier = exchange.text("resourceGatewayIdentifier");
        let entry = exchange.own::<ResourceGateway>(catalog, identifier)?;
        let id = entry.value.id;
        let scope = Scope::ResourceGateway(id);
        if catalog.count::<ResourceConfiguration>(&scope) > 0 {
            let message = format!("ResourceGateway {id} has resource configuration(s) associated");
            let kind = ResourceType::ResourceGateway;
            return Err(ApiError::conflict(kind, id, message));
        }
        draft.nothing_new_on(&scope);
        draft.remove(entry)?;
        show(&entry.value, exchange, "DELETE_IN_PROGRESS")
    })
}
