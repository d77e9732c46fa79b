//! May a caller perform an operation? Identity policies decide, over the resources that the call names.
//!
//! Every resource that a call touches must be allowed: an association is made with permission for the service, for the network and for
//! the association. A resource is named by its ARN whether or not it exists, so that a refusal tells nothing about that.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon VPC Lattice".

use serde_json::Value;
use trellis_model::arn::Arn;
use trellis_policy::calls::CallContext;

use super::{Exchange, arns, error::ApiError, operations::tags, schema::Segment};
use crate::{call::Call, caller::SignedBy, realm::Realm};

/// Members of inputs that name resources besides the one in the path, with the first part of the ARN after the account.
const NAMED_IN_BODY: [(&str, &str); 7] = [
    ("serviceNetworkIdentifier", "servicenetwork"),
    ("serviceIdentifier", "service"),
    ("resourceConfigurationIdentifier", "resourceconfiguration"),
    (
        "resourceConfigurationGroupIdentifier",
        "resourceconfiguration",
    ),
    ("resourceGatewayIdentifier", "resourcegateway"),
    ("domainVerificationIdentifier", "domainverification"),
    ("resourceIdentifier", ""),
];

/// Operations whose action is called otherwise.
fn action(operation: &str) -> String {
    // There is no action of this name.
    let name = if operation == "BatchUpdateRule" {
        "UpdateRule"
    } else {
        operation
    };
    format!("vpc-lattice:{name}")
}

/// Refuses what the caller's policies do not allow.
pub(super) fn authorize(
    exchange: &Exchange<'_>,
    caller: &SignedBy,
    call: &Call,
    realm: &Realm<'_>,
) -> Result<(), ApiError> {
    let action = action(&exchange.operation.name);
    let mut context = context(exchange, call, realm);
    context.describe(&caller.principal);
    for resource in resources(exchange) {
        caller
            .may(realm, (&action, &resource), &context)
            .map_err(ApiError::AccessDenied)?;
    }
    Ok(())
}

/// The ARNs of what a call is about.
fn resources(exchange: &Exchange<'_>) -> Vec<String> {
    let mut resources = vec![main_resource(exchange)];
    let in_path = |name: &str| {
        let path = exchange.operation.path.iter();
        path.clone()
            .any(|segment| matches!(segment, Segment::Label(label) if label == name))
    };
    if !exchange.operation.name.starts_with("List") {
        for (member, prefix) in NAMED_IN_BODY {
            if let Some(identifier) = exchange.optional_text(member).filter(|_| !in_path(member)) {
                resources.push(arn(exchange, prefix, identifier));
            }
        }
    }
    resources.dedup();
    resources
}

/// The ARN of what the path names: a resource, or any of a collection.
fn main_resource(exchange: &Exchange<'_>) -> String {
    let path = &exchange.operation.path;
    let mut arn_path = String::new();
    for segment in path {
        if !arn_path.is_empty() {
            arn_path.push('/');
        }
        match segment {
            Segment::Text(text) => arn_path.push_str(resource_type(text)),
            Segment::Label(name) => {
                let identifier = exchange.text(name);
                arn_path.push_str(arns::id_of(identifier));
            }
        }
    }
    match path.last() {
        // An ARN says it all.
        Some(Segment::Label(name)) if exchange.text(name).starts_with("arn:") => {
            exchange.text(name).to_owned()
        }
        Some(Segment::Label(_)) => arn(exchange, "", &arn_path),
        _ if exchange.operation.name.starts_with("List") && path.len() == 1 => "*".to_owned(),
        _ if is_verb(path.last()) => arn(exchange, "", parent(&arn_path)),
        _ => arn(exchange, "", &format!("{arn_path}/*")),
    }
}

/// Is the last part of a path something that is done to the resource before it?
fn is_verb(segment: Option<&Segment>) -> bool {
    matches!(segment, Some(Segment::Text(text))
        if matches!(text.as_str(), "registertargets" | "deregistertargets" | "listtargets"))
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(parent, _)| parent)
}

/// The first part of an ARN's resource, from the name of the collection in a path.
fn resource_type(collection: &str) -> &str {
    match collection {
        // These name the resource that they are attached to.
        "authpolicy" | "resourcepolicy" | "tags" => "",
        other => other.strip_suffix('s').unwrap_or(other),
    }
}

