//! Listeners, each with its default rule.

use serde::Deserialize;
use serde_json::{Value, json};
use trellis_model::{
    id::{ListenerId, RuleId},
    name::Name,
};

use super::{
    actions,
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
    resource::{Action, Listener, ListenerProtocol, Resource as _, Rule, Scope, Service, Tags},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    name: Name,
    protocol: ListenerProtocol,
    port: Option<u16>,
    default_action: Action,
    #[serde(default)]
    tags: Tags,
}

pub(super) fn create(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let input: Create = exchange.input()?;
    tags::check(&input.tags, exchange)?;
    let port = input.port.unwrap_or(match input.protocol {
        ListenerProtocol::Http => 80,
        ListenerProtocol::Https | ListenerProtocol::TlsPassthrough => 443,
    });
    exchange.create(|draft| {
        let catalog = draft.catalog();
        let service = exchange.own::<Service>(catalog, exchange.text("serviceIdentifier"))?;
        draft.may_change(service)?;
        let service = &service.value;
        let scope = Scope::Service(service.id);
        name_is_free::<Listener>(draft, &scope, &input.name)?;
        port_is_free(draft, &scope, port)?;
        quota::within(
            exchange.premises.quotas.listeners,
            catalog.count::<Listener>(&scope),
            ResourceType::Listener,
            "L-D64E952E",
            "listeners per service",
        )?;
        if input.protocol == ListenerProtocol::TlsPassthrough
            && service.custom_domain_name.is_none()
        {
            return Err(ApiError::field(
                "protocol",
                "A TLS_PASSTHROUGH listener requires a service with a custom domain name.",
            ));
        }
        let user = actions::User {
            service,
            protocol: input.protocol,
            at: "defaultAction",
        };
        let action = actions::resolve(exchange, draft, &user, &input.default_action)?;
        let id = ListenerId::from_number(exchange.fresh_number());
        let listener = Listener {
            id,
            account: service.account.clone(),
            service: service.id,
            name: input.name.clone(),
            created_at: exchange.now,
            last_updated_at: exchange.now,
            tags: input.tags.clone(),
            protocol: input.protocol,
            port,
            default_action: action.clone(),
            default_rule: RuleId::from_number(exchange.fresh_number()),
        };
        draft.create(&listener)?;
        draft.create(&default_rule(&listener, action)?)?;
        show(catalog, &listener, exchange)
    })
}

fn default_rule(listener: &Listener, action: Action) -> Result<Rule, ApiError> {
    let name = "default"
        .parse()
        .map_err(|error| ApiError::Internal(format!("{error}")))?;
    Ok(Rule {
        id: listener.default_rule,
        account: listener.account.clone(),
        service: listener.service,
        listener: listener.id,
        name,
        is_default: true,
        created_at: listener.created_at,
        last_updated_at: listener.last_updated_at,
        tags: Tags::new(),
        priority: None,
        condition: None,
        action,
    })
}

fn port_is_free(draft: &mut Draft<'_>, scope: &Scope, port: u16) -> Result<(), ApiError> {
    let catalog = draft.catalog();
    let mut siblings = catalog.within::<Listener>(scope);
    if let Some(taken) = siblings.find(|listener| listener.value.port == port) {
        let message = format!(
            "A listener with port {port} already exists: {}",
            taken.value.id
        );
        return Err(ApiError::conflict(
            ResourceType::Listener,
            taken.value.id,
            message,
        ));
    }
    draft.nothing_new_on(scope);
    Ok(())
}

fn show(
    catalog: &Catalog,
    listener: &Listener,
    exchange: &Exchange<'_>,
) -> Result<Value, ApiError> {
    let service = catalog.find::<Service>(listener.service);
    let arn = service.map(|service| service.value.arn(exchange.region()));
    Ok(with(
        view(listener, exchange.region())?,
        json!({
            "serviceId": listener.service,
            "serviceArn": arn.as_ref().map(trellis_model::arn::Arn::as_str),
        }),
    ))
}

/// A listener of the service in the input.
pub(super) fn find<'c>(
    exchange: &Exchange<'_>,
    catalog: &'c Catalog,
    service: &Entry<Service>,
) -> Result<&'c Entry<Listener>, ApiError> {
    exchange.find(
        catalog,
        exchange.text("listenerIdentifier"),
        |entry: &Entry<Listener>| entry.value.service == service.value.id,
    )
}

pub(super) fn get(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let catalog = exchange.plane().catalog();
    let service = exchange.visible(&catalog, exchange.text("serviceIdentifier"))?;
    let listener = find(exchange, &catalog, service)?;
    show(&catalog, &listener.value, exchange)
}

pub(super) fn list(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let page = Page::of(exchange)?;
    let catalog = exchange.plane().catalog();
    let service = exchange.visible::<Service>(&catalog, exchange.text("serviceIdentifier"))?;
    let scope = Scope::Service(service.value.id);
    let entries = Listener::table(&catalog).within(&scope, page.after::<Listener>());
    page.list(entries, |entry| show(&catalog, &entry.value, exchange))
}

pub(super) fn update(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Update {
        default_action: Action,
    }
    let input: Update = exchange.input()?;
    exchange.change(|draft| {
        let catalog = draft.catalog();
        let service = exchange.own::<Service>(catalog, exchange.text("serviceIdentifier"))?;
        let entry = find(exchange, catalog, service)?;
        draft.may_change(entry)?;
        let user = actions::User {
            service: &service.value,
            protocol: entry.value.protocol,
            at: "defaultAction",
        };
        let action = actions::resolve(exchange, draft, &user, &input.default_action)?;
        let listener = changed(&entry.value, |listener| {
            listener.default_action = action.clone();
            listener.last_updated_at = exchange.now;
        });
        draft.update(entry, &listener)?;
        if let Some(rule) = catalog.find::<Rule>(listener.default_rule) {
            let changed = changed(&rule.value, |rule| {
                rule.action = action;
                rule.last_updated_at = exchange.now;
            });
            draft.update(rule, &changed)?;
        }
        show(catalog, &listener, exchange)
    })
}

pub(super) fn delete(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    exchange.change(|draft| {
        let catalog = draft.catalog();
        let service = exchange.own::<Service>(catalog, exchange.text("serviceIdentifier"))?;
        let entry = find(exchange, catalog, service)?;
        remove(draft, entry)?;
        Ok(json!({}))
    })
}

/// Removes a listener with all its rules.
pub(super) fn remove(draft: &mut Draft<'_>, entry: &Entry<Listener>) -> Result<(), ApiError> {
    let catalog = draft.catalog();
    let scope = Scope::Listener(entry.value.id);
    draft.nothing_new_on(&scope);
    draft.remove(entry)?;
    for rule in catalog.within::<Rule>(&scope) {
        draft.remove(rule)?;
    }
    Ok(())
}
