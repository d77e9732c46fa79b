//! From the request path to the destinations.
//!
//! Each worker has a [`Recorder`] with a buffer of its own, so its lock is free but for the moment in which the writer thread
//! takes the full buffer and leaves an empty one. The thread sleeps while there is nothing to write; the first record wakes it.
//! Having written, it lingers ([`Settings::linger`]) before it looks again, so that under load many records share one system
//! call and the recorders make none.
//!
//! Bounds, and what happens at them: a buffer takes [`Settings::buffer_bytes`]; a record that does not fit is dropped and
//! counted. What a destination does not take stays with the writer, again up to `buffer_bytes`, and is tried again
//! ([`Settings::retry`]); what does not fit there is dropped and counted. A destination that blocks (a pipe that nobody reads)
//! blocks the thread, and with it the other destinations, until their buffers are full; requests never wait.
//!
//! Losing power or `kill -9` loses what the buffers hold: at most a linger's worth of records.

mod buffer;
mod outlet;
pub(crate) mod sink;
#[cfg(test)]
pub(crate) mod tests;
mod thread;

use std::{
    fmt, io,
    os::unix::fs::FileTypeExt as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use parking_lot::Mutex;
use trellis_model::config::{AccessLogSubscription, LogDestination, LogStore};

use crate::{
    destination::{Destinations, Subscriptions},
    record::Record,
    ship::{self, ShipError, SpoolStatus, Spooling},
};
use buffer::{Buffer, Pushed};
use thread::Shared;

/// Bounds and times of the writer.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Most bytes waiting in the buffer of one worker, and most waiting for one destination. Default 8 MiB.
    pub buffer_bytes: usize,
    /// How long the writer rests after it wrote. Default 10 ms.
    pub linger: Duration,
    /// How long the writer waits before it tries a failing destination again. Default 1 s.
    pub retry: Duration,
    /// Spools, for subscriptions to log storage. Default: none, and no such subscription works.
    pub spooling: Option<Spooling>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            buffer_bytes: 8 << 20,
            linger: Duration::from_millis(10),
            retry: Duration::from_secs(1),
            spooling: None,
        }
    }
}

/// Hears what an operator should know; called by the writer's thread and by the shippers', never by a request. Subscriptions are named
/// by their ids.
pub trait Observer: Send + Sync + 'static {
    /// A destination could not be opened or written, or the spool on the way to it. Said once, until it recovers.
    fn destination_failed(&self, destination: &LogDestination, error: &io::Error);
    /// A destination that failed takes records again.
    fn destination_recovered(&self, destination: &LogDestination);
    /// So many records were dropped since it was said last.
    fn records_dropped(&self, records: u64);
    /// Log storage does not take records; they wait in the spool. Said once, until it recovers.
    fn shipping_failed(&self, subscription: &str, store: &LogStore, reason: &str);
    /// Log storage takes records again.
    fn shipping_recovered(&self, subscription: &str, store: &LogStore);
    /// Log storage refused so many records for good; they are dead letters now.
    fn records_refused(&self, subscription: &str, store: &LogStore, records: u64, reason: &str);
    /// So many records were damaged on disk, and skipped.
    fn records_damaged(&self, subscription: &str, records: u64);
    /// A spool's tail was torn by a crash, and cut off.
    fn spool_repaired(&self, subscription: &str, bytes: u64);
    /// The disk did not do what a spool asked of it; no record is lost by that, but a crash may lose some, or ship some twice.
    fn spool_failed(&self, subscription: &str, error: &io::Error);
}

/// What the writer did so far. All numbers only grow.
#[derive(Debug, Default)]
pub struct Counters {
    written_records: AtomicU64,
    written_bytes: AtomicU64,
    dropped_records: AtomicU64,
    write_errors: AtomicU64,
}

impl Counters {
    /// Records written, counted once for every destination.
    pub fn written_records(&self) -> u64 {
        self.written_records.load(Ordering::Relaxed)
    }

    /// Bytes written, over all destinations.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Ordering::Relaxed)
    }

    /// Records dropped: for a full buffer once, for a full destination once for each.
    pub fn dropped_records(&self) -> u64 {
        self.dropped_records.load(Ordering::Relaxed)
    }

    /// Failed attempts to open or write a destination.
    pub fn write_errors(&self) -> u64 {
        self.write_errors.load(Ordering::Relaxed)
    }
}

/// A worker's way to hand over records. Clones share one buffer; workers should not.
#[derive(Clone)]
pub struct Recorder {
    buffer: Arc<Mutex<Buffer>>,
    shared: Arc<Shared>,
}

