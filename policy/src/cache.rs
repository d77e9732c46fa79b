//! A bounded memory of decisions.
//!
//! Sets of a few entries, each set behind its own lock. An entry is found by the whole of its key, never by a hash alone, so two
//! requests whose hashes collide cannot get each other's decision; the worst that chosen collisions can do is to push each other
//! out. Keys have a largest length; longer ones are not kept. Entries, sets and key length bound the memory.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

/// Entries per set.
const WAYS: usize = 8;

/// Longest key that is kept, in bytes.
pub(crate) const MAX_KEY: usize = 512;

/// Decisions by the view they were made in and the values that they depend on.
#[derive(Debug)]
pub(crate) struct Cache<V> {
    sets: Box<[Mutex<Set<V>>]>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Set<V> {
    entries: Vec<Entry<V>>,
    /// The entry that goes next when the set is full.
    hand: usize,
    /// Counted here, where the lock is held anyway: a counter of the whole cache would be wanted by all workers at once.
    lookups: Lookups,
}

/// How often a decision was looked for, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lookups {
    /// It was there.
    pub hits: u64,
    /// It was not, and had to be made.
    pub misses: u64,
}

#[derive(Debug)]
struct Entry<V> {
    hash: u64,
    view: u64,
    key: Box<[u8]>,
    value: V,
}

impl<V: Clone> Cache<V> {
    /// A cache of at most `sets` times eight entries.
    pub(crate) fn new(sets: usize) -> Self {
        let set = || {
            Mutex::new(Set {
                entries: Vec::new(),
                hand: 0,
                lookups: Lookups::default(),
            })
        };
        Self {
            sets: std::iter::repeat_with(set).take(sets.max(1)).collect(),
            hasher: RandomState::default(),
        }
    }

    fn find(&self, view: u64, key: &[u8]) -> (u64, Option<&Mutex<Set<V>>>) {
        let hash = self.hasher.hash_one((view, key));
        // The remainder is below the number of sets, which is a usize.
        let position = hash % (self.sets.len() as u64);
        (
            hash,
            usize::try_from(position)
                .ok()
                .and_then(|position| self.sets.get(position)),
        )
    }

    /// The decision kept for exactly this view and key.
    pub(crate) fn get(&self, view: u64, key: &[u8]) -> Option<V> {
        if key.len() > MAX_KEY {
            return None;
        }
        let (hash, set) = self.find(view, key);
        let mut set = set?.lock();
        let found = set
            .entries
            .iter()
            .find(|entry| entry.hash == hash && entry.view == view && *entry.key == *key)
            .map(|entry| entry.value.clone());
        match &found {
            Some(_) => set.lookups.hits += 1,
            None => set.lookups.misses += 1,
        }
        found
    }

    /// All lookups so far. Locks each set in turn: for whoever shows the number, not for requests.
    pub(crate) fn lookups(&self) -> Lookups {
        self.sets
            .iter()
            .map(|set| set.lock().lookups)
            .fold(Lookups::default(), |sum, set| Lookups {
                hits: sum.hits + set.hits,
                misses: sum.misses + set.misses,
            })
    }

    /// Keeps a decision, in the place of an older one when the set is full.
    pub(crate) fn put(&self, view: u64, key: &[u8], value: V) {
        if key.len() > MAX_KEY {
            return;
        }
        let (hash, Some(set)) = self.find(view, key) else {
            return;
        };
        let entry = Entry {
            hash,
            view,
            key: key.into(),
            value,
        };
        let mut set = set.lock();
        if set.entries.len() < WAYS {
            set.entries.push(entry);
            return;
        }
        set.hand = (set.hand + 1) % WAYS;
        let hand = set.hand;
        if let Some(old) = set.entries.get_mut(hand) {
            *old = entry;
        }
    }
}

#[cfg(test)]
mod tests;
