//! Consistent hashing as requests see it: one target for each key, whoever comes, goes or fails.

use std::{collections::HashSet, sync::Arc};

use super::{
    Group, ProbeOutcome, Use, Wanted,
    balancing::{maglev, weighted, zoned},
    dawn, number, observe,
};
use crate::hash;

/// Where each of so many keys goes.
fn placed(group: &Group, keys: u64) -> Vec<u16> {
    let place = |number: u64| Wanted {
        hash: Some(hash::of(&number.to_be_bytes())),
        ..Wanted::any(0, dawn())
    };
    (0..keys)
        .map(|key| number(group.choose(&place(key)).unwrap().key()))
        .collect()
}

fn moved(before: &[u16], after: &[u16]) -> usize {
    before.iter().zip(after).filter(|(a, b)| a != b).count()
}

#[test]
fn a_hash_has_one_target_whatever_the_dice_say() {
    let group = Group::new(&weighted(maglev(), &[1; 20]), Use::Used, dawn());
    for random in [0, 1, u64::MAX] {
        let wanted = Wanted {
            hash: Some(99),
            ..Wanted::any(random, dawn())
        };
        let first = number(group.choose(&wanted).unwrap().key());
        assert_eq!(
            first,
            number(
                group
                    .choose(&Wanted {
                        random: !random,
                        ..wanted
                    })
                    .unwrap()
                    .key()
            )
        );
    }
}

#[test]
fn a_failing_target_takes_its_own_keys_along_only_and_gets_them_back() {
    let mut config = super::config(1..=20);
    Arc::make_mut(&mut config.balancing).algorithm = maglev();
    let group = Group::new(&config, Use::Used, dawn());
    for target in 1..=20 {
        observe(&group, target, ProbeOutcome::Pass, dawn());
    }
    let before = placed(&group, 5000);
    for _ in 0..2 {
        observe(&group, 7, ProbeOutcome::Fail, dawn());
    }
    let after = placed(&group, 5000);
    let own = before.iter().filter(|target| **target == 7).count();
    assert_eq!(moved(&before, &after), own, "nobody else's");
    let heirs = before.iter().zip(&after).filter(|(old, _)| **old == 7);
    let heirs: HashSet<u16> = heirs.map(|(_, new)| *new).collect();
    assert_eq!(heirs.len(), 19, "spread over all others");
    for _ in 0..3 {
        observe(&group, 7, ProbeOutcome::Pass, dawn());
    }
    assert_eq!(moved(&before, &placed(&group, 5000)), 0);
}

#[test]
fn keys_still_have_one_target_each_when_one_of_many_is_left() {
    let mut config = super::config(1..=200);
    Arc::make_mut(&mut config.balancing).algorithm = maglev();
    let group = Group::new(&config, Use::Used, dawn());
    observe(&group, 5, ProbeOutcome::Pass, dawn());
    assert!(placed(&group, 500).iter().all(|target| *target == 5));
    observe(&group, 6, ProbeOutcome::Pass, dawn());
    assert_eq!(placed(&group, 500), placed(&group, 500));
    assert!(
        placed(&group, 500)
            .iter()
            .all(|target| [5, 6].contains(target))
    );
}

#[test]
fn a_target_that_comes_takes_little_more_than_its_share() {
    let group = Group::new(&weighted(maglev(), &[1; 50]), Use::Used, dawn());
    let before = placed(&group, 20_000);
    group.apply(&weighted(maglev(), &[1; 51]), Use::Used, dawn());
    let after = placed(&group, 20_000);
    let moved = moved(&before, &after);
    let least = after.iter().filter(|target| **target == 51).count();
    println!("{moved} of 20000 keys moved, {least} of them to the new target");
    assert!((300..500).contains(&least), "{least} of 392");
    assert!(
        moved - least < 600,
        "{moved} moved, 3 % of the others at most"
    );
}

#[test]
fn another_attempt_of_a_hash_goes_elsewhere_and_always_to_the_same() {
    let group = Group::new(&weighted(maglev(), &[1; 10]), Use::Used, dawn());
    let wanted = Wanted {
        hash: Some(5),
        ..Wanted::any(1, dawn())
    };
    let first = group.choose(&wanted).unwrap().address();
    let again = |random| {
        let tried = [first];
        let wanted = Wanted {
            random,
            tried: &tried,
            ..wanted
        };
        group.choose(&wanted).unwrap().address()
    };
    assert_ne!(again(1), first);
    assert_eq!(again(1), again(2));
}

#[test]
fn hashing_prefers_the_zone_as_well_and_each_key_has_one_target() {
    let mut config = zoned(70);
    Arc::make_mut(&mut config.balancing).algorithm = maglev();
    let group = Group::new(&config, Use::Used, dawn());
    for target in 1..=6 {
        observe(&group, target, ProbeOutcome::Pass, dawn());
    }
    assert!(placed(&group, 1000).iter().all(|target| *target <= 2));
    for _ in 0..2 {
        observe(&group, 2, ProbeOutcome::Fail, dawn());
    }
    let spilled = placed(&group, 10_000);
    let near = spilled.iter().filter(|target| **target <= 2).count();
    assert!((6900..7400).contains(&near), "{near} of 7143");
    assert_eq!(moved(&spilled, &placed(&group, 10_000)), 0);
}

#[test]
fn a_change_of_weights_makes_another_table() {
    let group = Group::new(&weighted(maglev(), &[1, 1]), Use::Used, dawn());
    group.apply(&weighted(maglev(), &[1, 9]), Use::Used, dawn());
    let second = placed(&group, 1000);
    let second = second.iter().filter(|target| **target == 2).count();
    assert!((860..940).contains(&second), "{second}");
}
