//! A store that can be told to take nothing.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use crate::store::{
    Change, CommitError, Entry, Range, Revision, Store, StoreError, Transaction, WatchError,
    embedded::Embedded,
};

/// A store that can be told to take nothing.
#[derive(Debug)]
pub(super) struct Faulty {
    inner: Embedded,
    fails: AtomicBool,
}

impl Default for Faulty {
    fn default() -> Self {
        Self {
            inner: Embedded::in_memory().unwrap(),
            fails: AtomicBool::new(false),
        }
    }
}

impl Faulty {
    pub(super) fn fails(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }
}

impl Store for Faulty {
    fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Range, StoreError> {
        self.inner.range(prefix, after, limit)
    }

    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.inner.get(key)
    }

    fn commit(&self, transaction: Transaction) -> Result<Revision, CommitError> {
        if self.fails.load(Ordering::SeqCst) {
            let error = StoreError::Damaged("no more room".to_owned());
            return Err(CommitError::Store(error));
        }
        self.inner.commit(transaction)
    }

    fn changes(&self, after: Revision, patience: Duration) -> Result<Vec<Change>, WatchError> {
        self.inner.changes(after, patience)
    }

    fn compact(&self, upto: Revision) -> Result<(), StoreError> {
        self.inner.compact(upto)
    }
}
