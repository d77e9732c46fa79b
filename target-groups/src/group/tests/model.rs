//! Random lives of a group against a naive model of the rules, on a virtual clock.

use std::{sync::Arc, time::Instant};

use proptest::{collection::vec, prelude::*};

use crate::TargetKey;

use super::{
    DRAIN_PERIOD, Group, Lease, ProbeOutcome, TargetStatus, Use, chosen, config, dawn, key, number,
    observe, plain, seconds,
};

/// Something that happens to a group. Targets are numbered from 1 to 6.
#[derive(Debug, Clone)]
enum Event {
    /// This configuration is taken over.
    Apply {
        targets: Vec<u16>,
        used: Use,
        path: u8,
    },
    /// A probe of this target ends.
    Probe(u16, bool),
    /// A request begins.
    Begin,
    /// The oldest running request ends.
    End,
    /// Time passes and drains are looked at.
    Wait(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let targets =
        proptest::sample::subsequence((1..=6).collect::<Vec<u16>>(), 0..=6).prop_shuffle();
    let used = prop_oneof![4 => Just(Use::Used), 1 => Just(Use::Unused)];
    let path = prop_oneof![6 => Just(0_u8), 1 => Just(1_u8)];
    let event = prop_oneof![
        2 => (targets, used, path).prop_map(|(targets, used, path)| Event::Apply { targets, used, path }),
        8 => (1_u16..=6, any::<bool>()).prop_map(|(target, passed)| Event::Probe(target, passed)),
        4 => Just(Event::Begin),
        2 => Just(Event::End),
        2 => (0_u64..45).prop_map(Event::Wait),
    ];
    vec(event, 1..80)
}

/// A target as the rules describe it: everything that happened to it, nothing counted along.
#[derive(Debug, Clone)]
struct Known {
    target: u16,
    /// Number of its stay in the group, which a return during the drain continues.
    stay: usize,
    /// Outcomes since the target or its check was new; the status it had then.
    outcomes: Vec<bool>,
    at_first: TargetStatus,
    draining_since: Option<Instant>,
}

impl Known {
    fn new(target: u16, stay: usize) -> Self {
        Self {
            target,
            stay,
            outcomes: Vec::new(),
            at_first: TargetStatus::Initial,
            draining_since: None,
        }
    }

    /// Replays all outcomes: healthy after 1, then 3 in a row; unhealthy after 2 in a row.
    fn health(&self) -> TargetStatus {
        let mut status = self.at_first;
        let mut fresh = true;
        let mut run: Vec<bool> = Vec::new();
        for passed in &self.outcomes {
            if run.last() != Some(passed) {
                run.clear();
            }
            run.push(*passed);
            let wanted = match (passed, fresh) {
                (true, true) => 1,
                (true, false) => 3,
                (false, _) => 2,
            };
            if run.len() >= wanted {
                fresh = false;
                let next = if *passed {
                    TargetStatus::Healthy
                } else {
                    TargetStatus::Unhealthy
                };
                if status != next {
                    run.clear();
                }
                status = next;
            }
        }
        status
    }
}

#[derive(Debug)]
struct Model {
    targets: Vec<Known>,
    used: Use,
    path: u8,
    stays: usize,
}

impl Model {
    fn apply(&mut self, targets: &[u16], used: Use, path: u8, now: Instant) {
        let woken = self.used == Use::Unused && used == Use::Used;
        for known in &mut self.targets {
            if woken {
                (known.at_first, known.outcomes) = (TargetStatus::Initial, Vec::new());
            } else if path != self.path || used != self.used {
                (known.at_first, known.outcomes) = (known.health(), Vec::new());
            }
            if !targets.contains(&known.target) && known.draining_since.is_none() {
                known.draining_since = Some(now);
            }
        }
        for target in targets {
            let same = |known: &&mut Known| known.target == *target;
            match self.targets.iter_mut().find(same) {
                Some(known) if known.draining_since.is_some() => {
                    *known = Known::new(*target, known.stay);
                }
                Some(_) => {}
                None => {
                    self.stays += 1;
                    self.targets.push(Known::new(*target, self.stays));
                }
            }
        }
        (self.used, self.path) = (used, path);
    }

