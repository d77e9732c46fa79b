//! Signatures in the query: presigned URLs.
//!
//! The same three parameters as in the header stand in the query, beside the date, the time for which the URL holds, and, for
//! some, a session token, a set of regions and the payload's hash. Signed is the query without `X-Amz-Signature`; a service may
//! want the token added after that, which is why [`SignedQuery::signed_texts`] gives two.
//!
//! A token that is not covered by the signature can be replaced, but not to any use: the secret that signs is sealed in it.
//!
//! Source: IAM user guide, "Create a signed AWS API request", "Add the signature to the request".

use std::{borrow::Cow, time::Duration};

use smallvec::{SmallVec, smallvec};

use super::{
    SignatureError, Timestamp,
    authorization::{self, Algorithm, Authorization, Parameters},
    canonical::{check_query_size, decode_one},
    error::quote,
    material::decodes_to,
};

/// Longest time for which a URL can be signed, in seconds: a week. Source: IAM user guide, "`X-Amz-Expires`".
pub(super) const MAX_EXPIRES: u64 = 604_800;

/// A parameter that the signature brings into the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    Algorithm,
    Credential,
    Date,
    Expires,
    SignedHeaders,
    Signature,
    SecurityToken,
    RegionSet,
    ContentSha256,
}

impl Parameter {
    const ALL: [Self; 9] = [
        Self::Algorithm,
        Self::Credential,
        Self::Date,
        Self::Expires,
        Self::SignedHeaders,
        Self::Signature,
        Self::SecurityToken,
        Self::RegionSet,
        Self::ContentSha256,
    ];

    /// Its name as signers write it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Algorithm => "X-Amz-Algorithm",
            Self::Credential => "X-Amz-Credential",
            Self::Date => "X-Amz-Date",
            Self::Expires => "X-Amz-Expires",
            Self::SignedHeaders => "X-Amz-SignedHeaders",
            Self::Signature => "X-Amz-Signature",
            Self::SecurityToken => "X-Amz-Security-Token",
            Self::RegionSet => "X-Amz-Region-Set",
            Self::ContentSha256 => "X-Amz-Content-Sha256",
        }
    }

    /// Which of them is `raw`, one parameter of a query, and what is its value?
    fn of(raw: &[u8]) -> Option<(Self, &[u8])> {
        if !matches!(raw, [b'x' | b'X' | b'%', ..]) {
            return None;
        }
        let end = memchr::memchr(b'=', raw).unwrap_or(raw.len());
        let (name, value) = raw.split_at(end);
        Self::ALL
            .into_iter()
            .find(|parameter| decodes_to(name, parameter.name().as_bytes()))
            .map(|parameter| (parameter, value.strip_prefix(b"=").unwrap_or_default()))
    }
}

/// A query that carries a signature; its values are decoded.
#[derive(Debug)]
pub(super) struct SignedQuery<'a> {
    raw: &'a [u8],
    values: [Option<Cow<'a, [u8]>>; Parameter::ALL.len()],
}

impl<'a> SignedQuery<'a> {
    /// Finds the parameters of the signature, each of which may be given once.
    pub(super) fn read(raw: &'a [u8]) -> Result<Self, SignatureError> {
        check_query_size(Some(raw))?;
        let mut values = [const { None }; Parameter::ALL.len()];
        for (parameter, value) in raw.split(|byte| *byte == b'&').filter_map(Parameter::of) {
            let known = values
                .get_mut(parameter as usize)
                .and_then(|slot: &mut Option<_>| slot.replace(decode(value)));
            if known.is_some() {
                return Err(SignatureError::RepeatedQueryParameter {
                    name: parameter.name(),
                });
            }
        }
        Ok(Self { raw, values })
    }

    /// The value of a parameter that need not be there.
    pub(super) fn optional(&self, parameter: Parameter) -> Option<&[u8]> {
        self.values.get(parameter as usize)?.as_deref()
    }

    fn required(&self, parameter: Parameter) -> Result<&[u8], SignatureError> {
        self.optional(parameter)
            .ok_or(SignatureError::MissingQueryParameter {
                name: parameter.name(),
            })
    }

    /// The authorization in it.
    pub(super) fn authorization(&self) -> Result<Authorization<'_>, SignatureError> {
        let algorithm = Algorithm::named(self.required(Parameter::Algorithm)?)?;
        let parameters = Parameters {
            credential: self.required(Parameter::Credential)?,
            signed_headers: self.required(Parameter::SignedHeaders)?,
            signature: self.required(Parameter::Signature)?,
        };
        authorization::parse(algorithm, &parameters)
    }

    /// When it was signed.
    pub(super) fn signed_at(&self) -> Result<Timestamp, SignatureError> {
        let date = self.required(Parameter::Date)?;
        Timestamp::parse(date).ok_or_else(|| SignatureError::MalformedDate { date: quote(date) })
    }

    /// How long it holds after that.
    pub(super) fn lifetime(&self) -> Result<Duration, SignatureError> {
        let text = self.required(Parameter::Expires)?;
        let digits = (1..=6).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(text)
            .ok()
            .filter(|_| digits)
            .and_then(|text| text.parse().ok())
            .filter(|seconds| (1..=MAX_EXPIRES).contains(seconds))
            .map(Duration::from_secs)
            .ok_or_else(|| SignatureError::MalformedExpires {
                expires: quote(text),
            })
    }

    /// The queries that may have been signed, the likeliest first: all but the signature; all but it and the token.
    pub(super) fn signed_texts(&self) -> SmallVec<[Vec<u8>; 2]> {
        let mut texts = smallvec![self.without(&[Parameter::Signature])];
        if self.optional(Parameter::SecurityToken).is_some() {
            texts.push(self.without(&[Parameter::Signature, Parameter::SecurityToken]));
        }
        texts
    }

    fn without(&self, left_out: &[Parameter]) -> Vec<u8> {
        let kept = self.raw.split(|byte| *byte == b'&').filter(|raw| {
            Parameter::of(raw).is_none_or(|(parameter, _)| !left_out.contains(&parameter))
        });
        let mut text = Vec::with_capacity(self.raw.len());
        for (position, raw) in kept.enumerate() {
            if position > 0 {
                text.push(b'&');
            }
            text.extend_from_slice(raw);
        }
        text
    }
}

/// Takes percent-encoding off a value.
fn decode(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'%', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut rest = raw;
    let decoded = std::iter::from_fn(|| {
        let (byte, after) = decode_one(rest)?;
        rest = after;
        Some(byte)
    });
    Cow::Owned(decoded.collect())
}
