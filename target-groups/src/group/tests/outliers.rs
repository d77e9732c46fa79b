//! Outlier detection on a virtual clock. Source of the rules: App Mesh, `OutlierDetection`, as `crate::outliers` tells them.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use trellis_model::config::{OutlierDetection, TargetGroup};

use super::{
    Group, Lease, ProbeOutcome, Use, Wanted, config, dawn, key, number, observe, seconds, shown,
    told, unchecked,
};
use crate::{Outcome, ReasonCode, TargetStatus, Verdict};

/// Three failures in a row, sweeps every 10 s, ejections of 30 s, half of the targets at most.
fn detection() -> OutlierDetection {
    OutlierDetection {
        max_server_errors: NonZeroU32::new(3).unwrap(),
        max_connection_failures: None,
        interval: seconds(10),
        base_ejection: seconds(30),
        max_ejection_percent: 50,
    }
}

fn with(mut group: TargetGroup, detection: OutlierDetection) -> TargetGroup {
    group.outlier_detection = Some(Box::new(detection));
    group
}

fn detecting(targets: impl IntoIterator<Item = u16>) -> TargetGroup {
    with(unchecked(targets), detection())
}

/// A lease on this target.
fn lease(group: &Group, target: u16, now: Instant) -> Lease {
    let key = key(target);
    let leases = std::iter::repeat_with(|| group.choose(&Wanted::any(0, now)).unwrap());
    leases
        .take(64)
        .find(|lease| *lease.key() == key)
        .unwrap_or_else(|| panic!("{target} is not chosen"))
}

/// A target fails so many requests in a row.
fn fail(group: &Group, target: u16, times: u32, now: Instant) -> Verdict {
    let lease = lease(group, target, now);
    let verdicts = (0..times).map(|_| group.report(&lease, Outcome::ServerError));
    let verdicts: Vec<Verdict> = verdicts.collect();
    *verdicts
        .iter()
        .find(|verdict| **verdict == Verdict::Suspect)
        .unwrap_or(&Verdict::Fine)
}

fn ejected(group: &Group) -> Vec<u16> {
    let views = group.view().into_iter().filter(|view| view.ejected);
    views
        .map(|view| number(&crate::TargetKey::new(&view.id, view.address)))
        .collect()
}

/// What happens to target 1 of four, as `outcomes`: `.` for success, `5` for a server error, `c` for a failed connection.
fn eject_by(outcomes: &str, connections: Option<u32>) -> bool {
    let now = dawn();
    let detection = OutlierDetection {
        max_connection_failures: connections.and_then(NonZeroU32::new),
        ..detection()
    };
    let group = Group::new(&with(unchecked(1..=4), detection), Use::Used, now);
    let lease = lease(&group, 1, now);
    let mut suspect = false;
    for outcome in outcomes.chars() {
        let outcome = match outcome {
            '.' => Outcome::Success,
            '5' => Outcome::ServerError,
            'c' => Outcome::ConnectionFailure,
            other => panic!("{other}"),
        };
        suspect |= group.report(&lease, outcome) == Verdict::Suspect;
    }
    let changes = group.tick(now);
    assert_eq!(!changes.is_empty(), suspect, "{outcomes}");
    ejected(&group) == [1]
}

/// `maxServerErrors`: consecutive 5xx; failed connections count as such.
#[test]
fn so_many_failures_in_a_row_eject() {
    let table = [
        ("", None, false),
        ("55", None, false),
        ("555", None, true),
        ("55.55", None, false),
        ("55.555", None, true),
        ("555.", None, true),
        ("ccc", None, true),
        ("5c5", None, true),
        ("cc", Some(2), true),
        ("c.c", Some(2), false),
        ("c5c", Some(2), true),
        ("c5", Some(2), false),
        ("5c", Some(1), true),
        ("555", Some(9), true),
    ];
    for (outcomes, connections, expected) in table {
        assert_eq!(
            eject_by(outcomes, connections),
            expected,
            "{outcomes} {connections:?}"
        );
    }
}

