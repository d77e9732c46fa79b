//! Why a signature was refused, told twice: to the caller in AWS's words, and to the operator in ours.
//!
//! The caller must act in every case: repair the signer, the clock or the credentials. Neither text holds a canonical string,
//! a secret or a signature; what is repeated from the request is shortened and stripped of everything but harmless characters.

use std::{fmt::Write as _, time::Duration};

use super::{
    Timestamp,
    authorization::{CredentialForm, MAX_LENGTH, MAX_SIGNED_HEADERS},
    canonical::MAX_QUERY_PARAMETERS,
    presigned::MAX_EXPIRES,
};
use crate::session::TokenError;

/// A signature that was refused. `Display` is the operator's text; [`SignatureError::public_text`] is the caller's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// More than one `Authorization`, at least one of them a signature.
    #[error("several `authorization` headers, one of them a signature")]
    SeveralAuthorizations,
    /// A signature in the header and another one in the query.
    #[error("signed twice: in the `authorization` header and in the query")]
    HeaderAndQuery,
    /// A presigned query without one of the parameters that it must have.
    #[error("the signed query lacks `{name}`")]
    MissingQueryParameter {
        /// Its name.
        name: &'static str,
    },
    /// A parameter of the signature that is twice in the query, or in a header as well.
    #[error("`{name}` of the signed query is given more than once")]
    RepeatedQueryParameter {
        /// Its name.
        name: &'static str,
    },
    /// `X-Amz-Expires` is not a number of seconds up to a week.
    #[error("`X-Amz-Expires` is `{expires}`, not a number from 1 to {MAX_EXPIRES}")]
    MalformedExpires {
        /// As given.
        expires: Box<str>,
    },
    /// An algorithm of AWS that is neither that of Signature Version 4 nor that of 4A.
    #[error(
        "signature algorithm `{algorithm}` is neither `AWS4-HMAC-SHA256` nor `AWS4-ECDSA-P256-SHA256`"
    )]
    UnsupportedAlgorithm {
        /// As the caller named it.
        algorithm: Box<str>,
    },
    /// The header is longer than is looked at.
    #[error("`authorization` header of {bytes} bytes, more than {MAX_LENGTH}")]
    AuthorizationTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A part of the header without an equals sign.
    #[error("`{part}` in the `authorization` header is not of the form `name=value`")]
    NotKeyValue {
        /// The part.
        part: Box<str>,
    },
    /// A parameter that is none of the three.
    #[error("unknown parameter `{name}` in the `authorization` header")]
    UnknownParameter {
        /// Its name.
        name: Box<str>,
    },
    /// A parameter that came before.
    #[error("parameter `{name}` of the `authorization` header is given twice")]
    RepeatedParameter {
        /// Its name.
        name: Box<str>,
    },
    /// At least one of the three parameters is not there.
    #[error("the `authorization` header lacks {}", missing_names(*credential, *signature, *signed_headers))]
    MissingParameters {
        /// Is `Credential` missing?
        credential: bool,
        /// Is `Signature` missing?
        signature: bool,
        /// Is `SignedHeaders` missing?
        signed_headers: bool,
    },
    /// `Credential` does not have the parts that its algorithm wants.
    #[error("credential `{credential}` does not have the parts `{}`", form.as_str())]
    MalformedCredential {
        /// How it should look.
        form: CredentialForm,
        /// As given.
        credential: Box<str>,
    },
    /// `SignedHeaders` holds something that is not a header name in lower case, or is not in ascending order.
    #[error("signed header `{name}` is not a header name in lower case, or not in ascending order")]
    MalformedSignedHeaders {
        /// The first name that does not fit.
        name: Box<str>,
    },
    /// More signed headers than a request may have.
    #[error("more than {MAX_SIGNED_HEADERS} signed headers")]
    TooManySignedHeaders,
    /// `Signature` is not of the length that its algorithm makes, or not in lower-case hex digits.
    #[error("the signature is not in lower-case hex digits of the right number")]
    MalformedSignature,
    /// Neither `x-amz-date` nor `date`.
    #[error("neither an `x-amz-date` nor a `date` header")]
    MissingDate,
    /// The date is not of a known form.
    #[error("date `{date}` is not of the form `YYYYMMDDTHHMMSSZ`")]
    MalformedDate {
        /// As given.
        date: Box<str>,
    },
    /// A header that must come once came again.
    #[error("header `{name}` is given more than once")]
    RepeatedHeader {
        /// Its name.
        name: &'static str,
    },
    /// Neither `host` nor `:authority` is signed.
    #[error("neither `host` nor `:authority` is signed")]
    HostNotSigned,
    /// A header that must be signed is not.
    #[error("header `{name}` is not signed")]
    NotSigned {
        /// Its name.
        name: Box<str>,
    },
    /// A signed header is not in the request.
    #[error("signed header `{name}` is not in the request")]
    SignedHeaderAbsent {
        /// Its name.
        name: Box<str>,
    },
    /// `x-amz-content-sha256` is missing or not signed.
    #[error("`x-amz-content-sha256` is not signed; it must be, with the value `UNSIGNED-PAYLOAD`")]
    MissingPayloadHash,
    /// `x-amz-content-sha256` holds something else than `UNSIGNED-PAYLOAD`.
    #[error("`x-amz-content-sha256` is `{hash}` instead of `UNSIGNED-PAYLOAD`")]
    SignedPayload {
        /// As given.
        hash: Box<str>,
    },
    /// Scoped to another region, or to a set of regions without this one.
    #[error("signature scoped to region `{region}`")]
    ScopeRegion {
        /// As given.
        region: Box<str>,
    },
    /// Signature Version 4A without its set of regions.
    #[error("neither a header nor a query parameter `X-Amz-Region-Set`")]
    MissingRegionSet,
    /// Scoped to another service.
    #[error("signature scoped to service `{service}`")]
    ScopeService {
        /// As given.
        service: Box<str>,
        /// The right one.
        wanted: &'static str,
    },
    /// The scope does not end in `aws4_request`.
    #[error("signature scope ends in `{terminator}`")]
    ScopeTerminator {
        /// As given.
        terminator: Box<str>,
    },
    /// Scoped to another day than the request's.
    #[error("signature scoped to day `{date}`, but made at {signed_at}")]
    ScopeDate {
        /// As given.
        date: Box<str>,
        /// The request's date.
        signed_at: Timestamp,
    },
    /// Signed too long ago.
    #[error("signed at {signed_at}, more than {} s before the gateway's clock, {}", lifetime.as_secs(), clock(*now))]
    Expired {
        /// The request's date.
        signed_at: Timestamp,
        /// The gateway's clock, in seconds after 1970.
        now: i64,
        /// How long it held: the allowed difference of clocks, or `X-Amz-Expires`.
        lifetime: Duration,
    },
    /// Signed too far in the future.
    #[error("signed at {signed_at}, more than {} s after the gateway's clock, {}", skew.as_secs(), clock(*now))]
    NotYetCurrent {
        /// The request's date.
        signed_at: Timestamp,
        /// The gateway's clock, in seconds after 1970.
        now: i64,
        /// The allowed difference.
        skew: Duration,
    },
    /// Temporary credentials that are no good, or no good any more.
    #[error("{0}")]
    SessionToken(#[source] TokenError),
    /// More query parameters than are sorted.
    #[error("more than {MAX_QUERY_PARAMETERS} query parameters in a signed request")]
    TooManyQueryParameters,
    /// Nobody has this access key.
    #[error("unknown access key `{access_key}`")]
    UnknownAccessKey {
        /// Its id.
        access_key: Box<str>,
    },
    /// The signature is wrong: not made with the key's secret, or the request changed on its way.
    #[error("signature by access key `{access_key}` does not match the request")]
    Mismatch {
        /// The key's id.
        access_key: Box<str>,
    },
}

