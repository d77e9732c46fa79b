//! Groups coming, staying, leaving and coming back.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use trellis_model::{
    arn::Arn,
    config::{
        Action, AuthType, Forward, HealthCheck, HttpMatch, HttpProbe, Listener, ListenerProtocol,
        Probe, ProtocolVersion, Rule, RulePriority, Service, Target, TargetGroup, TargetGroupType,
        TargetProtocol, Weight, WeightedTargetGroup,
    },
    id::{ListenerId, RuleId, ServiceId, TargetGroupId, VpcId},
    name::{AccountId, Region},
};
use trellis_target_groups::{TargetStatus, Use, Wanted};

use super::{Drains, Registry, StatusListener};
use crate::snapshot::{GroupChanges, named};

fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

fn region() -> Region {
    "us-west-2".parse().unwrap()
}

/// The id of the group called `name`.
pub(crate) fn group_id(name: &str) -> TargetGroupId {
    TargetGroupId::derive(&account(), &region(), &[name])
}

/// The VPC of all groups made here.
pub(crate) fn vpc() -> VpcId {
    VpcId::derive(&account(), &region(), "shop")
}

/// A check every 10 s with a timeout of 2 s; healthy after 3 successes, unhealthy after 2 failures.
pub(crate) fn health_check() -> HealthCheck {
    HealthCheck {
        enabled: true,
        probe: Probe::Http(HttpProbe::default()),
        port: None,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(2),
        healthy_threshold: 3,
        unhealthy_threshold: 2,
        jitter_percent: 0,
    }
}

/// Address of the target number `number`.
pub(crate) fn address(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(10, 0, high, low), 80))
}

/// A group with a [`health_check`].
pub(crate) fn group(name: &str, targets: impl IntoIterator<Item = u16>) -> TargetGroup {
    let id = group_id(name);
    TargetGroup {
        id,
        arn: Arn::lattice(&account(), &region(), format_args!("targetgroup/{id}")),
        name: name.parse().unwrap(),
        account: account(),
        kind: TargetGroupType::Ip,
        protocol: TargetProtocol::Http,
        version: ProtocolVersion::Http1,
        vpc: vpc(),
        health_check: Some(Arc::new(health_check())),
        targets: targets
            .into_iter()
            .map(|number| Target::new(&address(number).ip().to_string(), address(number)))
            .collect(),
        balancing: Arc::default(),
        outlier_detection: None,
        connection_pool: trellis_model::config::ConnectionPool::default(),
        tls: None,
        discovery: None,
        tags: std::collections::BTreeMap::default(),
        place: trellis_model::problem::Place::default(),
    }
}

/// Makes all these groups the configured ones.
pub(crate) fn apply_all(
    registry: &Registry,
    groups: &[Arc<TargetGroup>],
    usage: Use,
    now: Instant,
) {
    let updated = groups.iter().map(|group| (group, usage)).collect();
    let removed = None;
    registry.apply(&GroupChanges { updated, removed }, now);
}

/// Makes all these groups the configured ones, all in use.
pub(crate) fn apply_used(registry: &Registry, groups: &[TargetGroup], now: Instant) {
    let groups: Vec<_> = groups.iter().cloned().map(Arc::new).collect();
    apply_all(registry, &groups, Use::Used, now);
}

/// What a listener was told, as `group target before>after (cause)`.
pub(crate) type Events = Arc<Mutex<Vec<String>>>;

/// A listener that writes down what it is told.
pub(crate) fn listener() -> (StatusListener, Events) {
    let events = Events::default();
    let log = Arc::clone(&events);
    let listener: StatusListener = Arc::new(move |event| {
        let name = |status: Option<TargetStatus>| status.map_or("none", TargetStatus::as_str);
        let cause = event.cause.map_or("-".to_owned(), ToString::to_string);
        let change = event.change;
        log.lock().push(format!(
            "{} {}>{} {cause}",
            change.target.id(),
            name(change.before),
            name(change.after)
        ));
    });
    (listener, events)
}

fn take(events: &Events) -> Vec<String> {
    std::mem::take(&mut events.lock())
}

#[test]
fn groups_come_stay_and_leave() {
    let now = Instant::now();
    let (listener, events) = listener();
    let registry = Registry::new(listener);
    assert!(registry.group(group_id("orders")).is_none());

    apply_used(&registry, &[group("orders", [1]), group("cart", [2])], now);
    assert_eq!(
        take(&events),
        ["10.0.0.1 none>INITIAL -", "10.0.0.2 none>INITIAL -"]
    );
    let orders = registry.group(group_id("orders")).unwrap();

    apply_used(&registry, &[group("orders", [1])], now);
    assert_eq!(take(&events), ["10.0.0.2 INITIAL>DRAINING -"]);
    assert!(Arc::ptr_eq(
        &orders,
        &registry.group(group_id("orders")).unwrap()
    ));
    assert!(registry.group(group_id("cart")).is_none());
    assert_eq!(registry.groups().len(), 1);
    assert_eq!(registry.retired().len(), 1);

    assert_eq!(registry.expire_drains(now), Drains::Done);
    assert_eq!(take(&events), ["10.0.0.2 DRAINING>none -"]);
    assert!(registry.retired().is_empty());
}

