//! How requests are spread over the targets of a group, and which targets they avoid.

use schemars::JsonSchema;
use serde::Deserialize;

use super::object::objects;
use crate::ranges;

/// How requests are spread over the targets of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct Balancing {
    /// Who is chosen. The weights of targets count in all of them.
    #[schemars(extend("default" = "ROUND_ROBIN"))]
    pub algorithm: Option<BalancingAlgorithm>,
    /// Of `MAGLEV`: what requests must have in common to get the same target.
    pub hash: Option<HashKey>,
    /// Keeps each client at the target that it got first, by a cookie. Absent: no such cookie.
    pub stickiness: Option<Stickiness>,
    /// Over how many seconds the share of a target grows to its whole, in a straight line from a tenth, once it begins to receive
    /// requests. Absent: it has its whole share at once. Not with `MAGLEV`.
    #[schemars(range(min = *ranges::SLOW_START.start(), max = *ranges::SLOW_START.end()))]
    pub slow_start_seconds: Option<i64>,
    /// Prefers targets in the zone of the gateway, `gateway.zone`. Absent: zones do not matter.
    pub zone_preference: Option<ZonePreference>,
    /// Below this percentage of healthy targets, health is ignored and all targets get requests: a few could not bear the load of all.
    /// With 0, only when none is healthy.
    #[schemars(range(min = *ranges::PERCENT.start(), max = *ranges::PERCENT.end()), extend("default" = 0))]
    pub panic_threshold_percent: Option<i64>,
}

/// Who is chosen: `ROUND_ROBIN`, each target in turn; `LEAST_REQUEST`, the one with the fewest running requests of eight at random;
/// `RANDOM_TWO_CHOICES`, the same of two; `MAGLEV`, by a hash of the request, most of which keep their targets when others come or go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BalancingAlgorithm {
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    RoundRobin,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    LeastRequest,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    RandomTwoChoices,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Maglev,
}

/// What requests must have in common to get the same target. A request that lacks it gets any target.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HashKey {
    /// The value of the header of this name.
    Header(String),
    /// The value of the cookie of this name.
    Cookie(String),
    /// The client's address; always `true`.
    Source(bool),
    /// The caller, as policies know it; always `true`.
    Principal(bool),
}

/// A cookie that keeps a client at its target. It tells nothing about the target, and only the gateway can make it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct Stickiness {
    /// Name of the cookie.
    #[schemars(
        length(min = *ranges::COOKIE_NAME.start(), max = *ranges::COOKIE_NAME.end()),
        regex(pattern = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"),
        extend("default" = "TRELLIS-TARGET")
    )]
    pub cookie_name: Option<String>,
    /// How long after its last request a client may come back to its target, in seconds. Absent: until the client forgets its cookies.
    #[schemars(range(min = *ranges::STICKINESS.start(), max = *ranges::STICKINESS.end()))]
    pub duration_seconds: Option<i64>,
}

/// Prefers targets in the gateway's own zone while enough of them are healthy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct ZonePreference {
    /// Below this percentage of healthy targets in the own zone, requests spill over to other zones: with 70 and half of this percentage
    /// healthy, half of the requests.
    #[schemars(range(min = *ranges::SPILL_OVER.start(), max = *ranges::SPILL_OVER.end()), extend("default" = 70))]
    pub spill_over_percent: Option<i64>,
}

/// When a target that fails requests gets none for a while. Names and meanings are those of App Mesh, defaults those of Envoy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct OutlierDetection {
    /// Failures in a row that eject a target: answers with status 5xx, for gRPC the codes that mean the same, and requests that got no
    /// whole answer from it.
    #[schemars(range(min = *ranges::OUTLIER_FAILURES.start(), max = *ranges::OUTLIER_FAILURES.end()), extend("default" = 5))]
    pub max_server_errors: Option<i64>,
    /// Failed connections in a row that eject a target. They are server errors as well, so without this number they eject it all the
    /// same.
    #[schemars(range(min = *ranges::OUTLIER_FAILURES.start(), max = *ranges::OUTLIER_FAILURES.end()))]
    pub max_connection_failures: Option<i64>,
    /// Time between two sweeps, which let ejected targets back in, in milliseconds.
    #[schemars(range(min = *ranges::OUTLIER_INTERVAL.start(), max = *ranges::OUTLIER_INTERVAL.end()), extend("default" = 10_000))]
    pub interval_millis: Option<i64>,
    /// How long a target stays ejected, in milliseconds, times the number of its ejections; at most five minutes, or this time where it
    /// is longer. The number falls again by one with each sweep at which the target is not ejected.
    #[schemars(range(min = *ranges::EJECTION.start(), max = *ranges::EJECTION.end()), extend("default" = 30_000))]
    pub base_ejection_duration_millis: Option<i64>,
    /// Most targets of the group that are ejected at a time, in percent; one always may.
    #[schemars(range(min = *ranges::PERCENT.start(), max = *ranges::PERCENT.end()), extend("default" = 10))]
    pub max_ejection_percent: Option<i64>,
}

objects!(Balancing, Stickiness, ZonePreference, OutlierDetection);
