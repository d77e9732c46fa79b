//! Subscriptions to access records.

use serde::Deserialize;
use serde_json::{Value, json};
use trellis_model::id::{AccessLogSubscriptionId, ServiceId, ServiceNetworkId};

use super::{tags, view::view};
use crate::{
    catalog::{Catalog, Entry},
    lattice::{
        Exchange,
        arns::{self, Named},
        error::{ApiError, ResourceType},
        page::Page,
    },
    plane::{Draft, changed},
    resource::{
        AccessLogSubscription, LogType, Resource as _, ResourceConfiguration, Scope, Service,
        ServiceNetwork, Tags,
    },
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    resource_identifier: String,
    destination_arn: String,
    service_network_log_type: Option<LogType>,
    #[serde(default)]
    tags: Tags,
}

/// Where records go, by the service in the ARN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Destination {
    Bucket,
    LogGroup,
    DeliveryStream,
}

impl Destination {
    fn of(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let service = parts.nth(2)?;
        let rest = parts.nth(2)?;
        match service {
            "s3" if !rest.is_empty() => Some(Self::Bucket),
            "logs" if rest.starts_with("log-group:") => Some(Self::LogGroup),
            "firehose" if rest.starts_with("deliverystream/") => Some(Self::DeliveryStream),
            _ => None,
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Bucket => "S3 bucket",
            Self::LogGroup => "CloudWatch log group",
            Self::DeliveryStream => "Firehose delivery stream",
        }
    }
}

fn destination(arn: &str) -> Result<Destination, ApiError> {
    Destination::of(arn).ok_or_else(|| {
        let text = format!(
            "{arn} is not the ARN of an S3 bucket, a CloudWatch log group or a Firehose delivery stream"
        );
        ApiError::field("destinationArn", text)
    })
}

/// What the records are about: its scope, its id and its ARN.
struct Subject {
    scope: Scope,
    id: String,
    arn: String,
}

fn subject(
    exchange: &Exchange<'_>,
    draft: Option<&mut Draft<'_>>,
    catalog: &Catalog,
    identifier: &str,
) -> Result<Subject, ApiError> {
    let id = arns::id_of(identifier);
    if id.starts_with(ServiceNetworkId::PREFIX) {
        let entry = exchange.own::<ServiceNetwork>(catalog, identifier)?;
        Ok(of_entry(exchange, draft, entry, Scope::Network))
    } else if id.starts_with(ServiceId::PREFIX) {
        let entry = exchange.own::<Service>(catalog, identifier)?;
        Ok(of_entry(exchange, draft, entry, Scope::Service))
    } else {
        let entry = exchange.own::<ResourceConfiguration>(catalog, identifier)?;
        Ok(of_entry(
            exchange,
            draft,
            entry,
            Scope::ResourceConfiguration,
        ))
    }
}

/// An entry as a subject. A change relies on it.
fn of_entry<T: Named>(
    exchange: &Exchange<'_>,
    draft: Option<&mut Draft<'_>>,
    entry: &Entry<T>,
    scope: fn(T::Id) -> Scope,
) -> Subject {
    if let Some(draft) = draft {
        draft.rely_on(entry);
    }
    Subject {
        scope: scope(entry.value.id()),
        id: entry.value.id().to_string(),
        arn: entry.value.arn(exchange.region()).to_string(),
    }
}

