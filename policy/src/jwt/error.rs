//! Why a token was refused: to the operator in full, to the caller in AWS's words.
//!
//! Nothing of the token is repeated to the caller, and neither text holds its signature.

use super::token::MAX_TOKEN_BYTES;

/// A token that was refused. `Display` is the operator's text; [`JwtError::public_text`] is the caller's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// More than one `Authorization`, one of them with a token.
    #[error("several `authorization` headers, one of them with a token")]
    Several,
    /// The token is longer than is read.
    #[error("token of {bytes} bytes, more than {MAX_TOKEN_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It is not `header.claims.signature`.
    #[error("the token does not have three parts with points between them")]
    NotThreeParts,
    /// A part is not base64url, or not UTF-8.
    #[error("the token's {part} is not base64url without padding, of UTF-8")]
    Encoding {
        /// The part.
        part: Part,
    },
    /// A part is not JSON, or has a member twice.
    #[error("the token's {part} is not a JSON object in which no member comes twice")]
    NotAnObject {
        /// The part.
        part: Part,
    },
    /// A member that every token has is not there.
    #[error("`{name}` is missing in the token's {part}")]
    Missing {
        /// The part.
        part: Part,
        /// The member.
        name: &'static str,
    },
    /// A member does not have the type that it must have.
    #[error("`{name}` in the token's {part} does not have the right type")]
    WrongType {
        /// The part.
        part: Part,
        /// The member.
        name: &'static str,
    },
    /// It has extensions that its issuer holds critical.
    #[error("the token's header has `crit`, and no extension is understood")]
    Critical,
    /// It was made for another purpose.
    #[error("the token is of type `{kind}`")]
    Kind {
        /// Its `typ`.
        kind: Box<str>,
    },
    /// Its algorithm is none that is verified.
    #[error("the token's algorithm `{algorithm}` is not verified")]
    Algorithm {
        /// Its `alg`.
        algorithm: Box<str>,
    },
    /// Nobody configured its issuer.
    #[error("the token's issuer `{issuer}` is not an identity provider of the caller's account")]
    UnknownIssuer {
        /// Its `iss`.
        issuer: Box<str>,
    },
    /// It was made for somebody else.
    #[error("the token's audience `{audience}` is none of its identity provider's")]
    Audience {
        /// Its `aud`.
        audience: Box<str>,
    },
    /// The keys of its issuer could not be read so far.
    #[error("there are no keys of the issuer `{issuer}` yet")]
    NoKeys {
        /// Its `iss`.
        issuer: Box<str>,
    },
    /// Its issuer has no such key.
    #[error("the issuer has no key `{key}` for {algorithm}")]
    UnknownKey {
        /// Its `kid`.
        key: Box<str>,
        /// Its `alg`.
        algorithm: &'static str,
    },
    /// Several keys could have signed it.
    #[error("several keys of the issuer fit the token")]
    AmbiguousKey,
    /// The signature is wrong.
    #[error("the token's signature does not verify")]
    Signature,
    /// Its time is over.
    #[error("the token expired at {at}, and it is {now} (seconds after 1970)")]
    Expired {
        /// Its `exp`.
        at: i64,
        /// The gateway's clock.
        now: i64,
    },
    /// Its time has not come.
    #[error("the token is not valid before {at}, and it is {now} (seconds after 1970)")]
    NotYetValid {
        /// Its `nbf`.
        at: i64,
        /// The gateway's clock.
        now: i64,
    },
    /// It was issued later than now.
    #[error("the token was issued at {at}, and it is {now} (seconds after 1970)")]
    IssuedInTheFuture {
        /// Its `iat`.
        at: i64,
        /// The gateway's clock.
        now: i64,
    },
}

/// A part of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The first.
    Header,
    /// The second.
    Claims,
    /// The third.
    Signature,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Claims => "claims",
            Self::Signature => "signature",
        })
    }
}

impl JwtError {
    /// Status of the answer.
    pub fn status(&self) -> u16 {
        403
    }

    /// Body of the answer, plain text: the exception of AWS and its message.
    ///
    /// Source: STS API reference, "`AssumeRoleWithWebIdentity`", errors.
    pub fn public_text(&self) -> &'static str {
        match self {
            Self::Expired { .. } => {
                "ExpiredTokenException: The web identity token included in the request is expired."
            }
            Self::NoKeys { .. } => {
                "IDPCommunicationErrorException: The keys of the identity provider are not available."
            }
            _ => {
                "InvalidIdentityTokenException: The web identity token included in the request is invalid."
            }
        }
    }
}

/// A piece of a token, fit to be repeated to operators: short, and nothing but harmless characters.
pub(super) fn quote(text: &str) -> Box<str> {
    crate::sigv4::quote(text.as_bytes())
}
