//! Access keys, their secrets, and the signing keys derived from them.
//!
//! A signing key depends on secret, day, region and service, and costs five HMACs. Region and service are fixed per key ring;
//! the day is that of the request, which the allowed clock skew narrows to two at most. So each access key remembers two derived
//! keys, one for even days and one for odd ones: bounded by the number of access keys, and nothing a stranger sends can evict
//! an entry. Readers take no lock. A new snapshot brings a new ring with empty memory, so a rotated secret cannot linger; the
//! first request of each key pays the derivation again.

use std::{fmt, sync::Arc, time::Duration, time::SystemTime};

use arc_swap::ArcSwapOption;
use aws_sigv4::sign::v4::generate_signing_key;
use hashbrown::HashMap;
use ring::hmac;
use trellis_model::{
    arn::Arn,
    config::{Config, Secret},
    name::Region,
};

use super::{SERVICE, date::Timestamp};
use crate::{compile::Policies, principal::PrincipalIndex};

const SECONDS_PER_DAY: i64 = 86_400;

/// Two access keys with the same id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("access key `{id}` is given twice")]
pub struct DuplicateAccessKey {
    /// The id.
    pub id: Box<str>,
}

/// The access keys of one region: id → secret and principal.
pub struct KeyRing {
    region: Region,
    keys: HashMap<Box<[u8]>, AccessKey, foldhash::fast::RandomState>,
}

impl KeyRing {
    /// A ring for signatures scoped to `region`: each key's id, its secret, and whose it is.
    pub fn new(
        region: &Region,
        keys: impl IntoIterator<Item = (Box<str>, Secret, PrincipalIndex)>,
    ) -> Result<Self, DuplicateAccessKey> {
        let mut ring = Self {
            region: region.clone(),
            keys: HashMap::default(),
        };
        for (id, secret, principal) in keys {
            let key = AccessKey::new(secret, principal);
            if ring.keys.insert(id.as_bytes().into(), key).is_some() {
                return Err(DuplicateAccessKey { id });
            }
        }
        Ok(ring)
    }

    /// The access keys of a configuration, for the principals that were compiled from it.
    ///
    /// A key whose principal was not compiled is left out, so whoever signs with it is unknown.
    pub fn for_config(config: &Config, policies: &Policies) -> Result<Self, DuplicateAccessKey> {
        let users = config.users.iter().flat_map(|user| {
            let principal = policies.principal_by_arn(user.arn.as_str());
            user.access_keys.iter().map(move |key| (key, principal))
        });
        let sessions = config.roles.iter().flat_map(|role| {
            role.access_keys.iter().map(|session| {
                let name = &session.session_name;
                let arn = Arn::assumed_role(&role.account, &config.region, &role.name, name);
                (&session.key, policies.principal_by_arn(arn.as_str()))
            })
        });
        let keys = users.chain(sessions).filter_map(|(key, principal)| {
            principal.map(|principal| (key.id.clone(), key.secret.clone(), principal))
        });
        Self::new(&config.region, keys)
    }

    /// The region that signatures must be scoped to.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Number of access keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key with this id.
    ///
    /// That an id is unknown shows in the answer already, so nothing is computed to hide it: whoever makes up ids costs nothing.
    pub(super) fn find(&self, id: &[u8]) -> Option<Lookup<'_>> {
        self.keys.get(id).map(|key| Lookup { ring: self, key })
    }
}

/// Shows neither ids nor secrets.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("region", &self.region)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

/// What was found under an access key id.
pub(super) struct Lookup<'a> {
    ring: &'a KeyRing,
    key: &'a AccessKey,
}

impl Lookup<'_> {
    /// Whose key it is.
    pub(super) fn principal(&self) -> PrincipalIndex {
        self.key.principal
    }

    /// Calls `then` with the signing key for the day of `signed`.
    pub(super) fn with_signing_key<R>(
        &self,
        signed: &Timestamp,
        then: impl FnOnce(&hmac::Key) -> R,
    ) -> R {
        let [even, odd] = &self.key.days;
        let day = signed.unix().div_euclid(SECONDS_PER_DAY);
        let slot = if day % 2 == 0 { even } else { odd };
        if let Some(known) = slot.load().as_ref().filter(|known| known.day == day) {
            return then(&known.key);
        }
        let derived = Arc::new(DayKey {
            day,
            key: derive(&self.key.secret, day, &self.ring.region),
        });
        let result = then(&derived.key);
        slot.store(Some(derived));
        result
    }
}

struct AccessKey {
    secret: Secret,
    principal: PrincipalIndex,
    days: [ArcSwapOption<DayKey>; 2],
}

impl AccessKey {
    fn new(secret: Secret, principal: PrincipalIndex) -> Self {
        Self {
            secret,
            principal,
            days: Default::default(),
        }
    }
}

/// A signing key, prepared for use.
struct DayKey {
    /// Days after 1970.
    day: i64,
    key: hmac::Key,
}

/// `day` is not negative: what lies before 1970 was refused as expired.
fn derive(secret: &Secret, day: i64, region: &Region) -> hmac::Key {
    let seconds = u64::try_from(day * SECONDS_PER_DAY).unwrap_or_default();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let bytes = generate_signing_key(secret.expose(), time, region.as_str(), SERVICE);
    hmac::Key::new(hmac::HMAC_SHA256, bytes.as_ref())
}
