//! How many requests each target of a group has at a time, on all workers together; beyond it requests wait, and beyond those that may
//! wait they are turned away.
//!
//! Source: App Mesh API reference, `VirtualNodeConnectionPool`; Envoy, "Circuit breaking". Unlike Envoy's, the count is exact.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use trellis_model::{
    config::{Places, TargetGroup},
    id::TargetGroupId,
};

/// The pools of all groups that have one. They outlive snapshots, as the requests do that they count.
#[derive(Debug, Default)]
pub struct Pools(Mutex<HashMap<TargetGroupId, Arc<Pool>>>);

/// The targets of one group, and the requests that each of them has.
#[derive(Debug)]
pub struct Pool {
    limits: Places,
    /// Made when a target gets its first request.
    gates: RwLock<HashMap<SocketAddr, Arc<Gate>>>,
}

#[derive(Debug)]
struct Gate {
    places: Arc<Semaphore>,
    waiting: AtomicU32,
}

/// A place at a target; free again when this is dropped.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "held, never read")] OwnedSemaphorePermit);

/// As many requests wait for a place at the target as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Pools {
    /// Takes over a group of an accepted configuration that is new or changed. A pool whose limits changed begins anew: the requests that
    /// have places are not counted in it, so that for their rest there may be more.
    pub fn update(&self, config: &TargetGroup) {
        let mut pools = self.0.lock();
        let kept = pools.remove(&config.id);
        let Some(limits) = config.connection_pool.places else {
            return;
        };
        let kept = kept.filter(|pool| pool.limits == limits);
        let pool = kept.unwrap_or_else(|| Arc::new(Pool::new(limits)));
        pool.keep(&addresses(config));
        pools.insert(config.id, pool);
    }

    /// Forgets a group that is no longer configured.
    pub fn remove(&self, id: TargetGroupId) {
        self.0.lock().remove(&id);
    }

    /// Takes over the targets of one group.
    pub fn follow(&self, config: &TargetGroup) {
        if let Some(pool) = self.of(config.id) {
            pool.keep(&addresses(config));
        }
    }

    /// The pool of this group, if it has one.
    pub fn of(&self, id: TargetGroupId) -> Option<Arc<Pool>> {
        self.0.lock().get(&id).cloned()
    }
}

fn addresses(config: &TargetGroup) -> HashSet<SocketAddr> {
    config.targets.iter().map(|target| target.address).collect()
}

impl Pool {
    fn new(limits: Places) -> Self {
        Self {
            limits,
            gates: RwLock::default(),
        }
    }

    /// Forgets targets that left.
    fn keep(&self, targets: &HashSet<SocketAddr>) {
        self.gates
            .write()
            .retain(|target, _| targets.contains(target));
    }

    fn gate(&self, target: SocketAddr) -> Arc<Gate> {
        if let Some(gate) = self.gates.read().get(&target) {
            return Arc::clone(gate);
        }
        let mut gates = self.gates.write();
        let gate = gates.entry(target).or_insert_with(|| {
            let most = usize::try_from(self.limits.most).unwrap_or(usize::MAX);
            Arc::new(Gate {
                places: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
                waiting: AtomicU32::new(0),
            })
        });
        Arc::clone(gate)
    }

    /// A place at this target, if there is one now and nobody waits for it.
    pub fn try_enter(&self, target: SocketAddr) -> Option<Place> {
        let places = Arc::clone(&self.gate(target).places);
        places.try_acquire_owned().ok().map(Place)
    }

    /// A place at this target, after those who wait already. Dropping the future gives up the turn.
    pub async fn enter(&self, target: SocketAddr) -> Result<Place, Full> {
        let gate = self.gate(target);
        if let Ok(place) = Arc::clone(&gate.places).try_acquire_owned() {
            return Ok(Place(place));
        }
        let _turn = Turn::take(&gate, self.limits.pending).ok_or(Full)?;
        let place = Arc::clone(&gate.places).acquire_owned().await;
        place.map(Place).map_err(|_| Full)
    }
}

/// A request that waits.
struct Turn<'a>(&'a Gate);

impl<'a> Turn<'a> {
    fn take(gate: &'a Gate, most: u32) -> Option<Self> {
        let more = |waiting: u32| (waiting < most).then_some(waiting + 1);
        gate.waiting.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Self(gate))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}
