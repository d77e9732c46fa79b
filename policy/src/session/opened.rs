//! From a token to a caller, remembering the tokens that were opened.
//!
//! What is remembered belongs to one snapshot: another configuration may have another role under the same name, or none. It is
//! kept by the SHA-256 of the token, so the memory holds no tokens; only tokens that opened are kept, so nobody fills it with
//! forgeries. Whether a session is over is asked at every use.

use std::{
    collections::HashMap,
    fmt,
    hash::BuildHasher,
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
    time::SystemTime,
};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use parking_lot::RwLock;
use ring::digest;

use super::{SealingKeys, Session, TokenError};
use crate::{bearers::Bearers, principal::Caller, sigv4::KeyMaterial};

/// Parts of the memory, each behind its own lock.
const SHARDS: usize = 16;

/// Room of each part, in sessions without policies and with few tags: 16 384 in all. A full part forgets the sessions that are
/// over, or else all of them.
const ROOM: usize = 1_024;

/// Bytes of session policies that take the room of one session: compiled, they are fifty times as large.
const POLICY_BYTES: usize = 32;

/// Bytes of a token that take it.
const TOKEN_BYTES: usize = 1_024;

/// Opens the tokens of requests.
pub struct Sessions {
    keys: Arc<ArcSwap<SealingKeys>>,
    bearers: Arc<Bearers>,
    shards: Box<[RwLock<Shard>]>,
    hasher: RandomState,
    opened: AtomicU64,
}

type Digest = [u8; digest::SHA256_OUTPUT_LEN];

/// One part of the memory.
#[derive(Default)]
struct Shard {
    sessions: HashMap<Digest, Arc<Opened>, RandomState>,
    /// Room that is taken.
    taken: usize,
}

impl Shard {
    /// Keeps a session, unless another worker was faster; gives the one that is kept.
    fn keep(&mut self, key: Digest, opened: Arc<Opened>, now: SystemTime) -> Arc<Opened> {
        if let Some(known) = self.sessions.get(&key) {
            return Arc::clone(known);
        }
        if self.taken + opened.room > ROOM {
            self.sessions
                .retain(|_, known| !known.session.is_expired(now));
            self.taken = self.sessions.values().map(|known| known.room).sum();
        }
        if self.taken + opened.room > ROOM {
            self.sessions.clear();
            self.taken = 0;
        }
        self.taken += opened.room;
        self.sessions.insert(key, Arc::clone(&opened));
        opened
    }
}

/// A session, ready to verify signatures and to be asked for what it may do.
pub(crate) struct Opened {
    pub(crate) session: Session,
    pub(crate) material: KeyMaterial,
    pub(crate) caller: Caller,
    /// Room that it takes in the memory.
    room: usize,
}

impl Sessions {
    pub(crate) fn new(keys: Arc<ArcSwap<SealingKeys>>, bearers: Arc<Bearers>) -> Self {
        Self {
            keys,
            bearers,
            shards: std::iter::repeat_with(RwLock::default)
                .take(SHARDS)
                .collect(),
            hasher: RandomState::default(),
            opened: AtomicU64::new(0),
        }
    }

    /// How many tokens had to be opened, because they were not remembered.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// The session of a token, for a request that names this access key.
    pub(crate) fn find(
        &self,
        token: &[u8],
        access_key: &[u8],
        now: SystemTime,
    ) -> Result<Arc<Opened>, TokenError> {
        let opened = self.open(token, now)?;
        if opened.session.access_key_id.as_bytes() != access_key {
            return Err(TokenError::OtherAccessKey);
        }
        if opened.session.is_expired(now) {
            return Err(TokenError::Expired);
        }
        Ok(opened)
    }

    fn open(&self, token: &[u8], now: SystemTime) -> Result<Arc<Opened>, TokenError> {
        // Nothing is hashed of what could not be opened.
        if token.len() > super::MAX_TOKEN_BYTES {
            return Err(TokenError::Invalid);
        }
        let digest = digest::digest(&digest::SHA256, token);
        let Some(key) = digest.as_ref().first_chunk().copied() else {
            return Err(TokenError::Invalid);
        };
        let shard = usize::try_from(self.hasher.hash_one(key) % (SHARDS as u64)).unwrap_or(0);
        let shard = self.shards.get(shard).ok_or(TokenError::Invalid)?;
        if let Some(known) = shard.read().sessions.get(&key) {
            return Ok(Arc::clone(known));
        }
        let opened = Arc::new(self.open_anew(token, now)?);
        Ok(shard.write().keep(key, opened, now))
    }

    fn open_anew(&self, token: &[u8], now: SystemTime) -> Result<Opened, TokenError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let session = self.keys.load().open(token)?;
        // One that is over is not worth the work of compiling its policies.
        if session.is_expired(now) {
            return Err(TokenError::Expired);
        }
        let caller = Caller::Session(self.bearers.bind(&session)?);
        let policies: usize = session.policies.iter().map(|policy| policy.len()).sum();
        Ok(Opened {
            room: 1 + policies / POLICY_BYTES + token.len() / TOKEN_BYTES,
            caller,
            material: KeyMaterial::new(session.access_key_id.clone(), session.secret.clone()),
            session,
        })
    }
}

/// Shows whose it is.
impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Opened").field(&self.session).finish()
    }
}

/// Shows no session.
impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}
