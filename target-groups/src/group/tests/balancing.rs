//! Who is chosen: each algorithm against what it promises, with seeds printed.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use trellis_model::config::{
    Algorithm, Balancing, HashKey, Stickiness, TargetGroup, ZonePreference,
};

use super::{
    Group, Lease, ProbeOutcome, Use, Wanted, dawn, key, number, observe, seconds, unchecked,
};
use crate::hash::{self, Dice};

/// A group of unchecked targets, each with its weight.
pub(super) fn weighted(algorithm: Algorithm, weights: &[u16]) -> TargetGroup {
    let count = u16::try_from(weights.len()).unwrap();
    let mut config = unchecked(1..=count);
    for (target, weight) in config.targets.iter_mut().zip(weights) {
        target.weight = *weight;
    }
    Arc::make_mut(&mut config.balancing).algorithm = algorithm;
    config
}

pub(super) fn maglev() -> Algorithm {
    Algorithm::Maglev(HashKey::Source)
}

/// How often each target is chosen in so many choices, which end at once, by dice that begin with `seed`.
fn counts(group: &Group, choices: u32, seed: u64, now: Instant) -> BTreeMap<u16, f64> {
    println!("seed {seed}");
    let mut dice = Dice::new(seed);
    let mut counts = BTreeMap::new();
    for _ in 0..choices {
        let lease = group.choose(&Wanted::any(dice.roll(), now)).unwrap();
        *counts.entry(number(lease.key())).or_default() += 1.0;
    }
    counts
}

/// Pearson's statistic of counts against shares of the same order.
fn chi_square(counts: &BTreeMap<u16, f64>, shares: &[f64]) -> f64 {
    let (all, whole): (f64, f64) = (counts.values().sum(), shares.iter().sum());
    let terms = (1..).zip(shares).map(|(target, share)| {
        let expected = all * share / whole;
        let found = counts.get(&target).copied().unwrap_or(0.0);
        (found - expected).powi(2) / expected
    });
    terms.sum()
}

/// Three free choices of targets exceed this once in a hundred thousand runs of true dice. Seeds are fixed, so none does by chance.
const CRITICAL_3: f64 = 25.9;

#[test]
fn random_algorithms_follow_the_weights_of_an_idle_group() {
    let weights = [1, 2, 7, 90];
    let shares: Vec<f64> = weights.iter().copied().map(f64::from).collect();
    for algorithm in [Algorithm::LeastRequest, Algorithm::RandomTwoChoices] {
        let group = Group::new(&weighted(algorithm.clone(), &weights), Use::Used, dawn());
        for seed in [1, 2, 3] {
            let statistic = chi_square(&counts(&group, 20_000, seed, dawn()), &shares);
            println!("{algorithm:?}: {statistic}");
            assert!(statistic < CRITICAL_3, "{algorithm:?} {statistic}");
        }
    }
}

#[test]
fn random_algorithms_spread_an_idle_group_evenly_without_weights() {
    for algorithm in [
        Algorithm::LeastRequest,
        Algorithm::RandomTwoChoices,
        maglev(),
    ] {
        let group = Group::new(&weighted(algorithm.clone(), &[1; 4]), Use::Used, dawn());
        for seed in [4, 5, 6] {
            let statistic = chi_square(&counts(&group, 20_000, seed, dawn()), &[1.0; 4]);
            println!("{algorithm:?}: {statistic}");
            assert!(statistic < CRITICAL_3, "{algorithm:?} {statistic}");
        }
    }
}

#[test]
fn turns_follow_weights_to_the_letter() {
    let group = Group::new(
        &weighted(Algorithm::RoundRobin, &[10, 20, 70]),
        Use::Used,
        dawn(),
    );
    for seed in 0..5 {
        let expected = BTreeMap::from([(1, 10.0), (2, 20.0), (3, 70.0)]);
        assert_eq!(counts(&group, 100, seed, dawn()), expected);
    }
}

