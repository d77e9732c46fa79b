use std::{sync::Arc, thread};

use super::Running;

/// (running requests, percent, least) → how many may be tried again at the same time.
#[test]
fn as_many_are_tried_again_as_the_budget_allows() {
    for (requests, percent, least, allowed) in [
        (0, 20, 0, 0),
        (0, 20, 3, 3),
        (4, 20, 0, 0),
        (5, 20, 0, 1),
        (100, 20, 10, 20),
        (40, 20, 10, 10),
        (7, 100, 0, 7),
        (7, 0, 0, 0),
        (1000, 1, 2, 10),
    ] {
        let running = Arc::new(Running::default());
        let requests: Vec<_> = (0..requests).map(|_| running.begin()).collect();
        let repeats: Vec<_> = (0..allowed)
            .map(|_| running.repeat(percent, least).unwrap())
            .collect();
        let count = requests.len();
        assert!(
            running.repeat(percent, least).is_none(),
            "{count} {percent} {least}"
        );
        assert_eq!(running.counts(), (count, allowed));
        drop(repeats);
        assert_eq!(running.repeat(percent, least).is_some(), allowed > 0);
        drop(requests);
        assert_eq!(running.counts(), (0, 0));
    }
}

#[test]
fn threads_that_ask_at_once_get_no_more_than_there_is() {
    let running = Arc::new(Running::default());
    let taken: usize = thread::scope(|scope| {
        let ask = || {
            (0..1000)
                .filter_map(|_| running.repeat(0, 100))
                .collect::<Vec<_>>()
        };
        let askers: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        // All are kept until the last has asked.
        let repeats: Vec<_> = askers
            .into_iter()
            .map(|asker| asker.join().unwrap())
            .collect();
        repeats.iter().map(Vec::len).sum()
    });
    assert_eq!(taken, 100);
    assert_eq!(running.counts(), (0, 0));
}
