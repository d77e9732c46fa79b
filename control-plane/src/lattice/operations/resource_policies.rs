//! Resource policies, with which a service network, a service or a resource configuration is shared with other accounts.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trellis_model::{
    id::{ServiceId, ServiceNetworkId},
    name::AccountId,
};

use crate::{
    catalog::Entry,
    lattice::{
        Exchange, arns,
        error::{ApiError, ResourceType},
    },
    plane::changed,
    resource::{
        ResourceConfiguration, ResourceConfigurationType, Service, ServiceNetwork, Sharing,
    },
};

/// Actions of which a sharing policy names one at least. Source: the managed permissions of RAM for VPC Lattice.
const ACTIONS: [&str; 6] = [
    "vpc-lattice:CreateServiceNetworkVpcAssociation",
    "vpc-lattice:CreateServiceNetworkServiceAssociation",
    "vpc-lattice:CreateServiceNetworkResourceAssociation",
    "vpc-lattice:GetServiceNetwork",
    "vpc-lattice:GetService",
    "vpc-lattice:GetResourceConfiguration",
];

/// What is shared.
enum Subject<'c> {
    Network(&'c Entry<ServiceNetwork>),
    Service(&'c Entry<Service>),
    Configuration(&'c Entry<ResourceConfiguration>),
}

impl Subject<'_> {
    fn sharing(&self) -> &Sharing {
        match self {
            Self::Network(entry) => &entry.value.sharing,
            Self::Service(entry) => &entry.value.sharing,
            Self::Configuration(entry) => &entry.value.sharing,
        }
    }
}

fn find<'c>(
    exchange: &Exchange<'_>,
    catalog: &'c crate::catalog::Catalog,
) -> Result<Subject<'c>, ApiError> {
    let arn = exchange.text("resourceArn");
    let id = arns::id_of(arn);
    if id.starts_with(ServiceNetworkId::PREFIX) {
        Ok(Subject::Network(exchange.own(catalog, arn)?))
    } else if id.starts_with(ServiceId::PREFIX) {
        Ok(Subject::Service(exchange.own(catalog, arn)?))
    } else {
        Ok(Subject::Configuration(exchange.own(catalog, arn)?))
    }
}

pub(super) fn put(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let text = exchange.text("policy");
    let accounts =
        read(text).map_err(|text| ApiError::field("policy", format!("Invalid policy: {text}")))?;
    shares_alone(exchange)?;
    change(exchange, |sharing| {
        sharing.policy = Some(text.to_owned());
        sharing.by_policy.clone_from(&accounts);
    })
}

/// Refuses what is shared as a part of something else.
fn shares_alone(exchange: &Exchange<'_>) -> Result<(), ApiError> {
    let catalog = exchange.plane().catalog();
    match find(exchange, &catalog)? {
        Subject::Configuration(entry) if entry.value.kind == ResourceConfigurationType::Child => {
            let text = "A child resource configuration is shared with its group.";
            Err(ApiError::field("resourceArn", text))
        }
        _ => Ok(()),
    }
}

fn change(exchange: &Exchange<'_>, make: impl Fn(&mut Sharing)) -> Result<Value, ApiError> {
    exchange.change(|draft| {
        match find(exchange, draft.catalog())? {
            Subject::Network(entry) => {
                let network = changed(&entry.value, |network| make(&mut network.sharing));
                draft.update(entry, &network)?;
            }
            Subject::Service(entry) => {
                let service = changed(&entry.value, |service| make(&mut service.sharing));
                draft.update(entry, &service)?;
            }
            Subject::Configuration(entry) => {
                let configuration = changed(&entry.value, |configuration| {
                    make(&mut configuration.sharing);
                });
                draft.update(entry, &configuration)?;
            }
        }
        Ok(json!({}))
    })
}

pub(super) fn get(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let catalog = exchange.plane().catalog();
    let subject = find(exchange, &catalog)?;
    match &subject.sharing().policy {
        Some(policy) => Ok(json!({"policy": policy})),
        None => Err(missing(exchange)),
    }
}

fn missing(exchange: &Exchange<'_>) -> ApiError {
    ApiError::not_found(ResourceType::ResourcePolicy, exchange.text("resourceArn"))
}

pub(super) fn delete(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    {
        let catalog = exchange.plane().catalog();
        if find(exchange, &catalog)?.sharing().policy.is_none() {
            return Err(missing(exchange));
        }
    }
    change(exchange, |sharing| {
        sharing.policy = None;
        sharing.by_policy.clear();
    })
}

/// The accounts that a policy shares with, or what is wrong with it. A policy that says more than sharing does (a denial, a condition) is
/// refused, because it would not be honored.
fn read(text: &str) -> Result<BTreeSet<AccountId>, String> {
    if text.contains(['\n', '\r']) {
        return Err("it must not contain newlines or blank lines".to_owned());
    }
    let policy: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) if !statements.is_empty() => statements.clone(),
        Some(statement @ Value::Object(_)) => vec![statement.clone()],
        _ => return Err("it has no Statement".to_owned()),
    };
    let mut accounts = BTreeSet::new();
    for statement in &statements {
        if statement.get("Effect") != Some(&json!("Allow")) {
            return Err("a statement must have the Effect Allow".to_owned());
        }
        if let Some(member) = ["Condition", "NotPrincipal", "NotAction", "NotResource"]
            .into_iter()
            .find(|member| statement.get(member).is_some())
        {
            return Err(format!("{member} is not supported in a resource policy"));
        }
        let actions = texts(statement.get("Action"));
        if !actions
            .iter()
            .any(|action| ACTIONS.contains(&action.as_str()))
        {
            return Err(format!("Action must contain one of {}", ACTIONS.join(", ")));
        }
        let principal = statement.get("Principal");
        let named = match principal {
            Some(Value::Object(kinds)) => texts(kinds.get("AWS")),
            other => texts(other),
        };
        if named.is_empty() {
            return Err("Principal must name accounts".to_owned());
        }
        for text in named {
            accounts.insert(account(&text)?);
        }
    }
    Ok(accounts)
}

/// An account: 12 digits, or the ARN of its root.
fn account(text: &str) -> Result<AccountId, String> {
    let digits = text
        .strip_prefix("arn:")
        .and_then(|rest| rest.split(':').nth(3))
        .filter(|_| text.ends_with(":root"))
        .unwrap_or(text);
    digits
        .parse()
        .map_err(|_| format!("Principal {text} is not an account"))
}

fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}
