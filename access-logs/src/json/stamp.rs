//! `YYYY-MM-DDTHH:MM:SSZ`, worked out once a second.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

const LENGTH: usize = 20;

/// The text of the second that was asked for last.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    second: u64,
    text: [u8; LENGTH],
}

impl Default for Stamp {
    fn default() -> Self {
        Self {
            second: 0,
            text: *b"1970-01-01T00:00:00Z",
        }
    }
}

impl Stamp {
    /// The text of `time`, cut to the second. Times before 1970 and after 9999 are written as 1970.
    pub(crate) fn text(&mut self, time: SystemTime) -> &[u8; LENGTH] {
        let second = time
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        if second != self.second {
            self.second = second;
            self.text = render(second);
        }
        &self.text
    }
}

fn render(second: u64) -> [u8; LENGTH] {
    let date = i64::try_from(second)
        .ok()
        .and_then(|second| OffsetDateTime::from_unix_timestamp(second).ok())
        .filter(|date| (0..=9999).contains(&date.year()))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let [c1, c2] = digits(u8::try_from(date.year() / 100).unwrap_or_default());
    let [y1, y2] = digits(u8::try_from(date.year() % 100).unwrap_or_default());
    let [m1, m2] = digits(u8::from(date.month()));
    let [d1, d2] = digits(date.day());
    let [h1, h2] = digits(date.hour());
    let [n1, n2] = digits(date.minute());
    let [s1, s2] = digits(date.second());
    [
        c1, c2, y1, y2, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, b'Z',
    ]
}

/// Two decimal digits of a number under 100.
fn digits(number: u8) -> [u8; 2] {
    [b'0' + number / 10 % 10, b'0' + number % 10]
}
