//! The fast and the careful reading of a file must agree.

use super::{parse, source};

/// YAML texts, and whether their shape is right.
const YAML: &[(&str, bool)] = &[
    ("account: 111122223333", true),
    ("account: '111122223333'", true),
    ("account: 011122223333", true),
    ("account: 1.5", true),
    ("account: true", true),
    ("account: 2026-01-01", true),
    ("account: [a]", false),
    ("account: {a: b}", false),
    ("account: !!str 5", true),
    ("account: !secret x", false),
    ("account: a\naccount: b", false),
    ("gateway: {workers: 4}", true),
    ("gateway: {workers: '4'}", true),
    ("gateway: {workers: +4}", true),
    ("gateway: {workers: -4}", true),
    ("gateway: {workers: 0x10}", true),
    ("gateway: {workers: 0o17}", true),
    ("gateway: {workers: 4.0}", false),
    ("gateway: {workers: 4e1}", false),
    ("gateway: {workers: four}", false),
    ("gateway: {workers: 99999999999999999999}", false),
    ("gateway: {workers: [4]}", false),
    ("gateway: [x]", false),
    ("gateway: []", false),
    ("gateway: text", false),
    ("gateway: {limits: {upgrades: DROP}}", true),
    ("gateway: {limits: {upgrades: 'DROP'}}", true),
    ("gateway: {limits: {upgrades: drop}}", false),
    ("vpcs: [[net]]", false),
    ("vpcs: [net]", false),
    ("vpcs: {name: net}", false),
    ("vpcs: [{name: net}]", true),
    ("vpcs: [{name: net, addressBook: {1: 2}}]", true),
    ("vpcs: [{name: net, addressBook: {a: 1, a: 2}}]", false),
    ("vpcs: [{name: net, addressBook: [a]}]", false),
    ("vpcs: [{name: [net]}]", false),
    ("vpcs: [{}]", false),
    (
        "targetGroups: [{name: a, type: IP, config: {protocol: HTTP, vpcIdentifier: b, healthCheck: {enabled: true}}}]",
        true,
    ),
    (
        "targetGroups: [{name: a, type: IP, config: {protocol: HTTP, vpcIdentifier: b, healthCheck: {enabled: False}}}]",
        true,
    ),
    (
        "targetGroups: [{name: a, type: IP, config: {protocol: HTTP, vpcIdentifier: b, healthCheck: {enabled: yes}}}]",
        false,
    ),
    (
        "targetGroups: [{name: a, type: IP, config: {protocol: HTTP, vpcIdentifier: b, healthCheck: {enabled: 'true'}}}]",
        true,
    ),
    (
        "targetGroups: [{name: a, type: IP, config: {protocol: HTTP, vpcIdentifier: b, healthCheck: {enabled: 1}}}]",
        false,
    ),
    (
        "accessLogSubscriptions: [{resourceIdentifier: a, destination: stdout}]",
        true,
    ),
    (
        "accessLogSubscriptions: [{resourceIdentifier: a, destination: {file: a}}]",
        true,
    ),
    (
        "accessLogSubscriptions: [{resourceIdentifier: a, destination: {stdout: {}}}]",
        false,
    ),
    (
        "accessLogSubscriptions: [{resourceIdentifier: a, destination: {file: a, stdout: }}]",
        false,
    ),
    (
        "accessLogSubscriptions: [{resourceIdentifier: a, destination: {}}]",
        false,
    ),
    (
        "accessLogSubscriptions: [{resourceIdentifier: a, destination: file}]",
        false,
    ),
    ("services: [{name: a, authPolicy: text}]", true),
    ("services: [{name: a, authPolicy: {file: x}}]", true),
    ("services: [{name: a, authPolicy: {file: [x]}}]", false),
    (
        "services: [{name: a, authPolicy: {cedar: x, Statement: []}}]",
        false,
    ),
    (
        "services: [{name: a, authPolicy: {Statement: [], x: [1, 1.5, -3, yes, true, null, ~, 0x1F, 012, 1_000]}}]",
        true,
    ),
    ("services: [{name: a, authPolicy: [x]}]", false),
    ("services: [{name: a, authPolicy: 5}]", false),
    (
        "services: [{name: a, authPolicy: {Statement: [{a: b, a: c}]}}]",
        false,
    ),
    ("x: 1", false),
    ("", true),
    ("# nothing", true),
    ("--- {}", true),
    ("text", false),
    ("[]", false),
    ("a: 1\n---\nb: 2", false),
];

/// JSON texts, and whether their shape is right.
const JSON: &[(&str, bool)] = &[
    ("{}", true),
    ("[]", false),
    ("5", false),
    (r#"{"account": "a"}"#, true),
    (r#"{"account": 5}"#, false),
    (r#"{"account": null}"#, true),
    (r#"{"account": "\ud83d\ude00\n"}"#, true),
    (r#"{"gateway": {"workers": 4}}"#, true),
    (r#"{"gateway": {"workers": 4.0}}"#, false),
    (r#"{"gateway": {"workers": "4"}}"#, false),
    (r#"{"gateway": {"workers": 9223372036854775808}}"#, false),
    (
        r#"{"gateway": [null, null, null, null, null, null]}"#,
        false,
    ),
    (r#"{"vpcs": [["net", null, [], [], {}]]}"#, false),
    (r#"{"vpcs": [{"name": "net"}]}"#, true),
    (r#"{"vpcs": [{"name": "net", "name": "net"}]}"#, false),
    (
        r#"{"services": [{"name": "a", "authPolicy": {"Statement": {"a": [1.5, true, null]}}}]}"#,
        true,
    ),
    (r#"{"services": [{"name": "a", "authPolicy": null}]}"#, true),
    (
        r#"{"services": [{"name": "a", "tags": {"a": true}}]}"#,
        false,
    ),
];

/// Both readings of a file must agree on what is right: whatever the fast one takes, the careful one must find nothing wrong with, and
/// the other way round, but for values left empty, which the careful reading alone understands.
#[test]
fn the_fast_and_the_careful_reading_agree() {
    let mut wrong = Vec::new();
    for (name, cases) in [("a.yaml", YAML), ("a.json", JSON)] {
        for (text, right) in cases {
            let verdicts = parse::verdicts(&source(name, text));
            if verdicts != (*right, *right) {
                wrong.push(format!(
                    "{text}: fast {}, careful {}",
                    verdicts.0, verdicts.1
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Values left empty are understood by the careful reading alone; the outcome is that they load.
    for text in [
        "vpcs:",
        "services: [{name: a, listeners: , tags: }]",
        "gateway: {limits: {upgrades: }}",
    ] {
        assert!(parse::verdicts(&source("a.yaml", text)).1, "{text}");
    }
}
