//! Everything known about a group's targets; behind the group's lock.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
    time::Instant,
};

use trellis_model::{config::TargetGroup, id::VpcId};

use crate::{
    health::{Health, ProbeOutcome, Standing},
    status::{StatusChange, TargetStatus, TargetView},
    target::{Live, TargetKey},
};

use super::{
    CheckEpoch, CheckPlan, DRAIN_PERIOD, Use,
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
    /// Position in `members` by key.
    positions: HashMap<TargetKey, u32>,
    /// Positions of the healthy ones, ascending. Kept along, so that ten thousand targets becoming healthy one after the other
    /// cost a copy of this each, and not a walk over all of them.
    healthy: Vec<u32>,
    /// The list that rosters share.
    lives: Arc<[Arc<Live>]>,
    /// Deregistered targets, oldest first.
    leaving: Vec<Leaving>,
}

/// A registered target.
#[derive(Debug)]
struct Member {
    live: Arc<Live>,
    health: Health,
    since: Instant,
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
        Self {
            live,
            health: Health::NEW,
            since: now,
        }
    }

    fn restarted(mut self, restart: Restart) -> Self {
        self.health = match restart {
            Restart::No => self.health,
            Restart::Counting => self.health.restarted(),
            Restart::Everything => Health::NEW,
        };
        self
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
            positions: HashMap::new(),
            healthy: Vec::new(),
            lives: Arc::default(),
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
                let before = earlier.status(member.health).0;
                (member.restarted(restart), Some(before))
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
            let before = earlier.status(member.health).0;
            changes.push(self.leave(member, before, now));
        }
        self.register(members);
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
                let before = earlier.status(member.health).0;
                self.leave(member, before, now)
            })
            .collect();
        self.register(Vec::new());
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
        let position = *self.positions.get(target)?;
        let member = self.members.get_mut(usize::try_from(position).ok()?)?;
        let before = member.health.standing();
        member.health = member.health.after(outcome, check);
        let after = member.health.standing();
        if before == after {
            return None;
        }
        member.since = now;
        match (self.healthy.binary_search(&position), after) {
            (Err(place), Standing::Healthy) => self.healthy.insert(place, position),
            (Ok(place), Standing::Initial | Standing::Unhealthy) => {
                self.healthy.remove(place);
            }
            (Ok(_), Standing::Healthy) | (Err(_), Standing::Initial | Standing::Unhealthy) => {}
        }
        let (status, reason) = after.status();
        Some(StatusChange {
            target: target.clone(),
            before: Some(before.status().0),
            after: Some(status),
            reason,
        })
    }

    /// See [`super::Group::check_plan`].
    pub(super) fn check_plan(&self) -> Option<CheckPlan> {
        Some(CheckPlan {
            vpc: self.regime.vpc.clone(),
            check: Arc::clone(self.regime.check()?),
            epoch: self.epoch,
            targets: self.lives.iter().map(|live| live.key().clone()).collect(),
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

    pub(super) fn is_draining(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// See [`super::Group::view`].
    pub(super) fn view(&self) -> Vec<TargetView> {
        let eligible = self.eligible();
        let registered = (0..).zip(&self.members).map(|(position, member)| {
            let status = self.regime.status(member.health);
            TargetView {
                eligible: eligible.includes(position),
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
    pub(super) fn roster(&self) -> Roster {
        Roster {
            members: Arc::clone(&self.lives),
            eligible: self.eligible(),
        }
    }

    fn eligible(&self) -> Eligible {
        if !matches!(self.regime.checking, Checking::Active(_)) {
            return Eligible::All;
        }
        match self.healthy.len() {
            0 if self.regime.used == Use::Unused => Eligible::All,
            0 => Eligible::FailOpen,
            all if all == self.members.len() => Eligible::All,
            _ => Eligible::Healthy(self.healthy.as_slice().into()),
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
        let (status, reason) = self.regime.status(member.health);
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

    /// Makes these the registered targets.
    fn register(&mut self, members: Vec<Member>) {
        let same = self.lives.len() == members.len()
            && self
                .lives
                .iter()
                .zip(&members)
                .all(|(live, member)| Arc::ptr_eq(live, &member.live));
        self.members = members;
        let healthy = |member: &Member| member.health.standing() == Standing::Healthy;
        self.healthy.clear();
        self.healthy.extend(
            (0..)
                .zip(&self.members)
                .filter(|(_, member)| healthy(member))
                .map(|(position, _)| position),
        );
        if same {
            return;
        }
        self.lives = self.members.iter().map(|m| Arc::clone(&m.live)).collect();
        self.positions.clear();
        for (position, member) in (0..).zip(&self.members) {
            if let Entry::Vacant(entry) = self.positions.entry(member.live.key().clone()) {
                entry.insert(position);
            }
        }
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
        in_flight: live.in_flight(),
        since,
    }
}
