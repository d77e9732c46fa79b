//! Series of resources: made with the snapshot that has the resource, gone once no snapshot has it.
//!
//! Snapshots are built by one thread, which takes the locks here; the page clones what it needs and lets go. Requests take none:
//! their snapshot holds the series.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use parking_lot::Mutex;

/// Series of one kind of resource, by what identifies it.
#[derive(Debug)]
pub(super) struct Entities<K, S>(Mutex<HashMap<K, Arc<S>>>);

impl<K, S> Default for Entities<K, S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash + Ord, S> Entities<K, S> {
    /// The series of a resource, which go on where they were.
    pub(super) fn want(&self, key: K, make: impl FnOnce() -> S) -> Arc<S> {
        let mut kept = self.0.lock();
        Arc::clone(kept.entry(key).or_insert_with(|| Arc::new(make())))
    }

    /// Forgets whatever nobody else holds.
    pub(super) fn settle(&self) {
        self.0
            .lock()
            .retain(|_, series| Arc::strong_count(series) > 1);
    }

    /// All series, in the order of their keys.
    pub(super) fn all(&self) -> Vec<Arc<S>> {
        let mut all: Vec<(K, Arc<S>)> = {
            let kept = self.0.lock();
            kept.iter()
                .map(|(key, series)| (key.clone(), Arc::clone(series)))
                .collect()
        };
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        all.into_iter().map(|(_, series)| series).collect()
    }
}
