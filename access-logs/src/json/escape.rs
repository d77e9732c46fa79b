//! Texts of strangers inside a JSON string.

/// Appends `text` so that it can stand between quotes: valid JSON, valid UTF-8, nothing that ends, hides or reorders a line.
///
/// Kept as they are: printable ASCII other than `"` and `\`, and other valid UTF-8. Escaped: control characters (C0, DEL, C1),
/// the line and paragraph separators, and the marks that reverse the direction of text, with which a viewer could be made to
/// show something else than what is there. Bytes that are not UTF-8 become U+FFFD.
pub(crate) fn push_escaped(text: &[u8], out: &mut Vec<u8>) {
    if is_plain(text) {
        out.extend_from_slice(text);
    } else {
        push_slowly(text, out);
    }
}

/// Is there nothing to escape? No early exit, so that the compiler looks at sixteen bytes at a time.
fn is_plain(text: &[u8]) -> bool {
    let special = text.iter().fold(0, |seen, &byte| {
        seen | u8::from(byte < b' ')
            | u8::from(byte > b'~')
            | u8::from(byte == b'"')
            | u8::from(byte == b'\\')
    });
    special == 0
}

#[cold]
fn push_slowly(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            push_character(character, out);
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
}

fn push_character(character: char, out: &mut Vec<u8>) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        _ if character.is_control() || misleads(character) => push_unicode_escape(character, out),
        _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Line and paragraph separator, and the embeddings, overrides and isolates of Unicode's bidirectional algorithm.
fn misleads(character: char) -> bool {
    matches!(
        character,
        '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}' | '\u{061C}'
    )
}

/// `\u0000`; every character that is escaped lies in the basic plane.
fn push_unicode_escape(character: char, out: &mut Vec<u8>) {
    let number = u32::from(character);
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        let digit = (number >> shift & 0xF) as u8;
        out.push(if digit < 10 {
            b'0' + digit
        } else {
            b'a' + (digit - 10)
        });
    }
}

/// `text`, the beginning of something longer, without the character that the cut went through.
pub(super) fn whole_characters(text: &[u8]) -> &[u8] {
    let Some(start) = text.iter().rposition(|byte| byte & 0xC0 != 0x80) else {
        return text;
    };
    let (before, last) = text.split_at(start);
    let wanted = match last.first() {
        Some(0xC2..=0xDF) => 2,
        Some(0xE0..=0xEF) => 3,
        Some(0xF0..=0xF4) => 4,
        _ => 1,
    };
    if last.len() < wanted { before } else { text }
}
