//! How requests are spread over the targets of a group, and which targets they avoid.

use std::{num::NonZeroU32, time::Duration};

/// How requests are spread over the targets of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Balancing {
    /// Who is chosen.
    pub algorithm: Algorithm,
    /// Keeps clients at their targets, where wanted.
    pub stickiness: Option<Stickiness>,
    /// Over which time the share of a target grows from a tenth to its whole.
    pub slow_start: Option<Duration>,
    /// Prefers targets of one zone, where wanted.
    pub zone_preference: Option<ZonePreference>,
    /// Below this share of healthy targets all get requests, in percent: `0..=100`. Default 0: only when none is healthy.
    pub panic_threshold: u8,
}

/// Who of a group's targets is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// Each in turn.
    #[default]
    RoundRobin,
    /// The one with the fewest running requests among several.
    LeastRequest,
    /// The one with the fewer running requests of two.
    RandomTwoChoices,
    /// By this of the request.
    Maglev(HashKey),
}

impl Algorithm {
    /// Its name in documents.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::RoundRobin => "ROUND_ROBIN",
            Self::LeastRequest => "LEAST_REQUEST",
            Self::RandomTwoChoices => "RANDOM_TWO_CHOICES",
            Self::Maglev(_) => "MAGLEV",
        }
    }
}

/// What requests must have in common to get the same target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashKey {
    /// The value of this header, its name in lower case.
    Header(Box<str>),
    /// The value of this cookie.
    Cookie(Box<str>),
    /// The client's address.
    Source,
    /// The caller.
    Principal,
}

/// A cookie that keeps a client at its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stickiness {
    /// Its name, a token. Default `TRELLIS-TARGET`.
    pub cookie_name: Box<str>,
    /// How long it lives after a client's last request: `1..=604_800` s; `None` for as long as the client keeps it.
    pub duration: Option<Duration>,
}

/// Which targets are preferred, and when others get requests as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZonePreference {
    /// The gateway's own zone; without one nobody is preferred.
    pub zone: Option<Box<str>>,
    /// Share of healthy targets in the zone below which requests spill over, in percent: `1..=100`, default 70.
    pub spill_over: u8,
}

/// When a target that fails requests gets none for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlierDetection {
    /// Failures in a row that eject. Default 5.
    pub max_server_errors: NonZeroU32,
    /// Failed connections in a row that eject; `None`: no other number than that of failures.
    pub max_connection_failures: Option<NonZeroU32>,
    /// Time between two sweeps: `100 ms..=1 h`, default 10 s.
    pub interval: Duration,
    /// Length of the first ejection: `100 ms..=24 h`, default 30 s.
    pub base_ejection: Duration,
    /// Most targets that are ejected at a time, in percent: `0..=100`, default 10; one always may.
    pub max_ejection_percent: u8,
}
