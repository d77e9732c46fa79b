//! Everything known about a group's targets; behind the group's lock.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use trellis_model::{config::TargetGroup, id::VpcId};

use crate::{
    bits::Bits,
    health::{Health, ProbeOutcome},
    outliers::Record,
    status::{StatusChange, TargetStatus, TargetView},
    target::{Live, TargetKey},
};

use super::{
    CheckEpoch, CheckPlan, DRAIN_PERIOD, Use,
    ejections::Ejections,
    membership::Membership,
    regime::{Checking, DRAINING, Regime, Restart, Status},
    roster::{Eligible, Roster},
};

/// Everything known about a group's targets.
#[derive(Debug)]
pub(super) struct State {
    regime: Regime,
    epoch: CheckEpoch,
    /// The registered targets, in the order of the configuration.
    members: Vec<Member>,
    /// Who they are, as rosters share it.
    membership: Arc<Membership>,
    /// Positions of those that are ready for requests, ascending, and as a set. Kept along, so that ten thousand targets becoming
    /// healthy one after the other cost a copy of this each, and not a walk over all of them.
    ready: Vec<u32>,
    ready_set: Bits,
    /// Outlier detection, where wanted.
    ejections: Option<Box<Ejections>>,
    /// Deregistered targets, oldest first.
    leaving: Vec<Leaving>,
}

/// A registered target.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) live: Arc<Live>,
    pub(super) health: Health,
    /// Since when it has its status.
    since: Instant,
    /// Since when it has been ready for requests; `None` while it is not.
    ready: Option<Instant>,
    pub(super) ejection: Record,
}

/// A draining target.
#[derive(Debug)]
struct Leaving {
    live: Arc<Live>,
    since: Instant,
    deadline: Instant,
}

impl Member {
    /// A target about which nothing is known yet.
    fn new(live: Arc<Live>, now: Instant) -> Self {
        live.forgive();
        Self {
            live,
            health: Health::NEW,
            since: now,
            ready: None,
            ejection: Record::default(),
        }
    }

    fn restarted(mut self, restart: Restart) -> Self {
        match restart {
            Restart::No => {}
            Restart::Counting => self.health = self.health.restarted(),
            Restart::Everything => {
                self.health = Health::NEW;
                self.ready = None;
                self.pardon();
            }
        }
        self
    }

    /// Forgets its failures and ejections.
    fn pardon(&mut self) {
        self.live.forgive();
        self.ejection = Record::default();
    }
}

impl State {
    pub(super) fn new(vpc: VpcId) -> Self {
        Self {
            regime: Regime {
                vpc,
                used: Use::Unused,
                checking: Checking::Unsupported,
            },
            epoch: CheckEpoch::default(),
            members: Vec::new(),
            membership: Arc::default(),
            ready: Vec::new(),
            ready_set: Bits::default(),
            ejections: None,
            leaving: Vec::new(),
        }
    }

    /// See [`super::Group::apply`].
    pub(super) fn apply(
        &mut self,
        config: &TargetGroup,
        used: Use,
        now: Instant,
    ) -> Vec<StatusChange> {
        let earlier = std::mem::replace(&mut self.regime, Regime::of(config, used));
        let restart = earlier.restart(&self.regime);
        let earlier_ejections = self.ejections.take().map(|ejections| *ejections);
        self.ejections = config
            .outlier_detection
            .as_ref()
            .map(|config| Box::new(Ejections::new(config, earlier_ejections, now)));
        let keys: Vec<TargetKey> = config.targets.iter().map(TargetKey::from).collect();
        let mut returning = self.take_returning(&keys);
        // A target that is back so soon may still be in somebody's schedule, which then could not tell that it is fresh.
        if restart != Restart::No || !returning.is_empty() {
            self.next_epoch();
        }

        let mut changes = Vec::new();
        let mut staying: HashMap<TargetKey, Member> = std::mem::take(&mut self.members)
            .into_iter()
            .map(|member| (member.live.key().clone(), member))
            .collect();
        let mut members = Vec::with_capacity(keys.len());
        for key in keys {
            let (member, before) = if let Some(member) = staying.remove(&key) {
                let before = earlier.status_of(&member).0;
                let mut member = member.restarted(restart);
                if self.ejections.is_none() {
                    member.pardon();
                }
                (member, Some(before))
            } else {
                let back = returning.remove(&key);
                let before = back.as_ref().map(|_| TargetStatus::Draining);
                let live = back.unwrap_or_else(|| Live::new(key));
                (Member::new(live, now), before)
            };
            members.push(self.entered(member, before, now, &mut changes));
        }
        // What is left of the old members left the configuration; in the order of their keys, so that reports are stable.
        let mut gone: Vec<Member> = staying.into_values().collect();
        gone.sort_by(|a, b| a.live.key().cmp(b.live.key()));
        for member in gone {
            let before = earlier.status_of(&member).0;
            changes.push(self.leave(member, before, now));
        }
        self.members = members;
        let lives = self.members.iter().map(|member| Arc::clone(&member.live));
        let lives: Box<[Arc<Live>]> = lives.collect();
        if !self.membership.is_of(&lives, config) {
            self.membership = Arc::new(Membership::new(lives, config));
        }
        self.count_ready(now);
        changes
    }

