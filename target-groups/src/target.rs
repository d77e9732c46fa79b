//! One target and the requests running on it.

use std::{
    fmt,
    hash::{Hash, Hasher},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
};

use trellis_model::config::Target;

use crate::outliers::{Limits, Outcome};

/// What makes a target the same target: its id as registered, and the address and port that requests go to.
///
/// VPC Lattice's key is id and port. The address is part of ours because an instance or load balancer may move: what is known
/// about the old address says nothing about the new one, so a move is a deregistration and a registration.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
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

/// By the address alone, which is next to unique: the id lies elsewhere in memory, and requests with a cookie look targets up.
impl Hash for TargetKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address.hash(state);
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
/// A cache line of its own, so that workers serving different targets do not take turns on one line.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Live {
    in_flight: AtomicU32,
    failures: Failures,
    key: TargetKey,
}

/// Ten thousand targets are to be cheap, and a request is to touch one line of its target.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Live>() == 64);

/// Failures in a row since the last success.
#[derive(Debug, Default)]
struct Failures {
    server_errors: AtomicU32,
    connections: AtomicU32,
    /// Were they too many?
    too_many: AtomicBool,
}

/// Should somebody look whether the target is to be ejected?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No.
    Fine,
    /// Yes: [`crate::Group::tick`] will.
    Suspect,
}

impl Live {
    pub(crate) fn new(key: TargetKey) -> Arc<Self> {
        Arc::new(Self {
            in_flight: AtomicU32::new(0),
            failures: Failures::default(),
            key,
        })
    }

    pub(crate) fn key(&self) -> &TargetKey {
        &self.key
    }

    /// Requests running now. Relaxed: a count for people and for the drain rule, which looks again later.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Had it too many failures in a row since this was last asked?
    pub(crate) fn is_suspect(&self) -> bool {
        // Reading first leaves the line of a target that is fine where it is.
        self.failures.too_many.load(Relaxed) && self.failures.too_many.swap(false, Relaxed)
    }

    /// Forgets its failures.
    pub(crate) fn forgive(&self) {
        self.failures.server_errors.store(0, Relaxed);
        self.failures.connections.store(0, Relaxed);
        self.failures.too_many.store(false, Relaxed);
    }
}

impl Failures {
    fn count(&self, outcome: Outcome, limits: Limits) -> Verdict {
        let (server_errors, connection_failures) = match outcome {
            Outcome::Success => (clear(&self.server_errors), clear(&self.connections)),
            Outcome::ServerError => (grow(&self.server_errors), clear(&self.connections)),
            Outcome::ConnectionFailure => (grow(&self.server_errors), grow(&self.connections)),
        };
        let beyond = |count: u32, limit: u32| limit > 0 && count >= limit;
        let too_many = beyond(server_errors, limits.server_errors)
            || beyond(connection_failures, limits.connection_failures);
        if too_many && !self.too_many.swap(true, Relaxed) {
            Verdict::Suspect
        } else {
            Verdict::Fine
        }
    }
}

/// Sets a counter to zero; one that is zero is left alone, so that healthy targets cost no write.
fn clear(counter: &AtomicU32) -> u32 {
    if counter.load(Relaxed) > 0 {
        counter.store(0, Relaxed);
    }
    0
}

fn grow(counter: &AtomicU32) -> u32 {
    counter.fetch_add(1, Relaxed).saturating_add(1)
}

/// The right to send one request to a target; the request counts as in flight until this is dropped.
///
/// It stays valid whatever happens to the group: a deregistered target finishes its running requests.
pub struct Lease {
    live: Arc<Live>,
    limits: Limits,
    chosen: Chosen,
}

/// Why a request got its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chosen {
    /// Its cookie keeps it there.
    Cookie,
    /// By the hash of what the group hashes.
    Hash,
    /// The algorithm drew it out of all.
    Draw,
    /// The algorithm drew it in the preferred zone.
    Near,
    /// The algorithm drew it outside the preferred zone.
    Far,
    /// Too few targets are healthy, so all may be chosen.
    FailOpen,
}

impl Chosen {
    /// Every reason, for tables and tests.
    pub const ALL: [Self; 6] = [
        Self::Cookie,
        Self::Hash,
        Self::Draw,
        Self::Near,
        Self::Far,
        Self::FailOpen,
    ];

    /// A word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cookie => "COOKIE",
            Self::Hash => "HASH",
            Self::Draw => "DRAW",
            Self::Near => "NEAR",
            Self::Far => "FAR",
            Self::FailOpen => "FAIL_OPEN",
        }
    }
}

impl Lease {
    pub(crate) fn new(live: &Arc<Live>, limits: Limits, chosen: Chosen) -> Self {
        live.in_flight.fetch_add(1, Relaxed);
        Self {
            live: Arc::clone(live),
            limits,
            chosen,
        }
    }

    /// Why this target.
    pub fn chosen(&self) -> Chosen {
        self.chosen
    }

    /// Where the request goes.
    pub fn address(&self) -> SocketAddr {
        self.live.key.address
    }

    /// The target's id as registered.
    pub fn id(&self) -> &str {
        &self.live.key.id
    }

    /// Counts how an attempt at the request ended, where outliers are looked for. Nothing is to be said about a target when it was the
    /// client that failed.
    pub(crate) fn report(&self, outcome: Outcome) -> Verdict {
        if self.limits == Limits::default() {
            return Verdict::Fine;
        }
        self.live.failures.count(outcome, self.limits)
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
