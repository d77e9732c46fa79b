//! Header blocks, read as the client's encoder means them. Spec: RFC 7541.
//!
//! The engine reads them too, but it can only give up the connection over a field that it does not like. Whoever wants to refuse one
//! request and keep the others has to read every block, because each may change the table that later ones refer to.

use std::collections::VecDeque;

use super::huffman;

/// Most bytes of the dynamic table: we announce no other size than the one that everybody starts with.
///
/// Spec: RFC 9113 §6.5.2, `SETTINGS_HEADER_TABLE_SIZE`.
const TABLE_BYTES: usize = 4096;

/// What an entry counts beyond its name and value. Spec: RFC 7541 §4.1.
pub(super) const FIELD_OVERHEAD: usize = 32;

/// Texts up to this size leave their buffers with the decoder.
const KEPT_BUFFER: usize = 1024;

/// A block that cannot be decompressed; no later one can be, either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undecodable;

/// Reads the header blocks of one client, in their order.
#[derive(Debug)]
pub(super) struct Decoder {
    /// The dynamic table, newest entry first.
    entries: VecDeque<Entry>,
    /// What the entries count.
    bytes: usize,
    /// What they may count.
    most: usize,
    name: Vec<u8>,
    value: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    text: Box<[u8]>,
    /// Bytes of the text that are the name; the rest is the value.
    name: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            most: TABLE_BYTES,
            name: Vec::new(),
            value: Vec::new(),
        }
    }
}

impl Decoder {
    /// Reads a whole block and shows each field, name and value, in order.
    pub(super) fn decode(
        &mut self,
        mut block: &[u8],
        mut see: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Undecodable> {
        let mut seen_field = false;
        while let Some((first, rest)) = block.split_first() {
            block = match first {
                0x80.. => {
                    let (index, rest) = integer(*first, 7, rest)?;
                    let (name, value) = self.field(index)?;
                    see(name, value);
                    rest
                }
                // A new size comes before all fields. Spec: RFC 7541 §4.2.
                0x20..0x40 if seen_field => return Err(Undecodable),
                0x20..0x40 => {
                    let (most, rest) = integer(*first, 5, rest)?;
                    if most > TABLE_BYTES {
                        return Err(Undecodable);
                    }
                    self.most = most;
                    self.evict(0);
                    block = rest;
                    continue;
                }
                _ => self.literal(*first, rest, &mut see)?,
            };
            seen_field = true;
        }
        Ok(())
    }

    /// Reads a field whose value is spelled out. Spec: RFC 7541 §6.2.
    fn literal<'a>(
        &mut self,
        first: u8,
        rest: &'a [u8],
        see: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<&'a [u8], Undecodable> {
        let indexed = first & 0x40 != 0;
        let (index, rest) = integer(first, if indexed { 6 } else { 4 }, rest)?;
        let (mut name, mut value) = (
            std::mem::take(&mut self.name),
            std::mem::take(&mut self.value),
        );
        name.clear();
        value.clear();
        let rest = if index == 0 {
            text(rest, &mut name)?
        } else {
            name.extend_from_slice(self.field(index)?.0);
            rest
        };
        let rest = text(rest, &mut value)?;
        see(&name, &value);
        if indexed {
            self.insert(&name, &value);
        }
        name.shrink_to(KEPT_BUFFER);
        value.shrink_to(KEPT_BUFFER);
        (self.name, self.value) = (name, value);
        Ok(rest)
    }

    /// The field with this number in both tables. Spec: RFC 7541 §2.3.3.
    fn field(&self, index: usize) -> Result<(&[u8], &[u8]), Undecodable> {
        let place = index.checked_sub(1).ok_or(Undecodable)?;
        if let Some((name, value)) = STATIC.get(place) {
            return Ok((name.as_bytes(), value.as_bytes()));
        }
        let entry = self.entries.get(place - STATIC.len()).ok_or(Undecodable)?;
        entry.text.split_at_checked(entry.name).ok_or(Undecodable)
    }

    /// Spec: RFC 7541 §4.4: an entry larger than the table empties it.
    fn insert(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + FIELD_OVERHEAD;
        self.evict(size);
        if size <= self.most {
            self.bytes += size;
            self.entries.push_front(Entry {
                text: [name, value].concat().into_boxed_slice(),
                name: name.len(),
            });
        }
    }

    /// Drops the oldest entries until there is room for `size` more.
    fn evict(&mut self, size: usize) {
        while self.bytes + size > self.most {
            let Some(entry) = self.entries.pop_back() else {
                return;
            };
            self.bytes -= entry.text.len() + FIELD_OVERHEAD;
        }
    }
}

/// Writes a field so that no table is needed to read it, and none is changed. Spec: RFC 7541 §6.2.2.
pub(super) fn spell(name: &[u8], value: &[u8], block: &mut Vec<u8>) {
    block.push(0);
    for text in [name, value] {
        spell_length(text.len(), block);
        block.extend_from_slice(text);
    }
}

/// Spec: RFC 7541 §5.1, with seven bits in the first byte.
#[expect(
    clippy::cast_possible_truncation,
    reason = "each cast takes bits that the line before has cut to size"
)]
fn spell_length(length: usize, block: &mut Vec<u8>) {
    let Some(mut left) = length.checked_sub(0x7f) else {
        block.push(length as u8);
        return;
    };
    block.push(0x7f);
    while left >= 0x80 {
        block.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    block.push(left as u8);
}

/// Spec: RFC 7541 §5.1. Four bytes more are plenty for anything that fits into a block.
fn integer(first: u8, bits: u8, mut rest: &[u8]) -> Result<(usize, &[u8]), Undecodable> {
    let most = (1_u8 << bits) - 1;
    let mut value = usize::from(first & most);
    if first & most < most {
        return Ok((value, rest));
    }
    for shift in [0, 7, 14, 21] {
        let (byte, after) = rest.split_first().ok_or(Undecodable)?;
        rest = after;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((value, rest));
        }
    }
    Err(Undecodable)
}

/// Reads a text behind what `out` holds. Spec: RFC 7541 §5.2.
fn text<'a>(block: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], Undecodable> {
    let (first, rest) = block.split_first().ok_or(Undecodable)?;
    let (length, rest) = integer(*first, 7, rest)?;
    let (text, rest) = rest.split_at_checked(length).ok_or(Undecodable)?;
    if first & 0x80 == 0 {
        out.extend_from_slice(text);
    } else {
        huffman::decode(text, out).ok_or(Undecodable)?;
    }
    Ok(rest)
}

/// Source: RFC 7541 appendix A.
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"), (":scheme", "http"),
    (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"),
    (":status", "404"), (":status", "500"), ("accept-charset", ""), ("accept-encoding", "gzip, deflate"), ("accept-language", ""),
    ("accept-ranges", ""), ("accept", ""), ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""),
    ("cache-control", ""), ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""),
    ("content-length", ""), ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""),
    ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""),
    ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""),
    ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""), ("referer", ""),
    ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""), ("strict-transport-security", ""),
    ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
];