    fn status(&self, known: &Known) -> TargetStatus {
        match (known.draining_since, self.used) {
            (Some(_), _) => TargetStatus::Draining,
            (None, Use::Unused) => TargetStatus::Unused,
            (None, Use::Used) => known.health(),
        }
    }

    fn eligible(&self) -> Vec<u16> {
        let registered = || {
            self.targets
                .iter()
                .filter(|known| known.draining_since.is_none())
        };
        let healthy: Vec<u16> = registered()
            .filter(|known| known.health() == TargetStatus::Healthy)
            .map(|known| known.target)
            .collect();
        let mut eligible = if healthy.is_empty() {
            registered().map(|known| known.target).collect()
        } else {
            healthy
        };
        eligible.sort_unstable();
        eligible
    }
}

fn step(
    event: &Event,
    group: &Group,
    model: &mut Model,
    leases: &mut Vec<(Lease, usize)>,
    now: &mut Instant,
) {
    match event {
        Event::Apply {
            targets,
            used,
            path,
        } => {
            let mut config = config(targets.iter().copied());
            Arc::make_mut(config.health_check.as_mut().unwrap()).port = Some(u16::from(*path));
            group.apply(&config, *used, *now);
            model.apply(targets, *used, *path, *now);
        }
        Event::Probe(target, passed) => {
            if group.check_plan().is_some() {
                let outcome = if *passed {
                    ProbeOutcome::Pass
                } else {
                    ProbeOutcome::Fail
                };
                observe(group, *target, outcome, *now);
            }
            let registered =
                |known: &&mut Known| known.target == *target && known.draining_since.is_none();
            if let Some(known) = model.targets.iter_mut().find(registered)
                && model.used == Use::Used
            {
                known.outcomes.push(*passed);
            }
        }
        Event::Begin => leases.extend(group.choose(&plain()).ok().map(|lease| {
            let target = number(lease.key());
            let known = model.targets.iter().find(|known| known.target == target);
            (lease, known.unwrap().stay)
        })),
        Event::End => drop((!leases.is_empty()).then(|| leases.remove(0))),
        Event::Wait(time) => {
            *now += seconds(*time);
            group.expire_drains(*now);
            let running = |stay| leases.iter().any(|(_, lease)| *lease == stay);
            model.targets.retain(|known| {
                known
                    .draining_since
                    .is_none_or(|since| running(known.stay) && *now < since + DRAIN_PERIOD)
            });
        }
    }
}

proptest! {
    #[test]
    fn a_group_lives_by_the_rules(events in events()) {
        let mut now = dawn();
        let group = Group::new(&config([]), Use::Unused, now);
        let mut model = Model { targets: Vec::new(), used: Use::Unused, path: u8::MAX, stays: 0 };
        let mut leases = Vec::new();
        for event in &events {
            step(event, &group, &mut model, &mut leases, &mut now);

            let mut seen: Vec<_> = group
                .view()
                .into_iter()
                .map(|view| (view.address, view.status, view.in_flight))
                .collect();
            let running = |stay| leases.iter().filter(|(_, lease)| *lease == stay).count();
            let mut expected: Vec<_> = model
                .targets
                .iter()
                .map(|known| (key(known.target).address(), model.status(known), running(known.stay)))
                .collect();
            seen.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(seen, expected, "after {:?}", event);

            let eligible = model.eligible();
            let mut told: Vec<_> = group
                .view()
                .into_iter()
                .filter(|view| view.eligible)
                .map(|view| number(&TargetKey::new(&view.id, view.address)))
                .collect();
            told.sort_unstable();
            prop_assert_eq!(&told, &eligible, "after {:?}", event);
            let turns = chosen(&group, eligible.len() * 3);
            prop_assert_eq!(turns.keys().copied().collect::<Vec<_>>(), eligible);
            prop_assert!(turns.values().all(|count| *count == 3), "{:?}", turns);
        }
    }
}
