//! Reports as transcripts; and each expectation with its refusing twin.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::cli::examples::run;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs `trellis test`; gives what it prints, with paths relative to the repository, and its exit code.
fn test(arguments: &[&str]) -> (String, u8) {
    let mut words = ["trellis", "test"].map(str::to_owned).to_vec();
    words.extend(arguments.iter().map(ToString::to_string));
    let (text, code) = run(&words);
    (
        text.replace(&format!("{}/", repository().display()), ""),
        code,
    )
}

/// Runs a single test of the shop, with this request and these expectations.
fn single(request: &str, expect: &str) -> (String, u8) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.yaml");
    let config = repository().join("examples/shop/trellis.yaml");
    let text = format!(
        "config: {}\ndefaults: {{vpc: shop}}\ntests:\n  - name: one\n    request: {{{request}}}\n    expect: {{{expect}}}\n",
        config.display()
    );
    fs::write(&path, text).unwrap();
    test(&[path.to_str().unwrap()])
}

#[test]
fn the_tests_of_the_shop_pass() {
    let path = repository().join("examples/shop/tests/orders.yaml");
    let (text, code) = test(&[path.to_str().unwrap()]);
    assert_eq!(code, 0, "{text}");
    assert!(text.ends_with("8 passed, 0 failed\n"), "{text}");
}

#[test]
fn reports_are_what_is_printed() {
    let folder = repository().join("gateway/testdata/test");
    let file = folder.join("failing.yaml");
    for (format, golden) in [
        ("text", "failing.txt"),
        ("json", "failing.json"),
        ("junit", "failing.xml"),
    ] {
        let (text, code) = test(&["--output", format, file.to_str().unwrap()]);
        assert_eq!(code, 1, "{text}");
        let golden = folder.join(golden);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &text).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert!(
            text == expected,
            "{} differs (UPDATE_GOLDEN=1 rewrites it):\n{text}",
            golden.display()
        );
    }
}

const CHECKOUT: &str =
    "principal: checkout, method: POST, url: 'http://orders.shop.test:8080/orders'";
const DELETE: &str =
    "principal: checkout, method: DELETE, url: 'http://orders.shop.test:8080/orders'";
const LOST: &str = "principal: checkout, url: 'http://nowhere.shop.test:8080/'";

/// A request, an expectation that holds, one that does not, and what is told of that.
const EXPECTATIONS: [(&str, &str, &str, &str); 12] = [
    (
        CHECKOUT,
        "decision: allow",
        "decision: deny",
        "decision: expected deny, got allow",
    ),
    (
        LOST,
        "status: 404",
        "decision: deny",
        "decision: expected deny, got the policies were not asked",
    ),
    (
        CHECKOUT,
        "decision: allow",
        "candidate: allow",
        "candidate: expected allow, got no policy is in audit or has a candidate",
    ),
    (
        CHECKOUT,
        "outcome: forwarded",
        "outcome: refused",
        "outcome: expected refused, got forwarded",
    ),
    (
        DELETE,
        "status: 403",
        "status: 404",
        "status: expected 404, got 403",
    ),
    (
        DELETE,
        "status: 403",
        "outcome: unanswered",
        "outcome: expected unanswered, got refused",
    ),
    (
        CHECKOUT,
        "service: orders",
        "service: catalog",
        "service: expected catalog, got orders",
    ),
    (
        CHECKOUT,
        "rule: default",
        "rule: canary",
        "rule: expected canary, got default",
    ),
    (
        CHECKOUT,
        "targetGroup: [orders-v2, orders-v1]",
        "targetGroup: orders-v1",
        "targetGroup: expected orders-v1, got orders-v1, orders-v2",
    ),
    (
        DELETE,
        "refusedBy: service",
        "refusedBy: network",
        "refusedBy: expected network, got service",
    ),
    (
        DELETE,
        "statement: NobodyDeletes",
        "statement: '1'",
        "statement: expected 1, got NobodyDeletes",
    ),
    (
        CHECKOUT,
        "statement: EverybodyInside",
        "statement: NobodyDeletes",
        "statement: expected NobodyDeletes, got EverybodyInside, OurOwnPeople, Call",
    ),
];

#[test]
fn every_expectation_can_fail() {
    for (request, holds, fails, told) in EXPECTATIONS {
        let (text, code) = single(request, holds);
        assert_eq!(code, 0, "{holds}\n{text}");
        let (text, code) = single(request, fails);
        assert_eq!(code, 1, "{fails}\n{text}");
        assert!(
            text.contains(&format!("\n      {told}\n")),
            "{told}\n{text}"
        );
    }
}

/// A configuration with a role that nobody has a key of, a policy that asks for session tags, and a candidate that allows less.
const SESSIONS: &str = r#"
account: "111122223333"
region: us-west-2
vpcs: [{name: shop, cidrs: [10.0.0.0/16], attachments: [{listen: [127.0.0.1]}]}]
serviceNetworks:
  - {name: net, vpcAssociations: [{vpcIdentifier: shop}], serviceAssociations: [{serviceIdentifier: orders}]}
