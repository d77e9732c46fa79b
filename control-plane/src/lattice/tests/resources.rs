//! Resource gateways, resource configurations, their associations and verifications of domains.

mod associations;
mod configurations;

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{ONE, TWO, VPC_ONE, VPC_TWO, World, assert_code, id};

const HOUR: Duration = Duration::from_secs(3600);

/// An input with other members in place of some, or without those that are null.
fn changed(base: &Value, changes: &Value) -> Value {
    let mut members: Map<String, Value> = base.as_object().unwrap().clone();
    members.extend(changes.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    Value::Object(members)
}

fn gateway(world: &World, name: &str, more: Value) -> String {
    let base = json!({"name": name, "vpcIdentifier": VPC_ONE, "subnetIds": ["subnet-00000001"]});
    id(&world.ok("CreateResourceGateway", changed(&base, &more)))
}

fn ip(address: &str) -> Value {
    json!({"ipResource": {"ipAddress": address}})
}

fn single(name: &str, gateway: &str) -> Value {
    json!({
        "name": name,
        "type": "SINGLE",
        "resourceGatewayIdentifier": gateway,
        "portRanges": ["5432"],
        "resourceConfigurationDefinition": ip("10.0.0.5"),
    })
}

fn configuration(world: &World, name: &str, gateway: &str) -> Value {
    world.ok("CreateResourceConfiguration", single(name, gateway))
}

fn group(world: &World, name: &str, gateway: &str, more: Value) -> String {
    let base = json!({"name": name, "type": "GROUP", "resourceGatewayIdentifier": gateway});
    id(&world.ok("CreateResourceConfiguration", changed(&base, &more)))
}

fn child(name: &str, group: &str) -> Value {
    json!({
        "name": name,
        "type": "CHILD",
        "resourceConfigurationGroupIdentifier": group,
        "resourceConfigurationDefinition": ip("10.0.0.6"),
    })
}

fn associate(world: &World, network: &str, configuration: &str) -> Value {
    world.ok(
        "CreateServiceNetworkResourceAssociation",
        json!({
            "serviceNetworkIdentifier": network,
            "resourceConfigurationIdentifier": configuration,
        }),
    )
}

/// An input that shares a resource with the other account.
fn sharing(resource: &Value, action: &str) -> Value {
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"AWS": TWO},
        "Action": action,
        "Resource": resource["arn"],
    }]});
    json!({"resourceArn": resource["arn"], "policy": policy.to_string()})
}

#[test]
fn a_resource_gateway_lives_from_create_to_delete() {
    let world = World::new();
    let made = world.ok(
        "CreateResourceGateway",
        json!({
            "name": "databases",
            "vpcIdentifier": VPC_ONE,
            "subnetIds": ["subnet-00000002", "subnet-00000001"],
            "securityGroupIds": ["sg-00000001"],
        }),
    );
    for (member, value) in [
        ("status", json!("ACTIVE")),
        ("vpcIdentifier", json!(VPC_ONE)),
        ("subnetIds", json!(["subnet-00000002", "subnet-00000001"])),
        ("ipAddressType", json!("IPV4")),
        ("ipv4AddressesPerEni", json!(16)),
        ("resourceConfigDnsResolution", json!("PUBLIC")),
    ] {
        assert_eq!(made[member], value, "{member}");
    }
    assert!(made.get("vpcId").is_none());
    let identifier = json!({"resourceGatewayIdentifier": made["arn"]});
    let shown = world.ok("GetResourceGateway", identifier.clone());
    assert_eq!(shown["vpcId"], VPC_ONE);
    assert_eq!(shown["serviceManaged"], false);
    assert!(shown.get("vpcIdentifier").is_none());

    let update = changed(
        &identifier,
        &json!({"securityGroupIds": [], "resourceConfigDnsResolution": "IN_VPC"}),
    );
    let updated = world.ok("UpdateResourceGateway", update);
    assert_eq!(updated["securityGroupIds"], json!([]));
    assert_eq!(updated["resourceConfigDnsResolution"], "IN_VPC");
    assert_eq!(world.listed("ListResourceGateways", json!({})), [id(&made)]);
    for operation in [
        "GetResourceGateway",
        "UpdateResourceGateway",
        "DeleteResourceGateway",
    ] {
        let refused = world.refused_to(TWO, operation, identifier.clone());
        assert_code(&refused, "ResourceNotFoundException", "ResourceGateway");
    }
    let theirs = world.ask(TWO, "ListResourceGateways", json!({})).unwrap();
    assert_eq!(theirs["items"], json!([]));

    let gone = world.ok("DeleteResourceGateway", identifier.clone());
    assert_eq!(gone["status"], "DELETE_IN_PROGRESS");
    let missing = world.refused("GetResourceGateway", identifier);
    assert_code(&missing, "ResourceNotFoundException", "not found");
}

