//! What each operation does.

mod access_logs;
mod actions;
mod auth_policies;
mod definitions;
mod domain_verifications;
mod endpoints;
mod health_checks;
mod listeners;
mod networks;
mod resource_associations;
mod resource_configurations;
mod resource_gateways;
mod resource_policies;
mod rules;
mod service_associations;
mod services;
pub(crate) mod tags;
mod target_groups;
mod targets;
pub(crate) mod view;
mod vpc_associations;

use serde_json::Value;

use super::{Exchange, error::ApiError};

/// Performs the operation of an exchange.
pub(super) fn perform(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    match exchange.operation.name.as_str() {
        "CreateServiceNetwork" => networks::create(exchange),
        "GetServiceNetwork" => networks::get(exchange),
        "ListServiceNetworks" => networks::list(exchange),
        "UpdateServiceNetwork" => networks::update(exchange),
        "DeleteServiceNetwork" => networks::delete(exchange),

        "CreateService" => services::create(exchange),
        "GetService" => services::get(exchange),
        "ListServices" => services::list(exchange),
        "UpdateService" => services::update(exchange),
        "DeleteService" => services::delete(exchange),

        "CreateListener" => listeners::create(exchange),
        "GetListener" => listeners::get(exchange),
        "ListListeners" => listeners::list(exchange),
        "UpdateListener" => listeners::update(exchange),
        "DeleteListener" => listeners::delete(exchange),

        "CreateRule" => rules::create(exchange),
        "GetRule" => rules::get(exchange),
        "ListRules" => rules::list(exchange),
        "UpdateRule" => rules::update(exchange),
        "BatchUpdateRule" => rules::update_several(exchange),
        "DeleteRule" => rules::delete(exchange),

        "CreateTargetGroup" => target_groups::create(exchange),
        "GetTargetGroup" => target_groups::get(exchange),
        "ListTargetGroups" => target_groups::list(exchange),
        "UpdateTargetGroup" => target_groups::update(exchange),
        "DeleteTargetGroup" => target_groups::delete(exchange),

        "RegisterTargets" => targets::register(exchange),
        "DeregisterTargets" => targets::deregister(exchange),
        "ListTargets" => targets::list(exchange),

        "CreateServiceNetworkServiceAssociation" => service_associations::create(exchange),
        "GetServiceNetworkServiceAssociation" => service_associations::get(exchange),
        "ListServiceNetworkServiceAssociations" => service_associations::list(exchange),
        "DeleteServiceNetworkServiceAssociation" => service_associations::delete(exchange),

        "CreateServiceNetworkVpcAssociation" => vpc_associations::create(exchange),
        "GetServiceNetworkVpcAssociation" => vpc_associations::get(exchange),
        "ListServiceNetworkVpcAssociations" => vpc_associations::list(exchange),
        "UpdateServiceNetworkVpcAssociation" => vpc_associations::update(exchange),
        "DeleteServiceNetworkVpcAssociation" => vpc_associations::delete(exchange),

        "CreateResourceGateway" => resource_gateways::create(exchange),
        "GetResourceGateway" => resource_gateways::get(exchange),
        "ListResourceGateways" => resource_gateways::list(exchange),
        "UpdateResourceGateway" => resource_gateways::update(exchange),
        "DeleteResourceGateway" => resource_gateways::delete(exchange),

        "CreateResourceConfiguration" => resource_configurations::create(exchange),
        "GetResourceConfiguration" => resource_configurations::get(exchange),
        "ListResourceConfigurations" => resource_configurations::list(exchange),
        "UpdateResourceConfiguration" => resource_configurations::update(exchange),
        "DeleteResourceConfiguration" => resource_configurations::delete(exchange),

        "CreateServiceNetworkResourceAssociation" => resource_associations::create(exchange),
        "GetServiceNetworkResourceAssociation" => resource_associations::get(exchange),
        "ListServiceNetworkResourceAssociations" => resource_associations::list(exchange),
        "DeleteServiceNetworkResourceAssociation" => resource_associations::delete(exchange),

        "DeleteResourceEndpointAssociation" => endpoints::delete(exchange),
        "ListResourceEndpointAssociations" | "ListServiceNetworkVpcEndpointAssociations" => {
            endpoints::list(exchange)
        }

        "StartDomainVerification" => domain_verifications::start(exchange),
        "GetDomainVerification" => domain_verifications::get(exchange),
        "ListDomainVerifications" => domain_verifications::list(exchange),
        "DeleteDomainVerification" => domain_verifications::delete(exchange),

        "PutAuthPolicy" => auth_policies::put(exchange),
        "GetAuthPolicy" => auth_policies::get(exchange),
        "DeleteAuthPolicy" => auth_policies::delete(exchange),

        "PutResourcePolicy" => resource_policies::put(exchange),
        "GetResourcePolicy" => resource_policies::get(exchange),
        "DeleteResourcePolicy" => resource_policies::delete(exchange),

        "CreateAccessLogSubscription" => access_logs::create(exchange),
        "GetAccessLogSubscription" => access_logs::get(exchange),
        "ListAccessLogSubscriptions" => access_logs::list(exchange),
        "UpdateAccessLogSubscription" => access_logs::update(exchange),
        "DeleteAccessLogSubscription" => access_logs::delete(exchange),

        "TagResource" => tags::tag(exchange),
        "UntagResource" => tags::untag(exchange),
        "ListTagsForResource" => tags::list(exchange),

        other => Err(ApiError::Internal(format!("{other} is not served"))),
    }
}
