use serde_json::{Value, json};

use super::resources;
use crate::lattice::{
    schema::API,
    tests::{ONE, TWO, World, assert_code},
};

/// What policies are asked about when the first tenant makes a call: ARNs without what they all begin with.
fn asked(world: &World, operation: &str, input: &Value) -> Vec<String> {
    let operation = API.operation(operation).unwrap();
    let input = input.as_object().unwrap();
    let prefix = format!("arn:aws:vpc-lattice:us-west-2:{ONE}:");
    let arns = world.exchange(ONE, operation, input, resources);
    arns.into_iter()
        .map(|arn| arn.strip_prefix(&prefix).unwrap_or(&arn).to_owned())
        .collect()
}

#[test]
fn policies_are_asked_about_everything_that_a_call_names() {
    let world = World::new();
    let (service, network, group) = (
        "svc-0123456789abcdef0",
        "sn-0123456789abcdef0",
        "tg-0123456789abcdef0",
    );
    let (listener, rule) = ("listener-0123456789abcdef0", "rule-0123456789abcdef0");
    let whole = format!("arn:aws:vpc-lattice:us-west-2:{ONE}:service/{service}");
    let within = json!({"serviceIdentifier": whole, "listenerIdentifier": listener});
    let table = [
        (
            "CreateService",
            json!({"name": "orders"}),
            vec!["service/*".to_owned()],
        ),
        ("ListServices", json!({}), vec!["*".to_owned()]),
        (
            "GetService",
            json!({"serviceIdentifier": service}),
            vec![format!("service/{service}")],
        ),
        (
            "GetService",
            json!({"serviceIdentifier": whole}),
            vec![format!("service/{service}")],
        ),
        (
            "CreateListener",
            json!({"serviceIdentifier": service}),
            vec![format!("service/{service}/listener/*")],
        ),
        (
            "CreateRule",
            within.clone(),
            vec![format!("service/{service}/listener/{listener}/rule/*")],
        ),
        (
            "GetRule",
            json!({"serviceIdentifier": whole, "listenerIdentifier": listener, "ruleIdentifier": rule}),
            vec![format!("service/{service}/listener/{listener}/rule/{rule}")],
        ),
        (
            "RegisterTargets",
            json!({"targetGroupIdentifier": group}),
            vec![format!("targetgroup/{group}")],
        ),
        (
            "CreateServiceNetworkServiceAssociation",
            json!({"serviceIdentifier": service, "serviceNetworkIdentifier": network}),
            vec![
                "servicenetworkserviceassociation/*".to_owned(),
                format!("servicenetwork/{network}"),
                format!("service/{service}"),
            ],
        ),
        (
            "PutAuthPolicy",
            json!({"resourceIdentifier": network}),
            vec![format!("servicenetwork/{network}")],
        ),
        (
            "TagResource",
            json!({"resourceArn": whole}),
            vec![format!("service/{service}")],
        ),
    ];
    for (operation, input, expected) in table {
        assert_eq!(
            asked(&world, operation, &input),
            expected,
            "{operation} {input}"
        );
    }
}

#[test]
fn what_is_shared_is_asked_about_by_its_owner_s_arn() {
    let world = World::new();
    let network = world
        .ask(TWO, "CreateServiceNetwork", json!({"name": "theirs"}))
        .unwrap();
    let policy = json!({"Statement": [{
        "Effect": "Allow",
        "Principal": {"AWS": ONE},
        "Action": "vpc-lattice:GetServiceNetwork",
        "Resource": "*",
    }]});
    let by_id = json!({"serviceNetworkIdentifier": network["id"]});
    let id = network["id"].as_str().unwrap();
    assert_eq!(
        asked(&world, "GetServiceNetwork", &by_id),
        [format!("servicenetwork/{id}")],
        "nothing is known of it"
    );
    let put = json!({"resourceArn": network["arn"], "policy": policy.to_string()});
    world.ask(TWO, "PutResourcePolicy", put).unwrap();
    assert_eq!(
        asked(&world, "GetServiceNetwork", &by_id),
        [network["arn"].as_str().unwrap()]
    );
}

#[test]
fn an_arn_that_is_not_the_resource_s_own_finds_nothing() {
    let world = World::new();
    let service = world.ok("CreateService", json!({"name": "orders"}));
    let arn = service["arn"].as_str().unwrap();
    world.ok("GetService", json!({"serviceIdentifier": arn}));
    // A policy that allows one of these must not open the other.
    for (right, wrong) in [
        ("us-west-2", "us-east-1"),
        ("arn:aws:", "arn:aws-cn:"),
        (ONE, TWO),
    ] {
        let wrong = arn.replace(right, wrong);
        for operation in ["GetService", "DeleteService", "ListListeners"] {
            let refused = world.refused(operation, json!({"serviceIdentifier": wrong}));
            assert_code(&refused, "ResourceNotFoundException", "Service");
        }
        let tags = world.refused("ListTagsForResource", json!({"resourceArn": wrong}));
        assert_code(&tags, "ResourceNotFoundException", "Service");
    }
}
