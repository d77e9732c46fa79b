//! Who may be chosen at all, against the rules told naively: health, ejections, panic, zones and what was tried, for every algorithm.

use std::{collections::BTreeSet, net::SocketAddr, num::NonZeroU32, sync::Arc};

use proptest::{collection::vec, prelude::*};
use trellis_model::config::{Algorithm, HashKey, OutlierDetection, TargetGroup, ZonePreference};

use super::{Group, ProbeOutcome, Use, Wanted, config, dawn, key, number, observe, seconds};
use crate::{Outcome, hash};

/// What is drawn for a target.
#[derive(Debug, Clone, Copy)]
struct Drawn {
    healthy: bool,
    ejected: bool,
    near: bool,
    weight: u16,
}

fn target() -> impl Strategy<Value = Drawn> {
    (
        prop::bool::weighted(0.7),
        prop::bool::weighted(0.2),
        any::<bool>(),
        1_u16..5,
    )
        .prop_map(|(healthy, ejected, near, weight)| Drawn {
            healthy,
            ejected,
            near,
            weight,
        })
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    prop_oneof![
        Just(Algorithm::RoundRobin),
        Just(Algorithm::LeastRequest),
        Just(Algorithm::RandomTwoChoices),
        Just(Algorithm::Maglev(HashKey::Source)),
    ]
}

fn configured(targets: &[Drawn], algorithm: Algorithm, panic: u8, zones: bool) -> TargetGroup {
    let mut config = config((1..).take(targets.len()));
    for (target, drawn) in config.targets.iter_mut().zip(targets) {
        target.weight = drawn.weight;
        target.zone = Some(if drawn.near { "a" } else { "b" }.into());
    }
    let balancing = Arc::make_mut(&mut config.balancing);
    balancing.algorithm = algorithm;
    balancing.panic_threshold = panic;
    balancing.zone_preference = zones.then(|| ZonePreference {
        zone: Some("a".into()),
        spill_over: 50,
    });
    config.outlier_detection = Some(Box::new(OutlierDetection {
        max_server_errors: NonZeroU32::MIN,
        max_connection_failures: None,
        interval: seconds(10),
        base_ejection: seconds(30),
        max_ejection_percent: 100,
    }));
    config
}

/// The group with these targets as they were drawn.
fn group(config: &TargetGroup, targets: &[Drawn]) -> Group {
    let group = Group::new(config, Use::Used, dawn());
    for (number, drawn) in (1..).zip(targets) {
        if drawn.ejected {
            // Whoever asks for it gets it, while all are initial.
            let wanted = key(number);
            let wanted = Wanted {
                sticky: Some(&wanted),
                ..Wanted::any(0, dawn())
            };
            group.report(&group.choose(&wanted).unwrap(), Outcome::ServerError);
        }
    }
    group.tick(dawn());
    for (number, drawn) in (1..).zip(targets) {
        if drawn.healthy {
            observe(&group, number, ProbeOutcome::Pass, dawn());
        }
    }
    group
}

/// The rules, told naively: who gets requests, and from whom they spill over to all of those.
fn expected(targets: &[Drawn], panic: u8, zones: bool) -> BTreeSet<u16> {
    let numbered = || (1_u16..).zip(targets);
    let ready = || numbered().filter(|(_, drawn)| drawn.healthy && !drawn.ejected);
    let numbers = |of: Vec<(u16, &Drawn)>| of.into_iter().map(|(number, _)| number).collect();
    if ready().count() == 0 || ready().count() * 100 < targets.len() * usize::from(panic) {
        return numbers(numbered().collect());
    }
    let near = || ready().filter(|(_, drawn)| drawn.near);
    let registered = targets.iter().filter(|drawn| drawn.near).count();
    let mixed = registered > 0 && registered < targets.len();
    // Half of the zone's targets are enough.
    if zones && mixed && near().count() > 0 && near().count() * 2 >= registered {
        return numbers(near().collect());
    }
    numbers(ready().collect())
}

proptest! {
    #[test]
    fn requests_go_to_all_of_those_that_they_should_and_to_nobody_else(
        targets in vec(target(), 1..14),
        algorithm in algorithm(),
        panic in prop_oneof![Just(0_u8), 1_u8..=100],
        zones in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let config = configured(&targets, algorithm, panic, zones);
        let group = group(&config, &targets);
        let expected = expected(&targets, panic, zones);
        let mut chosen = BTreeSet::new();
        for step in 0..1500_u64 {
            let random = hash::mix(seed.wrapping_add(step));
            let wanted = Wanted { hash: Some(hash::mix(!random)), ..Wanted::any(random, dawn()) };
            chosen.insert(number(group.choose(&wanted).unwrap().key()));
        }
        prop_assert_eq!(&chosen, &expected);

        // Whatever was tried, somebody else comes, if there is anybody; and the group still answers when there is not.
        let tried: Vec<SocketAddr> = expected.iter().take(3).map(|target| key(*target).address()).collect();
        // Better one of another zone than one that was tried.
        let anybody = self::expected(&targets, panic, false);
        let untried = anybody.len() > tried.len();
        for step in 0..50 {
            let random = hash::mix(seed ^ step);
            let hash = (step % 2 == 0).then_some(random);
            let wanted = Wanted { hash, tried: &tried, ..Wanted::any(random, dawn()) };
            let next = group.choose(&wanted).unwrap();
            prop_assert!(anybody.contains(&number(next.key())));
            if untried {
                prop_assert!(!tried.contains(&next.address()), "{:?} of {:?}", next, anybody);
            }
        }
    }
}
