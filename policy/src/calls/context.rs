//! The condition keys of a call.

use std::{borrow::Cow, collections::HashMap, net::IpAddr, time::SystemTime};

use crate::{
    facts::{KeyValues, Values, epoch_seconds, iso_time},
    key::Key,
    principal::Principal,
};

/// Values of condition keys, by name in lower case.
#[derive(Debug, Clone, Default)]
pub struct CallContext {
    values: HashMap<Box<str>, Vec<String>>,
}

impl CallContext {
    /// What every call has: when it comes, from where, and whether it is encrypted on the way.
    pub fn new(now: SystemTime, source: IpAddr, secure: bool) -> Self {
        let mut context = Self::default();
        context.set("aws:CurrentTime", [iso_time(now)]);
        context.set("aws:EpochTime", [epoch_seconds(now).to_string()]);
        context.set("aws:SourceIp", [source.to_canonical().to_string()]);
        context.set("aws:SecureTransport", [secure.to_string()]);
        context
    }

    /// Gives a key its values, in place of any that it had; without values it is missing.
    pub fn set(&mut self, key: &str, values: impl IntoIterator<Item = String>) {
        let values: Vec<String> = values.into_iter().collect();
        let key: Box<str> = key.to_lowercase().into();
        if values.is_empty() {
            self.values.remove(&key);
        } else {
            self.values.insert(key, values);
        }
    }

    /// What is known of whoever calls.
    ///
    /// Source: IAM user guide, "AWS global condition context keys", "Properties of the principal".
    pub fn describe(&mut self, principal: &Principal) {
        let text = |text: &str| [text.to_owned()];
        self.set("aws:PrincipalArn", text(&principal.principal_arn));
        self.set("aws:PrincipalAccount", text(principal.account.as_str()));
        self.set("aws:PrincipalType", text(principal.kind.as_str()));
        self.set("aws:userid", text(&principal.user_id));
        self.set("aws:username", principal.user_name().map(str::to_owned));
        self.set(
            "aws:SourceIdentity",
            principal.source_identity.as_deref().map(str::to_owned),
        );
        self.set(
            "aws:FederatedProvider",
            principal.federated_provider.as_deref().map(str::to_owned),
        );
        self.set("aws:TokenIssueTime", principal.issued.map(iso_time));
        if let Some(organization) = &principal.organization {
            self.set("aws:PrincipalOrgID", text(&organization.id));
            let paths = organization.paths.iter().map(ToString::to_string);
            self.set("aws:PrincipalOrgPaths", paths);
        }
        for (key, value) in &principal.tags {
            self.set(&format!("aws:PrincipalTag/{key}"), text(value));
        }
    }
}

impl KeyValues for CallContext {
    fn values_of(&self, key: &Key) -> Option<Values<'_>> {
        let Key::OfCall(name) = key else {
            return None;
        };
        let values = self.values.get(name)?;
        Some(
            values
                .iter()
                .map(|value| Cow::Borrowed(value.as_str()))
                .collect(),
        )
    }
}
