//! Exact shares at the borders, statistics with a printed seed.

use proptest::prelude::*;
use trellis_model::config::Weight;

use super::WeightedChoice;

fn choice(weights: &[u16]) -> WeightedChoice {
    WeightedChoice::new(weights.iter().map(|w| Weight::new(*w).unwrap()))
}

#[test]
fn nothing_to_choose_from_gives_nothing() {
    for weights in [&[][..], &[0], &[0, 0, 0]] {
        for random in [0, 1, u64::MAX / 2, u64::MAX] {
            assert_eq!(choice(weights).choose(random), None, "{weights:?} {random}");
        }
    }
}

#[test]
fn zero_is_never_chosen_and_a_single_weight_always() {
    for random in [0, 1, u64::MAX / 2, u64::MAX] {
        assert_eq!(choice(&[0, 7, 0]).choose(random), Some(1));
        assert_eq!(choice(&[1]).choose(random), Some(0));
    }
}

#[test]
fn weights_are_told_as_given() {
    for weights in [&[][..], &[0], &[90, 10], &[0, 1, 0, 999, 0]] {
        let told: Vec<_> = choice(weights).weights().collect();
        let given: Vec<_> = weights.iter().map(|weight| u32::from(*weight)).collect();
        assert_eq!(told, given);
    }
}

/// The naive table: each entry as often as its weight.
fn expanded(weights: &[u16]) -> Vec<usize> {
    weights
        .iter()
        .enumerate()
        .flat_map(|(position, weight)| std::iter::repeat_n(position, usize::from(*weight)))
        .collect()
}

proptest! {
    /// Cuts the 64-bit numbers into as many equal parts as the weights sum up to and asks at both ends of each part.
    #[test]
    fn shares_are_exact(weights in proptest::collection::vec(0_u16..=999, 0..=10)) {
        let choice = choice(&weights);
        let table = expanded(&weights);
        let parts = table.len() as u128;
        for (part, position) in table.iter().enumerate() {
            let first = ((part as u128) << 64).div_ceil(parts);
            let last = ((part as u128 + 1) << 64).div_ceil(parts) - 1;
            for random in [first, last] {
                prop_assert_eq!(choice.choose(u64::try_from(random).unwrap()), Some(*position));
            }
        }
        prop_assert!(!table.is_empty() || choice.choose(0).is_none());
    }
}

/// Sebastiano Vigna's `splitmix64`, a generator small enough for a test.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[test]
fn draws_follow_the_weights() {
    let seed = 0x7265_6c6c_6973_u64;
    println!("seed {seed:#x}");
    let mut state = seed;
    let draws = 1_000_000_u32;
    for weights in [&[90, 10][..], &[1, 999], &[0, 1, 2, 3, 4, 0], &[100; 10]] {
        let choice = choice(weights);
        let mut counts = vec![0_u32; weights.len()];
        for _ in 0..draws {
            counts[choice.choose(split_mix(&mut state)).unwrap()] += 1;
        }
        let total: f64 = weights.iter().map(|w| f64::from(*w)).sum();
        for (weight, count) in weights.iter().zip(&counts) {
            let share = f64::from(*weight) / total;
            let expected = share * f64::from(draws);
            // Five standard deviations of the binomial distribution: one false alarm in millions, were the seed not fixed.
            let bound = 5.0 * (expected * (1.0 - share)).sqrt();
            let off = (f64::from(*count) - expected).abs();
            assert!(off <= bound, "{weights:?}: {counts:?}, seed {seed:#x}");
        }
    }
}
