//! The Resource Groups Tagging API, over all resources of VPC Lattice that have tags. The Gateway API controller finds what it made
//! with it.
//!
//! Every call needs permission for its own action (`tag:GetResources`); whoever sets or removes tags needs
//! `vpc-lattice:TagResource` or `vpc-lattice:UntagResource` for each resource, too.
//!
//! Source: Resource Groups Tagging API reference, version 2017-01-26.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use trellis_model::name::Region;

use crate::{
    call::Call,
    catalog::Catalog,
    lattice::{
        arns::{self, Named, for_each_named},
        error::ApiError,
        page, tags,
    },
    neighbor::{self, Api, Dialect, Refusal, Visit},
    plane::changed,
    resource::{Resource, Scope, Tags},
};

/// The Resource Groups Tagging API.
#[derive(Debug)]
pub(crate) struct Tagging;

/// Resources of a page, unless something else is asked for; the most that can be.
const PAGE: usize = 100;
/// Most ARNs that are asked for at once.
const MAX_ASKED: usize = 100;
/// Most ARNs whose tags are changed at once.
const MAX_CHANGED: usize = 20;
/// Most filters, and most values of one.
const MAX_FILTERS: usize = 50;
const MAX_VALUES: usize = 20;

impl Api for Tagging {
    const SERVICE: &'static str = "tagging";
    const DIALECT: Dialect = Dialect::Json;
    const OPERATIONS: &'static [&'static str] = &[
        "GetResources",
        "GetTagKeys",
        "GetTagValues",
        "TagResources",
        "UntagResources",
    ];
    type Input = Value;

    fn read(call: &Call) -> Result<(&'static str, Value), Refusal> {
        neighbor::read_json::<Self>(call, "ResourceGroupsTaggingAPI_20170126")
    }

    fn perform(
        operation: &'static str,
        input: &Value,
        visit: &Visit<'_>,
    ) -> Result<String, Refusal> {
        visit.may(&format!("tag:{operation}"), "*")?;
        let answer = match operation {
            "GetResources" => resources(&neighbor::input(input)?, visit),
            "GetTagKeys" => keys(&neighbor::input(input)?, visit),
            "GetTagValues" => values(&neighbor::input(input)?, visit),
            "TagResources" => tag(&neighbor::input(input)?, visit),
            "UntagResources" => untag(&neighbor::input(input)?, visit),
            other => Err(Refusal::unknown(other)),
        };
        Ok(answer?.to_string())
    }
}

fn wrong(message: impl Into<String>) -> Refusal {
    Refusal::told("InvalidParameterException", message)
}

/// A resource with tags.
struct Tagged {
    /// Where it stands in lists.
    place: String,
    arn: String,
    tags: Tags,
}

/// The resources of an account that have tags, behind a place in the list of all of them, until `most` are found that `fit`.
fn tagged(
    visit: &Visit<'_>,
    after: &str,
    most: usize,
    fit: &dyn Fn(&str, &Tags) -> bool,
) -> Vec<Tagged> {
    let catalog = visit.plane().catalog();
    let scope = Scope::Account(visit.account.clone());
    let mut found = Vec::new();
    let mut kind_number = 0_u32;
    macro_rules! collect {
        ($kind:ty) => {
            kind_number += 1;
            let number = format!("{kind_number:02}");
            collect::<$kind>(
                (&catalog, visit.region()),
                &scope,
                (&number, after, most),
                fit,
                &mut found,
            );
        };
    }
    for_each_named!(collect);
    found
}

