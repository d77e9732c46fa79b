//! Requests that are with a function, counted over all workers and all changes of the configuration.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// The running invocations of one function.
#[derive(Debug, Default)]
pub struct Invocations(AtomicUsize);

impl Invocations {
    /// Begins one, unless `most` run already.
    pub fn begin(self: &Arc<Self>, most: usize) -> Option<Invocation> {
        let more = |running| (running < most).then_some(running + 1);
        // Counts nothing but itself, so no order with other memory is needed.
        let begun = self.0.fetch_update(Relaxed, Relaxed, more);
        begun.is_ok().then(|| Invocation(Arc::clone(self)))
    }

    /// How many run now.
    pub fn running(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// A running invocation; it has ended when this is dropped.
#[must_use = "the invocation ends when this is dropped"]
#[derive(Debug)]
pub struct Invocation(Arc<Invocations>);

impl Drop for Invocation {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}
