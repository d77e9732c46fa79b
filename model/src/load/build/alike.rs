//! What many resources have in common, kept once: of ten thousand services most are alike in everything but their names.

use std::{collections::HashSet, sync::Arc};

use crate::{
    config::{Balancing, Forward, HealthCheck, Traffic},
    name::Name,
};

/// Values met so far that later ones may be the same as.
#[derive(Default)]
pub(super) struct Alike {
    pub(super) balancing: Last<Balancing>,
    pub(super) forward: Last<Forward>,
    pub(super) health_check: Last<HealthCheck>,
    pub(super) traffic: Last<Traffic>,
    /// Names of listeners and rules, of which there are few different ones, and of everything else.
    pub(super) names: HashSet<Name>,
}

/// The value met last: comparing with all of them would cost more than it saves.
pub(super) struct Last<T>(Option<Arc<T>>);

impl<T> Default for Last<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: PartialEq> Last<T> {
    /// The value met last if this one is the same, or else this one, which is the last then.
    pub(super) fn share(&mut self, value: T) -> Arc<T> {
        let last = self.0.take().filter(|last| **last == value);
        let shared = self.0.insert(last.unwrap_or_else(|| Arc::new(value)));
        Arc::clone(shared)
    }
}