/// Requests that begin and end like those of a busy group: `running` at a time, each ended one at random. Gives how many requests the
/// busiest target had at worst, and how unlike the targets were on average (the mean of the variance).
fn load(algorithm: Algorithm, targets: u16, running: usize, seed: u64) -> (usize, f64) {
    let count = usize::from(targets);
    let group = Group::new(&weighted(algorithm, &vec![1; count]), Use::Used, dawn());
    let mut dice = Dice::new(seed);
    let mut leases: Vec<Lease> = Vec::new();
    let mut loads = vec![0_usize; count];
    let (mut most, mut variances, mut rounds) = (0, 0.0, 0.0);
    for step in 0..running * 20 {
        if leases.len() == running {
            let end =
                usize::try_from(hash::below(dice.roll(), running.try_into().unwrap())).unwrap();
            let lease = leases.swap_remove(end);
            loads[usize::from(number(lease.key())) - 1] -= 1;
        }
        let lease = group.choose(&Wanted::any(dice.roll(), dawn())).unwrap();
        let load = &mut loads[usize::from(number(lease.key())) - 1];
        *load += 1;
        most = most.max(*load);
        leases.push(lease);
        if step % count == 0 && leases.len() == running {
            let load = |load: &usize| f64::from(u32::try_from(*load).unwrap());
            let mean = loads.iter().map(load).sum::<f64>() / f64::from(targets);
            variances += loads
                .iter()
                .map(|one| (load(one) - mean).powi(2))
                .sum::<f64>()
                / f64::from(targets);
            rounds += 1.0;
        }
    }
    (most, variances / rounds)
}

/// The quality that `docs/balancing.md` tells: of 1000 requests over 100 targets, how many has the busiest?
#[test]
fn more_choices_even_out_the_load() {
    for seed in [7, 8, 9] {
        let (turns, turns_variance) = load(Algorithm::RoundRobin, 100, 1000, seed);
        let (two, two_variance) = load(Algorithm::RandomTwoChoices, 100, 1000, seed);
        let (least, least_variance) = load(Algorithm::LeastRequest, 100, 1000, seed);
        println!(
            "seed {seed}: busiest of ten on average: in turn {turns}, two choices {two}, least of eight {least}; \
             variance {turns_variance:.2}, {two_variance:.2}, {least_variance:.2}"
        );
        assert!(least <= 12, "{least}");
        assert!(two <= 14, "{two}");
        assert!(turns >= 17, "{turns}: turns do not look at loads");
        assert!(least_variance < two_variance && two_variance < turns_variance);
    }
}

#[test]
fn up_to_eight_targets_the_least_of_all_is_chosen() {
    for count in 1..=8_u16 {
        let config = weighted(Algorithm::LeastRequest, &vec![1; usize::from(count)]);
        let group = Group::new(&config, Use::Used, dawn());
        let mut dice = Dice::new(count.into());
        let mut leases = Vec::new();
        for round in 1..=5 {
            for _ in 0..count {
                leases.push(group.choose(&Wanted::any(dice.roll(), dawn())).unwrap());
            }
            assert!(
                group.view().iter().all(|view| view.in_flight == round),
                "{count}"
            );
        }
    }
}

#[test]
fn running_requests_are_weighed_by_weight() {
    let group = Group::new(
        &weighted(Algorithm::LeastRequest, &[1, 3]),
        Use::Used,
        dawn(),
    );
    let mut dice = Dice::new(10);
    let leases: Vec<Lease> = (0..400)
        .map(|_| group.choose(&Wanted::any(dice.roll(), dawn())).unwrap())
        .collect();
    let of = |target| {
        leases
            .iter()
            .filter(|lease| *lease.key() == key(target))
            .count()
    };
    assert_eq!((of(1), of(2)), (100, 300));
}

