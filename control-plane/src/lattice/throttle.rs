//! How fast an account may call.
//!
//! A bucket for each account, in the form of the generic cell rate algorithm: of an account only one time is kept, that at which its
//! bucket is full again. Source: ITU-T I.371, Annex A, "virtual scheduling". VPC Lattice's own rates are not documented.

use std::{
    collections::HashMap,
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use trellis_model::name::AccountId;

use super::error::ApiError;

/// Accounts whose buckets are kept. Beyond them those that are full are forgotten, which makes no difference to anybody; where none is,
/// accounts without one share one.
const ACCOUNTS: usize = 10_000;

/// How many calls an account may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Calls a second, in the long run; at least one.
    pub per_second: u32,
    /// Calls at once.
    pub burst: u32,
}

impl Default for Rate {
    /// More than one client reaches: it is there to bound what one account can take from the others.
    fn default() -> Self {
        Self {
            per_second: 2_000,
            burst: 4_000,
        }
    }
}

/// Bounds how fast accounts call.
pub struct Throttle {
    /// Between two calls, in the long run.
    interval: Duration,
    /// How long a bucket takes to fill.
    whole: Duration,
    full_at: Mutex<Buckets>,
}

/// When the bucket of each account is full again, in time since 1970.
#[derive(Default)]
struct Buckets {
    known: HashMap<AccountId, Duration>,
    shared: Duration,
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new(Rate::default())
    }
}

impl Throttle {
    /// Allows this rate to each account.
    pub fn new(rate: Rate) -> Self {
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        Self {
            interval,
            whole: interval * rate.burst.max(1),
            full_at: Mutex::default(),
        }
    }

    /// Counts a call.
    ///
    /// # Errors
    ///
    /// The account calls too fast; this call is not counted.
    pub(crate) fn admit(&self, account: &AccountId, at: SystemTime) -> Result<(), ApiError> {
        let now = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut buckets = self.full_at.lock();
        let full_at = buckets.of(account, now);
        // A clock that was set back leaves nobody with less than an empty bucket.
        let missing = full_at.saturating_sub(now).min(self.whole);
        let missing_after = missing + self.interval;
        if let Some(wait) = missing_after
            .checked_sub(self.whole)
            .filter(|wait| !wait.is_zero())
        {
            *full_at = now + missing;
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            return Err(ApiError::Throttled(seconds.max(1)));
        }
        *full_at = now + missing_after;
        Ok(())
    }
}

impl Buckets {
    fn of(&mut self, account: &AccountId, now: Duration) -> &mut Duration {
        if !self.known.contains_key(account) {
            if self.known.len() >= ACCOUNTS {
                self.known.retain(|_, full_at| *full_at > now);
            }
            if self.known.len() >= ACCOUNTS {
                return &mut self.shared;
            }
        }
        self.known.entry(account.clone()).or_default()
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle")
            .field("interval", &self.interval)
            .field("whole", &self.whole)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
