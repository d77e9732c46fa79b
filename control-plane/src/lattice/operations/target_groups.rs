//! Target groups.

use serde::Deserialize;
use serde_json::{Value, json};
use trellis_model::{
    id::{TargetGroupId, VpcId},
    name::Name,
};

use super::{
    health_checks,
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
    plane::changed,
    resource::{
        HealthCheck, IpAddressType, LambdaEventStructureVersion, Resource as _, Rule, Scope,
        Service, Tags, TargetGroup, TargetGroupConfig, TargetGroupType, TargetProtocol,
        TargetProtocolVersion, Targets,
    },
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    name: Name,
    #[serde(rename = "type")]
    kind: TargetGroupType,
    config: Option<TargetGroupConfig>,
    #[serde(default)]
    tags: Tags,
}

pub(super) fn create(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let input: Create = exchange.input()?;
    tags::check(&input.tags, exchange)?;
    let config = complete(input.kind, input.config)?;
    exchange.create(|draft| {
        let account = Scope::Account(exchange.account.clone());
        name_is_free::<TargetGroup>(draft, &account, &input.name)?;
        if let Some(vpc) = config
            .as_ref()
            .and_then(|config| config.vpc_identifier.as_ref())
        {
            exchange.own_vpc(draft.catalog(), vpc)?;
        }
        quota::within(
            exchange.premises.quotas.target_groups,
            draft.catalog().count::<TargetGroup>(&account),
            ResourceType::TargetGroup,
            "L-BB11C6B9",
            "target groups per account",
        )?;
        let group = TargetGroup {
            id: TargetGroupId::from_number(exchange.fresh_number()),
            account: exchange.account.clone(),
            name: input.name.clone(),
            created_at: exchange.now,
            last_updated_at: exchange.now,
            tags: input.tags.clone(),
            kind: input.kind,
            config: config.clone(),
        };
        draft.create(&group)?;
        show(draft.catalog(), &group, exchange)
    })
}

/// What is wrong with a configuration, in the order of its members.
#[derive(Default)]
struct Wrong(Vec<(String, String)>);

impl Wrong {
    fn add(&mut self, member: &str, text: &str) {
        let at = format!("config.{member}");
        self.0.push((at, format!("config.{member}: {text}")));
    }

    fn forbid(&mut self, member: &str, given: bool, kind: &str) {
        if given {
            self.add(
                member,
                &format!("not allowed for target groups of type {kind}"),
            );
        }
    }
}

/// A configuration with all defaults filled in.
fn complete(
    kind: TargetGroupType,
    config: Option<TargetGroupConfig>,
) -> Result<Option<TargetGroupConfig>, ApiError> {
    if kind == TargetGroupType::Lambda {
        return complete_function(config);
    }
    let config = config.unwrap_or_default();
    let mut wrong = Wrong::default();
    if config.protocol.is_none() {
        wrong.add("protocol", "required unless the type is LAMBDA");
    }
    if config.vpc_identifier.is_none() {
        wrong.add("vpcIdentifier", "required unless the type is LAMBDA");
    }
    let events = config.lambda_event_structure_version.is_some();
    wrong.forbid("lambdaEventStructureVersion", events, "other than LAMBDA");
    let protocol = config.protocol.unwrap_or(TargetProtocol::Http);
    let tcp = protocol == TargetProtocol::Tcp;
    if tcp && config.port.is_none() {
        wrong.add("port", "required when the protocol is TCP");
    }
    if tcp && config.protocol_version.is_some() {
        wrong.add("protocolVersion", "not allowed when the protocol is TCP");
    }
    let version = config
        .protocol_version
        .unwrap_or(TargetProtocolVersion::Http1);
    if kind == TargetGroupType::Alb {
        if version != TargetProtocolVersion::Http1 {
            wrong.add(
                "protocolVersion",
                "target groups of type ALB speak HTTP1 only",
            );
        }
        wrong.forbid("healthCheck", config.health_check.is_some(), "ALB");
    }
    if kind != TargetGroupType::Ip {
        let given = config.ip_address_type.is_some();
        wrong.forbid("ipAddressType", given, "other than IP");
    }
    let version = (!tcp).then_some(version);
    let health_check = (kind != TargetGroupType::Alb)
        .then(|| health_checks::complete(config.health_check, version, "config.healthCheck"))
        .transpose();
    let health_check = match health_check {
        Ok(health_check) => health_check,
        Err(found) => {
            wrong.0.extend(found);
            None
        }
    };
    if !wrong.0.is_empty() {
        return Err(ApiError::fields(wrong.0));
    }
    Ok(Some(TargetGroupConfig {
        port: Some(config.port.unwrap_or(match protocol {
            TargetProtocol::Http => 80,
            TargetProtocol::Https | TargetProtocol::Tcp => 443,
        })),
        protocol: Some(protocol),
        protocol_version: version,
        ip_address_type: (kind == TargetGroupType::Ip)
            .then(|| config.ip_address_type.unwrap_or(IpAddressType::Ipv4)),
        vpc_identifier: config.vpc_identifier,
        health_check,
        lambda_event_structure_version: None,
    }))
}

