//! A store in one file, for a gateway that has its control plane to itself.
//!
//! One thread writes. Transactions that arrive while it waits for the disk are carried out together, in their order, with one
//! `fsync` for all of them; each is checked against what those before it wrote. So a client that waits for every answer gets as
//! many changes per second as the disk has syncs, and many clients together get many times that.

mod frame;
mod writer;

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use redb::{Builder, Database, ReadableDatabase as _, TableDefinition};

use super::{
    Change, CommitError, Entry, MAX_KEY_BYTES, MAX_VALUE_BYTES, MAX_WRITES, Range, Revision, Store,
    StoreError, Transaction, WatchError,
};
use writer::Job;

/// Key → the revision that wrote it last, its value.
const ENTRIES: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("entries");
/// Revision → its writes, framed.
const CHANGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("changes");
/// Numbers about the store itself, by name.
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// The newest revision.
const REVISION: &str = "revision";
/// The newest revision whose changes are forgotten.
const COMPACTED: &str = "compacted";
/// What the tables look like.
const FORMAT: &str = "format";
/// The format that this program reads and writes.
const FORMAT_1: u64 = 1;

/// Changes that are kept for those who watch. One who is further behind reads everything again.
const KEPT_CHANGES: u64 = 4096;
/// Memory for pages of the file.
const CACHE_BYTES: usize = 8 << 20;
/// Transactions that wait for the writer; more of them wait to get in.
const QUEUE: usize = 256;
/// Most changes that are handed out at once.
const CHANGES_AT_ONCE: usize = 512;

/// A store in one file.
pub struct Embedded {
    database: Arc<Database>,
    news: Arc<News>,
    jobs: Option<SyncSender<Job>>,
    writer: Option<JoinHandle<()>>,
}

/// The newest durable revision, and who waits for it.
#[derive(Debug, Default)]
struct News {
    revision: Mutex<u64>,
    came: Condvar,
}

impl Embedded {
    /// Opens the store at `path`, and makes it where there is none.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, is open in another process, or is not a store of ours.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let opened = Builder::new().set_cache_size(CACHE_BYTES).create(path);
        Self::with(opened.map_err(|error| unavailable("opened", error))?)
    }

    /// A store that ends with the program, for tests and rehearsals.
    pub fn in_memory() -> Result<Self, StoreError> {
        let backend = redb::backends::InMemoryBackend::new();
        let made = Builder::new()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(backend);
        Self::with(made.map_err(|error| unavailable("opened", error))?)
    }

    fn with(database: Database) -> Result<Self, StoreError> {
        let revision = prepare(&database)?;
        let database = Arc::new(database);
        let news = Arc::new(News {
            revision: Mutex::new(revision),
            came: Condvar::new(),
        });
        let (jobs, queue) = sync_channel(QUEUE);
        let (of_writer, told) = (Arc::clone(&database), Arc::clone(&news));
        let writer = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer::run(&of_writer, &queue, &told))
            .map_err(|error| unavailable("opened", error))?;
        Ok(Self {
            database,
            news,
            jobs: Some(jobs),
            writer: Some(writer),
        })
    }
}

/// Makes the tables of a new store, looks at the format of an old one, and says the newest revision.
fn prepare(database: &Database) -> Result<u64, StoreError> {
    let opened = |error: redb::Error| unavailable("opened", error);
    let transaction = database.begin_write().map_err(|e| opened(e.into()))?;
    let revision = {
        transaction
            .open_table(ENTRIES)
            .map_err(|e| opened(e.into()))?;
        transaction
            .open_table(CHANGES)
            .map_err(|e| opened(e.into()))?;
        let mut numbers = transaction
            .open_table(NUMBERS)
            .map_err(|e| opened(e.into()))?;
        let number = |name: &str| -> Result<Option<u64>, StoreError> {
            use redb::ReadableTable as _;
            let found = numbers.get(name).map_err(|e| opened(e.into()))?;
            Ok(found.map(|found| found.value()))
        };
        let (format, revision) = (number(FORMAT)?, number(REVISION)?.unwrap_or_default());
        match format {
            Some(FORMAT_1) => {}
            None if revision == 0 => {
                numbers
                    .insert(FORMAT, FORMAT_1)
                    .map_err(|e| opened(e.into()))?;
            }
            other => {
                return Err(StoreError::Damaged(format!(
                    "its format is {}, and this program knows format {FORMAT_1}",
                    other.map_or_else(|| "missing".to_owned(), |format| format.to_string())
                )));
            }
        }
        revision
    };
    transaction.commit().map_err(|e| opened(e.into()))?;
    Ok(revision)
}

