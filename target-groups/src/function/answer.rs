//! The answer that a function's result is.

use std::{borrow::Cow, fmt};

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{Fault, RESULT_BYTES};

/// Most header fields of an answer, and most bytes of them: what the gateway takes of clients by default.
pub const FIELDS: usize = 100;
/// See [`FIELDS`].
pub const FIELD_BYTES: usize = 60 * 1024;

/// Base64 as functions write it; some leave out the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Fields that are for one hop, and the length, which follows from the body.
///
/// Spec: RFC 9110 §7.6.1.
const NOT_OURS_TO_PASS: [HeaderName; 8] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What a function answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// A final status: 200 to 599.
    pub status: StatusCode,
    /// Header fields, without those of a hop and without a length.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// Reads a function's result.
///
/// Members that nobody knows are ignored. `headers` and `isBase64Encoded` may be missing, as in AWS's own samples, and `null` is the same
/// as missing.
pub fn answer(result: &[u8]) -> Result<Answer, Fault> {
    if result.len() > RESULT_BYTES {
        return Err(Fault::TooLarge);
    }
    let written: Written<'_> = serde_json::from_slice(result).map_err(|error| {
        // Read as far as the shape was right: what follows may be no JSON either, and that matters no more.
        if !error.is_data() {
            Fault::NotJson
        } else if result.trim_ascii_start().starts_with(b"{") {
            Fault::Shape
        } else {
            Fault::NotAnObject
        }
    })?;
    if !result.trim_ascii_start().starts_with(b"{") {
        return Err(Fault::NotAnObject);
    }
    let status = StatusCode::from_u16(written.status_code)
        .ok()
        .filter(|status| (200..600).contains(&status.as_u16()))
        .ok_or(Fault::StatusCode)?;
    let headers = headers(
        written.headers.unwrap_or_default(),
        written.multi_value_headers.unwrap_or_default(),
    )?;
    let body = written.body.unwrap_or_default();
    let body = if written.is_base64_encoded == Some(true) {
        BASE64.decode(body.as_bytes()).map_err(|_| Fault::Base64)?
    } else {
        body.into_owned().into_bytes()
    };
    Ok(Answer {
        status,
        headers,
        body,
    })
}

/// A result as written. Derived code would read a list of these in order as well, which is why [`answer`] looks at the first byte.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    status_code: u16,
    #[serde(borrow, default)]
    headers: Option<Fields<'a>>,
    #[serde(borrow, default)]
    multi_value_headers: Option<Fields<'a>>,
    #[serde(borrow, default, deserialize_with = "text_or_null")]
    body: Option<Cow<'a, str>>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

/// Derived code copies every text that is optional.
fn text_or_null<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Cow<'de, str>>, D::Error> {
    let text = Option::<Text<'de>>::deserialize(deserializer)?;
    Ok(text.map(|text| text.0))
}

/// Names and values of `headers` and `multiValueHeaders`, together; a name that both have takes its values from the latter, which
/// repeat that of the former.
fn headers(plain: Fields<'_>, lists: Fields<'_>) -> Result<HeaderMap, Fault> {
    let listed = fields(lists)?;
    let mut headers = fields(plain)?;
    for name in listed.keys() {
        headers.remove(name);
    }
    headers.extend(listed);
    let size: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers.len() > FIELDS || size > FIELD_BYTES {
        return Err(Fault::TooManyHeaders);
    }
    strip_hop_by_hop(&mut headers);
    Ok(headers)
}

fn fields(written: Fields<'_>) -> Result<HeaderMap, Fault> {
    if written.overflow {
        return Err(Fault::TooManyHeaders);
    }
    let mut headers = HeaderMap::with_capacity(written.list.len());
    for (name, value) in written.list {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Fault::Header)?;
        // Spec: RFC 9110 §5.5: no control character, so no line can be smuggled in; outer white space is no part of a value.
        let value = HeaderValue::from_bytes(value.trim_matches([' ', '\t']).as_bytes())
            .map_err(|_| Fault::Header)?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok())
        .collect();
    for name in named.iter().chain(&NOT_OURS_TO_PASS) {
        headers.remove(name);
    }
}

/// Header fields as written: values are texts or lists of texts.
#[derive(Debug, Default)]
struct Fields<'a> {
    list: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Were there more than can be? They are not kept.
    overflow: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("header fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(Text(name)) = map.next_key()? {
            if fields.overflow {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let Texts(values) = map.next_value()?;
            if values.len() > FIELDS || fields.list.len() + values.len() > FIELDS {
                fields.overflow = true;
            } else {
                let named = values.into_iter().map(|value| (name.clone(), value));
                fields.list.extend(named);
            }
        }
        Ok(fields)
    }
}

/// A text, borrowed where it has nothing to unescape.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

/// One text, or a list of them; one more than an answer can have at most.
struct Texts<'a>(Vec<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Texts<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextsVisitor;

        impl<'de> Visitor<'de> for TextsVisitor {
            type Value = Texts<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Texts<'de>, E> {
                Ok(Texts(vec![Cow::Borrowed(text)]))
            }

            fn visit_str<E>(self, text: &str) -> Result<Texts<'de>, E> {
                Ok(Texts(vec![Cow::Owned(text.to_owned())]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts<'de>, A::Error> {
                let mut texts = Vec::new();
                while let Some(Text(text)) = list.next_element()? {
                    if texts.len() <= FIELDS {
                        texts.push(text);
                    }
                }
                Ok(Texts(texts))
            }
        }

        deserializer.deserialize_any(TextsVisitor)
    }
}
