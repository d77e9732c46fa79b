//! Reports of findings, as transcripts.

use std::{collections::BTreeSet, fs, path::Path};

use trellis_model::problem::Code;

use crate::cli::examples::run;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/lint")
}

/// Runs `trellis policy lint` on a configuration of the folder; gives what it prints, with paths relative to it, and its exit code.
fn lint(config: &Path, options: &[&str]) -> (String, u8) {
    let mut arguments = ["trellis", "policy", "lint", "--config"]
        .map(str::to_owned)
        .to_vec();
    arguments.push(config.display().to_string());
    arguments.extend(options.iter().map(ToString::to_string));
    let (text, code) = run(&arguments);
    (text.replace(&format!("{}/", folder().display()), ""), code)
}

fn golden(name: &str, actual: &str) {
    let path = folder().join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == actual,
        "{name} differs (UPDATE_GOLDEN=1 rewrites it):\n{actual}"
    );
}

#[test]
fn a_finding_of_every_kind_is_told_with_its_place() {
    let config = folder().join("trellis.yaml");
    let (text, code) = lint(&config, &[]);
    assert_eq!(code, 1);
    golden("findings.txt", &text);
    let (text, code) = lint(&config, &["--output", "json"]);
    assert_eq!(code, 1);
    golden("findings.json", &text);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let told: BTreeSet<&str> = findings
        .iter()
        .map(|finding| finding["code"].as_str().unwrap())
        .collect();
    assert_eq!(told, BTreeSet::from(Code::ALL.map(Code::as_str)));
    assert!(findings.iter().all(|finding| finding["line"].is_u64()));
}

#[test]
fn every_code_is_documented() {
    let page = folder().join("../../../docs/policies.md");
    let page = fs::read_to_string(page).unwrap();
    for code in Code::ALL {
        assert!(page.contains(&format!("\n| `{code}` | ")), "{code}");
    }
}

#[test]
fn findings_that_are_allowed_are_left_out() {
    let all: Vec<&str> = Code::ALL
        .iter()
        .flat_map(|code| ["--allow", code.as_str()])
        .collect();
    let config = folder().join("trellis.yaml");
    assert_eq!(lint(&config, &all), ("nothing found\n".to_owned(), 0));
    let (text, code) = lint(&config, &["--allow", "shadowed"]);
    assert_eq!(code, 1);
    assert!(
        text.contains(" public-access: ") && !text.contains(" shadowed: "),
        "{text}"
    );
}

#[test]
fn a_configuration_that_is_wrong_is_no_finding() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trellis.yaml");
    let policy = |effect: &str| {
        format!(
            "account: \"111122223333\"\nregion: us-west-2\nserviceNetworks:\n  - name: net\n    authType: AWS_IAM\n    authPolicy: {{Statement: {{Effect: {effect}, NotPrincipal: {{AWS: \"111122223333\"}}, Action: \"*\", Resource: \"*\"}}}}\n"
        )
    };
    fs::write(&path, policy("Allow")).unwrap();
    let (text, code) = lint(
        &path,
        &["--allow", "unknown-principal", "--allow", "never-consulted"],
    );
    assert_eq!(code, 2, "{text}");
    assert!(
        text.contains(":6: error: serviceNetworks[0].authPolicy.Statement"),
        "{text}"
    );
    fs::write(&path, policy("Deny")).unwrap();
    let (text, code) = lint(
        &path,
        &["--allow", "unknown-principal", "--allow", "never-consulted"],
    );
    assert_eq!(code, 0, "{text}");
}
