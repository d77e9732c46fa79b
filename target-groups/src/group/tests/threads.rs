//! Many workers choosing while the group changes.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::{Group, ProbeOutcome, TargetStatus, Use, chosen, config, dawn, observe, plain, shown};

/// Target 1 stays healthy throughout, so there is always somebody; the others come, go and change their health.
#[test]
fn choosing_never_fails_and_leaves_no_count_behind() {
    let group = Group::new(&config([1, 2, 3]), Use::Used, dawn());
    observe(&group, 1, ProbeOutcome::Pass, dawn());
    let done = AtomicBool::new(false);
    let served: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut served = 0;
                    while !done.load(Relaxed) {
                        let lease = group.choose(&plain()).unwrap();
                        assert_eq!(lease.address().port(), 80);
                        served += 1;
                    }
                    served
                })
            })
            .collect();
        for round in 0..300 {
            let targets = if round % 3 == 0 {
                vec![1]
            } else {
                vec![3, 1, 2]
            };
            group.apply(&config(targets), Use::Used, dawn());
            observe(&group, 2, ProbeOutcome::Pass, dawn());
            observe(&group, 2, ProbeOutcome::Fail, dawn());
            observe(&group, 2, ProbeOutcome::Fail, dawn());
            group.expire_drains(dawn());
        }
        done.store(true, Relaxed);
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    });
    assert!(served > 0);
    assert!(
        group.view().iter().all(|view| view.in_flight == 0),
        "{}",
        shown(&group)
    );
    group.apply(&config([1]), Use::Used, dawn());
    group.expire_drains(dawn());
    assert_eq!(group.view().len(), 1);
    assert_eq!(group.view()[0].status, TargetStatus::Healthy);
}

/// Each turn is taken once, so the shares are exact even when the workers interleave.
#[test]
fn turns_are_exact_across_workers() {
    let group = Group::new(&config(1..=7), Use::Used, dawn());
    let leases: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..700)
                        .map(|_| group.choose(&plain()).unwrap())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    assert!(
        group.view().iter().all(|view| view.in_flight == 400),
        "{}",
        shown(&group)
    );
    drop(leases);
    assert_eq!(chosen(&group, 7).len(), 7);
}
