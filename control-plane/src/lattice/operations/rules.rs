//! Rules.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};
use trellis_model::{id::RuleId, name::Name};

use super::{actions, listeners, networks::name_is_free, tags, view::view};
use crate::{
    catalog::{Catalog, Entry},
    lattice::{
        Exchange,
        error::{ApiError, ResourceType},
        page::Page,
        quota,
    },
    plane::{Draft, changed},
    resource::{Action, Listener, Resource as _, Rule, RuleMatch, Scope, Service, Tags},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    name: Name,
    #[serde(rename = "match")]
    condition: RuleMatch,
    priority: u16,
    action: Action,
    #[serde(default)]
    tags: Tags,
}

/// What may change of a rule; what is absent stays.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    #[serde(rename = "match")]
    condition: Option<RuleMatch>,
    priority: Option<u16>,
    action: Option<Action>,
}

pub(super) fn create(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let input: Create = exchange.input()?;
    tags::check(&input.tags, exchange)?;
    exchange.create(|draft| {
        let (service, listener) = parents(exchange, draft.catalog())?;
        draft.may_change(listener)?;
        let scope = Scope::Listener(listener.value.id);
        name_is_free::<Rule>(draft, &scope, &input.name)?;
        passes_through(&listener.value)?;
        priority_is_free(draft, &scope, input.priority, None)?;
        // The default rule does not count.
        quota::within(
            exchange.premises.quotas.rules,
            draft.catalog().count::<Rule>(&scope).saturating_sub(1),
            ResourceType::Rule,
            "L-CF78395E",
            "rules per listener",
        )?;
        let user = actions::User {
            service: &service.value,
            protocol: listener.value.protocol,
            at: "action",
        };
        let action = actions::resolve(exchange, draft, &user, &input.action)?;
        let rule = Rule {
            id: RuleId::from_number(exchange.fresh_number()),
            account: service.value.account.clone(),
            service: service.value.id,
            listener: listener.value.id,
            name: input.name.clone(),
            is_default: false,
            created_at: exchange.now,
            last_updated_at: exchange.now,
            tags: input.tags.clone(),
            priority: Some(input.priority),
            condition: Some(input.condition.clone()),
            action,
        };
        draft.create(&rule)?;
        Ok(Value::Object(view(&rule, exchange.region())?))
    })
}

/// The caller's service and listener that the path names.
fn parents<'c>(
    exchange: &Exchange<'_>,
    catalog: &'c Catalog,
) -> Result<(&'c Entry<Service>, &'c Entry<Listener>), ApiError> {
    let service = exchange.own::<Service>(catalog, exchange.text("serviceIdentifier"))?;
    Ok((service, listeners::find(exchange, catalog, service)?))
}

/// A listener that does not look into connections has no rules but the default rule.
fn passes_through(listener: &Listener) -> Result<(), ApiError> {
    if listener.protocol == crate::resource::ListenerProtocol::TlsPassthrough {
        let text = "A TLS_PASSTHROUGH listener has no rules besides the default rule.";
        return Err(ApiError::field("listenerIdentifier", text));
    }
    Ok(())
}

fn priority_is_free(
    draft: &mut Draft<'_>,
    scope: &Scope,
    priority: u16,
    but: Option<RuleId>,
) -> Result<(), ApiError> {
    let catalog = draft.catalog();
    let mut siblings = catalog.within::<Rule>(scope);
    draft.nothing_new_on(scope);
    match siblings.find(|rule| rule.value.priority == Some(priority) && Some(rule.value.id) != but)
    {
        None => Ok(()),
        Some(taken) => Err(taken_priority(priority, taken.value.id)),
    }
}

fn taken_priority(priority: u16, by: RuleId) -> ApiError {
    let message = format!("A rule with priority {priority} already exists: {by}");
    ApiError::conflict(ResourceType::Rule, by, message)
}

/// A rule of a listener, by id or ARN.
fn find<'c>(
    exchange: &Exchange<'_>,
    catalog: &'c Catalog,
    listener: &Entry<Listener>,
    identifier: &str,
) -> Result<&'c Entry<Rule>, ApiError> {
    exchange.find(catalog, identifier, |entry: &Entry<Rule>| {
        entry.value.listener == listener.value.id
    })
}

pub(super) fn get(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let catalog = exchange.plane().catalog();
    let service = exchange.visible(&catalog, exchange.text("serviceIdentifier"))?;
    let listener = listeners::find(exchange, &catalog, service)?;
    let rule = find(
        exchange,
        &catalog,
        listener,
        exchange.text("ruleIdentifier"),
    )?;
    Ok(Value::Object(view(&*rule.value, exchange.region())?))
}

pub(super) fn list(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let page = Page::of(exchange)?;
    let catalog = exchange.plane().catalog();
    let service = exchange.visible(&catalog, exchange.text("serviceIdentifier"))?;
    let listener = listeners::find(exchange, &catalog, service)?;
    let scope = Scope::Listener(listener.value.id);
    let entries = Rule::table(&catalog).within(&scope, page.after::<Rule>());
    page.list(entries, |entry| {
        Ok(Value::Object(view(&*entry.value, exchange.region())?))
    })
}

