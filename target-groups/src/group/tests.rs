//! A group through its public face, on a clock of our own.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use trellis_model::{
    arn::Arn,
    config::{
        HealthCheck, HttpProbe, Probe, ProtocolVersion, Target, TargetGroup, TargetGroupType,
        TargetProtocol,
    },
    id::{TargetGroupId, VpcId},
    name::{AccountId, Region},
};

use crate::{
    Group, Lease, NoTarget, ProbeOutcome, StatusChange, TargetKey, TargetStatus, Use, Wanted,
    group::DRAIN_PERIOD,
};

mod balancing;
mod eligible;
mod hashing;
mod model;
mod outliers;
mod threads;

/// Where the tests' clock begins.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing else makes an `Instant`; the tests only ever add to this one"
)]
fn dawn() -> Instant {
    Instant::now()
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The target number `number`, on 10.0.0.0/16.
fn target(number: u16) -> Target {
    let [high, low] = number.to_be_bytes();
    let address = SocketAddr::from(([10, 0, high, low], 80));
    Target::new(&address.ip().to_string(), address)
}

fn key(number: u16) -> TargetKey {
    TargetKey::from(&target(number))
}

fn number(key: &TargetKey) -> u16 {
    match key.address().ip() {
        std::net::IpAddr::V4(ip) => u16::from_be_bytes([ip.octets()[2], ip.octets()[3]]),
        std::net::IpAddr::V6(ip) => panic!("{ip} is no target of these tests"),
    }
}

fn health_check() -> HealthCheck {
    HealthCheck {
        enabled: true,
        probe: Probe::Http(HttpProbe::default()),
        port: None,
        interval: seconds(30),
        timeout: seconds(5),
        healthy_threshold: 3,
        unhealthy_threshold: 2,
        jitter_percent: 0,
    }
}

fn config(targets: impl IntoIterator<Item = u16>) -> TargetGroup {
    let account: AccountId = "111122223333".parse().unwrap();
    let region: Region = "us-west-2".parse().unwrap();
    let id = TargetGroupId::derive(&account, &region, &["orders"]);
    TargetGroup {
        id,
        arn: Arn::lattice(&account, &region, format_args!("targetgroup/{id}")),
        name: "orders".parse().unwrap(),
        vpc: VpcId::derive(&account, &region, "shop"),
        account,
        kind: TargetGroupType::Ip,
        protocol: TargetProtocol::Http,
        version: ProtocolVersion::Http1,
        health_check: Some(Arc::new(health_check())),
        targets: targets.into_iter().map(target).collect(),
        balancing: Arc::default(),
        outlier_detection: None,
        connection_pool: trellis_model::config::ConnectionPool::default(),
        tls: None,
        discovery: None,
        tags: BTreeMap::new(),
        place: trellis_model::problem::Place::default(),
    }
}

fn unchecked(targets: impl IntoIterator<Item = u16>) -> TargetGroup {
    TargetGroup {
        kind: TargetGroupType::Alb,
        health_check: None,
        ..config(targets)
    }
}

fn observe(
    group: &Group,
    target: u16,
    outcome: ProbeOutcome,
    now: Instant,
) -> Option<StatusChange> {
    let epoch = group.check_plan().unwrap().epoch;
    group.observe(&key(target), epoch, outcome, now)
}

/// A request that takes any target.
fn plain() -> Wanted<'static> {
    Wanted::any(0, dawn())
}

/// How often each target is chosen in `turns` turns; leases are given back at once.
fn chosen(group: &Group, turns: usize) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for _ in 0..turns {
        if let Ok(lease) = group.choose(&plain()) {
            *counts.entry(number(lease.key())).or_default() += 1;
        }
    }
    counts
}

/// The group as `number STATUS reason in-flight`, joined by commas.
fn shown(group: &Group) -> String {
    let views = group.view().into_iter().map(|view| {
        let number = number(&TargetKey::new(&view.id, view.address));
        let reason = view.reason.map_or("-", |reason| reason.as_str());
        format!("{number} {} {reason} {}", view.status, view.in_flight)
    });
    views.collect::<Vec<_>>().join(", ")
}

/// Changes as `number before>after`, joined by commas.
fn told(changes: &[StatusChange]) -> String {
    let name = |status: Option<TargetStatus>| status.map_or("none", TargetStatus::as_str);
    let changes = changes.iter().map(|change| {
        let (before, after) = (name(change.before), name(change.after));
        format!("{} {before}>{after}", number(&change.target))
    });
    changes.collect::<Vec<_>>().join(", ")
}

