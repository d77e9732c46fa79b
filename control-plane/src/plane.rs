//! The control plane: what it was told, kept durably and shown at once.
//!
//! A change is made against the catalog as somebody sees it, and becomes one transaction that demands that what was looked at is still
//! so ([`Draft`]). When somebody else was faster it is made again from the start. A thread follows the store and brings the catalog
//! up to date, whoever wrote; whoever made a change is answered once the catalog shows it.

mod draft;

use std::{
    fmt,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard};
use trellis_model::{config::Config, name::Region};

pub(crate) use self::draft::{Draft, changed};
use crate::{
    catalog::Catalog,
    data_plane::DataPlane,
    files,
    lattice::{error::ApiError, token},
    resource::Stamp,
    store::{Change, CommitError, Revision, Store, StoreError, WatchError, Write},
};

/// How often a change is made again when others were faster.
const ATTEMPTS: usize = 32;
/// How long the catalog may lag behind a change that is durable.
const LAG: Duration = Duration::from_secs(5);
/// How long a follower waits for a change before it looks whether it should end.
const PATIENCE: Duration = Duration::from_millis(200);
/// Rest after a store could not be read.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How often tokens of requests that are too old are removed.
const SWEEP: Duration = Duration::from_secs(600);
/// Entries that are read at once.
const AT_ONCE: usize = 1000;

/// Hears of changes. Called by the thread that follows the store.
pub trait Listener: Send + Sync {
    /// The catalog shows something new.
    fn changed(&self);
    /// Something in the store cannot be read and was left out.
    fn unreadable(&self, what: &str);
    /// The store cannot be followed at the moment.
    fn failed(&self, error: &StoreError);
}

/// Everything that the API knows.
pub struct ControlPlane {
    region: Region,
    inner: Arc<Inner>,
    follower: Option<JoinHandle<()>>,
    data_plane: Mutex<DataPlane>,
}

struct Inner {
    store: Arc<dyn Store>,
    catalog: RwLock<Catalog>,
    /// The revision that the catalog shows.
    shown: Mutex<Revision>,
    came: Condvar,
    stopping: Mutex<bool>,
}

impl ControlPlane {
    /// Reads everything from the store and follows it from there on.
    pub fn start(
        store: Arc<dyn Store>,
        region: Region,
        listener: Arc<dyn Listener>,
    ) -> Result<Self, StoreError> {
        let (catalog, unreadable) = read_all(&*store)?;
        for what in unreadable {
            listener.unreadable(&what);
        }
        let inner = Arc::new(Inner {
            shown: Mutex::new(catalog.revision),
            catalog: RwLock::new(catalog),
            store,
            came: Condvar::new(),
            stopping: Mutex::new(false),
        });
        let of_follower = Arc::clone(&inner);
        let follower = std::thread::Builder::new()
            .name("store-follower".to_owned())
            .spawn(move || of_follower.follow(&*listener))
            .map_err(|error| StoreError::Unavailable {
                doing: "followed",
                cause: Box::new(error),
            })?;
        Ok(Self {
            region,
            inner,
            follower: Some(follower),
            data_plane: Mutex::default(),
        })
    }

    /// The region of all resources.
    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    /// The catalog as it is now. No change is shown while the guard is held, so it is held briefly.
    pub(crate) fn catalog(&self) -> RwLockReadGuard<'_, Catalog> {
        self.inner.catalog.read()
    }

    /// Knows these VPCs and no others.
    #[cfg(test)]
    pub(crate) fn set_vpcs<const N: usize>(&self, vpcs: [Arc<trellis_model::config::Vpc>; N]) {
        self.inner.catalog.write().set_vpcs(vpcs.into_iter());
    }

    /// The configuration that the data plane should run: what these files declare, and what was created through the API. What has not
    /// changed since the last time is behind the same pointers, the whole of it included.
    ///
    /// From now on the API shows what these files declare, in place of what files declared before.
    pub fn configuration(&self, files: &Arc<Config>, now: SystemTime) -> Arc<Config> {
        let mut data_plane = self.data_plane.lock();
        let mut catalog = self.inner.catalog.write();
        if !data_plane.knows(files) {
            files::declare(&mut catalog, files, Stamp::of(now));
        }
        let dirty = catalog.take_dirty();
        data_plane.configuration(&catalog, dirty, (files, &self.region))
    }

    /// The store, for what the catalog does not hold.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.inner.store
    }

    /// Makes a change: `make` looks at the catalog and writes into the draft. It may run several times, and does nothing besides.
    pub(crate) fn change<R, E: From<ApiError>>(
        &self,
        make: impl Fn(&mut Draft<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        for _ in 0..ATTEMPTS {
            let (seen, result, transaction) = {
                let catalog = self.catalog();
                let mut draft = Draft::new(&catalog);
                let result = make(&mut draft)?;
                (catalog.revision, result, draft.finish())
            };
            if transaction.writes.is_empty() {
                return Ok(result);
            }
            match self.inner.store.commit(transaction) {
                Ok(revision) => {
                    self.inner.wait_for(revision)?;
                    return Ok(result);
                }
                // What was in the way is shown in a moment, unless it has been by now.
                Err(CommitError::Conflict(_)) => self.inner.wait_beyond(seen),
                Err(CommitError::Store(error)) => {
                    return Err(ApiError::Internal(error.to_string()).into());
                }
            }
        }
        Err(ApiError::Throttled(1).into())
    }
}

