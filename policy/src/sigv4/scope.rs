//! What can be checked before any hash is computed: required headers, dates, scope, payload.
//!
//! Which headers must be signed: `host` (or `:authority`), the date, and every `x-amz-*` header of the request. The last is the
//! rule of the IAM user guide ("you must include the host header and any x-amz-* headers in the request"), and what keeps
//! somebody on the way from adding one that means something.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use trellis_model::name::Region;

use super::{
    SERVICE, SignatureError, SignedParts, Timestamp,
    authorization::{Authorization, Scope, trim},
    error::quote,
};

const TERMINATOR: &[u8] = b"aws4_request";
pub(super) const UNSIGNED_PAYLOAD: &[u8] = b"UNSIGNED-PAYLOAD";
const CONTENT_SHA256: &str = "x-amz-content-sha256";
const AMZ_DATE: &str = "x-amz-date";
const DATE: &str = "date";
const SECURITY_TOKEN: &str = "x-amz-security-token";

/// Checks everything but the signature, and says when the request was signed.
pub(super) fn check(
    authorization: &Authorization<'_>,
    parts: &SignedParts<'_>,
    region: &Region,
    skew: Duration,
    now: SystemTime,
) -> Result<Timestamp, SignatureError> {
    let headers = parts.headers;
    let signed_at = check_headers(authorization, headers)?;
    check_payload(headers)?;
    check_scope(&authorization.scope, &signed_at, region)?;
    check_clock(&signed_at, skew, now)?;
    if headers.contains_key(SECURITY_TOKEN) {
        return Err(SignatureError::SessionToken);
    }
    Ok(signed_at)
}

/// Are the required headers there and signed? Gives the date, which is one of them.
fn check_headers(
    authorization: &Authorization<'_>,
    headers: &HeaderMap,
) -> Result<Timestamp, SignatureError> {
    let signed = &authorization.signed_headers;
    if !signed.contains(b"host") && !signed.contains(b":authority") {
        return Err(SignatureError::HostNotSigned);
    }
    if !signed.contains(CONTENT_SHA256.as_bytes()) {
        return Err(SignatureError::MissingPayloadHash);
    }
    let unsigned = headers.keys().find(|name| {
        name.as_str().starts_with("x-amz-") && !signed.contains(name.as_str().as_bytes())
    });
    if let Some(name) = unsigned {
        return Err(SignatureError::NotSigned {
            name: name.as_str().into(),
        });
    }
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

fn check_payload(headers: &HeaderMap) -> Result<(), SignatureError> {
    match only_line(headers, CONTENT_SHA256)? {
        Some(value) if value == UNSIGNED_PAYLOAD => Ok(()),
        Some(value) => Err(SignatureError::SignedPayload { hash: quote(value) }),
        None => Err(SignatureError::SignedHeaderAbsent {
            name: CONTENT_SHA256.into(),
        }),
    }
}

fn check_scope(
    scope: &Scope<'_>,
    signed_at: &Timestamp,
    region: &Region,
) -> Result<(), SignatureError> {
    if scope.region != region.as_str().as_bytes() {
        return Err(SignatureError::ScopeRegion {
            region: quote(scope.region),
        });
    }
    if scope.service != SERVICE.as_bytes() {
        return Err(SignatureError::ScopeService {
            service: quote(scope.service),
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

fn check_clock(
    signed_at: &Timestamp,
    skew: Duration,
    now: SystemTime,
) -> Result<(), SignatureError> {
    // A clock before 1970 is broken; everything is then too early.
    let now = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let allowed = i64::try_from(skew.as_secs()).unwrap_or(i64::MAX);
    let behind = now.saturating_sub(signed_at.unix());
    if behind > allowed {
        return Err(SignatureError::Expired {
            signed_at: *signed_at,
            now,
            skew,
        });
    }
    if behind < -allowed {
        return Err(SignatureError::NotYetCurrent {
            signed_at: *signed_at,
            now,
            skew,
        });
    }
    Ok(())
}