#[test]
fn an_empty_group_has_no_target() {
    let group = Group::new(&config([]), Use::Used, dawn());
    assert_eq!(
        group.choose(&plain()).map(|lease| number(lease.key())),
        Err(NoTarget)
    );
    assert!(!group.is_failing_open());
}

#[test]
fn initial_targets_are_used_until_one_is_healthy() {
    let group = Group::new(&config([1, 2]), Use::Used, dawn());
    assert_eq!(
        shown(&group),
        "1 INITIAL HealthCheckInProgress 0, 2 INITIAL HealthCheckInProgress 0"
    );
    assert_eq!(chosen(&group, 10), BTreeMap::from([(1, 5), (2, 5)]));
    assert!(group.is_failing_open());

    let change = observe(&group, 2, ProbeOutcome::Pass, dawn()).unwrap();
    assert_eq!(told(&[change]), "2 INITIAL>HEALTHY");
    assert_eq!(chosen(&group, 10), BTreeMap::from([(2, 10)]));
    assert!(!group.is_failing_open());
}

#[test]
fn unhealthy_targets_get_nothing_while_another_is_healthy_and_all_get_their_turn_when_none_is() {
    let group = Group::new(&config([1, 2, 3]), Use::Used, dawn());
    for target in [1, 2] {
        observe(&group, target, ProbeOutcome::Pass, dawn());
    }
    for _ in 0..2 {
        observe(&group, 3, ProbeOutcome::Fail, dawn());
    }
    assert_eq!(
        shown(&group),
        "1 HEALTHY - 0, 2 HEALTHY - 0, 3 UNHEALTHY HealthCheckFailed 0"
    );
    assert_eq!(chosen(&group, 10), BTreeMap::from([(1, 5), (2, 5)]));

    for target in [1, 2, 1, 2] {
        observe(&group, target, ProbeOutcome::Fail, dawn());
    }
    assert_eq!(chosen(&group, 9), BTreeMap::from([(1, 3), (2, 3), (3, 3)]));
}

#[test]
fn targets_without_checks_are_all_used() {
    let group = Group::new(&unchecked([1, 2]), Use::Used, dawn());
    assert_eq!(
        shown(&group),
        "1 UNAVAILABLE HealthCheckNotSupported 0, 2 UNAVAILABLE HealthCheckNotSupported 0"
    );
    assert_eq!(chosen(&group, 4), BTreeMap::from([(1, 2), (2, 2)]));
    assert!(group.check_plan().is_none());

    let mut disabled = config([1, 2]);
    Arc::make_mut(disabled.health_check.as_mut().unwrap()).enabled = false;
    group.apply(&disabled, Use::Used, dawn());
    assert_eq!(
        shown(&group),
        "1 UNAVAILABLE HealthCheckDisabled 0, 2 UNAVAILABLE HealthCheckDisabled 0"
    );
    assert_eq!(chosen(&group, 4), BTreeMap::from([(1, 2), (2, 2)]));
    assert!(!group.is_failing_open());
}

#[test]
fn an_unused_group_is_not_checked_and_starts_afresh_when_used() {
    let group = Group::new(&config([1]), Use::Unused, dawn());
    assert_eq!(shown(&group), "1 UNUSED TargetGroupNotInUse 0");
    assert!(group.check_plan().is_none());

    let changes = group.apply(&config([1]), Use::Used, dawn());
    assert_eq!(told(&changes), "1 UNUSED>INITIAL");
    observe(&group, 1, ProbeOutcome::Pass, dawn());
    let changes = group.apply(&config([1]), Use::Unused, dawn());
    assert_eq!(told(&changes), "1 HEALTHY>UNUSED");
    let changes = group.apply(&config([1]), Use::Used, dawn());
    assert_eq!(told(&changes), "1 UNUSED>INITIAL");
}

#[test]
fn requests_that_were_matched_before_the_group_fell_out_of_use_still_avoid_dead_targets() {
    let group = Group::new(&config([1, 2]), Use::Used, dawn());
    observe(&group, 1, ProbeOutcome::Pass, dawn());
    for _ in 0..2 {
        observe(&group, 2, ProbeOutcome::Fail, dawn());
    }
    group.apply(&config([1, 2]), Use::Unused, dawn());
    assert_eq!(chosen(&group, 4), BTreeMap::from([(1, 4)]));
}

