//! Thresholds: tables, and an oracle that looks at whole histories.

use std::time::Duration;

use proptest::prelude::*;
use trellis_model::config::{HealthCheck, HttpProbe, Probe};

use super::{Health, ProbeOutcome, Standing};

fn thresholds(healthy: u8, unhealthy: u8) -> HealthCheck {
    HealthCheck {
        enabled: true,
        probe: Probe::Http(HttpProbe::default()),
        port: None,
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(5),
        healthy_threshold: healthy,
        unhealthy_threshold: unhealthy,
        jitter_percent: 0,
    }
}

/// `+` passes, `-` fails, `!` changes the check. After each of them the standing is the letter below: initial, healthy, unhealthy.
#[track_caller]
fn check(healthy: u8, unhealthy: u8, events: &str, expected: &str) {
    let check = thresholds(healthy, unhealthy);
    let mut health = Health::NEW;
    let standings: String = events
        .chars()
        .map(|event| {
            health = match event {
                '+' => health.after(ProbeOutcome::Pass, &check),
                '-' => health.after(ProbeOutcome::Fail, &check),
                '!' => health.restarted(),
                other => panic!("`{other}` is no event"),
            };
            match health.standing() {
                Standing::Initial => 'i',
                Standing::Healthy => 'h',
                Standing::Unhealthy => 'u',
            }
        })
        .collect();
    assert_eq!(standings, expected, "after {events}");
}

#[test]
fn a_fresh_target_is_healthy_after_one_success() {
    check(5, 2, "+", "h");
    check(5, 3, "--+", "iih");
}

#[test]
fn a_fresh_target_is_unhealthy_after_the_unhealthy_threshold() {
    check(5, 2, "--", "iu");
    check(5, 3, "---", "iiu");
}

#[test]
fn thresholds_count_outcomes_in_a_row() {
    check(3, 2, "+-+--", "hhhhu");
    check(3, 2, "--++-++", "iuuuuuu");
    check(3, 2, "--++-+++", "iuuuuuuh");
    check(2, 2, "--++--++", "iuuhhuuh");
}

#[test]
fn one_success_is_enough_only_for_the_first_time() {
    check(5, 2, "+--+", "hhuu");
}

#[test]
fn a_changed_check_keeps_the_standing_and_counts_anew() {
    check(5, 3, "+--!--", "hhhhhh");
    check(5, 3, "+--!---", "hhhhhhu");
    check(5, 2, "--!+", "iuuh");
    check(5, 2, "--!-+", "iuuuh");
    check(5, 2, "--!--+", "iuuuuu");
}

/// Looks for the next event in the whole history, instead of counting along.
fn oracle(history: &[bool], healthy: usize, unhealthy: usize) -> Standing {
    let ends_with = |run: &[bool], length: usize, value: bool| {
        run.len() >= length && run.iter().rev().take(length).all(|v| *v == value)
    };
    let mut standing = Standing::Initial;
    let mut start = 0;
    'turns: loop {
        for end in start + 1..=history.len() {
            let run = &history[start..end];
            let next = match standing {
                Standing::Initial if run.contains(&true) => Standing::Healthy,
                Standing::Initial | Standing::Healthy if ends_with(run, unhealthy, false) => {
                    Standing::Unhealthy
                }
                Standing::Unhealthy if ends_with(run, healthy, true) => Standing::Healthy,
                _ => continue,
            };
            standing = next;
            start = end;
            continue 'turns;
        }
        return standing;
    }
}

proptest! {
    #[test]
    fn counting_agrees_with_looking_at_the_history(
        history in proptest::collection::vec(any::<bool>(), 0..60),
        healthy in 2_u8..=10,
        unhealthy in 2_u8..=10,
    ) {
        let check = thresholds(healthy, unhealthy);
        let mut health = Health::NEW;
        for (seen, passed) in history.iter().enumerate() {
            let outcome = if *passed { ProbeOutcome::Pass } else { ProbeOutcome::Fail };
            health = health.after(outcome, &check);
            prop_assert_eq!(
                health.standing(),
                oracle(&history[..=seen], healthy.into(), unhealthy.into())
            );
        }
    }
}
