//! What a request says about its trace, read strictly: a field that breaks its format counts as absent, and the next format gets
//! its turn.

use http::{HeaderMap, HeaderValue};

use super::{Format, Incoming, SpanId, TraceId};

/// Longest value that is looked at. The longest that somebody means is an `x-amzn-trace-id` with its lineage.
const VALUE_BYTES: usize = 512;

/// Finds what the fields say about the trace.
///
/// Hot: one look at the names, and most requests have none of these fields.
pub fn read(headers: &HeaderMap) -> Option<Incoming> {
    let mut found = [false; 4];
    for name in headers.keys() {
        let name = name.as_str();
        // Lengths first: they differ, and hardly anything else has them.
        match name.len() {
            11 if name == "traceparent" => found[0] = true,
            2 if name == "b3" => found[1] = true,
            12 if name == "x-b3-traceid" || name == "x-b3-sampled" => found[2] = true,
            10 if name == "x-b3-flags" => found[2] = true,
            15 if name == "x-amzn-trace-id" => found[3] = true,
            _ => {}
        }
    }
    if found == [false; 4] {
        return None;
    }
    let w3c = || single(headers, "traceparent").and_then(w3c);
    let b3 = || single(headers, "b3").and_then(b3);
    let amazon = || single(headers, "x-amzn-trace-id").and_then(amazon);
    let [has_w3c, has_b3, has_multi, has_amazon] = found;
    has_w3c
        .then(w3c)
        .flatten()
        .or_else(|| has_b3.then(b3).flatten())
        .or_else(|| has_multi.then(|| b3_multi(headers)).flatten())
        .or_else(|| has_amazon.then(amazon).flatten())
}

/// The value of a field that may be there once.
fn single<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(HeaderValue::as_bytes)?;
    (values.next().is_none() && value.len() <= VALUE_BYTES).then_some(value)
}

/// Spec: W3C Trace Context §3.2: later versions begin like the first and may go on after another dash.
fn w3c(value: &[u8]) -> Option<Incoming> {
    let (version, rest) = value.split_at_checked(2)?;
    let [version] = hex::<1>(version)?;
    let (trace, rest) = after_dash(rest, 32)?;
    let (parent, rest) = after_dash(rest, 16)?;
    let (flags, rest) = after_dash(rest, 2)?;
    let ends = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.is_empty() || rest.first() == Some(&b'-'),
    };
    let [flags] = hex::<1>(flags)?;
    ends.then_some(Incoming {
        format: Format::W3c,
        trace: Some(TraceId::new(hex(trace)?)?),
        parent: Some(SpanId::new(hex(parent)?)?),
        sampled: Some(flags & 1 == 1),
    })
}

/// The next `length` bytes after a dash, and what follows.
fn after_dash(value: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    value.strip_prefix(b"-")?.split_at_checked(length)
}

fn b3(value: &[u8]) -> Option<Incoming> {
    if let Some(sampled) = b3_sampled(value) {
        return Some(wish(Format::B3, sampled));
    }
    let mut parts = value.split(|byte| *byte == b'-');
    let trace = b3_trace(parts.next()?)?;
    let span = SpanId::new(hex(parts.next()?)?)?;
    let sampled = match parts.next() {
        None => None,
        Some(state) => Some(b3_sampled(state)?),
    };
    // The parent of the span that sent the request: not ours to use, but wrong is wrong.
    if let Some(grandparent) = parts.next() {
        hex::<8>(grandparent)?;
    }
    parts.next().is_none().then_some(Incoming {
        format: Format::B3,
        trace: Some(trace),
        parent: Some(span),
        sampled,
    })
}

/// `d` asks for debugging, which is sampled.
fn b3_sampled(state: &[u8]) -> Option<bool> {
    match state {
        b"1" | b"d" => Some(true),
        b"0" => Some(false),
        _ => None,
    }
}

/// 64 or 128 bits; a short one is the lower half.
fn b3_trace(digits: &[u8]) -> Option<TraceId> {
    if let Some(long) = hex(digits) {
        return TraceId::new(long);
    }
    let short = u64::from_be_bytes(hex(digits)?);
    TraceId::new(u128::from(short).to_be_bytes())
}

fn b3_multi(headers: &HeaderMap) -> Option<Incoming> {
    let flags = single(headers, "x-b3-flags") == Some(b"1");
    let sampled = match single(headers, "x-b3-sampled") {
        _ if flags => Some(true),
        // Words are older than the digits, and still sent.
        Some(b"1" | b"true") => Some(true),
        Some(b"0" | b"false") => Some(false),
        _ => None,
    };
    let ids = single(headers, "x-b3-traceid").and_then(b3_trace).zip(
        single(headers, "x-b3-spanid")
            .and_then(hex)
            .and_then(SpanId::new),
    );
    match ids {
        Some((trace, span)) => Some(Incoming {
            format: Format::B3Multi,
            trace: Some(trace),
            parent: Some(span),
            sampled,
        }),
        None if headers.contains_key("x-b3-traceid") => None,
        None => sampled.map(|sampled| wish(Format::B3Multi, sampled)),
    }
}

fn wish(format: Format, sampled: bool) -> Incoming {
    Incoming {
        format,
        trace: None,
        parent: None,
        sampled: Some(sampled),
    }
}

/// `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`, in any order, with other fields between.
fn amazon(value: &[u8]) -> Option<Incoming> {
    let (mut trace, mut parent, mut sampled) = (None, None, None);
    for field in value.split(|byte| *byte == b';') {
        let field = field.trim_ascii();
        let Some(equals) = field.iter().position(|byte| *byte == b'=') else {
            if field.is_empty() {
                continue;
            }
            return None;
        };
        let (name, value) = field.split_at_checked(equals)?;
        let value = value.strip_prefix(b"=")?;
        match name {
            b"Root" if trace.is_none() => trace = Some(amazon_root(value)?),
            b"Parent" if parent.is_none() => parent = Some(SpanId::new(hex(value)?)?),
            b"Sampled" if sampled.is_none() => {
                sampled = Some(match value {
                    b"1" => Some(true),
                    b"0" => Some(false),
                    b"?" => None,
                    _ => return None,
                });
            }
            b"Root" | b"Parent" | b"Sampled" => return None,
            _ => {}
        }
    }
    Some(Incoming {
        format: Format::Amazon,
        trace: Some(trace?),
        parent,
        sampled: sampled.flatten(),
    })
}

/// A version, the time in seconds and a random number, in hexadecimal: together as long as everybody's.
fn amazon_root(value: &[u8]) -> Option<TraceId> {
    let (time, rest) = value
        .strip_prefix(b"1")?
        .strip_prefix(b"-")?
        .split_at_checked(8)?;
    let random = rest.strip_prefix(b"-")?;
    let mut bytes = [0; 16];
    let (first, last) = bytes.split_at_mut_checked(4)?;
    first.copy_from_slice(&hex::<4>(time)?);
    last.copy_from_slice(&hex::<12>(random)?);
    TraceId::new(bytes)
}

/// Exactly `N` bytes in hexadecimal digits of lower case.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}
