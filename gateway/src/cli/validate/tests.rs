//! Reports for people and for scripts.

use std::{fs, path::Path};

use super::{OutputFormat, Validate};

const BROKEN: &str = "\
account: \"111122223333\"
region: us-west-2
services:
  - name: o
  - name: orders
    listeners: [{name: http, protocol: HTTP, port: 0, defaultAction: {fixedResponse: {statusCode: 404}}}]
";

/// Validates a file and gives back whether it may be used, and the report.
fn validate(path: &Path, output: OutputFormat) -> (bool, String) {
    let mut out = Vec::new();
    let config = path.to_owned();
    let result = Validate { config, output }.run(&mut out);
    (result.is_ok(), String::from_utf8(out).unwrap())
}

fn broken(output: OutputFormat) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trellis.yaml");
    fs::write(&path, BROKEN).unwrap();
    validate(&path, output)
}

#[test]
fn the_examples_may_be_used_as_they_stand() {
    for example in ["shop/trellis.yaml", "shop", "two-tenants"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../examples")
            .join(example);
        let (valid, report) = validate(&path, OutputFormat::Text);
        assert!(valid, "{report}");
        assert!(report.starts_with("valid: 2 VPCs, "), "{report}");
    }
}

#[test]
fn every_problem_is_told_with_its_place() {
    let (valid, report) = broken(OutputFormat::Text);
    assert!(!valid);
    for part in [
        "services[0].name: `o`",
        "services[1].listeners[0].port: 0 is not in the range 1 to 65535",
        "2 problems in `",
    ] {
        assert!(report.contains(part), "no `{part}` in:\n{report}");
    }
}

#[test]
fn scripts_get_the_same_as_json() {
    let (valid, report) = broken(OutputFormat::Json);
    assert!(!valid);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["valid"], false);
    assert_eq!(report["problems"].as_array().unwrap().len(), 2);
    assert_eq!(report["problems"][0]["severity"], "error");
    assert_eq!(report["problems"][0]["path"], "services[0].name");
}
