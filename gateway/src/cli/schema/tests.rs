//! The schema that is printed.

use super::Schema;

#[test]
fn the_schema_knows_the_sections_of_a_document() {
    let mut out = Vec::new();
    Schema {}.run(&mut out).unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert!(
        schema["properties"]["serviceNetworks"].is_object(),
        "{schema}"
    );
    assert!(schema["properties"]["gateway"].is_object(), "{schema}");
}
