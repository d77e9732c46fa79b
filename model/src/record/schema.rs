//! The JSON Schema of access records, and the tables of `docs/access-records.md`, both from the one table of fields.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{ADDITIONS, ATTEMPT, Field, Kind, LAYERS, PHASES};

/// What a redacted text reads.
pub const REDACTED: &str = "[redacted]";

/// How times read.
pub const TIME: &str = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$";

/// How addresses read.
pub const ADDRESS: &str = r"^(-|\[redacted\]|\d+\.\d+\.\d+\.\d+:\d+|\[[0-9a-f:.]+\]:\d+)$";

/// The JSON Schema (draft 2020-12) of a record in JSON with every field. A subscription that selects fields leaves out others.
pub fn json_schema() -> Value {
    let (additions, own): (Vec<Field>, Vec<Field>) =
        Field::ALL.iter().partition(|field| field.is_addition());
    let mut properties = members(&own);
    let additions = json!({
        "type": "object",
        "description": "What Trellis adds. What is absent is left out.",
        "properties": members(&additions),
        "required": ["generation"],
        "additionalProperties": false,
    });
    properties.insert(ADDITIONS.to_owned(), additions);
    let required = own
        .iter()
        .filter(|field| field.description().kind != Kind::RareNumber)
        .map(|field| field.key())
        .chain([ADDITIONS]);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Trellis access record",
        "description": "One request, as one line of JSON. What is absent is \"-\"; numbers are numbers.",
        "type": "object",
        "properties": properties,
        "required": required.collect::<Vec<_>>(),
        "additionalProperties": false,
    })
}

fn members(fields: &[Field]) -> Map<String, Value> {
    fields
        .iter()
        .map(|field| {
            let mut schema = schema_of(*field);
            if let Some(object) = schema.as_object_mut() {
                object.insert("description".to_owned(), field.description().text.into());
            }
            (field.key().to_owned(), schema)
        })
        .collect()
}

fn schema_of(field: Field) -> Value {
    let absent = || (!field.is_addition()).then_some("-");
    match field.description().kind {
        Kind::Text => json!({"type": "string", "maxLength": 12_288}),
        Kind::Word(words) => {
            let words: Vec<&str> = words.iter().copied().chain(absent()).collect();
            json!({"enum": words})
        }
        Kind::Time => {
            json!({"type": "string", "pattern": TIME})
        }
        Kind::Address => {
            json!({"type": "string", "pattern": ADDRESS})
        }
        Kind::Number => whole(),
        Kind::MaybeNumber | Kind::RareNumber => match absent() {
            None => whole(),
            Some(absent) => json!({"anyOf": [whole(), {"const": absent}]}),
        },
        Kind::Flag => json!({"const": true}),
        Kind::Texts => json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
        Kind::Phases => object(PHASES.map(|(name, text)| (name, whole(), text))),
        Kind::Layers => object(LAYERS.map(|name| {
            (
                name,
                json!({"type": "string"}),
                "the statement that allowed, by `Sid` or position",
            )
        })),
        Kind::Attempts => {
            let attempt = ATTEMPT.map(|(name, text)| {
                let schema = match name {
                    "failure" => schema_of(Field::FailureReason),
                    "target" => schema_of(Field::TargetIpPort),
                    _ => whole(),
                };
                (name, schema, text)
            });
            json!({"type": "array", "items": object(attempt), "minItems": 1, "maxItems": 8})
        }
    }
}

fn whole() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn object<const N: usize>(members: [(&str, Value, &str); N]) -> Value {
    let properties: Map<String, Value> = members
        .into_iter()
        .map(|(name, mut schema, text)| {
            if let Some(object) = schema.as_object_mut() {
                object.insert("description".to_owned(), text.into());
            }
            (name.to_owned(), schema)
        })
        .collect();
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

/// The tables of `docs/access-records.md` by name, in Markdown.
pub fn tables() -> [(&'static str, String); 4] {
    let rows = |additions: bool| {
        let fields = Field::ALL
            .iter()
            .filter(|field| field.is_addition() == additions);
        table(
            "field",
            fields.map(|field| (field.key(), field.description().text)),
        )
    };
    [
        ("fields", rows(false)),
        ("additions", rows(true)),
        ("phases", table("phase", PHASES)),
        ("attempts", table("member", ATTEMPT)),
    ]
}

fn table(what: &str, rows: impl IntoIterator<Item = (&'static str, &'static str)>) -> String {
    let mut text = format!("| {what} | value |\n|---|---|\n");
    for (name, meaning) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{name}` | {meaning} |");
    }
    text
}
