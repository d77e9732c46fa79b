//! The parser of `Authorization: AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`, and of the three parameters
//! wherever they stand.
//!
//! Strict where a difference could hide something, lenient only where signers differ: the three parameters may come in any
//! order, and blanks around commas are free. Nothing may be missing, repeated or unknown.

use smallvec::SmallVec;

use super::{SignatureError, error::quote};

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// Signature Version 4: an HMAC with a key derived for one region and day.
    Hmac,
    /// Signature Version 4A: ECDSA with a key derived from the secret alone, for a set of regions.
    Ecdsa,
}

impl Algorithm {
    /// The algorithm of this name, spelled exactly so.
    pub(super) fn named(name: &[u8]) -> Result<Self, SignatureError> {
        [Self::Hmac, Self::Ecdsa]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| SignatureError::UnsupportedAlgorithm {
                algorithm: quote(name),
            })
    }

    /// Its name, the first line of the text to sign.
    pub(super) fn name(self) -> &'static [u8] {
        match self {
            Self::Hmac => b"AWS4-HMAC-SHA256",
            Self::Ecdsa => b"AWS4-ECDSA-P256-SHA256",
        }
    }
}

/// Longest `Authorization` header that is parsed, in bytes. A signature over a hundred headers needs about a quarter of it.
pub(super) const MAX_LENGTH: usize = 8 * 1024;

/// Most signed headers; as many as VPC Lattice accepts in a request.
pub(super) const MAX_SIGNED_HEADERS: usize = 100;

/// The parts that a credential must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialForm {
    /// Of Signature Version 4.
    WithRegion,
    /// Of Signature Version 4A.
    WithoutRegion,
}

impl CredentialForm {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::WithRegion => "key/date/region/service/aws4_request",
            Self::WithoutRegion => "key/date/service/aws4_request",
        }
    }

    pub(super) fn elements(self) -> usize {
        match self {
            Self::WithRegion => 5,
            Self::WithoutRegion => 4,
        }
    }

    pub(super) fn example(self) -> &'static str {
        match self {
            Self::WithRegion => "keyid/date/region/service/term",
            Self::WithoutRegion => "keyid/date/service/term",
        }
    }
}

/// What the header says. Nothing in it has been compared with the request yet.
#[derive(Debug)]
pub(super) struct Authorization<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) access_key: &'a [u8],
    pub(super) scope: Scope<'a>,
    pub(super) signed_headers: SignedHeaders<'a>,
    pub(super) signature: Signature,
}

/// The three parameters of an authorization, as they stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameters<'a> {
    pub(super) credential: &'a [u8],
    pub(super) signed_headers: &'a [u8],
    pub(super) signature: &'a [u8],
}

/// The longest signature: two numbers of 33 bytes in DER.
const SIGNATURE_BYTES: usize = 72;

/// The bytes of a signature: an HMAC, or ECDSA's two numbers in DER.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signature {
    bytes: [u8; SIGNATURE_BYTES],
    length: usize,
}

impl Signature {
    /// The bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Reads lower-case hex digits, 64 of them for an HMAC. Upper case is refused because AWS compares texts.
    fn parse(algorithm: Algorithm, text: &[u8]) -> Option<Self> {
        let length = text.len() / 2;
        let fits = match algorithm {
            Algorithm::Hmac => text.len() == 64,
            Algorithm::Ecdsa => text.len().is_multiple_of(2) && length <= SIGNATURE_BYTES,
        };
        if !fits {
            return None;
        }
        let mut bytes = [0; SIGNATURE_BYTES];
        let (pairs, _) = text.as_chunks::<2>();
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
        }
        Some(Self { bytes, length })
    }
}

/// The credential without the access key: what the signing key was derived for.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    /// All parts, with their slashes.
    pub(super) text: &'a [u8],
    pub(super) date: &'a [u8],
    /// None with [`Algorithm::Ecdsa`], whose regions are a set beside the credential.
    pub(super) region: Option<&'a [u8]>,
    pub(super) service: &'a [u8],
    pub(super) terminator: &'a [u8],
}

/// Names of the signed headers: lower case, ascending, no name twice.
#[derive(Debug)]
pub(super) struct SignedHeaders<'a> {
    /// The names with semicolons between them.
    pub(super) text: &'a [u8],
    names: SmallVec<[&'a [u8]; 16]>,
}

