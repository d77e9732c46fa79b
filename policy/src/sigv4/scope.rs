//! What can be checked before any hash is computed: required headers, dates, scope, payload.
//!
//! Which headers must be signed: `host` (or `:authority`), the date, and every `x-amz-*` header of the request. The last is the
//! rule of the IAM user guide ("you must include the host header and any x-amz-* headers in the request"), and what keeps
//! somebody on the way from adding one that means something.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use trellis_model::name::Region;

use super::{
    SignatureError, SignedParts, Timestamp,
    authorization::{Authorization, Scope, SignedHeaders, trim},
    error::quote,
    presigned::{Parameter, SignedQuery},
    purpose::Purpose,
};
use crate::wildcard::{Part, Pattern};

const TERMINATOR: &[u8] = b"aws4_request";
pub(super) const UNSIGNED_PAYLOAD: &[u8] = b"UNSIGNED-PAYLOAD";
const CONTENT_SHA256: &str = "x-amz-content-sha256";
const AMZ_DATE: &str = "x-amz-date";
const DATE: &str = "date";
const SECURITY_TOKEN: &str = "x-amz-security-token";

const REGION_SET: &str = "x-amz-region-set";

/// What a signature states beside the authorization, in headers or in the query.
#[derive(Debug)]
pub(super) struct Statement<'a> {
    pub(super) signed_at: Timestamp,
    /// How long it holds after that; none is as long as clocks may differ.
    pub(super) lifetime: Option<Duration>,
    /// The regions of [`super::authorization::Algorithm::Ecdsa`].
    pub(super) regions: Option<&'a [u8]>,
    /// The session that the access key belongs to.
    pub(super) token: Option<&'a [u8]>,
}

/// Reads what a signature in the header states, and checks that the headers it needs are there and signed.
pub(super) fn read_header<'a>(
    authorization: &Authorization<'_>,
    parts: &SignedParts<'a>,
    purpose: &Purpose<'_>,
) -> Result<Statement<'a>, SignatureError> {
    let signed_at = check_headers(authorization, parts.headers, purpose)?;
    check_payload(parts.headers, purpose)?;
    Ok(Statement {
        signed_at,
        lifetime: None,
        regions: only_line(parts.headers, REGION_SET)?,
        token: only_line(parts.headers, SECURITY_TOKEN)?,
    })
}

/// The same of a signature in the query.
///
/// The word for an unsigned payload may stand in a signed header, as VPC Lattice's own clients have it, in the query, where the
/// SDK for JavaScript moves it, or nowhere, as in URLs that a browser is to follow; it is what must have been signed in each case.
pub(super) fn read_query<'a>(
    authorization: &Authorization<'_>,
    query: &'a SignedQuery<'_>,
    parts: &SignedParts<'a>,
    purpose: &Purpose<'_>,
) -> Result<Statement<'a>, SignatureError> {
    let headers = parts.headers;
    check_host(&authorization.signed_headers)?;
    check_amz_headers(&authorization.signed_headers, headers)?;
    let hashes = [
        only_line(headers, CONTENT_SHA256)?,
        query.optional(Parameter::ContentSha256),
    ];
    hashes
        .into_iter()
        .flatten()
        .try_for_each(|hash| check_payload_hash(hash, purpose))?;
    let either = |header: &'static str, parameter: Parameter| match (
        only_line(headers, header)?,
        query.optional(parameter),
    ) {
        (Some(_), Some(_)) => Err(SignatureError::RepeatedQueryParameter {
            name: parameter.name(),
        }),
        (one, other) => Ok(one.or(other)),
    };
    Ok(Statement {
        signed_at: query.signed_at()?,
        lifetime: Some(query.lifetime()?),
        regions: either(REGION_SET, Parameter::RegionSet)?,
        token: either(SECURITY_TOKEN, Parameter::SecurityToken)?,
    })
}

/// Checks what can be checked of a signature without knowing the key.
pub(super) fn check(
    authorization: &Authorization<'_>,
    statement: &Statement<'_>,
    purpose: &Purpose<'_>,
    skew: Duration,
    now: SystemTime,
) -> Result<(), SignatureError> {
    let scope = &authorization.scope;
    if let Some(given) = scope.region {
        check_region(given, purpose.takes_region(given))?;
    } else {
        let regions = statement.regions.ok_or(SignatureError::MissingRegionSet)?;
        check_region(regions, is_among(regions, purpose.region))?;
    }
    check_scope(scope, &statement.signed_at, purpose.service)?;
    check_clock(statement, skew, now)
}

