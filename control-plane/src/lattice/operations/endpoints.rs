//! Associations of VPC endpoints with resource configurations and service networks. EC2 makes them with an endpoint; there are no
//! endpoints here, so there are none of them: lists are empty, and nothing can be deleted.
//!
//! Lists are empty as well for what is not there or not known to the caller: the model has no error for that.

use serde_json::{Value, json};

use crate::lattice::{
    Exchange, arns,
    error::{ApiError, ResourceType},
    page::Page,
};

/// The associations with a resource configuration or a service network.
pub(super) fn list(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let page = Page::of(exchange)?;
    page.texts(std::iter::empty::<(String, ())>(), |()| Ok(json!({})))
}

pub(super) fn delete(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let identifier = exchange.text("resourceEndpointAssociationIdentifier");
    let kind = ResourceType::ResourceEndpointAssociation;
    Err(ApiError::not_found(kind, arns::id_of(identifier)))
}