services:
  - name: orders
    customDomainName: orders.shop.test
    authType: AWS_IAM
    authPolicy:
      Statement: {Sid: Web, Effect: Allow, Principal: "*", Action: "*", Resource: "*", Condition: {StringEquals: {"aws:PrincipalTag/team": web}}}
    shadowAuthPolicy:
      Statement: {Sid: Gets, Effect: Allow, Principal: "*", Action: "*", Resource: "*", Condition: {StringEquals: {"vpc-lattice-svcs:RequestMethod": GET}}}
    listeners: [{name: http, protocol: HTTP, port: 8080, defaultAction: {fixedResponse: {statusCode: 404}}}]
principals:
  roles:
    - name: reader
      trustPolicy: {Statement: {Effect: Allow, Principal: {AWS: "111122223333"}, Action: "sts:AssumeRole"}}
      policies: [{Statement: {Effect: Allow, Action: "*", Resource: "*"}}]
"#;

#[test]
fn sessions_and_candidates_are_tested() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("trellis.yaml"), SESSIONS).unwrap();
    let path = folder.path().join("tests.yaml");
    let outcome = |request: &str, expect: &str| {
        let text = format!(
            "config: trellis.yaml\ntests:\n  - name: one\n    request: {{url: 'http://orders.shop.test:8080/', {request}}}\n    expect: {{{expect}}}\n"
        );
        fs::write(&path, text).unwrap();
        test(&[path.to_str().unwrap()])
    };
    let web = "principal: reader/night, sessionTags: {team: web}";
    let ops = "principal: 'arn:aws:sts::111122223333:assumed-role/reader/night', sessionTags: {team: ops}";
    for (request, holds, fails) in [
        (web, "decision: allow, statement: Web", "decision: deny"),
        (ops, "decision: deny, refusedBy: service", "decision: allow"),
        (
            "principal: reader/night",
            "decision: deny",
            "decision: allow",
        ),
        (web, "candidate: allow", "candidate: deny"),
        (
            "principal: reader/night, method: POST, sessionTags: {team: web}",
            "decision: allow, candidate: deny",
            "candidate: allow",
        ),
    ] {
        let (text, code) = outcome(request, holds);
        assert_eq!(code, 0, "{request} {holds}\n{text}");
        let (text, code) = outcome(request, fails);
        assert_eq!(code, 1, "{request} {fails}\n{text}");
        assert!(text.contains("| candidate        would be "), "{text}");
    }
    for (request, told) in [
        (
            "sessionTags: {team: web}",
            "`sessionTags` take `principal` beside them",
        ),
        (
            "principal: writer/night, sessionTags: {team: web}",
            "`writer/night` has no session tags",
        ),
        (
            "principal: writer/night",
            "no user, and no session of a role, is called `writer/night`",
        ),
    ] {
        let (text, code) = outcome(request, "decision: allow");
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(told), "{told}\n{text}");
    }
}

#[test]
fn tests_that_describe_no_request_are_wrong() {
    let url = "url: 'http://orders.shop.test:8080/'";
    for (request, expect, told) in [
        (
            url.to_owned(),
            "",
            ":6: tests[0].expect: nothing is expected of the request",
        ),
        (
            format!("{url}, principal: nobody"),
            "status: 403",
            ":5: tests[0].request: no user, and no session of a role, is called `nobody`",
        ),
        (
            format!("{url}, principal: checkout, anonymous: true"),
            "status: 403",
            ":5: tests[0].request.principal: `principal` and `anonymous` exclude each other",
        ),
        (
            format!("{url}, to: 127.0.0.1"),
            "status: 403",
            ":5: tests[0].request.to: `to` takes `from` beside it",
        ),
        (
            format!("{url}, at: yesterday"),
            "status: 403",
            ":5: tests[0].request: `at`: not a time",
        ),
        (
            "url: 'ftp://orders.shop.test/'".to_owned(),
            "status: 403",
            ":5: tests[0].request: `ftp://orders.shop.test/` is not a URL",
        ),
        (
            format!("{url}, colour: red"),
            "status: 403",
            ":5: unknown field",
        ),
        (url.to_owned(), "decision: perhaps", ":6: unknown variant"),
    ] {
        let (text, code) = single(&request, expect);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(told), "{told}\n{text}");
    }
}

#[test]
fn files_and_configurations_that_cannot_be_used_are_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tests.json");
    let file = path.to_str().unwrap();
    let (text, code) = test(&[file]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("tests.json: cannot be read: "), "{text}");
    fs::write(&path, "{\"tests\": []}").unwrap();
    let (text, code) = test(&[file]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("names no configuration"), "{text}");
    let config = repository().join("examples/shop/trellis.yaml");
    let (text, code) = test(&["--config", config.to_str().unwrap(), file]);
    assert_eq!((&*text, code), ("0 passed, 0 failed\n", 0));
    let (text, code) = test(&[
        "--config",
        folder.path().join("none.yaml").to_str().unwrap(),
        file,
    ]);
    assert_eq!(code, 2, "{text}");
}
