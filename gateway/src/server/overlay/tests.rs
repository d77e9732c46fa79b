use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
};

use trellis_model::problem::{Place, Problem};

use super::*;

#[tokio::test]
async fn whoever_waits_is_told_of_the_next_round_and_of_no_earlier_one() {
    let bell = Bell::default();
    let first = bell.follow();
    bell.rung().await;
    let round = bell.take_waiting();
    // Comes while the first round is at work.
    let second = bell.follow();
    round.tell(Ok(2));
    assert_eq!(first.await.unwrap().unwrap(), 2);
    bell.rung().await;
    let refused = Problems::from_iter([Problem::error(Place::default(), "no")]);
    bell.take_waiting().tell(Err(refused.clone()));
    assert_eq!(*second.await.unwrap().unwrap_err(), refused);
}

#[tokio::test]
async fn many_rings_are_one_round() {
    let bell = Bell::default();
    let all: Vec<_> = (0..100).map(|_| bell.follow()).collect();
    bell.rung().await;
    bell.take_waiting().tell(Ok(7));
    for one in all {
        assert_eq!(one.await.unwrap().unwrap(), 7);
    }
    let again = tokio::time::timeout(std::time::Duration::from_millis(20), bell.rung());
    assert!(again.await.is_err());
}

#[tokio::test]
async fn nobody_waits_for_a_gateway_that_is_gone() {
    let bell = Bell::default();
    let waits = bell.follow();
    drop(bell.take_waiting());
    assert_eq!(waits.await.unwrap_err(), Stopping);
}

#[test]
fn threads_wait_while_another_serves() {
    let (bell, served) = (Bell::default(), AtomicUsize::new(0));
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..8).map(|_| scope.spawn(|| bell.wait())).collect();
        while !waiting.iter().all(thread::ScopedJoinHandle::is_finished) {
            let round = bell.take_waiting();
            served.fetch_add(round.0.len(), SeqCst);
            round.tell(Ok(1));
            thread::yield_now();
        }
        for one in waiting {
            assert_eq!(one.join().unwrap().unwrap().unwrap(), 1);
        }
    });
    assert_eq!(served.load(SeqCst), 8);
}
