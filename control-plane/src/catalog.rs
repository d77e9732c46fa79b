//! All resources in memory, found by id, by name and by what they hang on.
//!
//! Resources of files and resources of the store stand side by side; a resource knows which it is ([`Owner`]). The catalog is what the
//! store says, with the files laid over it: it follows the store change by change and decides nothing.

mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use trellis_model::{config::Vpc, id::VpcId};

pub(crate) use self::table::{Entry, Owner, Table};
use crate::{
    resource::{
        AccessLogSubscription, DomainVerification, Listener, ManagedPolicy, Resource,
        ResourceAssociation, ResourceConfiguration, ResourceGateway, Role, Rule, Scope, Service,
        ServiceAssociation, ServiceNetwork, TargetGroup, Targets, Unit, User, VpcAssociation,
    },
    store::{Change, Revision, Write},
};

/// All resources.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// The revision of the store that it shows.
    pub(crate) revision: Revision,
    pub(crate) networks: Table<ServiceNetwork>,
    pub(crate) services: Table<Service>,
    pub(crate) listeners: Table<Listener>,
    pub(crate) rules: Table<Rule>,
    pub(crate) target_groups: Table<TargetGroup>,
    pub(crate) targets: Table<Targets>,
    pub(crate) service_associations: Table<ServiceAssociation>,
    pub(crate) vpc_associations: Table<VpcAssociation>,
    pub(crate) resource_gateways: Table<ResourceGateway>,
    pub(crate) resource_configurations: Table<ResourceConfiguration>,
    pub(crate) resource_associations: Table<ResourceAssociation>,
    pub(crate) domain_verifications: Table<DomainVerification>,
    pub(crate) access_log_subscriptions: Table<AccessLogSubscription>,
    pub(crate) users: Table<User>,
    pub(crate) roles: Table<Role>,
    pub(crate) policies: Table<ManagedPolicy>,
    /// VPCs, which files declare: the gateway touches them.
    vpcs: BTreeMap<VpcId, Arc<Vpc>>,
    /// What the data plane has to compile again.
    dirty: BTreeSet<Unit>,
}

/// Runs `$do!(Type)` for every kind of resource that is stored.
macro_rules! for_each_kind {
    ($do:ident) => {
        $do!(ServiceNetwork);
        $do!(Service);
        $do!(Listener);
        $do!(Rule);
        $do!(TargetGroup);
        $do!(Targets);
        $do!(ServiceAssociation);
        $do!(VpcAssociation);
        $do!(ResourceGateway);
        $do!(ResourceConfiguration);
        $do!(ResourceAssociation);
        $do!(DomainVerification);
        $do!(AccessLogSubscription);
        $do!(User);
        $do!(Role);
        $do!(ManagedPolicy);
    };
}

/// A value of the store that cannot be read. It is left out, and an operator must look at it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` in the store cannot be read: {cause}")]
pub(crate) struct Unreadable {
    pub(crate) key: String,
    pub(crate) cause: String,
}

impl Catalog {
    /// Knows these VPCs and no others.
    pub(crate) fn set_vpcs(&mut self, vpcs: impl Iterator<Item = Arc<Vpc>>) {
        self.vpcs = vpcs.map(|vpc| (vpc.id.clone(), vpc)).collect();
    }

    /// All VPCs, in the order of their ids.
    pub(crate) fn vpcs(&self) -> impl Iterator<Item = &Vpc> {
        self.vpcs.values().map(Arc::as_ref)
    }

    /// A VPC.
    pub(crate) fn vpc(&self, id: &VpcId) -> Option<&Vpc> {
        self.vpcs.get(id).map(Arc::as_ref)
    }

    /// An entry with this id.
    pub(crate) fn find<T: Resource>(&self, id: T::Id) -> Option<&Entry<T>> {
        T::table(self).find(id)
    }

