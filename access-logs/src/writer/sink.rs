//! One destination, and the lines that wait for it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use parking_lot::Mutex;
use trellis_model::{
    config::{AccessLogSubscription, LogDestination},
    id::AccessLogSubscriptionId,
};

use super::outlet::{Outcome, Outlet, Written};
use crate::{ship::Shippers, spool::Spool};

/// A destination that somebody subscribes with.
#[derive(Debug)]
pub(crate) struct Sink {
    number: u64,
    destination: LogDestination,
    way: Way,
}

/// How lines get to a destination.
#[derive(Debug)]
enum Way {
    /// Written at once. Locked by the writer thread only.
    Direct(Mutex<Outlet>),
    /// By way of a spool, for log storage.
    Spooled(Arc<Spool>),
    /// There is no way: the spool could not be opened, which was reported.
    Nowhere,
}

impl Sink {
    /// Tells sinks apart; never used twice.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn destination(&self) -> &LogDestination {
        &self.destination
    }

    /// The spool on the way, if there is one.
    pub(crate) fn spool(&self) -> Option<&Arc<Spool>> {
        match &self.way {
            Way::Spooled(spool) => Some(spool),
            Way::Direct(_) | Way::Nowhere => None,
        }
    }

    /// Puts `lines`, a number of `records`, behind what waits already, as far as `limit` bytes allow; returns the number of
    /// records that found no room.
    pub(super) fn append(&self, lines: &[u8], records: u64, limit: usize) -> u64 {
        match &self.way {
            Way::Direct(outlet) => outlet.lock().append(lines, records, limit),
            Way::Spooled(spool) => spool.append(lines, SystemTime::now()),
            Way::Nowhere => records,
        }
    }

    /// Writes what waits. Also opens a destination that is not open yet, so that trouble shows early.
    pub(super) fn write(&self) -> Written {
        match &self.way {
            Way::Direct(outlet) => outlet.lock().write(&self.destination),
            Way::Spooled(spool) => spooled(spool),
            Way::Nowhere => Written::default(),
        }
    }

    /// Opens the file again at the next write. A line that was cut in two is written again, whole.
    pub(super) fn reopen(&self) {
        if let Way::Direct(outlet) = &self.way {
            outlet.lock().close();
        }
    }

    /// Does something wait?
    pub(super) fn is_waiting(&self) -> bool {
        match &self.way {
            Way::Direct(outlet) => outlet.lock().is_waiting(),
            Way::Spooled(spool) => spool.is_waiting(),
            Way::Nowhere => false,
        }
    }

    /// Gives up what waits; returns how many records that were.
    pub(super) fn give_up(&self) -> u64 {
        match &self.way {
            Way::Direct(outlet) => outlet.lock().give_up(),
            Way::Spooled(spool) => spool.give_up(),
            Way::Nowhere => 0,
        }
    }
}

/// Writes what waits for a spool.
fn spooled(spool: &Spool) -> Written {
    let was_failing = spool.is_failing();
    let done = spool.write(SystemTime::now());
    Written {
        records: done.records,
        bytes: done.bytes,
        dropped: done.dropped,
        outcome: match (done.error, was_failing) {
            (None, false) => Outcome::Fine,
            (None, true) => Outcome::Recovered,
            (Some(error), false) => Outcome::Failed(error),
            (Some(_), true) => Outcome::StillFailing,
        },
    }
}

/// All sinks. Files and standard output have one each, shared by all who subscribe with them; log storage has one for each
/// subscription, because keys and streams are the subscription's own.
pub(crate) struct Sinks {
    by_key: Mutex<HashMap<Key, Arc<Sink>>>,
    next_number: AtomicU64,
    shippers: Shippers,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    Direct(LogDestination),
    Spooled(AccessLogSubscriptionId),
}

impl Sinks {
    pub(crate) fn new(shippers: Shippers) -> Self {
        Self {
            by_key: Mutex::default(),
            next_number: AtomicU64::default(),
            shippers,
        }
    }

    pub(crate) fn shippers(&self) -> &Shippers {
        &self.shippers
    }

    /// The sink of a subscription, made now if there is none.
    pub(crate) fn sink(&self, subscription: &AccessLogSubscription) -> Arc<Sink> {
        let destination = &subscription.destination;
        let (key, way) = match destination {
            LogDestination::Store(store) => {
                // Also for a sink that is there: the subscription may say something new.
                let spool = self.shippers.spool(subscription, store);
                let way = spool.map_or(Way::Nowhere, Way::Spooled);
                (Key::Spooled(subscription.id), way)
            }
            _ => (
                Key::Direct(destination.clone()),
                Way::Direct(Mutex::default()),
            ),
        };
        let mut sinks = self.by_key.lock();
        let sink = sinks.entry(key).or_insert_with(|| {
            Arc::new(Sink {
                number: self.next_number.fetch_add(1, Ordering::Relaxed),
                destination: destination.clone(),
                way,
            })
        });
        Arc::clone(sink)
    }

    /// All sinks as they are now.
    pub(super) fn all(&self) -> Vec<Arc<Sink>> {
        self.by_key.lock().values().map(Arc::clone).collect()
    }

    /// Removes sinks that no snapshot and no buffer refers to, and returns them.
    ///
    /// Called with no other clone of ours alive. New references come from [`Self::sink`] or from holders of old ones, so a sink
    /// whose only holder is this table stays unheld for as long as the table is locked.
    pub(super) fn remove_unused(&self) -> Vec<Arc<Sink>> {
        self.by_key
            .lock()
            .extract_if(|_, sink| Arc::strong_count(sink) == 1)
            .map(|(_, sink)| sink)
            .collect()
    }
}