    /// See [`super::Group::retire`].
    pub(super) fn retire(&mut self, now: Instant) -> Vec<StatusChange> {
        let earlier = self.regime.clone();
        self.regime.used = Use::Unused;
        self.next_epoch();
        let members = std::mem::take(&mut self.members);
        let changes = members
            .into_iter()
            .map(|member| {
                let before = earlier.status_of(&member).0;
                self.leave(member, before, now)
            })
            .collect();
        self.membership = Arc::default();
        self.ejections = None;
        self.count_ready(now);
        changes
    }

    /// See [`super::Group::observe`].
    pub(super) fn observe(
        &mut self,
        target: &TargetKey,
        epoch: CheckEpoch,
        outcome: ProbeOutcome,
        now: Instant,
    ) -> Option<StatusChange> {
        let check = self.regime.check()?;
        if epoch != self.epoch {
            return None;
        }
        let position = self.membership.position(target)?;
        let check = Arc::clone(check);
        self.change(position, now, |member| {
            member.health = member.health.after(outcome, &check);
        })
    }

    /// Changes what is known about the target at a position; tells whether that changed its status.
    fn change(
        &mut self,
        position: u32,
        now: Instant,
        change: impl FnOnce(&mut Member),
    ) -> Option<StatusChange> {
        let member = self.members.get_mut(usize::try_from(position).ok()?)?;
        let before = self.regime.status_of(member).0;
        change(member);
        let (status, reason) = self.regime.status_of(member);
        let ready = self.regime.is_ready(member);
        if ready != member.ready.is_some() {
            member.ready = ready.then_some(now);
            self.ready_set.set(position, ready);
            match self.ready.binary_search(&position) {
                Ok(place) if !ready => drop(self.ready.remove(place)),
                Err(place) if ready => self.ready.insert(place, position),
                Ok(_) | Err(_) => {}
            }
        }
        if before == status {
            return None;
        }
        member.since = now;
        Some(StatusChange {
            target: member.live.key().clone(),
            before: Some(before),
            after: Some(status),
            reason,
        })
    }

    /// See [`super::Group::tick`]. Tells whether there is a new roster.
    pub(super) fn tick(&mut self, suspects: bool, now: Instant) -> (Vec<StatusChange>, bool) {
        let mut changes = Vec::new();
        let mut moved = false;
        let Some(mut ejections) = self.ejections.take() else {
            return (changes, moved);
        };
        let positions = if suspects {
            ejections.to_eject(&self.members)
        } else {
            Vec::new()
        };
        for position in positions {
            moved = true;
            changes.extend(self.change(position, now, |member| {
                member.ejection.eject(ejections.config(), now);
            }));
            ejections.ejected();
        }
        if ejections.is_due(now) {
            for position in ejections.sweep(&mut self.members, now) {
                moved = true;
                changes.extend(self.change(position, now, |member| {
                    member.live.forgive();
                    member.ejection.release();
                }));
            }
        }
        ejections.plan(&self.members, now);
        self.ejections = Some(ejections);
        (changes, moved)
    }

    /// See [`super::Group::vpc`].
    pub(super) fn vpc(&self) -> &VpcId {
        &self.regime.vpc
    }

    /// See [`super::Group::check_plan`].
    pub(super) fn check_plan(&self) -> Option<CheckPlan> {
        Some(CheckPlan {
            vpc: self.regime.vpc.clone(),
            check: Arc::clone(self.regime.check()?),
            epoch: self.epoch,
            targets: self
                .membership
                .lives
                .iter()
                .enumerate()
                .map(|(position, live)| {
                    let zone = self.membership.zone(position).cloned();
                    (live.key().clone(), zone)
                })
                .collect(),
        })
    }

    /// See [`super::Group::expire_drains`].
    pub(super) fn expire_drains(&mut self, now: Instant) -> Vec<StatusChange> {
        let over = |leaving: &mut Leaving| leaving.live.in_flight() == 0 || leaving.deadline <= now;
        self.leaving
            .extract_if(.., over)
            .map(|leaving| StatusChange {
                target: leaving.live.key().clone(),
                before: Some(TargetStatus::Draining),
                after: None,
                reason: None,
            })
            .collect()
    }

