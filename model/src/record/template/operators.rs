//! The operators of templates.

use super::{Operator, TemplateFault as Fault, TimePart};
use crate::record::Field;

/// Operators that show one field.
pub(super) const FIELDS: &[(&str, Field)] = &[
    ("BYTES_RECEIVED", Field::BytesReceived),
    ("BYTES_SENT", Field::BytesSent),
    ("CONNECTION_TERMINATION_DETAILS", Field::FailureReason),
    ("DOWNSTREAM_DIRECT_REMOTE_ADDRESS", Field::SourceIpPort),
    ("DOWNSTREAM_PEER_DNS_SAN", Field::CallerX509SanDns),
    ("DOWNSTREAM_PEER_URI_SAN", Field::CallerX509SanUri),
    ("DOWNSTREAM_REMOTE_ADDRESS", Field::SourceIpPort),
    ("DOWNSTREAM_TLS_CIPHER", Field::SslCipher),
    ("DOWNSTREAM_TLS_VERSION", Field::TlsVersion),
    ("DOWNSTREAM_WIRE_BYTES_RECEIVED", Field::BytesReceived),
    ("DOWNSTREAM_WIRE_BYTES_SENT", Field::BytesSent),
    ("DURATION", Field::Duration),
    ("GRPC_STATUS_NUMBER", Field::GrpcResponseCode),
    ("PROTOCOL", Field::Protocol),
    ("REQUESTED_SERVER_NAME", Field::ServerNameIndication),
    ("RESPONSE_CODE_DETAILS", Field::FailureReason),
    ("RESPONSE_TX_DURATION", Field::ResponseFromTargetDuration),
    ("ROUTE_NAME", Field::Rule),
    ("STREAM_ID", Field::RequestId),
    ("UPSTREAM_CLUSTER", Field::TargetGroupArn),
    ("UPSTREAM_HOST", Field::TargetIpPort),
    ("UPSTREAM_REMOTE_ADDRESS", Field::TargetIpPort),
    ("UPSTREAM_REQUEST_ATTEMPT_COUNT", Field::Attempts),
    ("UPSTREAM_WIRE_BYTES_RECEIVED", Field::BytesFromTarget),
    ("UPSTREAM_WIRE_BYTES_SENT", Field::BytesToTarget),
];

/// Operators that show something else of the record.
pub(super) const OTHERS: &[(&str, Operator)] = &[
    (
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
        Operator::SourceAddress,
    ),
    (
        "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
        Operator::SourceAddress,
    ),
    ("RESPONSE_CODE", Operator::Status),
    ("RESPONSE_DURATION", Operator::UntilAnswer),
    ("RESPONSE_FLAGS", Operator::ResponseFlags),
];

/// Headers of requests whose values records hold. `x-forwarded-for` is the one that targets get: the caller's address.
pub(super) const REQUEST_HEADERS: &[(&str, Operator)] = &[
    (":AUTHORITY", Operator::Field(Field::HostHeader)),
    (":METHOD", Operator::Field(Field::RequestMethod)),
    (":PATH", Operator::Field(Field::RequestPath)),
    (":SCHEME", Operator::Scheme),
    ("HOST", Operator::Field(Field::HostHeader)),
    ("USER-AGENT", Operator::Field(Field::UserAgent)),
    ("X-AMZN-REQUESTID", Operator::Field(Field::RequestId)),
    ("X-FORWARDED-FOR", Operator::SourceAddress),
    ("X-REQUEST-ID", Operator::Field(Field::RequestId)),
];

/// Headers of answers likewise.
pub(super) const ANSWER_HEADERS: &[(&str, Operator)] = &[
    (":STATUS", Operator::Status),
    ("GRPC-STATUS", Operator::Field(Field::GrpcResponseCode)),
    (
        "X-ENVOY-UPSTREAM-SERVICE-TIME",
        Operator::Field(Field::RequestToTargetDuration),
    ),
];

/// Operators that take a name: of a header, or of a field.
pub(super) const NAMING: [&str; 4] = ["REQ", "RESP", "TRAILER", "RECORD"];

