//! Users and roles.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::object::objects;
use super::{Policy, unique_keys};
use crate::ranges;

/// IAM users and roles of the account that may sign requests.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct Principals {
    /// Users.
    pub users: Vec<User>,
    /// Roles.
    pub roles: Vec<Role>,
}

/// An IAM user.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// Name, unique among the account's users, whatever its case.
    #[schemars(
        length(min = *ranges::PRINCIPAL_NAME.start(), max = *ranges::PRINCIPAL_NAME.end()),
        regex(pattern = r"^[A-Za-z0-9_+=,.@-]+$")
    )]
    pub name: String,
    /// Identity-based policies: what the user may do.
    #[serde(default)]
    pub policies: Vec<Policy>,
    /// Limit of what the user's policies can allow: what the boundary does not allow, they do not either. Absent: no limit.
    pub permissions_boundary: Option<Policy>,
    /// Keys that the user signs with.
    #[serde(default)]
    pub access_keys: Vec<AccessKey>,
    /// Tags, 50 at most, seen by policies as `aws:PrincipalTag/<key>`.
    #[serde(default, deserialize_with = "unique_keys")]
    pub tags: BTreeMap<String, String>,
}

/// An IAM role.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Role {
    /// Name, unique among the account's roles, whatever its case.
    #[schemars(
        length(min = *ranges::PRINCIPAL_NAME.start(), max = *ranges::PRINCIPAL_NAME.end()),
        regex(pattern = r"^[A-Za-z0-9_+=,.@-]+$")
    )]
    pub name: String,
    /// Who may assume the role, IAM JSON with `Principal` and without `Resource`. Absent: nobody.
    pub trust_policy: Option<Policy>,
    /// Longest life of a session of the role, in seconds.
    #[schemars(range(min = *ranges::SESSION_DURATION.start(), max = *ranges::SESSION_DURATION.end()), extend("default" = 3600))]
    pub max_session_duration_seconds: Option<i64>,
    /// Limit of what the role's policies can allow: what the boundary does not allow, they do not either. Absent: no limit.
    pub permissions_boundary: Option<Policy>,
    /// Identity-based policies: what the role may do.
    #[serde(default)]
    pub policies: Vec<Policy>,
    /// Keys whose holders are sessions of this role.
    #[serde(default)]
    pub access_keys: Vec<RoleAccessKey>,
    /// Tags, 50 at most, seen by policies as `aws:PrincipalTag/<key>`.
    #[serde(default, deserialize_with = "unique_keys")]
    pub tags: BTreeMap<String, String>,
}

/// An access key of a user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessKey {
    /// Public part, letters, digits and underscores, unique over all accounts.
    #[schemars(
        length(min = *ranges::ACCESS_KEY_ID.start(), max = *ranges::ACCESS_KEY_ID.end()),
        regex(pattern = r"^[A-Za-z0-9_]+$")
    )]
    pub id: String,
    /// Where the secret part is.
    pub secret: SecretSource,
}

/// An access key of a role.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleAccessKey {
    /// Public part, letters, digits and underscores, unique over all accounts.
    #[schemars(
        length(min = *ranges::ACCESS_KEY_ID.start(), max = *ranges::ACCESS_KEY_ID.end()),
        regex(pattern = r"^[A-Za-z0-9_]+$")
    )]
    pub id: String,
    /// Where the secret part is.
    pub secret: SecretSource,
    /// Name of the session that the holder is. Absent: the key's id.
    #[schemars(
        length(min = *ranges::SESSION_NAME.start(), max = *ranges::SESSION_NAME.end()),
        regex(pattern = r"^[A-Za-z0-9_+=,.@-]+$")
    )]
    pub session_name: Option<String>,
}

/// Where a secret is: `{env: NAME}` or `{file: path}`. Secrets never stand in documents.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SecretSource {
    /// Name of an environment variable.
    Env(String),
    /// Path of a file; a line break at its end is not part of the secret.
    File(String),
}

objects!(Principals, User, Role, AccessKey, RoleAccessKey);