#[test]
fn a_resource_gateway_that_makes_no_sense_is_refused() {
    let world = World::new();
    let base = json!({"name": "databases", "vpcIdentifier": VPC_ONE});
    let eni = "ipv4AddressesPerEni";
    let subnets: Vec<String> = (0..33).map(|n| format!("subnet-{n:08}")).collect();
    for (change, code, part) in [
        (
            json!({"vpcIdentifier": null}),
            "ValidationException",
            "vpcIdentifier is required",
        ),
        (
            json!({"vpcIdentifier": VPC_TWO}),
            "ResourceNotFoundException",
            VPC_TWO,
        ),
        (
            json!({"name": "rgw-databases"}),
            "ValidationException",
            "name",
        ),
        (
            json!({"subnetIds": ["subnet-1"]}),
            "ValidationException",
            "subnet-1 is not",
        ),
        (
            json!({"subnetIds": ["subnet-00000001", "subnet-00000001"]}),
            "ValidationException",
            "twice",
        ),
        (
            json!({"subnetIds": subnets}),
            "ValidationException",
            "more than 32",
        ),
        (
            json!({"securityGroupIds": ["sg-00000001", "sg-00000001"]}),
            "ValidationException",
            "twice",
        ),
        (
            json!({"ipAddressType": "IPV6", eni: 2}),
            "ValidationException",
            eni,
        ),
        (json!({eni: 63}), "ValidationException", eni),
    ] {
        let refused = world.refused("CreateResourceGateway", changed(&base, &change));
        assert_code(&refused, code, part);
    }
    world.ok("CreateResourceGateway", base.clone());
    let taken = world.refused("CreateResourceGateway", base);
    assert_code(&taken, "ConflictException", "already exists");
    let six = json!({"ipAddressType": "IPV6"});
    let six = gateway(&world, "six", six);
    let shown = world.ok(
        "GetResourceGateway",
        json!({"resourceGatewayIdentifier": six}),
    );
    assert!(shown.get(eni).is_none());
}

#[test]
fn a_resource_gateway_stays_as_long_as_it_is_used() {
    let world = World::new();
    let used = gateway(&world, "databases", json!({}));
    let made = configuration(&world, "orders-db", &used);
    let identifier = json!({"resourceGatewayIdentifier": used});
    let held = world.refused("DeleteResourceGateway", identifier.clone());
    assert_code(&held, "ConflictException", "resource configuration(s)");
    world.ok(
        "DeleteResourceConfiguration",
        json!({"resourceConfigurationIdentifier": made["id"]}),
    );
    world.ok("DeleteResourceGateway", identifier);
}

#[test]
fn a_verification_is_pending_until_its_time_is_over() {
    let world = World::new();
    let start = json!({"domainName": "Shop.test", "tags": {"team": "web"}});
    let made = world.ok("StartDomainVerification", start.clone());
    assert_eq!(made["status"], "PENDING");
    assert_eq!(made["domainName"], "shop.test");
    let record = &made["txtMethodConfig"];
    assert!(record["name"].as_str().unwrap().starts_with('_'));
    assert!(
        record["value"]
            .as_str()
            .unwrap()
            .starts_with("vpc-lattice:")
    );
    let identifier = json!({"domainVerificationIdentifier": made["arn"]});
    let shown = world.ok("GetDomainVerification", identifier.clone());
    assert_eq!(shown["tags"], json!({"team": "web"}));
    assert_eq!(shown["txtMethodConfig"], *record);
    let again = world.refused("StartDomainVerification", start);
    assert_code(&again, "ConflictException", "already exists");
    let theirs = world.refused_to(TWO, "GetDomainVerification", identifier.clone());
    assert_code(&theirs, "ResourceNotFoundException", "not found");
    for wrong in ["no name", "10.0.0.1", "a..b"] {
        let refused = world.refused("StartDomainVerification", json!({"domainName": wrong}));
        assert_code(&refused, "ValidationException", "domainName");
    }

    // A resource configuration shows how far it is.
    let gateway = gateway(&world, "databases", json!({}));
    let named = |name: &str, domain: Value| {
        let change = json!({
            "customDomainName": domain,
            "domainVerificationIdentifier": made["id"],
        });
        let input = changed(&single(name, &gateway), &change);
        world.ask(ONE, "CreateResourceConfiguration", input)
    };
    let verified = named("orders-db", json!("db.shop.test")).unwrap();
    for domain in [json!("db.other.test"), json!("workshop.test"), Value::Null] {
        let refused = named("other", domain).unwrap_err();
        assert_eq!(refused.code(), "ValidationException");
    }
    let of = json!({"resourceConfigurationIdentifier": verified["id"]});
    let status = || {
        let shown = world.ok("GetResourceConfiguration", of.clone());
        shown["domainVerificationStatus"].clone()
    };
    assert_eq!(status(), "PENDING");
    world.pass(HOUR * 71);
    assert_eq!(status(), "PENDING");
    world.pass(HOUR);
    assert_eq!(status(), "VERIFICATION_TIMED_OUT");
    let listed = world.ok("ListDomainVerifications", json!({}));
    assert_eq!(listed["items"][0]["status"], "VERIFICATION_TIMED_OUT");
    let by = json!({"domainVerificationIdentifier": made["id"]});
    assert_eq!(
        world.listed("ListResourceConfigurations", by.clone()),
        [id(&verified)]
    );

    assert_eq!(
        world.ok("DeleteDomainVerification", identifier.clone()),
        json!({})
    );
    let shown = world.ok("GetResourceConfiguration", of.clone());
    assert!(shown.get("domainVerificationId").is_none());
    assert!(world.listed("ListResourceConfigurations", by).is_empty());
    let missing = world.refused("DeleteDomainVerification", identifier);
    assert_code(&missing, "ResourceNotFoundException", "not found");
}