/// Exceptions of AWS that answer a bad signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureFault {
    /// Something of the signature is missing or malformed.
    Incomplete,
    /// It is not the signature of this request here and now.
    Invalid,
    /// Nobody has the access key, or the token is no good.
    UnrecognizedClient,
    /// The token is over.
    ExpiredToken,
}

const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
    Access Key and signing method. Consult the service documentation for details.";

impl SignatureError {
    /// Status of the answer.
    pub fn status(&self) -> u16 {
        403
    }

    /// Body of the answer, plain text: the exception of AWS and its message.
    pub fn public_text(&self) -> String {
        let name = match self.fault() {
            SignatureFault::Incomplete => "IncompleteSignatureException",
            SignatureFault::Invalid => "InvalidSignatureException",
            SignatureFault::UnrecognizedClient => "UnrecognizedClientException",
            SignatureFault::ExpiredToken => "ExpiredTokenException",
        };
        format!("{name}: {}", self.public_message())
    }

    /// Which exception of AWS it is.
    pub fn fault(&self) -> SignatureFault {
        match self {
            Self::SeveralAuthorizations
            | Self::HeaderAndQuery
            | Self::MissingQueryParameter { .. }
            | Self::RepeatedQueryParameter { .. }
            | Self::MalformedExpires { .. }
            | Self::MissingRegionSet
            | Self::UnsupportedAlgorithm { .. }
            | Self::AuthorizationTooLong { .. }
            | Self::NotKeyValue { .. }
            | Self::UnknownParameter { .. }
            | Self::RepeatedParameter { .. }
            | Self::MissingParameters { .. }
            | Self::MalformedCredential { .. }
            | Self::MalformedSignedHeaders { .. }
            | Self::TooManySignedHeaders
            | Self::MissingDate
            | Self::MalformedDate { .. }
            | Self::RepeatedHeader { .. }
            | Self::SignedHeaderAbsent { .. }
            | Self::MissingPayloadHash => SignatureFault::Incomplete,
            Self::HostNotSigned
            | Self::NotSigned { .. }
            | Self::SignedPayload { .. }
            | Self::ScopeRegion { .. }
            | Self::ScopeService { .. }
            | Self::ScopeTerminator { .. }
            | Self::ScopeDate { .. }
            | Self::Expired { .. }
            | Self::NotYetCurrent { .. }
            | Self::TooManyQueryParameters
            | Self::MalformedSignature
            | Self::Mismatch { .. } => SignatureFault::Invalid,
            Self::SessionToken(TokenError::Expired) => SignatureFault::ExpiredToken,
            Self::SessionToken(_) | Self::UnknownAccessKey { .. } => {
                SignatureFault::UnrecognizedClient
            }
        }
    }

