//! What a rule or a listener may do with requests.

use std::collections::BTreeSet;

use trellis_model::id::TargetGroupId;

use crate::{
    lattice::{
        Exchange,
        error::{ApiError, ResourceType},
        quota,
    },
    plane::Draft,
    resource::{
        Action, FixedResponse, Forward, ListenerProtocol, Rule, Scope, Service, TargetGroup,
        TargetProtocol, WeightedTargetGroup,
    },
};

/// Weight of a target group for which none is given.
const WEIGHT: u16 = 100;

/// Statuses of fixed responses. Source: user guide, "Fixed-response actions".
const STATUSES: [u16; 2] = [404, 500];

/// What is going to act, and where in the input the action stands.
pub(super) struct User<'a> {
    pub(super) service: &'a Service,
    pub(super) protocol: ListenerProtocol,
    pub(super) at: &'a str,
}

/// The action as it is stored: target groups by id, weights filled in.
///
/// # Errors
///
/// A target group that is not there, not of the account, in use by another service, or of a protocol that does not fit; a status
/// that fixed responses do not have; too many target groups.
pub(super) fn resolve(
    exchange: &Exchange<'_>,
    draft: &mut Draft<'_>,
    user: &User<'_>,
    action: &Action,
) -> Result<Action, ApiError> {
    match action {
        Action::FixedResponse(FixedResponse { status_code }) => {
            let at = format!("{}.fixedResponse.statusCode", user.at);
            if user.protocol == ListenerProtocol::TlsPassthrough {
                let text = "A TLS_PASSTHROUGH listener can only forward.";
                return Err(ApiError::field(user.at, text));
            }
            if !STATUSES.contains(status_code) {
                let text = format!("statusCode {status_code} is not supported; use 404 or 500.");
                return Err(ApiError::field(&at, text));
            }
            Ok(action.clone())
        }
        Action::Forward(forward) => {
            let mut seen = BTreeSet::new();
            let mut groups = Vec::new();
            for (position, written) in forward.target_groups.iter().enumerate() {
                let at = format!("{}.forward.targetGroups[{position}]", user.at);
                let id = group(exchange, draft, user, written, &at)?;
                if !seen.insert(id) {
                    let text = format!("target group {id} is given twice.");
                    return Err(ApiError::field(
                        &format!("{at}.targetGroupIdentifier"),
                        text,
                    ));
                }
                groups.push(WeightedTargetGroup {
                    target_group_identifier: id.to_string(),
                    weight: Some(written.weight.unwrap_or(WEIGHT)),
                });
            }
            within_quota(exchange, draft, user.service, &seen)?;
            Ok(Action::Forward(Forward {
                target_groups: groups,
            }))
        }
    }
}

fn group(
    exchange: &Exchange<'_>,
    draft: &mut Draft<'_>,
    user: &User<'_>,
    written: &WeightedTargetGroup,
    at: &str,
) -> Result<TargetGroupId, ApiError> {
    let catalog = draft.catalog();
    let entry = exchange.own::<TargetGroup>(catalog, &written.target_group_identifier)?;
    draft.rely_on(entry);
    let id = entry.value.id;
    let protocol = entry
        .value
        .config
        .as_ref()
        .and_then(|config| config.protocol);
    let tcp = protocol == Some(TargetProtocol::Tcp);
    let passthrough = user.protocol == ListenerProtocol::TlsPassthrough;
    if tcp != passthrough {
        let text = if tcp {
            format!(
                "target group {id} has protocol TCP, which only a TLS_PASSTHROUGH listener can use."
            )
        } else {
            format!(
                "target group {id} does not have protocol TCP, which a TLS_PASSTHROUGH listener requires."
            )
        };
        return Err(ApiError::field(
            &format!("{at}.targetGroupIdentifier"),
            text,
        ));
    }
    // Somebody else may begin to use it at this moment.
    let scope = Scope::Group(id);
    draft.nothing_new_on(&scope);
    let elsewhere = catalog
        .within::<Rule>(&scope)
        .find(|rule| rule.value.service != user.service.id);
    if let Some(rule) = elsewhere {
        let message = format!(
            "Target group {id} is already in use by service {}",
            rule.value.service
        );
        return Err(ApiError::conflict(ResourceType::TargetGroup, id, message));
    }
    Ok(id)
}

/// How many target groups the service uses, with these.
fn within_quota(
    exchange: &Exchange<'_>,
    draft: &Draft<'_>,
    service: &Service,
    new: &BTreeSet<TargetGroupId>,
) -> Result<(), ApiError> {
    let catalog = draft.catalog();
    let scope = Scope::Service(service.id);
    let mut used: BTreeSet<TargetGroupId> = catalog
        .within::<crate::resource::Listener>(&scope)
        .flat_map(|listener| catalog.within::<Rule>(&Scope::Listener(listener.value.id)))
        .flat_map(|rule| rule.value.action.groups().collect::<Vec<_>>())
        .collect();
    let before = used.len();
    used.extend(new);
    if used.len() == before {
        return Ok(());
    }
    quota::within(
        exchange.premises.quotas.target_groups_per_service,
        used.len().saturating_sub(1),
        ResourceType::TargetGroup,
        "L-3DEC3B9F",
        "target groups per service",
    )
}
