//! How targets are checked.

use std::{ops::RangeInclusive, time::Duration};

use super::{Builder, gateway::given};
use crate::{
    config::{
        BodyMatch, HealthCheck, HttpProbe, Probe, ProbeVersion, ProtocolVersion, TargetProtocol,
    },
    document::{self, ProbeProtocol},
    load::path::At,
    ranges::{self, Range},
};

/// Members of a health check that give a time: the one of VPC Lattice and ours.
struct Times<'t> {
    seconds: (&'static str, Option<i64>, &'t Range),
    millis: (&'static str, Option<i64>, &'t Range),
    /// In seconds.
    default: u64,
}

impl Builder<'_> {
    pub(super) fn health_check(
        &mut self,
        at: &At<'_>,
        written: &document::HealthCheck,
        group: ProtocolVersion,
    ) -> Option<HealthCheck> {
        let in_port = at.member("port");
        let port: Option<u16> = self.number(&in_port, written.port, &ranges::HEALTH_CHECK_PORT, 0);
        let probe = self.probe(at, written, group);
        let interval = Times {
            seconds: (
                "healthCheckIntervalSeconds",
                written.health_check_interval_seconds,
                &ranges::PROBE_INTERVAL,
            ),
            millis: (
                "intervalMillis",
                written.interval_millis,
                &ranges::PROBE_INTERVAL_MILLIS,
            ),
            default: 30,
        };
        let interval = self.time(at, &interval);
        let in_jitter = at.member("jitterPercent");
        let jitter_percent = self.number(&in_jitter, written.jitter_percent, &ranges::PERCENT, 0);
        let timeout = Times {
            seconds: (
                "healthCheckTimeoutSeconds",
                written.health_check_timeout_seconds,
                &ranges::PROBE_TIMEOUT,
            ),
            millis: (
                "timeoutMillis",
                written.timeout_millis,
                &ranges::PROBE_TIMEOUT_MILLIS,
            ),
            default: 5,
        };
        let timeout = self.time(at, &timeout);
        let mut threshold = |member: &str, written, default: u8| {
            self.or_default(
                &at.member(member),
                written,
                &ranges::PROBE_THRESHOLD,
                default,
            )
        };
        let healthy = threshold("healthyThresholdCount", written.healthy_threshold_count, 5);
        let unhealthy = threshold(
            "unhealthyThresholdCount",
            written.unhealthy_threshold_count,
            2,
        );
        Some(HealthCheck {
            enabled: written.enabled.unwrap_or(group == ProtocolVersion::Http1),
            probe: probe?,
            port: port.map(|port| (port != 0).then_some(port))?,
            interval: interval?,
            jitter_percent: jitter_percent?,
            timeout: timeout?,
            healthy_threshold: healthy?,
            unhealthy_threshold: unhealthy?,
        })
    }

    /// A number where zero means the default.
    fn or_default<T: TryFrom<i64>>(
        &mut self,
        at: &At<'_>,
        written: Option<i64>,
        range: &Range,
        default: T,
    ) -> Option<T> {
        self.number(at, written.filter(|number| *number != 0), range, default)
    }

    /// A time in seconds or in milliseconds.
    fn time(&mut self, at: &At<'_>, times: &Times<'_>) -> Option<Duration> {
        let (member, written, range) = times.seconds;
        let seconds = self.or_default(&at.member(member), written, range, times.default);
        let (in_millis, millis, millis_range) = times.millis;
        let Some(millis) = millis else {
            return seconds.map(Duration::from_secs);
        };
        let at = at.member(in_millis);
        if written.is_some() {
            self.error(
                &at,
                format!("`{in_millis}` and `{member}` exclude each other"),
            );
            return None;
        }
        self.in_range(&at, millis, millis_range)
            .map(Duration::from_millis)
    }

    fn probe(
        &mut self,
        at: &At<'_>,
        written: &document::HealthCheck,
        group: ProtocolVersion,
    ) -> Option<Probe> {
        let protocol = match written.protocol {
            None | Some(ProbeProtocol::Http) => TargetProtocol::Http,
            Some(ProbeProtocol::Https) => TargetProtocol::Https,
            Some(ProbeProtocol::Tcp) => return self.without_http(at, written, "TCP", Probe::Tcp),
            Some(ProbeProtocol::Tls) => return self.without_http(at, written, "TLS", Probe::Tls),
        };
        let version = match (written.protocol_version, group) {
            (Some(document::ProbeVersion::Grpc), _) => {
                return self.grpc_probe(at, written, protocol);
            }
            (Some(document::ProbeVersion::Http1), _) | (None, ProtocolVersion::Http1) => {
                ProbeVersion::Http1
            }
            // A gRPC target speaks HTTP/2, so that is the version in which a probe has a chance.
            (Some(document::ProbeVersion::Http2), _)
            | (None, ProtocolVersion::Http2 | ProtocolVersion::Grpc) => ProbeVersion::Http2,
        };
        if written.grpc_service.is_some() {
            self.error(
                &at.member("grpcService"),
                "only probes of version `GRPC` ask for a service",
            )
            .hint("add `protocolVersion: GRPC`, or leave it out");
            return None;
        }
        let path = written.path.as_deref().filter(|path| !path.is_empty());
        let path = path.unwrap_or("/");
        let in_path = at.member("path");
        let right_path =
            self.length(&in_path, path, &ranges::PROBE_PATH) && self.path_text(&in_path, path);
        let at = at.member("matcher");
        let matcher = written.matcher.as_ref();
        let codes = matcher.and_then(|matcher| matcher.http_code.as_deref());
        let codes = self.success_codes(&at.member("httpCode"), codes.unwrap_or("200"));
        let body = matcher.and_then(|matcher| matcher.body.as_ref());
        let body = body.map(|body| self.body_match(&at.member("body"), body));
        Some(Probe::Http(HttpProbe {
            protocol,
            version,
            path: right_path.then(|| path.into())?,
            success_codes: codes?,
            body: given(body)?,
        }))
    }

    fn grpc_probe(
        &mut self,
        at: &At<'_>,
        written: &document::HealthCheck,
        protocol: TargetProtocol,
    ) -> Option<Probe> {
        let without = self.without_get(at, written, "GRPC");
        let service = written.grpc_service.as_deref().unwrap_or_default();
        let at = at.member("grpcService");
        let named =
            written.grpc_service.is_none() || self.length(&at, service, &ranges::GRPC_SERVICE);
        (without && named).then(|| Probe::Grpc {
            protocol,
            service: service.into(),
        })
    }

    /// A probe below HTTP, with which nothing of HTTP has a meaning.
    fn without_http(
        &mut self,
        at: &At<'_>,
        written: &document::HealthCheck,
        protocol: &str,
        probe: Probe,
    ) -> Option<Probe> {
        let mut without = self.without_get(at, written, protocol);
        let beyond = [
            ("protocolVersion", written.protocol_version.is_some()),
            ("grpcService", written.grpc_service.is_some()),
        ];
        for (member, _) in beyond.iter().filter(|(_, there)| *there) {
            self.meaningless(&at.member(member), protocol);
            without = false;
        }
        without.then_some(probe)
    }

    /// Are the members absent that are about a GET and its answer? Reported when not.
    fn without_get(&mut self, at: &At<'_>, written: &document::HealthCheck, kind: &str) -> bool {
        let beyond = [
            ("path", written.path.is_some()),
            ("matcher", written.matcher.is_some()),
        ];
        for (member, _) in beyond.iter().filter(|(_, there)| *there) {
            self.meaningless(&at.member(member), kind);
        }
        beyond.iter().all(|(_, there)| !there)
    }

    fn meaningless(&mut self, at: &At<'_>, kind: &str) {
        self.error(at, format!("has no meaning for `{kind}` probes"))
            .hint("leave it out");
    }

    fn body_match(&mut self, at: &At<'_>, written: &document::BodyMatch) -> Option<BodyMatch> {
        let (member, text) = match written {
            document::BodyMatch::Exact(text) => ("exact", text),
            document::BodyMatch::Contains(text) => ("contains", text),
        };
        let (least, most) = (ranges::PROBE_BODY.start(), ranges::PROBE_BODY.end());
        if !ranges::PROBE_BODY.contains(&text.len()) {
            self.error(
                &at.member(member),
                format!("{} bytes are not {least} to {most}", text.len()),
            );
            return None;
        }
        let text = text.as_str().into();
        Some(match written {
            document::BodyMatch::Exact(_) => BodyMatch::Exact(text),
            document::BodyMatch::Contains(_) => BodyMatch::Contains(text),
        })
    }

    /// Status codes and ranges of them, joined by commas.
    fn success_codes(&mut self, at: &At<'_>, text: &str) -> Option<Vec<RangeInclusive<u16>>> {
        if !self.length(at, text, &ranges::MATCHER) {
            return None;
        }
        let code = |text: &str| {
            let plain = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
            let code = plain.then(|| text.parse().ok()).flatten();
            code.filter(|code| ranges::SUCCESS_CODES.contains(code))
        };
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (code(first)?, code(last)?);
            (first <= last).then_some(first..=last)
        };
        let codes: Option<Vec<_>> = text.split(',').map(range).collect();
        if codes.is_none() {
            self.error(
                at,
                format!("`{text}` does not name status codes from 200 to 499"),
            )
            .hint("such as `200`, `200,202` or `200-299`");
        }
        codes
    }
}
