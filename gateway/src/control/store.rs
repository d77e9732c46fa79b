//! The store of the control plane in the data folder.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use trellis_control_plane::{
    ControlPlane, Listener,
    store::{Store, StoreError, embedded::Embedded},
};
use trellis_model::{config::Config, name::Region};

use super::{
    PRIVATE,
    administrator::{self, BootstrapError, NewAdministrator},
};

/// Name of the store in the data folder.
const FILE: &str = "control.redb";

/// Why the store cannot be used; the operator must act.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be made or protected.
    #[error("cannot open `{}`", path.display())]
    File {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not a store, or damaged, or in use by another process.
    #[error("cannot use `{}`", path.display())]
    Store {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        source: StoreError,
    },
    /// It has no user, and cannot be given one.
    #[error("cannot make the first user")]
    Bootstrap(#[from] BootstrapError),
}

/// Opens the store of the data folder and shows what is in it. A store without users gets an administrator, who is announced.
pub fn open(config: &Config, listener: Arc<dyn Listener>) -> Result<ControlPlane, OpenError> {
    let data_dir = &config.gateway.data_dir;
    let plane = open_store(data_dir, &config.region, listener)?;
    if let Some(made) = administrator::bootstrap(&plane, data_dir, config)? {
        made.announce();
    }
    Ok(plane)
}

/// Gives the administrator of a gateway that is not running another key; nobody, where the files name no account.
pub fn reset_administrator(
    config: &Config,
    listener: Arc<dyn Listener>,
) -> Result<Option<NewAdministrator>, OpenError> {
    let data_dir = &config.gateway.data_dir;
    let plane = open_store(data_dir, &config.region, listener)?;
    Ok(administrator::reset(&plane, data_dir, config)?)
}

fn open_store(
    data_dir: &Path,
    region: &Region,
    listener: Arc<dyn Listener>,
) -> Result<ControlPlane, OpenError> {
    let path = data_dir.join(FILE);
    let unusable = |source| OpenError::Store {
        path: path.clone(),
        source,
    };
    protect(&path).map_err(|source| OpenError::File {
        path: path.clone(),
        source,
    })?;
    let store: Arc<dyn Store> = Arc::new(Embedded::open(&path).map_err(unusable)?);
    ControlPlane::start(store, region.clone(), listener).map_err(unusable)
}

/// Makes the file where there is none, for nobody else to read.
fn protect(path: &Path) -> io::Result<()> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(PRIVATE)
        .open(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(PRIVATE))
}
