//! Spellings of the query.
//!
//! The IAM user guide wants names and values encoded, sorted by name and then value, with an equals sign even without a value.
//! What it leaves open is how a raw query is read before it is encoded, above all what a plus sign means.

use crate::sigv4::SignatureError;

/// Most parameters in a signed query; each costs a comparison or two per spelling.
pub(in crate::sigv4) const MAX_QUERY_PARAMETERS: usize = 1_000;

/// How a signer writes the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QueryForm {
    /// Decoded and encoded anew; a plus sign is a plus sign. awscrt, the SDK for JavaScript, curl.
    Encoded,
    /// Decoded and encoded anew; a plus sign is a space, as in HTML forms. The SDKs for Go and Rust.
    FormEncoded,
    /// As sent, but sorted. botocore.
    AsSent,
}

impl QueryForm {
    /// The likeliest first.
    pub(super) const ALL: [Self; 3] = [Self::Encoded, Self::FormEncoded, Self::AsSent];
}

/// Refuses a query with too many parameters.
pub(in crate::sigv4) fn check_size(raw: Option<&[u8]>) -> Result<(), SignatureError> {
    let separators = memchr::memchr_iter(b'&', raw.unwrap_or_default()).count();
    if separators < MAX_QUERY_PARAMETERS {
        Ok(())
    } else {
        Err(SignatureError::TooManyQueryParameters)
    }
}

/// Buffers for sorting parameters.
#[derive(Debug)]
pub(super) struct Parameters {
    text: Vec<u8>,
    list: Vec<Parameter>,
}

/// A parameter by its places in the text: `start..middle` is the name, `middle..end` the value.
#[derive(Debug, Clone, Copy)]
struct Parameter {
    start: usize,
    middle: usize,
    end: usize,
}

impl Parameters {
    pub(super) const fn new() -> Self {
        Self {
            text: Vec::new(),
            list: Vec::new(),
        }
    }
}

/// Appends one spelling of `raw`.
pub(super) fn write(form: QueryForm, raw: &[u8], buffers: &mut Parameters, out: &mut Vec<u8>) {
    if raw.is_empty() {
        return;
    }
    let Parameters { text, list } = buffers;
    text.clear();
    list.clear();
    for parameter in raw.split(|byte| *byte == b'&') {
        // Signers that decode drop empty parameters; botocore keeps them.
        if parameter.is_empty() && form != QueryForm::AsSent {
            continue;
        }
        let (name, value) = split_parameter(parameter);
        let start = text.len();
        push(form, name, text);
        let middle = text.len();
        push(form, value, text);
        let end = text.len();
        list.push(Parameter { start, middle, end });
    }
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let name = |parameter: &Parameter| part(parameter.start, parameter.middle);
    let value = |parameter: &Parameter| part(parameter.middle, parameter.end);
    list.sort_unstable_by(|one, other| (name(one), value(one)).cmp(&(name(other), value(other))));
    for (position, parameter) in list.iter().enumerate() {
        if position > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name(parameter));
        out.push(b'=');
        out.extend_from_slice(value(parameter));
    }
}

fn split_parameter(parameter: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'=', parameter).unwrap_or(parameter.len());
    let (name, rest) = parameter.split_at(end);
    (name, rest.strip_prefix(b"=").unwrap_or_default())
}

fn push(form: QueryForm, raw: &[u8], out: &mut Vec<u8>) {
    if form == QueryForm::AsSent || raw.iter().all(|byte| is_unreserved(*byte)) {
        out.extend_from_slice(raw);
        return;
    }
    let mut rest = raw;
    while let Some((byte, after)) = decode_one(rest) {
        let is_form_space = form == QueryForm::FormEncoded && rest.starts_with(b"+");
        push_encoded(&[if is_form_space { b' ' } else { byte }], b"", out);
        rest = after;
    }
}

/// The first byte of a percent-encoded text, and what follows. A percent sign without two hex digits stands for itself.
pub(in crate::sigv4) fn decode_one(raw: &[u8]) -> Option<(u8, &[u8])> {
    if let [b'%', high, low, after @ ..] = raw
        && let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low))
    {
        return Some((high << 4 | low, after));
    }
    raw.split_first().map(|(byte, after)| (*byte, after))
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Appends `raw` with everything percent-encoded but unreserved characters and those in `keep`.
pub(super) fn push_encoded(raw: &[u8], keep: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = rest
        .iter()
        .position(|byte| !is_unreserved(*byte) && !keep.contains(byte))
    {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else {
            return;
        };
        out.extend_from_slice(&[b'%', upper_hex(byte >> 4), upper_hex(byte & 15)]);
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// Spec: RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn upper_hex(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'A' + nibble - 10,
    }
}
