//! Refusals for what there is already, and for what would be too much.

use serde_json::{Value, json};

use super::{ONE, VPC_ONE, World, assert_code, forward, id, not_found, rule};

const IP_CONFIG: &str =
    r#"{"protocol": "HTTP", "port": 80, "vpcIdentifier": "vpc-00000000000000001"}"#;

fn ip_config() -> Value {
    serde_json::from_str(IP_CONFIG).unwrap()
}

#[test]
fn every_quota_has_its_code() {
    let mut world = World::new();
    let network = world.network("commerce");
    let service = world.service("orders");
    let listener = world.listener(&service, "http", 80);
    let group = world.group("first");
    let other = world.service("carts");
    let target = |id: &str| json!({"targetGroupIdentifier": group, "targets": [{"id": id}]});
    world.ok("CreateRule", rule(&service, &listener, "first", 10));
    world.ok("RegisterTargets", target("10.0.0.1"));
    let both = json!({"serviceNetworkIdentifier": network, "serviceIdentifier": service});
    world.ok("CreateServiceNetworkServiceAssociation", both);
    let quotas = &mut world.quotas;
    for quota in [
        &mut quotas.service_networks,
        &mut quotas.services,
        &mut quotas.listeners,
        &mut quotas.rules,
        &mut quotas.target_groups,
        &mut quotas.targets,
        &mut quotas.service_associations,
    ] {
        *quota = 1;
    }
    world.quotas.target_groups_per_service = 0;
    world.quotas.vpc_associations = 0;
    let mut forwarding = rule(&service, &listener, "second", 20);
    forwarding["action"] = forward(&group);
    let of_listener = json!({"serviceIdentifier": service, "listenerIdentifier": listener});
    let mut of_rule = of_listener.clone();
    let rules = world.ok("ListRules", of_listener.clone());
    let rules = rules["items"].as_array().unwrap();
    let plain = rules
        .iter()
        .find(|rule| rule["isDefault"] == false)
        .unwrap();
    of_rule["ruleIdentifier"] = plain["id"].clone();
    of_rule["action"] = forward(&group);
    let mut update = of_listener;
    update["defaultAction"] = forward(&group);
    for (operation, input, code) in [
        (
            "CreateServiceNetwork",
            json!({"name": "second"}),
            "L-9CAD07FB",
        ),
        ("CreateService", json!({"name": "second"}), "L-620C821E"),
        (
            "CreateListener",
            json!({"serviceIdentifier": service, "name": "second", "protocol": "HTTP", "port": 81, "defaultAction": not_found()}),
            "L-D64E952E",
        ),
        ("CreateRule", forwarding, "L-CF78395E"),
        ("UpdateRule", of_rule, "L-3DEC3B9F"),
        ("UpdateListener", update, "L-3DEC3B9F"),
        (
            "CreateTargetGroup",
            json!({"name": "second", "type": "IP", "config": ip_config()}),
            "L-BB11C6B9",
        ),
        ("RegisterTargets", target("10.0.0.2"), "L-D71303F3"),
        (
            "CreateServiceNetworkServiceAssociation",
            json!({"serviceNetworkIdentifier": network, "serviceIdentifier": other}),
            "L-75D4A19E",
        ),
        (
            "CreateServiceNetworkVpcAssociation",
            json!({"serviceNetworkIdentifier": network, "vpcIdentifier": VPC_ONE}),
            "L-EF6E2D62",
        ),
    ] {
        let error = world.ask(ONE, operation, input).unwrap_err();
        let body = error.body();
        assert_eq!(error.status(), 402, "{operation}: {body}");
        assert_eq!(body["quotaCode"], code, "{operation}");
        assert_eq!(body["serviceCode"], "vpc-lattice");
    }
}

