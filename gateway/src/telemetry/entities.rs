//! Series of resources: made with the snapshot that has the resource, gone with the first that has not.
//!
//! Snapshots are built by one thread, which takes the locks here; the page clones what it needs and lets go. Requests take none:
//! their snapshot holds the series.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;

/// Series of one kind of resource, by what identifies it.
#[derive(Debug)]
pub(super) struct Entities<K, S> {
    kept: Mutex<HashMap<K, Kept<S>>>,
    /// How many configurations were settled.
    age: AtomicU64,
}

#[derive(Debug)]
struct Kept<S> {
    series: Arc<S>,
    /// When it was wanted last.
    wanted: u64,
}

impl<K, S> Default for Entities<K, S> {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            age: AtomicU64::new(0),
        }
    }
}

impl<K: Clone + Eq + Hash + Ord, S> Entities<K, S> {
    /// The series of a resource, which go on where they were.
    pub(super) fn want(&self, key: K, make: impl FnOnce() -> S) -> Arc<S> {
        let wanted = self.age.load(Relaxed);
        let mut kept = self.kept.lock();
        let kept = kept.entry(key).or_insert_with(|| Kept {
            series: Arc::new(make()),
            wanted,
        });
        kept.wanted = wanted;
        Arc::clone(&kept.series)
    }

    /// Forgets whatever was not wanted since this was last called.
    pub(super) fn settle(&self) {
        let age = self.age.fetch_add(1, Relaxed);
        self.kept.lock().retain(|_, kept| kept.wanted >= age);
    }

    /// All series, in the order of their keys.
    pub(super) fn all(&self) -> Vec<Arc<S>> {
        let mut all: Vec<(K, Arc<S>)> = {
            let kept = self.kept.lock();
            let kept = kept.iter();
            kept.map(|(key, kept)| (key.clone(), Arc::clone(&kept.series)))
                .collect()
        };
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        all.into_iter().map(|(_, series)| series).collect()
    }
}
