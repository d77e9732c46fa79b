//! The folder of all spools: one owner, one budget.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::fs::{FlockOperation, flock};
use tokio::sync::Notify;
use trellis_model::config::SpoolSettings;

use super::log::make_folder;

/// Why the spools cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Another process has them.
    #[error("`{}` is in use by another gateway{}", folder.display(), holder(.process))]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The other process, as far as it said who it is.
        process: String,
    },
    /// The system refused.
    #[error("`{}` cannot be used as a spool: {error}", folder.display())]
    Unusable {
        /// The folder.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
}

fn holder(process: &str) -> String {
    if process.is_empty() {
        return String::new();
    }
    format!(", process {process}")
}

/// The folder of all spools, while it is ours.
#[derive(Debug)]
pub(crate) struct Root {
    folder: PathBuf,
    settings: SpoolSettings,
    used: AtomicU64,
    room: Notify,
    /// Locked for as long as it is open.
    _lock: File,
}

impl Root {
    /// Takes the folder, or says who has it.
    pub(crate) fn open(folder: PathBuf, settings: SpoolSettings) -> Result<Self, SpoolError> {
        match lock(&folder) {
            Ok(Ok(lock)) => Ok(Self {
                folder,
                settings,
                used: AtomicU64::new(0),
                room: Notify::new(),
                _lock: lock,
            }),
            Ok(Err(process)) => Err(SpoolError::InUse { folder, process }),
            Err(error) => Err(SpoolError::Unusable { folder, error }),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn settings(&self) -> &SpoolSettings {
        &self.settings
    }

    pub(super) fn take(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes of all spools.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.used() + bytes <= self.settings.bytes
    }

    /// Is so much used that shipped records should not be kept any longer?
    pub(super) fn is_tight(&self) -> bool {
        self.used() > self.settings.bytes - self.settings.bytes / 8
    }

    /// Is the last sixteenth in use, when this many bytes could be given back?
    pub(super) fn is_full_but_for(&self, bytes: u64) -> bool {
        self.used().saturating_sub(bytes) >= self.settings.bytes - self.settings.bytes / 16
    }

    pub(super) fn room(&self) -> &Notify {
        &self.room
    }

    pub(super) fn tell_room(&self) {
        self.room.notify_waiters();
    }
}

/// The lock, or what its holder says of itself.
fn lock(folder: &Path) -> io::Result<Result<File, String>> {
    make_folder(folder)?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .open(folder.join("lock"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            file.set_len(0)?;
            file.write_all(std::process::id().to_string().as_bytes())?;
            Ok(Ok(file))
        }
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut process = String::new();
            let _ = file.take(16).read_to_string(&mut process);
            Ok(Err(process))
        }
        Err(error) => Err(error.into()),
    }
}
