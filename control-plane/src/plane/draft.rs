//! A change in the making.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    catalog::{Catalog, Entry, Owner},
    lattice::error::ApiError,
    resource::{Resource, Scope, key_of, name_key, use_key, use_prefix},
    store::{Condition, Transaction, Write},
};

/// A change in the making: what is looked at becomes a condition, what is put becomes a write.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    catalog: &'a Catalog,
    conditions: Vec<Condition>,
    writes: BTreeMap<String, Option<Vec<u8>>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(catalog: &'a Catalog) -> Self {
        Self {
            catalog,
            conditions: Vec::new(),
            writes: BTreeMap::new(),
        }
    }

    /// The catalog, for what the change does not depend on.
    pub(crate) fn catalog(&self) -> &'a Catalog {
        self.catalog
    }

    /// A resource that the change depends on: it must still be as it is here.
    pub(crate) fn rely_on<T: Resource>(&mut self, entry: &Entry<T>) {
        // What a file declares is not in the store. Files are laid over the catalog by this process alone.
        if entry.owner == Owner::Api {
            let key = key_of::<T>(entry.value.id());
            self.demand(Condition::WrittenAt(key, entry.revision));
        }
    }

    /// Nothing new may hang on this by the time of the change.
    pub(crate) fn nothing_new_on(&mut self, scope: &Scope) {
        let prefix = use_prefix(scope);
        self.demand(Condition::NoneSince(prefix, self.catalog.revision));
    }

    /// Keeps the token of a request. Nobody may have kept the same one since this change was begun.
    pub(crate) fn put_token(&mut self, key: String, value: Vec<u8>) {
        let since = self.catalog.revision;
        self.demand(Condition::NoneSince(key.clone(), since));
        self.writes.insert(key, Some(value));
    }

    /// Puts a resource where none has its id.
    pub(crate) fn create<T: Resource>(&mut self, value: &T) -> Result<(), ApiError> {
        self.demand(Condition::Absent(key_of::<T>(value.id())));
        if let Some((scope, name)) = value.name() {
            self.demand(Condition::Absent(name_key::<T>(&scope, name)));
        }
        self.write_all(value, true)
    }

    /// Puts another value in place of a resource.
    ///
    /// # Errors
    ///
    /// The resource is a file's.
    pub(crate) fn update<T: Resource>(
        &mut self,
        entry: &Entry<T>,
        value: &T,
    ) -> Result<(), ApiError> {
        self.may_change(entry)?;
        let scopes = value.scopes();
        for scope in entry.value.scopes() {
            if !scopes.contains(&scope) {
                self.writes.insert(use_key::<T>(&scope, value.id()), None);
            }
        }
        self.write_all(value, false)
    }

    /// Removes a resource.
    ///
    /// # Errors
    ///
    /// The resource is a file's.
    pub(crate) fn remove<T: Resource>(&mut self, entry: &Entry<T>) -> Result<(), ApiError> {
        self.may_change(entry)?;
        let id = entry.value.id();
        self.writes.insert(key_of::<T>(id), None);
        if let Some((scope, name)) = entry.value.name() {
            self.writes.insert(name_key::<T>(&scope, name), None);
        }
        for scope in entry.value.scopes() {
            self.writes.insert(use_key::<T>(&scope, id), None);
        }
        Ok(())
    }

    /// May the API change this resource? It relies on it, too.
    pub(crate) fn may_change<T: Resource>(&mut self, entry: &Entry<T>) -> Result<(), ApiError> {
        match &entry.owner {
            Owner::Api => {
                self.rely_on(entry);
                Ok(())
            }
            Owner::File(file) => Err(ApiError::AccessDenied(format!(
                "{} {} is defined in {file} and can only be changed there",
                T::TYPE.noun(),
                entry.value.id()
            ))),
        }
    }

    fn write_all<T: Resource>(&mut self, value: &T, new: bool) -> Result<(), ApiError> {
        let id = value.id();
        let bytes = serde_json::to_vec(value)
            .map_err(|error| ApiError::Internal(format!("{} {id}: {error}", T::KIND)))?;
        self.writes.insert(key_of::<T>(id), Some(bytes));
        if let Some((scope, name)) = value.name()
            && new
        {
            let owner = id.to_string().into_bytes();
            self.writes.insert(name_key::<T>(&scope, name), Some(owner));
        }
        for scope in value.scopes() {
            // Written again even where it was there: whoever demands that nothing is new here must notice.
            self.writes
                .insert(use_key::<T>(&scope, id), Some(Vec::new()));
        }
        Ok(())
    }

    fn demand(&mut self, condition: Condition) {
        if !self.conditions.contains(&condition) {
            self.conditions.push(condition);
        }
    }

    pub(super) fn finish(self) -> Transaction {
        Transaction {
            conditions: self.conditions,
            writes: self
                .writes
                .into_iter()
                .map(|(key, value)| Write { key, value })
                .collect(),
        }
    }
}

/// A shared value to change.
pub(crate) fn changed<T: Clone>(value: &Arc<T>, change: impl FnOnce(&mut T)) -> T {
    let mut value = T::clone(value);
    change(&mut value);
    value
}
