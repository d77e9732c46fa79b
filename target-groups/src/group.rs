//! The live state of one target group.
//!
//! Two halves. *State* (`group/state.rs`) knows everything, lies behind a lock and is touched only when something changes: a
//! new configuration, the outcome of a probe, the end of a drain. After each change that matters it publishes an immutable
//! *roster*: the targets that may be chosen, and among them the algorithm's tables. Requests see only the roster, counters of turns, and
//! what each target has: its running requests and its failures in a row.
//!
//! Hot: [`Group::choose`] takes no lock and allocates nothing. It costs one load of the roster, a draw of the algorithm
//! (`group/choice.rs`), and two increments on the chosen target; hardly more at ten thousand targets than at ten. Publishing costs a
//! few bytes per target when a status changes (twenty with weights), and a new list of the targets, with the tables of consistent
//! hashing, only when they come, go or change their weights.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use trellis_model::{
    config::{Algorithm, HealthCheck, TargetGroup},
    id::{TargetGroupId, VpcId},
    name::Name,
};

use crate::{
    health::ProbeOutcome,
    outliers::Outcome,
    running::Running,
    status::{StatusChange, TargetView},
    target::{Lease, TargetKey, Verdict},
};

use choice::Rotations;
use roster::Roster;
use state::State;

mod choice;
mod ejections;
mod membership;
mod regime;
mod roster;
mod state;
mod tier;
mod wanted;

pub use wanted::Wanted;

/// How long a deregistered target may stay to finish its running requests. Source: VPC Lattice API model, `DeregisterTargets`.
pub const DRAIN_PERIOD: Duration = Duration::from_secs(60);

/// Does any service use the group?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Use {
    /// A rule or default action of some service names it.
    Used,
    /// None does; nothing is checked.
    Unused,
}

impl Use {
    /// Used or not.
    pub fn of(used: bool) -> Self {
        if used { Self::Used } else { Self::Unused }
    }
}

/// There is nobody to send the request to: no target is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoTarget;

impl fmt::Display for NoTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the target group has no registered target")
    }
}

impl std::error::Error for NoTarget {}

/// Names one configuration of a group's checks; outcomes of probes made under an earlier one are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CheckEpoch(u64);

/// What is to be checked, and how.
#[derive(Debug, Clone)]
pub struct CheckPlan {
    /// The VPC inside which probes are made.
    pub vpc: VpcId,
    /// How targets are checked.
    pub check: Arc<HealthCheck>,
    /// To be handed back with each outcome.
    pub epoch: CheckEpoch,
    /// The registered targets, and the zones that they are in.
    pub targets: Vec<(TargetKey, Option<Arc<str>>)>,
}

/// One target group: who its targets are, how they are and whose turn it is. Shared by all worker threads.
pub struct Group {
    id: TargetGroupId,
    name: Name,
    roster: ArcSwap<Roster>,
    rotations: Rotations,
    state: Mutex<State>,
    /// Has a target failed too often since the last tick?
    suspects: AtomicBool,
    running: Arc<Running>,
}

impl Group {
    /// The group of this configuration, all targets new.
    pub fn new(config: &TargetGroup, used: Use, now: Instant) -> Self {
        let group = Self {
            id: config.id,
            name: config.name.clone(),
            roster: ArcSwap::from_pointee(Roster::default()),
            rotations: Rotations::default(),
            state: Mutex::new(State::new(config.vpc.clone())),
            suspects: AtomicBool::new(false),
            running: Arc::default(),
        };
        group.apply(config, used, now);
        group
    }

    /// The group's id.
    pub fn id(&self) -> TargetGroupId {
        self.id
    }

    /// The group's name. Ids are made of names, so it is the same for as long as the id is.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Takes over a configuration of the same group and tells which statuses changed by that.
    ///
    /// * Targets that stay keep health and running requests; the rotation goes on.
    /// * New targets are fresh. A target registered again while it drains keeps its running requests and is fresh too: nobody
    ///   watched it meanwhile.
    /// * Targets that left get nothing new and drain.
    /// * When the check changed in any way, every target keeps its status and counts as fresh (see [`crate::health`]). When
    ///   checks are switched on, or the group comes into use, all start as initial.
    pub fn apply(&self, config: &TargetGroup, used: Use, now: Instant) -> Vec<StatusChange> {
        let mut state = self.state.lock();
        let changes = state.apply(config, used, now);
        // Stored under the lock, so that rosters follow each other in the order of the changes.
        self.roster.store(Arc::new(state.roster(now)));
        changes
    }

    /// The group was removed from the configuration, or lost its last target there: all its targets drain.
    ///
    /// [`Self::choose`] goes on with the targets of the last moment, because the only ones left to call it are requests that
    /// were matched before the change, and those must not fail by it. [`Self::apply`] brings the group back.
    pub fn retire(&self, now: Instant) -> Vec<StatusChange> {
        let mut state = self.state.lock();
        let changes = state.retire(now);
        let last = self.roster.load().retired();
        self.roster.store(Arc::new(last));
        changes
    }