impl Recorder {
    /// Hands `record` over to `destinations`. Takes well under a microsecond or two and never waits for I/O; a record that finds
    /// the buffer full is dropped and counted.
    pub fn record(&self, destinations: &Destinations, record: &Record<'_>) {
        if destinations.is_none() {
            return;
        }
        let limit = self.shared.settings.buffer_bytes;
        let pushed = self.buffer.lock().push(destinations, record, limit);
        match pushed {
            Pushed::Taken => self.shared.wake_if_idle(),
            Pushed::HalfFull => self.shared.wake(),
            Pushed::Full | Pushed::Closed => self.shared.count_dropped(1),
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

/// Records that a stop left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("access records were still waiting for a destination when the grace period ended")]
pub struct Unfinished;

/// The thread that writes, and what steers it.
pub struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread. Fails only when the system gives no thread.
    pub fn start(settings: Settings, observer: Arc<dyn Observer>) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(settings, &observer));
        let thread = thread::start(&shared, observer)?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// A recorder with a buffer of its own, for one worker.
    pub fn recorder(&self) -> Recorder {
        Recorder {
            buffer: self.shared.add_buffer(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Opens the spools of new subscriptions to log storage, and tells which cannot be; to be asked before a configuration is taken up.
    /// Those that are open already stay as they are.
    pub fn prepare<'a>(
        &self,
        subscriptions: &'a [Arc<AccessLogSubscription>],
    ) -> Vec<(&'a AccessLogSubscription, ShipError)> {
        let shippers = self.shared.sinks.shippers();
        let failed = subscriptions.iter().filter_map(|subscription| {
            let store = ship::store(subscription)?;
            let error = shippers.prepare(subscription, store).err()?;
            Some((&**subscription, error))
        });
        failed.collect()
    }

    /// How spools and shippers are doing, for whoever shows it.
    pub fn spools(&self) -> Vec<SpoolStatus> {
        self.shared.sinks.shippers().status(SystemTime::now())
    }

    /// The destinations of a configuration, for its snapshot. New ones are opened soon after, so that a destination that cannot
    /// be opened is reported before the first record. Those that no snapshot refers to any more are closed once they are empty.
    pub fn subscribe(&self, subscriptions: &[Arc<AccessLogSubscription>]) -> Subscriptions {
        let compiled = Subscriptions::new(subscriptions, &self.shared.sinks);
        self.shared.wake();
        compiled
    }

    /// Closes and opens every file again, after a rotation. Returns at once; no line is lost or cut in two.
    pub fn reopen(&self) {
        self.shared.ask(|control| control.reopen = true);
    }

    /// Waits until everything handed over before is written, or `longest` is over; `false` in that case. What a failing
    /// destination refuses counts as written: it keeps waiting there.
    pub fn flush(&self, longest: Duration) -> bool {
        let ticket = self.shared.ask(|control| {
            control.flush_wanted += 1;
            control.flush_wanted
        });
        self.shared.wait(Instant::now() + longest, |control| {
            control.flush_done >= ticket || control.ended == Some(Ok(()))
        })
    }

    /// What the writer did so far, for whoever shows it.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }

    /// Writes what there is, for `grace` at most, then ends the thread. Records handed over later are dropped and counted.
    ///
    /// A thread that a destination blocks beyond the grace period is left to the end of the process.
    pub fn stop(&self, grace: Duration) -> Result<(), Unfinished> {
        let deadline = Instant::now() + grace;
        self.shared.ask(|control| control.stop = Some(deadline));
        // A little beyond, so that the thread itself can say what it could not write.
        let ended = self
            .shared
            .wait(deadline + Duration::from_millis(100), |control| {
                control.ended.is_some()
            });
        if let Some(thread) = self.thread.lock().take_if(|_| ended) {
            let _ = thread.join();
        }
        // What the shippers do not get rid of until then waits on disk for the next start.
        self.shared.sinks.shippers().stop(deadline);
        self.shared.outcome()
    }
}

impl Drop for Writer {
    /// A writer that nobody stopped writes what can be written at once.
    fn drop(&mut self) {
        if self.thread.get_mut().is_some() {
            let _ = self.stop(Duration::ZERO);
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("settings", &self.shared.settings)
            .field("counters", &self.shared.counters)
            .finish_non_exhaustive()
    }
}

/// Can records be appended to `destination`? Creates a file that is not there; for a check before a configuration is taken up.
///
/// A pipe is not opened: that would wait for its reader.
pub fn check(destination: &LogDestination) -> io::Result<()> {
    if let LogDestination::File(path) | LogDestination::RotatingFile(path, _) = destination
        && std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
    {
        return Ok(());
    }
    // What is in the way of log storage, [`Writer::prepare`] tells.
    if let LogDestination::Store(_) = destination {
        return Ok(());
    }
    outlet::open(destination).map(drop)
}