#[test]
fn without_detection_nothing_is_counted() {
    let now = dawn();
    let group = Group::new(&unchecked(1..=2), Use::Used, now);
    assert_eq!(fail(&group, 1, 100, now), Verdict::Fine);
    assert_eq!(group.next_tick(now), None);
    assert_eq!(told(&group.tick(now)), "");
}

#[test]
fn an_ejected_target_gets_nothing_and_is_told_of() {
    let now = dawn();
    let group = Group::new(&with(config(1..=4), detection()), Use::Used, now);
    for target in 1..=4 {
        observe(&group, target, ProbeOutcome::Pass, now);
    }
    assert_eq!(fail(&group, 2, 3, now), Verdict::Suspect);
    assert_eq!(group.next_tick(now), Some(now), "at once");
    let changes = group.tick(now);
    assert_eq!(told(&changes), "2 HEALTHY>UNHEALTHY");
    assert_eq!(changes[0].reason, Some(ReasonCode::OutlierDetected));
    assert_eq!(
        shown(&group),
        "1 HEALTHY - 0, 2 UNHEALTHY OutlierDetected 0, 3 HEALTHY - 0, 4 HEALTHY - 0"
    );
    let view = &group.view()[1];
    assert!(view.ejected && !view.eligible && view.ejections == 1);
    assert_eq!(group.ejections(), 1);
    let chosen = super::chosen(&group, 30);
    assert_eq!(
        chosen.into_iter().collect::<Vec<_>>(),
        [(1, 10), (3, 10), (4, 10)]
    );
}

/// Sweeps come every 10 s from the start. A target ejected at 3 s for 30 s is let in at 40 s.
#[test]
fn a_target_comes_back_with_the_first_sweep_after_its_time() {
    let start = dawn();
    let group = Group::new(&detecting(1..=4), Use::Used, start);
    fail(&group, 1, 3, start + seconds(3));
    group.tick(start + seconds(3));
    for sweep in [10, 20, 30] {
        let due = start + seconds(sweep);
        assert_eq!(group.next_tick(start), Some(due));
        assert_eq!(
            told(&group.tick(due.checked_sub(Duration::from_nanos(1)).unwrap())),
            ""
        );
        assert_eq!(told(&group.tick(due)), "", "at {sweep} s");
        assert_eq!(ejected(&group), [1]);
    }
    let changes = group.tick(start + seconds(40));
    assert_eq!(told(&changes), "1 UNHEALTHY>UNAVAILABLE");
    assert_eq!(ejected(&group), [0_u16; 0]);
    assert_eq!(lease(&group, 1, start).address(), key(1).address());
}

/// The base duration times the number of ejections, at most 300 s; each quiet sweep takes one off the number.
#[test]
fn every_further_ejection_is_longer_until_the_target_behaves() {
    let start = dawn();
    let group = Group::new(&detecting(1..=4), Use::Used, start);
    let mut now = start;
    let mut lengths = Vec::new();
    for _ in 0..12 {
        fail(&group, 1, 3, now);
        group.tick(now);
        let began = now;
        while !ejected(&group).is_empty() {
            now += seconds(10);
            group.tick(now);
        }
        lengths.push((now - began).as_secs());
    }
    assert_eq!(
        lengths,
        [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]
    );
    assert_eq!(group.view()[0].ejections, 10);
    for left in (0..10).rev() {
        now += seconds(10);
        group.tick(now);
        assert_eq!(group.view()[0].ejections, left);
    }
    assert_eq!(group.next_tick(now), None, "nothing left to do");
    fail(&group, 1, 3, now);
    group.tick(now);
    assert_eq!(group.view()[0].ejections, 1, "as if it were the first time");
}

