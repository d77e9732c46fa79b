//! Users and roles.

use std::time::Duration;

use trellis_model::{
    config,
    id::{RoleId, UserId},
    name::Region,
};

use super::{of_api, place};
use crate::{
    catalog::Catalog,
    resource::{Iam as _, IdentityPolicies, KeyStatus, ManagedPolicy, Role, User},
};

/// A user with the keys that sign.
pub(super) fn user(catalog: &Catalog, id: UserId, region: &Region) -> Option<config::User> {
    let entry = catalog.find::<User>(id).filter(|entry| of_api(entry))?;
    let user = &entry.value;
    let keys = user.access_keys.iter();
    let active = keys.filter(|key| key.status == KeyStatus::Active);
    let keys = active.filter_map(|key| {
        Some(config::AccessKey {
            id: key.id.as_str().into(),
            secret: config::Secret::new(key.secret.as_ref()?.expose()),
        })
    });
    Some(config::User {
        arn: user.iam_arn(region),
        name: user.name.as_str().into(),
        account: user.account.clone(),
        policies: policies(catalog, &user.policies, &format!("user {}", user.name)),
        permissions_boundary: None,
        access_keys: keys.collect(),
        tags: user.tags.clone(),
        place: place("user", &user.name),
    })
}

/// A role with its trust policy.
pub(super) fn role(catalog: &Catalog, id: RoleId, region: &Region) -> Option<config::Role> {
    let entry = catalog.find::<Role>(id).filter(|entry| of_api(entry))?;
    let role = &entry.value;
    let what = format!("role {}", role.name);
    let trust = role.trust_policy.as_ref();
    Some(config::Role {
        arn: role.iam_arn(region),
        name: role.name.as_str().into(),
        account: role.account.clone(),
        trust_policy: trust.map(|text| text_of(text, &what, "trust policy")),
        max_session_duration: Duration::from_secs(role.max_session_seconds.into()),
        policies: policies(catalog, &role.policies, &what),
        permissions_boundary: None,
        access_keys: Vec::new(),
        tags: role.tags.clone(),
        place: place("role", &role.name),
    })
}

fn policies(catalog: &Catalog, policies: &IdentityPolicies, what: &str) -> Vec<config::PolicyText> {
    let inline = policies.inline.iter();
    let inline = inline.map(|(name, text)| text_of(text, what, name));
    let attached = policies.attached.iter();
    let attached = attached.filter_map(|id| catalog.find::<ManagedPolicy>(*id));
    let attached = attached.map(|entry| text_of(&entry.value.document, what, &entry.value.name));
    inline.chain(attached).collect()
}

fn text_of(text: &str, what: &str, name: &str) -> config::PolicyText {
    config::PolicyText {
        language: config::PolicyLanguage::Iam,
        text: text.into(),
        place: place(&format!("{what}, policy"), name),
    }
}