#[test]
fn a_group_comes_back_with_its_running_requests() {
    let now = Instant::now();
    let (listener, _events) = listener();
    let registry = Registry::new(listener);
    apply_used(&registry, &[group("orders", [1])], now);
    let orders = registry.group(group_id("orders")).unwrap();
    let lease = orders.choose(&Wanted::any(0, Instant::now())).unwrap();

    apply_used(&registry, &[], now);
    assert_eq!(registry.expire_drains(now), Drains::Pending);
    apply_used(&registry, &[group("orders", [1])], now);
    assert!(Arc::ptr_eq(
        &orders,
        &registry.group(group_id("orders")).unwrap()
    ));
    assert!(registry.retired().is_empty());
    assert_eq!(orders.view()[0].in_flight, 1);
    drop(lease);
    assert_eq!(orders.view()[0].in_flight, 0);
}

#[test]
fn a_removed_group_is_let_go_after_a_minute_whatever_runs() {
    let now = Instant::now();
    let (listener, _events) = listener();
    let registry = Registry::new(listener);
    apply_used(&registry, &[group("orders", [1])], now);
    let _lease = registry
        .group(group_id("orders"))
        .unwrap()
        .choose(&Wanted::any(0, Instant::now()))
        .unwrap();
    apply_used(&registry, &[], now);
    let later = now + Duration::from_secs(59);
    assert_eq!(registry.expire_drains(later), Drains::Pending);
    assert_eq!(
        registry.expire_drains(later + Duration::from_secs(1)),
        Drains::Done
    );
    assert!(registry.retired().is_empty());
}

#[test]
fn a_listener_may_look_at_the_registry() {
    let seen = Arc::new(Mutex::new(0));
    let registry: Arc<std::sync::OnceLock<Registry>> = Arc::default();
    let (counter, own) = (Arc::clone(&seen), Arc::downgrade(&registry));
    let looking = Registry::new(Arc::new(move |_event| {
        let registry = own.upgrade().unwrap();
        *counter.lock() += registry.get().map_or(0, |registry| registry.groups().len());
    }));
    let registry = registry.get_or_init(|| looking);
    apply_used(registry, &[group("orders", [1])], Instant::now());
    assert_eq!(*seen.lock(), 1);
}

fn service(default_action: Action, rule_action: Action) -> Service {
    let id = ServiceId::derive(&account(), &region(), &["orders"]);
    let listener = ListenerId::derive(&account(), &region(), &["orders", "http"]);
    Service {
        id,
        arn: Arn::lattice(&account(), &region(), format_args!("service/{id}")),
        name: "orders".parse().unwrap(),
        account: account(),
        generated_domain: "orders.test".parse().unwrap(),
        custom_domain: None,
        certificate: None,
        client_certificates: None,
        auth_type: AuthType::None,
        auth_policy: None,
        auth_policy_mode: trellis_model::config::AuthPolicyMode::Enforce,
        shadow_auth_policy: None,
        idle_timeout: None,
        listeners: vec![Listener {
            id: listener,
            arn: Arn::lattice(
                &account(),
                &region(),
                format_args!("service/{id}/listener/{listener}"),
            ),
            name: "http".parse().unwrap(),
            protocol: ListenerProtocol::Http,
            port: 80,
            rules: vec![Rule {
                id: RuleId::derive(&account(), &region(), &["orders", "http", "one"]),
                name: "one".parse().unwrap(),
                priority: RulePriority::new(1).unwrap(),
                condition: HttpMatch::default(),
                action: rule_action,
            }],
            default_rule: RuleId::derive(&account(), &region(), &["orders", "http", "default"]),
            default_action,
        }],
        tags: std::collections::BTreeMap::default(),
        place: trellis_model::problem::Place::default(),
    }
}

fn forward(groups: &[(&str, u16)]) -> Action {
    let groups = groups.iter().map(|(name, weight)| WeightedTargetGroup {
        group: group_id(name),
        weight: Weight::new(*weight).unwrap(),
    });
    Action::Forward(Arc::new(Forward {
        groups: groups.collect(),
        traffic: Arc::default(),
    }))
}

