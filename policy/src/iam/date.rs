//! Dates as IAM takes them: ISO 8601 in the forms that W3C's note lists, or seconds since 1970.
//!
//! Source: IAM user guide, "Date condition operators"; W3C, "Date and Time Formats" (1997). A time without an offset is UTC, a date
//! alone is its first moment, and digits alone are seconds.

use time::{Date, Month, PrimitiveDateTime, Time, UtcOffset};

/// A moment, to the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    nanoseconds: i128,
}

const NANOSECONDS: i128 = 1_000_000_000;

/// Digits of a fraction of a second that are taken; more are finer than a nanosecond.
const MAX_FRACTION: usize = 9;

impl Moment {
    /// So many seconds after 1970 began.
    pub(crate) fn of_seconds(seconds: i64) -> Self {
        Self {
            nanoseconds: i128::from(seconds) * NANOSECONDS,
        }
    }

    /// Reads a date, a date with a time, or seconds since 1970.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::seconds(text).or_else(|| Self::iso(text))
    }

    fn seconds(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = match digits.split_once('.') {
            Some((whole, fraction)) => (whole, nanoseconds(fraction)?),
            None => (digits, 0),
        };
        // Eighteen digits are longer than the universe.
        if whole.is_empty() || whole.len() > 18 || !is_digits(whole) {
            return None;
        }
        let magnitude = whole.parse::<i128>().ok()? * NANOSECONDS + fraction;
        let negative = text.starts_with('-');
        Some(Self {
            nanoseconds: if negative { -magnitude } else { magnitude },
        })
    }

    fn iso(text: &str) -> Option<Self> {
        let (date, time) = match text.split_once(['T', 't']) {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let date = read_date(date)?;
        let (time, fraction, offset) = match time {
            Some(time) => read_time(time)?,
            None => (Time::MIDNIGHT, 0, UtcOffset::UTC),
        };
        let moment = PrimitiveDateTime::new(date, time).assume_offset(offset);
        Some(Self {
            nanoseconds: i128::from(moment.unix_timestamp()) * NANOSECONDS + fraction,
        })
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number of exactly so many digits.
fn number<T: std::str::FromStr>(text: &str, digits: usize) -> Option<T> {
    let right = text.len() == digits && is_digits(text);
    right.then(|| text.parse().ok()).flatten()
}

/// The digits after a point as nanoseconds.
fn nanoseconds(fraction: &str) -> Option<i128> {
    if fraction.is_empty() || fraction.len() > MAX_FRACTION || !is_digits(fraction) {
        return None;
    }
    format!("{fraction:0<9}").parse().ok()
}

/// `YYYY-MM` or `YYYY-MM-DD`. `YYYY` alone cannot be told from seconds.
fn read_date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let year = number(parts.next()?, 4)?;
    let month: u8 = number(parts.next()?, 2)?;
    let day = match parts.next() {
        Some(day) => number(day, 2)?,
        None => 1,
    };
    let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day);
    date.ok().filter(|_| parts.next().is_none())
}

/// `hh:mm`, `hh:mm:ss` or `hh:mm:ss.f`, perhaps with `Z` or an offset.
fn read_time(text: &str) -> Option<(Time, i128, UtcOffset)> {
    let (text, offset) = read_offset(text)?;
    let mut parts = text.split(':');
    let hour = number(parts.next()?, 2)?;
    let minute = number(parts.next()?, 2)?;
    let (second, fraction) = match parts.next() {
        Some(second) => match second.split_once('.') {
            Some((second, fraction)) => (number(second, 2)?, nanoseconds(fraction)?),
            None => (number(second, 2)?, 0),
        },
        None => (0, 0),
    };
    let time = Time::from_hms(hour, minute, second).ok()?;
    parts.next().is_none().then_some((time, fraction, offset))
}

/// Takes `Z`, `+hh:mm`, `-hh:mm`, `+hhmm` or `-hhmm` from the end.
fn read_offset(text: &str) -> Option<(&str, UtcOffset)> {
    if let Some(time) = text.strip_suffix(['Z', 'z']) {
        return Some((time, UtcOffset::UTC));
    }
    let Some(at) = text.find(['+', '-']) else {
        return Some((text, UtcOffset::UTC));
    };
    let (time, offset) = text.split_at_checked(at)?;
    let (sign, offset) = match offset.strip_prefix('-') {
        Some(offset) => (-1, offset),
        None => (1, offset.strip_prefix('+')?),
    };
    let (hours, minutes) = match offset.split_once(':') {
        Some(halves) => halves,
        None => offset.split_at_checked(2)?,
    };
    let (hours, minutes): (i8, i8) = (number(hours, 2)?, number(minutes, 2)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let offset = UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()?;
    Some((time, offset))
}

#[cfg(test)]
mod tests;
