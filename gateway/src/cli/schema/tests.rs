//! The schemas that are printed.

use std::path::Path;

use super::Schema;

/// Compares a file in `docs` with what belongs there; `UPDATE_GOLDEN=1` writes it.
#[track_caller]
fn check_page(name: &str, wanted: impl FnOnce(&str) -> String) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name);
    let found = std::fs::read_to_string(&page).unwrap_or_default();
    let wanted = wanted(&found);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return std::fs::write(&page, wanted).unwrap();
    }
    assert!(
        found == wanted,
        "docs/{name} is not what it should be; UPDATE_GOLDEN=1 writes it"
    );
}

#[test]
fn the_published_schema_of_records_is_the_one_that_is_printed() {
    let schema = Schema {
        tests: false,
        records: true,
        cedar: false,
    };
    check_page("reference/access-record.schema.json", |_| printed(&schema));
}

#[test]
fn the_page_of_records_has_the_tables_of_fields() {
    check_page("access-records.md", |page| {
        let tables = trellis_model::record::schema::tables();
        tables
            .into_iter()
            .fold(page.to_owned(), |page, (name, table)| {
                let begin = format!("<!-- table: {name} -->\n");
                let (before, rest) = page.split_once(&begin).expect("a place for the table");
                let (_, after) = rest.split_once("<!-- end -->").expect("its end");
                format!("{before}{begin}{table}<!-- end -->{after}")
            })
    });
}

fn printed(schema: &Schema) -> String {
    let mut out = Vec::new();
    schema.run(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn json(tests: bool) -> serde_json::Value {
    let schema = Schema {
        tests,
        records: false,
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
        records: false,
        cedar: true,
    });
    assert_eq!(schema, trellis_policy::CEDAR_SCHEMA);
    assert!(schema.contains("action \"Invoke\" appliesTo"));
}
