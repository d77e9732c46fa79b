//! Golden files: whole outputs that tests compare with, rewritten with `UPDATE_GOLDEN=1`.
#![expect(
    clippy::disallowed_methods,
    reason = "tests read and write their golden files"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A path inside this crate.
pub(crate) fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// Compares an output with a file of this crate.
pub(crate) fn check(file: &str, actual: &str) {
    let path = path(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == actual,
        "{file} differs (UPDATE_GOLDEN=1 rewrites it):\n{actual}"
    );
}

/// Folders below a folder of this crate, in order.
pub(crate) fn folders(relative: &str) -> Vec<PathBuf> {
    entries(&path(relative))
        .into_iter()
        .filter(|path| path.is_dir())
        .collect()
}

/// Files in a folder, in order.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    entries(folder)
        .into_iter()
        .filter(|path| path.is_file())
        .collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    entries
}

/// The text of a file.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|_| "no such file".to_owned())
}
