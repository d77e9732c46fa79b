//! With whom a resource is shared.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use trellis_model::name::AccountId;

/// With whom a resource is shared, by its resource policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sharing {
    /// The resource policy, as it was put.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<String>,
    /// The accounts that the policy names.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) by_policy: BTreeSet<AccountId>,
}

impl Sharing {
    /// Is it shared with nobody?
    pub(crate) fn is_none(&self) -> bool {
        self.policy.is_none()
    }

    /// The accounts that may see it and associate it.
    pub(crate) fn guests(&self) -> BTreeSet<AccountId> {
        self.by_policy.clone()
    }
}
