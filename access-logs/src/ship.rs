//! Shippers: from the spools to log storage.
//!
//! One thread runs the shippers of all subscriptions, one task each ([`shipper`]). A shipper has one call under way at a time, so
//! records arrive in the order in which they were taken over; it moves on when log storage has acknowledged what it was sent, and
//! not before: at least once. Each call has a deadline, failed ones are repeated after a growing random wait, and all of it keeps
//! within a fixed amount of memory, however much waits on disk ([`Memory`]).

mod calls;
mod cloudwatch;
mod firehose;
mod http;
mod json;
mod loki;
mod otlp;
pub mod replay;
mod s3;
mod shipper;
mod sign;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::{
    runtime::{Builder, Handle},
    sync::{Semaphore, oneshot, watch},
    task::JoinHandle,
    time,
};
use trellis_model::{
    config::{AccessLogSubscription, LogDestination, LogStore, LoggedResource, SpoolSettings},
    id::AccessLogSubscriptionId,
};

pub use self::http::TlsFor;
use self::shipper::{Dice, Shipper, Target, Terms};
use crate::{
    spool::{
        Spool,
        root::{Root, SpoolError},
    },
    writer::Observer,
};

/// What spools and shippers need from outside.
#[derive(Clone)]
pub struct Spooling {
    /// Folder of all spools.
    pub folder: PathBuf,
    /// Budget and times.
    pub settings: SpoolSettings,
    /// How connections are encrypted.
    pub tls: TlsFor,
    /// Where random numbers begin.
    pub seed: u64,
}

impl fmt::Debug for Spooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spooling")
            .field("folder", &self.folder)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Why records of a subscription cannot be spooled or shipped.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The folder of all spools cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// There is no way to log storage.
    #[error("log storage cannot be reached: {0}")]
    Target(String),
    /// There is no spool at all.
    #[error("this process has no spool")]
    Nowhere,
    /// The system gives no thread.
    #[error("no thread to ship records with: {0}")]
    Thread(io::Error),
}

/// What is true of a subscription wherever its records go.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    /// This gateway, as it is told from others.
    node: String,
    id: String,
    arn: String,
    account: String,
    region: String,
    /// Id of the service network or service.
    resource: String,
}

impl Facts {
    fn new(subscription: &AccessLogSubscription, node: &str) -> Self {
        let arn = subscription.arn.as_str();
        Self {
            node: node.to_owned(),
            id: subscription.id.to_string(),
            arn: arn.to_owned(),
            account: subscription.account.to_string(),
            region: arn.split(':').nth(3).unwrap_or_default().to_owned(),
            resource: match subscription.resource {
                LoggedResource::ServiceNetwork(id) => id.to_string(),
                LoggedResource::Service(id) => id.to_string(),
            },
        }
    }

    /// Attributes of an OpenTelemetry resource.
    ///
    /// Source: OpenTelemetry semantic conventions, "Service" and "Cloud".
    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![
            ("service.name", "trellis".to_owned()),
            ("service.instance.id", self.node.clone()),
            ("cloud.account.id", self.account.clone()),
            ("cloud.region", self.region.clone()),
            ("trellis.resource.id", self.resource.clone()),
            ("trellis.subscription.arn", self.arn.clone()),
        ]
    }

    /// Labels of a stream of Loki: few, and none that a client can choose.
    fn labels(&self, more: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let own = [
            ("job", "trellis"),
            ("resource", &self.resource),
            ("subscription", &self.id),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        more.clone().into_iter().chain(own).collect()
    }
}

/// What all shippers together may hold, in units of [`Memory::UNIT`]. Two kinds, so that uploads that wait for a slow bucket keep
/// nobody else waiting.
#[derive(Debug)]
struct Memory {
    uploads: Semaphore,
    calls: Semaphore,
}

impl Memory {
    const UNIT: usize = 64 << 10;
    /// Two uploads at a time.
    const UPLOADS: usize = 2 * s3::S3::MEMORY;
    /// Two of the largest calls, or eight of the others.
    const CALLS: usize = 24 << 20;

    fn new() -> Self {
        Self {
            uploads: Semaphore::new(Self::UPLOADS.div_ceil(Self::UNIT)),
            calls: Semaphore::new(Self::CALLS / Self::UNIT),
        }
    }
}

/// How a spool and its shipper are doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolStatus {
    /// Id of the subscription.
    pub subscription: String,
    /// Records that wait to be shipped.
    pub records: u64,
    /// Bytes of the segments that they are in.
    pub bytes: u64,
    /// How long the oldest has been waiting.
    pub oldest: Option<Duration>,
    /// Records taken over since the start.
    pub spooled: u64,
    /// Records that log storage acknowledged since the start.
    pub shipped: u64,
    /// Calls and uploads that failed.
    pub retries: u64,
    /// Records dropped to make room for newer ones.
    pub dropped_oldest: u64,
    /// Records dropped for want of room.
    pub dropped_newest: u64,
    /// Records that were damaged on disk.
    pub damaged: u64,
    /// Records that log storage refused for good.
    pub dead: u64,
    /// Of these, records that are not kept any more.
    pub dead_dropped: u64,
}

