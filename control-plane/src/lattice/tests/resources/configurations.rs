use serde_json::{Value, json};

use super::{
    super::{ONE, TWO, World, assert_code, id, policies::ALLOW_ALL},
    changed, child, configuration, gateway, group, ip, single,
};

#[test]
fn a_resource_configuration_lives_from_create_to_delete() {
    let world = World::new();
    let gateway = gateway(&world, "databases", json!({}));
    let made = world.ok(
        "CreateResourceConfiguration",
        changed(
            &single("orders-db", &gateway),
            &json!({"customDomainName": "DB.shop.test.", "tags": {"team": "web"}}),
        ),
    );
    for (member, value) in [
        ("status", json!("ACTIVE")),
        ("type", json!("SINGLE")),
        ("protocol", json!("TCP")),
        ("portRanges", json!(["5432"])),
        ("resourceGatewayId", json!(gateway)),
        ("resourceConfigurationDefinition", ip("10.0.0.5")),
        ("allowAssociationToShareableServiceNetwork", json!(false)),
        ("customDomainName", json!("db.shop.test")),
    ] {
        assert_eq!(made[member], value, "{member}");
    }
    let identifier = json!({"resourceConfigurationIdentifier": made["arn"]});
    let dns = json!({"dnsResource": {"domainName": "db.internal", "ipAddressType": "IPV4"}});
    let update = changed(
        &identifier,
        &json!({
            "resourceConfigurationDefinition": dns,
            "portRanges": ["5432", "6000-6010"],
            "allowAssociationToShareableServiceNetwork": true,
        }),
    );
    let updated = world.ok("UpdateResourceConfiguration", update);
    assert_eq!(updated["resourceConfigurationDefinition"], dns);
    let shown = world.ok("GetResourceConfiguration", identifier.clone());
    assert_eq!(shown["portRanges"], json!(["5432", "6000-6010"]));
    assert_eq!(shown["allowAssociationToShareableServiceNetwork"], true);
    assert_eq!(shown["amazonManaged"], false);
    let tags = world.ok("ListTagsForResource", json!({"resourceArn": made["arn"]}));
    assert_eq!(tags["tags"], json!({"team": "web"}));
    for operation in [
        "GetResourceConfiguration",
        "UpdateResourceConfiguration",
        "DeleteResourceConfiguration",
    ] {
        let refused = world.refused_to(TWO, operation, identifier.clone());
        let part = "ResourceConfiguration";
        assert_code(&refused, "ResourceNotFoundException", part);
    }
    let taken = world.refused("CreateResourceConfiguration", single("orders-db", &gateway));
    assert_code(&taken, "ConflictException", "already exists");
    let gone = world.ok("DeleteResourceConfiguration", identifier.clone());
    assert_eq!(gone, json!({}));
    let missing = world.refused("GetResourceConfiguration", identifier);
    assert_code(&missing, "ResourceNotFoundException", "not found");
}

/// An input that each type takes.
fn of_each_type(world: &World) -> Vec<(&'static str, Value)> {
    let public = gateway(world, "public", json!({}));
    let in_vpc = gateway(
        world,
        "in-vpc",
        json!({"resourceConfigDnsResolution": "IN_VPC"}),
    );
    let group = group(world, "all", &public, json!({}));
    let plain = |kind: &str, gateway: &str| json!({"name": "one", "type": kind, "resourceGatewayIdentifier": gateway});
    let arn = json!({"arnResource": {"arn": "arn:aws:rds:us-west-2:111122223333:cluster:orders"}});
    let cidr = json!({"cidrResource": {"cidrRanges": ["10.1.0.0/16"]}});
    let segment = json!({
        "portRanges": ["1-65535"],
        "protocol": "TCP_UDP",
        "resourceConfigurationDefinition": cidr,
    });
    let definition = json!({"resourceConfigurationDefinition": arn});
    vec![
        ("SINGLE", single("one", &public)),
        ("GROUP", plain("GROUP", &public)),
        (
            "CHILD",
            changed(&child("one", &group), &json!({"portRanges": ["1"]})),
        ),
        ("ARN", changed(&plain("ARN", &public), &definition)),
        ("CIDR", changed(&plain("CIDR", &in_vpc), &segment)),
    ]
}

/// Creates a resource configuration and deletes it again; what the answer was.
fn attempt(world: &World, input: Value) -> Result<Value, String> {
    match world.ask(ONE, "CreateResourceConfiguration", input) {
        Ok(made) => {
            let identifier = json!({"resourceConfigurationIdentifier": made["id"]});
            world.ok("DeleteResourceConfiguration", identifier);
            Ok(made)
        }
        Err(error) => {
            assert_eq!(error.code(), "ValidationException");
            Err(error.body()["message"].as_str().unwrap().to_owned())
        }
    }
}

