use serde_json::Value;

use super::{json_schema, reference};
use crate::golden;

#[test]
fn the_reference_page_is_up_to_date() {
    golden::check("../docs/reference/configuration.md", &reference());
}

#[test]
fn every_member_is_described_and_unknown_members_are_refused() {
    fn visit(place: &str, schema: &Value) {
        if let Some(members) = schema.get("properties").and_then(Value::as_object) {
            for (name, member) in members {
                // Members of unions are described with their alternative; those of IAM policies by AWS.
                let union = schema.get("description").is_some();
                assert!(
                    union || member.get("description").is_some(),
                    "{place}.{name} has no description"
                );
                assert_ne!(
                    member.get("type"),
                    Some(&Value::from("null")),
                    "{place}.{name}"
                );
            }
        }
        for keyword in ["oneOf", "anyOf"] {
            for alternative in schema
                .get(keyword)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                visit(place, alternative);
            }
        }
    }

    let schema = json_schema();
    visit("Document", &schema);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        assert!(
            definition.get("description").is_some(),
            "{name} has no description"
        );
        if definition.get("properties").is_some() {
            assert_eq!(
                definition["additionalProperties"],
                Value::Bool(false),
                "{name} is open"
            );
        }
        visit(name, definition);
    }
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
}