/// An ARN, from an ARN or from what stands in one after the account. A bare id is one of the owner's account, as far as the caller
/// may know the owner, and of the caller's otherwise.
fn arn(exchange: &Exchange<'_>, prefix: &str, identifier: &str) -> String {
    if identifier.starts_with("arn:") {
        return identifier.to_owned();
    }
    let path = identifier.trim_start_matches('/');
    let path = match (prefix, path.split_once('-')) {
        ("", Some(("sn", _))) => format!("servicenetwork/{path}"),
        ("", Some(("svc", _))) => format!("service/{path}"),
        ("", Some(("rcfg", _))) => format!("resourceconfiguration/{path}"),
        ("", _) => path.to_owned(),
        (prefix, _) => format!("{prefix}/{path}"),
    };
    let catalog = exchange.plane().catalog();
    let first_id = path.split('/').nth(1).unwrap_or_default();
    let owner = tags::owner_of(&catalog, exchange, first_id);
    let account = owner.as_ref().unwrap_or(exchange.account);
    Arn::lattice(account, exchange.region(), format_args!("{path}"))
        .as_str()
        .to_owned()
}

/// The condition keys of a call.
fn context(exchange: &Exchange<'_>, call: &Call, realm: &Realm<'_>) -> CallContext {
    let mut context = CallContext::new(call.at, call.source, false);
    let text = |text: &str| [text.to_owned()];
    context.set("aws:RequestedRegion", text(realm.region.as_str()));
    if let Some(Value::Object(tags)) = exchange.input.get("tags") {
        context.set("aws:TagKeys", tags.keys().cloned());
        for (key, value) in tags {
            let value = value.as_str().unwrap_or_default();
            context.set(&format!("aws:RequestTag/{key}"), text(value));
        }
    }
    if let Some(Value::Array(keys)) = exchange.input.get("tagKeys") {
        let keys = keys.iter().filter_map(Value::as_str);
        context.set("aws:TagKeys", keys.map(str::to_owned));
    }
    if let Some(Segment::Label(name)) = exchange.operation.path.get(1) {
        let last = exchange
            .operation
            .path
            .iter()
            .rev()
            .find_map(|segment| match segment {
                Segment::Label(name) => Some(name),
                Segment::Text(_) => None,
            });
        let identifier = exchange.text(last.unwrap_or(name));
        let catalog = exchange.plane().catalog();
        for (key, value) in tags::tags_of(&catalog, exchange, arns::id_of(identifier)) {
            context.set(&format!("aws:ResourceTag/{key}"), text(&value));
        }
    }
    for (member, key) in [
        ("vpcIdentifier", "vpc-lattice:VpcId"),
        ("protocol", "vpc-lattice:Protocol"),
        ("authType", "vpc-lattice:AuthType"),
    ] {
        context.set(key, exchange.optional_text(member).map(str::to_owned));
    }
    for (member, prefix, key) in [
        (
            "serviceNetworkIdentifier",
            "servicenetwork",
            "vpc-lattice:ServiceNetworkArn",
        ),
        ("serviceIdentifier", "service", "vpc-lattice:ServiceArn"),
    ] {
        let identifier = exchange.optional_text(member);
        context.set(key, identifier.map(|text| arn(exchange, prefix, text)));
    }
    if let Some(Value::Array(groups)) = exchange.input.get("securityGroupIds") {
        let groups = groups.iter().filter_map(Value::as_str);
        context.set("vpc-lattice:SecurityGroupIds", groups.map(str::to_owned));
    }
    context.set("vpc-lattice:TargetGroupArns", target_groups(exchange));
    context
}

/// ARNs of the target groups that an action in the input forwards to.
fn target_groups(exchange: &Exchange<'_>) -> Vec<String> {
    let actions = [
        exchange.input.get("action"),
        exchange.input.get("defaultAction"),
    ];
    let groups = actions
        .into_iter()
        .flatten()
        .filter_map(|action| action.pointer("/forward/targetGroups")?.as_array())
        .flatten()
        .filter_map(|group| group.get("targetGroupIdentifier")?.as_str());
    groups
        .map(|identifier| arn(exchange, "targetgroup", identifier))
        .collect()
}

#[cfg(test)]
mod tests;
