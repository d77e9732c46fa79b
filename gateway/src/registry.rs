//! The target groups of the running gateway: live state that outlives every snapshot, keyed by id.
//!
//! The server owns one [`Registry`]. Each accepted configuration is handed to [`Registry::apply`] before its snapshot is
//! compiled, so that the snapshot can hold the `Arc<Group>` of every group it names and requests look nothing up here. That
//! cannot fail: whoever may refuse a configuration does so before.
//!
//! Every change of a target's status, whoever caused it, passes through here to one [`StatusListener`].

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    sync::Arc,
    time::{Instant, SystemTime},
};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use trellis_model::{
    config::{FunctionGroup, TargetGroup},
    id::TargetGroupId,
};
use trellis_target_groups::{
    CheckEpoch, Group, ProbeOutcome, StatusChange, TargetKey, Use, function::Invocations,
};

use crate::{
    pools::{Pool, Pools},
    probe::ProbeError,
    snapshot::GroupChanges,
    tls::TargetTls,
};

mod discovered;
pub mod sweep;

pub use discovered::{News, Outcome, Standing};

/// Told about every change of a target's status, on the thread that found it: must not block.
pub type StatusListener = Arc<dyn Fn(&StatusEvent<'_>) + Send + Sync>;

/// A target's status changed.
#[derive(Debug)]
pub struct StatusEvent<'a> {
    /// The target's group.
    pub group: &'a Group,
    /// The target, its status before and after, and the reason code.
    pub change: &'a StatusChange,
    /// What the last probe ran into, when a failed probe changed the status.
    pub cause: Option<&'a ProbeError>,
}

/// A function as it is live: nothing is known of its health.
#[derive(Debug)]
pub struct LiveFunction {
    /// Its group's id.
    pub id: TargetGroupId,
    /// Its group's name.
    pub name: Box<str>,
    /// Its ARN, as registered.
    pub arn: Box<str>,
    /// Does a rule or default action name its group?
    pub usage: Use,
    /// Since when that is so, of this function.
    pub since: Instant,
    /// The requests that are with it.
    pub invocations: Arc<Invocations>,
}

/// The live state of all target groups.
pub struct Registry {
    groups: Mutex<Groups>,
    /// How connections to targets are secured, for probes.
    tls: Mutex<Arc<TargetSecurity>>,
    functions: Mutex<HashMap<TargetGroupId, Arc<LiveFunction>>>,
    /// Addresses for the next configuration.
    seeds: Mutex<discovered::Seeds>,
    pools: Pools,
    /// Groups that may be probed otherwise than the prober knows: it takes them out.
    news: Mutex<BTreeSet<TargetGroupId>>,
    /// Counts calls of `apply`; the prober and the sweep look again when it moves.
    generation: watch::Sender<u64>,
    listener: StatusListener,
    /// Wakes whoever calls [`Self::tick`].
    alarm: Arc<Notify>,
}

/// How connections to targets are secured, for the groups whose are.
pub type TargetSecurity = HashMap<TargetGroupId, Arc<TargetTls>>;

/// A change of a target's status, and the target's group.
type Change = (Arc<Group>, StatusChange);

#[derive(Debug, Default)]
struct Groups {
    current: HashMap<TargetGroupId, Arc<Group>>,
    /// Groups with draining targets that were removed, or emptied: then there is another one of the same id in `current`, so that
    /// requests of earlier snapshots still choose from the old one and later requests find nobody. That one has no targets, unless
    /// they were found by a name since.
    retired: HashMap<TargetGroupId, Arc<Group>>,
    /// What belongs to those of `current` whose targets are found by a name.
    discovered: HashMap<TargetGroupId, discovered::Discovered>,
    /// Those of the current ones in which something can happen as time goes by: targets drain, are ejected or warm up. Most have none of
    /// it, and are not looked at.
    restless: HashMap<TargetGroupId, Arc<Group>>,
}

impl Registry {
    /// A registry without groups.
    pub fn new(listener: StatusListener) -> Self {
        Self {
            groups: Mutex::default(),
            tls: Mutex::default(),
            functions: Mutex::default(),
            seeds: Mutex::default(),
            pools: Pools::default(),
            news: Mutex::default(),
            generation: watch::Sender::new(0),
            listener,
            alarm: Arc::default(),
        }
    }

    /// Wakes whoever looks after the groups: a target has failed too often. Costs nothing worth counting, and never waits.
    pub fn alarm(&self) -> &Arc<Notify> {
        &self.alarm
    }

    /// Takes over how connections to targets are secured. Goes before [`Self::apply`], which makes it known.
    pub fn secure(&self, tls: &Arc<TargetSecurity>) {
        let before = std::mem::replace(&mut *self.tls.lock(), Arc::clone(tls));
        self.news.lock().extend(secured_otherwise(&before, tls));
    }

    /// How connections to the targets of a group are secured, if they are.
    pub fn tls(&self, group: TargetGroupId) -> Option<Arc<TargetTls>> {
        self.tls.lock().get(&group).cloned()
    }

