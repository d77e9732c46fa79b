//! Texts of policies and how they are compared, in the most literal way.

use super::context;
use crate::world::Call;

/// A text of a policy: its characters, and whether each is as written, so that it may be a wildcard, or stands for itself.
pub(super) type Text = Vec<(char, bool)>;

pub(super) fn written(text: &str) -> Text {
    text.chars().map(|c| (c, true)).collect()
}

pub(super) fn plain(text: &Text) -> String {
    text.iter().map(|(c, _)| *c).collect()
}

/// Puts values in the place of variables; `None` when one has no value. Only the newer version has variables.
pub(super) fn expand(text: &str, newer: bool, call: &Call) -> Option<Text> {
    let Some((before, after)) = text.split_once("${").filter(|_| newer) else {
        return Some(written(text));
    };
    let (inner, rest) = match after.split_once('}') {
        Some((inner, rest)) if !inner.contains('\'') => (inner, rest),
        _ => after.split_once("'}").unwrap(),
    };
    let mut whole = written(before);
    if let "*" | "?" | "$" = inner {
        whole.extend(inner.chars().map(|c| (c, false)));
    } else {
        let (key, default) = match inner.split_once(", ") {
            Some((key, default)) => (key, Some(default.trim_start_matches('\'').to_owned())),
            None => (inner, None),
        };
        let value = match context(key, call).as_deref() {
            Some([only]) => Some(only.clone()),
            _ => default,
        };
        whole.extend(value?.chars().map(|c| (c, false)));
    }
    whole.extend(expand(rest, newer, call)?);
    Some(whole)
}

/// Does a text fit a pattern? By the table of all prefixes.
pub(super) fn glob(pattern: &[(char, bool)], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut fits = vec![vec![false; text.len() + 1]; pattern.len() + 1];
    fits[0][0] = true;
    for p in 1..=pattern.len() {
        for t in 0..=text.len() {
            fits[p][t] = match pattern[p - 1] {
                ('*', true) => fits[p - 1][t] || (t > 0 && fits[p][t - 1]),
                ('?', true) => t > 0 && fits[p - 1][t - 1],
                (c, _) => t > 0 && text[t - 1] == c && fits[p - 1][t - 1],
            };
        }
    }
    fits[pattern.len()][text.len()]
}

/// Seconds since 1970, of the forms that the generator writes: `YYYY-MM-DD`, perhaps `THH:MM:SSZ`, or seconds.
pub(super) fn moment(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let digits = |from: usize, to: usize| -> Option<i64> { text.get(from..to)?.parse().ok() };
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    let (hour, minute, second) = match text.get(10..11) {
        Some("T") => (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?),
        Some(_) => return None,
        None => (0, 0, 0),
    };
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = |month: i64| match month {
        2 => 28 + i64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=12).contains(&month) || !(1..=length(month)).contains(&day) || hour > 23 {
        return None;
    }
    let years: i64 = (1970..year).map(|year| 365 + i64::from(leap(year))).sum();
    let days = years + (1..month).map(length).sum::<i64>() + day - 1;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    seconds.to_string().parse().ok()
}

/// Base64 without padding of odd sizes, digit by digit.
pub(super) fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = text
        .chars()
        .filter_map(|c| DIGITS.find(c))
        .flat_map(|digit| (0..6).rev().map(move |bit| u8::from(digit >> bit & 1 == 1)))
        .collect();
    let bytes = bits.chunks_exact(8);
    bytes
        .map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | *bit))
        .collect()
}