    /// When [`super::Group::tick`] has something to do.
    pub(super) fn next_sweep(&self) -> Option<Instant> {
        self.ejections.as_ref()?.next()
    }

    /// How often targets were ejected.
    pub(super) fn ejections(&self) -> u64 {
        self.ejections
            .as_ref()
            .map_or(0, |ejections| ejections.total())
    }

    pub(super) fn is_draining(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// See [`super::Group::view`].
    pub(super) fn view(&self) -> Vec<TargetView> {
        let eligible = self.eligible();
        let registered = (0..).zip(&self.members).map(|(position, member)| {
            let status = self.regime.status_of(member);
            TargetView {
                eligible: eligible.includes(position),
                weight: self.membership.weight(position),
                ejected: member.ejection.is_ejected(),
                ejections: member.ejection.times(),
                ..view(&member.live, status, member.since)
            }
        });
        let leaving = self
            .leaving
            .iter()
            .map(|leaving| view(&leaving.live, DRAINING, leaving.since));
        registered.chain(leaving).collect()
    }

    /// Who may be chosen now.
    pub(super) fn roster(&self, now: Instant) -> Roster {
        let since = |position| {
            let position = usize::try_from(position).ok();
            position.and_then(|position| self.members.get(position)?.ready)
        };
        Roster::new(Arc::clone(&self.membership), self.eligible(), now, since)
    }

    fn eligible(&self) -> Eligible {
        let (ready, all) = (self.ready.len(), self.members.len());
        let panic = usize::from(self.membership.balancing.panic_threshold);
        let too_few = ready == 0 || ready.saturating_mul(100) < all.saturating_mul(panic);
        if ready == all || too_few && self.regime.used == Use::Unused {
            Eligible::All
        } else if too_few {
            Eligible::FailOpen
        } else {
            Eligible::Ready(self.ready.as_slice().into(), self.ready_set.clone())
        }
    }

    /// Takes out the draining targets that are registered again.
    fn take_returning(&mut self, keys: &[TargetKey]) -> HashMap<TargetKey, Arc<Live>> {
        if self.leaving.is_empty() {
            return HashMap::new();
        }
        let wanted: HashSet<&TargetKey> = keys.iter().collect();
        self.leaving
            .extract_if(.., |leaving| wanted.contains(leaving.live.key()))
            .map(|leaving| (leaving.live.key().clone(), leaving.live))
            .collect()
    }

    /// The member under the configuration just taken over, after reporting what that changes.
    fn entered(
        &self,
        mut member: Member,
        before: Option<TargetStatus>,
        now: Instant,
        changes: &mut Vec<StatusChange>,
    ) -> Member {
        let (status, reason) = self.regime.status_of(&member);
        if before != Some(status) {
            member.since = now;
            changes.push(StatusChange {
                target: member.live.key().clone(),
                before,
                after: Some(status),
                reason,
            });
        }
        member
    }

    /// Moves a member to those that drain.
    fn leave(&mut self, member: Member, before: TargetStatus, now: Instant) -> StatusChange {
        let target = member.live.key().clone();
        self.leaving.push(Leaving {
            live: member.live,
            since: now,
            deadline: now + DRAIN_PERIOD,
        });
        StatusChange {
            target,
            before: Some(before),
            after: Some(DRAINING.0),
            reason: DRAINING.1,
        }
    }

    /// Finds out anew who is ready.
    fn count_ready(&mut self, now: Instant) {
        for member in &mut self.members {
            let ready = self.regime.is_ready(member);
            member.ready = ready.then(|| member.ready.unwrap_or(now));
        }
        let is_ready = |position: usize| {
            let member = self.members.get(position);
            member.is_some_and(|member| member.ready.is_some())
        };
        self.ready_set = Bits::new(self.members.len(), is_ready);
        let positions = (0..).zip(&self.members);
        let ready = positions.filter(|(_, member)| member.ready.is_some());
        self.ready = ready.map(|(position, _)| position).collect();
    }

    fn next_epoch(&mut self) {
        self.epoch = CheckEpoch(self.epoch.0.wrapping_add(1));
    }
}

fn view(live: &Live, (status, reason): Status, since: Instant) -> TargetView {
    TargetView {
        id: Arc::clone(live.key().id()),
        address: live.key().address(),
        status,
        reason,
        eligible: false,
        in_flight: live.in_flight().try_into().unwrap_or(usize::MAX),
        weight: 1,
        ejected: false,
        ejections: 0,
        since,
    }
}
