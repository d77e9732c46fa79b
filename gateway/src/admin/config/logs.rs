//! Subscriptions to access records.

use serde_json::{Map, Value, json};
use trellis_model::{
    config::{
        AccessLogSubscription, Delivery, LogDestination, LogLayout, LogShape, LogStoreKind,
        LoggedResource, WhenFull,
    },
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
        "destination": log_destination(&subscription.destination),
        "delivery": match &subscription.destination {
            LogDestination::Store(_) => delivery(&subscription.delivery),
            _ => Value::Null,
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

fn log_destination(destination: &LogDestination) -> Value {
    let store = match destination {
        LogDestination::File(path) => return json!({"file": path}),
        LogDestination::RotatingFile(path, rotation) => {
            return json!({"rotatingFile": {
                "path": path,
                "megabytes": rotation.bytes >> 20,
                "hours": rotation.age.map(|age| age.as_secs() / 3600),
                "keep": rotation.keep,
            }});
        }
        LogDestination::Stdout => return json!("stdout"),
        LogDestination::Store(store) => store,
    };
    let kind = match &store.kind {
        LogStoreKind::S3 { .. } => "s3",
        LogStoreKind::CloudWatchLogs { .. } => "cloudWatchLogs",
        LogStoreKind::Firehose { .. } => "firehose",
        LogStoreKind::Otlp { .. } => "otlp",
        LogStoreKind::Loki { .. } => "loki",
    };
    let scheme = if store.endpoint.tls { "https" } else { "http" };
    json!({
        "kind": kind,
        "name": store.name,
        "endpoint": format!("{scheme}://{}", store.endpoint.authority),
    })
}

fn delivery(delivery: &Delivery) -> Value {
    let (when_full, block) = match delivery.when_full {
        WhenFull::DropOldest => ("DROP_OLDEST", None),
        WhenFull::DropNew => ("DROP_NEW", None),
        WhenFull::Block(longest) => ("BLOCK", Some(longest.as_secs())),
        WhenFull::Refuse => ("REFUSE", None),
    };
    json!({
        "whenFull": when_full,
        "blockSeconds": block,
        "spoolMegabytes": delivery.spool_bytes >> 20,
        "batchSeconds": delivery.batch.as_secs(),
        "batchMegabytes": delivery.batch_bytes >> 20,
    })
}
