//! The head of a request: request line and header fields.

use std::ops::Range;

use memchr::{memchr, memchr_iter};

use super::{Body, Violation};

/// Limits on a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Largest head in bytes, request line included.
    pub bytes: usize,
    /// Most header fields.
    pub fields: usize,
}

/// HTTP version of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// What a well-formed head says about framing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// HTTP version of the request.
    pub version: Version,
    /// How the body is framed.
    pub body: Body,
    /// Does the client ask to change the protocol?
    pub upgrade: bool,
    /// The scheme and authority of an absolute target, to be cut from the head so that all targets are in origin form.
    pub absolute: Option<Range<usize>>,
}

/// Search for the end of a head, resumable as bytes arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadEnd {
    /// The head is the first so many bytes.
    At(usize),
    /// Not there yet; continue the search from this position when more bytes have come.
    Beyond(usize),
}

/// Looks for the empty line that ends a head, starting at `from` (what an earlier call returned, or zero).
///
/// Finds bare LF on the way, so that a client which never sends CRLF is refused at once rather than waited for.
pub fn find_end(bytes: &[u8], from: usize) -> Result<HeadEnd, Violation> {
    let unseen = bytes.get(from..).unwrap_or_default();
    for position in memchr_iter(b'\n', unseen) {
        let end = from + position + 1;
        let line = bytes.get(..end).unwrap_or_default();
        if !line.ends_with(b"\r\n") {
            return Err(Violation::BareLineFeed);
        }
        if line.ends_with(b"\r\n\r\n") {
            return Ok(HeadEnd::At(end));
        }
    }
    Ok(HeadEnd::Beyond(bytes.len()))
}

/// Checks a complete head (everything up to and including the empty line).
pub fn check(head: &[u8], limits: HeadLimits) -> Result<Head, Violation> {
    if head.len() > limits.bytes {
        return Err(Violation::TooLarge);
    }
    let (request_line, mut rest) = split_line(head).ok_or(Violation::RequestLine)?;
    let line = check_request_line(request_line)?;
    let mut fields = Fields::default();
    let mut count = 0;
    while let Some((field, after)) = split_line(rest) {
        rest = after;
        if field.is_empty() {
            break;
        }
        count += 1;
        if count > limits.fields {
            return Err(Violation::TooLarge);
        }
        fields.see(field)?;
    }
    fields.conclude(&line, request_line)
}

/// Splits off the first line, without its CRLF.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr(b'\n', bytes)?;
    let line = bytes.get(..end)?.strip_suffix(b"\r")?;
    Some((line, bytes.get(end + 1..)?))
}

/// A checked request line.
struct RequestLine {
    version: Version,
    absolute: Option<Absolute>,
}

/// Scheme and authority of an absolute target, and within them the authority.
type Absolute = (Range<usize>, Range<usize>);

/// Spec: RFC 9112 §3, with exactly one space between the parts.
fn check_request_line(line: &[u8]) -> Result<RequestLine, Violation> {
    let method_end = memchr(b' ', line).ok_or(Violation::RequestLine)?;
    let (method, rest) = line.split_at(method_end);
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(Violation::RequestLine);
    }
    let rest = rest.get(1..).unwrap_or_default();
    let target_end = memchr(b' ', rest).ok_or(Violation::RequestLine)?;
    let (target, version) = rest.split_at(target_end);
    let version = match version {
        b" HTTP/1.1" => Version::Http11,
        b" HTTP/1.0" => Version::Http10,
        other
            if other
                .strip_prefix(b" HTTP/")
                .is_some_and(|number| number.iter().all(u8::is_ascii_graphic)) =>
        {
            return Err(Violation::Version);
        }
        _ => return Err(Violation::RequestLine),
    };
    if method == b"CONNECT" {
        return Err(Violation::Connect);
    }
    let absolute = check_target(method, target)?.map(|(cut, authority)| {
        let start = method_end + 1;
        (shift(&cut, start), shift(&authority, start))
    });
    Ok(RequestLine { version, absolute })
}

fn shift(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}

