//! A new resource configuration, put together from what was asked for and from what that names.

use serde::Deserialize;
use trellis_model::{
    id::{DomainVerificationId, ResourceConfigurationId},
    name::{DomainName, Name},
};

use super::{
    super::{definitions, resource_gateways::resolves_for, services::domain_name},
    gateway, surroundings,
};
use crate::{
    catalog::Entry,
    lattice::{
        Exchange,
        error::{ApiError, ResourceType},
        quota,
    },
    plane::Draft,
    resource::{
        Definition, DomainVerification, ResourceConfiguration, ResourceConfigurationType as Type,
        ResourceGateway, ResourceProtocol, Scope, Sharing, Tags, is_within,
    },
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Create {
    pub(super) name: Name,
    #[serde(rename = "type")]
    pub(super) kind: Type,
    pub(super) port_ranges: Option<Vec<String>>,
    protocol: Option<ResourceProtocol>,
    resource_gateway_identifier: Option<String>,
    resource_configuration_group_identifier: Option<String>,
    resource_configuration_definition: Option<Definition>,
    allow_association_to_shareable_service_network: Option<bool>,
    custom_domain_name: Option<String>,
    group_domain: Option<String>,
    domain_verification_identifier: Option<String>,
    #[serde(default)]
    pub(super) tags: Tags,
}

/// The types that a member goes with.
pub(super) fn applies(member: &str) -> &'static [Type] {
    match member {
        "portRanges" => &[Type::Single, Type::Group, Type::Child, Type::Cidr],
        "protocol" => &[Type::Single, Type::Group, Type::Cidr],
        "resourceGatewayIdentifier" => &[Type::Single, Type::Group, Type::Arn, Type::Cidr],
        "resourceConfigurationGroupIdentifier" => &[Type::Child],
        "resourceConfigurationDefinition" => &[Type::Single, Type::Child, Type::Arn, Type::Cidr],
        "allowAssociationToShareableServiceNetwork" => &[Type::Single, Type::Group, Type::Arn],
        "customDomainName" => &[Type::Single, Type::Child],
        "groupDomain" => &[Type::Group],
        "domainVerificationIdentifier" => &[Type::Single, Type::Group],
        _ => &[
            Type::Single,
            Type::Group,
            Type::Child,
            Type::Arn,
            Type::Cidr,
        ],
    }
}

/// Refuses members that do not go with the type, and a type without what it needs.
pub(super) fn check_members(exchange: &Exchange<'_>, kind: Type) -> Result<(), ApiError> {
    let foreign = exchange
        .input
        .keys()
        .filter(|member| !applies(member).contains(&kind))
        .map(|member| {
            let text = format!("{member} does not go with type {}", kind.name());
            (member.clone(), text)
        });
    let needed: &[&str] = match kind {
        Type::Single | Type::Cidr => &[
            "resourceGatewayIdentifier",
            "resourceConfigurationDefinition",
            "portRanges",
        ],
        Type::Group => &["resourceGatewayIdentifier"],
        Type::Child => &[
            "resourceConfigurationGroupIdentifier",
            "resourceConfigurationDefinition",
        ],
        Type::Arn => &[
            "resourceGatewayIdentifier",
            "resourceConfigurationDefinition",
        ],
    };
    let missing = needed
        .iter()
        .filter(|member| !exchange.input.contains_key(**member) && exchange.creates())
        .map(|member| {
            let text = format!("{member} is required with type {}", kind.name());
            ((*member).to_owned(), text)
        });
    let wrong: Vec<_> = foreign.chain(missing).collect();
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(ApiError::fields(wrong))
    }
}

/// The domains that an input names.
pub(super) struct Domains {
    custom: Option<DomainName>,
    group: Option<DomainName>,
}

impl Domains {
    pub(super) fn of(input: &Create) -> Result<Self, ApiError> {
        let read = |member: &str, text: Option<&String>| {
            text.map(|text| domain_name(member, text)).transpose()
        };
        Ok(Self {
            custom: read("customDomainName", input.custom_domain_name.as_ref())?,
            group: read("groupDomain", input.group_domain.as_ref())?,
        })
    }
}

