//! Drains on a paused clock.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};

use trellis_target_groups::Wanted;

use super::Sweep;
use crate::registry::{
    Registry,
    tests::{apply_used, group, group_id, listener},
};

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[tokio::test(start_paused = true)]
async fn drained_targets_vanish_soon_and_all_within_a_minute() {
    let (listener, events) = listener();
    let registry = Arc::new(Registry::new(listener));
    let sweep = Sweep::start(&Handle::current(), Arc::clone(&registry));
    apply_used(&registry, &[group("orders", [1, 2, 3])], now());
    let orders = registry.group(group_id("orders")).unwrap();
    let short = orders.choose(&Wanted::any(0, now())).unwrap();
    let _long = orders.choose(&Wanted::any(0, now())).unwrap();
    events.lock().clear();

    let start = Instant::now();
    apply_used(&registry, &[group("orders", [])], now());
    sleep(Duration::from_millis(1)).await;
    assert_eq!(orders.view().len(), 2, "the third had no request running");
    drop(short);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(orders.view().len(), 1);
    sleep(Duration::from_secs(58)).await;
    assert_eq!(orders.view().len(), 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(orders.view().len(), 0);
    assert!(start.elapsed() < Duration::from_secs(62));
    sweep.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn the_sweep_ends_when_told_to() {
    let (listener, _events) = listener();
    let registry = Arc::new(Registry::new(listener));
    let sweep = Sweep::start(&Handle::current(), Arc::clone(&registry));
    sleep(Duration::from_secs(1)).await;
    sweep.shutdown().await;
    assert_eq!(Arc::strong_count(&registry), 1);
}
