//! Points and turns against a naive count.

use proptest::{collection::vec, prelude::*};

use super::Shares;

fn shares(weights: &[u16]) -> Option<Shares> {
    Shares::new(weights.iter().copied())
}

/// Every point's owner, by counting along.
fn owners(weights: &[u16], divisor: u16) -> Vec<usize> {
    let runs = weights.iter().enumerate();
    runs.flat_map(|(owner, weight)| std::iter::repeat_n(owner, (weight / divisor).into()))
        .collect()
}

#[test]
fn weights_that_are_all_the_same_need_no_table() {
    for weights in [&[][..], &[1], &[1000], &[7, 7, 7]] {
        assert_eq!(shares(weights), None, "{weights:?}");
    }
}

#[test]
fn what_all_weights_have_in_common_makes_no_turns() {
    assert_eq!(shares(&[100, 300, 200]).unwrap().total(), 6);
    assert_eq!(shares(&[999, 1000]).unwrap().total(), 1999);
}

#[test]
fn there_is_nobody_beyond_the_last_point() {
    let shares = shares(&[1, 2]).unwrap();
    assert_eq!(shares.owner(2), Some(1));
    assert_eq!(shares.owner(3), None);
    assert_eq!(shares.owner(u64::MAX), None);
}

#[test]
fn two_to_one_goes_round_evenly() {
    let shares = shares(&[2, 1]).unwrap();
    let turns: Vec<_> = (0..6)
        .map(|turn| shares.owner(shares.point(turn)).unwrap())
        .collect();
    assert_eq!(turns, [0, 0, 1, 0, 0, 1]);
}

proptest! {
    #[test]
    fn points_belong_to_the_targets_that_counting_finds(weights in vec(1_u16..=1000, 1..200)) {
        let Some(shares) = shares(&weights) else {
            return Ok(());
        };
        let divisor = weights.iter().map(|w| u64::from(*w)).sum::<u64>() / shares.total();
        let owners = owners(&weights, divisor.try_into().unwrap());
        prop_assert_eq!(u64::try_from(owners.len()).unwrap(), shares.total());
        for (point, owner) in (0..).zip(&owners) {
            prop_assert_eq!(shares.owner(point), Some(*owner));
        }
    }

    #[test]
    fn a_round_of_turns_gives_each_target_its_weight(
        weights in vec(1_u16..=50, 2..40),
        start in any::<u64>(),
    ) {
        let Some(shares) = shares(&weights) else {
            return Ok(());
        };
        // Below the end of all numbers, which takes centuries to reach.
        let start = start % (u64::MAX / 2);
        let mut counts = vec![0_u64; weights.len()];
        for turn in start..start + shares.total() {
            counts[shares.owner(shares.point(turn)).unwrap()] += 1;
        }
        let whole: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let expected: Vec<u64> = weights
            .iter()
            .map(|weight| u64::from(*weight) * shares.total() / whole)
            .collect();
        prop_assert_eq!(counts, expected);
    }

    /// What makes them smooth: at no time of a round is a target more than a few turns ahead of its share, or behind it.
    #[test]
    fn the_turns_of_a_target_lie_evenly(weights in vec(1_u16..=100, 2..12)) {
        let Some(shares) = shares(&weights) else {
            return Ok(());
        };
        let whole: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
        let mut counts = vec![0.0; weights.len()];
        let mut turns = 0.0;
        for turn in 0..shares.total() {
            counts[shares.owner(shares.point(turn)).unwrap()] += 1.0;
            turns += 1.0;
            for (count, weight) in counts.iter().zip(&weights) {
                let due = turns * f64::from(*weight) / whole;
                prop_assert!((count - due).abs() < EVEN, "{count} turns of {due} after {turns}");
            }
        }
    }
}

/// Most turns that a target may be off its share: measured, with room; the theory of such sequences gives a logarithm of the round.
const EVEN: f64 = 4.0;