    /// When the certificates end that groups show their targets.
    pub fn client_certificates(&self) -> Vec<(TargetGroupId, SystemTime)> {
        let tls = self.tls.lock();
        let shown = tls.iter();
        let mut shown: Vec<_> = shown
            .filter_map(|(group, tls)| Some((*group, tls.shown_until()?)))
            .collect();
        shown.sort_unstable_by_key(|(group, _)| *group);
        shown
    }

    /// Takes over what became of the target groups with an accepted configuration. What is not told of stays as it is.
    ///
    /// Groups that stay keep the state of the targets that stay. Groups that left, or lost their last target, drain: running
    /// requests finish, and requests of earlier snapshots can still choose. A group that comes back before it has drained is the
    /// same group again.
    pub fn apply(&self, groups: &GroupChanges<'_>, now: Instant) {
        let mut seeds = std::mem::take(&mut *self.seeds.lock());
        let mut all = self.groups.lock();
        let removed = match &groups.removed {
            Some(removed) => removed.clone(),
            None => all.others(&groups.updated),
        };
        let mut changes = Vec::new();
        for (config, usage) in &groups.updated {
            let seed = seeds.remove(&config.id).unwrap_or_default();
            let config = all.effective(config, *usage, seed);
            changes.extend(all.update(&config, *usage, now));
            self.pools.update(&config);
        }
        for id in &removed {
            changes.extend(all.remove(*id, now));
            self.pools.remove(*id);
        }
        drop(all);
        let updated = groups.updated.iter().map(|(config, _)| config.id);
        self.news.lock().extend(updated.chain(removed));
        self.report(&changes);
        self.generation
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Takes over the target groups of functions. Nothing of them drains: a request that is with a function stays there, whatever is
    /// configured meanwhile.
    pub fn apply_functions(
        &self,
        configs: &[Arc<FunctionGroup>],
        used: impl Fn(TargetGroupId) -> bool,
        now: Instant,
    ) {
        let mut functions = self.functions.lock();
        let before = std::mem::take(&mut *functions);
        functions.extend(configs.iter().map(|config| {
            let known = before.get(&config.id);
            let usage = Use::of(used(config.id));
            let same = |known: &&Arc<LiveFunction>| {
                known.usage == usage && *known.arn == *config.function.as_str()
            };
            let function = LiveFunction {
                id: config.id,
                name: config.name.as_str().into(),
                arn: config.function.as_str().into(),
                usage,
                since: known.filter(same).map_or(now, |known| known.since),
                invocations: known
                    .map_or_else(Arc::default, |known| Arc::clone(&known.invocations)),
            };
            (config.id, Arc::new(function))
        }));
    }

    /// Counts the requests that are with the function of this group, if it is configured.
    pub fn invocations(&self, id: TargetGroupId) -> Option<Arc<Invocations>> {
        let functions = self.functions.lock();
        let function = functions.get(&id)?;
        Some(Arc::clone(&function.invocations))
    }

    /// All configured functions, in the order of their groups' ids.
    pub fn functions(&self) -> Vec<Arc<LiveFunction>> {
        let mut functions: Vec<_> = self.functions.lock().values().cloned().collect();
        functions.sort_by_key(|function| function.id);
        functions
    }

    /// What bounds the requests that each target of this group has, if anything does.
    pub fn pool(&self, id: TargetGroupId) -> Option<Arc<Pool>> {
        self.pools.of(id)
    }

    /// The group with this id, if it is configured.
    pub fn group(&self, id: TargetGroupId) -> Option<Arc<Group>> {
        self.groups.lock().current.get(&id).cloned()
    }

    /// All configured groups, in the order of their ids.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        sorted(self.groups.lock().current.values())
    }

    /// The groups that left the configuration, or lost their last target there, and still have draining targets; in the order of
    /// their ids.
    pub fn retired(&self) -> Vec<Arc<Group>> {
        sorted(self.groups.lock().retired.values())
    }

    /// Lets go of targets that have drained or whose time to drain is up. Tells whether any are left draining.
    pub fn expire_drains(&self, now: Instant) -> Drains {
        let (changes, drains) = self.groups.lock().expire_drains(now);
        self.report(&changes);
        drains
    }

    /// Ejects targets that failed too many requests, lets others back in. Tells when there is something to do again.
    pub fn tick(&self, now: Instant) -> Option<Instant> {
        let (changes, next) = self.groups.lock().tick(now);
        self.report(&changes);
        next
    }

    /// Enters the outcome of a probe.
    pub(crate) fn observe(
        &self,
        group: &Group,
        target: &TargetKey,
        epoch: CheckEpoch,
        outcome: Result<(), &ProbeError>,
        now: Instant,
    ) {
        let verdict = match outcome {
            Ok(()) => ProbeOutcome::Pass,
            Err(_) => ProbeOutcome::Fail,
        };
        if let Some(change) = group.observe(target, epoch, verdict, now) {
            (self.listener)(&StatusEvent {
                group,
                change: &change,
                cause: outcome.err(),
            });
            // A target that is healthy now may begin its slow start.
            self.alarm.notify_one();
        }
    }

