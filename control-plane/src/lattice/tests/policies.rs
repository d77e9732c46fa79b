use serde_json::{Value, json};

use super::{ONE, TWO, World, assert_code, id};

pub(super) const ALLOW_ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*"}]}"#;

#[test]
fn an_auth_policy_counts_while_the_type_is_aws_iam() {
    let world = World::new();
    for (kind, create, update) in [
        ("serviceIdentifier", "CreateService", "UpdateService"),
        (
            "serviceNetworkIdentifier",
            "CreateServiceNetwork",
            "UpdateServiceNetwork",
        ),
    ] {
        let made = id(&world.ok(create, json!({"name": "orders"})));
        let of = json!({"resourceIdentifier": made});
        assert_eq!(world.ok("GetAuthPolicy", of.clone()), json!({}));
        let put = json!({"resourceIdentifier": made, "policy": ALLOW_ALL});
        assert_eq!(
            world.ok("PutAuthPolicy", put),
            json!({"policy": ALLOW_ALL, "state": "Inactive"})
        );
        world.ok(update, json!({kind: made, "authType": "AWS_IAM"}));
        let got = world.ok("GetAuthPolicy", of.clone());
        assert_eq!(
            (&got["state"], &got["policy"]),
            (&json!("Active"), &json!(ALLOW_ALL))
        );
        world.ok("DeleteAuthPolicy", of.clone());
        assert_eq!(world.ok("GetAuthPolicy", of.clone()), json!({}));
        let none = world.refused("DeleteAuthPolicy", of);
        assert_code(&none, "ResourceNotFoundException", "not found");
    }
}

#[test]
fn a_policy_that_would_not_compile_is_refused_and_changes_nothing() {
    let world = World::new();
    let service = world.service("orders");
    let put = |policy: &str| json!({"resourceIdentifier": service, "policy": policy});
    world.ok("PutAuthPolicy", put(ALLOW_ALL));
    for wrong in [
        "not JSON",
        "{}",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Maybe","Principal":"*","Action":"*","Resource":"*"}]}"#,
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
        "{\n}",
        &format!("{}{}", " ".repeat(10_241), ALLOW_ALL),
    ] {
        let refused = world.refused("PutAuthPolicy", put(wrong));
        assert_code(&refused, "ValidationException", "policy");
    }
    let got = world.ok("GetAuthPolicy", json!({"resourceIdentifier": service}));
    assert_eq!(got["policy"], ALLOW_ALL);
    let theirs = world.refused_to(TWO, "PutAuthPolicy", put(ALLOW_ALL));
    assert_code(&theirs, "ResourceNotFoundException", "not found");
}

#[test]
fn a_resource_policy_that_says_more_than_sharing_is_refused() {
    let world = World::new();
    let service = world.ok("CreateService", json!({"name": "orders"}));
    let put = |statement: Value| {
        let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        world.ask(
            ONE,
            "PutResourcePolicy",
            json!({"resourceArn": service["arn"], "policy": policy}),
        )
    };
    let fine = json!({"Effect": "Allow", "Principal": {"AWS": TWO}, "Action": "vpc-lattice:GetService", "Resource": "*"});
    put(fine.clone()).unwrap();
    for (member, value) in [
        ("Effect", json!("Deny")),
        ("Condition", json!({})),
        ("Principal", json!("*")),
        ("Principal", json!({"AWS": []})),
        ("Action", json!("vpc-lattice:DeleteService")),
    ] {
        let mut statement = fine.clone();
        statement[member] = value;
        assert_eq!(
            put(statement).unwrap_err().code(),
            "ValidationException",
            "{member}"
        );
    }
}

