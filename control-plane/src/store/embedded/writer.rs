//! The one thread that writes.

use std::sync::{
    Arc,
    mpsc::{Receiver, SyncSender},
};

use redb::{Database, ReadableTable as _, Table, WriteTransaction};

use super::{
    CHANGES, COMPACTED, ENTRIES, KEPT_CHANGES, NUMBERS, News, REVISION, after_prefix, frame,
    unavailable,
};
use crate::store::{CommitError, Condition, Revision, Transaction};

/// Most transactions that share one `fsync`.
const TOGETHER: usize = 128;

/// A transaction, and who waits for it.
pub(super) struct Job {
    pub(super) transaction: Transaction,
    pub(super) reply: SyncSender<Result<Revision, CommitError>>,
}

/// Writes until nobody can ask any more.
pub(super) fn run(database: &Database, queue: &Receiver<Job>, news: &News) {
    while let Ok(first) = queue.recv() {
        let mut jobs = vec![first];
        jobs.extend(queue.try_iter().take(TOGETHER - 1));
        let transactions: Vec<_> = jobs.iter().map(|job| &job.transaction).collect();
        match write(database, &transactions) {
            Ok((newest, results)) => {
                *news.revision.lock() = newest;
                news.came.notify_all();
                for (job, result) in jobs.iter().zip(results) {
                    // Whoever asked may have gone; what was asked is done all the same.
                    let _ = job.reply.send(result.map_err(CommitError::Conflict));
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for job in jobs {
                    let shared = SharedError(Arc::clone(&error));
                    let _ = job
                        .reply
                        .send(Err(CommitError::Store(unavailable("written", shared))));
                }
            }
        }
    }
}

/// One failure that several transactions share.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct SharedError(Arc<redb::Error>);

/// The newest revision, and of each transaction its revision or the key whose condition does not hold.
type Written = (u64, Vec<Result<Revision, String>>);

fn write(database: &Database, transactions: &[&Transaction]) -> Result<Written, redb::Error> {
    let together = database.begin_write()?;
    let mut results = Vec::with_capacity(transactions.len());
    let newest = {
        let mut entries = together.open_table(ENTRIES)?;
        let mut changes = together.open_table(CHANGES)?;
        let mut numbers = together.open_table(NUMBERS)?;
        let before = numbers.get(REVISION)?.map_or(0, |number| number.value());
        let mut newest = before;
        for transaction in transactions {
            if let Some(key) = broken(&entries, &transaction.conditions)? {
                results.push(Err(key));
                continue;
            }
            if !transaction.writes.is_empty() {
                newest += 1;
                for write in &transaction.writes {
                    match &write.value {
                        Some(value) => {
                            entries.insert(write.key.as_str(), (newest, value.as_slice()))?;
                        }
                        None => {
                            entries.remove(write.key.as_str())?;
                        }
                    }
                }
                changes.insert(newest, frame::write(&transaction.writes).as_slice())?;
            }
            results.push(Ok(Revision(newest)));
        }
        if newest == before {
            // Nothing to sync: what is dropped uncommitted was never there.
            return Ok((before, results));
        }
        numbers.insert(REVISION, newest)?;
        newest
    };
    // Not each time: what a few more changes take is nothing, and forgetting costs writes.
    if newest % (KEPT_CHANGES / 16) < transactions.len() as u64 {
        forget(&together, newest.saturating_sub(KEPT_CHANGES))?;
    }
    together.commit()?;
    Ok((newest, results))
}

/// The key of the first condition that does not hold.
fn broken(
    entries: &Table<'_, &'static str, (u64, &'static [u8])>,
    conditions: &[Condition],
) -> Result<Option<String>, redb::Error> {
    for condition in conditions {
        let (key, holds) = match condition {
            Condition::Absent(key) => (key, entries.get(key.as_str())?.is_none()),
            Condition::WrittenAt(key, revision) => {
                let found = entries.get(key.as_str())?;
                let holds = found.is_some_and(|found| found.value().0 == revision.0);
                (key, holds)
            }
            Condition::NoneSince(prefix, revision) => {
                let end = after_prefix(prefix);
                let range = match &end {
                    Some(end) => entries.range(prefix.as_str()..end.as_str())?,
                    None => entries.range(prefix.as_str()..)?,
                };
                let mut holds = true;
                for entry in range {
                    let (_, value) = entry?;
                    holds &= value.value().0 <= revision.0;
                }
                (prefix, holds)
            }
        };
        if !holds {
            return Ok(Some(key.clone()));
        }
    }
    Ok(None)
}

/// Forgets the changes up to a revision.
pub(super) fn forget(transaction: &WriteTransaction, upto: u64) -> Result<(), redb::Error> {
    let mut numbers = transaction.open_table(NUMBERS)?;
    let newest = numbers.get(REVISION)?.map_or(0, |number| number.value());
    let upto = upto.min(newest);
    if numbers.get(COMPACTED)?.map_or(0, |number| number.value()) >= upto {
        return Ok(());
    }
    transaction
        .open_table(CHANGES)?
        .retain_in(..=upto, |_, _| false)?;
    numbers.insert(COMPACTED, upto)?;
    Ok(())
}