/// Are the required headers there and signed? Gives the date, which is one of them.
fn check_headers(
    authorization: &Authorization<'_>,
    headers: &HeaderMap,
    purpose: &Purpose<'_>,
) -> Result<Timestamp, SignatureError> {
    let signed = &authorization.signed_headers;
    check_host(signed)?;
    if purpose.needs_payload_header() && !signed.contains(CONTENT_SHA256.as_bytes()) {
        return Err(SignatureError::MissingPayloadHash);
    }
    check_amz_headers(signed, headers)?;
    if let Some(value) = only_line(headers, AMZ_DATE)? {
        return Timestamp::parse(value)
            .ok_or_else(|| SignatureError::MalformedDate { date: quote(value) });
    }
    // Signers that find a `date` header in the request use it instead (botocore does), and AWS falls back to it.
    let value = only_line(headers, DATE)?.ok_or(SignatureError::MissingDate)?;
    if !signed.contains(b"date") {
        return Err(SignatureError::NotSigned { name: DATE.into() });
    }
    Timestamp::parse(value)
        .or_else(|| Timestamp::parse_http_date(value))
        .ok_or_else(|| SignatureError::MalformedDate { date: quote(value) })
}

fn check_host(signed: &SignedHeaders<'_>) -> Result<(), SignatureError> {
    if signed.contains(b"host") || signed.contains(b":authority") {
        Ok(())
    } else {
        Err(SignatureError::HostNotSigned)
    }
}

fn check_amz_headers(
    signed: &SignedHeaders<'_>,
    headers: &HeaderMap,
) -> Result<(), SignatureError> {
    let unsigned = headers.keys().find(|name| {
        name.as_str().starts_with("x-amz-") && !signed.contains(name.as_str().as_bytes())
    });
    match unsigned {
        None => Ok(()),
        Some(name) => Err(SignatureError::NotSigned {
            name: name.as_str().into(),
        }),
    }
}

/// The value of a header that must not come twice.
fn only_line<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a [u8]>, SignatureError> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next().map(|value| trim(value.as_bytes()));
    match lines.next() {
        None => Ok(first),
        Some(_) => Err(SignatureError::RepeatedHeader { name }),
    }
}

fn check_payload(headers: &HeaderMap, purpose: &Purpose<'_>) -> Result<(), SignatureError> {
    match only_line(headers, CONTENT_SHA256)? {
        Some(value) => check_payload_hash(value, purpose),
        None if !purpose.needs_payload_header() => Ok(()),
        None => Err(SignatureError::SignedHeaderAbsent {
            name: CONTENT_SHA256.into(),
        }),
    }
}

fn check_payload_hash(value: &[u8], purpose: &Purpose<'_>) -> Result<(), SignatureError> {
    if value == purpose.payload() {
        Ok(())
    } else {
        Err(SignatureError::SignedPayload { hash: quote(value) })
    }
}

fn check_region(given: &[u8], fits: bool) -> Result<(), SignatureError> {
    if fits {
        return Ok(());
    }
    Err(SignatureError::ScopeRegion {
        region: quote(given),
    })
}

/// Is the region one of a set, `us-west-2,eu-*`? A star stands for any characters.
///
/// Source: IAM user guide, "AWS Signature Version 4A", `X-Amz-Region-Set`.
fn is_among(regions: &[u8], region: &Region) -> bool {
    regions.split(|byte| *byte == b',').map(trim).any(|one| {
        let parts = one.iter().map(|byte| match byte {
            b'*' => Part::Many,
            byte => Part::Byte(*byte),
        });
        Pattern::new(parts).matches(region.as_str())
    })
}

fn check_scope(
    scope: &Scope<'_>,
    signed_at: &Timestamp,
    service: &'static str,
) -> Result<(), SignatureError> {
    if scope.service != service.as_bytes() {
        return Err(SignatureError::ScopeService {
            service: quote(scope.service),
            wanted: service,
        });
    }
    if scope.terminator != TERMINATOR {
        return Err(SignatureError::ScopeTerminator {
            terminator: quote(scope.terminator),
        });
    }
    if scope.date != signed_at.date() {
        return Err(SignatureError::ScopeDate {
            date: quote(scope.date),
            signed_at: *signed_at,
        });
    }
    Ok(())
}

/// A presigned query holds for the time it states, to the second: it was made to last, not to arrive at once.
fn check_clock(
    statement: &Statement<'_>,
    skew: Duration,
    now: SystemTime,
) -> Result<(), SignatureError> {
    // A clock before 1970 is broken; everything is then too early.
    let now = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    let behind = now.saturating_sub(statement.signed_at.unix());
    let lifetime = statement.lifetime.unwrap_or(skew);
    if behind > seconds(lifetime) {
        return Err(SignatureError::Expired {
            signed_at: statement.signed_at,
            now,
            lifetime,
        });
    }
    if behind < -seconds(skew) {
        return Err(SignatureError::NotYetCurrent {
            signed_at: statement.signed_at,
            now,
            skew,
        });
    }
    Ok(())
}
