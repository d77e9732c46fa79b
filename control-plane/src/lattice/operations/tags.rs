//! Tags of whatever has an ARN.

use serde_json::{Value, json};
use trellis_model::name::AccountId;

use crate::{
    catalog::{Catalog, Entry},
    lattice::{
        Exchange,
        arns::{self, Named, for_each_named},
        error::{ApiError, ResourceType},
    },
    plane::changed,
    resource::Tags,
};

/// Runs `$work` with the entry that has this id, of whatever kind.
macro_rules! with_entry {
    ($catalog:expr, $id:expr, |$entry:ident| $work:expr) => {
        'found: {
            macro_rules! try_kind {
                ($kind:ty) => {
                    if let Some($entry) = entry::<$kind>($catalog, $id) {
                        break 'found Some($work);
                    }
                };
            }
            for_each_named!(try_kind);
            None
        }
    };
}

fn entry<'c, T: Named>(catalog: &'c Catalog, id: &str) -> Option<&'c Entry<T>> {
    id.parse().ok().and_then(|id| catalog.find::<T>(id))
}

/// The owner of a resource that the caller may know of.
pub(in crate::lattice) fn owner_of(
    catalog: &Catalog,
    exchange: &Exchange<'_>,
    id: &str,
) -> Option<AccountId> {
    with_entry!(catalog, id, |entry| {
        let seen = exchange.sees(entry);
        seen.then(|| crate::resource::Resource::account(&*entry.value).clone())
    })
    .flatten()
}

/// The tags of a resource of the caller's own.
pub(in crate::lattice) fn tags_of(catalog: &Catalog, exchange: &Exchange<'_>, id: &str) -> Tags {
    with_entry!(catalog, id, |entry| {
        let tags = crate::resource::Resource::tags(&*entry.value).filter(|_| exchange.owns(entry));
        tags.cloned().unwrap_or_default()
    })
    .unwrap_or_default()
}

/// Refuses tags that nobody may set, or too many of them.
///
/// Source: VPC Lattice user guide, "Quotas"; AWS general reference, "Tagging AWS resources".
pub(super) fn check(tags: &Tags, exchange: &Exchange<'_>) -> Result<(), ApiError> {
    check_all(tags, exchange.premises.quotas.tags)
}

/// The same for whoever has no exchange: how many tags a resource may have at most.
pub(crate) fn check_all(tags: &Tags, most: usize) -> Result<(), ApiError> {
    let mut wrong = Vec::new();
    for (key, value) in tags {
        let at = format!("tags.{key}");
        if is_reserved(key) {
            wrong.push((at, "tags with prefix aws: are reserved".to_owned()));
        } else if !key.chars().chain(value.chars()).all(may_be_in_tags) {
            let text = "tags hold letters, digits, spaces and _ . : / = + - @";
            wrong.push((at, text.to_owned()));
        }
    }
    if !wrong.is_empty() {
        return Err(ApiError::fields(wrong));
    }
    within_quota(tags, most)
}

/// Is a key one that only AWS sets?
pub(crate) fn is_reserved(key: &str) -> bool {
    key.to_ascii_lowercase().starts_with("aws:")
}

fn may_be_in_tags(character: char) -> bool {
    character.is_alphanumeric() || character == ' ' || "_.:/=+-@".contains(character)
}

/// Refuses more tags than a resource may have.
pub(crate) fn within_quota(tags: &Tags, most: usize) -> Result<(), ApiError> {
    if tags.len() > most {
        return Err(ApiError::field(
            "tags",
            format!("A resource can have at most {most} tags."),
        ));
    }
    Ok(())
}

/// Changes the tags of the resource in the path.
fn change(
    exchange: &Exchange<'_>,
    make: impl Fn(&mut Tags) -> Result<(), ApiError>,
) -> Result<Value, ApiError> {
    let arn = exchange.text("resourceArn");
    exchange.change(|draft| {
        let catalog = draft.catalog();
        let changed = with_entry!(catalog, arns::id_of(arn), |entry| {
            owned(exchange, entry, arn)?;
            let mut result = Ok(());
            let value = changed(&entry.value, |value| {
                if let Some(tags) = crate::resource::Resource::tags_mut(value) {
                    result = make(tags);
                }
            });
            result?;
            draft.update(entry, &value)?;
        });
        changed.ok_or_else(|| missing(arn))?;
        Ok(json!({}))
    })
}

/// Tags are the owner's: others, who may know of the resource, are told so.
fn owned<T: Named>(exchange: &Exchange<'_>, entry: &Entry<T>, arn: &str) -> Result<(), ApiError> {
    if entry.value.arn(exchange.region()).as_str() != arn || !exchange.sees(entry) {
        return Err(missing(arn));
    }
    if exchange.owns(entry) {
        return Ok(());
    }
    Err(ApiError::AccessDenied(format!(
        "The tags of {arn} belong to another account"
    )))
}

/// Nothing of the caller's has this ARN.
pub(crate) fn missing(arn: &str) -> ApiError {
    let collection = arn.split(':').nth(5).unwrap_or_default();
    let mut steps = collection.rsplit('/').skip(1);
    let kind = match steps.next().unwrap_or_default() {
        "servicenetwork" => ResourceType::ServiceNetwork,
        "listener" => ResourceType::Listener,
        "rule" => ResourceType::Rule,
        "targetgroup" => ResourceType::TargetGroup,
        "servicenetworkserviceassociation" => ResourceType::ServiceNetworkServiceAssociation,
        "servicenetworkvpcassociation" => ResourceType::ServiceNetworkVpcAssociation,
        "servicenetworkresourceassociation" => ResourceType::ServiceNetworkResourceAssociation,
        "accesslogsubscription" => ResourceType::AccessLogSubscription,
        "resourcegateway" => ResourceType::ResourceGateway,
        "resourceconfiguration" => ResourceType::ResourceConfiguration,
        "resourceendpointassociation" => ResourceType::ResourceEndpointAssociation,
        "domainverification" => ResourceType::DomainVerification,
        _ => ResourceType::Service,
    };
    ApiError::not_found(kind, arns::id_of(arn))
}

pub(super) fn tag(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    #[derive(serde::Deserialize)]
    struct Given {
        tags: Tags,
    }
    let given: Given = exchange.input()?;
    check(&given.tags, exchange)?;
    change(exchange, |tags| {
        tags.extend(given.tags.clone());
        within_quota(tags, exchange.premises.quotas.tags)
    })
}

pub(super) fn untag(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Given {
        tag_keys: Vec<String>,
    }
    let given: Given = exchange.input()?;
    if given.tag_keys.iter().any(|key| is_reserved(key)) {
        return Err(ApiError::field(
            "tagKeys",
            "tags with prefix aws: are reserved",
        ));
    }
    change(exchange, |tags| {
        tags.retain(|key, _| !given.tag_keys.contains(key));
        Ok(())
    })
}

pub(super) fn list(exchange: &Exchange<'_>) -> Result<Value, ApiError> {
    let arn = exchange.text("resourceArn");
    let catalog = exchange.plane().catalog();
    let tags = with_entry!(&catalog, arns::id_of(arn), |entry| {
        owned(exchange, entry, arn)?;
        crate::resource::Resource::tags(&*entry.value)
            .cloned()
            .unwrap_or_default()
    });
    let tags = tags.ok_or_else(|| missing(arn))?;
    Ok(json!({"tags": tags}))
}
