//! Associations of VPC endpoints with resource configurations and service networks. EC2 makes them with an endpoint; there are no
//! endpoints here, so there are none of them: lists are empty, and nothing can be deleted.

use serde_json::Value;

use crate::lattice::{
    Exchange, arns,
    error::{ApiError, ResourceType},
    page::Page,
};

/// The associations with a resource configuration or a service network.
pub(super) fn list(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    Page::of(exchange)?.nothing()
}

pub(super) fn delete(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let identifier = exchange.text("resourceEndpointAssociationIdentifier");
    let kind = ResourceType::ResourceEndpointAssociation;
    Err(ApiError::not_found(kind, arns::id_of(identifier)))
}
