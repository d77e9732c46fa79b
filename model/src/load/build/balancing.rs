//! How requests are spread over the targets of a group, and which targets they avoid.

use std::{num::NonZeroU32, time::Duration};

use super::{Builder, gateway::given, rules::is_token};
use crate::{
    config::{Algorithm, Balancing, HashKey, OutlierDetection, Stickiness, ZonePreference},
    document::{self, BalancingAlgorithm},
    load::path::At,
    ranges::{self, Range},
};

/// Name of the cookie that keeps clients at their targets, when no document names one.
const COOKIE_NAME: &str = "TRELLIS-TARGET";

impl Builder<'_> {
    pub(super) fn balancing(
        &mut self,
        at: &At<'_>,
        written: Option<&document::Balancing>,
    ) -> Option<Balancing> {
        let Some(written) = written else {
            return Some(Balancing::default());
        };
        let algorithm = self.algorithm(at, written);
        let stickiness = written.stickiness.as_ref();
        let stickiness =
            stickiness.map(|written| self.stickiness(&at.member("stickiness"), written));
        let in_slow = at.member("slowStartSeconds");
        let slow_start = written
            .slow_start_seconds
            .map(|seconds| self.in_range(&in_slow, seconds, &ranges::SLOW_START));
        if matches!(written.algorithm, Some(BalancingAlgorithm::Maglev)) && slow_start.is_some() {
            self.error(&in_slow, "`MAGLEV` has no slow start")
                .hint("the request says which target it is for, whatever that target's age");
            return None;
        }
        let preference = written.zone_preference.as_ref();
        let zone_preference =
            preference.map(|written| self.zone_preference(&at.member("zonePreference"), written));
        let panic_threshold = self.number(
            &at.member("panicThresholdPercent"),
            written.panic_threshold_percent,
            &ranges::PERCENT,
            0,
        );
        Some(Balancing {
            algorithm: algorithm?,
            stickiness: given(stickiness)?,
            slow_start: given(slow_start)?.map(Duration::from_secs),
            zone_preference: given(zone_preference)?,
            panic_threshold: panic_threshold?,
        })
    }

    fn algorithm(&mut self, at: &At<'_>, written: &document::Balancing) -> Option<Algorithm> {
        let at = at.member("hash");
        let hash = written.hash.as_ref();
        let algorithm = match written.algorithm {
            None | Some(BalancingAlgorithm::RoundRobin) => Algorithm::RoundRobin,
            Some(BalancingAlgorithm::LeastRequest) => Algorithm::LeastRequest,
            Some(BalancingAlgorithm::RandomTwoChoices) => Algorithm::RandomTwoChoices,
            Some(BalancingAlgorithm::Maglev) => {
                let Some(hash) = hash else {
                    self.error(&at, "`MAGLEV` needs to know what it hashes")
                        .hint("such as `hash: {header: x-user}` or `hash: {source: true}`");
                    return None;
                };
                return self.hash_key(&at, hash).map(Algorithm::Maglev);
            }
        };
        if hash.is_some() {
            self.error(&at, "only `MAGLEV` hashes anything")
                .hint("add `algorithm: MAGLEV`, or leave `hash` out");
            return None;
        }
        Some(algorithm)
    }

    fn hash_key(&mut self, at: &At<'_>, written: &document::HashKey) -> Option<HashKey> {
        use document::HashKey::{Cookie, Header, Principal, Source};
        match written {
            Header(name) => {
                let name = self.token(&at.member("header"), name, "header")?;
                Some(HashKey::Header(name.to_ascii_lowercase().into()))
            }
            Cookie(name) => {
                let name = self.token(&at.member("cookie"), name, "cookie")?;
                Some(HashKey::Cookie(name))
            }
            Source(true) => Some(HashKey::Source),
            Principal(true) => Some(HashKey::Principal),
            Source(false) => self.not_false(&at.member("source")),
            Principal(false) => self.not_false(&at.member("principal")),
        }
    }

    fn not_false(&mut self, at: &At<'_>) -> Option<HashKey> {
        self.error(at, "`false` leaves nothing to hash")
            .hint("`true`, or another member instead");
        None
    }

    /// The name of a header or cookie. Spec: RFC 9110 §5.1 and RFC 6265 §4.1.1, both are tokens.
    fn token(&mut self, at: &At<'_>, name: &str, kind: &str) -> Option<Box<str>> {
        if !self.length(at, name, &ranges::COOKIE_NAME) {
            return None;
        }
        if !is_token(name) {
            self.error(at, format!("`{name}` is not the name of a {kind}"))
                .hint("letters, digits and ``! # $ % & ' * + - . ^ _ ` | ~``");
            return None;
        }
        Some(name.into())
    }

    fn stickiness(&mut self, at: &At<'_>, written: &document::Stickiness) -> Option<Stickiness> {
        let name = written.cookie_name.as_deref().unwrap_or(COOKIE_NAME);
        let cookie_name = self.token(&at.member("cookieName"), name, "cookie");
        let at = at.member("durationSeconds");
        let duration = written
            .duration_seconds
            .map(|seconds| self.in_range(&at, seconds, &ranges::STICKINESS));
        Some(Stickiness {
            cookie_name: cookie_name?,
            duration: given(duration)?.map(Duration::from_secs),
        })
    }

    fn zone_preference(
        &mut self,
        at: &At<'_>,
        written: &document::ZonePreference,
    ) -> Option<ZonePreference> {
        if self.zone.is_none() {
            self.warning(at, "has no effect without `gateway.zone`")
                .hint("the zone that this gateway runs in, which differs from node to node");
        }
        let spill_over = self.number(
            &at.member("spillOverPercent"),
            written.spill_over_percent,
            &ranges::SPILL_OVER,
            70,
        );
        Some(ZonePreference {
            zone: self.zone.clone(),
            spill_over: spill_over?,
        })
    }

    pub(super) fn outlier_detection(
        &mut self,
        at: &At<'_>,
        written: &document::OutlierDetection,
    ) -> Option<OutlierDetection> {
        let server_errors = written.max_server_errors.unwrap_or(5);
        let server_errors = self.failures(&at.member("maxServerErrors"), server_errors);
        let in_connections = at.member("maxConnectionFailures");
        let connection_failures = written
            .max_connection_failures
            .map(|number| self.failures(&in_connections, number));
        let mut millis = |member: &str, written, range: &Range, default: u64| {
            let number = self.number(&at.member(member), written, range, default);
            number.map(Duration::from_millis)
        };
        let interval = written.interval_millis;
        let interval = millis(
            "intervalMillis",
            interval,
            &ranges::OUTLIER_INTERVAL,
            10_000,
        );
        let base = written.base_ejection_duration_millis;
        let base = millis(
            "baseEjectionDurationMillis",
            base,
            &ranges::EJECTION,
            30_000,
        );
        let percent = self.number(
            &at.member("maxEjectionPercent"),
            written.max_ejection_percent,
            &ranges::PERCENT,
            10,
        );
        Some(OutlierDetection {
            max_server_errors: server_errors?,
            max_connection_failures: given(connection_failures)?,
            interval: interval?,
            base_ejection: base?,
            max_ejection_percent: percent?,
        })
    }

    fn failures(&mut self, at: &At<'_>, number: i64) -> Option<NonZeroU32> {
        let number: u32 = self.in_range(at, number, &ranges::OUTLIER_FAILURES)?;
        NonZeroU32::new(number)
    }
}