    /// The entries within a scope, in the order of their ids.
    pub(crate) fn within<'c, T: Resource>(
        &'c self,
        scope: &Scope,
    ) -> impl Iterator<Item = &'c Entry<T>> + use<'c, T> {
        T::table(self).within(scope, None)
    }

    /// How many entries there are within a scope.
    pub(crate) fn count<T: Resource>(&self, scope: &Scope) -> usize {
        T::table(self).count(scope)
    }

    /// The entry with a name.
    pub(crate) fn named<T: Resource>(&self, scope: &Scope, name: &str) -> Option<&Entry<T>> {
        T::table(self).named(scope, name)
    }

    /// Takes over what a transaction changed. What cannot be read is left out and told.
    pub(crate) fn apply(&mut self, change: &Change) -> Vec<Unreadable> {
        let unreadable = change
            .writes
            .iter()
            .filter_map(|write| self.take(write, change.revision).err())
            .collect();
        self.revision = change.revision;
        unreadable
    }

    /// Takes over one key and its value.
    pub(crate) fn take(&mut self, write: &Write, revision: Revision) -> Result<(), Unreadable> {
        let Some((kind, id)) = write.key.split_once('/') else {
            return Ok(());
        };
        macro_rules! try_kind {
            ($kind:ty) => {
                if kind == <$kind>::KIND {
                    return self.take_as::<$kind>(write, id, revision);
                }
            };
        }
        for_each_kind!(try_kind);
        // Names, uses and tokens are for transactions only.
        Ok(())
    }

    fn take_as<T: Resource>(
        &mut self,
        write: &Write,
        id: &str,
        revision: Revision,
    ) -> Result<(), Unreadable> {
        let unreadable = |cause: String| Unreadable {
            key: write.key.clone(),
            cause,
        };
        let before = match &write.value {
            None => {
                let id = id
                    .parse::<T::Id>()
                    .map_err(|_| unreadable("its key has no id".to_owned()))?;
                T::table_mut(self).remove(id)
            }
            Some(value) => {
                let value: T =
                    serde_json::from_slice(value).map_err(|error| unreadable(error.to_string()))?;
                self.dirty.extend(value.units());
                T::table_mut(self).insert(value, Owner::Api, revision)
            }
        };
        self.dirty
            .extend(before.iter().flat_map(|entry| entry.value.units()));
        Ok(())
    }

    /// Lays a resource of a file over the store.
    pub(crate) fn declare<T: Resource>(&mut self, value: T, file: &str) {
        T::table_mut(self).insert(value, Owner::File(file.into()), Revision::default());
    }

    /// Takes over all that the store says, from a catalog that was read from it alone; resources of files stay.
    pub(crate) fn replace_store(&mut self, mut fresh: Catalog) {
        macro_rules! carry {
            ($kind:ty) => {
                let files = <$kind>::table(self).all();
                for entry in files.filter(|entry| entry.owner != Owner::Api) {
                    let value = (*entry.value).clone();
                    <$kind>::table_mut(&mut fresh).insert(
                        value,
                        entry.owner.clone(),
                        entry.revision,
                    );
                }
                let gone = <$kind>::table(self).all();
                fresh
                    .dirty
                    .extend(gone.flat_map(|entry| entry.value.units()));
            };
        }
        for_each_kind!(carry);
        fresh.vpcs = std::mem::take(&mut self.vpcs);
        *self = fresh;
    }

    /// Takes all resources of files away.
    pub(crate) fn forget_files(&mut self) {
        macro_rules! forget {
            ($kind:ty) => {
                <$kind>::table_mut(self).retain(|entry| entry.owner == Owner::Api);
            };
        }
        for_each_kind!(forget);
    }

    /// What the data plane has to compile again since it was asked last.
    pub(crate) fn take_dirty(&mut self) -> BTreeSet<Unit> {
        std::mem::take(&mut self.dirty)
    }
}

#[cfg(test)]
mod tests;
