//! Tables: whole, even, and hardly disturbed by a change.

use std::{collections::BTreeMap, net::SocketAddr};

use super::{Entrant, SIZES, Table, size};
use crate::{hash, target::TargetKey};

fn key(number: u32) -> TargetKey {
    let [_, b, c, d] = number.to_be_bytes();
    let address = SocketAddr::from(([10, b, c, d], 80));
    TargetKey::new(&address.ip().to_string(), address)
}

/// The table of these targets with their weights; it says their numbers.
fn table(targets: impl IntoIterator<Item = (u32, u16)>) -> Table {
    let targets: Vec<_> = targets
        .into_iter()
        .map(|(number, weight)| (key(number), number, weight))
        .collect();
    let entrants: Vec<Entrant<'_>> = targets
        .iter()
        .map(|(key, number, weight)| Entrant {
            key,
            position: *number,
            weight: *weight,
        })
        .collect();
    Table::new(&entrants)
}

fn counts(table: &Table) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    for entry in &table.entries {
        *counts.entry(*entry).or_default() += 1;
    }
    counts
}

fn percent(part: usize, whole: usize) -> f64 {
    f64::from(u32::try_from(part).unwrap()) * 100.0 / f64::from(u32::try_from(whole).unwrap())
}

#[test]
fn sizes_are_prime_and_give_a_hundred_entries_up_to_fifty_thousand_targets() {
    for size in SIZES {
        let divisors = (2..).take_while(|divisor| divisor * divisor <= size);
        assert!(
            divisors.into_iter().all(|divisor| size % divisor != 0),
            "{size}"
        );
    }
    assert_eq!(size(1), 1009);
    assert_eq!(size(10), 1009);
    assert_eq!(size(11), 10_007);
    assert_eq!(size(10_000), 1_048_583);
    assert_eq!(size(50_000), 5_000_011);
    assert_eq!(size(1_000_000), 5_000_011);
}

#[test]
fn an_empty_table_says_nothing_and_a_table_of_one_says_that_one() {
    assert_eq!(table([]).find(7), None);
    let table = table([(5, 3)]);
    assert!((0..5000).all(|number| table.find(hash::mix(number)) == Some(5)));
}

/// The same on every node and after every update: a change of this test moves the clients of everybody who hashes.
#[test]
fn tables_are_the_same_for_ever() {
    let table = table((1..=5).map(|number| (number, 1)));
    let found: Vec<_> = (0..12_u64)
        .map(|number| table.find(hash::of(&number.to_be_bytes())).unwrap())
        .collect();
    assert_eq!(found, [5, 3, 1, 3, 4, 2, 2, 3, 1, 5, 1, 3]);
    assert_eq!(hash::of(b"user-1"), 0xf16d_8d44_0fbb_25d5);
}

#[test]
fn shares_are_within_two_percent_of_each_other() {
    for targets in [3, 10, 100, 1000] {
        let table = table((1..=targets).map(|number| (number, 1)));
        let counts = counts(&table);
        assert_eq!(counts.len(), usize::try_from(targets).unwrap());
        let (least, most) = (
            counts.values().min().unwrap(),
            counts.values().max().unwrap(),
        );
        assert!(
            most - least <= 1 + most / 50,
            "{targets}: {least} to {most}"
        );
    }
}

#[test]
fn weights_are_followed_and_leave_nobody_out() {
    let table = table([(1, 1), (2, 2), (3, 7), (4, 90)]);
    let counts = counts(&table);
    for (number, weight) in [(1, 1.0), (2, 2.0), (3, 7.0), (4, 90.0)] {
        let share = percent(counts[&number], table.entries.len());
        assert!((share - weight).abs() < 0.3, "{number}: {share} %");
    }
}

/// The point of it all. Without consistency, nearly all keys would move.
#[test]
fn a_target_that_leaves_takes_little_more_than_its_own_keys_along() {
    for targets in [3_u32, 10, 100, 1000] {
        let before = table((1..=targets).map(|number| (number, 1)));
        let mut worst = 0.0_f64;
        for gone in [1, targets / 2, targets] {
            let others = (1..=targets).filter(|number| *number != gone);
            let after = table(others.map(|number| (number, 1)));
            assert_eq!(before.entries.len(), after.entries.len(), "one size");
            let entries = || before.entries.iter().zip(&after.entries);
            let moved = entries().filter(|(a, b)| **a != gone && a != b).count();
            worst = worst.max(percent(moved, before.entries.len()));
            // Those of the one that left are spread over all others.
            let heirs: std::collections::BTreeSet<_> = entries()
                .filter(|(a, _)| **a == gone)
                .map(|(_, b)| *b)
                .collect();
            assert!(
                heirs.len() >= usize::try_from(targets - 1).unwrap().min(50),
                "{heirs:?}"
            );
        }
        let own = 100.0 / f64::from(targets);
        println!(
            "{targets} targets: {own:.2} % of keys are the target's own, {worst:.2} % of others move"
        );
        assert!(worst < 3.0_f64.max(own), "{targets}: {worst} %");
    }
}
