#![expect(
    clippy::needless_pass_by_value,
    reason = "inputs are written where they are used, with `json!`"
)]

use serde_json::{Value, json};

use super::Tagging;
use crate::{
    lattice::tests::{ONE, TWO, World},
    neighbor::tests::{Visitor, assert_refused},
};

fn ask(world: &World, who: Visitor<'_>, operation: &'static str, input: Value) -> Value {
    let answer = who.ask::<Tagging>(world, operation, &input);
    let answer = answer.unwrap_or_else(|refusal| panic!("{operation}: {refusal:?}"));
    serde_json::from_str(&answer).unwrap()
}

fn arns(answer: &Value) -> Vec<String> {
    let list = answer["ResourceTagMappingList"].as_array().unwrap();
    let arn = |one: &Value| one["ResourceARN"].as_str().unwrap().to_owned();
    list.iter().map(arn).collect()
}

fn create(world: &World, operation: &str, name: &str, tags: Value) -> String {
    let mut input = json!({"name": name, "tags": tags});
    if operation == "CreateTargetGroup" {
        input["type"] = json!("IP");
        input["config"] = json!({"protocol": "HTTP", "port": 80, "vpcIdentifier": crate::lattice::tests::VPC_ONE});
    }
    world.ok(operation, input)["arn"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn resources_are_found_by_type_and_tags_and_only_by_their_owner() {
    let world = World::new();
    let me = Visitor::of(ONE);
    let group = create(
        &world,
        "CreateTargetGroup",
        "group",
        json!({"team": "web", "stage": "prod"}),
    );
    let service = create(&world, "CreateService", "service", json!({"team": "web"}));
    let network = create(
        &world,
        "CreateServiceNetwork",
        "network",
        json!({"team": "ops"}),
    );
    let _untagged = world.service("untagged");
    for (filters, expected) in [
        (json!({}), vec![&network, &service, &group]),
        (
            json!({"ResourceTypeFilters": ["vpc-lattice:targetgroup"]}),
            vec![&group],
        ),
        (
            json!({"ResourceTypeFilters": ["vpc-lattice:targetgroup", "vpc-lattice:service"]}),
            vec![&service, &group],
        ),
        (
            json!({"ResourceTypeFilters": ["vpc-lattice"]}),
            vec![&network, &service, &group],
        ),
        (json!({"ResourceTypeFilters": ["ec2:instance"]}), vec![]),
        (
            json!({"ResourceTypeFilters": ["vpc-lattice:target"]}),
            vec![],
        ),
        (
            json!({"TagFilters": [{"Key": "team", "Values": ["web"]}]}),
            vec![&service, &group],
        ),
        (
            json!({"TagFilters": [{"Key": "team", "Values": ["web", "ops"]}]}),
            vec![&network, &service, &group],
        ),
        (
            json!({"TagFilters": [{"Key": "team"}, {"Key": "stage"}]}),
            vec![&group],
        ),
        (json!({"TagFilters": [{"Key": "Team"}]}), vec![]),
        (
            json!({"ResourceARNList": [service, "arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-none"]}),
            vec![&service],
        ),
    ] {
        let answer = ask(&world, me, "GetResources", filters.clone());
        assert_eq!(
            arns(&answer).iter().collect::<Vec<_>>(),
            expected,
            "{filters}"
        );
        assert_eq!(answer["PaginationToken"], "");
    }
    let theirs = ask(&world, Visitor::of(TWO), "GetResources", json!({}));
    assert_eq!(arns(&theirs), Vec::<String>::new());
    let denied = me.without(&["tag:GetResources"]);
    assert_refused::<Tagging>(
        denied.ask::<Tagging>(&world, "GetResources", &json!({})),
        "AccessDeniedException",
    );
}

#[test]
fn pages_hold_every_resource_once() {
    let world = World::new();
    let me = Visitor::of(ONE);
    let mut expected = Vec::new();
    for number in 0..5 {
        expected.push(create(
            &world,
            "CreateServiceNetwork",
            &format!("network-{number}"),
            json!({"n": "x"}),
        ));
    }
    for number in 0..5 {
        expected.push(create(
            &world,
            "CreateService",
            &format!("service-{number}"),
            json!({"n": "x"}),
        ));
    }
    for most in [1, 2, 3, 5, 10] {
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let input = json!({"ResourcesPerPage": most, "PaginationToken": token});
            let answer = ask(&world, me, "GetResources", input);
            let page = arns(&answer);
            assert!(page.len() <= most);
            seen.extend(page);
            token = answer["PaginationToken"].as_str().unwrap().to_owned();
            if token.is_empty() {
                break;
            }
            // A token is good for its own list only.
            let other = json!({"PaginationToken": token, "ResourceTypeFilters": ["vpc-lattice"]});
            assert_refused::<Tagging>(
                me.ask::<Tagging>(&world, "GetResources", &other),
                "PaginationTokenExpiredException",
            );
        }
        assert_eq!(seen, expected, "pages of {most}");
    }
}

#[test]
fn inputs_out_of_bounds_are_refused() {
    let world = World::new();
    let me = Visitor::of(ONE);
    let many: Vec<String> = (0..101).map(|number| format!("arn:{number}")).collect();
    for (operation, input) in [
        ("GetResources", json!({"ResourcesPerPage": 0})),
        ("GetResources", json!({"ResourcesPerPage": 101})),
        ("GetResources", json!({"TagsPerPage": 150})),
        ("GetResources", json!({"ResourceARNList": many})),
        (
            "GetResources",
            json!({"ResourceARNList": ["a"], "TagFilters": [{"Key": "k"}]}),
        ),
        ("GetResources", json!({"TagFilters": [{"Values": ["v"]}]})),
        ("GetResources", json!({"ExcludeCompliantResources": true})),
        ("GetTagValues", json!({})),
        (
            "TagResources",
            json!({"ResourceARNList": [], "Tags": {"a": "b"}}),
        ),
        (
            "TagResources",
            json!({"ResourceARNList": many[..21], "Tags": {"a": "b"}}),
        ),
        (
            "TagResources",
            json!({"ResourceARNList": ["a"], "Tags": {}}),
        ),
        (
            "TagResources",
            json!({"ResourceARNList": ["a"], "Tags": {"aws:x": "b"}}),
        ),
        (
            "TagResources",
            json!({"ResourceARNList": ["a"], "Tags": {"x": "<"}}),
        ),
        (
            "TagResources",
            json!({"ResourceARNList": ["a"], "Tags": {"": "b"}}),
        ),
        (
            "UntagResources",
            json!({"ResourceARNList": ["a"], "TagKeys": []}),
        ),
        (
            "UntagResources",
            json!({"ResourceARNList": ["a"], "TagKeys": ["aws:x"]}),
        ),
    ] {
        let answer = me.ask::<Tagging>(&world, operation, &input);
        assert_refused::<Tagging>(answer, "InvalidParameterException");
    }
    let answer = me.ask::<Tagging>(&world, "GetResources", &json!({"ResourcesPerPage": "x"}));
    assert_refused::<Tagging>(answer, "SerializationException");
}

#[test]
fn tags_are_set_and_removed_one_resource_at_a_time() {
    let world = World::new();
    let me = Visitor::of(ONE);
    let mine = create(&world, "CreateService", "mine", json!({"old": "1"}));
    let guarded = create(&world, "CreateService", "guarded", json!({}));
    let missing = "arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-00000000000000009";
    let denied = format!("vpc-lattice:TagResource {guarded}");
    let denied = [denied.as_str()];
    let input = json!({"ResourceARNList": [mine, missing, guarded], "Tags": {"team": "web"}});
    let answer = ask(&world, me.without(&denied), "TagResources", input);
    let failed = answer["FailedResourcesMap"].as_object().unwrap();
    assert_eq!(failed.len(), 2);
    assert_eq!(failed[missing]["StatusCode"], 404);
    assert_eq!(failed[&guarded]["StatusCode"], 403);
    let tags = world.ok("ListTagsForResource", json!({"resourceArn": mine}));
    assert_eq!(tags["tags"], json!({"old": "1", "team": "web"}));

    assert_eq!(
        ask(&world, me, "GetTagKeys", json!({}))["TagKeys"],
        json!(["old", "team"])
    );
    assert_eq!(
        ask(&world, me, "GetTagValues", json!({"Key": "team"}))["TagValues"],
        json!(["web"])
    );
    let nothing = ask(&world, Visitor::of(TWO), "GetTagKeys", json!({}));
    assert_eq!(nothing["TagKeys"], json!([]));

    // Another account's resource looks like a missing one.
    let input = json!({"ResourceARNList": [mine], "TagKeys": ["old"]});
    let answer = ask(&world, Visitor::of(TWO), "UntagResources", input.clone());
    assert_eq!(answer["FailedResourcesMap"][&mine]["StatusCode"], 404);
    let answer = ask(&world, me, "UntagResources", input);
    assert_eq!(answer["FailedResourcesMap"], json!({}));
    let tags = world.ok("ListTagsForResource", json!({"resourceArn": mine}));
    assert_eq!(tags["tags"], json!({"team": "web"}));
}