#[test]
fn staying_targets_keep_status_counters_and_rotation() {
    let group = Group::new(&config([1, 2, 3]), Use::Used, dawn());
    for target in [1, 2] {
        observe(&group, target, ProbeOutcome::Pass, dawn());
    }
    observe(&group, 1, ProbeOutcome::Fail, dawn());
    let leases: Vec<Lease> = (0..3).map(|_| group.choose(&plain()).unwrap()).collect();
    assert_eq!(
        leases.iter().map(|l| number(l.key())).collect::<Vec<_>>(),
        [1, 2, 1]
    );

    let epoch = group.check_plan().unwrap().epoch;
    let changes = group.apply(&config([4, 2, 1]), Use::Used, dawn());
    assert_eq!(told(&changes), "4 none>INITIAL, 3 INITIAL>DRAINING");
    assert_eq!(
        shown(&group),
        "4 INITIAL HealthCheckInProgress 0, 2 HEALTHY - 1, 1 HEALTHY - 2, \
         3 DRAINING DeregistrationInProgress 0"
    );
    assert_eq!(
        group.check_plan().unwrap().epoch,
        epoch,
        "nothing to check anew"
    );
    // Three turns were taken, the fourth is the second of two.
    assert_eq!(number(group.choose(&plain()).unwrap().key()), 1);
    let change = observe(&group, 1, ProbeOutcome::Fail, dawn()).unwrap();
    assert_eq!(
        told(&[change]),
        "1 HEALTHY>UNHEALTHY",
        "the earlier failure counts"
    );
}

#[test]
fn a_changed_check_keeps_statuses_and_ignores_probes_made_before() {
    let group = Group::new(&config([1, 2]), Use::Used, dawn());
    observe(&group, 1, ProbeOutcome::Pass, dawn());
    for _ in 0..2 {
        observe(&group, 2, ProbeOutcome::Fail, dawn());
    }
    let earlier = group.check_plan().unwrap().epoch;

    let mut changed = config([1, 2]);
    Arc::make_mut(changed.health_check.as_mut().unwrap()).probe = Probe::Tcp;
    assert_eq!(told(&group.apply(&changed, Use::Used, dawn())), "");
    assert_eq!(chosen(&group, 4), BTreeMap::from([(1, 4)]));
    for _ in 0..9 {
        assert_eq!(
            group.observe(&key(2), earlier, ProbeOutcome::Pass, dawn()),
            None
        );
    }
    let change = observe(&group, 2, ProbeOutcome::Pass, dawn()).unwrap();
    assert_eq!(
        told(&[change]),
        "2 UNHEALTHY>HEALTHY",
        "one success is enough again"
    );
}

#[test]
fn switching_checks_on_or_moving_the_group_makes_all_targets_initial() {
    let group = Group::new(&unchecked([1]), Use::Used, dawn());
    let changes = group.apply(&config([1]), Use::Used, dawn());
    assert_eq!(told(&changes), "1 UNAVAILABLE>INITIAL");
    observe(&group, 1, ProbeOutcome::Pass, dawn());

    let mut moved = config([1]);
    moved.vpc = VpcId::derive(&moved.account, &"us-west-2".parse().unwrap(), "other");
    let changes = group.apply(&moved, Use::Used, dawn());
    assert_eq!(told(&changes), "1 HEALTHY>INITIAL");
    assert_eq!(group.check_plan().unwrap().vpc, moved.vpc);
}

#[test]
fn a_deregistered_target_drains_until_its_last_request_ends() {
    let start = dawn();
    let group = Group::new(&unchecked([1, 2]), Use::Used, start);
    let lease = group.choose(&plain()).unwrap();
    assert_eq!(number(lease.key()), 1);
    group.apply(&unchecked([2]), Use::Used, start);
    assert_eq!(chosen(&group, 4), BTreeMap::from([(2, 4)]));

    assert!(group.is_draining());
    assert_eq!(told(&group.expire_drains(start + seconds(59))), "");
    assert_eq!(
        shown(&group),
        "2 UNAVAILABLE HealthCheckNotSupported 0, 1 DRAINING DeregistrationInProgress 1"
    );
    drop(lease);
    assert_eq!(
        told(&group.expire_drains(start + seconds(59))),
        "1 DRAINING>none"
    );
    assert_eq!(shown(&group), "2 UNAVAILABLE HealthCheckNotSupported 0");
    assert!(!group.is_draining());
}

#[test]
fn a_drain_ends_after_a_minute_whatever_runs() {
    let start = dawn();
    let group = Group::new(&unchecked([1]), Use::Used, start);
    let lease = group.choose(&plain()).unwrap();
    group.apply(&unchecked([]), Use::Used, start);
    assert_eq!(
        group.choose(&plain()).map(|lease| number(lease.key())),
        Err(NoTarget)
    );

    let almost = DRAIN_PERIOD.saturating_sub(Duration::from_nanos(1));
    assert_eq!(told(&group.expire_drains(start + almost)), "");
    assert_eq!(
        told(&group.expire_drains(start + DRAIN_PERIOD)),
        "1 DRAINING>none"
    );
    assert_eq!(shown(&group), "");
    // The request that took too long goes on undisturbed.
    assert_eq!(number(lease.key()), 1);
}