fn collect<T: Named>(
    (catalog, region): (&Catalog, &Region),
    scope: &Scope,
    (number, after, most): (&str, &str, usize),
    fit: &dyn Fn(&str, &Tags) -> bool,
    found: &mut Vec<Tagged>,
) {
    let (after_number, after_id) = after.split_once('/').unwrap_or_default();
    if after_number > number {
        return;
    }
    let after_id = (after_number == number)
        .then(|| after_id.parse::<T::Id>().ok())
        .flatten();
    for entry in T::table(catalog).within(scope, after_id) {
        if found.len() == most {
            return;
        }
        let Some(tags) = entry.value.tags().filter(|tags| !tags.is_empty()) else {
            continue;
        };
        let arn = entry.value.arn(region);
        if fit(arn.as_str(), tags) {
            found.push(Tagged {
                place: format!("{number}/{}", entry.value.id()),
                arn: arn.as_str().to_owned(),
                tags: tags.clone(),
            });
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Filter {
    key: String,
    values: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct GetResources {
    pagination_token: Option<String>,
    tag_filters: Vec<Filter>,
    resources_per_page: Option<usize>,
    tags_per_page: Option<usize>,
    resource_type_filters: Vec<String>,
    #[serde(rename = "ResourceARNList")]
    arns: Vec<String>,
    exclude_compliant_resources: Option<bool>,
}

impl GetResources {
    fn check(&self) -> Result<(), Refusal> {
        if !self.arns.is_empty()
            && (!self.tag_filters.is_empty()
                || !self.resource_type_filters.is_empty()
                || self.resources_per_page.is_some()
                || self.tags_per_page.is_some())
        {
            return Err(wrong(
                "ResourceARNList cannot be used together with filters or pagination",
            ));
        }
        if self.arns.len() > MAX_ASKED {
            return Err(wrong(format!(
                "ResourceARNList can have at most {MAX_ASKED} items"
            )));
        }
        if self.tag_filters.len() > MAX_FILTERS
            || self
                .tag_filters
                .iter()
                .any(|filter| filter.values.len() > MAX_VALUES)
        {
            return Err(wrong(format!(
                "there can be at most {MAX_FILTERS} TagFilters with {MAX_VALUES} values each"
            )));
        }
        if self.tag_filters.iter().any(|filter| filter.key.is_empty()) {
            return Err(wrong("a TagFilter needs a Key"));
        }
        if self
            .resources_per_page
            .is_some_and(|most| !(1..=PAGE).contains(&most))
        {
            return Err(wrong(format!(
                "ResourcesPerPage must be between 1 and {PAGE}"
            )));
        }
        if self
            .tags_per_page
            .is_some_and(|most| !(100..=500).contains(&most) || most % 100 != 0)
        {
            return Err(wrong(
                "TagsPerPage must be a multiple of 100, from 100 to 500",
            ));
        }
        if self.exclude_compliant_resources == Some(true) {
            return Err(wrong("tag policies are not served here"));
        }
        Ok(())
    }

    /// Is a resource among those that are asked for?
    fn fits(&self, arn: &str, tags: &Tags) -> bool {
        let of_type = self.resource_type_filters.is_empty()
            || self
                .resource_type_filters
                .iter()
                .any(|filter| is_of_type(arn, filter));
        let asked = self.arns.is_empty() || self.arns.iter().any(|asked| asked == arn);
        let filtered = self.tag_filters.iter().all(|filter| {
            tags.get(&filter.key)
                .is_some_and(|value| filter.values.is_empty() || filter.values.contains(value))
        });
        of_type && asked && filtered
    }

    /// What makes this list another one than that.
    fn list(&self, visit: &Visit<'_>) -> page::ListDigest {
        let filters: Vec<_> = self
            .tag_filters
            .iter()
            .map(|filter| (&filter.key, &filter.values))
            .collect();
        page::digest(&json!([
            "GetResources",
            visit.account,
            filters,
            self.resource_type_filters
        ]))
    }
}

/// Is a resource of the type `vpc-lattice:targetgroup`, or of any type of `vpc-lattice`?
fn is_of_type(arn: &str, filter: &str) -> bool {
    // arn:aws:vpc-lattice:region:account:targetgroup/tg-…
    let mut parts = arn.splitn(6, ':');
    let service = parts.nth(2).unwrap_or_default();
    let path = parts.nth(2).unwrap_or_default();
    match filter.split_once(':') {
        None => filter == service,
        Some((wanted, kind)) => wanted == service && path.rsplit('/').nth(1) == Some(kind),
    }
}

fn resources(given: &GetResources, visit: &Visit<'_>) -> Result<Value, Refusal> {
    given.check()?;
    let list = given.list(visit);
    let after = read_token(given.pagination_token.as_deref(), &list)?;
    let most = given.resources_per_page.unwrap_or(PAGE);
    // One more than the page holds tells whether there is another page.
    let mut found = tagged(visit, &after, most + 1, &|arn, tags| given.fits(arn, tags));
    let more = found.len() > most;
    found.truncate(most);
    if let Some(most_tags) = given.tags_per_page {
        // The first resource is on the page, however many tags it has.
        let mut tags = 0;
        let before = found.len();
        let mut first = true;
        found.retain(|one| {
            tags += one.tags.len();
            std::mem::take(&mut first) || tags <= most_tags
        });
        if found.len() < before {
            return Ok(show(&found, true, &list));
        }
    }
    Ok(show(&found, more, &list))
}

fn show(found: &[Tagged], more: bool, list: &page::ListDigest) -> Value {
    let end = found.last().filter(|_| more);
    let token = end.map_or_else(String::new, |end| page::seal(&end.place, list));
    let shown = found.iter().map(|one| {
        let tags: Vec<Value> = one
            .tags
            .iter()
            .map(|(key, value)| json!({"Key": key, "Value": value}))
            .collect();
        json!({"ResourceARN": one.arn, "Tags": tags})
    });
    json!({"PaginationToken": token, "ResourceTagMappingList": shown.collect::<Vec<_>>()})
}

/// An empty token is none: that is how the last page ends.
fn read_token(token: Option<&str>, list: &page::ListDigest) -> Result<String, Refusal> {
    match token.filter(|token| !token.is_empty()) {
        None => Ok(String::new()),
        Some(token) => page::open(token, list).ok_or_else(|| {
            Refusal::told(
                "PaginationTokenExpiredException",
                "The PaginationToken is not valid for this list.",
            )
        }),
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct GetNames {
    pagination_token: Option<String>,
    key: Option<String>,
}

fn keys(given: &GetNames, visit: &Visit<'_>) -> Result<Value, Refusal> {
    let mut keys = BTreeSet::new();
    for one in tagged(visit, "", usize::MAX, &|_, _| true) {
        keys.extend(one.tags.into_keys());
    }
    texts("TagKeys", &keys, given, visit)
}

fn values(given: &GetNames, visit: &Visit<'_>) -> Result<Value, Refusal> {
    let key = given
        .key
        .as_deref()
        .ok_or_else(|| wrong("Key is missing"))?;
    let mut values = BTreeSet::new();
    for mut one in tagged(visit, "", usize::MAX, &|_, tags| tags.contains_key(key)) {
        values.extend(one.tags.remove(key));
    }
    texts("TagValues", &values, given, visit)
}

/// One page of texts.
fn texts(
    member: &str,
    all: &BTreeSet<String>,
    given: &GetNames,
    visit: &Visit<'_>,
) -> Result<Value, Refusal> {
    let list = page::digest(&json!([member, visit.account, given.key]));
    let after = read_token(given.pagination_token.as_deref(), &list)?;
    let rest = all
        .iter()
        .filter(|text| given.pagination_token.is_none() || **text > after);
    let mut shown: Vec<&String> = rest.take(PAGE + 1).collect();
    let more = shown.len() > PAGE;
    shown.truncate(PAGE);
    let token = shown.last().filter(|_| more);
    let token = token.map_or_else(String::new, |last| page::seal(last, &list));
    let mut answer = Map::new();
    answer.insert("PaginationToken".to_owned(), Value::from(token));
    answer.insert(member.to_owned(), json!(shown));
    Ok(Value::Object(answer))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    #[serde(rename = "ResourceARNList")]
    arns: Vec<String>,
    #[serde(default)]
    tags: Tags,
    #[serde(default)]
    tag_keys: Vec<String>,
}

fn tag(given: &Given, visit: &Visit<'_>) -> Result<Value, Refusal> {
    if given.tags.is_empty() || given.tags.len() > visit.premises.quotas.tags {
        let most = visit.premises.quotas.tags;
        return Err(wrong(format!("there must be between 1 and {most} Tags")));
    }
    for (key, value) in &given.tags {
        // The model of Lattice has the same bounds for tags.
        if !(1..=128).contains(&key.chars().count()) || value.chars().count() > 256 {
            return Err(wrong(format!("the tag `{key}` is too long or has no key")));
        }
    }
    let most = visit.premises.quotas.tags;
    tags::check_all(&given.tags, most).map_err(|error| wrong(error.reason()))?;
    let mut keys = vec![(
        "aws:TagKeys".to_owned(),
        given.tags.keys().cloned().collect(),
    )];
    keys.extend(
        given
            .tags
            .iter()
            .map(|(key, value)| (format!("aws:RequestTag/{key}"), vec![value.clone()])),
    );
    change_all(
        &given.arns,
        ("vpc-lattice:TagResource", keys),
        visit,
        |tags| {
            tags.extend(given.tags.clone());
            tags::within_quota(tags, most)
        },
    )
}

fn untag(given: &Given, visit: &Visit<'_>) -> Result<Value, Refusal> {
    if given.tag_keys.is_empty() || given.tag_keys.len() > visit.premises.quotas.tags {
        return Err(wrong(
            "TagKeys must name at least one tag, and not too many",
        ));
    }
    if given.tag_keys.iter().any(|key| tags::is_reserved(key)) {
        return Err(wrong("tags with prefix aws: are reserved"));
    }
    let keys = vec![("aws:TagKeys".to_owned(), given.tag_keys.clone())];
    change_all(
        &given.arns,
        ("vpc-lattice:UntagResource", keys),
        visit,
        |tags| {
            tags.retain(|key, _| !given.tag_keys.contains(key));
            Ok(())
        },
    )
}

/// Condition keys and their values.
type Keys = Vec<(String, Vec<String>)>;

/// Changes the tags of resources, each by itself, and tells which could not be changed.
fn change_all(
    arns: &[String],
    (action, keys): (&str, Keys),
    visit: &Visit<'_>,
    make: impl Fn(&mut Tags) -> Result<(), ApiError>,
) -> Result<Value, Refusal> {
    if arns.is_empty() || arns.len() > MAX_CHANGED {
        return Err(wrong(format!(
            "ResourceARNList must have between 1 and {MAX_CHANGED} items"
        )));
    }
    let mut failed = BTreeMap::new();
    for arn in arns {
        if let Err((status, code, message)) = change_one(arn, (action, &keys), visit, &make) {
            let told = json!({
                "StatusCode": status,
                "ErrorCode": code,
                "ErrorMessage": message,
            });
            failed.insert(arn, told);
        }
    }
    Ok(json!({"FailedResourcesMap": failed}))
}

/// Why the tags of a resource could not be changed.
type Failure = (u16, &'static str, String);

fn change_one(
    arn: &str,
    (action, keys): (&str, &Keys),
    visit: &Visit<'_>,
    make: impl Fn(&mut Tags) -> Result<(), ApiError>,
) -> Result<(), Failure> {
    let mut keys = keys.clone();
    for (key, value) in tags_of(arn, visit) {
        keys.push((format!("aws:ResourceTag/{key}"), vec![value]));
    }
    let denied = |refusal: Refusal| (403, "AccessDeniedException", refusal.reason());
    visit.may_given(action, arn, &keys).map_err(denied)?;
    let changed = visit.plane().change(|draft| {
        let mut done = None;
        macro_rules! try_kind {
            ($kind:ty) => {
                if let Some(entry) = arns::id_of(arn)
                    .parse()
                    .ok()
                    .and_then(|id| draft.catalog().find::<$kind>(id))
                    .filter(|entry| entry.value.arn(visit.region()).as_str() == arn)
                    .filter(|entry| entry.value.account() == visit.account)
                {
                    let mut result = Ok(());
                    let value = changed(&entry.value, |value| {
                        if let Some(tags) = value.tags_mut() {
                            result = make(tags);
                        }
                    });
                    done = Some(result.and_then(|()| draft.update(entry, &value)));
                }
            };
        }
        for_each_named!(try_kind);
        done.unwrap_or_else(|| Err(tags::missing(arn)))
    });
    changed.map_err(|error| {
        let code = match error {
            ApiError::Internal(_) => "InternalServiceException",
            _ => "InvalidParameterException",
        };
        (error.status().as_u16(), code, error.reason())
    })
}

/// The tags of a resource of the caller's account.
fn tags_of(arn: &str, visit: &Visit<'_>) -> Tags {
    let catalog = visit.plane().catalog();
    let mut found = Tags::new();
    macro_rules! look {
        ($kind:ty) => {
            if let Some(entry) = arns::id_of(arn)
                .parse()
                .ok()
                .and_then(|id| catalog.find::<$kind>(id))
                .filter(|entry| entry.value.account() == visit.account)
            {
                found = entry.value.tags().cloned().unwrap_or_default();
            }
        };
    }
    for_each_named!(look);
    found
}

#[cfg(test)]
mod tests;
