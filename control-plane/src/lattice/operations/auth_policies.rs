//! Auth policies of service networks and services.

use serde_json::{Value, json};
use trellis_model::id::{ServiceId, ServiceNetworkId};
use trellis_policy::check_auth_policy;

use crate::{
    catalog::Entry,
    lattice::{
        Exchange, arns,
        error::{ApiError, ResourceType},
    },
    plane::{Draft, changed},
    resource::{AuthType, Service, ServiceNetwork},
};

/// What a policy is attached to.
enum Subject<'c> {
    Network(&'c Entry<ServiceNetwork>),
    Service(&'c Entry<Service>),
}

/// What the input names, if the caller owns it.
fn find<'c>(
    exchange: &Exchange<'_>,
    catalog: &'c crate::catalog::Catalog,
) -> Result<Subject<'c>, ApiError> {
    let identifier = exchange.text("resourceIdentifier");
    let id = arns::id_of(identifier);
    if id.starts_with(ServiceNetworkId::PREFIX) {
        Ok(Subject::Network(exchange.own(catalog, identifier)?))
    } else if id.starts_with(ServiceId::PREFIX) {
        Ok(Subject::Service(exchange.own(catalog, identifier)?))
    } else {
        Err(ApiError::field(
            "resourceIdentifier",
            "Auth policies can be attached to service networks and services only.",
        ))
    }
}

fn state(auth_type: AuthType) -> &'static str {
    match auth_type {
        AuthType::None => "Inactive",
        AuthType::AwsIam => "Active",
    }
}

pub(super) fn put(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let policy = exchange.text("policy");
    let most = exchange.premises.auth_policy_bytes;
    if policy.len() > most {
        let text = format!("The policy of {} bytes is larger than {most}", policy.len());
        return Err(ApiError::field("policy", text));
    }
    check_auth_policy(policy).map_err(|problems| {
        let text = problems.join("; ");
        ApiError::field("policy", format!("Invalid policy: {text}"))
    })?;
    exchange.change(|draft| {
        let auth_type = attach(exchange, draft, Some(policy))?;
        Ok(json!({"policy": policy, "state": state(auth_type)}))
    })
}

/// Puts a policy in place, or takes it away; whether it counts.
fn attach(
    exchange: &Exchange<'_>,
    draft: &mut Draft<'_>,
    policy: Option<&str>,
) -> Result<AuthType, ApiError> {
    match find(exchange, draft.catalog())? {
        Subject::Network(entry) => {
            let network = changed(&entry.value, |network| {
                network.auth_policy = policy.map(str::to_owned);
            });
            draft.update(entry, &network)?;
            Ok(network.auth_type)
        }
        Subject::Service(entry) => {
            let service = changed(&entry.value, |service| {
                service.auth_policy = policy.map(str::to_owned);
            });
            draft.update(entry, &service)?;
            Ok(service.auth_type)
        }
    }
}

/// Without a policy the answer has neither policy nor state, which is how clients recognize that.
pub(super) fn get(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let catalog = exchange.plane().catalog();
    let show = |policy: Option<&String>, auth_type, created, updated| match policy {
        None => json!({}),
        Some(policy) => json!({
            "policy": policy,
            "state": state(auth_type),
            "createdAt": created,
            "lastUpdatedAt": updated,
        }),
    };
    Ok(match find(exchange, &catalog)? {
        Subject::Network(entry) => {
            let network = &entry.value;
            let times = (network.created_at, network.last_updated_at);
            show(
                network.auth_policy.as_ref(),
                network.auth_type,
                times.0,
                times.1,
            )
        }
        Subject::Service(entry) => {
            let service = &entry.value;
            let times = (service.created_at, service.last_updated_at);
            show(
                service.auth_policy.as_ref(),
                service.auth_type,
                times.0,
                times.1,
            )
        }
    })
}

pub(super) fn delete(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    exchange.change(|draft| {
        let there = match find(exchange, draft.catalog())? {
            Subject::Network(entry) => entry.value.auth_policy.is_some(),
            Subject::Service(entry) => entry.value.auth_policy.is_some(),
        };
        if !there {
            let id = arns::id_of(exchange.text("resourceIdentifier"));
            return Err(ApiError::not_found(ResourceType::AuthPolicy, id));
        }
        attach(exchange, draft, None)?;
        Ok(json!({}))
    })
}