#[test]
fn tags_are_merged_removed_and_bounded() {
    let world = World::new();
    let network = world.ok(
        "CreateServiceNetwork",
        json!({"name": "commerce", "tags": {"team": "web", "stage": "dev"}}),
    );
    let arn = &network["arn"];
    let tags = || world.ok("ListTagsForResource", json!({"resourceArn": arn}))["tags"].clone();
    assert_eq!(tags(), json!({"stage": "dev", "team": "web"}));
    world.ok(
        "TagResource",
        json!({"resourceArn": arn, "tags": {"stage": "prod", "a b": ""}}),
    );
    assert_eq!(tags(), json!({"a b": "", "stage": "prod", "team": "web"}));
    world.ok(
        "UntagResource",
        json!({"resourceArn": arn, "tagKeys": ["a b", "nothing"]}),
    );
    assert_eq!(tags(), json!({"stage": "prod", "team": "web"}));
    for (key, value) in [("aws:x", "y"), ("AWS:x", "y"), ("x", "<y>"), ("", "y")] {
        let input = json!({"resourceArn": arn, "tags": {key: value}});
        assert_code(
            &world.refused("TagResource", input),
            "ValidationException",
            "",
        );
    }
    let many: Value = (0..49)
        .map(|n| (n.to_string(), json!("x")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let refused = world.refused("TagResource", json!({"resourceArn": arn, "tags": many}));
    assert_code(&refused, "ValidationException", "50 tags");
    assert_eq!(tags(), json!({"stage": "prod", "team": "web"}));
    let theirs = world.refused_to(TWO, "ListTagsForResource", json!({"resourceArn": arn}));
    assert_code(&theirs, "ResourceNotFoundException", "not found");
}

#[test]
fn a_resource_has_one_subscription_for_each_kind_of_destination() {
    let world = World::new();
    let network = world.network("commerce");
    let subscribe = |arn: &str| {
        let input = json!({"resourceIdentifier": network, "destinationArn": arn});
        world.ask(ONE, "CreateAccessLogSubscription", input)
    };
    let made = subscribe("arn:aws:s3:::records").unwrap();
    assert_eq!(made["resourceId"], json!(network));
    assert_eq!(made["serviceNetworkLogType"], "SERVICE");
    assert_eq!(
        subscribe("arn:aws:s3:::others/prefix").unwrap_err().code(),
        "ConflictException"
    );
    let group = "arn:aws:logs:us-west-2:111122223333:log-group:records:*";
    let second = subscribe(group).unwrap();
    assert_eq!(
        subscribe("arn:aws:sqs:us-west-2:111122223333:queue")
            .unwrap_err()
            .code(),
        "ValidationException"
    );
    let update = |arn: &str| {
        let input = json!({"accessLogSubscriptionIdentifier": second["id"], "destinationArn": arn});
        world.ask(ONE, "UpdateAccessLogSubscription", input)
    };
    assert_eq!(
        update("arn:aws:s3:::more-records").unwrap_err().code(),
        "ConflictException"
    );
    let stream = "arn:aws:firehose:us-west-2:111122223333:deliverystream/records";
    assert_eq!(update(stream).unwrap()["destinationArn"], stream);
    let listed = world.listed(
        "ListAccessLogSubscriptions",
        json!({"resourceIdentifier": network}),
    );
    assert_eq!(listed, [id(&made), id(&second)]);
    let absent = json!({"resourceIdentifier": "svc-0123456789abcdef0", "destinationArn": stream});
    let refused = world.refused("CreateAccessLogSubscription", absent);
    assert_code(
        &refused,
        "ResourceNotFoundException",
        "Service svc-0123456789abcdef0",
    );
    let of_made = json!({"accessLogSubscriptionIdentifier": made["arn"]});
    let shown = world.ok("GetAccessLogSubscription", of_made);
    assert_eq!(shown["destinationArn"], "arn:aws:s3:::records");
    let of_second = json!({"accessLogSubscriptionIdentifier": second["id"]});
    world.ok("DeleteAccessLogSubscription", of_second.clone());
    let gone = world.refused("DeleteAccessLogSubscription", of_second);
    assert_code(&gone, "ResourceNotFoundException", "not found");
    // They go with what they are about.
    world.ok(
        "DeleteServiceNetwork",
        json!({"serviceNetworkIdentifier": network}),
    );
    let gone = world.refused(
        "GetAccessLogSubscription",
        json!({"accessLogSubscriptionIdentifier": made["id"]}),
    );
    assert_code(&gone, "ResourceNotFoundException", "not found");
}
