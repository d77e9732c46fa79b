//! The head of a target's answer, as the target wrote it.
//!
//! The engine reads answers by the lenient reading of RFC 9112 and gives us what came of it: a length beside a coding is dropped, folded
//! lines are joined. Whoever stands between gateway and target, or reads the same answer elsewhere, may have read otherwise, so what is
//! ambiguous is looked for in the bytes. Lines that end in LF alone are not (§2.2): the client's head is written anew.

use memchr::memchr;

use super::Violation;

/// Checks a complete head, which the engine has parsed.
pub fn check_answer(head: &[u8]) -> Result<(), Violation> {
    let lines = head
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    // Spec: RFC 9112 §2.2: empty lines in front are nothing.
    let mut lines = lines.skip_while(|line| line.is_empty());
    let status_line = lines.next().unwrap_or_default();
    if !is_text(status_line) {
        return Err(Violation::Field);
    }
    let (mut lengths, mut codings) = (0_usize, 0_usize);
    for line in lines.take_while(|line| !line.is_empty()) {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return Err(Violation::Folding);
        }
        if !is_text(line) {
            return Err(Violation::Field);
        }
        let name = memchr(b':', line).and_then(|colon| line.get(..colon));
        // Spec: RFC 9112 §5.1: blanks before the colon are not part of the name, and go no further.
        let name = name.ok_or(Violation::Field)?.trim_ascii_end();
        lengths += usize::from(name.eq_ignore_ascii_case(b"content-length"));
        codings += usize::from(name.eq_ignore_ascii_case(b"transfer-encoding"));
    }
    match (lengths, codings) {
        (0 | 1, 0) | (0, 1) => Ok(()),
        (_, 0) => Err(Violation::ContentLength),
        _ => Err(Violation::TransferEncoding),
    }
}

/// Bytes that may stand in a line: no control characters but the tab. Spec: RFC 9110 §5.5, `field-vchar` and `obs-text`.
fn is_text(line: &[u8]) -> bool {
    line.iter()
        .all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))
}