#[test]
fn a_base_duration_beyond_the_longest_is_the_longest() {
    let start = dawn();
    let long = OutlierDetection {
        base_ejection: seconds(1000),
        interval: seconds(500),
        ..detection()
    };
    let group = Group::new(&with(unchecked(1..=4), long), Use::Used, start);
    let mut now = start;
    for _ in 0..3 {
        fail(&group, 1, 3, now);
        group.tick(now);
        for (later, out) in [(500, 1), (1000, 0)] {
            group.tick(now + seconds(later));
            assert_eq!(ejected(&group).len(), out);
        }
        now += seconds(1000);
    }
}

/// `maxEjectionPercent`: never more, but one always may.
#[test]
fn only_so_many_targets_are_ejected_at_a_time() {
    let table = [
        (4, 50, 2),
        (5, 50, 2),
        (10, 10, 1),
        (10, 29, 2),
        (10, 0, 1),
        (10, 100, 10),
        (3, 10, 1),
        (1, 10, 1),
    ];
    for (targets, percent, most) in table {
        let now = dawn();
        let detection = OutlierDetection {
            max_ejection_percent: percent,
            ..detection()
        };
        let group = Group::new(&with(unchecked(1..=targets), detection), Use::Used, now);
        let leases: Vec<Lease> = (1..=targets)
            .map(|target| lease(&group, target, now))
            .collect();
        for lease in &leases {
            for _ in 0..3 {
                group.report(lease, Outcome::ServerError);
            }
            group.tick(now);
        }
        assert_eq!(
            ejected(&group).len(),
            most,
            "{targets} targets, {percent} %"
        );
    }
}

#[test]
fn a_target_that_may_not_be_ejected_starts_counting_anew() {
    let now = dawn();
    let group = Group::new(&detecting(1..=2), Use::Used, now);
    let second = lease(&group, 2, now);
    fail(&group, 1, 3, now);
    group.tick(now);
    for _ in 0..3 {
        group.report(&second, Outcome::ServerError);
    }
    assert_eq!(told(&group.tick(now)), "");
    assert_eq!(ejected(&group), [1]);
    // The first one is back at 30 s; two more failures of the second one are not three in a row.
    group.tick(now + seconds(30));
    for (failures, verdict) in [(2, Verdict::Fine), (1, Verdict::Suspect)] {
        let verdicts: Vec<_> = (0..failures)
            .map(|_| group.report(&second, Outcome::ServerError))
            .collect();
        assert_eq!(verdicts.last(), Some(&verdict));
    }
    group.tick(now + seconds(30));
    assert_eq!(ejected(&group), [2]);
}

#[test]
fn failures_of_requests_that_still_run_do_not_eject_again() {
    let start = dawn();
    let group = Group::new(&detecting(1..=4), Use::Used, start);
    let late = lease(&group, 1, start);
    fail(&group, 1, 3, start);
    group.tick(start);
    for _ in 0..10 {
        group.report(&late, Outcome::ServerError);
    }
    group.tick(start + seconds(1));
    assert_eq!(group.view()[0].ejections, 1);
    let changes = group.tick(start + seconds(30));
    assert_eq!(told(&changes), "1 UNHEALTHY>UNAVAILABLE");
    assert_eq!(
        fail(&group, 1, 2, start + seconds(30)),
        Verdict::Fine,
        "forgiven"
    );
}

#[test]
fn health_and_ejection_each_keep_a_target_out() {
    let start = dawn();
    let group = Group::new(&with(config(1..=4), detection()), Use::Used, start);
    for target in 1..=4 {
        observe(&group, target, ProbeOutcome::Pass, start);
    }
    fail(&group, 1, 3, start);
    group.tick(start);
    // Checks fail as well, which is no change for users, but another reason.
    for _ in 0..2 {
        assert_eq!(observe(&group, 1, ProbeOutcome::Fail, start), None);
    }
    assert_eq!(group.view()[0].reason, Some(ReasonCode::HealthCheckFailed));
    assert_eq!(told(&group.tick(start + seconds(30))), "");
    assert!(!group.view()[0].eligible && ejected(&group).is_empty());
    let recovered: Vec<_> = (0..3)
        .filter_map(|_| observe(&group, 1, ProbeOutcome::Pass, start + seconds(31)))
        .collect();
    assert_eq!(told(&recovered), "1 UNHEALTHY>HEALTHY");
    // Checks that pass do not end an ejection.
    fail(&group, 1, 3, start + seconds(32));
    group.tick(start + seconds(32));
    assert_eq!(
        observe(&group, 1, ProbeOutcome::Pass, start + seconds(33)),
        None
    );
    assert_eq!(ejected(&group), [1]);
}

