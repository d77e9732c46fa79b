//! One target and the requests running on it.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use trellis_model::config::Target;

/// What makes a target the same target: its id as registered, and the address and port that requests go to.
///
/// VPC Lattice's key is id and port. The address is part of ours because an instance or load balancer may move: what is known
/// about the old address says nothing about the new one, so a move is a deregistration and a registration.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey {
    id: Arc<str>,
    address: SocketAddr,
}

impl TargetKey {
    /// The key of the target `id` at `address`.
    pub fn new(id: &str, address: SocketAddr) -> Self {
        Self {
            id: id.into(),
            address,
        }
    }

    /// As registered: an IP address, `i-…` or the ARN of a load balancer.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Where requests go.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl From<&Target> for TargetKey {
    fn from(target: &Target) -> Self {
        Self::new(&target.id, target.address)
    }
}

impl fmt::Debug for TargetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.address)
    }
}

/// The part of a target that requests touch.
///
/// One cache line of its own, so that workers serving different targets do not take turns on one line.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Live {
    in_flight: AtomicUsize,
    key: TargetKey,
}

impl Live {
    pub(crate) fn new(key: TargetKey) -> Arc<Self> {
        Arc::new(Self {
            in_flight: AtomicUsize::new(0),
            key,
        })
    }

    pub(crate) fn key(&self) -> &TargetKey {
        &self.key
    }

    /// Requests running now. Relaxed: a count for people and for the drain rule, which looks again later.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }
}

/// The right to send one request to a target; the request counts as in flight until this is dropped.
///
/// It stays valid whatever happens to the group: a deregistered target finishes its running requests.
pub struct Lease {
    live: Arc<Live>,
}

impl Lease {
    pub(crate) fn new(live: &Arc<Live>) -> Self {
        live.in_flight.fetch_add(1, Relaxed);
        Self {
            live: Arc::clone(live),
        }
    }

    /// Where the request goes.
    pub fn address(&self) -> SocketAddr {
        self.live.key.address
    }

    /// The target's id as registered.
    pub fn id(&self) -> &str {
        &self.live.key.id
    }

    /// Which target it is.
    pub fn key(&self) -> &TargetKey {
        &self.live.key
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.live.in_flight.fetch_sub(1, Relaxed);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.live.key).finish()
    }
}
