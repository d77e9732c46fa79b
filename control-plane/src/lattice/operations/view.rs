//! Resources as answers show them. The model picks the members that an answer has, so a view may say more.

use serde_json::{Map, Value, json};
use trellis_model::name::{GENERATED_SHARD, Region, generated_zone};

use crate::{
    lattice::{arns::Named, error::ApiError},
    resource::Service,
};

/// Zone of generated names in Route 53, for alias records. The guide shows this one; those of other regions are not documented.
pub(super) const HOSTED_ZONE: &str = "Z09127221KTH2CFUOHIZH";

pub(crate) use super::health_checks::success_codes;

/// A resource with its ARN.
pub(super) fn view<T: Named>(value: &T, region: &Region) -> Result<Map<String, Value>, ApiError> {
    let shown = serde_json::to_value(value)
        .map_err(|error| ApiError::Internal(format!("{}: {error}", T::KIND)))?;
    let Value::Object(mut members) = shown else {
        return Err(ApiError::Internal(format!("{} is not an object", T::KIND)));
    };
    members.insert("arn".to_owned(), Value::from(value.arn(region).as_str()));
    Ok(members)
}

/// A view with more members.
pub(super) fn with(mut members: Map<String, Value>, more: Value) -> Value {
    if let Value::Object(more) = more {
        members.extend(more);
    }
    Value::Object(members)
}

/// The generated name of a service.
pub(crate) fn generated_name(service: &Service, region: &Region) -> String {
    format!(
        "{}-{}.{GENERATED_SHARD}.{}",
        service.name,
        service.id.suffix(),
        generated_zone(region)
    )
}

/// Where DNS finds a service.
pub(super) fn dns_entry(service: &Service, region: &Region) -> Value {
    json!({"domainName": generated_name(service, region), "hostedZoneId": HOSTED_ZONE})
}
