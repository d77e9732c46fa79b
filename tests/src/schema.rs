//! The published schema of access records, held against every record of every scenario.

use std::sync::LazyLock;

use serde_json::Value;
use trellis_model::record::schema::{ADDRESS, TIME, json_schema};

static SCHEMA: LazyLock<Value> = LazyLock::new(json_schema);

/// Checks a record against the schema.
#[track_caller]
pub(crate) fn check(record: &Value) {
    let mut faults = Vec::new();
    validate(&SCHEMA, record, "", &mut faults);
    assert!(
        faults.is_empty(),
        "not as in the schema: {faults:#?} {record:#}"
    );
}

/// The keywords that the schema uses; any other ends the test, so that none is passed over.
///
/// Spec: JSON Schema, draft 2020-12. What an independent validator makes of the same schema is tested in `tests/clients`.
fn validate(schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    for (keyword, wanted) in schema.as_object().expect("a schema") {
        let fits = match keyword.as_str() {
            "$schema" | "title" | "description" => true,
            "type" => match wanted.as_str().expect("one type") {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_u64() || value.is_i64(),
                other => panic!("type {other}"),
            },
            "const" => value == wanted,
            "enum" => wanted.as_array().expect("values").contains(value),
            "minimum" => value
                .as_i64()
                .is_none_or(|value| value >= wanted.as_i64().expect("a number")),
            "maxLength" => length(value) <= wanted.as_u64().expect("a length"),
            "minItems" => items(value).len() as u64 >= wanted.as_u64().expect("a number"),
            "maxItems" => items(value).len() as u64 <= wanted.as_u64().expect("a number"),
            "pattern" => matches(
                wanted.as_str().expect("a pattern"),
                value.as_str().unwrap_or("-"),
            ),
            "anyOf" => wanted.as_array().expect("schemas").iter().any(|schema| {
                let mut faults = Vec::new();
                validate(schema, value, at, &mut faults);
                faults.is_empty()
            }),
            "items" => {
                for (index, item) in items(value).iter().enumerate() {
                    validate(wanted, item, &format!("{at}[{index}]"), faults);
                }
                true
            }
            "properties" => {
                for (name, schema) in wanted.as_object().expect("schemas") {
                    if let Some(member) = value.get(name) {
                        validate(schema, member, &format!("{at}.{name}"), faults);
                    }
                }
                true
            }
            "required" => wanted
                .as_array()
                .expect("names")
                .iter()
                .all(|name| value.get(name.as_str().expect("a name")).is_some()),
            "additionalProperties" => {
                assert_eq!(wanted, false);
                let known = &schema["properties"];
                value
                    .as_object()
                    .is_none_or(|members| members.keys().all(|name| known.get(name).is_some()))
            }
            other => panic!("the schema has a keyword that nobody checks: {other}"),
        };
        if !fits {
            faults.push(format!("{at}: {keyword} {wanted}"));
        }
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn length(value: &Value) -> u64 {
    value.as_str().map_or(0, |text| text.chars().count() as u64)
}

/// The two patterns that there are.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern {
        TIME => {
            let shape = text
                .chars()
                .map(|c| if c.is_ascii_digit() { '0' } else { c });
            shape.eq("0000-00-00T00:00:00Z".chars())
        }
        ADDRESS => {
            text == "-" || text == "[redacted]" || text.parse::<std::net::SocketAddr>().is_ok()
        }
        other => panic!("an unknown pattern: {other}"),
    }
}
