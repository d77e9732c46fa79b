use std::{net::SocketAddr, sync::Arc, time::Duration};

use trellis_model::config::Places;

use super::{Full, Pool};

fn target(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

fn pool(most: u32, pending: u32) -> Arc<Pool> {
    Arc::new(Pool::new(Places { most, pending }))
}

#[tokio::test]
async fn each_target_has_as_many_as_it_may_and_the_rest_is_turned_away() {
    for (most, pending) in [(1, 0), (3, 0), (2, 4)] {
        let pool = pool(most, pending);
        for target in [target(1), target(2)] {
            let places: Vec<_> = (0..most).map(|_| pool.try_enter(target).unwrap()).collect();
            assert!(pool.try_enter(target).is_none());
            let waiting: Vec<_> = (0..pending)
                .map(|_| {
                    let pool = Arc::clone(&pool);
                    tokio::spawn(async move { pool.enter(target).await })
                })
                .collect();
            while pool.gate(target).waiting.load(super::Relaxed) < pending {
                tokio::task::yield_now().await;
            }
            assert_eq!(
                pool.enter(target).await.err(),
                Some(Full),
                "{most} {pending}"
            );
            drop(places);
            for waiting in waiting {
                assert!(waiting.await.unwrap().is_ok());
            }
            assert!(pool.try_enter(target).is_some());
        }
    }
}

#[tokio::test]
async fn who_gives_up_leaves_room_for_another_to_wait() {
    let pool = pool(1, 1);
    let place = pool.enter(target(1)).await.unwrap();
    let gone = tokio::time::timeout(Duration::from_millis(1), pool.enter(target(1))).await;
    assert!(gone.is_err());
    let waiting = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { pool.enter(target(1)).await }
    });
    while pool.gate(target(1)).waiting.load(super::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    drop(place);
    assert!(waiting.await.unwrap().is_ok());
}

#[test]
fn a_target_that_left_is_forgotten() {
    let pool = pool(1, 0);
    let places = [1, 2].map(|port| pool.try_enter(target(port)).unwrap());
    pool.keep(&[target(2)].into());
    assert_eq!(pool.gates.read().len(), 1);
    assert!(pool.try_enter(target(2)).is_none());
    drop(places);
}
