//! Who is calling: the principals of a configuration, and the caller of one request.

use std::{collections::BTreeMap, fmt};

use trellis_model::{config::Organization, name::AccountId};

/// Position of a principal in the table of one compiled configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrincipalIndex(pub u32);

/// Who sent a request, as its signature shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    /// The request carries no signature.
    Anonymous,
    /// The request is signed, and the signature is right.
    Principal(PrincipalIndex),
}

/// Kind of an authenticated principal, seen by policies as `aws:PrincipalType`.
///
/// Source: IAM user guide, "Principal key values".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrincipalType {
    /// An IAM user.
    User,
    /// A session of an IAM role.
    AssumedRole,
}

impl PrincipalType {
    /// The value of `aws:PrincipalType`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::AssumedRole => "AssumedRole",
        }
    }
}

impl fmt::Display for PrincipalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An authenticated principal: everything that policies, forwarded headers and records may say about a caller.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The ARN as denials and records show it: of the user, or of the session (`arn:aws:sts::…:assumed-role/ROLE/SESSION`).
    pub arn: Box<str>,
    /// The ARN that `aws:PrincipalArn` gives: of the user, or of the session's role.
    pub principal_arn: Box<str>,
    /// The account that it belongs to.
    pub account: AccountId,
    /// What it is.
    pub kind: PrincipalType,
    /// Name of the user, or of the role.
    pub name: Box<str>,
    /// Name of the session, for a role.
    pub session_name: Option<Box<str>>,
    /// The unique id that `aws:userid` gives: `AIDA…` for a user, `AROA…:<session>` for a session.
    pub user_id: Box<str>,
    /// Tags, seen by policies as `aws:PrincipalTag/<key>`.
    pub tags: BTreeMap<String, String>,
    /// The organization of its account.
    pub organization: Option<Organization>,
}

impl Principal {
    /// The value of `aws:username`, which only users have.
    pub fn user_name(&self) -> Option<&str> {
        (self.kind == PrincipalType::User).then_some(&*self.name)
    }
}