    /// The groups that changed since this was asked last, in the order of their ids; for the prober alone.
    pub(crate) fn take_news(&self) -> BTreeSet<TargetGroupId> {
        std::mem::take(&mut *self.news.lock())
    }

    /// Moves whenever a configuration was taken over.
    pub(crate) fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Tells the listener, outside the lock, so that it may look at the registry.
    fn report(&self, changes: &[Change]) {
        for (group, change) in changes {
            (self.listener)(&StatusEvent {
                group,
                change,
                cause: None,
            });
        }
    }
}

/// Groups whose connections are secured in another way than before.
pub(crate) fn secured_otherwise(
    before: &Arc<TargetSecurity>,
    after: &Arc<TargetSecurity>,
) -> Vec<TargetGroupId> {
    if Arc::ptr_eq(before, after) {
        return Vec::new();
    }
    let same = |id: &TargetGroupId| match (before.get(id), after.get(id)) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    };
    let all = before.keys().chain(after.keys());
    all.filter(|id| !same(id)).copied().collect()
}

impl Groups {
    fn update(&mut self, config: &TargetGroup, usage: Use, now: Instant) -> Vec<Change> {
        let id = config.id;
        let mut changes = Vec::new();
        let mut known = self.current.remove(&id);
        if config.targets.is_empty() {
            if let Some(emptied) = known.take_if(|group| !group.is_empty()) {
                changes.extend(self.retire(emptied, now));
            }
        } else if let Some(drained) = self.retired.remove(&id) {
            known = Some(drained);
        }
        let (group, news) = if let Some(group) = known {
            let news = group.apply(config, usage, now);
            (group, news)
        } else {
            let group = Arc::new(Group::new(config, usage, now));
            let news = registrations(&group);
            (group, news)
        };
        changes.extend(of_group(&group, news));
        self.note_restless(config, &group, now);
        self.current.insert(id, group);
        changes
    }

    /// Remembers whether something can happen in a current group as time goes by.
    fn note_restless(&mut self, config: &TargetGroup, group: &Arc<Group>, now: Instant) {
        let moves = config.outlier_detection.is_some() || config.balancing.slow_start.is_some();
        if moves || group.is_draining() || group.next_tick(now).is_some() {
            self.restless.insert(config.id, Arc::clone(group));
        } else {
            self.restless.remove(&config.id);
        }
    }

    fn remove(&mut self, id: TargetGroupId, now: Instant) -> Vec<Change> {
        self.restless.remove(&id);
        self.discovered.remove(&id);
        let group = self.current.remove(&id);
        group.map_or_else(Vec::new, |group| self.retire(group, now))
    }

    /// The groups that are not among these.
    fn others(&self, updated: &[(&Arc<TargetGroup>, Use)]) -> Vec<TargetGroupId> {
        let updated: HashSet<TargetGroupId> = updated.iter().map(|(config, _)| config.id).collect();
        let all = self.current.keys();
        all.filter(|id| !updated.contains(id)).copied().collect()
    }

    /// Lets the targets of a group drain that no later request chooses from.
    fn retire(&mut self, group: Arc<Group>, now: Instant) -> Vec<Change> {
        let news = group.retire(now);
        let changes = of_group(&group, news).collect();
        if group.is_draining() {
            self.retired.insert(group.id(), group);
        }
        changes
    }

    fn tick(&self, now: Instant) -> (Vec<Change>, Option<Instant>) {
        let mut changes = Vec::new();
        let mut next: Option<Instant> = None;
        for group in self.restless.values() {
            if group.next_tick(now).is_some_and(|due| due <= now) {
                changes.extend(of_group(group, group.tick(now)));
            }
            next = next.into_iter().chain(group.next_tick(now)).min();
        }
        (changes, next)
    }

    fn expire_drains(&mut self, now: Instant) -> (Vec<Change>, Drains) {
        let mut changes = Vec::new();
        let mut drains = Drains::Done;
        for group in self.restless.values().chain(self.retired.values()) {
            if group.is_draining() {
                changes.extend(of_group(group, group.expire_drains(now)));
            }
            if group.is_draining() {
                drains = Drains::Pending;
            }
        }
        self.retired.retain(|_, group| group.is_draining());
        (changes, drains)
    }
}

fn of_group(group: &Arc<Group>, news: Vec<StatusChange>) -> impl Iterator<Item = Change> {
    news.into_iter().map(|change| (Arc::clone(group), change))
}

/// Are there targets that still drain?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drains {
    /// None.
    Done,
    /// Some; look again later.
    Pending,
}

/// The targets of a group that is new as a whole, as changes.
fn registrations(group: &Group) -> Vec<StatusChange> {
    group
        .view()
        .into_iter()
        .map(|target| StatusChange {
            target: TargetKey::new(&target.id, target.address),
            before: None,
            after: Some(target.status),
            reason: target.reason,
        })
        .collect()
}

fn sorted<'a>(groups: impl Iterator<Item = &'a Arc<Group>>) -> Vec<Arc<Group>> {
    let mut groups: Vec<_> = groups.cloned().collect();
    groups.sort_by_key(|group| group.id());
    groups
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
