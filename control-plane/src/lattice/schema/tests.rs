use serde_json::{Value, json};

use super::{API, Location, Segment, Shape};

#[test]
fn the_model_has_all_operations() {
    assert_eq!(API.operations.len(), 73);
    for operation in &API.operations {
        for segment in &operation.path {
            let Segment::Label(label) = segment else {
                continue;
            };
            let members = API.members(operation.input);
            let in_path = members.iter().find(|member| member.name == *label);
            assert_eq!(
                in_path.unwrap().location,
                Location::Path,
                "{}",
                operation.name
            );
        }
    }
}

#[test]
fn every_pattern_can_be_tried() {
    for shape in &API.shapes {
        if let Shape::Text {
            pattern: Some(pattern),
            ..
        } = shape
        {
            assert!(pattern.compile().is_some(), "{}", pattern.source);
        }
    }
}

/// What is wrong with the input of an operation, by member.
fn complaints(operation: &str, input: &Value) -> Vec<String> {
    let operation = API.operation(operation).unwrap();
    let found = API.check(operation.input, input.as_object().unwrap());
    found.0.into_iter().map(|one| one.name).collect()
}

#[test]
fn names_are_checked_as_a_whole() {
    let wrong = |name: &str| !complaints("CreateService", &json!({"name": name})).is_empty();
    for name in ["orders", "a-b-c", "abc", &"a".repeat(40)] {
        assert!(!wrong(name), "{name}");
    }
    for name in [
        "ab",
        "-ab",
        "ab-",
        "a--b",
        "Abc",
        "svc-abc",
        "a b c",
        "abc\n",
        "äbc",
        &"a".repeat(41),
    ] {
        assert!(wrong(name), "{name}");
    }
}

#[test]
fn all_that_is_wrong_is_told_with_its_place() {
    let input = json!({
        "serviceIdentifier": "svc-0123456789abcdef0",
        "name": "x",
        "protocol": "QUIC",
        "port": 0,
        "defaultAction": {"forward": {"targetGroups": [
            {"weight": 1000},
            {"targetGroupIdentifier": 7},
        ]}},
    });
    assert_eq!(
        complaints("CreateListener", &input),
        [
            "name",
            "protocol",
            "port",
            "defaultAction.forward.targetGroups[0].targetGroupIdentifier",
            "defaultAction.forward.targetGroups[0].weight",
            "defaultAction.forward.targetGroups[1].targetGroupIdentifier",
        ]
    );
}

#[test]
fn a_union_has_exactly_one_member() {
    let create = |action: Value| {
        let input = json!({
            "serviceIdentifier": "svc-0123456789abcdef0",
            "name": "web",
            "protocol": "HTTP",
            "defaultAction": action,
        });
        complaints("CreateListener", &input)
    };
    let fixed = json!({"statusCode": 404});
    assert_eq!(create(json!({"fixedResponse": fixed})), [] as [&str; 0]);
    assert_eq!(
        create(json!({"fixedResponse": fixed, "forward": null})),
        [] as [&str; 0]
    );
    assert_eq!(create(json!({})), ["defaultAction"]);
    let both = json!({
        "fixedResponse": fixed,
        "forward": {"targetGroups": [{"targetGroupIdentifier": "tg-0123456789abcdef0"}]},
    });
    assert_eq!(create(both), ["defaultAction"]);
}

#[test]
fn an_answer_has_the_members_of_the_model_and_no_nulls() {
    let operation = API.operation("GetService").unwrap();
    let shown = API.project(
        operation.output,
        json!({
            "name": "orders",
            "id": "svc-1",
            "certificateArn": null,
            "account": "111122223333",
            "dnsEntry": {"domainName": "x", "hostedZoneId": null, "more": 1},
        }),
    );
    assert_eq!(
        shown.to_string(),
        r#"{"id":"svc-1","name":"orders","dnsEntry":{"domainName":"x"}}"#
    );
}