#[test]
fn tags_are_for_every_kind() {
    let world = World::new();
    let gateway = world.ok(
        "CreateResourceGateway",
        json!({"name": "databases", "vpcIdentifier": VPC_ONE}),
    );
    let made = configuration(&world, "orders-db", gateway["id"].as_str().unwrap());
    let network = world.network("commerce");
    let association = associate(&world, &network, made["id"].as_str().unwrap());
    let verification = world.ok(
        "StartDomainVerification",
        json!({"domainName": "shop.test"}),
    );
    for resource in [gateway, made, association, verification] {
        let of = json!({"resourceArn": resource["arn"]});
        let tag = changed(&of, &json!({"tags": {"team": "web", "stage": "dev"}}));
        world.ok("TagResource", tag);
        world.ok(
            "UntagResource",
            changed(&of, &json!({"tagKeys": ["stage"]})),
        );
        let tags = world.ok("ListTagsForResource", of.clone());
        assert_eq!(tags["tags"], json!({"team": "web"}));
        let theirs = world.refused_to(TWO, "ListTagsForResource", of);
        assert_code(&theirs, "ResourceNotFoundException", "not found");
    }
}

#[test]
fn there_are_no_more_than_the_quotas_allow() {
    let mut world = World::new();
    world.quotas.resource_gateways = 1;
    world.quotas.resource_configurations = 4;
    world.quotas.child_configurations = 1;
    world.quotas.resource_associations = 1;
    world.quotas.domain_verifications = 1;
    let network = world.network("commerce");
    let gateway = gateway(&world, "databases", json!({}));
    let parent = group(&world, "all", &gateway, json!({"portRanges": ["1"]}));
    let one = id(&configuration(&world, "one", &gateway));
    world.ok("CreateResourceConfiguration", child("first", &parent));
    associate(&world, &network, &one);
    world.ok("StartDomainVerification", json!({"domainName": "a.test"}));
    let join = json!({
        "serviceNetworkIdentifier": network,
        "resourceConfigurationIdentifier": parent,
    });
    for (operation, input, code) in [
        (
            "CreateResourceGateway",
            json!({"name": "other", "vpcIdentifier": VPC_ONE}),
            "L-0DCA4434",
        ),
        (
            "CreateResourceConfiguration",
            child("second", &parent),
            "L-9BC96FEF",
        ),
        (
            "CreateServiceNetworkResourceAssociation",
            join,
            "L-6095700C",
        ),
        (
            "StartDomainVerification",
            json!({"domainName": "b.test"}),
            "L-73D0F278",
        ),
    ] {
        let error = world.ask(ONE, operation, input).unwrap_err();
        assert_eq!(error.body()["quotaCode"], code);
        assert_eq!(error.status(), 402);
    }
    configuration(&world, "two", &gateway);
    let input = single("three", &gateway);
    let error = world
        .ask(ONE, "CreateResourceConfiguration", input)
        .unwrap_err();
    assert_eq!(error.body()["quotaCode"], "L-5FF8F9B9");
}
