//! Groups whose targets are found by a name: answers, changes of the configuration, and both together.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use trellis_model::{
    config::{Discovery, DnsResponseType, Places, Stickiness, TargetGroup},
    id::VpcId,
};
use trellis_target_groups::{Group, Lease, TargetKey, Wanted};

use super::News;
use crate::{
    discovery::tests::discovery,
    registry::{
        Registry,
        tests::{Events, address, apply_used, group, group_id, listener},
    },
    stickiness::{Cookies, Key},
};

struct World {
    registry: Registry,
    events: Events,
    now: Instant,
}

/// The name of a group's targets.
fn named(hostname: &str) -> Discovery {
    Discovery {
        hostname: hostname.parse().unwrap(),
        ..discovery(DnsResponseType::Endpoints, &["10.0.0.0/8"])
    }
}

fn found(hostname: &str) -> TargetGroup {
    TargetGroup {
        discovery: Some(named(hostname)),
        ..group("orders", [])
    }
}

fn ips(numbers: &[u16]) -> Vec<IpAddr> {
    let ips = numbers.iter().map(|number| address(*number).ip());
    ips.collect()
}

impl World {
    fn new() -> Self {
        let (listener, events) = listener();
        Self {
            registry: Registry::new(listener),
            events,
            now: Instant::now(),
        }
    }

    fn apply(&self, groups: &[TargetGroup]) {
        apply_used(&self.registry, groups, self.now);
    }

    /// An answer with these addresses; is it taken?
    fn answer(&self, hostname: &str, numbers: &[u16]) -> bool {
        let addresses = ips(numbers);
        let news = News {
            addresses: Some(&addresses),
            error: None,
            next: self.now + Duration::from_secs(30),
        };
        let id = group_id("orders");
        let outcome = self
            .registry
            .discovered(id, &named(hostname), &news, self.now);
        outcome.is_some_and(|outcome| outcome.count == numbers.len())
    }

    fn orders(&self) -> Arc<Group> {
        self.registry.group(group_id("orders")).unwrap()
    }

    /// Target and status, in a line each.
    #[track_caller]
    fn check(&self, expected: &[&str]) {
        let shown: Vec<_> = self
            .orders()
            .view()
            .iter()
            .map(|target| format!("{} {} {}", target.id, target.address.port(), target.status))
            .collect();
        assert_eq!(shown, expected);
    }

    #[track_caller]
    fn check_events(&self, expected: &[&str]) {
        assert_eq!(std::mem::take(&mut *self.events.lock()), expected);
    }
}

fn choose(group: &Group) -> Option<SocketAddr> {
    let lease = group.choose(&Wanted::any(0, Instant::now())).ok()?;
    Some(lease.address())
}

#[test]
fn answers_bring_targets_and_take_them_away() {
    let world = World::new();
    world.apply(&[found("orders.test")]);
    let orders = world.orders();
    world.check(&[]);
    assert_eq!(choose(&orders), None);

    assert!(world.answer("orders.test", &[1, 2]));
    world.check(&["10.0.0.1 80 INITIAL", "10.0.0.2 80 INITIAL"]);
    world.check_events(&["10.0.0.1 none>INITIAL -", "10.0.0.2 none>INITIAL -"]);

    let leases = [(); 2].map(|()| orders.choose(&Wanted::any(0, Instant::now())).unwrap());
    let mut addresses = leases.each_ref().map(Lease::address);
    addresses.sort();
    assert_eq!(addresses, [address(1), address(2)]);
    assert!(world.answer("orders.test", &[2, 3]));
    world.check(&[
        "10.0.0.2 80 INITIAL",
        "10.0.0.3 80 INITIAL",
        "10.0.0.1 80 DRAINING",
    ]);
    world.check_events(&["10.0.0.3 none>INITIAL -", "10.0.0.1 INITIAL>DRAINING -"]);
    assert!((0..9).all(|_| choose(&orders) != Some(address(1))));

    // The same answer again changes nothing, and tells nobody.
    assert!(world.answer("orders.test", &[2, 3]));
    world.check_events(&[]);
    // Snapshots hold the group: it is the same one throughout.
    assert!(Arc::ptr_eq(&orders, &world.orders()));
}

#[test]
fn a_name_without_addresses_leaves_nobody_and_brings_back_who_returns() {
    let world = World::new();
    world.apply(&[found("orders.test")]);
    let orders = world.orders();
    assert!(world.answer("orders.test", &[1]));
    let lease = orders.choose(&Wanted::any(0, Instant::now())).unwrap();
    assert!(world.answer("orders.test", &[]));
    world.check(&["10.0.0.1 80 DRAINING"]);
    assert_eq!(choose(&orders), None);
    // A change of the documents meanwhile leaves it at that.
    world.apply(&[found("orders.test")]);
    assert!(Arc::ptr_eq(&orders, &world.orders()));
    world.check(&["10.0.0.1 80 DRAINING"]);
    assert!(world.answer("orders.test", &[1]));
    assert_eq!(orders.view()[0].in_flight, 1);
    drop(lease);
    assert_eq!(choose(&orders), Some(address(1)));
}

