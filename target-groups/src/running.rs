//! Requests that run on a group, and how many of them may be tried again.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Requests that run on a group. Shared by whoever counts; what is counted stays counted until it is dropped.
#[derive(Debug, Default)]
pub struct Running {
    requests: AtomicUsize,
    repeated: AtomicUsize,
}

/// A request that runs.
#[derive(Debug)]
pub struct Request(Arc<Running>);

/// A request that is being tried again, or a second time beside the first.
#[derive(Debug)]
pub struct Repeat(Arc<Running>);

impl Running {
    /// Counts a request until what is returned is dropped.
    pub fn begin(self: &Arc<Self>) -> Request {
        self.requests.fetch_add(1, Relaxed);
        Request(Arc::clone(self))
    }

    /// Lets a request be tried again, unless as many as may are being tried again already: `percent` (0 to 100) of those that run,
    /// and `least` in any case.
    ///
    /// The count is exact however many ask at once; the percentage is of a moment near this one.
    pub fn repeat(self: &Arc<Self>, percent: u32, least: u32) -> Option<Repeat> {
        let share = self
            .requests
            .load(Relaxed)
            .saturating_mul(usize::try_from(percent).ok()?)
            / 100;
        let most = share.max(usize::try_from(least).ok()?);
        self.repeated
            .fetch_update(Relaxed, Relaxed, |repeated| {
                (repeated < most).then_some(repeated + 1)
            })
            .is_ok()
            .then(|| Repeat(Arc::clone(self)))
    }

    /// How many run, and how many of them are being tried again.
    pub fn counts(&self) -> (usize, usize) {
        (self.requests.load(Relaxed), self.repeated.load(Relaxed))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Relaxed);
    }
}

impl Drop for Repeat {
    fn drop(&mut self) {
        self.0.repeated.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests;
