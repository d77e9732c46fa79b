//! The schemas that are printed.

use super::Schema;

fn printed(schema: &Schema) -> String {
    let mut out = Vec::new();
    schema.run(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn json(tests: bool) -> serde_json::Value {
    let schema = Schema {
        tests,
        cedar: false,
    };
    serde_json::from_str(&printed(&schema)).unwrap()
}

#[test]
fn the_schema_of_tests_knows_their_members() {
    let schema = json(true);
    assert!(schema["properties"]["tests"].is_object(), "{schema}");
    let expect = &schema["$defs"]["Expect"]["properties"];
    assert!(expect["targetGroup"].is_object(), "{schema}");
    assert!(expect["orders"].is_null(), "{schema}");
}

#[test]
fn the_schema_knows_the_sections_of_a_document() {
    let schema = json(false);
    assert!(
        schema["properties"]["serviceNetworks"].is_object(),
        "{schema}"
    );
    assert!(schema["properties"]["gateway"].is_object(), "{schema}");
}

/// That policies are validated against it is tested where they are read.
#[test]
fn the_schema_of_cedar_policies_is_the_one_that_they_are_validated_against() {
    let schema = printed(&Schema {
        tests: false,
        cedar: true,
    });
    assert_eq!(schema, trellis_policy::CEDAR_SCHEMA);
    assert!(schema.contains("action \"Invoke\" appliesTo"));
}
