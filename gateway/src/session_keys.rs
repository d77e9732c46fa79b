//! The keys that session tokens are sealed with: those of the configuration, or the gateway's own in the data folder.
//!
//! Own keys are made at the first start that needs them, and a new one every day; an earlier one goes when no token sealed with it
//! can be valid any more. The tokens of another node open only with keys that both were given, `gateway.sessionKeys`.
//!
//! Keys are needed where tokens are given (`gateway.control`) or where they are configured; elsewhere there are none, and every
//! token is refused.

mod file;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use trellis_model::{
    config::SessionKey,
    problem::{Place, Problem},
};
use trellis_policy::session::{LONGEST_SESSION, SealingKey, SealingKeys};

use self::file::OwnKey;
use crate::reason::reason;

/// Age at which an own key is followed by a new one.
const ROTATION: Duration = Duration::from_secs(24 * 3600);

/// Time until a rotation that failed is tried again.
const RETRY: Duration = Duration::from_secs(300);

/// How long an earlier key is kept after the next one was made: the longest session, and an hour for clocks that differ.
const KEPT: Duration = LONGEST_SESSION.saturating_add(Duration::from_secs(3600));

/// The keys in use, as the request path reads them.
pub type Shared = Arc<ArcSwap<SealingKeys>>;

/// The keys of a running gateway.
#[derive(Debug)]
pub struct Keychain {
    path: PathBuf,
    shared: Shared,
    own: Mutex<Option<Own>>,
}

/// The gateway's own keys, the newest first.
#[derive(Debug)]
struct Own {
    keys: Vec<OwnKey>,
    try_after: SystemTime,
}

/// Keys that a configuration can run with.
#[derive(Debug)]
pub struct Prepared {
    keys: SealingKeys,
    own: Option<Own>,
    /// What an operator should know.
    pub warning: Option<Problem>,
}

/// What became of the own keys.
#[derive(Debug)]
pub enum Rotation {
    /// There was nothing to do.
    None,
    /// A new key seals from now on.
    Done,
    /// No new key could be kept, so the one before goes on.
    Failed(io::Error),
}

impl Keychain {
    /// A keychain without keys, for this data folder.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            path: data_dir.join("session-keys"),
            shared: Shared::default(),
            own: Mutex::default(),
        }
    }

    /// The keys, as they are at each moment.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The keys to run with: those given; else the gateway's own, if tokens are given out here. Or why they cannot be had.
    pub fn prepare(
        &self,
        given: &[SessionKey],
        own: bool,
        now: SystemTime,
    ) -> Result<Prepared, Problem> {
        let none = |keys| Prepared {
            keys,
            own: None,
            warning: None,
        };
        if !given.is_empty() || !own {
            return Ok(none(configured(given)));
        }
        let failed = |error: io::Error| {
            let message = format!("`{}`: {}", self.path.display(), reason(&error));
            Problem::error(place(), message).hint(
                "the keys of session tokens are kept there; `gateway.sessionKeys` gives keys that are kept elsewhere",
            )
        };
        let (keys, warning) = file::read_or_create(&self.path, now).map_err(failed)?;
        Ok(Prepared {
            keys: sealing(&keys),
            own: Some(Own {
                keys,
                try_after: now,
            }),
            warning: warning.map(|text| Problem::warning(place(), text)),
        })
    }

    /// Uses them.
    pub fn commit(&self, prepared: Prepared) {
        *self.own.lock() = prepared.own;
        self.shared.store(Arc::new(prepared.keys));
    }

    /// Makes a new key when it is time, and forgets those that nobody needs.
    pub fn rotate(&self, now: SystemTime) -> Rotation {
        let mut guard = self.own.lock();
        let Some(own) = guard.as_mut() else {
            return Rotation::None;
        };
        let newest = own.keys.first().map(OwnKey::created);
        if now < own.try_after || newest.is_some_and(|created| now < created + ROTATION) {
            return Rotation::None;
        }
        match rotated(&own.keys, now).and_then(|keys| {
            file::replace(&self.path, &keys)?;
            Ok(keys)
        }) {
            Ok(keys) => {
                self.shared.store(Arc::new(sealing(&keys)));
                own.keys = keys;
                Rotation::Done
            }
            Err(error) => {
                own.try_after = now + RETRY;
                Rotation::Failed(error)
            }
        }
    }
}

/// A new key before those that may still be needed: one whose successor is younger than [`KEPT`].
fn rotated(keys: &[OwnKey], now: SystemTime) -> io::Result<Vec<OwnKey>> {
    let mut next = vec![OwnKey::generate(now)?];
    for key in keys {
        let successor = next.last().map_or(now, OwnKey::created);
        if now >= successor + KEPT {
            break;
        }
        next.push(key.clone());
    }
    Ok(next)
}

/// The keys that a configuration gives; their secrets were found long enough when it was loaded.
pub fn configured(given: &[SessionKey]) -> SealingKeys {
    let keys = given
        .iter()
        .filter_map(|key| SealingKey::new(&key.id, &key.secret));
    SealingKeys::new(keys.collect())
}

fn sealing(keys: &[OwnKey]) -> SealingKeys {
    SealingKeys::new(keys.iter().filter_map(OwnKey::sealing).collect())
}

fn place() -> Place {
    Place {
        path: "gateway.dataDir".to_owned(),
        ..Place::default()
    }
}

#[cfg(test)]
mod tests;
