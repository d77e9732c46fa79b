//! What the admin pages may look at.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use trellis_model::{config::Config, id::TargetGroupId};
use trellis_target_groups::Group;

use crate::{
    admin::{Introspect, Readiness},
    registry::{LiveFunction, Registry, Standing},
    shared::Shared,
    snapshot::Snapshot,
};

/// The state of a running gateway, for reading.
pub struct State {
    shared: Arc<Shared>,
    registry: Arc<Registry>,
    config: ArcSwap<Config>,
    rejected: Mutex<Arc<[String]>>,
    stopping: AtomicBool,
}

impl State {
    pub(super) fn of(shared: &Arc<Shared>, registry: &Arc<Registry>, config: &Arc<Config>) -> Self {
        Self {
            shared: Arc::clone(shared),
            registry: Arc::clone(registry),
            config: ArcSwap::new(Arc::clone(config)),
            rejected: Mutex::new(Arc::default()),
            stopping: AtomicBool::new(false),
        }
    }

    /// The running configuration.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// The running snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot.load_full()
    }

    pub(super) fn replace_config(&self, config: Arc<Config>) {
        self.config.store(config);
        *self.rejected.lock() = Arc::default();
    }

    pub(super) fn reject(&self, problems: Vec<String>) {
        *self.rejected.lock() = problems.into();
    }

    pub(super) fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

impl Introspect for State {
    fn readiness(&self) -> Readiness {
        if self.stopping.load(Ordering::Relaxed) {
            Readiness::NotReady(vec!["the gateway is stopping".to_owned()])
        } else {
            Readiness::Ready
        }
    }

    fn generation(&self) -> Option<u64> {
        Some(self.shared.snapshot.load().generation)
    }

    fn config(&self) -> Option<Arc<Config>> {
        Some(self.config.load_full())
    }

    fn rejected(&self) -> Arc<[String]> {
        Arc::clone(&self.rejected.lock())
    }

    fn groups(&self) -> Vec<Arc<Group>> {
        let mut groups = self.registry.groups();
        groups.extend(self.registry.retired());
        groups
    }

    fn standings(&self) -> HashMap<TargetGroupId, Standing> {
        self.registry.standings()
    }

    fn functions(&self) -> Vec<Arc<LiveFunction>> {
        self.registry.functions()
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}