    /// The message of the exception.
    ///
    /// Texts of `MissingPayloadHash` and `SignedHeaderAbsent` are those seen from VPC Lattice (awslabs/aws-sigv4-proxy #116,
    /// curl/curl #11007); the others are what AWS services answer generally; ours where AWS has no such case.
    #[expect(
        clippy::too_many_lines,
        reason = "a table: one text per variant, and the compiler sees that none is missing"
    )]
    pub fn public_message(&self) -> String {
        match self {
            Self::SeveralAuthorizations => "The 'Authorization' header must be given once.".into(),
            Self::HeaderAndQuery => {
                "Sign either the 'Authorization' header or the query string, not both.".into()
            }
            Self::MissingQueryParameter { name } => format!(
                "AWS query-string parameters must include '{name}'. \
                Re-examine the query-string parameters."
            ),
            Self::RepeatedQueryParameter { name } => {
                format!("'{name}' must be given once in a signed query string.")
            }
            Self::MalformedExpires { expires } => format!(
                "X-Amz-Expires must be a number of seconds from 1 to {MAX_EXPIRES}, \
                got '{expires}'."
            ),
            Self::MissingRegionSet => "Missing the 'x-amz-region-set' in canonical headers.".into(),
            Self::UnsupportedAlgorithm { algorithm } => format!(
                "Unsupported AWS 'algorithm': '{algorithm}' (only AWS4-HMAC-SHA256 and \
                AWS4-ECDSA-P256-SHA256)."
            ),
            Self::AuthorizationTooLong { .. } => {
                format!("The 'Authorization' header is longer than {MAX_LENGTH} bytes.")
            }
            Self::NotKeyValue { part } => format!(
                "'{part}' not a valid key=value pair (missing equal-sign) \
                in Authorization header."
            ),
            Self::UnknownParameter { name } => {
                format!("Authorization header does not know the '{name}' parameter.")
            }
            Self::RepeatedParameter { name } => {
                format!("Authorization header requires the '{name}' parameter once.")
            }
            Self::MissingParameters {
                credential,
                signature,
                signed_headers,
            } => missing_sentences(*credential, *signature, *signed_headers),
            Self::MalformedCredential { form, credential } => format!(
                "Credential must have exactly {} slash-delimited elements, \
                e.g. {}, got '{credential}'.",
                form.elements(),
                form.example(),
            ),
            Self::MalformedSignedHeaders { name } => format!(
                "'SignedHeaders' must be header names in lower case and \
                ascending order, got '{name}'."
            ),
            Self::TooManySignedHeaders => {
                format!("'SignedHeaders' must not name more than {MAX_SIGNED_HEADERS} headers.")
            }
            Self::MissingDate => "Authorization header requires existence of either a \
                'X-Amz-Date' or a 'Date' header."
                .into(),
            Self::MalformedDate { date } => format!(
                "Date must be in ISO-8601 'basic format'. Got '{date}'. See \
                http://en.wikipedia.org/wiki/ISO_8601"
            ),
            Self::RepeatedHeader { name } => format!("The '{name}' header must be given once."),
            Self::HostNotSigned => "'Host' or ':authority' must be a 'SignedHeader' in the AWS \
                Authorization."
                .into(),
            Self::NotSigned { name } => {
                format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.")
            }
            Self::SignedHeaderAbsent { name } => format!(
                "'{name}' is named as a SignedHeader, but it does not exist \
                in the HTTP request."
            ),
            Self::MissingPayloadHash => {
                "Missing the 'x-amz-content-sha256' in canonical headers.".into()
            }
            Self::SignedPayload { hash } => format!(
                "Payload signing is not supported: 'x-amz-content-sha256' \
                must be 'UNSIGNED-PAYLOAD', got '{hash}'."
            ),
            Self::ScopeRegion { region } => {
                format!("Credential should be scoped to a valid region, not '{region}'.")
            }
            Self::ScopeService { wanted, .. } => {
                format!("Credential should be scoped to correct service: '{wanted}'.")
            }
            Self::ScopeTerminator { terminator } => format!(
                "Credential should be scoped with a valid terminator: \
                'aws4_request', not '{terminator}'."
            ),
            Self::ScopeDate { date, signed_at } => format!(
                "Date in Credential scope does not match YYYYMMDD from \
                ISO-8601 version of date from HTTP: '{date}' != '{}', from '{signed_at}'.",
                quote(&signed_at.date()),
            ),
            Self::Expired {
                signed_at,
                now,
                lifetime,
            } => format!(
                "Signature expired: {signed_at} is now earlier than {} ({} - {}.)",
                clock(now.saturating_sub_unsigned(lifetime.as_secs())),
                clock(*now),
                minutes(*lifetime),
            ),
            Self::NotYetCurrent {
                signed_at,
                now,
                skew,
            } => format!(
                "Signature not yet current: {signed_at} is still later than {} ({} + {}.)",
                clock(now.saturating_add_unsigned(skew.as_secs())),
                clock(*now),
                minutes(*skew),
            ),
            Self::TooManyQueryParameters => format!(
                "A signed request must not have more than \
                {MAX_QUERY_PARAMETERS} query parameters."
            ),
            Self::SessionToken(TokenError::Expired) => {
                "The security token included in the request is expired".into()
            }
            Self::SessionToken(_) | Self::UnknownAccessKey { .. } => {
                "The security token included in the request is invalid.".into()
            }
            Self::MalformedSignature | Self::Mismatch { .. } => MISMATCH.into(),
        }
    }
}

