//! Keys of identity providers that a server publishes: read in the background, never while a request waits.
//!
//! Each address has one task, which reads it at once, again every few minutes, and, while that fails, sooner, at growing distances.
//! What was read last stays in use until something better comes, so a provider that is down or hostile disturbs nobody who has its
//! tokens already; before anything was read, its tokens are refused. Addresses that two configurations share keep their keys.
//!
//! One answer is bounded in time and size; redirects are not followed, since a provider that moves says so in its metadata.

mod fetch;

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{runtime::Handle, task::AbortHandle, time};
use trellis_model::config::{Config, ProviderKeys};
use trellis_policy::jwt::KeySource;

pub use self::fetch::{FetchError, Fetcher};
use crate::telemetry::{
    Telemetry,
    events::{IdentityKeysFailed, IdentityKeysLoaded},
};

/// How often keys are read.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// After an answer.
    pub refresh: Duration,
    /// After the first failure; doubled after each further one.
    pub retry: Duration,
    /// Longest time for one answer.
    pub deadline: Duration,
}

/// Providers announce new keys hours before they use them, and ask to be read every few minutes at most.
impl Default for Pace {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(300),
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
    /// Reads them; none until a change that names the address is applied.
    reader: Option<AbortHandle>,
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
        let served = served.entry(Arc::clone(url)).or_insert_with(|| Served {
            keys: KeySource::default(),
            reader: None,
        });
        Arc::clone(&served.keys)
    }

    /// Reads what the configuration names from now on, and nothing else.
    pub fn follow(&self, config: &Config, runtime: &Handle, telemetry: &Arc<Telemetry>) {
        let wanted: Vec<&Arc<str>> = config
            .identity_providers
            .iter()
            .filter_map(|provider| match &provider.keys {
                ProviderKeys::Url(url) => Some(url),
                ProviderKeys::Set(_) | ProviderKeys::Secret(_) => None,
            })
            .collect();
        let mut served = self.served.lock();
        served.retain(|url, served| {
            let stays = wanted.contains(&url);
            if let (false, Some(reader)) = (stays, &served.reader) {
                reader.abort();
            }
            stays
        });
        for (url, served) in served.iter_mut() {
            if served.reader.is_none() {
                let reader = Reader {
                    url: Arc::clone(url),
                    keys: Arc::clone(&served.keys),
                    pace: self.pace,
                    telemetry: Arc::clone(telemetry),
                };
                served.reader = Some(runtime.spawn(reader.run()).abort_handle());
            }
        }
    }

    /// Reads nothing any more.
    pub fn stop(&self) {
        for served in self.served.lock().values() {
            if let Some(reader) = &served.reader {
                reader.abort();
            }
        }
    }
}

/// Reads one address until it is aborted, which may happen at any wait: nothing is half done then.
struct Reader {
    url: Arc<str>,
    keys: KeySource,
    pace: Pace,
    telemetry: Arc<Telemetry>,
}

impl Reader {
    async fn run(self) {
        let mut retry = self.pace.retry;
        loop {
            // Made anew each time: the system's roots may have changed, or may be readable again.
            let read = match Fetcher::new(&self.url) {
                Ok(fetcher) => time::timeout(self.pace.deadline, fetcher.fetch())
                    .await
                    .unwrap_or(Err(FetchError::Deadline)),
                Err(error) => Err(error),
            };
            let pause = match read {
                Ok(keys) => {
                    self.telemetry.emit(&IdentityKeysLoaded {
                        url: &self.url,
                        keys: keys.len(),
                    });
                    self.keys.store(Some(Arc::new(keys)));
                    retry = self.pace.retry;
                    self.pace.refresh
                }
                Err(error) => {
                    self.telemetry.emit(&IdentityKeysFailed {
                        url: &self.url,
                        error: &error,
                    });
                    let pause = retry.min(self.pace.refresh);
                    retry = retry.saturating_mul(2);
                    pause
                }
            };
            time::sleep(pause).await;
        }
    }
}

#[cfg(test)]
mod tests;
