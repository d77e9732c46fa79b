//! AWS's Query protocol: `application/x-www-form-urlencoded` parameters, lists as `Tags.member.1.Key`.
//!
//! Source: STS API reference, "Making query requests"; Smithy, "AWS Query protocol". Spec: WHATWG URL §5.1 for the encoding.

use std::collections::BTreeMap;

/// Most parameters of a call: 50 tags of two each, 50 transitive keys and ten policies leave room.
const MAX_PARAMETERS: usize = 512;

/// What is wrong with parameters. The caller must act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryError {
    /// There are too many.
    #[error("more than {MAX_PARAMETERS} parameters")]
    TooMany,
    /// One is given twice, so nobody knows which is meant.
    #[error("parameter `{0}` is given twice")]
    Twice(String),
    /// A percent sign without two hex digits, or bytes that are not UTF-8.
    #[error("a parameter is not percent-encoded UTF-8")]
    Encoding,
}

/// The parameters of a call, by name.
#[derive(Debug, Default)]
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads them.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, QueryError> {
        let mut parameters = BTreeMap::new();
        let pairs = text
            .split(|byte| *byte == b'&')
            .filter(|pair| !pair.is_empty());
        for pair in pairs {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            if parameters.len() == MAX_PARAMETERS {
                return Err(QueryError::TooMany);
            }
            if parameters.insert(name.clone(), value).is_some() {
                // A name that long is nothing to repeat.
                let shown: String = name.chars().take(64).collect();
                return Err(QueryError::Twice(shown));
            }
        }
        Ok(Self(parameters))
    }

    /// One parameter. An empty one is there.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The parameters of a list in EC2's form, `Filter.1.Value.2` or `VpcId.1`: number, what follows it, value.
    pub(crate) fn numbered<'p>(
        &'p self,
        name: &str,
    ) -> impl Iterator<Item = (u32, &'p str, &'p str)> + use<'p> {
        let prefix = format!("{name}.");
        self.0.iter().filter_map(move |(key, value)| {
            let rest = key.strip_prefix(&prefix)?;
            let (number, rest) = rest.split_once('.').unwrap_or((rest, ""));
            Some((number.parse().ok()?, rest, value.as_str()))
        })
    }

    /// The items of a list, in the order of their numbers, as their own parameters: `Tags.member.2.Key` is `Key` of the second.
    /// Clients number from one without gaps; whatever stands behind a gap is told as it is found, so nothing is passed over.
    pub(crate) fn list(&self, name: &str) -> Vec<Item<'_>> {
        let prefix = format!("{name}.member.");
        let mut items: BTreeMap<u32, Item<'_>> = BTreeMap::new();
        for (key, value) in &self.0 {
            let Some(rest) = key.strip_prefix(&prefix) else {
                continue;
            };
            let (number, member) = rest.split_once('.').unwrap_or((rest, ""));
            if let Ok(number) = number.parse() {
                items.entry(number).or_default().0.insert(member, value);
            }
        }
        items.into_values().collect()
    }
}

/// One item of a list.
#[derive(Debug, Default)]
pub(crate) struct Item<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Item<'a> {
    /// A member of it; the item itself under the empty name.
    pub(crate) fn find(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied()
    }
}

fn decode(raw: &[u8]) -> Result<String, QueryError> {
    let mut plain = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((first, tail)) = rest.split_first() {
        let (byte, tail) = match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                let (high, low) = hex(*high).zip(hex(*low)).ok_or(QueryError::Encoding)?;
                (high << 4 | low, after)
            }
            (b'%', _) => return Err(QueryError::Encoding),
            (b'+', _) => (b' ', tail),
            (byte, _) => (*byte, tail),
        };
        plain.push(byte);
        rest = tail;
    }
    String::from_utf8(plain).map_err(|_| QueryError::Encoding)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests;
