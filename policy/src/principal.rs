//! Who is calling: the principals of a configuration, and the caller of one request.

use std::{collections::BTreeMap, fmt, sync::Arc, time::SystemTime};

use trellis_model::{
    arn::Arn,
    config::Organization,
    name::{AccountId, Region},
};

use crate::bearers::BoundSession;

/// Position of a principal in the table of one compiled configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrincipalIndex(pub u32);

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Caller {
    /// Nothing shows who did.
    Anonymous,
    /// A principal of the configuration: by a signature, a token or a network.
    Principal(PrincipalIndex),
    /// The holder of temporary credentials, by a signature.
    Session(Arc<BoundSession>),
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
    /// `aws:SourceIdentity`: who is behind a session, as set when the first of its chain began.
    pub source_identity: Option<Box<str>>,
    /// `aws:FederatedProvider`: who vouched for the holder of a session.
    pub federated_provider: Option<Box<str>>,
    /// `aws:TokenIssueTime`: when temporary credentials were given.
    pub issued: Option<SystemTime>,
}

impl Principal {
    /// The session of this role with this name.
    pub(crate) fn of_session(&self, session_name: &str, region: &Region) -> Self {
        let arn = Arn::assumed_role(&self.account, region, &self.name, session_name);
        Self {
            arn: arn.as_str().into(),
            session_name: Some(session_name.into()),
            user_id: format!("{}:{session_name}", self.user_id).into(),
            ..self.clone()
        }
    }

    /// The value of `aws:username`, which only users have.
    pub fn user_name(&self) -> Option<&str> {
        (self.kind == PrincipalType::User).then_some(&*self.name)
    }
}
