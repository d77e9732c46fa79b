//! Service networks.

use serde::Deserialize;
use serde_json::{Value, json};
use trellis_model::{id::ServiceNetworkId, name::Name};

use super::{
    access_logs, tags,
    view::{view, with},
};
use crate::{
    catalog::{Catalog, Entry},
    lattice::{
        Exchange,
        error::{ApiError, ResourceType},
        page::Page,
        quota,
    },
    plane::{Draft, changed},
    resource::{
        AuthType, Resource as _, ResourceAssociation, Scope, ServiceAssociation, ServiceNetwork,
        Sharing, SharingConfig, Tags, VpcAssociation,
    },
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    name: Name,
    auth_type: Option<AuthType>,
    #[serde(default)]
    tags: Tags,
    sharing_config: Option<SharingConfig>,
}

pub(super) fn create(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let input: Create = exchange.input()?;
    tags::check(&input.tags, exchange)?;
    exchange.create(|draft| {
        let account = Scope::Account(exchange.account.clone());
        name_is_free::<ServiceNetwork>(draft, &account, &input.name)?;
        quota::within(
            exchange.premises.quotas.service_networks,
            draft.catalog().count::<ServiceNetwork>(&account),
            ResourceType::ServiceNetwork,
            "L-9CAD07FB",
            "service networks per account",
        )?;
        let network = ServiceNetwork {
            id: ServiceNetworkId::from_number(exchange.fresh_number()),
            account: exchange.account.clone(),
            name: input.name.clone(),
            created_at: exchange.now,
            last_updated_at: exchange.now,
            tags: input.tags.clone(),
            auth_type: input.auth_type.unwrap_or_default(),
            sharing_config: input.sharing_config,
            auth_policy: None,
            sharing: Sharing::default(),
        };
        draft.create(&network)?;
        Ok(Value::Object(view(&network, exchange.region())?))
    })
}

/// Refuses a name that another resource of the kind has within a scope.
pub(super) fn name_is_free<T: crate::resource::Resource>(
    draft: &Draft<'_>,
    scope: &Scope,
    name: &Name,
) -> Result<(), ApiError> {
    let Some(taken) = draft.catalog().named::<T>(scope, name.as_str()) else {
        return Ok(());
    };
    let noun = T::TYPE.noun();
    Err(ApiError::conflict(
        T::TYPE,
        taken.value.id(),
        format!("Resource of type {noun} with name {name} already exists in {scope}"),
    ))
}

pub(super) fn get(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let catalog = exchange.plane().catalog();
    let network = exchange.visible(&catalog, exchange.text("serviceNetworkIdentifier"))?;
    show(&catalog, network, exchange)
}

fn show(
    catalog: &Catalog,
    network: &Entry<ServiceNetwork>,
    exchange: &Exchange<'_>,
) -> Result<Value, ApiError> {
    let scope = Scope::Network(network.value.id);
    Ok(with(
        view(&*network.value, exchange.region())?,
        json!({
            "numberOfAssociatedVPCs": catalog.count::<VpcAssociation>(&scope),
            "numberOfAssociatedServices": catalog.count::<ServiceAssociation>(&scope),
            "numberOfAssociatedResourceConfigurations": catalog.count::<ResourceAssociation>(&scope),
        }),
    ))
}

pub(super) fn list(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let page = Page::of(exchange)?;
    let catalog = exchange.plane().catalog();
    let after = page.after::<ServiceNetwork>();
    let entries = ServiceNetwork::table(&catalog).visible(exchange.account, after);
    page.list(entries, |entry| show(&catalog, entry, exchange))
}

pub(super) fn update(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Update {
        auth_type: AuthType,
    }
    let input: Update = exchange.input()?;
    exchange.change(|draft| {
        let identifier = exchange.text("serviceNetworkIdentifier");
        let entry = exchange.own::<ServiceNetwork>(draft.catalog(), identifier)?;
        let network = changed(&entry.value, |network| {
            network.auth_type = input.auth_type;
            network.last_updated_at = exchange.now;
        });
        draft.update(entry, &network)?;
        Ok(Value::Object(view(&network, exchange.region())?))
    })
}

pub(super) fn delete(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    exchange.change(|draft| {
        let identifier = exchange.text("serviceNetworkIdentifier");
        let entry = exchange.own::<ServiceNetwork>(draft.catalog(), identifier)?;
        let id = entry.value.id;
        let scope = Scope::Network(id);
        let associated = |what: &str| {
            let message = format!("ServiceNetwork {id} has {what}");
            Err(ApiError::conflict(
                ResourceType::ServiceNetwork,
                id,
                message,
            ))
        };
        if draft.catalog().count::<VpcAssociation>(&scope) > 0 {
            return associated("VPC(s) associated");
        }
        if draft.catalog().count::<ServiceAssociation>(&scope) > 0 {
            return associated("service(s) associated");
        }
        if draft.catalog().count::<ResourceAssociation>(&scope) > 0 {
            return associated("resource(s) associated.");
        }
        draft.nothing_new_on(&scope);
        draft.remove(entry)?;
        access_logs::remove_all(draft, &scope)?;
        Ok(json!({}))
    })
}
