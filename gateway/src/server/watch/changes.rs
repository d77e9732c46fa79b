//! What the system tells of changed files, and which of it matters.

#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::cli::inputs::is_document_name;

/// Files are often written in several steps; a change is taken up when nothing more has happened for this long.
const SETTLE: Duration = Duration::from_millis(200);

/// Changes of the configuration's files. Folders are watched, not files: editors and deployments replace files rather than write
/// them.
pub(super) struct Changes {
    /// Holds one: that something changed, not how often.
    changed: mpsc::Receiver<()>,
    watcher: Option<RecommendedWatcher>,
    filter: Arc<Filter>,
}

/// Which files matter. The folder of a configuration may hold others as well, and one that is written all the time: access records.
#[derive(Debug)]
struct Filter {
    /// Names of the files that were read. Names and not paths, because the system tells of a file by the path of its folder as it was
    /// given to be watched.
    read: Mutex<HashSet<OsString>>,
    /// Is every document of the watched folder a part of the configuration, new ones too?
    documents: bool,
}

impl Filter {
    /// Could the configuration be another one after this?
    fn matters(&self, event: &Event) -> bool {
        // Reading a file is an event too, and loading reads files.
        !event.kind.is_access() && event.paths.iter().any(|path| self.names(path))
    }

    fn names(&self, path: &Path) -> bool {
        path.file_name().is_some_and(|name| {
            // Mounted configuration is swapped by a link whose name begins with two dots.
            name.as_encoded_bytes().starts_with(b"..")
                || (self.documents && is_document_name(path))
                || self.read.lock().contains(name)
        })
    }
}

/// Calls `report` at each event that matters.
fn listen(
    filter: Arc<Filter>,
    report: impl Fn() + Send + 'static,
) -> notify::Result<RecommendedWatcher> {
    notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| filter.matters(&event)) {
            report();
        }
    })
}

impl Changes {
    pub(super) fn watch(root: &Path, files: &[PathBuf]) -> Self {
        let (report, changed) = mpsc::channel(1);
        let filter = Arc::new(Filter {
            read: Mutex::default(),
            documents: root.is_dir(),
        });
        let watcher = listen(Arc::clone(&filter), move || {
            // A full channel says already what there is to say.
            let _ = report.try_send(());
        });
        let watcher = watcher
            .inspect_err(|error| tracing::warn!(%error, "files are not watched; SIGHUP reloads"))
            .ok();
        let mut this = Self {
            changed,
            watcher,
            filter,
        };
        this.follow(&[root.to_owned()]);
        this.follow(files);
        this
    }

    /// Watches the folders of these files as well. A folder watched already is watched on.
    pub(super) fn follow(&mut self, files: &[PathBuf]) {
        let names = files.iter().filter_map(|file| file.file_name());
        self.filter.read.lock().extend(names.map(OsString::from));
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for file in files {
            let folder = if file.is_dir() {
                file.as_path()
            } else {
                file.parent().unwrap_or(file)
            };
            let folder = if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            };
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::warn!(folder = %folder.display(), %error, "folder is not watched; SIGHUP reloads");
            }
        }
    }

    /// Waits for a change, and for the end of the changes that follow it closely.
    pub(super) async fn settled(&mut self) {
        if self.changed.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        while tokio::time::timeout(SETTLE, self.changed.recv()).await == Ok(Some(())) {}
    }
}
