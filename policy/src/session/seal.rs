//! Sealing keys, and tokens sealed with them.
//!
//! A token is base64url, without padding, of
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, [`VERSION`] |
//! | 8 | id of the key: the beginning of the SHA-256 of its name |
//! | 12 | nonce, random for each token |
//! | rest | the session, AES-256-GCM; version and key id are authenticated with it |
//!
//! A nonce of 96 random bits may be used for 2³² tokens of one key before two are likely enough to be the same to worry
//! (NIST SP 800-38D §8.3); keys that the gateway makes itself change every day.
//!
//! The first key seals; all of them open. Whoever rotates by hand puts the new key behind the old one on every node first, then
//! before it, and takes the old one away when [`super::LONGEST_SESSION`] has passed.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use ring::{
    aead::{self, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    digest, hkdf,
};
use trellis_model::{config::Secret, ranges};

use super::{Session, claims};

/// The form of tokens that this version writes, and the only one that it reads.
const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 8;
/// Random bytes that sealing takes.
pub const NONCE_BYTES: usize = aead::NONCE_LEN;
/// What stands before the encrypted session.
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES;

/// Longest token that is opened, in characters: the largest session takes about six kilobytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Sets this use of a configured secret apart from any other that it may have.
const PURPOSE: &[u8] = b"trellis session token v1";

/// Why a session cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Its policies and tags are too large; the caller must act.
    #[error("the session would need a token of {bytes} bytes, more than {MAX_TOKEN_BYTES}")]
    TooLarge {
        /// Length of the token.
        bytes: usize,
    },
    /// The cipher did not work, which does not happen.
    #[error("the session could not be encrypted")]
    Cipher,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is not of our making: cut, changed, of another version, sealed with a key that is not known, or never a token at all.
    /// They are all one, so that nobody learns how near a forgery came.
    #[error("the session token was not sealed by any of the known keys")]
    Invalid,
    /// It belongs to another access key than the one that the request names.
    #[error("the session token belongs to another access key")]
    OtherAccessKey,
    /// It is over.
    #[error("the session has expired")]
    Expired,
    /// The role or user is not in the configuration.
    #[error("the role or user of the session does not exist")]
    NoBearer,
    /// A session policy cannot be read, which was checked when the session began.
    #[error("a policy of the session cannot be used")]
    Policy,
}

/// One key that seals and opens tokens.
pub struct SealingKey {
    id: [u8; KEY_ID_BYTES],
    key: LessSafeKey,
}

impl SealingKey {
    /// The key that a secret stands for. Its id is made of `name`, so both must be the same on every node. `None` when the secret
    /// has less than [`ranges::SESSION_KEY_SECRET`] characters.
    pub fn new(name: &str, secret: &Secret) -> Option<Self> {
        let secret = secret.expose();
        if secret.chars().count() < ranges::SESSION_KEY_SECRET {
            return None;
        }
        let material = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(secret.as_bytes());
        let key: UnboundKey = material.expand(&[PURPOSE], &AES_256_GCM).ok()?.into();
        Some(Self {
            id: key_id(name),
            key: LessSafeKey::new(key),
        })
    }
}

/// Shows nothing of the key.
impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey").finish_non_exhaustive()
    }
}

fn key_id(name: &str) -> [u8; KEY_ID_BYTES] {
    let digest = digest::digest(&digest::SHA256, name.as_bytes());
    digest
        .as_ref()
        .first_chunk()
        .copied()
        .unwrap_or([0; KEY_ID_BYTES])
}

/// The sealing keys of a node. Without any, nothing can be sealed and no token opens.
#[derive(Debug, Default)]
pub struct SealingKeys {
    keys: Vec<SealingKey>,
}

impl SealingKeys {
    /// The key that seals, followed by earlier or coming ones that open only.
    pub fn new(keys: Vec<SealingKey>) -> Self {
        Self { keys }
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The token of a session. `nonce` must be random, and another one for each token.
    pub fn seal(&self, session: &Session, nonce: [u8; NONCE_BYTES]) -> Result<String, SealError> {
        let sealing = self.keys.first().ok_or(SealError::Cipher)?;
        let mut text = claims::write(session).ok_or(SealError::Cipher)?;
        let head = head(sealing.id);
        sealing
            .key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(head),
                &mut text,
            )
            .map_err(|_| SealError::Cipher)?;
        let mut whole = Vec::with_capacity(HEAD_BYTES + NONCE_BYTES + text.len());
        whole.extend_from_slice(&head);
        whole.extend_from_slice(&nonce);
        whole.extend_from_slice(&text);
        let token = BASE64URL.encode(&whole);
        if token.len() > MAX_TOKEN_BYTES {
            return Err(SealError::TooLarge { bytes: token.len() });
        }
        Ok(token)
    }

    /// The session of a token. Whether it is over, and whose access key signed, is for the caller to check.
    pub fn open(&self, token: &[u8]) -> Result<Session, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Invalid);
        }
        let whole = BASE64URL.decode(token).map_err(|_| TokenError::Invalid)?;
        self.open_bytes(whole).ok_or(TokenError::Invalid)
    }

    fn open_bytes(&self, mut whole: Vec<u8>) -> Option<Session> {
        let (head, rest) = whole.split_first_chunk_mut::<HEAD_BYTES>()?;
        let (nonce, sealed) = rest.split_first_chunk_mut::<NONCE_BYTES>()?;
        let (version, id) = head.split_first()?;
        if *version != VERSION {
            return None;
        }
        let key = self.keys.iter().find(|key| key.id == id)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = key.key.open_in_place(nonce, Aad::from(*head), sealed);
        claims::read(opened.ok()?)
    }
}

fn head(id: [u8; KEY_ID_BYTES]) -> [u8; HEAD_BYTES] {
    let mut head = [VERSION; HEAD_BYTES];
    if let Some((_, rest)) = head.split_first_mut() {
        rest.copy_from_slice(&id);
    }
    head
}