/// Reads an operator, whose `%` is behind us: what it shows, its greatest length, and what follows it.
pub(super) fn read(text: &str) -> Result<(Operator, Option<usize>, &str), Fault> {
    let name_end = text
        .find(|character: char| !(character.is_ascii_alphanumeric() || character == '_'))
        .ok_or(Fault::Unfinished)?;
    let (name, rest) = text.split_at(name_end);
    let (parameter, rest) = match rest.strip_prefix('(') {
        Some(inner) => inner
            .split_once(')')
            .map(|(parameter, rest)| (Some(parameter), rest))
            .ok_or(Fault::Unfinished)?,
        None => (None, rest),
    };
    let (length, rest) = match rest.strip_prefix(':') {
        Some(counted) => counted
            .split_once('%')
            .map(|(length, rest)| (Some(length), rest))
            .ok_or(Fault::Unfinished)?,
        None => (None, rest.strip_prefix('%').ok_or(Fault::Unfinished)?),
    };
    let parameters = || Fault::Parameters(name.into());
    let longest = length
        .map(|digits| digits.parse().map_err(|_| parameters()))
        .transpose()?;
    if longest.is_some() && !NAMING.contains(&name) {
        return Err(parameters());
    }
    Ok((operator(name, parameter)?, longest, rest))
}

fn operator(name: &str, parameter: Option<&str>) -> Result<Operator, Fault> {
    match (name, parameter) {
        ("START_TIME", format) => time(format.unwrap_or("%Y-%m-%dT%H:%M:%S.%3fZ")),
        ("REQ", Some(names)) => header(REQUEST_HEADERS, names),
        ("RESP" | "TRAILER", Some(names)) => header(ANSWER_HEADERS, names),
        ("RECORD", Some(field)) => Field::named(field)
            .map(Operator::Field)
            .ok_or_else(|| Fault::Field(field.into())),
        (name, None) if NAMING.contains(&name) => Err(Fault::Parameters(name.into())),
        (name, parameter) => {
            let field = FIELDS.iter().find(|(known, _)| *known == name);
            let other = OTHERS.iter().find(|(known, _)| *known == name);
            let operator = match (field, other) {
                (Some((_, field)), _) => Operator::Field(*field),
                (None, Some((_, other))) => other.clone(),
                (None, None) => return Err(Fault::Unknown(name.into())),
            };
            match parameter {
                None => Ok(operator),
                Some(_) => Err(Fault::Parameters(name.into())),
            }
        }
    }
}

/// The first of `A?B` that records hold. What they do not hold, no request has: so Envoy would go on to the alternative too.
fn header(known: &[(&str, Operator)], names: &str) -> Result<Operator, Fault> {
    let found = names.split('?').take(2).find_map(|name| {
        let (_, operator) = known
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(operator.clone())
    });
    found.ok_or_else(|| Fault::Header(names.into()))
}

fn time(format: &str) -> Result<Operator, Fault> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            literal.push(character);
            continue;
        }
        let letter = characters.next();
        let more: &[TimePart] = match letter {
            Some('%') => {
                literal.push('%');
                continue;
            }
            Some('Y') => &[TimePart::Year],
            Some('m') => &[TimePart::Month],
            Some('d') => &[TimePart::Day],
            Some('H') => &[TimePart::Hour],
            Some('M') => &[TimePart::Minute],
            Some('S') => &[TimePart::Second],
            Some('s') => &[TimePart::UnixSeconds],
            Some('f') => &[TimePart::Fraction(9)],
            Some(digits @ ('3' | '6' | '9')) if characters.next() == Some('f') => {
                &[TimePart::Fraction(digits.to_digit(10).unwrap_or(9))]
            }
            other => return Err(Fault::Time(other.into_iter().collect())),
        };
        if !literal.is_empty() {
            parts.push(TimePart::Literal(std::mem::take(&mut literal).into()));
        }
        parts.extend_from_slice(more);
    }
    if !literal.is_empty() {
        parts.push(TimePart::Literal(literal.into()));
    }
    Ok(Operator::StartTime(parts.into()))
}