#[test]
fn failures_change_nothing_and_are_seen() {
    let world = World::new();
    world.apply(&[found("orders.test")]);
    assert!(world.answer("orders.test", &[1]));
    let later = world.now + Duration::from_secs(40);
    let news = News {
        addresses: None,
        error: Some("no DNS server answered in time".to_owned()),
        next: later + Duration::from_secs(1),
    };
    let id = group_id("orders");
    let outcome = world
        .registry
        .discovered(id, &named("orders.test"), &news, later);
    assert_eq!(
        outcome.map(|outcome| (outcome.count, outcome.changed)),
        Some((1, false))
    );
    world.check(&["10.0.0.1 80 INITIAL"]);
    let standing = &world.registry.standings()[&id];
    assert_eq!(
        standing.error.as_deref(),
        Some("no DNS server answered in time")
    );
    assert_eq!(standing.answered, Some(world.now));
    assert_eq!(standing.targets, 1);
}

#[test]
fn a_change_of_the_documents_keeps_what_was_found() {
    let world = World::new();
    world.apply(&[found("orders.test")]);
    assert!(world.answer("orders.test", &[1, 2]));
    let orders = world.orders();
    world.check_events(&["10.0.0.1 none>INITIAL -", "10.0.0.2 none>INITIAL -"]);
    world.apply(&[found("orders.test"), group("cart", [9])]);
    world.check_events(&["10.0.0.9 none>INITIAL -"]);
    assert!(Arc::ptr_eq(&orders, &world.orders()));
}

#[test]
fn another_name_keeps_the_targets_until_its_first_answer() {
    let world = World::new();
    world.apply(&[found("orders.test")]);
    assert!(world.answer("orders.test", &[1, 2]));
    world.apply(&[found("new.test")]);
    world.check(&["10.0.0.1 80 INITIAL", "10.0.0.2 80 INITIAL"]);
    // What is still to come about the old name is not taken any more.
    assert!(!world.answer("orders.test", &[5]));
    world.check(&["10.0.0.1 80 INITIAL", "10.0.0.2 80 INITIAL"]);
    assert!(world.answer("new.test", &[2, 3]));
    world.check(&[
        "10.0.0.2 80 INITIAL",
        "10.0.0.3 80 INITIAL",
        "10.0.0.1 80 DRAINING",
    ]);

    // An answer that was there before the change goes first.
    let seed = (group_id("orders"), ips(&[4]));
    world.registry.seed([seed].into_iter());
    world.apply(&[found("newest.test")]);
    let views = world.orders().view();
    assert_eq!(&*views[0].id, "10.0.0.4");
}

#[test]
fn a_list_gives_way_to_a_name_and_a_name_to_a_list_without_a_gap() {
    let world = World::new();
    world.apply(&[group("orders", [1, 2])]);
    let orders = world.orders();
    world.apply(&[found("orders.test")]);
    assert!(Arc::ptr_eq(&orders, &world.orders()));
    world.check(&["10.0.0.1 80 INITIAL", "10.0.0.2 80 INITIAL"]);
    assert!(world.answer("orders.test", &[2]));
    world.check(&["10.0.0.2 80 INITIAL", "10.0.0.1 80 DRAINING"]);
    world.apply(&[group("orders", [2, 3])]);
    world.check(&[
        "10.0.0.2 80 INITIAL",
        "10.0.0.3 80 INITIAL",
        "10.0.0.1 80 DRAINING",
    ]);
    assert!(!world.answer("orders.test", &[1]));
    assert!(world.registry.standings().is_empty());
}

#[test]
fn targets_stay_only_where_they_may_be() {
    let narrow = |range: &str| TargetGroup {
        discovery: Some(Discovery {
            within: [range.parse().unwrap()].into(),
            ..named("orders.test")
        }),
        ..group("orders", [])
    };
    let world = World::new();
    world.apply(&[found("orders.test")]);
    assert!(world.answer("orders.test", &[1, 300]));
    world.apply(&[narrow("10.0.0.0/24")]);
    world.check(&["10.0.0.1 80 INITIAL", "10.0.1.44 80 DRAINING"]);
    // In another VPC the same address is another machine.
    let account = "111122223333".parse().unwrap();
    let elsewhere = TargetGroup {
        vpc: VpcId::derive(&account, &"us-west-2".parse().unwrap(), "elsewhere"),
        ..narrow("10.0.0.0/24")
    };
    world.apply(&[elsewhere]);
    assert_eq!(choose(&world.orders()), None);
}

#[test]
fn cookies_and_pools_follow() {
    let world = World::new();
    let mut config = found("orders.test");
    Arc::make_mut(&mut config.balancing).stickiness = Some(Stickiness {
        cookie_name: "session".into(),
        duration: None,
    });
    config.connection_pool.places = Some(Places {
        most: 1,
        pending: 0,
    });
    world.apply(&[config.clone()]);
    let key = Arc::new(Key::of_bytes(b"a secret"));
    let cookies = Arc::new(Cookies::of(&config, &key).unwrap());
    world.registry.tell_cookies(config.id, &cookies);
    let target = TargetKey::new("10.0.0.1", address(1));
    assert!(cookies.set(&target, false).is_none());
    assert!(world.answer("orders.test", &[1, 2]));
    let field = cookies.set(&target, false).unwrap();
    let value = field
        .to_str()
        .unwrap()
        .split(['=', ';'])
        .nth(1)
        .unwrap()
        .to_owned();
    assert_eq!(cookies.target(value.as_bytes()), Some(target));

    let pool = world.registry.pool(config.id).unwrap();
    let _place = pool.try_enter(address(1)).unwrap();
    assert!(pool.try_enter(address(1)).is_none());
    assert!(world.answer("orders.test", &[2]));
    assert_eq!(cookies.target(value.as_bytes()), None);
    // A target that left and came back begins anew, as with a list.
    assert!(world.answer("orders.test", &[1, 2]));
    assert!(pool.try_enter(address(1)).is_some());
}
