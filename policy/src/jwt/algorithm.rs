//! Signature algorithms, and which keys they are for.

use ring::{
    hmac,
    signature::{self, EcdsaVerificationAlgorithm, RsaParameters, UnparsedPublicKey},
};

/// An algorithm that can be verified. Source: RFC 7518 §3.1, RFC 8037 §3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Es256,
    Es384,
    EdDsa,
    Hs256,
}

impl Algorithm {
    const ALL: [Self; 8] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
        Self::Hs256,
    ];

    /// The algorithm of this name, spelled exactly so.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }
}

/// A key, of one kind each.
#[derive(Debug)]
pub(super) enum Key {
    Rsa(signature::RsaPublicKeyComponents<Box<[u8]>>),
    P256(UnparsedPublicKey<Box<[u8]>>),
    P384(UnparsedPublicKey<Box<[u8]>>),
    Ed25519(UnparsedPublicKey<Box<[u8]>>),
    /// A configured secret; never anything that was published.
    Secret(hmac::Key),
}

impl Key {
    /// Can it be used with this algorithm?
    ///
    /// Spec: RFC 8725 §3.1: each key is used with the algorithms of its kind only.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa(_) => rsa(algorithm).is_some(),
            Self::P256(_) => algorithm == Algorithm::Es256,
            Self::P384(_) => algorithm == Algorithm::Es384,
            Self::Ed25519(_) => algorithm == Algorithm::EdDsa,
            Self::Secret(_) => algorithm == Algorithm::Hs256,
        }
    }

    /// Is `signature` this key's of `text`, by this algorithm?
    pub(super) fn verifies(&self, algorithm: Algorithm, text: &[u8], signature: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        match self {
            Self::Rsa(key) => rsa(algorithm)
                .is_some_and(|parameters| key.verify(parameters, text, signature).is_ok()),
            Self::P256(key) | Self::P384(key) | Self::Ed25519(key) => {
                key.verify(text, signature).is_ok()
            }
            Self::Secret(key) => hmac::verify(key, text, signature).is_ok(),
        }
    }

    /// A point of a curve, uncompressed.
    pub(super) fn point(
        algorithm: &'static EcdsaVerificationAlgorithm,
        x: &[u8],
        y: &[u8],
    ) -> UnparsedPublicKey<Box<[u8]>> {
        UnparsedPublicKey::new(algorithm, [&[4], x, y].concat().into())
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa | Algorithm::Hs256 => None,
    }
}
