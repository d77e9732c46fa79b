//! Target groups of functions, without what their calls are signed with.

use std::time::Duration;

use serde_json::{Value, json};
use trellis_model::config::{
    EventVersion, FunctionCall, FunctionGroup, FunctionNames, HttpEndpoint,
};

use super::REDACTED;

pub(super) fn group(group: &FunctionGroup) -> Value {
    json!({
        "id": group.id.to_string(),
        "arn": group.arn.as_str(),
        "name": group.name.as_str(),
        "account": group.account.as_str(),
        "type": "LAMBDA",
        "config": {
            "lambdaEventStructureVersion": match group.event {
                EventVersion::V1 => "V1",
                EventVersion::V2 => "V2",
            },
        },
        "function": call(group),
        "targets": [{"id": group.function.as_str()}],
        "tags": group.tags,
    })
}

fn call(group: &FunctionGroup) -> Value {
    let (mode, names, signer) = match &group.call {
        FunctionCall::Event { .. } => ("EVENT", None, None),
        FunctionCall::Invoke { names, signer, .. } => ("INVOKE", Some(names), signer.as_ref()),
    };
    json!({
        "mode": mode,
        "endpoint": url(group.call.endpoint()),
        "names": names.map(|names| match names {
            FunctionNames::Arn => "ARN",
            FunctionNames::Name => "NAME",
        }),
        "region": signer.map(|signer| signer.region.as_str()),
        "credentials": signer.map(|signer| json!({
            "accessKeyId": signer.access_key,
            "secretAccessKey": REDACTED,
            "sessionToken": signer.session_token.as_ref().map(|_| REDACTED),
        })),
        "timeoutSeconds": group.timeout.as_ref().map(Duration::as_secs),
        "maxConcurrentInvocations": group.concurrency,
    })
}

/// A query may hold a key, so it is not shown.
fn url(endpoint: &HttpEndpoint) -> String {
    let scheme = if endpoint.tls { "https" } else { "http" };
    let path = endpoint.path.split('?').next().unwrap_or_default();
    format!("{scheme}://{}{path}", endpoint.authority)
}
