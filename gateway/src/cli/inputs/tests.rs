//! Configurations in files, folders and texts.

use std::fs;

use super::{Configuration, sources};

#[test]
fn a_folder_is_read_in_order_without_what_is_hidden_or_below() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b.yaml", "a.json", "c.yml", ".hidden.yaml", "notes.txt"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::write(folder.path().join("policies/orders.json"), "{}").unwrap();
    let found: Vec<_> = sources(folder.path())
        .unwrap()
        .into_iter()
        .map(|source| source.text.unwrap())
        .collect();
    assert_eq!(found, ["a.json", "b.yaml", "c.yml"]);
}

#[test]
fn what_cannot_be_read_is_a_problem_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let check = |path: &std::path::Path, text: &str| {
        let (_, problems) = Configuration::new(path.to_owned()).check();
        let problems = problems.to_string();
        assert!(problems.contains(text), "{problems}");
        assert!(problems.contains(&path.display().to_string()), "{problems}");
    };
    check(
        &folder.path().join("missing.yaml"),
        "cannot be read: there is no such file or folder",
    );
    check(folder.path(), "no configuration: the folder holds no");
    let binary = folder.path().join("binary.yaml");
    fs::write(&binary, b"a: b\n\xff").unwrap();
    check(&binary, "cannot be read: line 2 is not UTF-8 text");
}

/// One report for all: what the unreadable file may have held is not missed, what is wrong in the others is.
#[test]
fn a_file_that_cannot_be_read_does_not_hide_what_is_wrong_in_the_others() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), b"\xff").unwrap();
    let other = "region: us-west-2\nserviceNetworks:\n  - name: net\n    serviceAssociations: [{serviceIdentifier: elsewhere}]\n";
    fs::write(
        folder.path().join("b.yaml"),
        format!("{other}nonsense: 1\n"),
    )
    .unwrap();
    let (config, problems) = Configuration::new(folder.path().to_owned()).check();
    assert!(config.is_none());
    let told: Vec<_> = problems
        .iter()
        .map(|problem| problem.message.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "cannot be read: line 1 is not UTF-8 text",
            "unknown key `nonsense`"
        ]
    );
}
#[test]
fn a_text_is_yaml_or_json_and_its_problems_have_lines() {
    let check = |text: &[u8], told: &str| {
        let configuration = Configuration::or_input("-".as_ref(), &mut &*text);
        let (config, problems) = configuration.check();
        assert_eq!(problems.to_string(), told);
        assert_eq!(config.is_some(), told.is_empty());
    };
    check(b"account: \"111122223333\"\nregion: us-west-2\n", "");
    check(
        b"\xef\xbb\xbf\n {\"account\": \"111122223333\", \"region\": \"us-west-2\"}",
        "",
    );
    check(
        b"region: us-west-2\naccount: 1\n",
        "stdin.yaml:2: account: `1` is not an account id of 12 digits",
    );
    check(
        b"{\"region\": \"us-west-2\",\n}",
        "stdin.json:2: expected a key in double quotes",
    );
    check(
        b"\xff",
        "stdin.yaml: cannot be read: line 1 is not UTF-8 text",
    );
}
#[test]
fn records_are_not_written_over_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let check = |root: &str, destination: &str, wanted: bool| {
        let text = format!(
            "account: \"111122223333\"\nregion: us-west-2\nserviceNetworks: [{{name: net, authType: AWS_IAM, authPolicy: {{file: policy.cedar}}}}]\n\
             accessLogSubscriptions: [{{resourceIdentifier: net, destination: {{file: {destination}}}}}]\n"
        );
        fs::write(folder.path().join("trellis.yaml"), text).unwrap();
        fs::write(
            folder.path().join("policy.cedar"),
            "permit (principal, action, resource);",
        )
        .unwrap();
        let (_, problems) = Configuration::new(folder.path().join(root)).check();
        let told = problems
            .iter()
            .any(|problem| problem.message.ends_with("is a part of the configuration"));
        assert_eq!(told, wanted, "{root} {destination}: {problems}");
    };
    for root in ["", "trellis.yaml"] {
        check(root, "./access.jsonl", false);
        check(root, "./trellis.yaml", true);
        check(root, "policy.cedar", true);
        check(root, "../access.json", false);
        // A document only where every document of the folder is one.
        check(root, "access.json", root.is_empty());
    }
}
