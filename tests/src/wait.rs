//! Waiting with a deadline.

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// Longest wait for anything. Far beyond what is ever needed, because the machine may be busy with something else.
const DEADLINE: Duration = Duration::from_secs(20);

/// Between two looks at a condition.
const PERIOD: Duration = Duration::from_millis(3);

/// The outcome of `future`; ends the test when it takes too long.
#[track_caller]
pub fn within<F: Future>(what: &str, future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(DEADLINE, future).await {
            Ok(output) => output,
            Err(tokio::time::error::Elapsed { .. }) => {
                panic!("{caller}: waited {DEADLINE:?} for {what}")
            }
        }
    }
}

/// What `look` finds, as soon as it finds something; ends the test when it never does.
#[track_caller]
pub fn eventually<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let began = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(
                began.elapsed() < DEADLINE,
                "{caller}: waited {DEADLINE:?} for {what}"
            );
            tokio::time::sleep(PERIOD).await;
        }
    }
}
