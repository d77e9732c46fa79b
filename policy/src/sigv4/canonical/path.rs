//! Spellings of the path.
//!
//! The IAM user guide wants the path normalised and every segment encoded a second time (`%20` becomes `%2520`), except for
//! Amazon S3. Signers differ in how far they follow it, and the samples published for VPC Lattice differ too, so each of the
//! spellings below has to be accepted.

use super::query::push_encoded;

/// How a signer writes the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathForm {
    /// Dot segments and empty segments removed, then encoded again; ends in a slash if the raw path does. botocore, awscrt,
    /// the SDKs for Java and JavaScript.
    Normalized,
    /// As sent. The AWS samples in Go, curl up to 8.
    AsSent,
    /// Encoded again, not normalised. The SDK for Go by default, later versions of curl.
    Encoded,
    /// As `Normalized`, but `/a/.` and `/a/b/..` end in a slash, as RFC 3986 §5.2.4 has it. The SDK for Rust.
    NormalizedByRfc,
}

impl PathForm {
    /// The likeliest first.
    pub(super) const ALL: [Self; 4] = [
        Self::Normalized,
        Self::AsSent,
        Self::Encoded,
        Self::NormalizedByRfc,
    ];
}

/// Appends one spelling of `raw`.
pub(super) fn write(form: PathForm, raw: &[u8], out: &mut Vec<u8>) {
    if raw.is_empty() {
        out.push(b'/');
        return;
    }
    match form {
        PathForm::Normalized => normalize(raw, raw.ends_with(b"/"), encode, out),
        PathForm::NormalizedByRfc => {
            let dots = [b"/".as_slice(), b"/.", b"/.."];
            let slash = dots.iter().any(|end| raw.ends_with(end));
            normalize(raw, slash, encode, out);
        }
        PathForm::AsSent => out.extend_from_slice(raw),
        PathForm::Encoded => encode(raw, out),
    }
}

/// Appends a path without its empty and dot segments, each other segment written by `segment`.
pub(super) fn normalize(
    raw: &[u8],
    slash: bool,
    segment: impl Fn(&[u8], &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    let start = out.len();
    for part in raw.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                let written = out.get(start..).unwrap_or_default();
                let parent = memchr::memrchr(b'/', written).unwrap_or_default();
                out.truncate(start + parent);
            }
            _ => {
                out.push(b'/');
                segment(part, out);
            }
        }
    }
    if slash || out.len() == start {
        out.push(b'/');
    }
}

/// Encodes everything but unreserved characters and slashes.
pub(super) fn encode(raw: &[u8], out: &mut Vec<u8>) {
    push_encoded(raw, b"/", out);
}
