//! Noticing that a file changed.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

/// What tells one content of a file from another without reading it. Links are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marks {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Marks {
    /// The marks of the file that is at this path now; `None` when there is none, or none that can be seen.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}
