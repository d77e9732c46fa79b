//! What a call is answered with.

use std::{fmt, time::SystemTime};

use trellis_model::name::Region;
use trellis_policy::{Policies, session::SealingKeys, sigv4::Verifier};

/// One snapshot of what runs, and the random bytes of one call.
pub struct Realm<'a> {
    /// Principals and policies.
    pub policies: &'a Policies,
    /// Verifies signatures, and opens the tokens of sessions.
    pub verifier: &'a Verifier,
    /// Seals the tokens of new sessions.
    pub keys: &'a SealingKeys,
    /// The region.
    pub region: &'a Region,
    /// Verifies the tokens of identity providers.
    pub believe: &'a Believe<'a>,
    /// Random bytes, drawn for this call alone: for an access key, its secret and a nonce.
    pub random: [u8; RANDOM_BYTES],
    /// Draws a random number, for ids.
    pub draw: &'a dyn Fn() -> u64,
}

/// From a token and the id of an account to what an identity provider of that account says, if it says so.
pub type Believe<'a> = dyn Fn(&str, &str, SystemTime) -> Result<Vouched, Disbelief> + 'a;

/// Random bytes that a call takes: 16 letters of an access key id, 30 bytes of a secret, 12 of a nonce.
pub const RANDOM_BYTES: usize = 58;

/// What an identity provider says about somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// ARN of the provider: `arn:aws:iam::111122223333:oidc-provider/issuer.test`.
    pub provider: String,
    /// The issuer without `https://`, which condition keys begin with.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// The audience that was asked for.
    pub audience: String,
    /// All claims that are texts, numbers, Booleans or lists of such, as texts.
    pub claims: Vec<(String, Vec<String>)>,
}

/// Why the token of an identity provider is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disbelief {
    /// It is over.
    Expired,
    /// No provider of the account has issued it, or not for an audience of the provider.
    NoProvider,
    /// It is wrong, for this reason, which is for operators.
    Invalid(String),
}

impl fmt::Debug for Realm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Realm")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}
