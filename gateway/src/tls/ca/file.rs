//! The one file of the internal CA: made whole or not at all, readable by its owner only.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use super::CaError;

/// More than this is not ours: a root with its key takes about one kilobyte.
const LARGEST: u64 = 64 * 1024;

/// What the file held.
pub(super) struct Contents {
    pub(super) pem: String,
    mode: u32,
}

impl Contents {
    /// What no file holds, and so nobody else can read.
    pub(super) fn unkept(pem: String) -> Self {
        Self { pem, mode: 0o600 }
    }

    /// What an operator should know about the file.
    pub(super) fn warning(&self, path: &Path) -> Option<String> {
        let open = self.mode & 0o077;
        (open != 0).then(|| {
            format!(
                "`{}` holds a private key but others than its owner may use it (mode {:03o}, should be 600)",
                path.display(),
                self.mode & 0o777
            )
        })
    }
}

/// Reads the file; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<Contents>, CaError> {
    let failed = |source| CaError::Read {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).map_err(failed)?;
    let pem = String::from_utf8(bytes).map_err(|_| CaError::Corrupt {
        path: path.to_owned(),
        what: "is not text".to_owned(),
    })?;
    Ok(Some(Contents { pem, mode }))
}

/// Makes the file, unless another process has made it in the meantime; gives what the file holds then.
///
/// The text is written to a file of another name, brought to the disk, and only then linked to its place: a link never
/// replaces what is there, and a crash leaves either the whole file or none.
pub(super) fn create(path: &Path, pem: String) -> Result<Contents, CaError> {
    let failed = |source| CaError::Write {
        path: path.to_owned(),
        source,
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed)?;
    let draft = folder.join(format!("root.pem.{}", uuid::Uuid::new_v4().simple()));
    let placed = write_draft(&draft, &pem).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Placed::ByAnother),
        other => other.map(|()| Placed::ByUs),
    });
    // A left-over draft does no harm, so failing to remove it is no failure.
    let _ = fs::remove_file(&draft);
    match placed.map_err(failed)? {
        Placed::ByUs => {
            sync_folder(folder).map_err(failed)?;
            Ok(Contents { pem, mode: 0o600 })
        }
        Placed::ByAnother => read(path)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into())),
    }
}

enum Placed {
    ByUs,
    ByAnother,
}

fn write_draft(draft: &Path, pem: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()
}

/// Brings the folder's new entry to the disk.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
