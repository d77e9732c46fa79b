//! The name and port that a request was sent to: a strict reading of `Host` and `:authority`.
//!
//! Stricter than RFC 3986 on purpose. Every liberty in this field (userinfo, percent-encoding, an empty or padded port) is one on
//! which two programs may disagree, and a gateway that reads another name than its target is a way around a policy. What is
//! refused here is answered with 400 before anything else is looked at.

#[cfg(test)]
mod tests;

use std::{net::Ipv6Addr, num::NonZeroU16};

/// A parsed `Host` or `:authority`, borrowed from the request.
///
/// The host is a name of letters, digits, `-`, `.` and `_` (which covers IPv4 addresses), or an IPv6 address in brackets. The
/// port is 1–65535 where there is one. Case is kept as sent.
///
/// Source: RFC 9110 §7.2; RFC 3986 §3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority<'a> {
    host: &'a [u8],
    port: Option<NonZeroU16>,
}

/// Why an authority is refused. The caller must act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// There is no host.
    #[error("the authority has no host")]
    Empty,
    /// The host has more than [`Authority::HOST_LIMIT`] bytes.
    #[error("the host of the authority has {length} bytes, more than {limit}", limit = Authority::HOST_LIMIT)]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// There is a user before an `@`.
    #[error("the authority names a user")]
    UserInfo,
    /// The host contains a byte that no host may contain; white space and `%` are among them.
    #[error("`{}` may not stand in the host of an authority", byte.escape_ascii())]
    BadByte {
        /// The first such byte.
        byte: u8,
    },
    /// Two dots follow each other, or the host begins with one.
    #[error("the host of the authority has an empty label")]
    EmptyLabel,
    /// What stands in brackets is not an IPv6 address, or the brackets are not closed.
    #[error("the brackets of the authority hold no IPv6 address")]
    BadAddress,
    /// What follows the host is not one colon and a number 1–65535 without leading zeros.
    #[error("the authority has no valid port after the host")]
    BadPort,
}

impl<'a> Authority<'a> {
    /// Most bytes of a host: those of the longest domain name, and one trailing dot not counted.
    ///
    /// Source: RFC 1035 §2.3.4.
    pub const HOST_LIMIT: usize = 255;

    /// Reads the whole value of the field. Never allocates, whatever the bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, AuthorityError> {
        read(bytes).map_err(|error| {
            // `user:secret@host` fails as a bad port first; say what it really is.
            if bytes.contains(&b'@') {
                AuthorityError::UserInfo
            } else {
                error
            }
        })
    }

    /// The host as sent, in any case, without port and trailing dot; an IPv6 address keeps its brackets.
    pub fn host(&self) -> &'a [u8] {
        self.host
    }

    /// The port, where one was sent.
    pub fn port(&self) -> Option<u16> {
        self.port.map(NonZeroU16::get)
    }
}

fn read(bytes: &[u8]) -> Result<Authority<'_>, AuthorityError> {
    let bracketed = bytes.first() == Some(&b'[');
    let host_length = if bracketed {
        memchr::memchr(b']', bytes).ok_or(AuthorityError::BadAddress)? + 1
    } else {
        memchr::memchr(b':', bytes).unwrap_or(bytes.len())
    };
    let (host, rest) = bytes
        .split_at_checked(host_length)
        .ok_or(AuthorityError::Empty)?;
    let host = if bracketed {
        check_address(host)?;
        host
    } else {
        let host = host.strip_suffix(b".").unwrap_or(host);
        check_name(host)?;
        host
    };
    Ok(Authority {
        host,
        port: read_port(rest)?,
    })
}

fn check_name(host: &[u8]) -> Result<(), AuthorityError> {
    if host.is_empty() {
        return Err(AuthorityError::Empty);
    }
    if host.len() > Authority::HOST_LIMIT {
        return Err(AuthorityError::TooLong { length: host.len() });
    }
    // Folds without early exit, which the compiler turns into vector instructions: hosts are short and nearly always good.
    if !host
        .iter()
        .fold(true, |good, byte| good & is_name_byte(*byte))
    {
        let bad = host.iter().find(|byte| !is_name_byte(**byte));
        return Err(AuthorityError::BadByte {
            byte: bad.copied().unwrap_or_default(),
        });
    }
    let twin_dots = host
        .iter()
        .zip(host.iter().skip(1))
        .any(|pair| pair == (&b'.', &b'.'));
    // A lone dot is left of `..` once the trailing one is off.
    if twin_dots || host.first() == Some(&b'.') || host.last() == Some(&b'.') {
        return Err(AuthorityError::EmptyLabel);
    }
    Ok(())
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// Zones (`%eth0`) and the address versions of the future are refused with everything else that is no IPv6 address.
fn check_address(host: &[u8]) -> Result<(), AuthorityError> {
    let inner = host
        .strip_prefix(b"[")
        .and_then(|rest| rest.strip_suffix(b"]"))
        .ok_or(AuthorityError::BadAddress)?;
    match std::str::from_utf8(inner).map(str::parse::<Ipv6Addr>) {
        Ok(Ok(_)) => Ok(()),
        _ => Err(AuthorityError::BadAddress),
    }
}

fn read_port(rest: &[u8]) -> Result<Option<NonZeroU16>, AuthorityError> {
    let digits = match rest {
        [] => return Ok(None),
        // `str::parse` would take a sign and leading zeros.
        [b':', digits @ ..] if matches!(digits, [b'1'..=b'9', ..]) => digits,
        _ => return Err(AuthorityError::BadPort),
    };
    std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or(AuthorityError::BadPort)
}
