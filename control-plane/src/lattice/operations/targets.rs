//! Registered targets.

use std::{collections::BTreeMap, net::IpAddr};

use serde::Deserialize;
use serde_json::{Value, json};
use trellis_model::config::FunctionArn;

use crate::{
    catalog::{Catalog, Entry},
    lattice::{
        Exchange, TargetHealth,
        error::{ApiError, ResourceType},
        page::Page,
        quota,
    },
    plane::{Draft, changed},
    resource::{IpAddressType, Rule, Scope, Target, TargetGroup, TargetGroupType, Targets},
};

#[derive(Deserialize)]
struct Given {
    #[serde(default)]
    targets: Vec<Target>,
}

/// A target that cannot be registered: a code and a text.
type Unfit = (&'static str, String);

pub(super) fn register(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let given: Given = exchange.input()?;
    exchange.change(|draft| {
        let (group, mut registered) = find(exchange, draft)?;
        let (mut successful, mut unsuccessful) = (Vec::new(), Vec::new());
        for target in &given.targets {
            match fit(exchange, draft.catalog(), &group.value, target) {
                Ok(target) => {
                    if !registered.registered.contains(&target) {
                        registered.registered.push(target.clone());
                    }
                    successful.push(json!(target));
                }
                Err((code, message)) => unsuccessful.push(failure(target, code, &message)),
            }
        }
        within_limits(exchange, &group.value, &registered)?;
        put(draft, group, &registered)?;
        Ok(json!({"successful": successful, "unsuccessful": unsuccessful}))
    })
}

/// How many targets a group may have.
fn within_limits(
    exchange: &Exchange<'_>,
    group: &TargetGroup,
    registered: &Targets,
) -> Result<(), ApiError> {
    let count = registered.registered.len();
    let single = match group.kind {
        TargetGroupType::Lambda => Some("function"),
        TargetGroupType::Alb => Some("load balancer"),
        TargetGroupType::Ip | TargetGroupType::Instance => None,
    };
    if let Some(what) = single.filter(|_| count > 1) {
        let text = format!(
            "Target group {} can have exactly one {what} as its target.",
            group.id
        );
        return Err(ApiError::field("targets", text));
    }
    quota::within(
        exchange.premises.quotas.targets,
        count.saturating_sub(1),
        ResourceType::Target,
        "L-D71303F3",
        "targets per target group",
    )
}

fn failure(target: &Target, code: &str, message: &str) -> Value {
    json!({
        "id": target.id,
        "port": target.port,
        "failureCode": code,
        "failureMessage": message,
    })
}

/// The caller's target group in the path, and what is registered in it.
fn find<'a>(
    exchange: &Exchange<'_>,
    draft: &mut Draft<'a>,
) -> Result<(&'a Entry<TargetGroup>, Targets), ApiError> {
    let identifier = exchange.text("targetGroupIdentifier");
    let group = exchange.own::<TargetGroup>(draft.catalog(), identifier)?;
    draft.may_change(group)?;
    let registered = draft.catalog().find::<Targets>(group.value.id).map_or_else(
        || Targets {
            group: group.value.id,
            account: group.value.account.clone(),
            registered: Vec::new(),
        },
        |entry| changed(&entry.value, |_| {}),
    );
    Ok((group, registered))
}

fn put(
    draft: &mut Draft<'_>,
    group: &Entry<TargetGroup>,
    registered: &Targets,
) -> Result<(), ApiError> {
    match draft.catalog().find::<Targets>(group.value.id) {
        Some(before) if before.value.registered == registered.registered => Ok(()),
        Some(before) => draft.update(before, registered),
        None if registered.registered.is_empty() => Ok(()),
        None => draft.create(registered),
    }
}

/// The target as it is stored.
fn fit(
    exchange: &Exchange<'_>,
    catalog: &Catalog,
    group: &TargetGroup,
    given: &Target,
) -> Result<Target, Unfit> {
    let config = group.config.as_ref();
    let vpc = config
        .and_then(|config| config.vpc_identifier.as_ref())
        .and_then(|id| catalog.vpc(id));
    let unfit = |message: String| Err(("InvalidTarget", message));
    let id = match group.kind {
        TargetGroupType::Lambda => {
            if given.port.is_some() {
                return unfit("a function has no port".to_owned());
            }
            let fits = FunctionArn::parse(&given.id).is_some_and(|parts| {
                parts.account == group.account.as_str()
                    && parts.region == exchange.region().as_str()
            });
            if !fits {
                return unfit(format!(
                    "{} is not the ARN of a function of this account and region",
                    given.id
                ));
            }
            return Ok(given.clone());
        }
        TargetGroupType::Ip => {
            let Ok(address) = given.id.parse::<IpAddr>() else {
                return unfit(format!("{} is not an IP address", given.id));
            };
            let family = config.and_then(|config| config.ip_address_type);
            if address.is_ipv6() != (family == Some(IpAddressType::Ipv6)) {
                return unfit(format!(
                    "{address} is not of the address type of the target group"
                ));
            }
            if !vpc.is_some_and(|vpc| vpc.may_hold(address)) {
                return unfit(format!("{address} is not in the VPC of the target group"));
            }
            address.to_string()
        }
        TargetGroupType::Instance | TargetGroupType::Alb => {
            if !vpc.is_some_and(|vpc| vpc.address_book.contains_key(given.id.as_str())) {
                return unfit(format!(
                    "{} is not in the VPC of the target group",
                    given.id
                ));
            }
            given.id.clone()
        }
    };
    let port = given.port.or(config.and_then(|config| config.port));
    Ok(Target { id, port })
}

