//! Names of resources and references to them.
//!
//! A reference is a name, an id or an ARN, and finds resources of its own account only. What belongs to another account and what does
//! not exist give the same message, so that nobody learns from a message what others have.

use std::{collections::HashMap, hash::Hash, str::FromStr};

use super::{AccountIndex, Builder};
use crate::{
    config::LoggedResource,
    load::{nearest::nearest, path::At},
    name::partition,
};

/// How many missing references get the nearest name as a hint: finding it means looking at every name, so the number is bounded.
const HINTS: usize = 50;

/// The resources of one type that can be referred to.
#[derive(Debug)]
pub(super) struct Names<'a, I> {
    by_name: HashMap<(AccountIndex, &'a str), Declared<I>>,
    by_id: HashMap<I, AccountIndex>,
    hints: usize,
}

/// A resource with its id and where it stands: file and position in the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declared<I> {
    pub(super) id: I,
    pub(super) file: usize,
    pub(super) index: usize,
}

impl<'a, I: Clone + Eq + Hash + FromStr> Names<'a, I> {
    pub(super) fn new() -> Self {
        Self {
            by_name: HashMap::new(),
            by_id: HashMap::new(),
            hints: 0,
        }
    }

    /// Enters a resource; gives back the one that has the name already.
    pub(super) fn declare(
        &mut self,
        account: AccountIndex,
        name: &'a str,
        declared: Declared<I>,
    ) -> Option<&Declared<I>> {
        match self.by_name.entry((account, name)) {
            std::collections::hash_map::Entry::Occupied(taken) => Some(taken.into_mut()),
            std::collections::hash_map::Entry::Vacant(free) => {
                self.by_id.insert(declared.id.clone(), account);
                free.insert(declared);
                None
            }
        }
    }

    /// Is this id taken, in whatever account?
    pub(super) fn has_id(&self, id: &I) -> bool {
        self.by_id.contains_key(id)
    }

    /// Is the resource at this place the one that the name means?
    pub(super) fn is_first(
        &self,
        account: AccountIndex,
        name: &str,
        file: usize,
        index: usize,
    ) -> bool {
        self.by_name
            .get(&(account, name))
            .is_some_and(|declared| declared.file == file && declared.index == index)
    }

    fn find_name(&self, account: AccountIndex, name: &str) -> Option<I> {
        self.by_name
            .get(&(account, name))
            .map(|declared| declared.id.clone())
    }

    fn find_id(&self, account: AccountIndex, text: &str, arn_prefix: &str) -> Option<I> {
        let id: I = text.strip_prefix(arn_prefix).unwrap_or(text).parse().ok()?;
        (self.by_id.get(&id) == Some(&account)).then_some(id)
    }

    fn nearest(&mut self, account: AccountIndex, text: &str) -> Option<&'a str> {
        self.hints += 1;
        if self.hints > HINTS {
            return None;
        }
        let names = self
            .by_name
            .keys()
            .filter(|(owner, _)| *owner == account)
            .map(|(_, name)| *name);
        nearest(text, names)
    }
}

/// What would be right where a reference finds nothing.
fn missing_hint(noun: &str) -> String {
    format!(
        "name, id or ARN of a {noun} of this account; another account's would have to be shared, which this version cannot"
    )
}

macro_rules! resolvers {
    ($($(#[$doc:meta])* $function:ident: $table:ident, $member:literal -> $id:ty, $noun:literal, $service:literal, $kind:literal;)*) => {
        impl<'a> Builder<'a> {$(
            $(#[$doc])*
            pub(super) fn $function(&mut self, file: usize, at: &At<'_>, text: &str) -> Option<$id> {
                let account = self.owner(file);
                if let Some(id) = self.$table.find_name(account, text) {
                    return Some(id);
                }
                if let Some(id) = self.$table.find_id(account, text, &self.arn_prefix(file, $service, $kind)) {
                    return Some(id);
                }
                if !self.is_lost($member, text) {
                    let message = format!("no {} `{text}` in account `{}`", $noun, self.account(file));
                    let hint = self.$table.nearest(account, text).map_or_else(
                        || missing_hint($noun),
                        |name| format!("did you mean `{name}`?"),
                    );
                    self.error(at, message).hint(hint);
                }
                None
            }
        )*}
    };
}

resolvers! {
    /// The VPC that a document refers to.
    resolve_vpc: vpcs, "vpcs" -> crate::id::VpcId, "VPC", "ec2", "vpc/";
    /// The service that a document refers to.
    resolve_service: services, "services" -> crate::id::ServiceId, "service", "vpc-lattice", "service/";
    /// The target group that a document refers to.
    resolve_target_group: target_groups, "targetGroups" -> crate::id::TargetGroupId, "target group", "vpc-lattice", "targetgroup/";
}

impl Builder<'_> {
    /// What an access log subscription refers to: a service network or, failing that, a service.
    pub(super) fn logged_resource(
        &mut self,
        at: &At<'_>,
        file: usize,
        text: &str,
    ) -> Option<LoggedResource> {
        let account = self.owner(file);
        let network = self.networks.find_name(account, text).or_else(|| {
            self.networks.find_id(
                account,
                text,
                &self.arn_prefix(file, "vpc-lattice", "servicenetwork/"),
            )
        });
        if let Some(network) = network {
            return Some(LoggedResource::ServiceNetwork(network));
        }
        let service = self.services.find_name(account, text).or_else(|| {
            self.services.find_id(
                account,
                text,
                &self.arn_prefix(file, "vpc-lattice", "service/"),
            )
        });
        if service.is_none()
            && !self.is_lost("serviceNetworks", text)
            && !self.is_lost("services", text)
        {
            let message = format!(
                "no service network or service `{text}` in account `{}`",
                self.account(file)
            );
            let near = self
                .networks
                .nearest(account, text)
                .or_else(|| self.services.nearest(account, text));
            let hint = near.map_or_else(
                || missing_hint("service network or service"),
                |name| format!("did you mean `{name}`?"),
            );
            self.error(at, message).hint(hint);
        }
        service.map(LoggedResource::Service)
    }

    fn arn_prefix(&self, file: usize, service: &str, kind: &str) -> String {
        format!(
            "arn:{}:{service}:{}:{}:{kind}",
            partition(&self.region),
            self.region,
            self.account(file)
        )
    }

    /// Was the resource left out because its own document is wrong? Then a reference to it is no further problem.
    pub(super) fn is_lost(&self, member: &str, text: &str) -> bool {
        self.lost_everything || self.lost_members.contains(member) || self.lost.contains(text)
    }
}
