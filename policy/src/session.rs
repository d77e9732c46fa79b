//! Temporary credentials: a session as a sealed token that any node with the sealing keys opens, without a look-up anywhere.
//!
//! Whoever assumes a role gets an access key id, a secret and a token. The token *is* the session: everything that a node must
//! know about it, the secret included, encrypted and authenticated under a key that only the nodes have. Nothing is stored when
//! a session begins, so nothing can be full, slow or out of step; what a session may do is looked up in the running configuration
//! each time a snapshot first sees it, so a role that is gone takes its sessions along.
//!
//! [`seal`] has the keys and the form of a token, [`opened`] remembers the tokens that were opened. A token is a secret: it is in
//! no log, no record and no error.

mod claims;
pub(crate) mod opened;
mod seal;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, SystemTime},
};

pub use opened::Sessions;
pub use seal::{MAX_TOKEN_BYTES, NONCE_BYTES, SealError, SealingKey, SealingKeys, TokenError};
use trellis_model::config::Secret;

/// Longest life of any session: that of `GetSessionToken`, 36 hours. A sealing key must be kept so long after its last use.
///
/// Source: STS API reference, `GetSessionToken`, `DurationSeconds`.
pub const LONGEST_SESSION: Duration = Duration::from_secs(129_600);

/// What temporary access key ids begin with. Source: IAM user guide, "Understanding unique ID prefixes".
pub const ACCESS_KEY_PREFIX: &str = "ASIA";

/// Temporary credentials and what they stand for.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// `ASIA…`.
    pub access_key_id: Box<str>,
    /// What its holder signs with.
    pub secret: Secret,
    /// Whose session it is.
    pub bearer: Bearer,
    /// Session tags, which overlay the tags of the role.
    pub tags: BTreeMap<String, String>,
    /// Keys of the tags that a session assumed from this one inherits.
    pub transitive: BTreeSet<String>,
    /// `aws:SourceIdentity`, which stays through all sessions assumed from this one.
    pub source_identity: Option<Box<str>>,
    /// `aws:FederatedProvider`: who vouched for the bearer, for a web identity.
    pub federated_provider: Option<Box<str>>,
    /// Session policies, IAM JSON: the session may do what both they and the role allow.
    pub policies: Vec<Box<str>>,
    /// When it began, in whole seconds.
    pub issued: SystemTime,
    /// From when on it is refused, in whole seconds.
    pub expires: SystemTime,
}

/// Whose session it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bearer {
    /// Somebody who assumed a role.
    Role {
        /// ARN of the role.
        arn: Box<str>,
        /// Name of the session.
        session_name: Box<str>,
    },
    /// A user with temporary credentials.
    User {
        /// ARN of the user.
        arn: Box<str>,
    },
}

impl Session {
    /// Is it over at this time?
    pub fn is_expired(&self, now: SystemTime) -> bool {
        now >= self.expires
    }
}

/// Shows no secret, and no policy.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("access_key_id", &self.access_key_id)
            .field("bearer", &self.bearer)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
