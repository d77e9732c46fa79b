//! The leaves at hand.

use std::{collections::HashMap, ops::Range, sync::Arc, time::SystemTime};

use rustls::sign::CertifiedKey;

/// Leaves kept per generation; two generations are kept. A leaf takes about 0.7 KiB.
pub(super) const GENERATION: usize = 16_384;

/// A leaf and the time in which it is handed out.
pub(super) struct Issued {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) fresh: Range<SystemTime>,
}

/// The cache: when the current generation is full it becomes the previous one, and what nobody wanted any more goes with the
/// generation before. Names in use are carried over.
#[derive(Default)]
pub(super) struct Generations {
    current: HashMap<Box<str>, Issued>,
    previous: HashMap<Box<str>, Issued>,
}

/// Where a leaf was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    Current,
    Previous,
}

impl Generations {
    /// The leaf for `name`, when there is one to hand out at `now`.
    pub(super) fn find(&self, name: &str, now: SystemTime) -> Option<(Arc<CertifiedKey>, Age)> {
        let current = self.current.get(name).map(|leaf| (leaf, Age::Current));
        current
            .or_else(|| self.previous.get(name).map(|leaf| (leaf, Age::Previous)))
            .filter(|(leaf, _)| leaf.fresh.contains(&now))
            .map(|(leaf, age)| (Arc::clone(&leaf.key), age))
    }

    /// Keeps a leaf in place of any other of that name.
    pub(super) fn insert(&mut self, name: &str, leaf: Issued) {
        if self.current.len() >= GENERATION && !self.current.contains_key(name) {
            self.previous = std::mem::take(&mut self.current);
        }
        self.current.insert(name.into(), leaf);
    }

    /// Moves a leaf to the current generation, if it is still in the previous one.
    pub(super) fn carry_over(&mut self, name: &str) {
        if let Some(leaf) = self.previous.remove(name) {
            self.insert(name, leaf);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.current.len() + self.previous.len()
    }
}
