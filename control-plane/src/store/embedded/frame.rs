//! The writes of a change as bytes: for each, the length of the key, the key, one byte that says whether there is a value, its
//! length and the value. Lengths are 32 bits, most significant byte first.

use crate::store::Write;

/// The bytes of some writes.
pub(super) fn write(writes: &[Write]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for one in writes {
        text(&mut bytes, one.key.as_bytes());
        match &one.value {
            None => bytes.push(0),
            Some(value) => {
                bytes.push(1);
                text(&mut bytes, value);
            }
        }
    }
    bytes
}

fn text(bytes: &mut Vec<u8>, text: &[u8]) {
    // Keys and values are far below 4 GiB: stores refuse larger ones.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    bytes.extend(length.to_be_bytes());
    bytes.extend(text);
}

/// The writes, unless the bytes are not those of any.
pub(super) fn read(mut bytes: &[u8]) -> Option<Vec<Write>> {
    let mut writes = Vec::new();
    while !bytes.is_empty() {
        let key = std::str::from_utf8(take_text(&mut bytes)?).ok()?.to_owned();
        let value = match take(&mut bytes, 1)? {
            [0] => None,
            [1] => Some(take_text(&mut bytes)?.to_vec()),
            _ => return None,
        };
        writes.push(Write { key, value });
    }
    Some(writes)
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take(bytes, 4)?.try_into().ok().map(u32::from_be_bytes)?;
    take(bytes, usize::try_from(length).ok()?)
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}
