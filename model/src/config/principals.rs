//! Who may sign requests.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use super::PolicyText;
use crate::{arn::Arn, name::AccountId, problem::Place};

/// An IAM user.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// `arn:aws:iam::<account>:user/<name>`.
    pub arn: Arn,
    /// Its name, unique among the account's users.
    pub name: Box<str>,
    /// Its account.
    pub account: AccountId,
    /// Identity-based policies.
    pub policies: Vec<PolicyText>,
    /// Limit of what they can allow.
    pub permissions_boundary: Option<PolicyText>,
    /// Keys that it signs with.
    pub access_keys: Vec<AccessKey>,
    /// Tags, seen by policies as `aws:PrincipalTag/<key>`.
    pub tags: BTreeMap<String, String>,
    /// Where it is declared.
    pub place: Place,
}

/// An IAM role.
#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    /// `arn:aws:iam::<account>:role/<name>`.
    pub arn: Arn,
    /// Its name, unique among the account's roles.
    pub name: Box<str>,
    /// Its account.
    pub account: AccountId,
    /// Who may assume it; nobody without.
    pub trust_policy: Option<PolicyText>,
    /// Longest life of its sessions. Default one hour.
    pub max_session_duration: Duration,
    /// Identity-based policies.
    pub policies: Vec<PolicyText>,
    /// Limit of what they can allow.
    pub permissions_boundary: Option<PolicyText>,
    /// Long-lived sessions: keys whose holders are sessions of this role.
    pub access_keys: Vec<RoleAccessKey>,
    /// Tags, seen by policies as `aws:PrincipalTag/<key>`.
    pub tags: BTreeMap<String, String>,
    /// Where it is declared.
    pub place: Place,
}

/// An access key and its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessKey {
    /// Public part, unique over all accounts.
    pub id: Box<str>,
    /// Secret part, read from the environment or a file.
    pub secret: Secret,
}

/// An access key of a role: whoever signs with it is the session `session_name` of the role.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleAccessKey {
    /// The key.
    pub key: AccessKey,
    /// Name of the session. Default: the key's id.
    pub session_name: Box<str>,
}

/// A text that must not be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a text.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// The organization of an account, seen by policies as `aws:PrincipalOrgID` and `aws:PrincipalOrgPaths`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// `o-…`.
    pub id: Box<str>,
    /// Paths of the account within it, `o-…/r-…/ou-…/`; may be empty.
    pub paths: Vec<Box<str>>,
}