/// AWS says one sentence for each missing parameter.
fn missing_sentences(credential: bool, signature: bool, signed_headers: bool) -> String {
    missing(credential, signature, signed_headers)
        .map(|name| format!("Authorization header requires '{name}' parameter."))
        .collect::<Vec<_>>()
        .join(" ")
}

fn missing_names(credential: bool, signature: bool, signed_headers: bool) -> String {
    missing(credential, signature, signed_headers)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn missing(
    credential: bool,
    signature: bool,
    signed_headers: bool,
) -> impl Iterator<Item = &'static str> {
    [
        ("Credential", credential),
        ("Signature", signature),
        ("SignedHeaders", signed_headers),
    ]
    .into_iter()
    .filter_map(|(name, missing)| missing.then_some(name))
}

/// Seconds after 1970 in the form that signatures use.
fn clock(unix: i64) -> String {
    Timestamp::from_unix(unix).map_or_else(|| unix.to_string(), |moment| moment.to_string())
}

/// `5 min` as AWS writes it, or seconds if the minutes are not whole.
fn minutes(skew: Duration) -> String {
    match skew.as_secs() {
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// Longest piece of a request that is repeated in a text.
const QUOTE_LENGTH: usize = 100;

/// A piece of a request, fit to be repeated to the caller and in a log line.
pub(crate) fn quote(bytes: &[u8]) -> Box<str> {
    let mut text = String::with_capacity(bytes.len().min(QUOTE_LENGTH));
    for byte in bytes.iter().take(QUOTE_LENGTH) {
        text.push(match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(*byte),
            b'-' | b'_' | b'.' | b':' | b'/' | b'+' | b'=' | b';' | b',' | b' ' | b'*' => {
                char::from(*byte)
            }
            _ => '?',
        });
    }
    if bytes.len() > QUOTE_LENGTH {
        let _infallible = write!(text, "… ({} bytes)", bytes.len());
    }
    text.into()
}