#[test]
fn registering_again_during_the_drain_revives_the_target() {
    let start = dawn();
    let group = Group::new(&config([1]), Use::Used, start);
    observe(&group, 1, ProbeOutcome::Pass, start);
    let _lease = group.choose(&plain()).unwrap();
    group.apply(&config([]), Use::Used, start);
    let earlier = group.check_plan().unwrap().epoch;
    let changes = group.apply(&config([1]), Use::Used, start + seconds(30));
    assert_eq!(told(&changes), "1 DRAINING>INITIAL");
    assert_ne!(
        group.check_plan().unwrap().epoch,
        earlier,
        "to be probed at once"
    );
    assert_eq!(shown(&group), "1 INITIAL HealthCheckInProgress 1");
    assert_eq!(told(&group.expire_drains(start + seconds(61))), "");
    assert_eq!(chosen(&group, 2), BTreeMap::from([(1, 2)]));
}

#[test]
fn a_draining_target_is_not_checked() {
    let group = Group::new(&config([1, 2]), Use::Used, dawn());
    let epoch = group.check_plan().unwrap().epoch;
    group.apply(&config([2]), Use::Used, dawn());
    assert_eq!(group.check_plan().unwrap().targets, [(key(2), None)]);
    assert_eq!(
        group.observe(&key(1), epoch, ProbeOutcome::Pass, dawn()),
        None
    );
}

#[test]
fn a_retired_group_serves_requests_matched_before_and_can_come_back() {
    let start = dawn();
    let group = Group::new(&config([1, 2]), Use::Used, start);
    observe(&group, 1, ProbeOutcome::Pass, start);
    let changes = group.retire(start);
    assert_eq!(told(&changes), "1 HEALTHY>DRAINING, 2 INITIAL>DRAINING");
    assert!(group.check_plan().is_none());
    assert_eq!(chosen(&group, 2), BTreeMap::from([(1, 2)]));

    let lease = group.choose(&plain()).unwrap();
    assert_eq!(told(&group.expire_drains(start)), "2 DRAINING>none");
    assert!(group.is_draining());
    let changes = group.apply(&config([1, 2]), Use::Used, start);
    assert_eq!(told(&changes), "1 DRAINING>INITIAL, 2 none>INITIAL");
    drop(lease);
    assert_eq!(chosen(&group, 4), BTreeMap::from([(1, 2), (2, 2)]));
}

#[test]
fn a_target_that_moves_is_another_target() {
    let start = dawn();
    let instance = |address: [u8; 4]| {
        let mut group = config([]);
        group.targets = vec![Target::new(
            "i-0123456789abcdef0",
            SocketAddr::from((address, 80)),
        )];
        group
    };
    let group = Group::new(&instance([10, 0, 0, 1]), Use::Used, start);
    observe(&group, 1, ProbeOutcome::Pass, start);
    let changes = group.apply(&instance([10, 0, 0, 2]), Use::Used, start);
    assert_eq!(told(&changes), "2 none>INITIAL, 1 INITIAL>DRAINING");
}

#[test]
fn statuses_tell_since_when() {
    let start = dawn();
    let group = Group::new(&config([1]), Use::Used, start);
    observe(&group, 1, ProbeOutcome::Pass, start + seconds(1));
    observe(&group, 1, ProbeOutcome::Pass, start + seconds(2));
    group.apply(&config([1]), Use::Used, start + seconds(3));
    assert_eq!(group.view()[0].since, start + seconds(1));
    group.apply(&config([]), Use::Used, start + seconds(4));
    assert_eq!(group.view()[0].since, start + seconds(4));
}

/// Which target a request gets that has tried these.
fn after_trying(group: &Group, tried: &[u16]) -> u16 {
    let tried: Vec<SocketAddr> = tried.iter().map(|target| key(*target).address()).collect();
    let lease = group
        .choose(&Wanted {
            tried: &tried,
            ..plain()
        })
        .unwrap();
    number(lease.key())
}

#[test]
fn another_attempt_goes_to_a_target_that_was_not_tried() {
    let group = Group::new(&unchecked([1, 2, 3]), Use::Used, dawn());
    for _ in 0..6 {
        assert_eq!(after_trying(&group, &[1, 2]), 3);
        assert_ne!(after_trying(&group, &[3]), 3);
    }
    // Better one that was tried than none.
    assert!((1..=3).contains(&after_trying(&group, &[1, 2, 3])));
    assert!((1..=3).contains(&after_trying(&group, &[1, 2, 3, 4])));
}
