//! Subscriptions to access records.

use serde_json::{Map, Value, json};
use trellis_model::{
    config::{AccessLogSubscription, LogDestination, LogLayout, LogShape, LoggedResource},
    record::{Field, FieldSet},
};

pub(super) fn subscription(subscription: &AccessLogSubscription) -> Value {
    json!({
        "id": subscription.id.to_string(),
        "arn": subscription.arn.as_str(),
        "resourceIdentifier": match subscription.resource {
            LoggedResource::ServiceNetwork(id) => id.to_string(),
            LoggedResource::Service(id) => id.to_string(),
        },
        "destination": match &subscription.destination {
            LogDestination::File(path) => json!({"file": path}),
            LogDestination::Stdout => json!("stdout"),
        },
        "records": shape(&subscription.shape),
    })
}

/// Which records, and how they look.
fn shape(shape: &LogShape) -> Value {
    let names = |set: FieldSet| -> Vec<&str> { set.iter().map(Field::name).collect() };
    let (fields, format) = match &shape.layout {
        LogLayout::Fields(fields) => (Some(names(*fields)), Value::Null),
        LogLayout::Text(template) => (None, json!({"text": template.text()})),
        LogLayout::Members(members) => {
            let members: Map<String, Value> = members
                .iter()
                .map(|(key, value)| (key.to_string(), value.text().into()))
                .collect();
            (None, json!({"json": members}))
        }
    };
    let paths = shape.hidden_paths.iter().map(ToString::to_string);
    json!({
        "fields": fields,
        "format": format,
        "redact": {"fields": names(shape.hidden), "paths": paths.collect::<Vec<_>>()},
        "sampling": {
            "oneIn2xx": shape.sampling.success,
            "oneIn3xx": shape.sampling.redirection,
            "oneIn4xx": shape.sampling.client_error,
        },
    })
}