#[test]
fn each_type_takes_its_members_and_no_others() {
    let world = World::new();
    let bases = of_each_type(&world);
    let verification = world.ok(
        "StartDomainVerification",
        json!({"domainName": "shop.test"}),
    );
    let group = &world.listed("ListResourceConfigurations", json!({}))[0];
    let gateway = &world.listed("ListResourceGateways", json!({}))[0];
    for (member, value, types) in [
        ("portRanges", json!(["1"]), "SINGLE GROUP CHILD CIDR"),
        ("protocol", json!("TCP"), "SINGLE GROUP CIDR"),
        (
            "resourceGatewayIdentifier",
            json!(gateway),
            "SINGLE GROUP ARN CIDR",
        ),
        (
            "resourceConfigurationGroupIdentifier",
            json!(group),
            "CHILD",
        ),
        (
            "allowAssociationToShareableServiceNetwork",
            json!(true),
            "SINGLE GROUP ARN",
        ),
        ("customDomainName", json!("shop.test"), "SINGLE CHILD"),
        ("groupDomain", json!("shop.test"), "GROUP"),
        (
            "domainVerificationIdentifier",
            verification["id"].clone(),
            "SINGLE GROUP",
        ),
        (
            "resourceConfigurationDefinition",
            json!({"arnResource": {}}),
            "SINGLE CHILD ARN CIDR",
        ),
    ] {
        for (kind, base) in &bases {
            // Whether it is fine otherwise is not the question here.
            let answer = attempt(&world, changed(base, &json!({member: value})));
            let text = format!("{member} does not go with type {kind}");
            let refused = answer.is_err_and(|message| message.contains(&text));
            assert_eq!(refused, !types.split(' ').any(|one| one == *kind), "{text}");
        }
    }
}

#[test]
fn each_type_needs_what_it_cannot_be_without() {
    let world = World::new();
    let all = "resourceGatewayIdentifier resourceConfigurationDefinition portRanges";
    let needed = [
        all,
        "resourceGatewayIdentifier",
        "resourceConfigurationGroupIdentifier resourceConfigurationDefinition portRanges",
        "resourceGatewayIdentifier resourceConfigurationDefinition",
        all,
    ];
    for ((kind, base), needed) in of_each_type(&world).into_iter().zip(needed) {
        let made = attempt(&world, base.clone()).unwrap();
        assert_eq!(made["type"], kind);
        assert_eq!(made.get("protocol").is_none(), kind == "ARN", "{kind}");
        for member in needed.split(' ') {
            let refused = attempt(&world, changed(&base, &json!({member: null}))).unwrap_err();
            let text = format!("{member} is required");
            assert!(refused.contains(&text), "{kind}: {refused}");
        }
        let udp = attempt(&world, changed(&base, &json!({"protocol": "TCP_UDP"})));
        assert_eq!(udp.is_ok(), kind == "CIDR", "{kind}");
    }
}

/// Type, gateway, what it is (several with commas), and after `!` a part of the reason why it is refused.
const DEFINITIONS: &str = "
SINGLE four ip 10.255.0.1
SINGLE four ip 100.127.0.1
SINGLE four ip 172.31.0.1
SINGLE four ip 192.168.0.1
SINGLE four ip 172.32.0.1 ! is not in 10.0.0.0/8
SINGLE four ip 127.0.0.1 ! is not in 10.0.0.0/8
SINGLE four ip 169.254.169.254 ! is not in 10.0.0.0/8
SINGLE four ip 10.0.0.0/8 ! is not an IPv4 or IPv6 address
SINGLE both ip ::ffff:10.0.0.1 ! is not an address of the resource gateway's VPC
SINGLE both ip 2001:db8:1::1 ! is not an address of the resource gateway's VPC
SINGLE both ip fd00:1::1
SINGLE four ip fd00:1::1 ! does not reach IPV6
SINGLE four dns db.internal IPV4
SINGLE four dns db.internal DUALSTACK ! does not reach DUALSTACK
SINGLE both dns db.internal DUALSTACK
SINGLE both dns db.internal IPV6
SINGLE four dns -db.internal IPV4 ! must be a domain name
SINGLE four arn arn:aws:rds:us-west-2:111122223333:db:orders ! arnResource does not go with type SINGLE
SINGLE in-vpc cidr 10.0.0.0/8 ! cidrResource does not go with type SINGLE
ARN four arn arn:aws:rds:us-west-2:111122223333:db:orders
ARN four arn arn:aws:s3:us-west-2:111122223333:bucket ! Amazon RDS
ARN four ip 10.0.0.1 ! ipResource does not go with type ARN
ARN in-vpc arn arn:aws:rds:us-west-2:111122223333:db:orders ! IN_VPC
CIDR in-vpc cidr 10.0.0.0/8,fd00::/8
CIDR in-vpc cidr 0.0.0.0/0
CIDR in-vpc cidr ::/0
CIDR four cidr 10.0.0.0/8 ! IN_VPC
CIDR in-vpc cidr 0.0.0.0/0,10.0.0.0/8 ! 0.0.0.0/0 must be the only one
CIDR in-vpc cidr 10.0.0.0/8,169.254.1.0/24 ! 169.254.1.0/24 overlaps 169.254.0.0/16
CIDR in-vpc cidr 100.0.0.0/8 ! overlaps 100.64.0.0/10
CIDR in-vpc cidr 128.0.0.0/1 ! overlaps 169.254.0.0/16
CIDR in-vpc cidr 239.0.0.0/8 ! overlaps 224.0.0.0/4
CIDR in-vpc cidr fe80::/64 ! overlaps fe80::/10
CIDR in-vpc cidr ff02::/16 ! overlaps ff00::/8
CIDR in-vpc cidr 10.0.0.1/8 ! has bits beyond its prefix: 10.0.0.0/8
CIDR in-vpc cidr 10.0.0.0 ! is not a range of addresses";