impl<'a> SignedHeaders<'a> {
    /// The names in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a [u8]> {
        self.names.iter().copied()
    }

    /// Is this header signed?
    pub(super) fn contains(&self, name: &[u8]) -> bool {
        self.names.binary_search(&name).is_ok()
    }
}

/// Parses what follows the algorithm in the header.
pub(super) fn parse_header(
    algorithm: Algorithm,
    parameters: &[u8],
) -> Result<Authorization<'_>, SignatureError> {
    if parameters.len() > MAX_LENGTH {
        return Err(SignatureError::AuthorizationTooLong {
            bytes: parameters.len(),
        });
    }
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for part in parameters.split(|byte| *byte == b',').map(trim) {
        let Some((name, value)) = split_once(part, b'=') else {
            return Err(SignatureError::NotKeyValue { part: quote(part) });
        };
        let slot = match name {
            b"Credential" => &mut credential,
            b"SignedHeaders" => &mut signed_headers,
            b"Signature" => &mut signature,
            _ => return Err(SignatureError::UnknownParameter { name: quote(name) }),
        };
        if slot.replace(value).is_some() {
            return Err(SignatureError::RepeatedParameter { name: quote(name) });
        }
    }
    let (Some(credential), Some(signed_headers), Some(signature)) =
        (credential, signed_headers, signature)
    else {
        return Err(SignatureError::MissingParameters {
            credential: credential.is_none(),
            signature: signature.is_none(),
            signed_headers: signed_headers.is_none(),
        });
    };
    parse(
        algorithm,
        &Parameters {
            credential,
            signed_headers,
            signature,
        },
    )
}

/// Parses the values of the three parameters.
pub(super) fn parse<'a>(
    algorithm: Algorithm,
    parameters: &Parameters<'a>,
) -> Result<Authorization<'a>, SignatureError> {
    let (access_key, scope) = parse_credential(algorithm, parameters.credential)?;
    Ok(Authorization {
        algorithm,
        access_key,
        scope,
        signed_headers: parse_signed_headers(parameters.signed_headers)?,
        signature: Signature::parse(algorithm, parameters.signature)
            .ok_or(SignatureError::MalformedSignature)?,
    })
}

fn parse_credential(
    algorithm: Algorithm,
    credential: &[u8],
) -> Result<(&[u8], Scope<'_>), SignatureError> {
    let malformed = || SignatureError::MalformedCredential {
        form: match algorithm {
            Algorithm::Hmac => CredentialForm::WithRegion,
            Algorithm::Ecdsa => CredentialForm::WithoutRegion,
        },
        credential: quote(credential),
    };
    let (access_key, text) = split_once(credential, b'/').ok_or_else(malformed)?;
    let mut parts = text.split(|byte| *byte == b'/');
    let date = parts.next();
    let region = match algorithm {
        Algorithm::Hmac => Some(parts.next().ok_or_else(malformed)?),
        Algorithm::Ecdsa => None,
    };
    let (Some(date), Some(service), Some(terminator), None) =
        (date, parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed());
    };
    let scope = Scope {
        text,
        date,
        region,
        service,
        terminator,
    };
    Ok((access_key, scope))
}

pub(super) fn parse_signed_headers(text: &[u8]) -> Result<SignedHeaders<'_>, SignatureError> {
    let mut names = SmallVec::new();
    let mut last: &[u8] = b"";
    for name in text.split(|byte| *byte == b';') {
        if names.len() == MAX_SIGNED_HEADERS {
            return Err(SignatureError::TooManySignedHeaders);
        }
        if !is_header_name(name) || name <= last {
            return Err(SignatureError::MalformedSignedHeaders { name: quote(name) });
        }
        names.push(name);
        last = name;
    }
    Ok(SignedHeaders { text, names })
}

/// A header name in lower case, or HTTP/2's `:authority`.
///
/// Spec: RFC 9110 §5.1, a token; RFC 9113 §8.2, in lower case.
fn is_header_name(name: &[u8]) -> bool {
    let token = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
    name == b":authority" || (!name.is_empty() && name.iter().all(token))
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Parts a header value at its first blank: the scheme, and everything after the blanks.
pub(super) fn split_scheme(value: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr2(b' ', b'\t', value).unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    (scheme, trim(rest))
}

/// Takes spaces and tabs off both ends.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let (before, after) = bytes.split_at(memchr::memchr(separator, bytes)?);
    after.split_first().map(|(_, after)| (before, after))
}
