//! The parser of `header.claims.signature`.
//!
//! Strict where a difference could hide something: base64url without padding and without stray bits, so that a token has one
//! spelling; no member twice, so that no two readers see different claims; nothing after the third part.
//!
//! Spec: RFC 7515 §3.1, §4; RFC 7519 §4.1.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Number, Value};

use super::{
    algorithm::Algorithm,
    error::{JwtError, Part, quote},
};
use crate::json;

/// Longest token that is read, in bytes. Headers of requests are rarely allowed more than this.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Most audiences of a token.
const MAX_AUDIENCES: usize = 32;

/// Most values in one part of a token, nested ones included: what is remembered of a token is bounded by it.
const MAX_VALUES: usize = 256;

/// A token in its parts. Nothing in it is proven yet.
#[derive(Debug)]
pub(super) struct Token<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<Box<str>>,
    pub(super) claims: Claims,
    /// What is signed: header and claims as sent, with the point between them.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
}

/// What a token says.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) issuer: Box<str>,
    pub(super) subject: Option<Arc<str>>,
    pub(super) audiences: Vec<Box<str>>,
    pub(super) expires: i64,
    pub(super) not_before: Option<i64>,
    pub(super) issued: Option<i64>,
    pub(super) all: Map<String, Value>,
}

impl<'a> Token<'a> {
    /// Reads a token of at most [`MAX_TOKEN_BYTES`].
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, JwtError> {
        let mut points = memchr::memchr_iter(b'.', text);
        let (Some(first), Some(second), None) = (points.next(), points.next(), points.next())
        else {
            return Err(JwtError::NotThreeParts);
        };
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        let header = object(Part::Header, part(0, first))?;
        let (algorithm, key_id) = read_header(&header)?;
        let claims = object(Part::Claims, part(first + 1, second))?;
        let signature = decode(Part::Signature, part(second + 1, text.len()))?;
        Ok(Self {
            algorithm,
            key_id,
            claims: Claims::read(claims)?,
            signed: part(0, second),
            signature,
        })
    }
}

/// Algorithm and key id.
///
/// Spec: RFC 7515 §4.1.11: a `crit` that is not understood refuses, and none is. RFC 8725 §3.11: a token made for another purpose
/// says so in `typ`.
fn read_header(header: &Map<String, Value>) -> Result<(Algorithm, Option<Box<str>>), JwtError> {
    if header.contains_key("crit") {
        return Err(JwtError::Critical);
    }
    if let Some(kind) = text(Part::Header, header, "typ")? {
        let kind = kind.to_ascii_lowercase();
        let kind = kind.strip_prefix("application/").unwrap_or(&kind);
        if !matches!(kind, "jwt" | "at+jwt") {
            return Err(JwtError::Kind { kind: quote(kind) });
        }
    }
    let name = text(Part::Header, header, "alg")?.ok_or(JwtError::Missing {
        part: Part::Header,
        name: "alg",
    })?;
    let algorithm = Algorithm::named(name).ok_or_else(|| JwtError::Algorithm {
        algorithm: quote(name),
    })?;
    let key_id = text(Part::Header, header, "kid")?;
    Ok((algorithm, key_id.map(Into::into)))
}

impl Claims {
    fn read(all: Map<String, Value>) -> Result<Self, JwtError> {
        let part = Part::Claims;
        let missing = |name| JwtError::Missing { part, name };
        let issuer = text(part, &all, "iss")?.ok_or(missing("iss"))?.into();
        let subject = text(part, &all, "sub")?.map(Into::into);
        let expires = moment(&all, "exp")?.ok_or(missing("exp"))?;
        Ok(Self {
            issuer,
            subject,
            audiences: audiences(&all)?,
            expires,
            not_before: moment(&all, "nbf")?,
            issued: moment(&all, "iat")?,
            all,
        })
    }
}

/// Spec: RFC 7519 §4.1.3: one text, or a list of them.
fn audiences(claims: &Map<String, Value>) -> Result<Vec<Box<str>>, JwtError> {
    let wrong = || JwtError::WrongType {
        part: Part::Claims,
        name: "aud",
    };
    match claims.get("aud") {
        None => Err(JwtError::Missing {
            part: Part::Claims,
            name: "aud",
        }),
        Some(Value::String(one)) => Ok(vec![one.as_str().into()]),
        Some(Value::Array(list)) if list.len() <= MAX_AUDIENCES => list
            .iter()
            .map(|one| one.as_str().map(Into::into).ok_or_else(wrong))
            .collect(),
        Some(_) => Err(wrong()),
    }
}

/// A member that is a text if it is there.
fn text<'a>(
    part: Part,
    object: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, JwtError> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(JwtError::WrongType { part, name }),
    }
}

/// A claim that is a moment if it is there; parts of seconds are dropped.
///
/// Spec: RFC 7519 §2, `NumericDate`.
fn moment(claims: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, JwtError> {
    let wrong = JwtError::WrongType {
        part: Part::Claims,
        name,
    };
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => whole_seconds(number).map(Some).ok_or(wrong),
        Some(_) => Err(wrong),
    }
}

/// The whole seconds of a number that a date can be: up to the year 9999.
fn whole_seconds(number: &Number) -> Option<i64> {
    const END: i64 = 253_402_300_800;
    if let Some(whole) = number.as_i64() {
        return (0..END).contains(&whole).then_some(whole);
    }
    let text = number.as_f64()?.floor().to_string();
    let whole = text.parse().ok()?;
    (0..END).contains(&whole).then_some(whole)
}

fn decode(part: Part, text: &[u8]) -> Result<Vec<u8>, JwtError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| JwtError::Encoding { part })
}

fn object(part: Part, text: &[u8]) -> Result<Map<String, Value>, JwtError> {
    let bytes = decode(part, text)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| JwtError::Encoding { part })?;
    match read_unique(text, MAX_VALUES) {
        Some(Value::Object(object)) => Ok(object),
        _ => Err(JwtError::NotAnObject { part }),
    }
}

/// Reads JSON of at most `budget` values in which no object has a member twice.
pub(super) fn read_unique(text: &str, mut budget: usize) -> Option<Value> {
    unique(json::parse(text).ok()?, &mut budget)
}

fn unique(node: json::Node, budget: &mut usize) -> Option<Value> {
    *budget = budget.checked_sub(1)?;
    Some(match node.value {
        json::Value::Null => Value::Null,
        json::Value::Bool(truth) => Value::Bool(truth),
        json::Value::Number(number) => Value::Number(number.parse().ok()?),
        json::Value::Text(text) => Value::String(text),
        json::Value::List(items) => {
            let items = items.into_iter().map(|item| unique(item, budget));
            Value::Array(items.collect::<Option<_>>()?)
        }
        json::Value::Object(members) => {
            let mut object = Map::with_capacity(members.len());
            for member in members {
                let value = unique(member.node, budget)?;
                if object.insert(member.name, value).is_some() {
                    return None;
                }
            }
            Value::Object(object)
        }
    })
}
