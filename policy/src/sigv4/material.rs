//! Does a request carry signed material, and is it of a kind that can be verified?
//!
//! When in doubt it does: a request that looks signed must not slip through as anonymous.

use http::header::AUTHORIZATION;
use memchr::memmem;

use super::{
    Presigned, SignatureError, SignedParts,
    authorization::{Algorithm, split_scheme, trim},
};

/// Where a request carries its signature.
#[derive(Debug, Clone, Copy)]
pub(super) enum Material<'a> {
    /// In `Authorization`: the algorithm, and the parameters after it.
    Header(Algorithm, &'a [u8]),
    /// In the query, which is this.
    Query(&'a [u8]),
}

/// Names of query parameters that make a request a presigned one.
///
/// Where a query can be a signature at all ([`Presigned`]). Compared without case and after percent-decoding: a signer writes
/// them exactly so, but what a server behind might read as signed must not be anonymous here.
const PRESIGNED: [&[u8]; 3] = [b"x-amz-algorithm", b"x-amz-credential", b"x-amz-signature"];

/// The request's signature; none if it is not signed at all.
pub(super) fn find<'a>(parts: &SignedParts<'a>) -> Result<Option<Material<'a>>, SignatureError> {
    let header = authorization(parts)?;
    let query = match parts.presigned {
        Presigned::Counts => parts.query.filter(|query| is_presigned(query)),
        Presigned::Ignored => None,
    };
    match (header, query) {
        (None, None) => Ok(None),
        (None, Some(query)) => Ok(Some(Material::Query(query))),
        (Some(_), Some(_)) => Err(SignatureError::HeaderAndQuery),
        (Some(value), None) => {
            let (scheme, parameters) = split_scheme(value);
            let algorithm = Algorithm::named(scheme)?;
            Ok(Some(Material::Header(algorithm, parameters)))
        }
    }
}

/// The one AWS `Authorization`, if there is any.
fn authorization<'a>(parts: &SignedParts<'a>) -> Result<Option<&'a [u8]>, SignatureError> {
    let mut lines = parts.headers.get_all(AUTHORIZATION).iter();
    let Some(first) = lines.next() else {
        return Ok(None);
    };
    let first = trim(first.as_bytes());
    let mut others = lines.map(|line| trim(line.as_bytes())).peekable();
    let alone = others.peek().is_none();
    if is_aws(first) {
        return if alone {
            Ok(Some(first))
        } else {
            Err(SignatureError::SeveralAuthorizations)
        };
    }
    if joins_aws(first) || others.any(|line| is_aws(line) || joins_aws(line)) {
        return Err(SignatureError::SeveralAuthorizations);
    }
    Ok(None)
}

/// Every scheme of AWS begins so: `AWS4-HMAC-SHA256`, `AWS4-ECDSA-P256-SHA256`, and the old `AWS` and `AWS3`.
fn is_aws(value: &[u8]) -> bool {
    let (scheme, _) = split_scheme(value);
    scheme
        .get(..3)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"AWS"))
}

/// Did somebody on the way join two `Authorization` lines with a comma, the later one of AWS?
fn joins_aws(value: &[u8]) -> bool {
    memmem::find_iter(value, b"AWS4-").any(|at| {
        let before = value.get(..at).and_then(<[u8]>::last);
        matches!(before, Some(b' ' | b'\t' | b','))
    })
}

fn is_presigned(query: &[u8]) -> bool {
    query.split(|byte| *byte == b'&').any(|parameter| {
        matches!(parameter, [b'x' | b'X' | b'%', ..]) && {
            let name = parameter
                .split(|byte| *byte == b'=')
                .next()
                .unwrap_or_default();
            PRESIGNED.iter().any(|wanted| decodes_to(name, wanted))
        }
    })
}

/// Is `raw`, percent-decoded and whatever its case, the text `wanted`?
pub(super) fn decodes_to(raw: &[u8], wanted: &[u8]) -> bool {
    let mut rest = raw;
    for want in wanted {
        let Some((byte, after)) = super::canonical::decode_one(rest) else {
            return false;
        };
        if !byte.eq_ignore_ascii_case(want) {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}
