//! Health checks: defaults filled in, and what the model does not check.
//!
//! Source: VPC Lattice user guide, "Health checks for your VPC Lattice target groups".

use std::ops::RangeInclusive;

use crate::resource::{HealthCheck, Matcher, TargetProtocol, TargetProtocolVersion};

/// What is wrong, each with the member it is about.
pub(super) type Wrong = Vec<(String, String)>;

/// A health check of a group with this version (none: TCP), with every default filled in but the port, which clients compare as they
/// sent it.
pub(super) fn complete(
    given: Option<HealthCheck>,
    version: Option<TargetProtocolVersion>,
    at: &str,
) -> Result<HealthCheck, Wrong> {
    let given = given.unwrap_or_default();
    let enabled = given
        .enabled
        .unwrap_or(version == Some(TargetProtocolVersion::Http1));
    if version.is_none() && !enabled {
        // A TCP group that is not checked has nothing else to say.
        return Ok(HealthCheck {
            enabled: Some(false),
            ..given
        });
    }
    let wrong = complaints(&given, version, at);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let or = |value: Option<u16>, default: u16| Some(value.filter(|v| *v != 0).unwrap_or(default));
    let same = version.filter(|version| *version != TargetProtocolVersion::Grpc);
    let probe = given.protocol_version.or(same);
    let path = given.path.filter(|path| !path.is_empty());
    let matcher = given
        .matcher
        .filter(|Matcher::HttpCode(codes)| !codes.is_empty());
    Ok(HealthCheck {
        enabled: Some(enabled),
        protocol: Some(given.protocol.unwrap_or(TargetProtocol::Http)),
        protocol_version: Some(probe.unwrap_or(TargetProtocolVersion::Http1)),
        port: given.port.filter(|port| *port != 0),
        path: Some(path.unwrap_or_else(|| "/".to_owned())),
        health_check_interval_seconds: or(given.health_check_interval_seconds, 30),
        health_check_timeout_seconds: or(given.health_check_timeout_seconds, 5),
        healthy_threshold_count: or(given.healthy_threshold_count, 5),
        unhealthy_threshold_count: or(given.unhealthy_threshold_count, 2),
        matcher: Some(matcher.unwrap_or_else(|| Matcher::HttpCode("200".to_owned()))),
    })
}

/// What is wrong with a health check that is to be carried out.
fn complaints(given: &HealthCheck, version: Option<TargetProtocolVersion>, at: &str) -> Wrong {
    let mut wrong = Wrong::new();
    let mut complain = |member: &str, text: String| {
        wrong.push((format!("{at}.{member}"), format!("{at}.{member}: {text}")));
    };
    if given.protocol == Some(TargetProtocol::Tcp) {
        complain("protocol", "health checks use HTTP or HTTPS".to_owned());
    }
    if given.protocol_version == Some(TargetProtocolVersion::Grpc) {
        complain(
            "protocolVersion",
            "health checks use HTTP1 or HTTP2".to_owned(),
        );
    }
    if version.is_none() && (given.protocol.is_none() || given.protocol_version.is_none()) {
        let text = "protocol and protocolVersion are required to check a TCP target group";
        complain("protocol", text.to_owned());
    }
    for (member, value, range) in [
        (
            "healthCheckIntervalSeconds",
            given.health_check_interval_seconds,
            5..=300,
        ),
        (
            "healthCheckTimeoutSeconds",
            given.health_check_timeout_seconds,
            1..=120,
        ),
        (
            "healthyThresholdCount",
            given.healthy_threshold_count,
            2..=10,
        ),
        (
            "unhealthyThresholdCount",
            given.unhealthy_threshold_count,
            2..=10,
        ),
    ] {
        let range: RangeInclusive<u16> = range;
        if let Some(value) = value.filter(|value| *value != 0 && !range.contains(value)) {
            let (least, most) = range.into_inner();
            complain(
                member,
                format!("{value} is not in the range {least} to {most}"),
            );
        }
    }
    if let Some(Matcher::HttpCode(codes)) = &given.matcher
        && !codes.is_empty()
        && !fits_codes(codes)
    {
        let text = format!("`{codes}` is not a list of codes or ranges from 200 to 499");
        complain("matcher.httpCode", text);
    }
    wrong
}

/// The health check with what is given put in; what is absent stays.
pub(super) fn merge(before: HealthCheck, given: HealthCheck) -> HealthCheck {
    HealthCheck {
        enabled: given.enabled.or(before.enabled),
        protocol: given.protocol.or(before.protocol),
        protocol_version: given.protocol_version.or(before.protocol_version),
        port: given.port.or(before.port),
        path: given.path.or(before.path),
        health_check_interval_seconds: given
            .health_check_interval_seconds
            .or(before.health_check_interval_seconds),
        health_check_timeout_seconds: given
            .health_check_timeout_seconds
            .or(before.health_check_timeout_seconds),
        healthy_threshold_count: given
            .healthy_threshold_count
            .or(before.healthy_threshold_count),
        unhealthy_threshold_count: given
            .unhealthy_threshold_count
            .or(before.unhealthy_threshold_count),
        matcher: given.matcher.or(before.matcher),
    }
}

/// Are these codes and ranges of codes, from 200 to 499: `200,202`, `200-299`?
fn fits_codes(text: &str) -> bool {
    success_codes(text).is_some()
}

/// The ranges of codes that a matcher names.
pub(crate) fn success_codes(text: &str) -> Option<Vec<RangeInclusive<u16>>> {
    let code = |text: &str| {
        let code: u16 = text.parse().ok()?;
        (text.len() == 3 && (200..=499).contains(&code)).then_some(code)
    };
    text.split(',')
        .map(|part| match part.split_once('-') {
            None => code(part).map(|code| code..=code),
            Some((first, last)) => {
                let (first, last) = code(first).zip(code(last))?;
                (first <= last).then_some(first..=last)
            }
        })
        .collect()
}