#[test]
fn what_is_taken_is_a_conflict() {
    let world = World::new();
    let service = world.service("orders");
    let other = world.service("carts");
    let listener = world.listener(&service, "http", 80);
    let group = world.group("first");
    let theirs = world.listener(&other, "http", 80);
    let update = |service: &str, listener: &str| {
        json!({
            "serviceIdentifier": service,
            "listenerIdentifier": listener,
            "defaultAction": forward(&group),
        })
    };
    world.ok("UpdateListener", update(&service, &listener));
    world.network("commerce");
    let first = world.ok("CreateRule", rule(&service, &listener, "first", 10));
    world.ok("CreateRule", rule(&service, &listener, "second", 20));
    let priority = json!({
        "serviceIdentifier": service,
        "listenerIdentifier": listener,
        "ruleIdentifier": first["id"],
        "priority": 20,
    });
    for (operation, input, part) in [
        ("UpdateListener", update(&other, &theirs), "already in use"),
        ("UpdateRule", priority, "priority 20 already exists"),
        (
            "CreateServiceNetwork",
            json!({"name": "commerce"}),
            "already exists",
        ),
        (
            "CreateTargetGroup",
            json!({"name": "first", "type": "IP", "config": ip_config()}),
            "already exists",
        ),
    ] {
        let refused = world.refused(operation, input);
        assert_code(&refused, "ConflictException", part);
    }
    let of_service = json!({"serviceIdentifier": service});
    assert_eq!(world.listed("ListListeners", of_service), [listener]);
}

#[test]
fn a_gateway_keeps_the_resolution_that_its_users_need() {
    let world = World::new();
    for (resolution, other, configuration) in [
        (
            "IN_VPC",
            "PUBLIC",
            json!({
                "name": "segment",
                "type": "CIDR",
                "portRanges": ["1-65535"],
                "resourceConfigurationDefinition": {"cidrResource": {"cidrRanges": ["10.0.0.0/8"]}},
            }),
        ),
        (
            "PUBLIC",
            "IN_VPC",
            json!({
                "name": "database",
                "type": "ARN",
                "resourceConfigurationDefinition": {"arnResource": {"arn": "arn:aws:rds:us-west-2:111122223333:db:orders"}},
            }),
        ),
    ] {
        let gateway = json!({
            "name": format!("for-{}", configuration["name"].as_str().unwrap()),
            "vpcIdentifier": VPC_ONE,
            "resourceConfigDnsResolution": resolution,
        });
        let gateway = id(&world.ok("CreateResourceGateway", gateway));
        let mut configuration = configuration;
        configuration["resourceGatewayIdentifier"] = json!(gateway);
        let user = world.ok("CreateResourceConfiguration", configuration);
        let change = json!({
            "resourceGatewayIdentifier": gateway,
            "resourceConfigDnsResolution": other,
        });
        let refused = world.refused("UpdateResourceGateway", change.clone());
        assert_code(&refused, "ConflictException", user["id"].as_str().unwrap());
        let of_user = json!({"resourceConfigurationIdentifier": user["id"]});
        world.ok("DeleteResourceConfiguration", of_user);
        world.ok("UpdateResourceGateway", change);
    }
}

#[test]
fn an_id_that_the_model_allows_and_no_vpc_has_is_the_callers_mistake() {
    let world = World::new();
    let network = world.network("commerce");
    let vpc = "vpc-0000000000000000z";
    let mut config = ip_config();
    config["vpcIdentifier"] = json!(vpc);
    for (operation, input) in [
        (
            "CreateTargetGroup",
            json!({"name": "first", "type": "IP", "config": config}),
        ),
        (
            "CreateResourceGateway",
            json!({"name": "databases", "vpcIdentifier": vpc}),
        ),
        (
            "CreateServiceNetworkVpcAssociation",
            json!({"serviceNetworkIdentifier": network, "vpcIdentifier": vpc}),
        ),
    ] {
        let refused = world.refused(operation, input);
        assert_code(&refused, "ValidationException", vpc);
    }
}

#[test]
fn a_list_of_what_hangs_on_nothing_is_empty() {
    let world = World::new();
    let (network, service) = ("sn-0123456789abcdef0", "svc-0123456789abcdef0");
    for (operation, input) in [
        (
            "ListAccessLogSubscriptions",
            json!({"resourceIdentifier": service}),
        ),
        (
            "ListServiceNetworkServiceAssociations",
            json!({"serviceIdentifier": service}),
        ),
        (
            "ListServiceNetworkVpcAssociations",
            json!({"serviceNetworkIdentifier": network}),
        ),
        (
            "ListServiceNetworkResourceAssociations",
            json!({"serviceNetworkIdentifier": network}),
        ),
    ] {
        assert_eq!(
            world.ok(operation, input),
            json!({"items": []}),
            "{operation}"
        );
    }
}