    /// The VPC that its targets live in.
    pub fn vpc(&self) -> VpcId {
        self.state.lock().vpc().clone()
    }

    /// The requests that run on it, as far as they are counted: those that may be sent more than once.
    pub fn running(&self) -> &Arc<Running> {
        &self.running
    }

    /// Has it no target to choose?
    pub fn is_empty(&self) -> bool {
        self.roster.load().membership.lives.is_empty()
    }

    /// The target for a request, by the algorithm of the group.
    ///
    /// Among the healthy targets that are not ejected; when fewer of them are left than the panic threshold says, or none, among all
    /// registered ones, initial ones included (fail open); when health is not checked, among all that are not ejected.
    ///
    /// The target that the client had before comes first, if it is among them. Targets that the request has tried come last.
    ///
    /// Between two changes of the roster turns are exact: of any `k × n` choices in a row among `n` targets in one zone, none of which
    /// warms up or was tried, each target gets `k`, and with weights as many times `k` as its weight says.
    pub fn choose(&self, wanted: &Wanted<'_>) -> Result<Lease, NoTarget> {
        let roster = self.roster.load();
        let (live, chosen) = roster.choose(&self.rotations, wanted).ok_or(NoTarget)?;
        Ok(Lease::new(live, roster.membership.limits, chosen))
    }

    /// Counts how an attempt at a request ended. When that makes the target a suspect, somebody should call [`Self::tick`] soon.
    ///
    /// Hot: atomics only, and none at all in a group without outlier detection.
    pub fn report(&self, lease: &Lease, outcome: Outcome) -> Verdict {
        let verdict = lease.report(outcome);
        if verdict == Verdict::Suspect {
            self.suspects.store(true, Release);
        }
        verdict
    }

    /// Ejects suspects, and lets ejected targets back in whose time has come; see [`crate::outliers`]. Also drops what is no longer
    /// needed of slow start. Returns the changes of status.
    pub fn tick(&self, now: Instant) -> Vec<StatusChange> {
        let suspects = self.suspects.swap(false, Acquire);
        let mut state = self.state.lock();
        let (changes, moved) = state.tick(suspects, now);
        let warmed = self.warm_at().is_some_and(|end| end <= now);
        if moved || warmed {
            self.roster.store(Arc::new(state.roster(now)));
        }
        changes
    }

    /// When [`Self::tick`] has something to do again, as far as is known: at once when there are suspects.
    pub fn next_tick(&self, now: Instant) -> Option<Instant> {
        if self.suspects.load(Relaxed) {
            return Some(now);
        }
        let sweep = self.state.lock().next_sweep();
        sweep.into_iter().chain(self.warm_at()).min()
    }

    /// How targets are chosen.
    pub fn algorithm(&self) -> Algorithm {
        self.roster.load().membership.balancing.algorithm.clone()
    }

    /// Are some of its targets preferred to others for their zone?
    pub fn prefers_zone(&self) -> bool {
        self.roster.load().membership.near.is_some()
    }

    /// How often targets were ejected, since the group was made or its outlier detection was switched on.
    pub fn ejections(&self) -> u64 {
        self.state.lock().ejections()
    }

    /// When the last target that warms up has done so.
    fn warm_at(&self) -> Option<Instant> {
        self.roster.load().warming.as_ref()?.end()
    }

    /// Enters the outcome of a probe; tells whether it changed the target's status.
    ///
    /// Ignored when the target is not registered any more or `epoch` is not that of the current [`Self::check_plan`].
    pub fn observe(
        &self,
        target: &TargetKey,
        epoch: CheckEpoch,
        outcome: ProbeOutcome,
        now: Instant,
    ) -> Option<StatusChange> {
        let mut state = self.state.lock();
        let change = state.observe(target, epoch, outcome, now);
        if change.is_some() {
            self.roster.store(Arc::new(state.roster(now)));
        }
        change
    }

    /// What is to be checked; `None` when nothing is, because the group is unused or its targets are not checked.
    pub fn check_plan(&self) -> Option<CheckPlan> {
        self.state.lock().check_plan()
    }

    /// Lets go of the draining targets that have no running requests left or whose time is up; returns them.
    ///
    /// Running requests are not cut: their leases stay valid, the target is just not listed any more.
    pub fn expire_drains(&self, now: Instant) -> Vec<StatusChange> {
        self.state.lock().expire_drains(now)
    }

    /// Are there draining targets, for which [`Self::expire_drains`] will have something to do?
    pub fn is_draining(&self) -> bool {
        self.state.lock().is_draining()
    }

    /// Do requests go to targets that are not known to be healthy, because none is?
    pub fn is_failing_open(&self) -> bool {
        self.roster.load().is_failing_open()
    }

    /// All targets, the registered ones in the order of the configuration, then the draining ones.
    pub fn view(&self) -> Vec<TargetView> {
        self.state.lock().view()
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("targets", &self.view())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