#[test]
fn a_client_stays_at_its_target_while_that_may_be_chosen() {
    let mut config = super::config(1..=5);
    Arc::make_mut(&mut config.balancing).stickiness = Some(Stickiness {
        cookie_name: "session".into(),
        duration: None,
    });
    let group = Group::new(&config, Use::Used, dawn());
    let chosen = |tried: &[_]| {
        let target = key(3);
        let wanted = Wanted {
            sticky: Some(&target),
            tried,
            ..Wanted::any(0, dawn())
        };
        number(group.choose(&wanted).unwrap().key())
    };
    assert!((0..20).all(|_| chosen(&[]) == 3));
    assert_ne!(chosen(&[key(3).address()]), 3, "not after it failed");
    observe(&group, 3, ProbeOutcome::Pass, dawn());
    observe(&group, 4, ProbeOutcome::Pass, dawn());
    assert_eq!(chosen(&[]), 3);
    for _ in 0..2 {
        observe(&group, 3, ProbeOutcome::Fail, dawn());
    }
    assert_eq!(chosen(&[]), 4, "nor while it is unhealthy");
    group.apply(&super::config([1, 2, 4, 5]), Use::Used, dawn());
    assert_eq!(chosen(&[]), 4, "nor when it is gone");
}

#[test]
fn the_share_of_a_new_target_grows_in_a_straight_line() {
    let start = dawn();
    for algorithm in [
        Algorithm::RoundRobin,
        Algorithm::LeastRequest,
        Algorithm::RandomTwoChoices,
    ] {
        let config = |targets| {
            let mut config = weighted(algorithm.clone(), &vec![1; targets]);
            Arc::make_mut(&mut config.balancing).slow_start = Some(seconds(100));
            config
        };
        let group = Group::new(&config(3), Use::Used, start);
        let later = start + seconds(1000);
        group.tick(later);
        group.apply(&config(4), Use::Used, later);
        for (age, part) in [
            (0, 0.1),
            (5, 0.1),
            (25, 0.25),
            (50, 0.5),
            (75, 0.75),
            (100, 1.0),
            (200, 1.0),
        ] {
            let counts = counts(&group, 20_000, age, later + seconds(age));
            let statistic = chi_square(&counts, &[1.0, 1.0, 1.0, part]);
            println!("{algorithm:?} after {age} s: {statistic}");
            assert!(
                statistic < CRITICAL_3,
                "{algorithm:?} after {age} s: {counts:?}"
            );
        }
        assert_eq!(group.next_tick(later), Some(later + seconds(100)));
        group.tick(later + seconds(100));
        assert_eq!(group.next_tick(later), None);
    }
}

#[test]
fn targets_that_are_all_new_are_all_used_in_full() {
    let mut config = unchecked(1..=4);
    Arc::make_mut(&mut config.balancing).slow_start = Some(seconds(60));
    let group = Group::new(&config, Use::Used, dawn());
    let all = counts(&group, 400, 1, dawn() + seconds(1));
    assert!(
        all.values().all(|count| (count - 100.0).abs() < 0.5),
        "{all:?}"
    );
}

#[test]
fn a_target_that_recovers_starts_slowly_again() {
    let start = dawn();
    let mut config = super::config(1..=2);
    Arc::make_mut(&mut config.balancing).slow_start = Some(seconds(100));
    let group = Group::new(&config, Use::Used, start);
    observe(&group, 1, ProbeOutcome::Pass, start);
    observe(&group, 2, ProbeOutcome::Pass, start + seconds(500));
    let young = counts(&group, 20_000, 1, start + seconds(510));
    assert!((young[&2] / young[&1] - 0.1).abs() < 0.02, "{young:?}");
    let grown = counts(&group, 20_000, 1, start + seconds(600));
    assert!((grown[&2] / grown[&1] - 1.0).abs() < 0.02, "{grown:?}");
}

/// Targets 1 and 2 are in zone `a`, 3 to 6 in zone `b`; the gateway is in `a`.
pub(super) fn zoned(spill_over: u8) -> TargetGroup {
    let mut config = super::config(1..=6);
    for target in &mut config.targets {
        let zone = if number(&(&*target).into()) <= 2 {
            "a"
        } else {
            "b"
        };
        target.zone = Some(zone.into());
    }
    config.balancing = Arc::new(Balancing {
        zone_preference: Some(ZonePreference {
            zone: Some("a".into()),
            spill_over,
        }),
        ..Balancing::default()
    });
    config
}

