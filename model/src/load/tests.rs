mod agreement;
mod properties;
mod scale;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{Inputs, Loaded, Source, examine, load, locate, parse};
use crate::{
    golden,
    problem::{Place, Problem},
};

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
        text: Ok(text.to_owned()),
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
    assert_eq!(loaded.warnings.to_string(), "");
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

/// A document with a problem in one part, and something to find in another.
const HALF: &str = "account: '111122223333'\nregion: us-west-2\ngateway:\n  admin: 127.0.0.1:1\nvpcs:\n  - name: net\n  - name: net\n\
                    services:\n  - name: orders\n    authType: AWS_IAM\n    authPolicy: {Statement: []}\n";

#[test]
fn what_is_right_beside_what_is_wrong_can_be_examined_further() {
    let examined = examine(&[source("a.yaml", HALF)], &Given::default());
    assert_eq!(
        examined.problems.to_string(),
        "a.yaml:7: vpcs[1].name: \"net\" is taken by vpcs[0]"
    );
    let config = examined.config;
    assert_eq!(config.services.len(), 1);
    assert!(config.services[0].auth_policy.is_some());
    assert!(load(&[source("a.yaml", HALF)], &Given::default()).is_err());
}

#[test]
fn a_problem_found_later_gets_the_file_and_line_of_its_path() {
    let sources = [
        source("a.yaml", "region: us-west-2\n"),
        source("b.yaml", HALF),
    ];
    let check = |path: &str, wanted: &str| {
        let place = Place {
            path: path.to_owned(),
            ..Place::default()
        };
        let problems = [Problem::error(place, "taken")].into_iter().collect();
        let located = locate(problems, &sources, &Given::default());
        assert_eq!(located.to_string(), wanted);
    };
    check("gateway.admin", "b.yaml:4: gateway.admin: taken");
    check(
        "services[0].authType",
        "b.yaml:10: services[0].authType: taken",
    );
    // No document has it: it came from the command line, or is a default.
    check("gateway.dataDir", "gateway.dataDir: taken");
    check("", "taken");
}
