//! The first user: whoever has its key creates all others.

use std::time::SystemTime;

use serde_json::json;
use trellis_model::{config::Secret, id::UserId, name::AccountId};

use crate::{
    catalog::{Catalog, Owner},
    iam::random_key,
    lattice::{error::ApiError, fresh_number},
    plane::{ControlPlane, changed},
    realm::RANDOM_BYTES,
    resource::{
        AccessKey, Hidden, IdentityPolicies, KeyStatus, Resource as _, Scope, Stamp, Tags, User,
    },
};

/// Name of the first user.
pub const ADMINISTRATOR: &str = "administrator";

/// Name of its policy.
const POLICY: &str = "everything";

/// A key of the first user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdministratorKey {
    /// `AKIA…`.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
}

impl AdministratorKey {
    /// A key out of random bytes that nothing else is made of.
    pub fn from_random(random: &[u8; RANDOM_BYTES]) -> Self {
        let (id, secret) = random_key(random);
        Self {
            id,
            secret: Secret::new(secret.expose()),
        }
    }
}

/// Why the first user cannot be kept; for operators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the user `{ADMINISTRATOR}` cannot be kept: {0}")]
pub struct AdministratorError(String);

impl From<ApiError> for AdministratorError {
    fn from(error: ApiError) -> Self {
        Self(error.reason())
    }
}

impl ControlPlane {
    /// Does the store hold any user?
    pub fn has_users(&self) -> bool {
        User::table(&self.catalog())
            .all()
            .any(|entry| entry.owner == Owner::Api)
    }

    /// Makes the first user of an account, who may do anything there and has this key and no other. A user of its name gets the key and the
    /// policy in place of the keys that it has.
    pub fn put_administrator(
        &self,
        account: &AccountId,
        key: &AdministratorKey,
        now: SystemTime,
        draw: &dyn Fn() -> u64,
    ) -> Result<(), AdministratorError> {
        let now = Stamp::of(now);
        let keys = || {
            vec![AccessKey {
                id: key.id.clone(),
                secret: Some(Hidden::new(key.secret.expose().to_owned())),
                status: KeyStatus::Active,
                created_at: now,
            }]
        };
        self.change(|draft| {
            let catalog: &Catalog = draft.catalog();
            let scope = Scope::Account(account.clone());
            if let Some(entry) = catalog.named::<User>(&scope, ADMINISTRATOR) {
                let user = changed(&entry.value, |user| {
                    user.policies.inline.insert(POLICY.to_owned(), everything());
                    user.access_keys = keys();
                });
                return Ok(draft.update(entry, &user)?);
            }
            let user = User {
                id: UserId::from_number(fresh_number(now, draw)),
                account: account.clone(),
                name: ADMINISTRATOR.to_owned(),
                created_at: now,
                tags: Tags::new(),
                policies: IdentityPolicies {
                    inline: [(POLICY.to_owned(), everything())].into(),
                    ..IdentityPolicies::default()
                },
                access_keys: keys(),
            };
            Ok(draft.create(&user)?)
        })
    }
}

/// The policy that allows everything. It counts in the user's own account alone.
fn everything() -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    })
    .to_string()
}

#[cfg(test)]
mod tests;