/// Is this a request target that we route: origin form, absolute form, or `*` for OPTIONS?
///
/// For the absolute form, gives the part to cut and the authority within it. Spec: RFC 9112 §3.2.
fn check_target(method: &[u8], target: &[u8]) -> Result<Option<Absolute>, Violation> {
    if !is_target_text(target) {
        return Err(Violation::Target);
    }
    if target.starts_with(b"/") || (target == b"*" && method == b"OPTIONS") {
        return Ok(None);
    }
    let scheme_length = [&b"http://"[..], b"https://"]
        .iter()
        .find(|scheme| {
            target
                .get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
        .map(|scheme| scheme.len())
        .ok_or(Violation::Target)?;
    let after = target.get(scheme_length..).unwrap_or_default();
    let authority_length = memchr(b'/', after).ok_or(Violation::Target)?;
    let end = scheme_length + authority_length;
    Ok(Some((0..end, scheme_length..end)))
}

/// May these bytes stand in a request target? Visible ASCII, without what RFC 3986 leaves to no part of a URI and parsers
/// disagree on: `#` would be a fragment, `"`, `<` and `>` are rewritten by some.
pub fn is_target_text(target: &[u8]) -> bool {
    !target.is_empty()
        && target
            .iter()
            .all(|byte| matches!(byte, 0x21..=0x7e) && !matches!(byte, b'#' | b'"' | b'<' | b'>'))
}

/// What the header fields seen so far say about framing and host.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    /// Was there a `Transfer-Encoding`?
    coded: bool,
    chunked: bool,
    upgrade: bool,
}

impl<'a> Fields<'a> {
    /// Takes in one field line. Spec: RFC 9112 §5.
    fn see(&mut self, line: &'a [u8]) -> Result<(), Violation> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(Violation::Folding);
        }
        let colon = memchr(b':', line).ok_or(Violation::Field)?;
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default();
        if name.is_empty()
            || !name.iter().all(|byte| is_token(*byte))
            || !value.iter().all(|byte| is_field_text(*byte))
        {
            return Err(Violation::Field);
        }
        self.interpret(name, value.trim_ascii())
    }

    fn interpret(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Violation> {
        match Known::of(name) {
            Known::Host => {
                // A user before the host: the engine would refuse it too, but without a record.
                if memchr(b'@', value).is_some() || self.host.replace(value).is_some() {
                    return Err(Violation::Host);
                }
            }
            Known::Upgrade => self.upgrade = true,
            Known::ContentLength => {
                let length = parse_length(value).ok_or(Violation::ContentLength)?;
                if self.length.replace(length).is_some() {
                    return Err(Violation::ContentLength);
                }
            }
            Known::TransferEncoding => {
                if self.chunked {
                    return Err(Violation::TransferEncoding);
                }
                self.coded = true;
                self.chunked = parse_codings(value)?;
            }
            Known::Disguised => return Err(Violation::Field),
            Known::Other => {}
        }
        Ok(())
    }

    /// Puts request line and fields together. Spec: RFC 9112 §3.2 (host), §6.1 and §6.3 (body).
    fn conclude(self, line: &RequestLine, request_line: &[u8]) -> Result<Head, Violation> {
        if line.version == Version::Http11 && self.host.is_none() {
            return Err(Violation::Host);
        }
        if let Some((_, authority)) = &line.absolute {
            let authority = request_line.get(authority.clone()).unwrap_or_default();
            if self
                .host
                .is_none_or(|host| !host.eq_ignore_ascii_case(authority))
            {
                return Err(Violation::Host);
            }
        }
        if self.coded && !self.chunked {
            return Err(Violation::TransferEncoding);
        }
        if self.chunked && (self.length.is_some() || line.version == Version::Http10) {
            return Err(Violation::TransferEncoding);
        }
        let body = match self.length {
            _ if self.chunked => Body::chunked(),
            None | Some(0) => Body::None,
            Some(length) => Body::Length(length),
        };
        let absolute = line.absolute.as_ref().map(|(cut, _)| cut.clone());
        Ok(Head {
            version: line.version,
            body,
            upgrade: self.upgrade,
            absolute,
        })
    }
}

/// The fields that framing and routing depend on.
enum Known {
    Host,
    Upgrade,
    ContentLength,
    TransferEncoding,
    /// A name that a sloppy reader (CGI and its heirs) would take for one that frames the body: `Content_Length`.
    Disguised,
    Other,
}

impl Known {
    fn of(name: &[u8]) -> Self {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is(b"host") => Self::Host,
            7 if is(b"upgrade") => Self::Upgrade,
            14 if is(b"content-length") => Self::ContentLength,
            17 if is(b"transfer-encoding") => Self::TransferEncoding,
            _ if is_disguised(name) => Self::Disguised,
            _ => Self::Other,
        }
    }
}

/// Would a sloppy reader (CGI and its heirs) take this name for one that frames the body, which it is not? `Content_Length`.
pub fn is_disguised(name: &[u8]) -> bool {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    name.len() >= 13
        && ((reduces_to(name, b"contentlength") && !is(b"content-length"))
            || (reduces_to(name, b"transferencoding") && !is(b"transfer-encoding")))
}

/// Is `letters` what is left of `name` without its punctuation?
fn reduces_to(name: &[u8], letters: &[u8]) -> bool {
    let reduced = name
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(u8::to_ascii_lowercase);
    reduced.eq(letters.iter().copied())
}

/// Does a `Transfer-Encoding` line end the list with `chunked`? `identity`, which RFC 2616 had for "nothing done", is skipped.
///
/// Other codings are understood by nobody we forward to; they are refused with 501 (RFC 9112 §6.1).
fn parse_codings(value: &[u8]) -> Result<bool, Violation> {
    let mut chunked = false;
    for coding in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        if chunked {
            return Err(Violation::TransferEncoding);
        }
        if coding.eq_ignore_ascii_case(b"chunked") {
            chunked = true;
        } else if [
            &b"gzip"[..],
            b"x-gzip",
            b"deflate",
            b"compress",
            b"x-compress",
        ]
        .iter()
        .any(|known| coding.eq_ignore_ascii_case(known))
        {
            return Err(Violation::Coding);
        } else if !coding.eq_ignore_ascii_case(b"identity") {
            return Err(Violation::TransferEncoding);
        }
    }
    Ok(chunked)
}

/// A plain decimal number: no sign, no list, no blanks, no overflow.
pub(crate) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 {
        return None;
    }
    value.iter().try_fold(0u64, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u64::from(byte - b'0'))
    })
}

/// Spec: RFC 9110 §5.6.2, `tchar`.
pub(crate) fn is_token(byte: u8) -> bool {
    matches!(byte,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
}

/// Spec: RFC 9110 §5.5: visible characters, blanks and obs-text; no other control character.
pub(crate) fn is_field_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..=0xff)
}