/// All spools and shippers of a process.
pub(crate) struct Shippers {
    spooling: Option<Spooling>,
    observer: Arc<dyn Observer>,
    memory: Arc<Memory>,
    stop: watch::Sender<bool>,
    inner: Mutex<Inner>,
}

/// What begins with the first subscription that needs it.
#[derive(Default)]
struct Inner {
    root: Option<(Arc<Root>, String)>,
    thread: Option<Thread>,
    running: HashMap<AccessLogSubscriptionId, Running>,
}

struct Running {
    spool: Arc<Spool>,
    terms: watch::Sender<Terms>,
    task: JoinHandle<()>,
}

struct Thread {
    handle: Handle,
    /// Tasks to wait for, and until when; then the thread ends.
    finish: oneshot::Sender<(Vec<JoinHandle<()>>, Instant)>,
    join: thread::JoinHandle<()>,
}

impl Shippers {
    pub(crate) fn new(spooling: Option<Spooling>, observer: Arc<dyn Observer>) -> Self {
        Self {
            spooling,
            observer,
            memory: Arc::new(Memory::new()),
            stop: watch::Sender::new(false),
            inner: Mutex::default(),
        }
    }

    /// Makes sure that [`Self::spool`] gives one; changes nothing about one that is there.
    pub(crate) fn prepare(
        &self,
        subscription: &AccessLogSubscription,
        store: &Arc<LogStore>,
    ) -> Result<(), ShipError> {
        let is_running = self.inner.lock().running.contains_key(&subscription.id);
        if is_running {
            let spooling = self.spooling.as_ref().ok_or(ShipError::Nowhere)?;
            let facts = Facts::new(subscription, "");
            let target = Target::new(store, &facts, &spooling.tls);
            return target.map(drop).map_err(ShipError::Target);
        }
        self.spool(subscription, store).map(drop)
    }

    /// The spool of a subscription to log storage, with a shipper that empties it.
    pub(crate) fn spool(
        &self,
        subscription: &AccessLogSubscription,
        store: &Arc<LogStore>,
    ) -> Result<Arc<Spool>, ShipError> {
        let terms = Terms {
            store: Arc::clone(store),
            delivery: subscription.delivery.clone(),
        };
        let mut inner = self.inner.lock();
        if let Some(running) = inner.running.get(&subscription.id) {
            running.spool.adopt(subscription);
            running.terms.send_if_modified(|before| {
                let changed = *before != terms;
                *before = terms;
                changed
            });
            return Ok(Arc::clone(&running.spool));
        }
        let spooling = self.spooling.as_ref().ok_or(ShipError::Nowhere)?;
        let (root, node) = inner.root(spooling)?;
        let facts = Facts::new(subscription, &node);
        Target::new(store, &facts, &spooling.tls).map_err(ShipError::Target)?;
        let (spool, torn) = Spool::open(&root, subscription).map_err(|error| {
            ShipError::Spool(SpoolError::Unusable {
                folder: root.folder().join(&facts.id),
                error,
            })
        })?;
        if torn > 0 {
            self.observer.spool_repaired(&facts.id, torn);
        }
        let spool = Arc::new(spool);
        let handle = inner.thread()?;
        let (sender, receiver) = watch::channel(terms);
        let shipper = Shipper {
            spool: Arc::clone(&spool),
            dice: Dice::new(spooling.seed ^ inner.running.len() as u64),
            facts: Arc::new(facts),
            terms: receiver,
            stop: self.stop.subscribe(),
            observer: Arc::clone(&self.observer),
            memory: Arc::clone(&self.memory),
            tls: Arc::clone(&spooling.tls),
        };
        handle.spawn(sync(
            Arc::clone(&spool),
            (shipper.facts.id.clone(), spooling.settings.sync),
            Arc::clone(&self.observer),
        ));
        let task = handle.spawn(shipper.run());
        let running = Running {
            spool: Arc::clone(&spool),
            terms: sender,
            task,
        };
        inner.running.insert(subscription.id, running);
        Ok(spool)
    }

    /// How all of them are doing, in the order of their ids.
    pub(crate) fn status(&self, now: SystemTime) -> Vec<SpoolStatus> {
        let inner = self.inner.lock();
        let mut spools: Vec<_> = inner
            .running
            .iter()
            .map(|(id, running)| (*id, Arc::clone(&running.spool)))
            .collect();
        drop(inner);
        spools.sort_unstable_by_key(|(id, _)| *id);
        let status = |(id, spool): (AccessLogSubscriptionId, Arc<Spool>)| status(id, &spool, now);
        spools.into_iter().map(status).collect()
    }