#[test]
fn with_too_few_targets_left_all_get_requests_again() {
    let now = dawn();
    let mut config = detecting(1..=4);
    Arc::make_mut(&mut config.balancing).panic_threshold = 60;
    let group = Group::new(&config, Use::Used, now);
    let second = lease(&group, 2, now);
    fail(&group, 1, 3, now);
    group.tick(now);
    assert!(!group.is_failing_open() && super::chosen(&group, 9).len() == 3);
    for _ in 0..3 {
        group.report(&second, Outcome::ServerError);
    }
    group.tick(now);
    assert_eq!(ejected(&group), [1, 2]);
    assert!(group.is_failing_open() && super::chosen(&group, 8).len() == 4);
}

#[test]
fn the_only_target_goes_on_although_it_is_ejected() {
    let now = dawn();
    let group = Group::new(&detecting([1]), Use::Used, now);
    fail(&group, 1, 3, now);
    assert_eq!(told(&group.tick(now)), "1 UNAVAILABLE>UNHEALTHY");
    assert!(group.is_failing_open());
    assert_eq!(number(lease(&group, 1, now).key()), 1);
}

#[test]
fn changes_of_the_configuration_keep_ejections_and_switching_off_ends_them() {
    let start = dawn();
    let group = Group::new(&detecting(1..=4), Use::Used, start);
    fail(&group, 1, 3, start);
    group.tick(start);
    let shorter = OutlierDetection {
        base_ejection: seconds(5),
        ..detection()
    };
    let changes = group.apply(
        &with(unchecked(1..=5), shorter),
        Use::Used,
        start + seconds(1),
    );
    assert_eq!(told(&changes), "5 none>UNAVAILABLE");
    assert_eq!(ejected(&group), [1]);
    let changes = group.apply(&unchecked(1..=5), Use::Used, start + seconds(2));
    assert_eq!(told(&changes), "1 UNHEALTHY>UNAVAILABLE");
    assert_eq!(super::chosen(&group, 5).len(), 5);
    assert_eq!(group.next_tick(start + seconds(2)), None);
}

#[test]
fn a_target_that_leaves_and_returns_is_not_ejected() {
    let start = dawn();
    let group = Group::new(&detecting(1..=4), Use::Used, start);
    let held = lease(&group, 1, start);
    fail(&group, 1, 3, start);
    group.tick(start);
    group.apply(&detecting(2..=4), Use::Used, start);
    group.report(&held, Outcome::ServerError);
    assert_eq!(told(&group.tick(start + seconds(30))), "");
    let changes = group.apply(&detecting(1..=4), Use::Used, start + seconds(31));
    assert_eq!(told(&changes), "1 DRAINING>UNAVAILABLE");
    assert_eq!(group.view()[0].status, TargetStatus::Unavailable);
    assert_eq!(group.view()[0].ejections, 0);
}

#[test]
fn a_retired_group_serves_on_whatever_its_requests_say() {
    let start = dawn();
    let group = Group::new(&detecting(1..=2), Use::Used, start);
    let held = lease(&group, 1, start);
    group.retire(start);
    for _ in 0..3 {
        group.report(&held, Outcome::ServerError);
    }
    assert_eq!(told(&group.tick(start)), "");
    assert_eq!(super::chosen(&group, 4).len(), 2);
}
