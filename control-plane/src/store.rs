//! Where the control plane keeps what it was told: keys, values, revisions.
//!
//! [`Store`] is what the rest of the crate knows. It asks for no more than etcd offers, so that several control planes can share
//! one: reads of a range at one revision, transactions that compare revisions of keys and then write, the changes since a
//! revision, and forgetting old changes. [`embedded`] keeps everything in one file.
//!
//! An acknowledged transaction is durable. Every transaction that writes gets the next revision, and a key remembers the
//! revision that wrote it last, so whoever has read at a revision can say of a key, or of all keys with a prefix, that nothing may
//! have changed since.

pub mod embedded;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

/// Counts the transactions that wrote something, from one. Zero is the empty store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;
/// Largest value, in bytes. etcd takes requests of 1.5 MiB.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// Most writes of one transaction: a service with all its rules is removed at once. etcd takes 128 operations unless it is started
/// with a larger `--max-txn-ops`.
pub const MAX_WRITES: usize = 16_384;

/// A key with its value, as of some revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// The revision that wrote it last.
    pub revision: Revision,
}

/// A part of a range, all of it as of one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The entries, in the order of their keys.
    pub entries: Vec<Entry>,
    /// The revision of the store.
    pub revision: Revision,
}

/// What has to hold when a transaction is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The key has no value.
    Absent(String),
    /// The key has a value, and this revision wrote it last.
    WrittenAt(String, Revision),
    /// No key with this prefix has been written since this revision. It says nothing of keys that were removed.
    NoneSince(String, Revision),
}

/// A value for a key, or none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: String,
    /// The value; `None` removes the key.
    pub value: Option<Vec<u8>>,
}

/// Writes that are carried out together, if every condition holds, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transaction {
    /// What has to hold.
    pub conditions: Vec<Condition>,
    /// What is written, no key twice.
    pub writes: Vec<Write>,
}

/// What one transaction changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The revision that it made.
    pub revision: Revision,
    /// Its writes.
    pub writes: Vec<Write>,
}

/// Why a store cannot do what it was asked. The operator must act.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file or the disk does not do its part.
    #[error("the store cannot be {doing}: {cause}")]
    Unavailable {
        /// What was tried: `opened`, `read`, `written`.
        doing: &'static str,
        /// What came of it.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file holds something that this program has not written, or not any more.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// A write is larger than any that is wanted; a fault of ours.
    #[error("a write of {bytes} bytes to `{key}` is larger than a store takes")]
    TooLarge {
        /// The key.
        key: String,
        /// The size.
        bytes: usize,
    },
}

/// Why a transaction was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A condition does not hold: somebody else has written. Whoever asked looks again and tries again.
    #[error("a condition on `{0}` does not hold any more")]
    Conflict(String),
    /// The store cannot say whether it was carried out, or it was not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the changes since a revision are not known.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// They were forgotten: whoever asked has to read everything again.
    #[error("changes up to revision {0} are forgotten")]
    Compacted(Revision),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keys, values and revisions. Every call may wait for a disk or a network, within a deadline of the store's own.
pub trait Store: Send + Sync + fmt::Debug {
    /// Up to `limit` entries with this prefix whose keys come after `after`, as of the newest revision.
    fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Range, StoreError>;

    /// One entry.
    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError>;

    /// Carries out a transaction, and returns once it is durable. A transaction that writes nothing checks its conditions.
    fn commit(&self, transaction: Transaction) -> Result<Revision, CommitError>;

    /// The changes after a revision, oldest first; waits up to `patience` for one to come, and returns none when none came.
    fn changes(&self, after: Revision, patience: Duration) -> Result<Vec<Change>, WatchError>;

    /// Forgets the changes up to a revision. What is in the store stays.
    fn compact(&self, upto: Revision) -> Result<(), StoreError>;
}
