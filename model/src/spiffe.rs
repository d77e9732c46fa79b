//! The grammar of SPIFFE IDs, for mappings and for certificates alike.
//!
//! Source: SPIFFE-ID specification, §2: `spiffe://`, a trust domain in lower case, a path of non-empty segments, and nothing else; no
//! escapes, so two IDs are the same exactly when their bytes are.

#[cfg(test)]
mod tests;

/// Longest SPIFFE ID, in bytes. Source: SPIFFE-ID specification, §2.3.
const LONGEST: usize = 2048;

/// Longest trust domain. Source: the same.
const LONGEST_DOMAIN: usize = 255;

const SCHEME: &str = "spiffe://";

/// Why a text is not a SPIFFE ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeIdError {
    /// Something else before the trust domain.
    #[error("it does not begin with `spiffe://`")]
    Scheme,
    /// Too long.
    #[error("it is longer than {LONGEST} bytes")]
    Length,
    /// The trust domain is empty, too long, or has other characters.
    #[error("a trust domain is of 1 to {LONGEST_DOMAIN} lower case letters, digits and `- . _`")]
    TrustDomain,
    /// A segment of the path is empty, `.` or `..`, or has other characters.
    #[error(
        "segments of the path are of letters, digits and `- . _`, and none is empty, `.` or `..`"
    )]
    Path,
}

/// Is this a SPIFFE ID? One without a path is that of the trust domain itself.
pub fn check(text: &str) -> Result<(), SpiffeIdError> {
    if text.len() > LONGEST {
        return Err(SpiffeIdError::Length);
    }
    let rest = text.strip_prefix(SCHEME).ok_or(SpiffeIdError::Scheme)?;
    let (domain, path) = match rest.split_once('/') {
        Some((domain, path)) => (domain, Some(path)),
        None => (rest, None),
    };
    if !is_domain(domain) {
        return Err(SpiffeIdError::TrustDomain);
    }
    match path {
        Some(path) if !path.split('/').all(is_segment) => Err(SpiffeIdError::Path),
        _ => Ok(()),
    }
}

/// Does this text have a whole trust domain, with the slash after it, and after that what IDs may have?
pub fn has_whole_domain(prefix: &str) -> bool {
    let Some((domain, path)) = prefix
        .strip_prefix(SCHEME)
        .and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let mut segments = path.split('/').rev();
    // The last one is perhaps only begun.
    let begun = segments
        .next()
        .is_some_and(|last| last.bytes().all(is_of_path));
    is_domain(domain) && begun && segments.all(is_segment)
}

fn is_domain(domain: &str) -> bool {
    let fits = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_')
    };
    (1..=LONGEST_DOMAIN).contains(&domain.len()) && domain.bytes().all(fits)
}

fn is_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..") && segment.bytes().all(is_of_path)
}

fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}