/// Reads the whole store, all of it as of one revision or later: what changes meanwhile comes again with the changes.
fn read_all(store: &dyn Store) -> Result<(Catalog, Vec<String>), StoreError> {
    let mut catalog = Catalog::default();
    let mut unreadable = Vec::new();
    let mut first = None;
    let mut after: Option<String> = None;
    loop {
        let range = store.range("", after.as_deref(), AT_ONCE)?;
        first.get_or_insert(range.revision);
        let Some(last) = range.entries.last() else {
            break;
        };
        after = Some(last.key.clone());
        for entry in range.entries {
            let write = Write {
                key: entry.key,
                value: Some(entry.value),
            };
            if let Err(what) = catalog.take(&write, entry.revision) {
                unreadable.push(what.to_string());
            }
        }
    }
    catalog.revision = first.unwrap_or_default();
    Ok((catalog, unreadable))
}

impl Inner {
    /// Brings the catalog up to date until it is told to stop.
    fn follow(&self, listener: &dyn Listener) {
        let mut failing = false;
        let mut swept = Instant::now();
        while !*self.stopping.lock() {
            if swept.elapsed() >= SWEEP {
                swept = Instant::now();
                if let Err(error) = token::sweep(&*self.store, Stamp::of(SystemTime::now())) {
                    listener.failed(&error);
                }
            }
            let after = *self.shown.lock();
            match self.store.changes(after, PATIENCE) {
                Ok(changes) => {
                    failing = false;
                    if !changes.is_empty() {
                        self.show(&changes, listener);
                    }
                }
                Err(WatchError::Compacted(_)) => self.read_again(listener),
                Err(WatchError::Store(error)) => {
                    if !failing {
                        listener.failed(&error);
                    }
                    failing = true;
                    let mut stopping = self.stopping.lock();
                    if !*stopping {
                        self.came.wait_for(&mut stopping, AFTER_FAILURE);
                    }
                }
            }
        }
    }

    fn show(&self, changes: &[Change], listener: &dyn Listener) {
        let newest = {
            let mut catalog = self.catalog.write();
            for change in changes {
                for what in catalog.apply(change) {
                    listener.unreadable(&what.to_string());
                }
            }
            catalog.revision
        };
        *self.shown.lock() = newest;
        self.came.notify_all();
        listener.changed();
    }

    /// Too many changes were missed: everything is read again, and files are laid over it as they were.
    fn read_again(&self, listener: &dyn Listener) {
        match read_all(&*self.store) {
            Ok((fresh, unreadable)) => {
                for what in unreadable {
                    listener.unreadable(&what);
                }
                let revision = fresh.revision;
                self.catalog.write().replace_store(fresh);
                *self.shown.lock() = revision;
                self.came.notify_all();
                listener.changed();
            }
            Err(error) => listener.failed(&error),
        }
    }

    /// Waits until the catalog shows a revision.
    fn wait_for(&self, revision: Revision) -> Result<(), ApiError> {
        let deadline = Instant::now() + LAG;
        let mut shown = self.shown.lock();
        while *shown < revision {
            if self.came.wait_until(&mut shown, deadline).timed_out() && *shown < revision {
                return Err(ApiError::Internal(format!(
                    "revision {revision} is durable and not shown after {LAG:?}"
                )));
            }
        }
        Ok(())
    }

    /// Waits briefly until the catalog shows more than a revision.
    fn wait_beyond(&self, seen: Revision) {
        let mut shown = self.shown.lock();
        if *shown <= seen {
            self.came.wait_for(&mut shown, PATIENCE);
        }
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        *self.inner.stopping.lock() = true;
        self.inner.came.notify_all();
        if let Some(follower) = self.follower.take() {
            let _ = follower.join();
        }
    }
}

impl fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlPlane")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}
