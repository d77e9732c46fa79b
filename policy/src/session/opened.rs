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

use super::{Bearer, SealingKeys, Session, TokenError};
use crate::{bearers::Bearers, principal::Caller, sigv4::KeyMaterial};

/// Parts of the memory, each behind its own lock.
const SHARDS: usize = 16;

/// Most sessions per part; a full part forgets those that are over, or else all of them. 16 384 in all.
const PER_SHARD: usize = 1_024;

/// Opens the tokens of requests.
pub struct Sessions {
    keys: Arc<ArcSwap<SealingKeys>>,
    bearers: Arc<Bearers>,
    shards: Box<[RwLock<Shard>]>,
    hasher: RandomState,
    opened: AtomicU64,
}

type Digest = [u8; digest::SHA256_OUTPUT_LEN];
type Shard = HashMap<Digest, Arc<Opened>, RandomState>;

/// A session, ready to verify signatures and to be asked for what it may do.
pub(crate) struct Opened {
    pub(crate) session: Session,
    pub(crate) material: KeyMaterial,
    pub(crate) caller: Caller,
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
        if let Some(known) = shard.read().get(&key) {
            return Ok(Arc::clone(known));
        }
        let opened = Arc::new(self.open_anew(token, now)?);
        let mut shard = shard.write();
        if shard.len() >= PER_SHARD {
            shard.retain(|_, opened| !opened.session.is_expired(now));
        }
        if shard.len() >= PER_SHARD {
            shard.clear();
        }
        // Another worker may have been faster; then its session stays.
        Ok(Arc::clone(shard.entry(key).or_insert(opened)))
    }

    fn open_anew(&self, token: &[u8], now: SystemTime) -> Result<Opened, TokenError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let session = self.keys.load().open(token)?;
        // One that is over is not worth the work of compiling its policies.
        if session.is_expired(now) {
            return Err(TokenError::Expired);
        }
        let caller = match &session.bearer {
            Bearer::User { arn } => self.bearers.user(arn).map(Caller::Principal),
            Bearer::Role { .. } => Some(Caller::Session(self.bearers.bind(&session)?)),
        };
        Ok(Opened {
            caller: caller.ok_or(TokenError::NoBearer)?,
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