pub(super) fn update(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let input: Update = exchange.input()?;
    exchange.change(|draft| {
        let (service, listener) = parents(exchange, draft.catalog())?;
        let identifier = exchange.text("ruleIdentifier");
        let entry = find(exchange, draft.catalog(), listener, identifier)?;
        not_default(&entry.value)?;
        draft.rely_on(listener);
        if let Some(priority) = input.priority {
            let scope = Scope::Listener(listener.value.id);
            priority_is_free(draft, &scope, priority, Some(entry.value.id))?;
        }
        let user = actions::User {
            service: &service.value,
            protocol: listener.value.protocol,
            at: "action",
        };
        let rule = updated(exchange, draft, &user, entry, &input)?;
        draft.update(entry, &rule)?;
        Ok(Value::Object(view(&rule, exchange.region())?))
    })
}

fn not_default(rule: &Rule) -> Result<(), ApiError> {
    if rule.is_default {
        let text = "The default rule cannot be changed or deleted; update the default action of its listener instead.";
        return Err(ApiError::field("ruleIdentifier", text));
    }
    Ok(())
}

/// The rule with what is given put in.
fn updated(
    exchange: &Exchange<'_>,
    draft: &mut Draft<'_>,
    user: &actions::User<'_>,
    entry: &Entry<Rule>,
    update: &Update,
) -> Result<Rule, ApiError> {
    let action = update
        .action
        .as_ref()
        .map(|action| actions::resolve(exchange, draft, user, action))
        .transpose()?;
    Ok(changed(&entry.value, |rule| {
        if let Some(condition) = &update.condition {
            rule.condition = Some(condition.clone());
        }
        if let Some(priority) = update.priority {
            rule.priority = Some(priority);
        }
        if let Some(action) = action {
            rule.action = action;
        }
        rule.last_updated_at = exchange.now;
    }))
}

pub(super) fn delete(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    exchange.change(|draft| {
        let (_, listener) = parents(exchange, draft.catalog())?;
        let identifier = exchange.text("ruleIdentifier");
        let entry = find(exchange, draft.catalog(), listener, identifier)?;
        not_default(&entry.value)?;
        draft.remove(entry)?;
        Ok(json!({}))
    })
}

/// What becomes of one rule of a batch: its entry and its new value, or the identifier that was given and why not.
type Outcome<'c> = Result<(&'c Entry<Rule>, Rule), (String, ApiError)>;

/// Updates several rules together, for instance to swap their priorities: what counts is the state after all of them. One that cannot
/// be updated is told of, and the others are.
pub(super) fn update_several(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct One {
        rule_identifier: String,
        #[serde(flatten)]
        update: Update,
    }
    #[derive(Deserialize)]
    struct Several {
        rules: Vec<One>,
    }
    let input: Several = exchange.input()?;
    exchange.change(|draft| {
        let catalog = draft.catalog();
        let (service, listener) = parents(exchange, catalog)?;
        draft.may_change(listener)?;
        let user = actions::User {
            service: &service.value,
            protocol: listener.value.protocol,
            at: "rules",
        };
        let mut outcomes: Vec<Outcome<'_>> = Vec::new();
        let mut seen = BTreeSet::new();
        for one in &input.rules {
            let made = find(exchange, catalog, listener, &one.rule_identifier).and_then(|entry| {
                not_default(&entry.value)?;
                if !seen.insert(entry.value.id) {
                    return Err(ApiError::field("rules", "The rule is given twice."));
                }
                let rule = updated(exchange, draft, &user, entry, &one.update)?;
                Ok((entry, rule))
            });
            outcomes.push(made.map_err(|error| (one.rule_identifier.clone(), error)));
        }
        settle_priorities(draft, &Scope::Listener(listener.value.id), &mut outcomes);
        let (mut successful, mut unsuccessful) = (Vec::new(), Vec::new());
        for outcome in outcomes {
            match outcome {
                Ok((entry, rule)) => {
                    draft.update(entry, &rule)?;
                    successful.push(Value::Object(view(&rule, exchange.region())?));
                }
                Err((identifier, error)) => unsuccessful.push(json!({
                    "ruleIdentifier": identifier,
                    "failureCode": error.code(),
                    "failureMessage": error.body().get("message"),
                })),
            }
        }
        Ok(json!({"successful": successful, "unsuccessful": unsuccessful}))
    })
}

/// An update that gives a rule a priority which another rule has after all updates fails; its rule keeps the priority it had, which may
/// make further updates fail.
fn settle_priorities(draft: &mut Draft<'_>, scope: &Scope, outcomes: &mut [Outcome<'_>]) {
    draft.nothing_new_on(scope);
    loop {
        let mut after: BTreeMap<RuleId, Option<u16>> = draft
            .catalog()
            .within::<Rule>(scope)
            .map(|rule| (rule.value.id, rule.value.priority))
            .collect();
        for (_, rule) in outcomes.iter().flatten() {
            after.insert(rule.id, rule.priority);
        }
        let clash = outcomes.iter().position(|outcome| {
            outcome.as_ref().is_ok_and(|(entry, rule)| {
                rule.priority != entry.value.priority
                    && after
                        .iter()
                        .any(|(id, priority)| *id != rule.id && *priority == rule.priority)
            })
        });
        let Some(outcome) = clash.and_then(|position| outcomes.get_mut(position)) else {
            return;
        };
        if let Ok((_, rule)) = outcome {
            let priority = rule.priority.unwrap_or_default();
            let other = after
                .iter()
                .find(|(id, found)| **id != rule.id && **found == rule.priority)
                .map_or(rule.id, |(id, _)| *id);
            let id = rule.id.to_string();
            *outcome = Err((id, taken_priority(priority, other)));
        }
    }
}
