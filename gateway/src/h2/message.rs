//! What a header block says: whether it is a well-formed request or trailer section, and what a record of it needs.

use trellis_routing::Authority;

use super::hpack::FIELD_OVERHEAD;
use crate::h1;

/// Longest target, and longest name, that the engine's types can hold.
const TEXT_BYTES: usize = u16::MAX as usize - 1;

/// Why a request or its trailer section is malformed. Its stream is reset. Spec: RFC 9113 §8.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A name that RFC 9113 §8.2.1 forbids.
    #[error(
        "a header name is empty, has an upper-case letter or another character that none may have"
    )]
    Name,
    /// A value that RFC 9113 §8.2.1 forbids.
    #[error("a header value has a control character, or a blank at one of its ends")]
    Value,
    /// A field of one connection. Spec: RFC 9113 §8.2.2.
    #[error("a header is about the connection, which HTTP/2 forbids")]
    Connection,
    /// A pseudo-header that requests do not have, one that is there twice, behind a field, or in a trailer section. Spec: RFC 9113 §8.3.
    #[error("a pseudo-header is unknown, repeated or out of place")]
    Pseudo,
    /// `:method`, `:scheme` or `:path` is missing, or there where it must not be. Spec: RFC 9113 §8.3.1, §8.5.
    #[error("a pseudo-header is missing, or one too many")]
    Incomplete,
    /// `:method` is no token.
    #[error("`:method` is not a token")]
    Method,
    /// `:scheme` is neither of those that are served.
    #[error("`:scheme` is neither http nor https")]
    Scheme,
    /// `:path` is no path.
    #[error("`:path` is neither an absolute path nor the asterisk of OPTIONS")]
    Path,
    /// The authority is missing, unreadable, or there twice and different.
    #[error("`:authority` or `host` is missing, malformed or contradictory")]
    Authority,
    /// `content-length` is no length, there twice, or contradicts a missing body.
    #[error("`content-length` is not the length of the body")]
    Length,
    /// More than is read of any head.
    #[error("the header list is far too large")]
    TooLarge,
    /// The block cannot be decompressed, and with it no later one of the connection.
    #[error("the header block cannot be decompressed")]
    Undecodable,
    /// A second header block that does not end the stream. Spec: RFC 9113 §8.1.
    #[error("a trailer section does not end its stream")]
    Unfinished,
}

/// Is the field one of a single connection, which HTTP/2 has other means for? Spec: RFC 9113 §8.2.2.
fn is_connection_field(name: &[u8], value: &[u8]) -> bool {
    match name {
        b"connection" | b"transfer-encoding" | b"upgrade" | b"keep-alive" | b"proxy-connection" => {
            true
        }
        b"te" => value != b"trailers",
        _ => false,
    }
}

/// Checks the fields of a request, pseudo-headers included, whose header block ends its stream or does not.
pub fn check_request<'a>(
    fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ends: bool,
) -> Result<(), Fault> {
    let mut request = Request::new(usize::MAX);
    for (name, value) in fields {
        request.see(name, value);
    }
    request.finish(ends)
}

/// A request as it is being read.
#[derive(Debug)]
pub(super) struct Request {
    fault: Option<Fault>,
    /// What the list may still count. Spec: RFC 9113 §6.5.2, `SETTINGS_MAX_HEADER_LIST_SIZE`.
    room: usize,
    /// Has a field come that is no pseudo-header?
    in_fields: bool,
    scheme: Option<Vec<u8>>,
    host: Option<Vec<u8>>,
    length: Option<u64>,
    /// `:method`, where it came.
    pub(super) method: Option<Vec<u8>>,
    /// `:path`, where it came.
    pub(super) path: Option<Vec<u8>>,
    /// `:authority`, where it came.
    pub(super) authority: Option<Vec<u8>>,
}

impl Request {
    /// Nothing read yet of a list that may count so much.
    pub(super) fn new(room: usize) -> Self {
        Self {
            fault: None,
            room,
            in_fields: false,
            scheme: None,
            host: None,
            length: None,
            method: None,
            path: None,
            authority: None,
        }
    }

    /// Takes in a field. After a fault only what a record needs is looked for.
    pub(super) fn see(&mut self, name: &[u8], value: &[u8]) {
        let seen = take_room(&mut self.room, name, value).and_then(|()| {
            if name.first() == Some(&b':') {
                self.see_pseudo(name, value)
            } else {
                self.in_fields = true;
                self.see_field(name, value)
            }
        });
        if let Err(fault) = seen {
            self.fault.get_or_insert(fault);
        }
    }

    /// Is there no fault so far?
    pub(super) fn is_sound(&self) -> bool {
        self.fault.is_none()
    }

