use std::fmt::Write;

use super::{Given, load, loads, source};

/// `count` services with ten rules each, in flow style, which is YAML and JSON.
fn text(count: usize) -> String {
    let mut text = String::from(
        r#"{"account": "111122223333", "region": "us-west-2", "vpcs": [{"name": "net"}], "services": ["#,
    );
    for service in 0..count {
        let comma = if service == 0 { "" } else { ",\n" };
        write!(
            text,
            r#"{comma}{{"name": "service-{service}", "listeners": [{{"name": "http", "protocol": "HTTP", "port": 8080,
            "defaultAction": {{"fixedResponse": {{"statusCode": 404}}}}, "rules": ["#
        )
        .unwrap();
        for rule in 0..10 {
            let comma = if rule == 0 { "" } else { ",\n" };
            write!(
                text,
                r#"{comma}{{"name": "rule{rule}", "priority": {}, "match": {{"httpMatch": {{"method": "GET",
                "pathMatch": {{"match": {{"prefix": "/path/{rule}"}}}}}}}},
                "action": {{"forward": {{"targetGroups": [{{"targetGroupIdentifier": "group-{service}"}}]}}}}}}"#,
                10 - rule
            )
            .unwrap();
        }
        text.push_str("]}]}");
    }
    text.push_str(r#"], "targetGroups": ["#);
    for group in 0..count {
        let comma = if group == 0 { "" } else { ",\n" };
        write!(
            text,
            r#"{comma}{{"name": "group-{group}", "type": "IP", "config": {{"protocol": "HTTP", "vpcIdentifier": "net"}},
            "targets": [{{"id": "10.0.0.1"}}]}}"#
        )
        .unwrap();
    }
    text.push_str("]}\n");
    text
}

#[test]
fn ten_thousand_services_with_ten_rules_load_from_json() {
    let loaded = loads(&[source("large.json", &text(10_000))], &Given::default());
    assert_eq!(loaded.config.services.len(), 10_000);
    assert!(
        loaded
            .config
            .services
            .iter()
            .all(|service| service.listeners[0].rules.len() == 10)
    );
}

#[test]
fn ten_thousand_services_with_ten_rules_load_from_yaml() {
    let loaded = loads(&[source("large.yaml", &text(10_000))], &Given::default());
    assert_eq!(loaded.config.services.len(), 10_000);
}

#[test]
fn a_problem_in_every_one_of_many_services_is_reported_once_each() {
    let text = text(2000)
        .replace(r#""port": 8080"#, r#""port": 0"#)
        .replace("\"group-", "\"missing-");
    let text = text.replacen(r#""region""#, r#""regio""#, 1);
    let problems = load(&[source("large.json", &text)], &Given::default()).unwrap_err();
    let ports = problems
        .iter()
        .filter(|problem| problem.place.path.contains("].port"))
        .count();
    assert_eq!(ports, 2000);
    assert!(
        problems
            .iter()
            .all(|problem| problem.place.path.is_empty() || problem.place.line.is_some())
    );
}
