//! What one configuration has in common with the one before it, by identity.
//!
//! Resources are compared as allocations, never by value: that costs nothing, and what is the same allocation is certainly the same.
//! A resource that was made anew with the same content counts as changed; whoever makes configurations decides what they share.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::Config;

/// Where the values of a list were in the list before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Carried {
    /// For each position the position of the same allocation before.
    from: Vec<Option<u32>>,
    /// Positions before whose allocations are gone, ascending.
    gone: Vec<u32>,
    kept_order: bool,
}

impl Carried {
    /// Compares two lists. No allocation is in a list twice; if it is, its later places count as new.
    pub fn between<T>(before: &[Arc<T>], after: &[Arc<T>]) -> Self {
        let mut matcher = Matcher {
            before,
            taken: vec![false; before.len()],
            positions: None,
        };
        let mut from = Vec::with_capacity(after.len());
        let mut expected = 0;
        for (position, value) in after.iter().enumerate() {
            let found = matcher.take(value, expected, after.get(position + 1));
            // Where a value is new, it may stand in the place of another or between two.
            expected = match found {
                Some(found) => found + 1,
                None if matcher.is(expected, after.get(position + 1)) => expected,
                None => expected + 1,
            };
            from.push(found.and_then(|found| u32::try_from(found).ok()));
        }
        let gone = (0..).zip(&matcher.taken).filter(|(_, taken)| !**taken);
        Self {
            gone: gone.map(|(position, _)| position).collect(),
            kept_order: before.len() == after.len()
                && (0..)
                    .zip(&from)
                    .all(|(position, from)| from.is_none_or(|from| from == position)),
            from,
        }
    }

    /// A list before which there was none: everything in it is new.
    pub fn nothing<T>(after: &[Arc<T>]) -> Self {
        Self {
            from: vec![None; after.len()],
            gone: Vec::new(),
            kept_order: false,
        }
    }

    /// Where the value at this position was before, if it was there.
    pub fn from(&self, position: usize) -> Option<usize> {
        let from = self.from.get(position).copied().flatten()?;
        usize::try_from(from).ok()
    }

    /// Positions of values that were not there before.
    pub fn newcomers(&self) -> impl Iterator<Item = usize> {
        let positions = self.from.iter().enumerate();
        positions.filter_map(|(position, from)| from.is_none().then_some(position))
    }

    /// Positions before of values that are gone.
    pub fn gone(&self) -> impl Iterator<Item = usize> {
        self.gone
            .iter()
            .filter_map(|position| usize::try_from(*position).ok())
    }

    /// Is it the same list?
    pub fn is_same(&self) -> bool {
        self.kept_order && self.gone.is_empty()
    }

    /// Is whatever was there before where it was, so that only some places have new values?
    pub fn kept_places(&self) -> bool {
        self.kept_order
    }
}

struct Matcher<'a, T> {
    before: &'a [Arc<T>],
    taken: Vec<bool>,
    /// Made when something is where nobody expects it.
    positions: Option<HashMap<*const T, usize>>,
}

impl<T> Matcher<'_, T> {
    fn is(&self, position: usize, value: Option<&Arc<T>>) -> bool {
        matches!((self.before.get(position), value), (Some(one), Some(other)) if Arc::ptr_eq(one, other))
    }

    /// Where the value was; looked for where it is expected first.
    fn take(&mut self, value: &Arc<T>, expected: usize, next: Option<&Arc<T>>) -> Option<usize> {
        let found = if self.is(expected, Some(value)) {
            expected
        } else if self.is(expected + 1, Some(value)) {
            expected + 1
        } else if self.is(expected, next) || self.is(expected + 1, next) {
            // One value came, or took the place of another; what follows is where it is expected.
            return None;
        } else {
            let before = self.before;
            let positions = self.positions.get_or_insert_with(|| {
                let positions = before.iter().enumerate();
                positions
                    .map(|(position, value)| (Arc::as_ptr(value), position))
                    .collect()
            });
            *positions.get(&Arc::as_ptr(value))?
        };
        let taken = self.taken.get_mut(found)?;
        (!std::mem::replace(taken, true)).then_some(found)
    }
}

