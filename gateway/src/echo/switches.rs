//! What a caller may ask an echo to do: by query (`?status=503`) or by header (`x-echo-status: 503`).
//!
//! The query wins over the header. Query values are taken as written, without percent-decoding. Keys that are not switches are
//! ignored, since any query is a fine query; a switch with a bad value is answered with 400.

use std::{ops::RangeInclusive, time::Duration};

use http::{HeaderName, HeaderValue, StatusCode, request::Parts};

use super::body::Framing;

/// Statuses that can be asked for; informational ones cannot end a response.
const STATUSES: RangeInclusive<u16> = 200..=599;

/// Longest delay and pace.
const LONGEST: Duration = Duration::from_secs(600);

/// Largest body, 1 GiB.
const LARGEST: u64 = 1 << 30;

/// Prefix of the headers that are switches.
const PREFIX: &str = "x-echo-";

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Switches {
    /// `status=503`: the status of the answer.
    pub(super) status: Option<StatusCode>,
    /// `delay=200ms`: wait before the answer.
    pub(super) delay: Option<Duration>,
    /// `pace=50ms`: wait between the pieces of the body.
    pub(super) pace: Option<Duration>,
    /// `bytes=1048576`: a body of that many bytes instead of the description.
    pub(super) bytes: Option<u64>,
    /// `chunked`: no `Content-Length`.
    pub(super) framing: Framing,
    /// `close`, `close=before`.
    pub(super) death: Option<Death>,
    /// `trailers`: trailers after the body.
    pub(super) trailers: Option<Trailers>,
    /// `early`: answer before the request's body is read.
    pub(super) reading: Reading,
    /// `header=name:value`: one more response header; may be given more than once.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// When the connection (HTTP/1.1) or the stream (HTTP/2) dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// Before the first byte of the answer.
    Before,
    /// With half of the body written.
    Halfway,
}

/// Trailers were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trailers;

/// When the answer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Reading {
    /// After the whole request.
    #[default]
    Whole,
    /// After its head.
    HeadOnly,
}

/// A switch that makes no sense, with what would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}={value}`: expected {expected}")]
pub(super) struct BadSwitch {
    name: String,
    value: String,
    expected: &'static str,
}

impl Switches {
    /// Reads the switches of a request.
    pub(super) fn of(head: &Parts) -> Result<Self, BadSwitch> {
        let mut switches = Self::default();
        for (name, value) in &head.headers {
            if let Some(name) = name.as_str().strip_prefix(PREFIX) {
                switches.set(name, &String::from_utf8_lossy(value.as_bytes()))?;
            }
        }
        for pair in head.uri.query().unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            switches.set(name, value)?;
        }
        Ok(switches)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), BadSwitch> {
        let bad = |expected| BadSwitch {
            name: name.to_owned(),
            value: value.to_owned(),
            expected,
        };
        match name {
            "status" => {
                self.status = Some(status(value).ok_or_else(|| bad("a status from 200 to 599"))?);
            }
            "delay" => self.delay = Some(duration(value).ok_or_else(|| bad(DURATION))?),
            "pace" => self.pace = Some(duration(value).ok_or_else(|| bad(DURATION))?),
            "bytes" => {
                self.bytes = Some(bytes(value).ok_or_else(|| bad("a number up to 1073741824"))?);
            }
            "chunked" => self.framing = Framing::Streamed,
            "close" => {
                self.death = Some(match value {
                    "before" => Death::Before,
                    "" | "halfway" | "true" | "1" => Death::Halfway,
                    _ => return Err(bad("`before`, `halfway` or nothing")),
                });
            }
            "trailers" => self.trailers = Some(Trailers),
            "early" => self.reading = Reading::HeadOnly,
            "header" => self
                .headers
                .push(header(value).ok_or_else(|| bad("`name:value`"))?),
            _ => {}
        }
        Ok(())
    }
}

const DURATION: &str = "a duration such as `200ms` or `2s`, at most 600s";

fn status(value: &str) -> Option<StatusCode> {
    let number = value
        .parse()
        .ok()
        .filter(|number| STATUSES.contains(number))?;
    StatusCode::from_u16(number).ok()
}

fn duration(value: &str) -> Option<Duration> {
    let duration = if let Some(number) = value.strip_suffix("ms") {
        Duration::from_millis(number.parse().ok()?)
    } else {
        Duration::from_secs(value.strip_suffix('s')?.parse().ok()?)
    };
    (duration <= LONGEST).then_some(duration)
}

fn bytes(value: &str) -> Option<u64> {
    value.parse().ok().filter(|number| *number <= LARGEST)
}

fn header(value: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = value.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}
