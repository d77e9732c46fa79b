//! Access keys, their secrets, and the signing keys derived from them.
//!
//! A signing key of Signature Version 4 depends on secret, day, region and service, and costs five HMACs. Region and service are
//! fixed per key ring; the day is that of the request, which the allowed clock skew narrows to two at most, presigned queries
//! aside. So each access key remembers two derived keys, one for even days and one for odd ones, and never an older day in place
//! of a newer: bounded by the number of access keys, and nothing a stranger sends can evict an entry. The public key of Signature
//! Version 4A depends on the access key alone, and is derived once. Readers take no lock. A new snapshot brings a new ring with
//! empty memory, so a rotated secret cannot linger; the first request of each key pays the derivation again.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use aws_sigv4::sign::{v4::generate_signing_key, v4a};
use hashbrown::HashMap;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use ring::{
    hmac,
    signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey},
};
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
            let material = KeyMaterial::new(id.clone(), secret);
            let key = AccessKey {
                material,
                principal,
            };
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
    pub(super) fn find(&self, id: &[u8]) -> Option<(&KeyMaterial, PrincipalIndex)> {
        let key = self.keys.get(id)?;
        Some((&key.material, key.principal))
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

struct AccessKey {
    material: KeyMaterial,
    principal: PrincipalIndex,
}

/// An access key's secret with what was derived from it: everything that signatures are compared with, wherever the secret came
/// from.
pub(crate) struct KeyMaterial {
    id: Box<str>,
    secret: Secret,
    days: [ArcSwapOption<DayKey>; 2],
    public_key: OnceLock<Option<PublicKey>>,
}

/// Shows neither id nor secret.
impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyMaterial").finish_non_exhaustive()
    }
}

/// A point of the curve P-256, uncompressed.
type PublicKey = UnparsedPublicKey<Box<[u8]>>;

/// A signing key, prepared for use.
struct DayKey {
    /// Days after 1970.
    day: i64,
    key: hmac::Key,
}

impl KeyMaterial {
    /// What the key `id` with this secret signs with; derived when first asked for.
    pub(crate) fn new(id: Box<str>, secret: Secret) -> Self {
        Self {
            id,
            secret,
            days: Default::default(),
            public_key: OnceLock::new(),
        }
    }

    /// Calls `then` with the signing key for `region` and the day of `signed`. A key is used with one region only.
    pub(super) fn with_signing_key<R>(
        &self,
        signed: &Timestamp,
        region: &Region,
        then: impl FnOnce(&hmac::Key) -> R,
    ) -> R {
        let [even, odd] = &self.days;
        let day = signed.unix().div_euclid(SECONDS_PER_DAY);
        let slot = if day % 2 == 0 { even } else { odd };
        let known = slot.load();
        if let Some(known) = known.as_ref().filter(|known| known.day == day) {
            return then(&known.key);
        }
        let key = derive(&self.secret, day, region.as_str(), SERVICE);
        let result = then(&key);
        if known.as_ref().is_none_or(|known| known.day < day) {
            slot.store(Some(Arc::new(DayKey { day, key })));
        }
        result
    }

    /// The signing key for another service, which is not kept: calls are rare.
    pub(super) fn derive_for(&self, signed: &Timestamp, region: &str, service: &str) -> hmac::Key {
        let day = signed.unix().div_euclid(SECONDS_PER_DAY);
        derive(&self.secret, day, region, service)
    }

    /// Is `signature` the key's of `text`, by Signature Version 4A?
    pub(super) fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        let key = self.public_key.get_or_init(|| self.derive_public_key());
        key.as_ref()
            .is_some_and(|key| key.verify(text, signature).is_ok())
    }

    /// None never comes: what is derived is a number that the curve takes. Were it otherwise, nothing would verify.
    fn derive_public_key(&self) -> Option<PublicKey> {
        let scalar = v4a::generate_signing_key(&self.id, self.secret.expose());
        let key = p256::SecretKey::from_slice(scalar.as_ref()).ok()?;
        let point = key.public_key().to_sec1_point(false);
        Some(UnparsedPublicKey::new(
            &ECDSA_P256_SHA256_ASN1,
            point.as_bytes().into(),
        ))
    }
}

/// `day` is not negative: what lies before 1970 was refused as expired.
fn derive(secret: &Secret, day: i64, region: &str, service: &str) -> hmac::Key {
    let seconds = u64::try_from(day * SECONDS_PER_DAY).unwrap_or_default();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let bytes = generate_signing_key(secret.expose(), time, region, service);
    hmac::Key::new(hmac::HMAC_SHA256, bytes.as_ref())
}
