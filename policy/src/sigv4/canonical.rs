//! What the client may have signed: the canonical request, in every spelling that published signers produce.
//!
//! The canonical request has six parts: method, path, query, header lines, names of the signed headers, payload hash. Signers
//! agree on all but the spelling of path, query and host, so those are tried in turn until the signature fits:
//!
//! * **path** ([`path`]): normalised and encoded again, in two ways; as sent; encoded again but not normalised. For an ordinary
//!   path all four are one.
//! * **query** ([`query`]): decoded and encoded anew, a plus sign standing for itself or for a space; as sent. For an ordinary
//!   query all three are one.
//! * **host**: as sent; without its port (the AWS sample for gRPC in Go signs so).
//!
//! Accepting several spellings means that one signature fits several requests: whoever holds a signed request could turn
//! `/a%20b` into `/a%2520b`, or `/b` into `/x/../b`. The second holds for every verifier that normalises, AWS's included; both
//! need the signed request itself, which TLS keeps, and are over when the signature expires.
//!
//! Work on hostile input is bounded: the number of signed headers and query parameters is limited, and all spellings
//! after the first share a budget of hashed bytes.

mod path;
mod query;

use std::ops::Range;

use ring::digest;

pub(super) use self::query::{MAX_QUERY_PARAMETERS, check_size as check_query_size, decode_one};
use self::{path::PathForm, query::QueryForm};
use super::{SignatureError, SignedParts, Timestamp, authorization::SignedHeaders};
use crate::facts::header_separator;

/// Most bytes of canonical requests that are hashed for one signature, beyond the first.
///
/// All 24 spellings of a request with 5 KiB of signed headers fit; a request of 60 KiB gets its first three.
const MAX_HASHED_BYTES: usize = 128 * 1024;

/// Capacity that a thread keeps between requests, per buffer.
const KEPT_BYTES: usize = 64 * 1024;

/// What is signed besides the request itself.
#[derive(Debug)]
pub(super) struct Terms<'a, 'n> {
    /// The first line of the text to sign.
    pub(super) algorithm: &'a [u8],
    pub(super) signed_at: &'a Timestamp,
    /// The credential without the access key.
    pub(super) scope: &'a [u8],
    pub(super) signed_headers: &'a SignedHeaders<'n>,
    /// The hash of the body, or the word that stands for none.
    pub(super) payload: &'a [u8],
}

/// Buffers for canonicalising, reused from request to request.
#[derive(Debug)]
pub(super) struct Scratch {
    /// Header lines, their names, payload hash: what all spellings share but for the host's port.
    tail: Vec<u8>,
    /// The canonical request in the spelling being tried.
    request: Vec<u8>,
    to_sign: Vec<u8>,
    paths: Spellings,
    queries: Spellings,
    parameters: query::Parameters,
}

impl Scratch {
    /// Empty buffers.
    pub(super) const fn new() -> Self {
        Self {
            tail: Vec::new(),
            request: Vec::new(),
            to_sign: Vec::new(),
            paths: Spellings::new(),
            queries: Spellings::new(),
            parameters: query::Parameters::new(),
        }
    }

    /// Gives back what an unusually large request made the buffers grow to.
    pub(super) fn shrink(&mut self) {
        for buffer in [
            &mut self.tail,
            &mut self.request,
            &mut self.to_sign,
            &mut self.paths.text,
            &mut self.queries.text,
        ] {
            buffer.clear();
            buffer.shrink_to(KEPT_BYTES);
        }
    }

    /// Writes what all spellings share.
    pub(super) fn prepare<'a>(
        &'a mut self,
        parts: &'a SignedParts<'a>,
        terms: &Terms<'_, '_>,
    ) -> Result<CanonicalRequest<'a>, SignatureError> {
        query::check_size(parts.query)?;
        self.tail.clear();
        let port = write_headers(parts, terms.signed_headers, &mut self.tail)?;
        self.tail.push(b'\n');
        self.tail.extend_from_slice(terms.signed_headers.text);
        self.tail.push(b'\n');
        self.tail.extend_from_slice(terms.payload);

        self.to_sign.clear();
        for line in [terms.algorithm, terms.signed_at.as_bytes(), terms.scope] {
            self.to_sign.extend_from_slice(line);
            self.to_sign.push(b'\n');
        }

        self.paths.clear();
        self.queries.clear();
        Ok(CanonicalRequest {
            to_sign_prefix: self.to_sign.len(),
            scratch: self,
            parts,
            port,
        })
    }
}

/// A request about to be canonicalised.
#[derive(Debug)]
pub(super) struct CanonicalRequest<'a> {
    scratch: &'a mut Scratch,
    parts: &'a SignedParts<'a>,
    /// Where the tail holds the host's port, colon included.
    port: Option<Range<usize>>,
    to_sign_prefix: usize,
}

/// How the host is written in the canonical request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostForm {
    AsSent,
    WithoutPort,
}

