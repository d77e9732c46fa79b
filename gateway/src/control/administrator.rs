//! The first user of the control API, made when the store has none.
//!
//! Its key is kept in a file of the data folder before the store has it, so that a start that is cut in between goes on with the same key.
//! The file is never written over: whoever loses it makes another with `trellis control reset-administrator`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use trellis_control_plane::{
    ADMINISTRATOR, AdministratorError, AdministratorKey, ControlPlane, RANDOM_BYTES,
};
use trellis_model::{
    config::{Config, Secret},
    name::AccountId,
};

use super::{PRIVATE, draw};

/// Name of the file in the data folder.
const FILE: &str = "administrator.json";
/// More than this is not ours.
const LARGEST: u64 = 4096;

/// Why there is no administrator; the operator must act.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The file cannot be read or written.
    #[error("cannot keep `{}`", path.display())]
    File {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A user of that name is a file's, which the API's would not come up against.
    #[error(
        "the user `{ADMINISTRATOR}` of account {0} is declared in a file, and has the keys that it is given there"
    )]
    Declared(AccountId),
    /// The store does not take the user.
    #[error(transparent)]
    Store(#[from] AdministratorError),
}

/// The administrator's key, as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Contents {
    account: AccountId,
    user_name: String,
    access_key_id: String,
    secret_access_key: String,
}

/// An administrator who has just been made.
#[derive(Debug)]
pub struct NewAdministrator {
    /// Whose resources it may do anything with.
    pub account: AccountId,
    /// Its key.
    pub key: AdministratorKey,
    /// Where the key is kept.
    pub file: PathBuf,
}

impl NewAdministrator {
    /// Says so on standard error, which is where whoever starts the gateway looks. The log never has the secret.
    pub fn announce(&self) {
        let Self { account, key, file } = self;
        let text = format!(
            "\nThe user `{ADMINISTRATOR}` of account {account} has been created. It may do anything there:\n\
             \n  AWS_ACCESS_KEY_ID={}\n  AWS_SECRET_ACCESS_KEY={}\n\
             \nThis is shown once. It is kept in {}, for you alone to read.\n\n",
            key.id,
            key.secret.expose(),
            file.display(),
        );
        // When standard error is gone the file still has it.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// Makes the administrator, unless there is a user in the store, or one of that name in the files, or no account at all.
pub(super) fn bootstrap(
    plane: &ControlPlane,
    data_dir: &Path,
    config: &Config,
) -> Result<Option<NewAdministrator>, BootstrapError> {
    let Some(account) = first_account(config).filter(|_| !plane.has_users()) else {
        return Ok(None);
    };
    if is_declared(config, account) {
        return Ok(None);
    }
    let path = data_dir.join(FILE);
    let file = |source| BootstrapError::File {
        path: path.clone(),
        source,
    };
    let made = read_or_create(&path, account).map_err(file)?;
    plane.put_administrator(&made.account, &made.key, SystemTime::now(), &draw)?;
    Ok(Some(made))
}

/// Gives the administrator another key, in the store and in the file. The gateway must not be running.
pub(super) fn reset(
    plane: &ControlPlane,
    data_dir: &Path,
    config: &Config,
) -> Result<Option<NewAdministrator>, BootstrapError> {
    let Some(account) = first_account(config) else {
        return Ok(None);
    };
    if is_declared(config, account) {
        return Err(BootstrapError::Declared(account.clone()));
    }
    let path = data_dir.join(FILE);
    let file = |source| BootstrapError::File {
        path: path.clone(),
        source,
    };
    let made = generate(&path, account).map_err(file)?;
    plane.put_administrator(account, &made.key, SystemTime::now(), &draw)?;
    keep(&made, Keep::InPlace).map_err(file)?;
    Ok(Some(made))
}

/// Do the files declare a user of that name?
fn is_declared(config: &Config, account: &AccountId) -> bool {
    let mut users = config.users.iter();
    users.any(|user| user.account == *account && &*user.name == ADMINISTRATOR)
}

/// The account that is named first.
fn first_account(config: &Config) -> Option<&AccountId> {
    let vpcs = config.vpcs.iter().map(|vpc| &vpc.account);
    let networks = config
        .service_networks
        .iter()
        .map(|network| &network.account);
    let services = config.services.iter().map(|service| &service.account);
    let users = config.users.iter().map(|user| &user.account);
    vpcs.chain(networks).chain(services).chain(users).next()
}

/// The key that an earlier start has kept, or a new one, kept.
fn read_or_create(path: &Path, account: &AccountId) -> io::Result<NewAdministrator> {
    match File::open(path) {
        Ok(file) => read(path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = generate(path, account)?;
            keep(&made, Keep::IfNew)?;
            Ok(made)
        }
        Err(error) => Err(error),
    }
}

fn read(path: &Path, file: File) -> io::Result<NewAdministrator> {
    let mut text = Vec::new();
    file.take(LARGEST).read_to_end(&mut text)?;
    let contents: Contents = serde_json::from_slice(&text)
        // The error of the parser may show a part of the text.
        .map_err(|_| io::Error::other("it is not the key of an administrator"))?;
    Ok(NewAdministrator {
        account: contents.account,
        key: AdministratorKey {
            id: contents.access_key_id,
            secret: Secret::new(&contents.secret_access_key),
        },
        file: path.to_owned(),
    })
}

fn generate(path: &Path, account: &AccountId) -> io::Result<NewAdministrator> {
    let mut random = [0; RANDOM_BYTES];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| io::Error::other("the system gives no random bytes"))?;
    Ok(NewAdministrator {
        account: account.clone(),
        key: AdministratorKey::from_random(&random),
        file: path.to_owned(),
    })
}

/// What becomes of a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// It stays, and nothing is written.
    IfNew,
    /// It is replaced as a whole.
    InPlace,
}

/// Writes a file of another name, brings it to the disk and gives it its name.
fn keep(made: &NewAdministrator, how: Keep) -> io::Result<()> {
    let folder = made.file.parent().unwrap_or(Path::new("."));
    let contents = Contents {
        account: made.account.clone(),
        user_name: ADMINISTRATOR.to_owned(),
        access_key_id: made.key.id.clone(),
        secret_access_key: made.key.secret.expose().to_owned(),
    };
    let mut text = serde_json::to_vec_pretty(&contents)?;
    text.push(b'\n');
    let draft = folder.join(format!("administrator.{}", uuid::Uuid::new_v4().simple()));
    let named = write(&draft, &text).and_then(|()| match how {
        // A link, other than a rename, fails where the name is taken.
        Keep::IfNew => fs::hard_link(&draft, &made.file),
        Keep::InPlace => fs::rename(&draft, &made.file),
    });
    // After a rename it is not there; a draft that is left over does no harm.
    let _ = fs::remove_file(&draft);
    named?;
    File::open(folder)?.sync_all()
}

fn write(draft: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE)
        .open(draft)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
