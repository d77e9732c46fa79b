//! Keys of identity providers that a server publishes: read in the background, never while a request waits.
//!
//! Each address has one task, which reads it at once, again at the configured interval, and, while that fails, sooner, at growing
//! distances. What was read last stays in use until something better comes, so a provider that is down or hostile disturbs nobody who
//! has its tokens already; before anything was read, its tokens are refused. Addresses that two configurations share keep their keys.
//!
//! A token that names a key which is not in the set brings the next reading forward, because issuers change their keys without asking.
//! The request is refused nevertheless: it does not wait, and anybody can make up such tokens, so for their sake an address is read
//! once in [`Pace::early`] at most.
//!
//! One answer is bounded in time and size; redirects are not followed, since a provider that moves says so in its metadata.

mod fetch;

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    task::AbortHandle,
    time::{self, Instant},
};
use trellis_model::config::{Config, ProviderKeys};
use trellis_policy::jwt::{KeySet, KeySource};

pub use self::fetch::{FetchError, Fetcher};
use crate::telemetry::{
    Telemetry,
    events::{IdentityKeysFailed, IdentityKeysLoaded, IdentityKeysMissed},
};

/// How often keys are read, whatever the configuration says.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Shortest time between two readings that were brought forward.
    pub early: Duration,
    /// From the first failure to the next reading; doubled after each further one.
    pub retry: Duration,
    /// Longest time for one answer.
    pub deadline: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            early: Duration::from_secs(10),
            retry: Duration::from_secs(1),
            deadline: Duration::from_secs(10),
        }
    }
}

/// The keys behind every address that a configuration names.
#[derive(Debug)]
pub struct PublishedKeys {
    pace: Pace,
    served: Mutex<HashMap<Arc<str>, Served>>,
}

#[derive(Debug)]
struct Served {
    keys: KeySource,
    /// Told when a token names a key that is not in the set.
    missed: Arc<Notify>,
    reader: Option<Reading>,
}

/// What reads an address, from when a change that names it is applied.
#[derive(Debug)]
struct Reading {
    task: AbortHandle,
    refresh: watch::Sender<Duration>,
}

impl Served {
    /// No keys, and nobody who reads them.
    fn idle() -> Self {
        let missed = Arc::new(Notify::new());
        let told = Arc::clone(&missed);
        Self {
            // Any number of misses that nobody waits for is one.
            keys: KeySource::told_of_misses(move || told.notify_one()),
            missed,
            reader: None,
        }
    }
}

impl PublishedKeys {
    /// No keys yet.
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            served: Mutex::default(),
        }
    }

    /// Where the keys of an address are, or will be.
    pub fn of(&self, url: &Arc<str>) -> KeySource {
        let mut served = self.served.lock();
        let served = served.entry(Arc::clone(url)).or_insert_with(Served::idle);
        served.keys.clone()
    }

    /// Reads what the configuration names from now on, as often as it says, and nothing else.
    pub fn follow(&self, config: &Config, runtime: &Handle, telemetry: &Arc<Telemetry>) {
        let wanted = intervals(config);
        let mut served = self.served.lock();
        served.retain(|url, served| {
            let stays = wanted.contains_key(url);
            if let (false, Some(reader)) = (stays, &served.reader) {
                reader.task.abort();
            }
            stays
        });
        for (url, served) in served.iter_mut() {
            let Some(interval) = wanted.get(url).copied() else {
                continue;
            };
            if let Some(reader) = &served.reader {
                reader.refresh.send_if_modified(|now| {
                    let changed = *now != interval;
                    *now = interval;
                    changed
                });
                continue;
            }
            let (refresh, told) = watch::channel(interval);
            let reader = Reader {
                url: Arc::clone(url),
                keys: served.keys.clone(),
                missed: Arc::clone(&served.missed),
                refresh: told,
                pace: self.pace,
                telemetry: Arc::clone(telemetry),
            };
            let task = runtime.spawn(reader.run()).abort_handle();
            served.reader = Some(Reading { task, refresh });
        }
    }

    /// Reads nothing any more.
    pub fn stop(&self) {
        for served in self.served.lock().values() {
            if let Some(reader) = &served.reader {
                reader.task.abort();
            }
        }
    }
}

/// The addresses that a configuration names, each with the shortest of its intervals: several providers may share one.
fn intervals(config: &Config) -> HashMap<&Arc<str>, Duration> {
    let mut intervals = HashMap::new();
    for provider in &config.identity_providers {
        if let ProviderKeys::Published { url, refresh } = &provider.keys {
            let shortest = intervals.entry(url).or_insert(*refresh);
            *shortest = (*shortest).min(*refresh);
        }
    }
    intervals
}

/// Reads one address until it is aborted, which may happen at any wait: nothing is half done then.
struct Reader {
    url: Arc<str>,
    keys: KeySource,
    missed: Arc<Notify>,
    refresh: watch::Receiver<Duration>,
    pace: Pace,
    telemetry: Arc<Telemetry>,
}

impl Reader {
    async fn run(mut self) {
        let mut retry = self.pace.retry;
        let mut next_early = Instant::now();
        loop {
            match self.read().await {
                Ok(keys) => {
                    self.telemetry.emit(&IdentityKeysLoaded {
                        url: &self.url,
                        keys: keys.len(),
                    });
                    self.keys.store(keys);
                    retry = self.pace.retry;
                    self.rest(&mut next_early).await;
                }
                Err(error) => {
                    self.telemetry.emit(&IdentityKeysFailed {
                        url: &self.url,
                        error: &error,
                    });
                    // Misses do not shorten it: a server in trouble is left alone.
                    let pause = retry.min(*self.refresh.borrow());
                    time::sleep(pause).await;
                    retry = retry.saturating_mul(2);
                }
            }
        }
    }

    async fn read(&self) -> Result<KeySet, FetchError> {
        // Made anew each time: the system's roots may have changed, or may be readable again.
        let fetcher = Fetcher::new(&self.url)?;
        time::timeout(self.pace.deadline, fetcher.fetch())
            .await
            .unwrap_or(Err(FetchError::Deadline))
    }

    /// Waits until the interval is over, or a miss brings the next reading forward.
    async fn rest(&mut self, next_early: &mut Instant) {
        let since = Instant::now();
        loop {
            let due = since + *self.refresh.borrow_and_update();
            let missed = async {
                self.missed.notified().await;
                time::sleep_until(*next_early).await;
            };
            // A miss that is forgotten because another branch was faster comes again with the next token; a deadline is worked out
            // anew.
            tokio::select! {
                () = time::sleep_until(due) => return,
                () = missed => {
                    self.telemetry.emit(&IdentityKeysMissed { url: &self.url });
                    *next_early = Instant::now() + self.pace.early;
                    return;
                }
                changed = self.refresh.changed() => {
                    if changed.is_err() {
                        // Whoever could change the interval is gone, and aborts this.
                        time::sleep_until(due).await;
                        return;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
