//! A bounded memory of tokens that were verified.
//!
//! Only genuine tokens get in, so a stranger cannot push anything out. An entry is found by the whole token, never by a hash alone: a
//! hash with a secret seed finds it, and the texts are compared. (A digest would do without the text, and costs four times as much as
//! all the rest.) It is good until the token expires, to the second, and as long as the issuer's keys are the ones that it was
//! verified with.

use std::{fmt, hash::BuildHasher as _, sync::Arc};

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use parking_lot::Mutex;

use super::{IssuerIndex, KeySet, VerifiedJwt};

/// Parts of the memory with a lock each, as a power of two.
const SHARD_BITS: u32 = 4;
const SHARDS: usize = 1 << SHARD_BITS;

/// Tokens per shard before the older half of them is forgotten: 4 096 in all, of a few KiB each.
const SHARD_TOKENS: usize = 128;

struct Entry {
    hash: u64,
    token: Box<[u8]>,
    verified: Arc<VerifiedJwt>,
    keys: Arc<KeySet>,
}

#[derive(Default)]
struct Shard {
    young: HashTable<Entry>,
    old: HashTable<Entry>,
}

/// The tokens that were verified lately.
#[derive(Default)]
pub(super) struct Cache {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

/// Shows no token.
impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl Cache {
    /// What this token says, if it holds at `now` and its issuer and keys are `still` good.
    pub(super) fn get(
        &self,
        token: &[u8],
        now: i64,
        still: impl Fn(IssuerIndex, &Arc<KeySet>) -> bool,
    ) -> Option<Arc<VerifiedJwt>> {
        let (hash, shard) = self.find(token)?;
        let shard = shard.lock();
        let same = |entry: &Entry| *entry.token == *token;
        let entry = shard
            .young
            .find(hash, same)
            .or_else(|| shard.old.find(hash, same))?;
        let good = now < entry.verified.expires && still(entry.verified.issuer, &entry.keys);
        good.then(|| Arc::clone(&entry.verified))
    }

    /// Keeps a token that was verified with `keys`, if it holds beyond `now`.
    pub(super) fn put(
        &self,
        token: &[u8],
        verified: &Arc<VerifiedJwt>,
        keys: Arc<KeySet>,
        now: i64,
    ) {
        if verified.expires <= now {
            return;
        }
        let Some((hash, shard)) = self.find(token) else {
            return;
        };
        let mut shard = shard.lock();
        let entry = Entry {
            hash,
            token: token.into(),
            verified: Arc::clone(verified),
            keys,
        };
        if let Some(known) = shard
            .young
            .find_mut(hash, |known| known.token == entry.token)
        {
            *known = entry;
            return;
        }
        if shard.young.len() >= SHARD_TOKENS {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert_unique(hash, entry, |entry| entry.hash);
    }

    fn find(&self, token: &[u8]) -> Option<(u64, &Mutex<Shard>)> {
        let hash = self.hasher.hash_one(token);
        // The highest bits: the table takes the others. Fewer than there are shards.
        let shard = self.shards.get((hash >> (64 - SHARD_BITS)) as usize)?;
        Some((hash, shard))
    }
}
