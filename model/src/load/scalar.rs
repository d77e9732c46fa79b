//! What a scalar of a tree means, given what is wanted.

use serde_json::Value;

use super::tree::Shape;

/// A scalar that is not what is wanted.
#[derive(Debug, PartialEq)]
pub(super) struct Mistake {
    pub(super) message: String,
    pub(super) hint: Option<String>,
    /// What was probably meant, for the checks that follow.
    pub(super) meant: Option<Value>,
}

impl Mistake {
    fn new(message: String) -> Self {
        Self {
            message,
            hint: None,
            meant: None,
        }
    }

    fn meant(message: String, hint: &str, meant: Option<Value>) -> Self {
        Self {
            message,
            hint: Some(hint.to_owned()),
            meant,
        }
    }
}

/// Reads a scalar as a `string`, `integer` or `boolean`.
pub(super) fn read(shape: &Shape, wanted: &str) -> Result<Value, Mistake> {
    if is_null(shape) {
        return Err(Mistake::new(format!(
            "no value where {} is wanted",
            noun(wanted)
        )));
    }
    match (wanted, shape) {
        (_, Shape::List(_) | Shape::Object(_)) => Err(Mistake::new(format!(
            "{} is not {}",
            shown(shape),
            noun(wanted)
        ))),
        ("string", Shape::Plain(text) | Shape::Text(text)) => Ok(Value::String(text.clone())),
        ("string", Shape::Literal(value)) => {
            let kind = if value.is_number() {
                "a number"
            } else {
                "a boolean"
            };
            let meant = Some(Value::String(value.to_string()));
            Err(Mistake::meant(
                format!("`{value}` is {kind}, not a text"),
                "quotes around it",
                meant,
            ))
        }
        (_, Shape::Plain(text)) => typed(text, wanted)
            .ok_or_else(|| Mistake::new(format!("`{}` is not {}", short(text), noun(wanted)))),
        (_, Shape::Text(text)) => Err(match typed(text, wanted) {
            Some(meant) => Mistake::meant(
                format!("`{text}` in quotes is a text, not {}", noun(wanted)),
                "no quotes",
                Some(meant),
            ),
            None => Mistake::new(format!("`{}` is not {}", short(text), noun(wanted))),
        }),
        (_, Shape::Literal(value)) => {
            let fits = if wanted == "integer" {
                value.as_i64().is_some()
            } else {
                value.is_boolean()
            };
            if fits {
                Ok(value.clone())
            } else {
                Err(Mistake::new(format!("`{value}` is not {}", noun(wanted))))
            }
        }
    }
}

fn noun(wanted: &str) -> &'static str {
    match wanted {
        "integer" => "a whole number",
        "boolean" => "`true` or `false`",
        _ => "a text",
    }
}

fn typed(text: &str, wanted: &str) -> Option<Value> {
    match wanted {
        "integer" => integer(text).map(Value::from),
        _ => boolean(text).map(Value::Bool),
    }
}

/// Spec: YAML 1.2.2 §10.3.2, core schema.
fn integer(text: &str) -> Option<i64> {
    if let Some(digits) = text.strip_prefix("0x") {
        return i64::from_str_radix(digits, 16)
            .ok()
            .filter(|_| !digits.starts_with(['+', '-']));
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return i64::from_str_radix(digits, 8)
            .ok()
            .filter(|_| !digits.starts_with(['+', '-']));
    }
    text.parse().ok()
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Is nothing written here?
pub(super) fn is_null(shape: &Shape) -> bool {
    match shape {
        Shape::Plain(text) => matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"),
        Shape::Literal(value) => value.is_null(),
        Shape::Text(_) | Shape::List(_) | Shape::Object(_) => false,
    }
}

/// A scalar inside a policy, by the core schema of YAML.
pub(super) fn untyped(shape: &Shape) -> Value {
    match shape {
        Shape::Literal(value) => value.clone(),
        Shape::Text(text) => Value::String(text.clone()),
        shape if is_null(shape) => Value::Null,
        Shape::Plain(text) => {
            let zero_led = text.len() > 1
                && text.trim_start_matches(['+', '-']).starts_with('0')
                && !text.contains('.');
            let number = || {
                integer(text)
                    .filter(|_| !zero_led || text.starts_with("0x") || text.starts_with("0o"))
                    .map(Value::from)
            };
            let float = || {
                let plain = text
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
                    && text.bytes().any(|b| b.is_ascii_digit());
                text.parse::<f64>()
                    .ok()
                    .filter(|_| plain && !zero_led)
                    .and_then(serde_json::Number::from_f64)
                    .map(Value::Number)
            };
            boolean(text)
                .map(Value::Bool)
                .or_else(number)
                .or_else(float)
                .unwrap_or_else(|| Value::String(text.clone()))
        }
        Shape::List(_) | Shape::Object(_) => Value::Null,
    }
}

/// A value in words or in backticks, for a message.
pub(super) fn shown(shape: &Shape) -> String {
    match shape {
        shape if is_null(shape) => "nothing".to_owned(),
        Shape::Plain(text) | Shape::Text(text) => format!("`{}`", short(text)),
        Shape::Literal(value) => format!("`{value}`"),
        Shape::List(_) => "a list".to_owned(),
        Shape::Object(_) => "an object".to_owned(),
    }
}

/// The beginning of a text that may be long, on one line.
pub(super) fn short(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(80)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
