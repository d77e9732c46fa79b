//! The schemas that are printed.

use super::Schema;

fn printed(tests: bool) -> serde_json::Value {
    let mut out = Vec::new();
    Schema { tests }.run(&mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn the_schema_of_tests_knows_their_members() {
    let schema = printed(true);
    assert!(schema["properties"]["tests"].is_object(), "{schema}");
    let expect = &schema["$defs"]["Expect"]["properties"];
    assert!(expect["targetGroup"].is_object(), "{schema}");
    assert!(expect["orders"].is_null(), "{schema}");
}

#[test]
fn the_schema_knows_the_sections_of_a_document() {
    let schema = printed(false);
    assert!(
        schema["properties"]["serviceNetworks"].is_object(),
        "{schema}"
    );
    assert!(schema["properties"]["gateway"].is_object(), "{schema}");
}