#[test]
fn groups_of_rules_and_default_actions_are_in_use_whatever_their_weight() {
    let services = [Arc::new(service(
        forward(&[("orders", 100), ("next", 0)]),
        forward(&[("canary", 1)]),
    ))];
    assert_eq!(
        named(&services[0]).collect::<HashSet<_>>(),
        HashSet::from([group_id("orders"), group_id("next"), group_id("canary")])
    );
    let fixed = [Arc::new(service(
        Action::FixedResponse(404),
        Action::FixedResponse(500),
    ))];
    assert_eq!(named(&fixed[0]).next(), None);
}

#[test]
fn groups_that_no_service_names_are_unused() {
    let (listener, events) = listener();
    let registry = Registry::new(listener);
    let groups = [Arc::new(group("orders", [1]))];
    apply_all(&registry, &groups, Use::Unused, Instant::now());
    assert_eq!(take(&events), ["10.0.0.1 none>UNUSED -"]);
    assert!(
        registry
            .group(group_id("orders"))
            .unwrap()
            .check_plan()
            .is_none()
    );
}

/// Requests of earlier snapshots must find somebody, also long after the change: they may have read a body first, or try again.
#[test]
fn a_group_that_loses_its_last_target_serves_the_requests_that_know_it_and_no_later_ones() {
    let (listener, events) = listener();
    let (registry, now) = (Registry::new(listener), Instant::now());
    let id = group_id("orders");
    apply_used(&registry, &[group("orders", [1])], now);
    let before = registry.group(id).unwrap();
    let lease = before.choose(&Wanted::any(0, Instant::now())).unwrap();
    for _ in 0..2 {
        apply_used(&registry, &[group("orders", [])], now);
        assert!(before.choose(&Wanted::any(0, Instant::now())).is_ok());
        assert!(
            registry
                .group(id)
                .unwrap()
                .choose(&Wanted::any(0, Instant::now()))
                .is_err()
        );
        assert_eq!(registry.retired().len(), 1);
    }
    assert_eq!(
        take(&events),
        ["10.0.0.1 none>INITIAL -", "10.0.0.1 INITIAL>DRAINING -"]
    );

    // Removed as a whole, what drains goes on draining.
    apply_used(&registry, &[], now);
    assert_eq!(registry.retired().len(), 1);
    apply_used(&registry, &[group("orders", [])], now);

    // Filled again, it is the group that it was.
    apply_used(&registry, &[group("orders", [1, 2])], now);
    let after = registry.group(id).unwrap();
    assert!(Arc::ptr_eq(&before, &after));
    assert!(registry.retired().is_empty());
    assert_eq!(after.view()[0].in_flight, 1);

    // Drained and filled, it is another.
    apply_used(&registry, &[group("orders", [])], now);
    drop(lease);
    assert_eq!(registry.expire_drains(now), Drains::Done);
    apply_used(&registry, &[group("orders", [3])], now);
    let after = registry.group(id).unwrap();
    assert!(!Arc::ptr_eq(&before, &after));
    assert!(after.choose(&Wanted::any(0, Instant::now())).is_ok());
}

#[test]
fn a_group_that_drains_does_not_fail_open_any_more() {
    let (registry, now) = (Registry::new(Arc::new(|_| {})), Instant::now());
    apply_used(&registry, &[group("orders", [1])], now);
    let orders = registry.group(group_id("orders")).unwrap();
    assert!(orders.is_failing_open());
    apply_used(&registry, &[group("orders", [])], now);
    assert!(!orders.is_failing_open() && orders.choose(&Wanted::any(0, Instant::now())).is_ok());
}

#[test]
fn what_a_change_does_not_tell_of_stays_as_it_is() {
    let (listener, events) = listener();
    let (registry, now) = (Registry::new(listener), Instant::now());
    apply_used(&registry, &[group("orders", [1]), group("cart", [2])], now);
    let (orders, cart) = (group_id("orders"), group_id("cart"));
    assert_eq!(registry.take_news(), [orders, cart].into());
    take(&events);

    let grown = Arc::new(group("cart", [2, 3]));
    let mut change = GroupChanges {
        updated: vec![(&grown, Use::Used)],
        removed: Some(Vec::new()),
    };
    registry.apply(&change, now);
    assert_eq!(take(&events), ["10.0.0.3 none>INITIAL -"]);
    assert_eq!(registry.take_news(), [cart].into());
    assert_eq!(registry.groups().len(), 2);

    change.updated.clear();
    change.removed = Some(vec![orders]);
    registry.apply(&change, now);
    assert_eq!(take(&events), ["10.0.0.1 INITIAL>DRAINING -"]);
    assert_eq!(registry.take_news(), [orders].into());
    assert_eq!(registry.groups().len(), 1);
    assert_eq!(registry.take_news(), [].into());
}