    fn see_pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        let repeated = match name {
            b":method" => keep(&mut self.method, value),
            b":path" => keep(&mut self.path, value),
            b":authority" => keep(&mut self.authority, value),
            b":scheme" => keep(&mut self.scheme, value),
            _ => true,
        };
        if repeated || self.in_fields {
            Err(Fault::Pseudo)
        } else {
            Ok(())
        }
    }

    fn see_field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        check_field(name, value)?;
        match name {
            b"host" if keep(&mut self.host, value) => Err(Fault::Authority),
            b"content-length" => {
                let length = h1::parse_length(value).ok_or(Fault::Length)?;
                match self.length.replace(length) {
                    Some(_) => Err(Fault::Length),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// All fields have come; is it a request?
    pub(super) fn finish(&self, ends: bool) -> Result<(), Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let method = self.method.as_deref().ok_or(Fault::Incomplete)?;
        if method.is_empty() || !method.iter().copied().all(h1::is_token) {
            return Err(Fault::Method);
        }
        if method == b"CONNECT" {
            if self.scheme.is_some() || self.path.is_some() {
                return Err(Fault::Incomplete);
            }
        } else {
            let scheme = self.scheme.as_deref().ok_or(Fault::Incomplete)?;
            if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
                return Err(Fault::Scheme);
            }
            check_path(self.path.as_deref().ok_or(Fault::Incomplete)?, method)?;
        }
        self.check_authority()?;
        if ends && self.length.is_some_and(|length| length > 0) {
            return Err(Fault::Length);
        }
        Ok(())
    }

    /// Spec: RFC 9113 §8.3.1: `:authority` and `host`, where both are given, must agree.
    fn check_authority(&self) -> Result<(), Fault> {
        let authority = match (self.authority.as_deref(), self.host.as_deref()) {
            (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => None,
            (Some(authority), _) => Some(authority),
            (None, host) => host,
        };
        match authority.map(Authority::parse) {
            Some(Ok(_)) => Ok(()),
            _ => Err(Fault::Authority),
        }
    }
}

/// Keeps the value; true when there was one.
fn keep(place: &mut Option<Vec<u8>>, value: &[u8]) -> bool {
    if place.is_none() {
        *place = Some(value.to_vec());
        return false;
    }
    true
}

/// Spec: RFC 9113 §8.3.1.
fn check_path(path: &[u8], method: &[u8]) -> Result<(), Fault> {
    let form = path.starts_with(b"/") || (path == b"*" && method == b"OPTIONS");
    if form && path.len() <= TEXT_BYTES && h1::is_target_text(path) {
        Ok(())
    } else {
        Err(Fault::Path)
    }
}

/// Checks a field of a request or of its trailer section, which has no pseudo-headers.
fn check_field(name: &[u8], value: &[u8]) -> Result<(), Fault> {
    let good_name = |byte: &u8| h1::is_token(*byte) && !byte.is_ascii_uppercase();
    if name.is_empty() || name.len() > TEXT_BYTES || !name.iter().all(good_name) {
        return Err(Fault::Name);
    }
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if blank(value.first()) || blank(value.last()) || !value.iter().copied().all(h1::is_field_text)
    {
        return Err(Fault::Value);
    }
    if is_connection_field(name, value) {
        return Err(Fault::Connection);
    }
    Ok(())
}

/// A trailer section as it is being read.
#[derive(Debug)]
pub(super) struct Trailers {
    fault: Option<Fault>,
    room: usize,
}

impl Trailers {
    /// Nothing read yet of a list that may count so much.
    pub(super) fn new(room: usize) -> Self {
        Self { fault: None, room }
    }

    /// Takes in a field.
    pub(super) fn see(&mut self, name: &[u8], value: &[u8]) {
        let seen = take_room(&mut self.room, name, value).and_then(|()| {
            if name.first() == Some(&b':') {
                Err(Fault::Pseudo)
            } else {
                check_field(name, value)
            }
        });
        if let Err(fault) = seen {
            self.fault.get_or_insert(fault);
        }
    }

    /// Is there no fault so far?
    pub(super) fn is_sound(&self) -> bool {
        self.fault.is_none()
    }

    /// All fields have come; is it a trailer section?
    pub(super) fn finish(&self, ends: bool) -> Result<(), Fault> {
        match self.fault {
            Some(fault) => Err(fault),
            None if ends => Ok(()),
            None => Err(Fault::Unfinished),
        }
    }
}

/// Counts a field. Nothing fits any more behind one that does not.
fn take_room(room: &mut usize, name: &[u8], value: &[u8]) -> Result<(), Fault> {
    let left = room.checked_sub(name.len() + value.len() + FIELD_OVERHEAD);
    *room = left.unwrap_or_default();
    left.map(|_| ()).ok_or(Fault::TooLarge)
}
