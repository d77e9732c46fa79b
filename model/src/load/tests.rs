mod properties;
mod scale;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{Inputs, Loaded, Source, load, parse};
use crate::golden;

/// Files and variables that documents in tests may name.
#[derive(Default)]
struct Given(HashMap<String, String>);

impl Given {
    fn new(entries: &[(&str, &str)]) -> Self {
        Self(
            entries
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }
}

impl Inputs for Given {
    fn read(&self, path: &Path) -> Result<String, String> {
        self.variable(&path.display().to_string())
            .ok_or_else(|| "no such file".to_owned())
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
}

fn source(path: &str, text: &str) -> Source {
    Source {
        path: PathBuf::from(path),
        text: text.to_owned(),
    }
}

/// The example of the design, as it stands but for what it leaves to files and to the second target group.
const EXAMPLE: &str = r#"
account: "111122223333"
region: us-west-2
gateway:
  admin: 127.0.0.1:9901                 # metrics, health, running configuration
  control: 127.0.0.1:9900               # the VPC Lattice API and STS
  dns: {listen: ["127.0.0.1:5353"], answers: ["127.0.0.1"]}
  dataDir: ./trellis-data
vpcs:
  - {name: shop, cidrs: [10.0.0.0/16], attachments: [{listen: ["127.0.0.1"]}]}
serviceNetworks:
  - name: commerce
    authType: AWS_IAM
    authPolicy: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: "*", Action: "vpc-lattice-svcs:Invoke", Resource: "*"}]}
    vpcAssociations: [{vpcIdentifier: shop}]
    serviceAssociations: [{serviceIdentifier: orders}]
services:
  - name: orders
    customDomainName: orders.shop.test
    authType: AWS_IAM
    authPolicy: {file: policies/orders.json}
    listeners:
      - name: http
        protocol: HTTP
        port: 8080
        defaultAction: {forward: {targetGroups: [{targetGroupIdentifier: orders-v1, weight: 90}, {targetGroupIdentifier: orders-v2, weight: 10}]}}
        rules:
          - {name: health, priority: 10, match: {httpMatch: {method: GET, pathMatch: {match: {exact: /healthz}}}}, action: {fixedResponse: {statusCode: 404}}}
targetGroups:
  - {name: orders-v1, type: IP, config: {protocol: HTTP, port: 9101, vpcIdentifier: shop}, targets: [{id: 127.0.0.1}]}
  - {name: orders-v2, type: IP, config: {protocol: HTTP, port: 9102, vpcIdentifier: shop}, targets: [{id: 127.0.0.1}]}
principals:
  users: [{name: checkout, policies: [{file: policies/checkout.json}], accessKeys: [{id: AKIAEXAMPLE, secret: {env: CHECKOUT_SECRET}}]}]
  roles: [{name: reader, trustPolicy: {file: policies/reader-trust.json}, policies: [{file: policies/reader.json}], tags: {team: web}}]
accessLogSubscriptions:
  - {resourceIdentifier: commerce, destination: {file: ./access.jsonl}}
"#;

fn example_inputs() -> Given {
    Given::new(&[
        ("policies/orders.json", "{}"),
        ("policies/checkout.json", "{}"),
        ("policies/reader-trust.json", "{}"),
        ("policies/reader.json", "{}"),
        ("CHECKOUT_SECRET", "s3cret"),
    ])
}

fn loads(sources: &[Source], inputs: &dyn Inputs) -> Loaded {
    load(sources, inputs).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn the_example_of_the_design_loads_as_it_stands() {
    let loaded = loads(&[source("shop.yaml", EXAMPLE)], &example_inputs());
    assert_eq!(
        loaded.warnings.to_string(),
        "shop.yaml:6: warning: gateway.control: the control API is not served by this version\n    \
         hint: change the files; the gateway reloads them"
    );
}

/// A folder of cases: its files at the top are the configuration, `VARIABLES` is the environment.
struct Case(PathBuf);

impl Inputs for Case {
    fn read(&self, path: &Path) -> Result<String, String> {
        golden::read(&self.0.join(path))
    }

    fn variable(&self, name: &str) -> Option<String> {
        let variables = golden::read(&self.0.join("VARIABLES")).ok()?;
        let value = variables
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.map(ToOwned::to_owned)
    }
}

#[test]
fn every_case_gives_its_outcome() {
    for folder in golden::folders("src/load/cases") {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let sources: Vec<_> = golden::files(&folder)
            .into_iter()
            .filter(|path| {
                path.extension()
                    .is_some_and(|e| e == "yaml" || e == "yml" || e == "json")
            })
            .map(|path| {
                source(
                    path.file_name().unwrap().to_str().unwrap(),
                    &golden::read(&path).unwrap(),
                )
            })
            .collect();
        let outcome = load(&sources, &Case(folder.clone()));
        assert_eq!(outcome.is_ok(), name.starts_with("valid"), "{name}");
        let text = match outcome {
            Ok(Loaded { config, warnings }) => format!("{warnings}\n\n{config:#?}\n"),
            Err(problems) => format!("{problems}\n"),
        };
        golden::check(&format!("src/load/cases/{name}/outcome.txt"), &text);
    }
}

/// Both readings of a file must agree on what is right: whatever the fast one takes, the careful one must find nothing wrong with, and
/// the other way round, but for values left empty, which the careful reading alone understands.
#[test]
fn the_fast_and_the_careful_reading_agree() {
    let yaml = [
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
    let json = [
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
    let mut wrong = Vec::new();
    for (name, cases) in [("a.yaml", yaml.as_slice()), ("a.json", json.as_slice())] {
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