pub(super) fn deregister(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let given: Given = exchange.input()?;
    exchange.change(|draft| {
        let (group, mut registered) = find(exchange, draft)?;
        let (mut successful, mut unsuccessful) = (Vec::new(), Vec::new());
        for target in &given.targets {
            let wanted = normal(&group.value, target);
            let before = registered.registered.len();
            registered.registered.retain(|known| *known != wanted);
            if registered.registered.len() < before {
                successful.push(json!(wanted));
            } else {
                let message = format!("Target {} is not registered", target.id);
                unsuccessful.push(failure(target, "TargetNotFound", &message));
            }
        }
        put(draft, group, &registered)?;
        Ok(json!({"successful": successful, "unsuccessful": unsuccessful}))
    })
}

/// A target as it would be stored: one address in one spelling, with a port.
fn normal(group: &TargetGroup, target: &Target) -> Target {
    let address = target.id.parse::<IpAddr>();
    let port = group.config.as_ref().and_then(|config| config.port);
    Target {
        id: address.map_or_else(|_| target.id.clone(), |address| address.to_string()),
        port: target.port.or(port),
    }
}

pub(super) fn list(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let given: Given = exchange.input()?;
    let page = Page::of(exchange)?;
    let catalog = exchange.plane().catalog();
    let identifier = exchange.text("targetGroupIdentifier");
    let group = exchange.own::<TargetGroup>(&catalog, identifier)?;
    let fits = |target: &Target| {
        given.targets.is_empty()
            || given.targets.iter().any(|wanted| {
                let normal = normal(&group.value, wanted);
                normal.id == target.id && (wanted.port.is_none() || wanted.port == target.port)
            })
    };
    let targets = statuses(exchange, &catalog, &group.value);
    let items = targets
        .into_iter()
        .filter(|(target, _)| fits(target))
        .map(|(target, health)| {
            let place = format!("{}:{:05}", target.id, target.port.unwrap_or_default());
            (place, (target, health))
        })
        .filter(|(place, _)| page.after_text().is_none_or(|after| place.as_str() > after));
    page.texts(items, |(target, health)| {
        Ok(json!({
            "id": target.id,
            "port": target.port,
            "status": health.status,
            "reasonCode": health.reason,
        }))
    })
}

/// Registered and draining targets, in a stable order, with how they do.
fn statuses(
    exchange: &Exchange<'_>,
    catalog: &Catalog,
    group: &TargetGroup,
) -> BTreeMap<Target, TargetHealth> {
    let health = |status, reason| TargetHealth {
        status,
        reason: Some(reason),
    };
    let used = catalog.count::<Rule>(&Scope::Group(group.id)) > 0;
    let checked = match group.kind {
        TargetGroupType::Ip | TargetGroupType::Instance => {
            let check = group
                .config
                .as_ref()
                .and_then(|config| config.health_check.as_ref());
            check.and_then(|check| check.enabled).unwrap_or(false)
        }
        TargetGroupType::Lambda | TargetGroupType::Alb => false,
    };
    // Until the data plane says something else.
    let presumed = match (used, checked, group.kind) {
        (false, ..) => health("UNUSED", "TargetGroupNotInUse"),
        (true, true, _) => health("INITIAL", "HealthCheckInProgress"),
        (true, false, TargetGroupType::Lambda | TargetGroupType::Alb) => {
            health("UNAVAILABLE", "HealthCheckNotSupported")
        }
        (true, false, _) => health("UNAVAILABLE", "HealthCheckDisabled"),
    };
    let registered = catalog.find::<Targets>(group.id);
    let mut statuses: BTreeMap<Target, TargetHealth> = registered
        .iter()
        .flat_map(|targets| &targets.value.registered)
        .map(|target| (target.clone(), presumed))
        .collect();
    for (id, port, live) in exchange.premises.live.targets(group.id) {
        let target = Target { id, port };
        match statuses.get_mut(&target) {
            // It was registered again, or the data plane has not heard of it yet.
            Some(_) if live.status == "DRAINING" => {}
            Some(known) if used => *known = live,
            Some(_) => {}
            None => {
                statuses.insert(target, health("DRAINING", "DeregistrationInProgress"));
            }
        }
    }
    statuses
}