/// The configuration of a function: the version of its events, if somebody gave a configuration at all.
fn complete_function(
    config: Option<TargetGroupConfig>,
) -> Result<Option<TargetGroupConfig>, ApiError> {
    let Some(config) = config else {
        return Ok(None);
    };
    let mut wrong = Wrong::default();
    for (member, given) in [
        ("port", config.port.is_some()),
        ("protocol", config.protocol.is_some()),
        ("protocolVersion", config.protocol_version.is_some()),
        ("ipAddressType", config.ip_address_type.is_some()),
        ("vpcIdentifier", config.vpc_identifier.is_some()),
        ("healthCheck", config.health_check.is_some()),
    ] {
        wrong.forbid(member, given, "LAMBDA");
    }
    if !wrong.0.is_empty() {
        return Err(ApiError::fields(wrong.0));
    }
    let version = config
        .lambda_event_structure_version
        .unwrap_or(LambdaEventStructureVersion::V1);
    Ok(Some(TargetGroupConfig {
        lambda_event_structure_version: Some(version),
        ..TargetGroupConfig::default()
    }))
}

fn show(
    catalog: &Catalog,
    group: &TargetGroup,
    exchange: &Exchange<'_>,
) -> Result<Value, ApiError> {
    let mut services: Vec<_> = catalog
        .within::<Rule>(&Scope::Group(group.id))
        .map(|rule| rule.value.service)
        .collect();
    services.dedup();
    let arns: Vec<String> = services
        .into_iter()
        .filter_map(|service| catalog.find::<Service>(service))
        .map(|service| service.value.arn(exchange.region()).to_string())
        .collect();
    let config = group.config.clone().unwrap_or_default();
    let flat = serde_json::to_value(&config)
        .map_err(|error| ApiError::Internal(format!("target group: {error}")))?;
    let shown = view(group, exchange.region())?;
    Ok(with(
        match with(shown, flat) {
            Value::Object(members) => members,
            _ => serde_json::Map::new(),
        },
        json!({"status": "ACTIVE", "serviceArns": arns}),
    ))
}

pub(super) fn get(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let catalog = exchange.plane().catalog();
    let entry: &Entry<TargetGroup> =
        exchange.visible(&catalog, exchange.text("targetGroupIdentifier"))?;
    show(&catalog, &entry.value, exchange)
}

pub(super) fn list(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let page = Page::of(exchange)?;
    let kind: Option<TargetGroupType> = exchange
        .input
        .get("targetGroupType")
        .and_then(|value| serde_json::from_value(value.clone()).ok());
    let vpc: Option<&str> = exchange.optional_text("vpcIdentifier");
    let catalog = exchange.plane().catalog();
    let account = Scope::Account(exchange.account.clone());
    let after = page.after::<TargetGroup>();
    let entries = TargetGroup::table(&catalog).within(&account, after);
    let fits = |entry: &&Entry<TargetGroup>| {
        let group = &entry.value;
        let config = group.config.as_ref();
        let of = config.and_then(|config| config.vpc_identifier.as_ref());
        kind.is_none_or(|kind| kind == group.kind)
            && vpc.is_none_or(|vpc| of.map(VpcId::as_str) == Some(vpc))
    };
    page.list(entries.filter(fits), |entry| {
        show(&catalog, &entry.value, exchange)
    })
}

pub(super) fn update(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Update {
        health_check: HealthCheck,
    }
    let input: Update = exchange.input()?;
    exchange.change(|draft| {
        let catalog = draft.catalog();
        let identifier = exchange.text("targetGroupIdentifier");
        let entry = exchange.own::<TargetGroup>(catalog, identifier)?;
        let checked = matches!(
            entry.value.kind,
            TargetGroupType::Ip | TargetGroupType::Instance
        );
        let Some(config) = entry.value.config.as_ref().filter(|_| checked) else {
            let text = "Target groups of type LAMBDA and ALB have no health check.";
            return Err(ApiError::field("healthCheck", text));
        };
        let before = config.health_check.clone().unwrap_or_default();
        let merged = health_checks::merge(before, input.health_check.clone());
        let health_check =
            health_checks::complete(Some(merged), config.protocol_version, "healthCheck")
                .map_err(ApiError::fields)?;
        let group = changed(&entry.value, |group| {
            if let Some(config) = &mut group.config {
                config.health_check = Some(health_check);
            }
            group.last_updated_at = exchange.now;
        });
        draft.update(entry, &group)?;
        show(catalog, &group, exchange)
    })
}

pub(super) fn delete(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    exchange.change(|draft| {
        let catalog = draft.catalog();
        let identifier = exchange.text("targetGroupIdentifier");
        let entry = exchange.own::<TargetGroup>(catalog, identifier)?;
        let id = entry.value.id;
        let scope = Scope::Group(id);
        let refused =
            |message: String| Err(ApiError::conflict(ResourceType::TargetGroup, id, message));
        if catalog.count::<Rule>(&scope) > 0 {
            return refused(format!("Target group {id} is in use by a listener or rule"));
        }
        let targets = catalog.find::<Targets>(id);
        if targets.is_some_and(|targets| !targets.value.registered.is_empty()) {
            return refused(format!("Target group {id} has registered targets"));
        }
        if !exchange.premises.live.targets(id).is_empty() {
            return refused(format!("Target group {id} has targets that are draining"));
        }
        draft.nothing_new_on(&scope);
        draft.remove(entry)?;
        if let Some(targets) = targets {
            draft.remove(targets)?;
        }
        Ok(json!({
            "id": id,
            "arn": entry.value.arn(exchange.region()).as_str(),
            "status": "DELETE_IN_PROGRESS",
        }))
    })
}