/// Share of the requests that go to the gateway's zone while these targets are healthy.
fn near_share(spill_over: u8, healthy: &[u16]) -> f64 {
    let group = Group::new(&zoned(spill_over), Use::Used, dawn());
    for target in healthy {
        observe(&group, *target, ProbeOutcome::Pass, dawn());
    }
    let counts = counts(&group, 40_000, 1, dawn());
    let near: f64 = counts
        .iter()
        .filter(|(target, _)| **target <= 2)
        .map(|(_, count)| count)
        .sum();
    near / 40_000.0
}

#[test]
fn requests_stay_in_the_zone_and_spill_over_as_its_targets_fail() {
    let table = [
        (70, &[1, 2, 3, 4, 5, 6][..], 1.0),
        (70, &[1, 3, 4], 0.5 / 0.7),
        (50, &[1, 3, 4], 1.0),
        (100, &[1, 3, 4], 0.5),
        (70, &[3, 4], 0.0),
        (70, &[1], 1.0),
        // Nobody is healthy: neither health nor zones count.
        (70, &[], 2.0 / 6.0),
    ];
    for (spill_over, healthy, expected) in table {
        let share = near_share(spill_over, healthy);
        assert!(
            (share - expected).abs() < 0.01,
            "{spill_over} {healthy:?}: {share}"
        );
    }
}

#[test]
fn a_zone_of_nobody_or_of_no_gateway_prefers_nobody() {
    let mut config = zoned(70);
    for zone in [Some("c".into()), None] {
        let balancing = Arc::make_mut(&mut config.balancing);
        balancing.zone_preference.as_mut().unwrap().zone = zone;
        let group = Group::new(&config, Use::Used, dawn());
        let all = counts(&group, 600, 1, dawn());
        assert_eq!(all.len(), 6, "{all:?}");
    }
}

#[test]
fn below_the_panic_threshold_health_is_ignored() {
    let table = [
        (0, 1, 1),
        (50, 5, 5),
        (50, 4, 10),
        (100, 9, 10),
        (100, 10, 10),
        (0, 0, 10),
    ];
    for (threshold, healthy, used) in table {
        let mut config = super::config(1..=10);
        Arc::make_mut(&mut config.balancing).panic_threshold = threshold;
        let group = Group::new(&config, Use::Used, dawn());
        for target in 1..=healthy {
            observe(&group, target, ProbeOutcome::Pass, dawn());
        }
        let chosen = counts(&group, 100, 1, dawn());
        assert_eq!(chosen.len(), used, "{threshold} % with {healthy} healthy");
        let all = healthy < 10 && used == 10;
        assert_eq!(
            group.is_failing_open(),
            all,
            "{threshold} % with {healthy} healthy"
        );
    }
}

#[test]
fn a_change_of_weights_alone_counts_at_once() {
    let group = Group::new(&weighted(Algorithm::RoundRobin, &[1, 1]), Use::Used, dawn());
    group.apply(&weighted(Algorithm::RoundRobin, &[1, 9]), Use::Used, dawn());
    assert_eq!(
        counts(&group, 10, 0, dawn()),
        BTreeMap::from([(1, 1.0), (2, 9.0)])
    );
    assert_eq!(group.view()[1].weight, 9);
}

#[test]
fn ten_thousand_targets_get_their_shares() {
    let weights: Vec<u16> = (1..=10_000)
        .map(|number| if number % 2 == 0 { 1000 } else { 1 })
        .collect();
    let group = Group::new(
        &weighted(Algorithm::RandomTwoChoices, &weights),
        Use::Used,
        dawn(),
    );
    let counts = counts(&group, 50_000, 11, dawn() + Duration::ZERO);
    let light: f64 = counts
        .iter()
        .filter(|(target, _)| *target % 2 == 1)
        .map(|(_, count)| count)
        .sum();
    assert!((20.0..90.0).contains(&light), "{light} of 50");
}
