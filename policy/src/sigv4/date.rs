//! The moment a request was signed, as `x-amz-date` or `date` states it.

use std::fmt;

use time::{
    Date, Month, OffsetDateTime, PrimitiveDateTime, Time, format_description::BorrowedFormatItem,
    macros::format_description,
};

/// How HTTP writes dates. Spec: RFC 9110 §5.6.7, IMF-fixdate; the two obsolete forms are refused.
const HTTP_DATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// A moment in UTC, to the second, in the form that signatures use: `20150830T123600Z`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    text: [u8; 16],
    unix: i64,
}

impl Timestamp {
    /// Reads `YYYYMMDDTHHMMSSZ`.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let text: [u8; 16] = bytes.try_into().ok()?;
        let [y1, y2, y3, y4, m1, m2, d1, d2, t, h1, h2, n1, n2, s1, s2, z] = text;
        let year = i32::from(pair(y1, y2)?) * 100 + i32::from(pair(y3, y4)?);
        let month = Month::try_from(pair(m1, m2)?).ok()?;
        let date = Date::from_calendar_date(year, month, pair(d1, d2)?).ok()?;
        let time = Time::from_hms(pair(h1, h2)?, pair(n1, n2)?, pair(s1, s2)?).ok()?;
        let unix = PrimitiveDateTime::new(date, time)
            .assume_utc()
            .unix_timestamp();
        (t == b'T' && z == b'Z').then_some(Self { text, unix })
    }

    /// Reads what HTTP's `date` header holds: `Sun, 30 Aug 2015 12:36:00 GMT`.
    pub(super) fn parse_http_date(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let moment = PrimitiveDateTime::parse(text, HTTP_DATE).ok()?;
        Self::from_unix(moment.assume_utc().unix_timestamp())
    }

    /// The moment `unix` seconds after 1970; none outside the years 0 to 9999.
    pub(super) fn from_unix(unix: i64) -> Option<Self> {
        let moment = OffsetDateTime::from_unix_timestamp(unix).ok()?;
        let text = format!(
            "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
            moment.year(),
            u8::from(moment.month()),
            moment.day(),
            moment.hour(),
            moment.minute(),
            moment.second(),
        );
        let text = text.as_bytes().try_into().ok()?;
        Some(Self { text, unix })
    }

    /// Seconds after 1970.
    pub fn unix(&self) -> i64 {
        self.unix
    }

    /// All sixteen characters.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// The first eight characters, `YYYYMMDD`.
    pub(super) fn date(&self) -> [u8; 8] {
        let [y1, y2, y3, y4, m1, m2, d1, d2, ..] = self.text;
        [y1, y2, y3, y4, m1, m2, d1, d2]
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text).unwrap_or_default())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn pair(tens: u8, ones: u8) -> Option<u8> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + (ones - b'0'))
}