    /// Ships what can be shipped until the deadline, makes everything permanent, and ends.
    pub(crate) fn stop(&self, deadline: Instant) {
        self.stop.send_replace(true);
        let mut inner = self.inner.lock();
        let (tasks, spools): (Vec<_>, Vec<_>) = inner
            .running
            .drain()
            .map(|(_, running)| (running.task, running.spool))
            .unzip();
        let Some(thread) = inner.thread.take() else {
            return;
        };
        drop(inner);
        let _ = thread.finish.send((tasks, deadline));
        let _ = thread.join.join();
        for file in spools.iter().flat_map(|spool| spool.take_unsynced()) {
            let _ = file.sync_data();
        }
    }
}

impl Inner {
    /// The folder of all spools, and this gateway's name in it.
    fn root(&mut self, spooling: &Spooling) -> Result<(Arc<Root>, String), ShipError> {
        if let Some(root) = &self.root {
            return Ok(root.clone());
        }
        let root = Root::open(spooling.folder.clone(), spooling.settings.clone())?;
        let node = node(root.folder(), spooling.seed).map_err(|error| SpoolError::Unusable {
            folder: root.folder().to_owned(),
            error,
        })?;
        Ok(self.root.insert((Arc::new(root), node)).clone())
    }

    fn thread(&mut self) -> Result<Handle, ShipError> {
        if let Some(thread) = &self.thread {
            return Ok(thread.handle.clone());
        }
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(2)
            .build()
            .map_err(ShipError::Thread)?;
        let handle = runtime.handle().clone();
        let (finish, finished) = oneshot::channel::<(Vec<JoinHandle<()>>, Instant)>();
        let join = thread::Builder::new()
            .name("record-shippers".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let Ok((tasks, deadline)) = finished.await else {
                        return;
                    };
                    for task in tasks {
                        let _ = time::timeout_at(deadline.into(), task).await;
                    }
                });
                // A disk that hangs in a sync holds up nobody.
                runtime.shutdown_background();
            })
            .map_err(ShipError::Thread)?;
        let handle = self
            .thread
            .insert(Thread {
                handle,
                finish,
                join,
            })
            .handle
            .clone();
        Ok(handle)
    }
}

/// Asks the disk now and then to keep what was written.
async fn sync(spool: Arc<Spool>, (id, every): (String, Duration), observer: Arc<dyn Observer>) {
    if every.is_zero() {
        // The writer does it itself, with every write.
        return;
    }
    loop {
        time::sleep(every).await;
        let files = spool.take_unsynced();
        if files.is_empty() {
            continue;
        }
        let synced =
            tokio::task::spawn_blocking(move || files.iter().try_for_each(|file| file.sync_data()));
        let Ok(result) = synced.await else { return };
        let was_failing = spool.sync_failing.swap(result.is_err(), Ordering::Relaxed);
        if let (Err(error), false) = (result, was_failing) {
            observer.spool_failed(&id, &error);
        }
    }
}

fn status(id: AccessLogSubscriptionId, spool: &Spool, now: SystemTime) -> SpoolStatus {
    let (records, bytes, oldest) = spool.backlog();
    let tally = &spool.tally;
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    SpoolStatus {
        subscription: id.to_string(),
        records,
        bytes,
        oldest: oldest.map(|time| now.duration_since(time).unwrap_or_default()),
        spooled: read(&tally.spooled),
        shipped: read(&tally.shipped),
        retries: read(&tally.retries),
        dropped_oldest: read(&tally.dropped_oldest),
        dropped_newest: read(&tally.dropped_newest),
        damaged: read(&tally.damaged),
        dead: read(&tally.dead),
        dead_dropped: read(&tally.dead_dropped),
    }
}

/// What tells this gateway's objects and streams from those of others: made once, and kept with the spools.
fn node(folder: &Path, seed: u64) -> io::Result<String> {
    let path = folder.join("node");
    let is_name = |text: &str| text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    match fs::read_to_string(&path) {
        Ok(text) if is_name(text.trim()) => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let hash = Sha256::new()
        .chain_update(seed.to_be_bytes())
        .chain_update(folder.as_os_str().as_encoded_bytes())
        .finalize();
    let name = hash
        .iter()
        .take(8)
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    fs::write(&path, &name)?;
    Ok(name)
}

/// The storage that a subscription ships to, if it does.
pub(crate) fn store(subscription: &AccessLogSubscription) -> Option<&Arc<LogStore>> {
    match &subscription.destination {
        LogDestination::Store(store) => Some(store),
        LogDestination::File(_) | LogDestination::RotatingFile(..) | LogDestination::Stdout => None,
    }
}