/// The resource configuration that is asked for.
pub(super) fn compose(
    exchange: &Exchange<'_>,
    draft: &mut Draft<'_>,
    input: &Create,
    domains: &Domains,
) -> Result<ResourceConfiguration, ApiError> {
    let group = group_of(exchange, draft, input, domains)?;
    let gateway = gateway_of(exchange, draft, input, group)?;
    if let Some(definition) = &input.resource_configuration_definition {
        let around = surroundings(draft.catalog(), gateway);
        definitions::check(input.kind, definition, around)?;
    }
    let protocol = match (input.kind, group) {
        (Type::Arn, _) => None,
        (_, Some(group)) => group.value.protocol,
        _ => Some(input.protocol.unwrap_or_default()),
    };
    if protocol == Some(ResourceProtocol::TcpUdp) && input.kind != Type::Cidr {
        let text = "protocol TCP_UDP goes with type CIDR only";
        return Err(ApiError::field("protocol", text));
    }
    Ok(ResourceConfiguration {
        id: ResourceConfigurationId::from_number(exchange.fresh_number()),
        account: exchange.account.clone(),
        name: input.name.clone(),
        created_at: exchange.now,
        last_updated_at: exchange.now,
        tags: input.tags.clone(),
        kind: input.kind,
        gateway: gateway.id,
        group: group.map(|group| group.value.id),
        definition: input.resource_configuration_definition.clone(),
        port_ranges: input.port_ranges.clone(),
        protocol,
        allow_association_to_shareable_service_network: input
            .allow_association_to_shareable_service_network
            .unwrap_or_default(),
        custom_domain_name: domains.custom.clone(),
        group_domain: domains.group.clone(),
        domain_verification_id: verification(exchange, draft, input, domains)?,
        sharing: Sharing::default(),
    })
}

/// The group of a child, which it fits into.
fn group_of<'c>(
    exchange: &Exchange<'_>,
    draft: &mut Draft<'c>,
    input: &Create,
    domains: &Domains,
) -> Result<Option<&'c Entry<ResourceConfiguration>>, ApiError> {
    let member = "resourceConfigurationGroupIdentifier";
    let Some(identifier) = &input.resource_configuration_group_identifier else {
        return Ok(None);
    };
    let catalog = draft.catalog();
    let group = exchange.own::<ResourceConfiguration>(catalog, identifier)?;
    draft.rely_on(group);
    if group.value.kind != Type::Group {
        let text = format!("{} is not of type GROUP", group.value.id);
        return Err(ApiError::field(member, text));
    }
    if input.port_ranges.is_none() && group.value.port_ranges.is_none() {
        let text = "portRanges is required, because the group has none";
        return Err(ApiError::field("portRanges", text));
    }
    if let Some(custom) = &domains.custom {
        let above = group.value.group_domain.as_ref();
        if !above.is_some_and(|above| above != custom && is_within(custom, above)) {
            let text = "customDomainName must be below the groupDomain of the group";
            return Err(ApiError::field("customDomainName", text));
        }
    }
    quota::within(
        exchange.premises.quotas.child_configurations,
        catalog.count::<ResourceConfiguration>(&Scope::ResourceConfiguration(group.value.id)),
        ResourceType::ResourceConfiguration,
        "L-9BC96FEF",
        "child resource configurations per group",
    )?;
    Ok(Some(group))
}

/// The gateway: the one that is named, or the group's.
fn gateway_of<'c>(
    exchange: &Exchange<'_>,
    draft: &mut Draft<'c>,
    input: &Create,
    group: Option<&'c Entry<ResourceConfiguration>>,
) -> Result<&'c ResourceGateway, ApiError> {
    let catalog = draft.catalog();
    let entry = match (&input.resource_gateway_identifier, group) {
        (Some(identifier), _) => exchange.own::<ResourceGateway>(catalog, identifier)?,
        (None, Some(group)) => gateway(catalog, group.value.gateway)?,
        (None, None) => {
            let text = "resourceGatewayIdentifier is required";
            return Err(ApiError::field("resourceGatewayIdentifier", text));
        }
    };
    draft.rely_on(entry);
    if !resolves_for(entry.value.resource_config_dns_resolution, input.kind) {
        let text = match input.kind {
            Type::Cidr => {
                "type CIDR needs a resource gateway with resourceConfigDnsResolution IN_VPC"
            }
            _ => {
                "type ARN does not go with a resource gateway with resourceConfigDnsResolution IN_VPC"
            }
        };
        return Err(ApiError::field("resourceGatewayIdentifier", text));
    }
    Ok(&entry.value)
}

/// The verification that is named, which speaks of the domain that is named.
fn verification(
    exchange: &Exchange<'_>,
    draft: &mut Draft<'_>,
    input: &Create,
    domains: &Domains,
) -> Result<Option<DomainVerificationId>, ApiError> {
    let Some(identifier) = &input.domain_verification_identifier else {
        return Ok(None);
    };
    let entry = exchange.own::<DomainVerification>(draft.catalog(), identifier)?;
    draft.rely_on(entry);
    let named = domains.custom.as_ref().or(domains.group.as_ref());
    if !named.is_some_and(|name| entry.value.covers(name)) {
        let text = format!(
            "domainVerificationIdentifier needs a customDomainName or groupDomain that is {} or below it",
            entry.value.domain_name
        );
        return Err(ApiError::field("domainVerificationIdentifier", text));
    }
    Ok(Some(entry.value.id))
}
