//! Verifications that a domain is the account's.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use trellis_model::{
    id::DomainVerificationId,
    name::{AccountId, DomainName},
};

use super::{Resource, Scope, Stamp, Tags, Unit};
use crate::{
    catalog::{Catalog, Table},
    lattice::error::ResourceType,
};

/// How long the record may take to appear. The guide does not say; AWS's certificates wait as long for theirs.
///
/// Source: AWS Certificate Manager user guide, "DNS validation".
const PATIENCE: Duration = Duration::from_secs(72 * 3600);

/// The record that proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TxtRecord {
    /// Label below the domain.
    pub(crate) name: String,
    pub(crate) value: String,
}

/// A verification that a domain is the account's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DomainVerification {
    pub(crate) id: DomainVerificationId,
    pub(crate) account: AccountId,
    pub(crate) created_at: Stamp,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
    pub(crate) domain_name: DomainName,
    pub(crate) txt_method_config: TxtRecord,
}

impl DomainVerification {
    /// How far it is. Nobody looks for the record yet, so it is never verified.
    pub(crate) fn status(&self, now: Stamp) -> &'static str {
        let waited = now.millis().saturating_sub(self.created_at.millis());
        if u128::from(waited) < PATIENCE.as_millis() {
            "PENDING"
        } else {
            "VERIFICATION_TIMED_OUT"
        }
    }

    /// Does it speak of this name: its domain, or a name below it?
    pub(crate) fn covers(&self, name: &DomainName) -> bool {
        is_within(name, &self.domain_name)
    }
}

/// Is a name a domain, or below it?
pub(crate) fn is_within(name: &DomainName, domain: &DomainName) -> bool {
    let rest = name.as_str().strip_suffix(domain.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

impl Resource for DomainVerification {
    const KIND: &'static str = "domain-verification";
    const TYPE: ResourceType = ResourceType::DomainVerification;
    type Id = DomainVerificationId;

    fn id(&self) -> Self::Id {
        self.id
    }
    fn account(&self) -> &AccountId {
        &self.account
    }
    fn name(&self) -> Option<(Scope, &str)> {
        let scope = Scope::Account(self.account.clone());
        Some((scope, self.domain_name.as_str()))
    }
    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }
    fn tags_mut(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }
    fn units(&self) -> Vec<Unit> {
        Vec::new()
    }
    fn table(catalog: &Catalog) -> &Table<Self> {
        &catalog.domain_verifications
    }
    fn table_mut(catalog: &mut Catalog) -> &mut Table<Self> {
        &mut catalog.domain_verifications
    }
}
