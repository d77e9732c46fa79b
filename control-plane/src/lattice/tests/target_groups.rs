use serde_json::{Value, json};

use super::{ONE, TWO, VPC_ONE, VPC_TWO, World, assert_code, forward, id};
use crate::lattice::TargetHealth;

fn http(more: Value) -> Value {
    let mut config = json!({"protocol": "HTTP", "port": 80, "vpcIdentifier": VPC_ONE});
    config
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    config
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn defaults_are_filled_in_and_what_does_not_apply_is_absent() {
    let world = World::new();
    let checked = json!({
        "enabled": true,
        "protocol": "HTTP",
        "protocolVersion": "HTTP1",
        "path": "/",
        "healthCheckIntervalSeconds": 30,
        "healthCheckTimeoutSeconds": 5,
        "healthyThresholdCount": 5,
        "unhealthyThresholdCount": 2,
        "matcher": {"httpCode": "200"},
    });
    let unchecked = {
        let mut check = checked.clone();
        check["enabled"] = json!(false);
        check
    };
    let full = |version: &str, more: Value| {
        let mut config = http(json!({"protocolVersion": version}));
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        config
    };
    let table = [
        (
            json!({"type": "INSTANCE", "config": http(json!({}))}),
            Some(full("HTTP1", json!({"healthCheck": checked}))),
        ),
        (
            json!({"type": "IP", "config": http(json!({}))}),
            Some(full(
                "HTTP1",
                json!({"healthCheck": checked, "ipAddressType": "IPV4"}),
            )),
        ),
        (
            json!({"type": "IP", "config": http(json!({"protocolVersion": "GRPC"}))}),
            Some(full(
                "GRPC",
                json!({"healthCheck": unchecked, "ipAddressType": "IPV4"}),
            )),
        ),
        (
            json!({"type": "ALB", "config": http(json!({}))}),
            Some(full("HTTP1", json!({}))),
        ),
        (
            json!({"type": "IP", "config": {"protocol": "TCP", "port": 1, "vpcIdentifier": VPC_ONE}}),
            Some(json!({
                "protocol": "TCP", "port": 1, "vpcIdentifier": VPC_ONE, "ipAddressType": "IPV4",
                "healthCheck": {"enabled": false},
            })),
        ),
        (json!({"type": "LAMBDA"}), None),
        (
            json!({"type": "LAMBDA", "config": {"lambdaEventStructureVersion": "V2"}}),
            Some(json!({"lambdaEventStructureVersion": "V2"})),
        ),
        (
            json!({"type": "LAMBDA", "config": {}}),
            Some(json!({"lambdaEventStructureVersion": "V1"})),
        ),
    ];
    for (number, (mut input, expected)) in table.into_iter().enumerate() {
        input["name"] = json!(format!("group-{number}"));
        let created = world.ok("CreateTargetGroup", input.clone());
        let shown = world.ok(
            "GetTargetGroup",
            json!({"targetGroupIdentifier": id(&created)}),
        );
        for answer in [&created, &shown] {
            assert_eq!(answer.get("config"), expected.as_ref(), "{input}");
            assert_eq!(answer["status"], "ACTIVE");
        }
        assert_eq!(shown["serviceArns"], json!([]));
    }
    let items = world.ok("ListTargetGroups", json!({"targetGroupType": "LAMBDA"}));
    assert_eq!(items["items"].as_array().unwrap().len(), 3);
    let items = world.ok("ListTargetGroups", json!({"vpcIdentifier": VPC_ONE}));
    let first = &items["items"][0];
    assert_eq!(
        (&first["port"], &first["protocol"]),
        (&json!(80), &json!("HTTP"))
    );
    assert_eq!(first.get("protocolVersion"), None);
}

#[test]
fn configurations_that_contradict_themselves_are_refused_member_by_member() {
    let world = World::new();
    let members = |input: Value| -> Vec<String> {
        let mut input = input;
        input["name"] = json!("group");
        let error = world.ask(ONE, "CreateTargetGroup", input).unwrap_err();
        assert_eq!(error.code(), "ValidationException");
        let body = error.body();
        let fields = body["fieldList"].as_array().unwrap().iter();
        fields
            .map(|field| field["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        members(json!({"type": "IP"})),
        ["config.protocol", "config.vpcIdentifier"]
    );
    assert_eq!(
        members(json!({"type": "LAMBDA", "config": http(json!({}))})),
        ["config.port", "config.protocol", "config.vpcIdentifier"]
    );
    assert_eq!(
        members(json!({"type": "ALB", "config": http(json!({
            "protocolVersion": "GRPC", "healthCheck": {"enabled": true}, "ipAddressType": "IPV4",
        }))})),
        [
            "config.protocolVersion",
            "config.healthCheck",
            "config.ipAddressType"
        ]
    );
    assert_eq!(
        members(json!({"type": "IP", "config": http(json!({"healthCheck": {
            "protocol": "TCP", "healthCheckIntervalSeconds": 3, "matcher": {"httpCode": "100"},
        }}))})),
        [
            "config.healthCheck.protocol",
            "config.healthCheck.healthCheckIntervalSeconds",
            "config.healthCheck.matcher.httpCode"
        ]
    );
}

#[test]
fn a_group_lives_in_a_vpc_of_its_owner() {
    let world = World::new();
    for vpc in [VPC_TWO, "vpc-0aaaaaaaaaaaaaaaa"] {
        let config = json!({"protocol": "HTTP", "vpcIdentifier": vpc});
        let input = json!({"name": "group", "type": "IP", "config": config});
        let refused = world.refused("CreateTargetGroup", input);
        assert_code(&refused, "ResourceNotFoundException", vpc);
    }
}

#[test]
fn only_the_health_check_can_be_changed() {
    let world = World::new();
    let group = world.group("orders-v1");
    let update = |check: Value| {
        world.ok(
            "UpdateTargetGroup",
            json!({"targetGroupIdentifier": group, "healthCheck": check}),
        )
    };
    let updated = update(json!({"path": "/healthz", "port": 8080}));
    assert_eq!(updated["config"]["healthCheck"]["path"], "/healthz");
    assert_eq!(updated["config"]["healthCheck"]["port"], 8080);
    let updated = update(json!({"healthyThresholdCount": 0, "matcher": {"httpCode": "200-299"}}));
    assert_eq!(updated["config"]["healthCheck"]["path"], "/healthz");
    assert_eq!(updated["config"]["healthCheck"]["healthyThresholdCount"], 5);
    let lambda = id(&world.ok(
        "CreateTargetGroup",
        json!({"name": "function", "type": "LAMBDA"}),
    ));
    let refused = world.refused(
        "UpdateTargetGroup",
        json!({"targetGroupIdentifier": lambda, "healthCheck": {"enabled": true}}),
    );
    assert_code(&refused, "ValidationException", "health check");
}

#[test]
fn targets_come_and_go_one_by_one() {
    let world = World::new();
    let group = world.group("orders-v1");
    let ask = |operation: &str, targets: Value| {
        world.ok(
            operation,
            json!({"targetGroupIdentifier": group, "targets": targets}),
        )
    };
    let registered = ask(
        "RegisterTargets",
        json!([{"id": "10.0.0.1"}, {"id": "10.0.0.1", "port": 81}, {"id": "192.168.0.1"}, {"id": "x"}]),
    );
    assert_eq!(
        registered["successful"],
        json!([{"id": "10.0.0.1", "port": 80}, {"id": "10.0.0.1", "port": 81}])
    );
    let failed = registered["unsuccessful"].as_array().unwrap();
    assert_eq!(failed.len(), 2);
    assert_eq!(failed[0]["failureCode"], "InvalidTarget");
    ask("RegisterTargets", json!([{"id": "10.0.0.1"}]));
    let listed = |targets: Value| ask("ListTargets", targets)["items"].clone();
    let unused = |port: u16| json!({"id": "10.0.0.1", "port": port, "status": "UNUSED", "reasonCode": "TargetGroupNotInUse"});
    assert_eq!(listed(json!([])), json!([unused(80), unused(81)]));
    assert_eq!(
        listed(json!([{"id": "10.0.0.1", "port": 81}])),
        json!([unused(81)])
    );
    assert_eq!(listed(json!([{"id": "10.0.0.2"}])), json!([]));

    let refused = world.refused("DeleteTargetGroup", json!({"targetGroupIdentifier": group}));
    assert_code(&refused, "ConflictException", "registered targets");
    let gone = ask(
        "DeregisterTargets",
        json!([{"id": "10.0.0.1"}, {"id": "10.0.0.7"}]),
    );
    assert_eq!(gone["successful"], json!([{"id": "10.0.0.1", "port": 80}]));
    assert_eq!(gone["unsuccessful"][0]["failureCode"], "TargetNotFound");
    ask("DeregisterTargets", json!([{"id": "10.0.0.1", "port": 81}]));
    world.ok("DeleteTargetGroup", json!({"targetGroupIdentifier": group}));
}

#[test]
fn a_target_shows_what_the_data_plane_says_once_it_is_used() {
    let world = World::new();
    let group = world.group("orders-v1");
    let targets = json!({"targetGroupIdentifier": group, "targets": [{"id": "10.0.0.1"}]});
    world.ok("RegisterTargets", targets.clone());
    let service = world.service("orders");
    world.ok("CreateListener", json!({
        "serviceIdentifier": service, "name": "web", "protocol": "HTTP", "defaultAction": forward(&group),
    }));
    let status = || {
        let listed = world.ok("ListTargets", json!({"targetGroupIdentifier": group}));
        listed["items"].clone()
    };
    assert_eq!(status()[0]["status"], "INITIAL");
    let live = |status, reason| {
        let health = TargetHealth { status, reason };
        *world.live.0.lock() = vec![("10.0.0.1".to_owned(), Some(80), health)];
    };
    live("HEALTHY", None);
    assert_eq!(
        status(),
        json!([{"id": "10.0.0.1", "port": 80, "status": "HEALTHY"}])
    );
    live("UNHEALTHY", Some("HealthCheckFailed"));
    assert_eq!(status()[0]["reasonCode"], "HealthCheckFailed");
    world.ok("DeregisterTargets", targets.clone());
    // The data plane has not heard of it yet.
    assert_eq!(status()[0]["status"], "DRAINING");
    live("DRAINING", Some("DeregistrationInProgress"));
    assert_eq!(status()[0]["status"], "DRAINING");
    world.ok("RegisterTargets", targets);
    assert_eq!(
        status()[0]["status"],
        "INITIAL",
        "registered again while it drains"
    );
}

#[test]
fn functions_and_instances_are_what_they_say() {
    let world = World::new();
    let function = format!("arn:aws:lambda:us-west-2:{ONE}:function:orders");
    let theirs = format!("arn:aws:lambda:us-west-2:{TWO}:function:orders");
    let lambda = id(&world.ok(
        "CreateTargetGroup",
        json!({"name": "function", "type": "LAMBDA"}),
    ));
    let register = |group: &str, targets: Value| {
        world.ask(
            ONE,
            "RegisterTargets",
            json!({"targetGroupIdentifier": group, "targets": targets}),
        )
    };
    let wrong = register(
        &lambda,
        json!([{"id": theirs}, {"id": function, "port": 80}, {"id": "orders"}]),
    );
    assert_eq!(wrong.unwrap()["unsuccessful"].as_array().unwrap().len(), 3);
    register(&lambda, json!([{"id": function}])).unwrap();
    let second = register(&lambda, json!([{"id": format!("{function}:live")}]));
    assert_eq!(second.unwrap_err().code(), "ValidationException");
    let config = json!({"protocol": "HTTP", "vpcIdentifier": VPC_ONE});
    let instances = id(&world.ok(
        "CreateTargetGroup",
        json!({"name": "instances", "type": "INSTANCE", "config": config}),
    ));
    let answer = register(
        &instances,
        json!([{"id": "i-0123456789abcdef0"}, {"id": "i-0123456789abcdef1"}]),
    );
    let answer = answer.unwrap();
    assert_eq!(
        answer["successful"],
        json!([{"id": "i-0123456789abcdef0", "port": 80}])
    );
    assert_eq!(answer["unsuccessful"].as_array().unwrap().len(), 1);
}