#[test]
fn a_definition_names_something_that_can_be_reached() {
    let world = World::new();
    for (name, more) in [
        ("four", json!({})),
        ("both", json!({"ipAddressType": "DUALSTACK"})),
        ("in-vpc", json!({"resourceConfigDnsResolution": "IN_VPC"})),
    ] {
        gateway(&world, name, more);
    }
    let gateways = world.ok("ListResourceGateways", json!({}));
    for line in DEFINITIONS.trim().lines() {
        let (case, refusal) = line.split_once(" ! ").unwrap_or((line, ""));
        let words: Vec<&str> = case.split(' ').collect();
        let definition = match words[2] {
            "ip" => ip(words[3]),
            "dns" => json!({"dnsResource": {"domainName": words[3], "ipAddressType": words[4]}}),
            "arn" => json!({"arnResource": {"arn": words[3]}}),
            _ => json!({"cidrResource": {"cidrRanges": words[3].split(',').collect::<Vec<_>>()}}),
        };
        let mut items = gateways["items"].as_array().unwrap().iter();
        let gateway = items.find(|item| item["name"] == words[1]).unwrap();
        let change = json!({
            "type": words[0],
            "resourceConfigurationDefinition": definition,
            "portRanges": if words[0] == "ARN" { Value::Null } else { json!(["1"]) },
        });
        match attempt(&world, changed(&single("one", &id(gateway)), &change)) {
            Ok(made) => {
                assert_eq!(refusal, "", "{line}");
                assert_eq!(made["resourceConfigurationDefinition"], definition);
            }
            Err(text) => assert!(
                !refusal.is_empty() && text.contains(refusal),
                "{line}: {text}"
            ),
        }
    }
}

#[test]
fn a_definition_says_what_it_is() {
    let world = World::new();
    for (kind, base) in of_each_type(&world) {
        let member = match kind {
            "SINGLE" => "ipResource",
            "CHILD" => "dnsResource",
            "ARN" => "arnResource",
            "CIDR" => "cidrResource",
            _ => continue,
        };
        let empty = json!({"resourceConfigurationDefinition": {member: {}}});
        let refused = attempt(&world, changed(&base, &empty)).unwrap_err();
        assert!(refused.contains("is required"), "{refused}");
    }
}

#[test]
fn ports_are_numbers_from_1_to_65535() {
    let world = World::new();
    let gateway = gateway(&world, "databases", json!({}));
    let made = configuration(&world, "orders-db", &gateway);
    let set = |ranges: Value| {
        let input = json!({
            "resourceConfigurationIdentifier": made["id"],
            "portRanges": ranges,
        });
        world.ask(ONE, "UpdateResourceConfiguration", input)
    };
    for fine in [
        json!(["1"]),
        json!(["1-65535"]),
        json!(["80", "443", "8000-8000"]),
    ] {
        assert_eq!(set(fine.clone()).unwrap()["portRanges"], fine);
    }
    let many: Vec<String> = (1..=101).map(|port| port.to_string()).collect();
    for wrong in [
        json!([]),
        json!(["0"]),
        json!(["65536"]),
        json!(["20-10"]),
        json!(["0-10"]),
        json!(["+1"]),
        json!(["1-2-3"]),
        json!(["http"]),
        json!(many),
    ] {
        let refused = set(wrong.clone()).unwrap_err();
        assert_eq!(refused.code(), "ValidationException", "{wrong}");
    }
    let shown = world.ok(
        "GetResourceConfiguration",
        json!({"resourceConfigurationIdentifier": made["id"]}),
    );
    assert_eq!(shown["portRanges"], json!(["80", "443", "8000-8000"]));
    let foreign = json!({
        "resourceConfigurationIdentifier": made["id"],
        "resourceConfigurationDefinition": {"cidrResource": {"cidrRanges": ["10.0.0.0/8"]}},
    });
    let refused = world.refused("UpdateResourceConfiguration", foreign);
    assert_code(&refused, "ValidationException", "type SINGLE");
}