fn unavailable(
    doing: &'static str,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> StoreError {
    StoreError::Unavailable {
        doing,
        cause: Box::new(cause),
    }
}

fn unreadable(error: impl Into<redb::Error>) -> StoreError {
    unavailable("read", error.into())
}

/// The first text after all those that begin with `prefix`, if there is one.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // Keys are ASCII in practice; a character without a successor makes the one before it count up.
        if let Some(next) = char::from_u32(u32::from(last) + 1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

impl Store for Embedded {
    fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Range, StoreError> {
        let transaction = self.database.begin_read().map_err(unreadable)?;
        let entries = transaction.open_table(ENTRIES).map_err(unreadable)?;
        let numbers = transaction.open_table(NUMBERS).map_err(unreadable)?;
        let revision = numbers.get(REVISION).map_err(unreadable)?;
        let revision = revision.map_or(0, |number| number.value());
        let from = after
            .filter(|after| *after > prefix)
            .map_or(std::ops::Bound::Included(prefix), std::ops::Bound::Excluded);
        let end = after_prefix(prefix);
        let upto = end
            .as_deref()
            .map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let mut found = Vec::new();
        for entry in entries
            .range::<&str>((from, upto))
            .map_err(unreadable)?
            .take(limit)
        {
            let (key, value) = entry.map_err(unreadable)?;
            let (written, value) = value.value();
            found.push(Entry {
                key: key.value().to_owned(),
                value: value.to_vec(),
                revision: Revision(written),
            });
        }
        Ok(Range {
            entries: found,
            revision: Revision(revision),
        })
    }

    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let transaction = self.database.begin_read().map_err(unreadable)?;
        let entries = transaction.open_table(ENTRIES).map_err(unreadable)?;
        let found = entries.get(key).map_err(unreadable)?;
        Ok(found.map(|found| {
            let (written, value) = found.value();
            Entry {
                key: key.to_owned(),
                value: value.to_vec(),
                revision: Revision(written),
            }
        }))
    }

    fn commit(&self, transaction: Transaction) -> Result<Revision, CommitError> {
        check(&transaction)?;
        let gone = || unavailable("written", std::io::Error::other("its writer has ended"));
        let (reply, answer) = sync_channel(1);
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(Job { transaction, reply }).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }

    fn changes(&self, after: Revision, patience: Duration) -> Result<Vec<Change>, WatchError> {
        {
            let mut newest = self.news.revision.lock();
            if *newest <= after.0 {
                self.news.came.wait_for(&mut newest, patience);
            }
            if *newest <= after.0 {
                return Ok(Vec::new());
            }
        }
        let transaction = self.database.begin_read().map_err(unreadable)?;
        let numbers = transaction.open_table(NUMBERS).map_err(unreadable)?;
        let compacted = numbers.get(COMPACTED).map_err(unreadable)?;
        let compacted = compacted.map_or(0, |number| number.value());
        if after.0 < compacted {
            return Err(WatchError::Compacted(Revision(compacted)));
        }
        let changes = transaction.open_table(CHANGES).map_err(unreadable)?;
        let mut found = Vec::new();
        for change in changes
            .range(after.0 + 1..)
            .map_err(unreadable)?
            .take(CHANGES_AT_ONCE)
        {
            let (revision, framed) = change.map_err(unreadable)?;
            let writes = frame::read(framed.value()).ok_or_else(|| {
                StoreError::Damaged(format!("change {} cannot be read", revision.value()))
            })?;
            found.push(Change {
                revision: Revision(revision.value()),
                writes,
            });
        }
        Ok(found)
    }

    fn compact(&self, upto: Revision) -> Result<(), StoreError> {
        let unwritten = |error: redb::Error| unavailable("written", error);
        let transaction = self
            .database
            .begin_write()
            .map_err(|e| unwritten(e.into()))?;
        writer::forget(&transaction, upto.0).map_err(unwritten)?;
        transaction.commit().map_err(|e| unwritten(e.into()))
    }
}

/// Is a transaction one that every store would take?
fn check(transaction: &Transaction) -> Result<(), StoreError> {
    let too_large = |key: &str, bytes| StoreError::TooLarge {
        key: key.chars().take(100).collect(),
        bytes,
    };
    if transaction.writes.len() > MAX_WRITES {
        return Err(too_large(
            "many keys at once",
            transaction.writes.len() * MAX_KEY_BYTES,
        ));
    }
    for write in &transaction.writes {
        let bytes = write.value.as_ref().map_or(0, Vec::len);
        if write.key.len() > MAX_KEY_BYTES || bytes > MAX_VALUE_BYTES {
            return Err(too_large(&write.key, write.key.len().max(bytes)));
        }
    }
    Ok(())
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Without senders the writer ends once it has done what was asked.
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}
