//! Records by templates.

use std::time::UNIX_EPOCH;

use time::OffsetDateTime;
use trellis_model::record::{
    Field,
    schema::REDACTED,
    template::{Operator, Piece, Template, TimePart, Value},
};

use crate::{
    json::{Line, Stamp, push_escaped},
    record::{FailureReason, Record},
};

/// What a template's line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// A line of its own.
    Line,
    /// A string of JSON.
    Json,
}

/// Appends a template with the values of `record`; what is absent is `-`.
pub(super) fn template(
    template: &Template,
    within: Within,
    record: &Record<'_>,
    line: &mut Line<'_>,
    stamp: &mut Stamp,
) {
    for piece in template.pieces() {
        match piece {
            // Templates hold no control characters, and a line has no use for the escape of a quote.
            Piece::Literal(literal) if within == Within::Line => line.raw(literal.as_bytes()),
            Piece::Literal(literal) => push_escaped(literal.as_bytes(), line.out),
            Piece::Value(value) => {
                let start = line.out.len();
                write(value, record, line, stamp);
                finish(line.out, start, value.separator);
            }
        }
    }
}

/// Appends a value as JSON has it.
fn write(value: &Value, record: &Record<'_>, line: &mut Line<'_>, stamp: &mut Stamp) {
    match &value.operator {
        Operator::Field(Field::Attempts) => line.number(u64::from(record.trellis.attempts)),
        Operator::Field(field) => {
            line.longest = value.longest.unwrap_or(usize::MAX);
            if !line.value(*field, record, stamp) {
                line.raw(b"-");
            }
            line.longest = usize::MAX;
        }
        Operator::StartTime(parts) => time(parts, record, line),
        Operator::SourceAddress if line.hidden.has(Field::SourceIpPort) => {
            line.raw(REDACTED.as_bytes());
        }
        Operator::SourceAddress => line.plain(record.source.ip().to_canonical()),
        Operator::Scheme => line.raw(if record.tls.is_some() {
            b"https"
        } else {
            b"http"
        }),
        Operator::Status => line.number(record.response_code.map_or(0, u64::from)),
        Operator::UntilAnswer => match record.target {
            Some(_) => {
                line.milliseconds(record.duration.saturating_sub(record.response_from_target));
            }
            None => line.raw(b"-"),
        },
        Operator::ResponseFlags => line.raw(flags(record).as_bytes()),
    }
}

/// Makes the value at the end of `out` fit for its place: without the quotes of a string, and without its separator.
fn finish(out: &mut Vec<u8>, start: usize, separator: Option<u8>) {
    match out.get(start..) {
        Some([b'"', .., b'"']) => {
            out.pop();
            out.remove(start);
        }
        // Lists and objects.
        Some([b'{' | b'[', ..]) => {
            let inner = out.split_off(start);
            push_escaped(&inner, out);
        }
        _ => {}
    }
    let Some(separator) = separator else { return };
    let value = out.get(start..).unwrap_or_default();
    if !value.contains(&separator) {
        return;
    }
    let value = out.split_off(start);
    let mut bytes = value.into_iter().peekable();
    while let Some(byte) = bytes.next() {
        if byte == b'\\' && separator == b'"' && bytes.next_if_eq(&b'"').is_some() {
            push_code(b'"', out);
        } else if byte == b'\\' {
            // An escape: the character after it is a part of it.
            out.push(byte);
            out.extend(bytes.next());
        } else if byte == separator {
            push_code(byte, out);
        } else {
            out.push(byte);
        }
    }
}

/// `\u0020`
fn push_code(byte: u8, out: &mut Vec<u8>) {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).map_or(b'0', |digit| digit as u8);
    out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
}

fn time(parts: &[TimePart], record: &Record<'_>, line: &mut Line<'_>) {
    let since = record.start.duration_since(UNIX_EPOCH).unwrap_or_default();
    let date = i64::try_from(since.as_secs())
        .ok()
        .and_then(|second| OffsetDateTime::from_unix_timestamp(second).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    for part in parts {
        match part {
            TimePart::Literal(text) => push_escaped(text.as_bytes(), line.out),
            TimePart::Year => digits(u64::from(date.year().unsigned_abs()), 4, line.out),
            TimePart::Month => digits(u64::from(u8::from(date.month())), 2, line.out),
            TimePart::Day => digits(u64::from(date.day()), 2, line.out),
            TimePart::Hour => digits(u64::from(date.hour()), 2, line.out),
            TimePart::Minute => digits(u64::from(date.minute()), 2, line.out),
            TimePart::Second => digits(u64::from(date.second()), 2, line.out),
            TimePart::UnixSeconds => line.number(since.as_secs()),
            TimePart::Fraction(count) => {
                let nanos = u64::from(since.subsec_nanos());
                digits(
                    nanos / 10_u64.pow(9_u32.saturating_sub(*count)),
                    *count,
                    line.out,
                );
            }
        }
    }
}

/// A number with zeros before it, `count` digits in all.
fn digits(number: u64, count: u32, out: &mut Vec<u8>) {
    for place in (0..count).rev() {
        let digit = number / 10_u64.pow(place) % 10;
        out.push(b'0' + u8::try_from(digit).unwrap_or(0));
    }
}

/// What went wrong, in Envoy's short words.
///
/// Source: Envoy, "Access logging", `%RESPONSE_FLAGS%`.
fn flags(record: &Record<'_>) -> &'static str {
    use FailureReason as F;
    match record.failure {
        None if record.service_arn.is_none() && record.response_code == Some(404) => "NR",
        None | Some(F::InternalError) => "-",
        Some(F::TargetConnectionError) if record.response_code == Some(503) => {
            if record.trellis.fault.is_some() {
                "UO"
            } else {
                "UH"
            }
        }
        Some(F::TargetConnectionError) => "UF",
        Some(F::TargetProtocolError) => "UPE",
        Some(F::TargetDataTimeout) => "UT",
        Some(F::TargetConnectionClosed) => "UC",
        Some(F::ClientConnectionClosed) => "DC",
        Some(F::ClientAccessDenied) => "UAEX",
        Some(F::ClientProtocolError) => "DPE",
        Some(F::ConnectionDurationExceeded) => "DT",
    }
}