impl CanonicalRequest<'_> {
    /// Does `accept` take the text to sign of any spelling? The likeliest comes first and needs no other to be written.
    pub(super) fn any_text_to_sign(mut self, mut accept: impl FnMut(&[u8]) -> bool) -> bool {
        let ([path, paths @ ..], [query, queries @ ..]) = (PathForm::ALL, QueryForm::ALL);
        self.spell_path(path);
        self.spell_query(query);
        if accept(self.text_to_sign(HostForm::AsSent, 0, 0)) {
            return true;
        }
        for form in paths {
            self.spell_path(form);
        }
        for form in queries {
            self.spell_query(form);
        }
        self.others(accept)
    }

    /// Tries all spellings but the first.
    fn others(&mut self, mut accept: impl FnMut(&[u8]) -> bool) -> bool {
        let mut hashed = 0;
        let hosts = match self.port {
            Some(_) => [HostForm::AsSent, HostForm::WithoutPort].as_slice(),
            None => &[HostForm::AsSent],
        };
        for host in hosts {
            for query in 0..self.scratch.queries.len() {
                for path in 0..self.scratch.paths.len() {
                    if (*host, query, path) == (HostForm::AsSent, 0, 0) {
                        continue;
                    }
                    if accept(self.text_to_sign(*host, query, path)) {
                        return true;
                    }
                    hashed += self.scratch.request.len();
                    if hashed > MAX_HASHED_BYTES {
                        return false;
                    }
                }
            }
        }
        false
    }

    fn spell_path(&mut self, form: PathForm) {
        let raw = self.parts.path;
        self.scratch.paths.add(|out| path::write(form, raw, out));
    }

    fn spell_query(&mut self, form: QueryForm) {
        let raw = self.parts.query.unwrap_or_default();
        let Scratch {
            queries,
            parameters,
            ..
        } = &mut *self.scratch;
        queries.add(|out| query::write(form, raw, parameters, out));
    }

    /// Writes the canonical request with these spellings.
    fn write_request(&mut self, host: HostForm, query: usize, path: usize) {
        let Scratch {
            tail,
            request,
            paths,
            queries,
            ..
        } = &mut *self.scratch;
        request.clear();
        request.extend_from_slice(self.parts.method.as_bytes());
        request.push(b'\n');
        request.extend_from_slice(paths.spelling(path));
        request.push(b'\n');
        request.extend_from_slice(queries.spelling(query));
        request.push(b'\n');
        match (&self.port, host) {
            (Some(port), HostForm::WithoutPort) => {
                request.extend_from_slice(tail.get(..port.start).unwrap_or_default());
                request.extend_from_slice(tail.get(port.end..).unwrap_or_default());
            }
            _ => request.extend_from_slice(tail),
        }
    }

    /// The text whose HMAC is the signature.
    fn text_to_sign(&mut self, host: HostForm, query: usize, path: usize) -> &[u8] {
        self.write_request(host, query, path);
        let Scratch {
            request, to_sign, ..
        } = &mut *self.scratch;
        to_sign.truncate(self.to_sign_prefix);
        for byte in digest::digest(&digest::SHA256, request).as_ref() {
            to_sign.extend_from_slice(&hex(*byte));
        }
        to_sign
    }
}

/// Distinct spellings of one part, one after the other.
#[derive(Debug)]
struct Spellings {
    text: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl Spellings {
    const fn new() -> Self {
        Self {
            text: Vec::new(),
            ranges: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ranges.clear();
    }

    fn len(&self) -> usize {
        self.ranges.len()
    }

    fn spelling(&self, index: usize) -> &[u8] {
        self.ranges
            .get(index)
            .and_then(|range| self.text.get(range.clone()))
            .unwrap_or_default()
    }

    /// Adds what `write` appends, unless it is there already.
    fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.text.len();
        write(&mut self.text);
        let added = self.text.get(start..).unwrap_or_default();
        if (0..self.len()).any(|known| self.spelling(known) == added) {
            self.text.truncate(start);
        } else {
            self.ranges.push(start..self.text.len());
        }
    }
}

/// Writes the lines of the signed headers, and says where the host's port is.
fn write_headers(
    parts: &SignedParts<'_>,
    signed_headers: &SignedHeaders<'_>,
    out: &mut Vec<u8>,
) -> Result<Option<Range<usize>>, SignatureError> {
    let mut port = None;
    for name in signed_headers.names() {
        out.extend_from_slice(name);
        out.push(b':');
        if name == b"host" || name == b":authority" {
            let start = out.len();
            write_value(parts.authority, out);
            if let Some(length) = port_length(parts.authority) {
                let end = out.len();
                port = Some(end.saturating_sub(length).max(start)..end);
            }
        } else {
            write_lines(parts, name, out)?;
        }
        out.push(b'\n');
    }
    Ok(port)
}

/// Writes all values of one header as one list.
fn write_lines(
    parts: &SignedParts<'_>,
    name: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), SignatureError> {
    let name = std::str::from_utf8(name).unwrap_or_default();
    let mut lines = parts.headers.get_all(name).iter();
    let Some(first) = lines.next() else {
        return Err(SignatureError::SignedHeaderAbsent { name: name.into() });
    };
    write_value(first.as_bytes(), out);
    for line in lines {
        out.extend_from_slice(header_separator(name.as_bytes()).as_bytes());
        write_value(line.as_bytes(), out);
    }
    Ok(())
}

/// Writes a value without blanks at its ends, each run of blanks within it as one space.
///
/// Blanks are spaces and tabs, as for botocore, awscrt, JavaScript and curl; the signers of Go and Rust leave tabs alone.
fn write_value(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = super::authorization::trim(value);
    while let Some(blank) = memchr::memchr2(b' ', b'\t', rest) {
        let (word, after) = rest.split_at(blank);
        out.extend_from_slice(word);
        out.push(b' ');
        rest = super::authorization::trim(after);
    }
    out.extend_from_slice(rest);
}

/// Length of `:port` at the end of an authority, if there is one.
fn port_length(authority: &[u8]) -> Option<usize> {
    let digits = authority
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let colon = authority.len().checked_sub(digits + 1)?;
    (digits > 0 && authority.get(colon) == Some(&b':')).then_some(digits + 1)
}

pub(super) fn hex(byte: u8) -> [u8; 2] {
    let digit = |nibble: u8| match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + nibble - 10,
    };
    [digit(byte >> 4), digit(byte & 15)]
}

#[cfg(test)]
mod tests;
