//! IAM users and roles, and policies that several of them share.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use trellis_model::{
    arn::Arn,
    id::{PolicyId, RoleId, UserId},
    name::{AccountId, Region},
};

use super::{Resource, Scope, Stamp, Tags, Unit};
use crate::{
    catalog::{Catalog, Table},
    lattice::error::ResourceType,
};

/// The policies of a user or role.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IdentityPolicies {
    /// Its own, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) inline: BTreeMap<String, String>,
    /// Those that it shares with others.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) attached: BTreeSet<PolicyId>,
}

/// A text that is stored and never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Hidden(String);

impl Hidden {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one place that needs it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(redacted)")
    }
}

/// Does a key sign?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum KeyStatus {
    Active,
    Inactive,
}

impl KeyStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Inactive => "Inactive",
        }
    }
}

/// A key that a user signs with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessKey {
    pub(crate) id: String,
    /// None for keys of files: those have their secrets elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<Hidden>,
    pub(crate) status: KeyStatus,
    pub(crate) created_at: Stamp,
}

/// An IAM user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) created_at: Stamp,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
    #[serde(default)]
    pub(crate) policies: IdentityPolicies,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) access_keys: Vec<AccessKey>,
}

/// An IAM role.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Role {
    pub(crate) id: RoleId,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) created_at: Stamp,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) max_session_seconds: u32,
    /// Who may assume it, IAM JSON; none for roles of files that nobody assumes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trust_policy: Option<String>,
    #[serde(default)]
    pub(crate) policies: IdentityPolicies,
}

/// A policy that users and roles share. It has one version, its first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ManagedPolicy {
    pub(crate) id: PolicyId,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) created_at: Stamp,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) document: String,
}

/// A user or a role.
pub(crate) trait Identity: Resource {
    /// `User`, with which the names of its operations and parameters are made.
    const WORD: &'static str;
    /// `user`, as messages and ARNs have it.
    const NOUN: &'static str;
    /// Most characters of all its inline policies together.
    ///
    /// Source: IAM user guide, "IAM and AWS STS quotas".
    const INLINE_CHARACTERS: usize;

    fn policies(&self) -> &IdentityPolicies;
    fn policies_mut(&mut self) -> &mut IdentityPolicies;
}

/// Something of IAM that has a name and an ARN.
pub(crate) trait Iam: Resource {
    /// `user`, in its ARN.
    const PATH: &'static str;

    fn plain_name(&self) -> &str;
    fn iam_arn(&self, region: &Region) -> Arn {
        iam_arn::<Self>(self.account(), region, self.plain_name())
    }
}

/// The ARN of what has a name.
pub(crate) fn iam_arn<T: Iam>(account: &AccountId, region: &Region, name: &str) -> Arn {
    Arn::iam(account, region, format_args!("{}/{name}", T::PATH))
}

impl Identity for User {
    const WORD: &'static str = "User";
    const NOUN: &'static str = "user";
    const INLINE_CHARACTERS: usize = 2048;

    fn policies(&self) -> &IdentityPolicies {
        &self.policies
    }
    fn policies_mut(&mut self) -> &mut IdentityPolicies {
        &mut self.policies
    }
}

impl Identity for Role {
    const WORD: &'static str = "Role";
    const NOUN: &'static str = "role";
    const INLINE_CHARACTERS: usize = 10_240;

    fn policies(&self) -> &IdentityPolicies {
        &self.policies
    }
    fn policies_mut(&mut self) -> &mut IdentityPolicies {
        &mut self.policies
    }
}

macro_rules! iam_resources {
    ($($kind:ident: $key:literal, $path:literal, $id:ty, $table:ident, |$value:ident| $scopes:expr, $units:expr;)*) => {$(
        impl Iam for $kind {
            const PATH: &'static str = $path;

            fn plain_name(&self) -> &str {
                &self.name
            }
        }

        impl Resource for $kind {
            const KIND: &'static str = $key;
            const TYPE: ResourceType = ResourceType::$kind;
            type Id = $id;

            fn id(&self) -> Self::Id {
                self.id
            }
            fn account(&self) -> &AccountId {
                &self.account
            }
            fn scopes(&self) -> Vec<Scope> {
                let $value = self;
                $scopes
            }
            fn name(&self) -> Option<(Scope, &str)> {
                Some((Scope::Account(self.account.clone()), &self.name))
            }
            fn tags(&self) -> Option<&Tags> {
                Some(&self.tags)
            }
            fn tags_mut(&mut self) -> Option<&mut Tags> {
                Some(&mut self.tags)
            }
            fn units(&self) -> Vec<Unit> {
                let $value = self;
                $units
            }
            fn table(catalog: &Catalog) -> &Table<Self> {
                &catalog.$table
            }
            fn table_mut(catalog: &mut Catalog) -> &mut Table<Self> {
                &mut catalog.$table
            }
        }
    )*};
}

fn attached(policies: &IdentityPolicies) -> Vec<Scope> {
    policies
        .attached
        .iter()
        .copied()
        .map(Scope::Policy)
        .collect()
}

iam_resources! {
    User: "iam-user", "user", UserId, users, |user| attached(&user.policies), vec![Unit::User(user.id)];
    Role: "iam-role", "role", RoleId, roles, |role| attached(&role.policies), vec![Unit::Role(role.id)];
    // Its text never changes, and it is not removed while somebody has it.
    ManagedPolicy: "iam-policy", "policy", PolicyId, policies, |_policy| Vec::new(), Vec::new();
}