pub(super) fn create(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let input: Create = exchange.input()?;
    tags::check(&input.tags, exchange)?;
    let kind = destination(&input.destination_arn)?;
    exchange.create(|draft| {
        let catalog = draft.catalog();
        let subject = subject(exchange, Some(draft), catalog, &input.resource_identifier)?;
        let of_network = matches!(subject.scope, Scope::Network(_));
        if input.service_network_log_type.is_some() && !of_network {
            let text = "serviceNetworkLogType is for service networks only";
            return Err(ApiError::field("serviceNetworkLogType", text));
        }
        let log_type = of_network.then(|| input.service_network_log_type.unwrap_or_default());
        is_free(draft, &subject.scope, (kind, log_type), None)?;
        let subscription = AccessLogSubscription {
            id: AccessLogSubscriptionId::from_number(exchange.fresh_number()),
            account: exchange.account.clone(),
            created_at: exchange.now,
            last_updated_at: exchange.now,
            tags: input.tags.clone(),
            resource_id: subject.id,
            resource_arn: subject.arn,
            destination_arn: input.destination_arn.clone(),
            service_network_log_type: log_type,
        };
        draft.create(&subscription)?;
        Ok(Value::Object(view(&subscription, exchange.region())?))
    })
}

/// A resource has one subscription for each kind of destination.
fn is_free(
    draft: &mut Draft<'_>,
    scope: &Scope,
    (kind, log_type): (Destination, Option<LogType>),
    but: Option<AccessLogSubscriptionId>,
) -> Result<(), ApiError> {
    draft.nothing_new_on(scope);
    let mut there = draft.catalog().within::<AccessLogSubscription>(scope);
    let taken = there.find(|entry| {
        Some(entry.value.id) != but
            && entry.value.service_network_log_type == log_type
            && Destination::of(&entry.value.destination_arn) == Some(kind)
    });
    match taken {
        None => Ok(()),
        Some(taken) => Err(ApiError::conflict(
            ResourceType::AccessLogSubscription,
            taken.value.id,
            format!("A subscription with a {} already exists", kind.noun()),
        )),
    }
}

pub(super) fn get(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let catalog = exchange.plane().catalog();
    let identifier = exchange.text("accessLogSubscriptionIdentifier");
    let entry = exchange.own::<AccessLogSubscription>(&catalog, identifier)?;
    Ok(Value::Object(view(&*entry.value, exchange.region())?))
}

pub(super) fn list(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let page = Page::of(exchange)?;
    let catalog = exchange.plane().catalog();
    let identifier = exchange.text("resourceIdentifier");
    let subject = match subject(exchange, None, &catalog, identifier) {
        Err(ApiError::NotFound { .. }) => return page.nothing(),
        subject => subject?,
    };
    let after = page.after::<AccessLogSubscription>();
    let entries = AccessLogSubscription::table(&catalog).within(&subject.scope, after);
    page.list(entries, |entry| {
        Ok(Value::Object(view(&*entry.value, exchange.region())?))
    })
}

pub(super) fn update(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let arn = exchange.text("destinationArn");
    let kind = destination(arn)?;
    exchange.change(|draft| {
        let catalog = draft.catalog();
        let identifier = exchange.text("accessLogSubscriptionIdentifier");
        let entry = exchange.own::<AccessLogSubscription>(catalog, identifier)?;
        if let Some(scope) = entry.value.subject() {
            let log_type = entry.value.service_network_log_type;
            is_free(draft, &scope, (kind, log_type), Some(entry.value.id))?;
        }
        let subscription = changed(&entry.value, |subscription| {
            arn.clone_into(&mut subscription.destination_arn);
            subscription.last_updated_at = exchange.now;
        });
        draft.update(entry, &subscription)?;
        Ok(Value::Object(view(&subscription, exchange.region())?))
    })
}

pub(super) fn delete(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    exchange.change(|draft| {
        let identifier = exchange.text("accessLogSubscriptionIdentifier");
        let entry = exchange.own::<AccessLogSubscription>(draft.catalog(), identifier)?;
        draft.remove(entry)?;
        Ok(json!({}))
    })
}

/// Removes all subscriptions to the records of something that goes away.
pub(super) fn remove_all(draft: &mut Draft<'_>, scope: &Scope) -> Result<(), ApiError> {
    for entry in draft.catalog().within::<AccessLogSubscription>(scope) {
        draft.remove(entry)?;
    }
    Ok(())
}
