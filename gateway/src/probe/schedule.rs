//! Which target is probed when.
//!
//! * A new target is probed at once, so that start-up is quick; where hundreds appear together, those beyond the first [`AT_ONCE`]
//!   follow one per [`STEP`], for each zone of each VPC. Its second probe comes half to one and a half intervals later, at random, so
//!   that targets which appear together do not stay together; from then on one interval lies between starts, and the check's jitter.
//! * A target has at most one probe running. When the timeout is longer than the interval and a probe is still running when
//!   the next is due, the next starts as soon as it ends.
//! * When as many probes run as may, those due wait in order, zones and VPCs taking turns (`schedule/lanes.rs`); no target is left out.
//! * Changing the check of a group or whom its connections trust, or bringing it into use, makes all its targets new here.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    net::SocketAddr,
    num::NonZeroUsize,
    sync::Arc,
    time::Duration,
};

use tokio::{
    task::{AbortHandle, JoinError, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use trellis_model::{
    config::HealthCheck,
    id::{TargetGroupId, VpcId},
};
use trellis_target_groups::{CheckEpoch, CheckPlan, Group, TargetKey};

use self::lanes::{Lane, Lanes};
use super::{Asked, Checker, ProbeError, Random};
use crate::{registry::Registry, tls::TargetTls};

/// Newcomers of a lane that are probed at once.
const AT_ONCE: u32 = 100;

/// Time between the first probes of those beyond.
const STEP: Duration = Duration::from_millis(1);

/// The scheduler of all probes.
pub(super) struct Schedule {
    registry: Arc<Registry>,
    checker: Arc<dyn Checker>,
    concurrency: NonZeroUsize,
    random: Random,
    groups: HashMap<TargetGroupId, Watched>,
    targets: HashMap<Ticket, Slot>,
    /// Next starts, earliest first. Entries whose ticket is not in `targets` any more are passed over.
    due: BinaryHeap<Reverse<(Instant, Ticket)>>,
    /// Starts that are due and wait for room.
    waiting: Lanes<(Instant, Ticket)>,
    running: JoinSet<Found>,
    last_ticket: Ticket,
}

/// Names one stay of a target in the schedule. Never used again, so that what is late for an earlier stay finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Ticket(u64);

/// A group whose targets are probed.
struct Watched {
    plan: Arc<Plan>,
    tickets: HashMap<TargetKey, Ticket>,
}

/// What all probes of a group have in common.
struct Plan {
    group: Arc<Group>,
    vpc: VpcId,
    check: Arc<HealthCheck>,
    epoch: CheckEpoch,
    tls: Option<Arc<TargetTls>>,
}

/// A target in the schedule.
struct Slot {
    plan: Arc<Plan>,
    target: TargetKey,
    lane: Arc<Lane>,
    pace: Pace,
    /// When its next probe starts. Entries of the heap that say otherwise are outdated.
    next: Instant,
    /// The probe started last.
    probe: Option<AbortHandle>,
}

/// Where a target is in its rhythm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// No probe was started yet.
    First,
    /// One probe per interval.
    Regular,
    /// The next probe is due but the last one is still running.
    Late,
}

/// What a probe found.
struct Found {
    ticket: Ticket,
    outcome: Result<(), ProbeError>,
}

impl Schedule {
    pub(super) fn new(
        registry: Arc<Registry>,
        checker: Arc<dyn Checker>,
        concurrency: NonZeroUsize,
        random: Random,
    ) -> Self {
        Self {
            registry,
            checker,
            concurrency,
            random,
            groups: HashMap::new(),
            targets: HashMap::new(),
            due: BinaryHeap::new(),
            waiting: Lanes::default(),
            running: JoinSet::new(),
            last_ticket: Ticket(0),
        }
    }

    /// Probes until the future is dropped; then [`Self::stop`] is to be called.
    pub(super) async fn run(&mut self) {
        let mut generation = self.registry.generation();
        self.follow_registry();
        loop {
            self.start_due(Instant::now());
            let wake = self.next_start();
            // Every branch can be dropped and asked again: a change stays marked, an ended probe stays in the set.
            tokio::select! {
                changed = generation.changed() => match changed {
                    Ok(()) => self.follow_registry(),
                    Err(_registry_gone) => return,
                },
                Some(ended) = self.running.join_next() => self.ended(ended, Instant::now()),
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }

    /// Ends all running probes and waits for that.
    pub(super) async fn stop(mut self) {
        self.running.shutdown().await;
    }

    /// Takes in new targets, lets go of those that left.
    fn follow_registry(&mut self) {
        let mut newcomers = HashMap::new();
        for id in self.registry.take_news() {
            let known = self.groups.remove(&id);
            let group = self.registry.group(id);
            let next = group.and_then(|group| Some((group.check_plan()?, group)));
            if let Some((next, group)) = next {
                let watched = self.follow_group(&group, next, known, &mut newcomers);
                self.groups.insert(id, watched);
            } else {
                let gone = known.into_iter();
                self.remove(gone.flat_map(|gone| gone.tickets.into_values()));
            }
        }
        // One look at all for as many as left, so that a change of few among many costs little.
        if self.due.len() > 2 * self.targets.len() {
            let targets = &self.targets;
            self.due
                .retain(|Reverse((_, ticket))| targets.contains_key(ticket));
        }
    }

    fn follow_group(
        &mut self,
        group: &Arc<Group>,
        next: CheckPlan,
        known: Option<Watched>,
        newcomers: &mut HashMap<Arc<Lane>, u32>,
    ) -> Watched {
        let tls = self.registry.tls(group.id());
        let key = |tls: Option<&Arc<TargetTls>>| tls.map(|tls| tls.key());
        let (plan, mut staying) = match known {
            Some(known)
                if known.plan.epoch == next.epoch
                    && Arc::ptr_eq(&known.plan.group, group)
                    && key(known.plan.tls.as_ref()) == key(tls.as_ref()) =>
            {
                (known.plan, known.tickets)
            }
            other => {
                let tickets = other
                    .into_iter()
                    .flat_map(|known| known.tickets.into_values());
                self.remove(tickets);
                let plan = Plan {
                    group: Arc::clone(group),
                    vpc: next.vpc,
                    check: next.check,
                    epoch: next.epoch,
                    tls,
                };
                (Arc::new(plan), HashMap::new())
            }
        };
        let mut lanes: HashMap<Option<Arc<str>>, Arc<Lane>> = HashMap::new();
        let mut tickets = HashMap::with_capacity(next.targets.len());
        for (target, zone) in next.targets {
            let lane = lanes.entry(zone).or_insert_with_key(|zone| {
                let (vpc, zone) = (plan.vpc.clone(), zone.clone());
                Arc::new(Lane { vpc, zone })
            });
            let ticket = if let Some(ticket) = staying.remove(&target) {
                if let Some(slot) = self.targets.get_mut(&ticket) {
                    slot.lane = Arc::clone(lane);
                }
                ticket
            } else {
                let ahead = newcomers.entry(Arc::clone(lane)).or_default();
                *ahead += 1;
                self.add(&plan, &target, lane, *ahead)
            };
            tickets.insert(target, ticket);
        }
        self.remove(staying.into_values());
        Watched { plan, tickets }
    }

    /// `number`: which of its lane's newcomers it is, from one.
    fn add(
        &mut self,
        plan: &Arc<Plan>,
        target: &TargetKey,
        lane: &Arc<Lane>,
        number: u32,
    ) -> Ticket {
        self.last_ticket = Ticket(self.last_ticket.0 + 1);
        let ticket = self.last_ticket;
        let wait = STEP.saturating_mul(number.saturating_sub(AT_ONCE));
        let next = Instant::now() + wait.min(plan.check.interval);
        let slot = Slot {
            plan: Arc::clone(plan),
            target: target.clone(),
            lane: Arc::clone(lane),
            pace: Pace::First,
            next,
            probe: None,
        };
        self.targets.insert(ticket, slot);
        self.due.push(Reverse((next, ticket)));
        ticket
    }

    /// Their entries in the heap are cleared out when there are as many as others.
    fn remove(&mut self, tickets: impl Iterator<Item = Ticket>) {
        for ticket in tickets {
            if let Some(probe) = self.targets.remove(&ticket).and_then(|slot| slot.probe) {
                probe.abort();
            }
        }
    }

    /// When to look for due probes; `None` when only something else can make a start possible.
    fn next_start(&self) -> Option<Instant> {
        if self.is_full() {
            return None;
        }
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    fn is_full(&self) -> bool {
        self.running.len() >= self.concurrency.get()
    }

    fn start_due(&mut self, now: Instant) {
        while let Some(Reverse((at, ticket))) = self.due.peek().copied()
            && at <= now
        {
            self.due.pop();
            if let Some(slot) = self.targets.get(&ticket) {
                self.waiting.push(&slot.lane, (at, ticket));
            }
        }
        while !self.is_full()
            && let Some((at, ticket)) = self.waiting.next()
        {
            self.start(ticket, at, now);
        }
    }

    /// Starts the probe that was due at `at`, unless that is outdated or the last one is still running.
    fn start(&mut self, ticket: Ticket, at: Instant, now: Instant) {
        let Some(slot) = self.targets.get_mut(&ticket) else {
            return;
        };
        if slot.next != at {
            return;
        }
        let check = Arc::clone(&slot.plan.check);
        let gap = if slot
            .probe
            .as_ref()
            .is_some_and(|probe| !probe.is_finished())
        {
            slot.pace = Pace::Late;
            // Its end brings the start forward; this is for a probe that ends without telling, by a panic.
            check.timeout
        } else {
            let gap = match slot.pace {
                Pace::First => check.interval / 2 + share(check.interval, (self.random)()),
                Pace::Regular | Pace::Late => {
                    let jitter = check.interval * u32::from(check.jitter_percent) / 100;
                    check.interval + share(jitter, (self.random)())
                }
            };
            slot.pace = Pace::Regular;
            let address = probe_address(&slot.target, &check);
            let (checker, plan) = (Arc::clone(&self.checker), Arc::clone(&slot.plan));
            slot.probe = Some(self.running.spawn(async move {
                let asked = Asked {
                    vpc: &plan.vpc,
                    address,
                    check: &check,
                    tls: plan.tls.as_deref(),
                };
                let answer = timeout(check.timeout, checker.check(&asked)).await;
                let outcome = answer.unwrap_or(Err(ProbeError::Timeout(check.timeout)));
                Found { ticket, outcome }
            }));
            gap
        };
        slot.next = now + gap;
        self.due.push(Reverse((slot.next, ticket)));
    }

    fn ended(&mut self, ended: Result<Found, JoinError>, now: Instant) {
        let Found { ticket, outcome } = match ended {
            Ok(found) => found,
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(%error, "a probe panicked; its target is probed again when next due");
                }
                return;
            }
        };
        let Some(slot) = self.targets.get_mut(&ticket) else {
            return;
        };
        // It is over, and what it ran in would be kept with its handle: half of what a target costs at rest.
        slot.probe = None;
        if slot.pace == Pace::Late {
            slot.next = now;
            self.due.push(Reverse((now, ticket)));
        }
        if let Err(error) = &outcome {
            tracing::debug!(group = slot.plan.group.name(), target = ?slot.target, %error, "probe failed");
        }
        self.registry.observe(
            &slot.plan.group,
            &slot.target,
            slot.plan.epoch,
            outcome.as_ref().copied(),
            now.into_std(),
        );
    }
}

/// Where a target is probed: at its own port, or the one that the check names.
fn probe_address(target: &TargetKey, check: &HealthCheck) -> SocketAddr {
    let address = target.address();
    SocketAddr::new(address.ip(), check.port.unwrap_or(address.port()))
}

/// A part of `whole`, from nothing to just below all of it, in proportion to `random`.
fn share(whole: Duration, random: u64) -> Duration {
    let nanos = (whole.as_nanos() * u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

mod lanes;
#[cfg(test)]
mod tests;
