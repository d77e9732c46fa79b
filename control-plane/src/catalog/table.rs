//! All resources of one kind.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
};

use trellis_model::name::AccountId;

use crate::{
    resource::{Resource, Scope},
    store::Revision,
};

/// Who may change a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Whoever calls the API and may.
    Api,
    /// Whoever edits this file.
    File(Box<str>),
}

/// A resource as the catalog has it.
#[derive(Debug, Clone)]
pub(crate) struct Entry<T> {
    pub(crate) value: Arc<T>,
    pub(crate) owner: Owner,
    /// The revision of the store that wrote it.
    pub(crate) revision: Revision,
}

/// Most shared resources that a page looks at: more than a page holds.
const MOST_SHARED: usize = 128;

/// All resources of one kind.
#[derive(Debug)]
pub(crate) struct Table<T: Resource> {
    entries: BTreeMap<T::Id, Entry<T>>,
    within: HashMap<Scope, BTreeSet<T::Id>>,
    names: HashMap<(Scope, Box<str>), T::Id>,
    guests: HashMap<AccountId, BTreeSet<T::Id>>,
}

impl<T: Resource> Default for Table<T> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            within: HashMap::new(),
            names: HashMap::new(),
            guests: HashMap::new(),
        }
    }
}

/// Where lists find a resource: its account, and whatever it hangs on.
fn scopes<T: Resource>(value: &T) -> BTreeSet<Scope> {
    let mut scopes: BTreeSet<Scope> = value.scopes().into_iter().collect();
    scopes.insert(Scope::Account(value.account().clone()));
    scopes
}

impl<T: Resource> Table<T> {
    pub(crate) fn find(&self, id: T::Id) -> Option<&Entry<T>> {
        self.entries.get(&id)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Entry<T>> {
        self.entries.values()
    }

    /// The entries within a scope whose ids come after `after`, in the order of their ids.
    pub(crate) fn within<'t>(
        &'t self,
        scope: &Scope,
        after: Option<T::Id>,
    ) -> impl Iterator<Item = &'t Entry<T>> + use<'t, T> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let ids = self.within.get(scope);
        ids.into_iter()
            .flat_map(move |ids| ids.range((from, Bound::Unbounded)))
            .filter_map(|id| self.entries.get(id))
    }

    /// What an account may see, its own and what is shared with it, beyond `after`, in the order of their ids.
    pub(crate) fn visible(
        &self,
        account: &AccountId,
        after: Option<T::Id>,
    ) -> impl Iterator<Item = &Entry<T>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = move |ids: &'_ BTreeSet<T::Id>| {
            let ids: Vec<T::Id> = ids
                .range((from, Bound::Unbounded))
                .take(MOST_SHARED)
                .copied()
                .collect();
            ids
        };
        let shared = self.guests.get(account).map(range).unwrap_or_default();
        let mut shared = shared.into_iter().peekable();
        let own = self.within(&Scope::Account(account.clone()), after);
        let mut own = own.peekable();
        std::iter::from_fn(move || match (own.peek(), shared.peek()) {
            (Some(mine), Some(theirs)) if *theirs < mine.value.id() => {
                shared.next().and_then(|id| self.entries.get(&id))
            }
            (Some(_), _) => own.next(),
            (None, _) => shared.next().and_then(|id| self.entries.get(&id)),
        })
    }

    pub(crate) fn count(&self, scope: &Scope) -> usize {
        self.within.get(scope).map_or(0, BTreeSet::len)
    }

    pub(crate) fn named(&self, scope: &Scope, name: &str) -> Option<&Entry<T>> {
        let id = self.names.get(&(scope.clone(), name.into()))?;
        self.entries.get(id)
    }

    /// Puts a resource in, and gives back what was there with its id.
    pub(crate) fn insert(
        &mut self,
        value: T,
        owner: Owner,
        revision: Revision,
    ) -> Option<Entry<T>> {
        let id = value.id();
        let before = self.remove(id);
        for scope in scopes(&value) {
            self.within.entry(scope).or_default().insert(id);
        }
        // Whoever shares with itself sees it once.
        for guest in value
            .guests()
            .into_iter()
            .filter(|guest| guest != value.account())
        {
            self.guests.entry(guest).or_default().insert(id);
        }
        if let Some((scope, name)) = value.name() {
            self.names.insert((scope, name.into()), id);
        }
        self.entries.insert(
            id,
            Entry {
                value: Arc::new(value),
                owner,
                revision,
            },
        );
        before
    }

    /// Takes a resource out.
    pub(crate) fn remove(&mut self, id: T::Id) -> Option<Entry<T>> {
        let before = self.entries.remove(&id)?;
        for scope in scopes(&*before.value) {
            if let Some(ids) = self.within.get_mut(&scope) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.within.remove(&scope);
                }
            }
        }
        for guest in before.value.guests() {
            if let Some(ids) = self.guests.get_mut(&guest) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.guests.remove(&guest);
                }
            }
        }
        if let Some((scope, name)) = before.value.name() {
            let key = (scope, name.into());
            if self.names.get(&key) == Some(&id) {
                self.names.remove(&key);
            }
        }
        Some(before)
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&Entry<T>) -> bool) {
        let gone: Vec<T::Id> = self
            .entries
            .iter()
            .filter(|(_, entry)| !keep(entry))
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.remove(id);
        }
    }
}