#[test]
fn a_child_has_what_it_does_not_say_from_its_group() {
    let world = World::new();
    let gateway = gateway(&world, "databases", json!({}));
    let more = json!({"portRanges": ["5432"], "groupDomain": "db.shop.test"});
    let parent = group(&world, "all", &gateway, more);
    let made = world.ok(
        "CreateResourceConfiguration",
        changed(
            &child("orders", &parent),
            &json!({"customDomainName": "orders.db.shop.test"}),
        ),
    );
    for (member, value) in [
        ("resourceGatewayId", json!(gateway)),
        ("resourceConfigurationGroupId", json!(parent)),
        ("portRanges", json!(["5432"])),
        ("protocol", json!("TCP")),
    ] {
        assert_eq!(made[member], value, "{member}");
    }
    let identifier = json!({"resourceConfigurationIdentifier": parent});
    let update = changed(&identifier, &json!({"portRanges": ["3306"]}));
    world.ok("UpdateResourceConfiguration", update);
    let of_child = json!({"resourceConfigurationIdentifier": made["id"]});
    let shown = world.ok("GetResourceConfiguration", of_child.clone());
    assert_eq!(shown["portRanges"], json!(["3306"]));
    // Its domain is below its group's.
    for domain in ["db.shop.test", "xdb.shop.test", "orders.test"] {
        let change = json!({"customDomainName": domain});
        let input = changed(&child("other", &parent), &change);
        let refused = world.refused("CreateResourceConfiguration", input);
        assert_code(&refused, "ValidationException", "below the groupDomain");
    }
    let not_a_group = id(&configuration(&world, "one", &gateway));
    let refused = world.refused("CreateResourceConfiguration", child("other", &not_a_group));
    assert_code(&refused, "ValidationException", "not of type GROUP");

    let by = |filter: Value| world.listed("ListResourceConfigurations", filter);
    let by_group = json!({"resourceConfigurationGroupIdentifier": parent});
    assert_eq!(by(by_group.clone()), [id(&made)]);
    let by_gateway = json!({"resourceGatewayIdentifier": gateway});
    assert_eq!(
        by(by_gateway.clone()),
        [parent.clone(), id(&made), not_a_group]
    );
    assert_eq!(by(changed(&by_group, &by_gateway)), [id(&made)]);
    assert_eq!(by(json!({})).len(), 3);
    let nobody = json!({"resourceGatewayIdentifier": "rgw-0123456789abcdef0"});
    assert_eq!(by(nobody), [] as [String; 0]);

    let held = world.refused("DeleteResourceConfiguration", identifier.clone());
    assert_code(
        &held,
        "ConflictException",
        "child resource configuration(s)",
    );
    world.ok("DeleteResourceConfiguration", of_child);
    world.ok("DeleteResourceConfiguration", identifier);
}

#[test]
fn a_resource_configuration_takes_subscriptions_and_no_auth_policy() {
    let world = World::new();
    let gateway = gateway(&world, "databases", json!({}));
    let made = configuration(&world, "orders-db", &gateway);
    let subscribe = json!({
        "resourceIdentifier": made["id"],
        "destinationArn": "arn:aws:s3:::records",
    });
    let subscription = world.ok("CreateAccessLogSubscription", subscribe.clone());
    assert_eq!(subscription["resourceArn"], made["arn"]);
    assert!(subscription.get("serviceNetworkLogType").is_none());
    let again = world.refused("CreateAccessLogSubscription", subscribe.clone());
    assert_code(&again, "ConflictException", "already exists");
    let typed = changed(&subscribe, &json!({"serviceNetworkLogType": "RESOURCE"}));
    let refused = world.refused("CreateAccessLogSubscription", typed);
    assert_code(&refused, "ValidationException", "service networks only");
    let of = json!({"resourceIdentifier": made["arn"]});
    let listed = world.listed("ListAccessLogSubscriptions", of.clone());
    assert_eq!(listed, [id(&subscription)]);
    for operation in ["PutAuthPolicy", "GetAuthPolicy", "DeleteAuthPolicy"] {
        let refused = world.refused(operation, changed(&of, &json!({"policy": ALLOW_ALL})));
        assert_code(&refused, "ValidationException", "services only");
    }
    world.ok(
        "DeleteResourceConfiguration",
        json!({"resourceConfigurationIdentifier": made["id"]}),
    );
    let gone = world.refused(
        "GetAccessLogSubscription",
        json!({"accessLogSubscriptionIdentifier": subscription["id"]}),
    );
    assert_code(&gone, "ResourceNotFoundException", "not found");
}
