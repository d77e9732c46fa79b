//! A bounded memory of tokens that were verified.
//!
//! Only genuine tokens get in, so a stranger cannot push anything out. An entry is found by a digest of the whole token; it is good
//! until the token expires, to the second, and as long as the issuer's keys are the ones that it was verified with.

use std::{fmt, sync::Arc};

use hashbrown::HashMap;
use parking_lot::Mutex;

use super::{IssuerIndex, KeySet, VerifiedJwt};

/// Parts of the memory with a lock each.
const SHARDS: usize = 16;

/// Tokens per shard before the older half of them is forgotten: 4 096 in all, of a few KiB each.
const SHARD_TOKENS: usize = 128;

type Digest = [u8; 32];

type Tokens = HashMap<Digest, Entry, foldhash::fast::RandomState>;

#[derive(Clone)]
struct Entry {
    verified: Arc<VerifiedJwt>,
    keys: Arc<KeySet>,
}

#[derive(Default)]
struct Shard {
    young: Tokens,
    old: Tokens,
}

/// The tokens that were verified lately.
pub(super) struct Cache {
    shards: [Mutex<Shard>; SHARDS],
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

/// Shows no token.
impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl Cache {
    /// What the token with this digest says, if it holds at `now` and its issuer and keys are `still` good.
    pub(super) fn get(
        &self,
        digest: &[u8],
        now: i64,
        still: impl Fn(IssuerIndex, &Arc<KeySet>) -> bool,
    ) -> Option<Arc<VerifiedJwt>> {
        let (digest, shard) = self.find(digest)?;
        let shard = shard.lock();
        let entry = shard
            .young
            .get(&digest)
            .or_else(|| shard.old.get(&digest))?;
        let good = now < entry.verified.expires && still(entry.verified.issuer, &entry.keys);
        good.then(|| Arc::clone(&entry.verified))
    }

    /// Keeps a token that was verified with `keys`, if it holds beyond `now`.
    pub(super) fn put(
        &self,
        digest: &[u8],
        verified: &Arc<VerifiedJwt>,
        keys: Arc<KeySet>,
        now: i64,
    ) {
        if verified.expires <= now {
            return;
        }
        let Some((digest, shard)) = self.find(digest) else {
            return;
        };
        let mut shard = shard.lock();
        if shard.young.len() >= SHARD_TOKENS {
            shard.old = std::mem::take(&mut shard.young);
        }
        let verified = Arc::clone(verified);
        shard.young.insert(digest, Entry { verified, keys });
    }

    fn find(&self, digest: &[u8]) -> Option<(Digest, &Mutex<Shard>)> {
        let digest: Digest = digest.try_into().ok()?;
        let [first, ..] = digest;
        let shard = self.shards.get(usize::from(first) % SHARDS)?;
        Some((digest, shard))
    }
}
