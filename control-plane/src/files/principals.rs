//! Users and roles of files.

use trellis_model::{
    config::{Config, PolicyLanguage, PolicyText},
    id::{RoleId, UserId},
};

use super::{file, seconds};
use crate::{
    catalog::Catalog,
    resource::{AccessKey, IdentityPolicies, KeyStatus, Role, Stamp, User},
};

/// Lays them over the catalog. Secrets stay where they are.
pub(super) fn declare(catalog: &mut Catalog, config: &Config, now: Stamp) {
    for user in &config.users {
        let keys = user.access_keys.iter().map(|key| AccessKey {
            id: key.id.to_string(),
            secret: None,
            status: KeyStatus::Active,
            created_at: now,
        });
        let shown = User {
            id: UserId::derive(&user.account, &config.region, &[&user.name]),
            account: user.account.clone(),
            name: user.name.to_string(),
            created_at: now,
            tags: user.tags.clone(),
            policies: policies(&user.policies),
            access_keys: keys.collect(),
        };
        catalog.declare(shown, &file(&user.place));
    }
    for role in &config.roles {
        let shown = Role {
            id: RoleId::derive(&role.account, &config.region, &[&role.name]),
            account: role.account.clone(),
            name: role.name.to_string(),
            created_at: now,
            tags: role.tags.clone(),
            description: None,
            max_session_seconds: seconds(role.max_session_duration),
            trust_policy: role.trust_policy.as_ref().map(|one| one.text.to_string()),
            policies: policies(&role.policies),
        };
        catalog.declare(shown, &file(&role.place));
    }
}

/// Policies of files have no names; their numbers stand for them. IAM knows those in its own language only.
fn policies(given: &[PolicyText]) -> IdentityPolicies {
    let of_iam = given
        .iter()
        .filter(|policy| policy.language == PolicyLanguage::Iam);
    let named = of_iam
        .enumerate()
        .map(|(at, policy)| (format!("policy-{}", at + 1), policy.text.to_string()));
    IdentityPolicies {
        inline: named.collect(),
        ..IdentityPolicies::default()
    }
}
