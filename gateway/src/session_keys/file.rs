//! The file of the gateway's own keys: replaced as a whole or not at all, readable by its owner only.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use trellis_model::config::Secret;
use trellis_policy::session::SealingKey;

/// More than this is not ours: a key takes about a hundred bytes, and there are three at most.
const LARGEST: u64 = 64 * 1024;

/// A key with its age.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnKey {
    id: String,
    /// Seconds since 1970.
    created: u64,
    /// Base64 of 32 random bytes.
    secret: String,
}

impl OwnKey {
    pub(super) fn generate(now: SystemTime) -> io::Result<Self> {
        let mut bytes = [0; 40];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| io::Error::other("the system gives no random bytes"))?;
        let (name, secret) = bytes.split_at(8);
        let created = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok(Self {
            id: format!("{created}-{}", BASE64.encode(name)),
            created,
            secret: BASE64.encode(secret),
        })
    }

    pub(super) fn created(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.created.min(u64::from(u32::MAX)))
    }

    pub(super) fn sealing(&self) -> Option<SealingKey> {
        SealingKey::new(&self.id, &Secret::new(&self.secret))
    }
}

/// Shows nothing of the key.
impl std::fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnKey")
            .field("created", &self.created)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    /// The newest first.
    keys: Vec<OwnKey>,
}

/// The keys of the file, which is made when there is none; and what an operator should know about it.
pub(super) fn read_or_create(
    path: &Path,
    now: SystemTime,
) -> io::Result<(Vec<OwnKey>, Option<String>)> {
    match File::open(path) {
        Ok(file) => read(path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let keys = vec![OwnKey::generate(now)?];
            replace(path, &keys)?;
            Ok((keys, None))
        }
        Err(error) => Err(error),
    }
}

fn read(path: &Path, file: File) -> io::Result<(Vec<OwnKey>, Option<String>)> {
    let mode = file.metadata()?.permissions().mode();
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    // What is wrong with the text is not told: it would show a part of it.
    let corrupt = || io::Error::new(io::ErrorKind::InvalidData, "is not a file of session keys");
    let contents: Contents = serde_json::from_slice(&bytes).map_err(|_| corrupt())?;
    if contents.keys.is_empty() || contents.keys.iter().any(|key| key.sealing().is_none()) {
        return Err(corrupt());
    }
    let warning = (mode & 0o077 != 0).then(|| {
        format!(
            "`{}` holds secret keys but others than its owner may use it (mode {:03o}, should be 600)",
            path.display(),
            mode & 0o777
        )
    });
    Ok((contents.keys, warning))
}

/// Writes the keys to a file of another name, brings it to the disk and moves it to its place.
pub(super) fn replace(path: &Path, keys: &[OwnKey]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let text = serde_json::to_vec_pretty(&Contents {
        keys: keys.to_vec(),
    })?;
    let draft = folder.join(format!("session-keys.{}", uuid::Uuid::new_v4().simple()));
    let written = write(&draft, &text).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // A left-over draft does no harm, so failing to remove it is no further failure.
        let _ = fs::remove_file(&draft);
    }
    written?;
    File::open(folder)?.sync_all()
}

fn write(draft: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)?;
    file.write_all(text)?;
    file.sync_all()
}