/// What a configuration has in common with the one before it.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says of one small part of the configuration whether it is the same"
)]
pub struct Difference {
    /// VPCs.
    pub vpcs: Carried,
    /// Service networks.
    pub service_networks: Carried,
    /// Services.
    pub services: Carried,
    /// Target groups.
    pub target_groups: Carried,
    /// Target groups of functions.
    pub function_groups: Carried,
    /// Users.
    pub users: Carried,
    /// Roles.
    pub roles: Carried,
    /// Access log subscriptions.
    pub access_log_subscriptions: Carried,
    /// Is it the same region? Then ARNs of one are ARNs of the other.
    pub same_region: bool,
    /// Are accounts in the same organizations?
    pub same_organizations: bool,
    /// Are identity providers, trust stores and mappings the same?
    pub same_identities: bool,
    /// Are trust stores the same?
    pub same_trust_stores: bool,
}

impl Difference {
    /// Compares a configuration with the one before it, if there was one.
    pub fn between(before: Option<&Config>, after: &Config) -> Self {
        let Some(before) = before else {
            return Self::whole(after);
        };
        let same_trust_stores = before.trust_stores == after.trust_stores;
        Self {
            vpcs: Carried::between(&before.vpcs, &after.vpcs),
            service_networks: Carried::between(&before.service_networks, &after.service_networks),
            services: Carried::between(&before.services, &after.services),
            target_groups: Carried::between(&before.target_groups, &after.target_groups),
            function_groups: Carried::between(&before.function_groups, &after.function_groups),
            users: Carried::between(&before.users, &after.users),
            roles: Carried::between(&before.roles, &after.roles),
            access_log_subscriptions: Carried::between(
                &before.access_log_subscriptions,
                &after.access_log_subscriptions,
            ),
            same_region: before.region == after.region,
            same_organizations: before.organizations == after.organizations,
            same_identities: same_trust_stores
                && before.identity_providers == after.identity_providers
                && before.mappings == after.mappings,
            same_trust_stores,
        }
    }

    fn whole(after: &Config) -> Self {
        Self {
            vpcs: Carried::nothing(&after.vpcs),
            service_networks: Carried::nothing(&after.service_networks),
            services: Carried::nothing(&after.services),
            target_groups: Carried::nothing(&after.target_groups),
            function_groups: Carried::nothing(&after.function_groups),
            users: Carried::nothing(&after.users),
            roles: Carried::nothing(&after.roles),
            access_log_subscriptions: Carried::nothing(&after.access_log_subscriptions),
            ..Self::default()
        }
    }
}

impl Config {
    /// Takes from the configuration before it whatever has the same content, so that the two share it.
    pub fn share_with(&mut self, before: &Self) {
        share(&mut self.vpcs, &before.vpcs, |vpc| vpc.arn.as_str());
        share(
            &mut self.service_networks,
            &before.service_networks,
            |network| network.arn.as_str(),
        );
        share(&mut self.services, &before.services, |service| {
            service.arn.as_str()
        });
        share(&mut self.target_groups, &before.target_groups, |group| {
            group.arn.as_str()
        });
        share(
            &mut self.function_groups,
            &before.function_groups,
            |group| group.arn.as_str(),
        );
        share(&mut self.users, &before.users, |user| user.arn.as_str());
        share(&mut self.roles, &before.roles, |role| role.arn.as_str());
        share(
            &mut self.access_log_subscriptions,
            &before.access_log_subscriptions,
            |subscription| subscription.arn.as_str(),
        );
    }
}

fn share<T: PartialEq>(after: &mut [Arc<T>], before: &[Arc<T>], arn: impl Fn(&T) -> &str) {
    let mut moved: Option<BTreeMap<&str, &Arc<T>>> = None;
    for (position, value) in after.iter_mut().enumerate() {
        let in_place = before.get(position);
        let in_place = in_place.filter(|known| arn(known) == arn(value));
        let known = in_place.or_else(|| {
            let by_arn = moved
                .get_or_insert_with(|| before.iter().map(|known| (arn(known), known)).collect());
            by_arn.get(arn(value)).copied()
        });
        if let Some(known) = known.filter(|known| ***known == **value) {
            *value = Arc::clone(known);
        }
    }
}
