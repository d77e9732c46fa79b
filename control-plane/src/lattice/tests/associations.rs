use serde_json::{Value, json};

use super::{ONE, TWO, VPC_ONE, VPC_TWO, World, assert_code, id};

fn associate(world: &World, network: &str, service: &str) -> Value {
    let input = json!({"serviceNetworkIdentifier": network, "serviceIdentifier": service});
    world.ok("CreateServiceNetworkServiceAssociation", input)
}

#[test]
fn a_service_joins_a_network_and_leaves_it() {
    let world = World::new();
    let (network, service) = (world.network("commerce"), world.service("orders"));
    let made = associate(&world, &network, &service);
    assert_eq!(made["status"], "ACTIVE");
    assert_eq!(made["createdBy"], ONE);
    let identifier = json!({"serviceNetworkServiceAssociationIdentifier": made["id"]});
    let shown = world.ok("GetServiceNetworkServiceAssociation", identifier.clone());
    assert_eq!(shown["serviceId"], json!(service));
    assert_eq!(shown["serviceName"], "orders");
    assert_eq!(shown["serviceNetworkName"], "commerce");
    let again = json!({"serviceNetworkIdentifier": network, "serviceIdentifier": service});
    let again = world.refused("CreateServiceNetworkServiceAssociation", again);
    assert_code(&again, "ConflictException", "Association already exists.");
    let shown = world.ok(
        "GetServiceNetwork",
        json!({"serviceNetworkIdentifier": network}),
    );
    assert_eq!(shown["numberOfAssociatedServices"], 1);

    let held = world.refused("DeleteService", json!({"serviceIdentifier": service}));
    assert_code(
        &held,
        "ConflictException",
        "one or more associated service networks",
    );
    let held = world.refused(
        "DeleteServiceNetwork",
        json!({"serviceNetworkIdentifier": network}),
    );
    assert_code(&held, "ConflictException", "has service(s) associated");
    for by in [
        json!({"serviceIdentifier": service}),
        json!({"serviceNetworkIdentifier": network}),
    ] {
        assert_eq!(
            world.listed("ListServiceNetworkServiceAssociations", by),
            [id(&made)]
        );
    }
    let neither = world.refused("ListServiceNetworkServiceAssociations", json!({}));
    assert_code(&neither, "ValidationException", "required");

    let gone = world.ok("DeleteServiceNetworkServiceAssociation", identifier.clone());
    assert_eq!(gone["status"], "DELETE_IN_PROGRESS");
    let missing = world.refused("GetServiceNetworkServiceAssociation", identifier);
    assert_code(&missing, "ResourceNotFoundException", "not found");
    world.ok(
        "DeleteServiceNetwork",
        json!({"serviceNetworkIdentifier": network}),
    );
    world.ok("DeleteService", json!({"serviceIdentifier": service}));
}

#[test]
fn a_custom_domain_is_unique_within_a_network() {
    let world = World::new();
    let network = world.network("commerce");
    let named = |name: &str| {
        let input = json!({"name": name, "customDomainName": "shop.test"});
        id(&world.ok("CreateService", input))
    };
    associate(&world, &network, &named("one"));
    let input = json!({"serviceNetworkIdentifier": network, "serviceIdentifier": named("two")});
    let refused = world.refused("CreateServiceNetworkServiceAssociation", input);
    assert_code(&refused, "ConflictException", "shop.test already exists");
}

#[test]
fn a_vpc_joins_one_network() {
    let world = World::new();
    let (network, other) = (world.network("commerce"), world.network("others"));
    let join = |network: &str, vpc: &str| {
        let input = json!({
            "serviceNetworkIdentifier": network,
            "vpcIdentifier": vpc,
            "securityGroupIds": ["sg-00000002", "sg-00000001"],
        });
        world.ask(ONE, "CreateServiceNetworkVpcAssociation", input)
    };
    let made = join(&network, VPC_ONE).unwrap();
    assert_eq!(made["status"], "ACTIVE");
    assert_eq!(
        made["securityGroupIds"],
        json!(["sg-00000002", "sg-00000001"])
    );
    let second = join(&other, VPC_ONE).unwrap_err();
    let text = second.body()["message"].as_str().unwrap().to_owned();
    assert_eq!(
        text,
        "VPC has already been associated to a service network."
    );
    assert_eq!(
        join(&other, VPC_TWO).unwrap_err().code(),
        "ResourceNotFoundException"
    );

    let identifier = json!({"serviceNetworkVpcAssociationIdentifier": made["id"]});
    let mut update = identifier.clone();
    update["securityGroupIds"] = json!(["sg-00000003"]);
    let updated = world.ok("UpdateServiceNetworkVpcAssociation", update.clone());
    assert_eq!(updated["securityGroupIds"], json!(["sg-00000003"]));
    update["securityGroupIds"] = json!([]);
    let empty = world.refused("UpdateServiceNetworkVpcAssociation", update);
    assert_code(&empty, "ValidationException", "securityGroupIds");
    let shown = world.ok("GetServiceNetworkVpcAssociation", identifier.clone());
    assert_eq!(
        (&shown["vpcId"], &shown["serviceNetworkId"]),
        (&json!(VPC_ONE), &json!(network))
    );
    assert_eq!(
        world.listed(
            "ListServiceNetworkVpcAssociations",
            json!({"vpcIdentifier": VPC_ONE})
        ),
        [id(&made)]
    );
    let held = world.refused(
        "DeleteServiceNetwork",
        json!({"serviceNetworkIdentifier": network}),
    );
    assert_code(&held, "ConflictException", "has VPC(s) associated");
    world.ok("DeleteServiceNetworkVpcAssociation", identifier);
    join(&other, VPC_ONE).unwrap();
}

#[test]
fn what_is_shared_can_be_associated_by_the_other_account_and_changed_by_its_owner() {
    let world = World::new();
    let network = world.ok("CreateServiceNetwork", json!({"name": "commerce"}));
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"AWS": format!("arn:aws:iam::{TWO}:root")},
        "Action": [
            "vpc-lattice:CreateServiceNetworkVpcAssociation",
            "vpc-lattice:CreateServiceNetworkServiceAssociation",
            "vpc-lattice:GetServiceNetwork",
        ],
        "Resource": network["arn"],
    }]});
    let by_id = json!({"serviceNetworkIdentifier": network["id"]});
    let hidden = world.refused_to(TWO, "GetServiceNetwork", by_id.clone());
    assert_code(&hidden, "ResourceNotFoundException", "not found");
    let put = json!({"resourceArn": network["arn"], "policy": policy.to_string()});
    world.ok("PutResourcePolicy", put);
    let got = world.ok("GetResourcePolicy", json!({"resourceArn": network["arn"]}));
    assert_eq!(got["policy"], policy.to_string());

    assert_eq!(
        world.ask(TWO, "GetServiceNetwork", by_id.clone()).unwrap()["name"],
        "commerce"
    );
    let listed = world.ask(TWO, "ListServiceNetworks", json!({})).unwrap();
    assert_eq!(listed["items"][0]["id"], network["id"]);
    for operation in ["DeleteServiceNetwork", "UpdateServiceNetwork"] {
        let mut input = by_id.clone();
        input["authType"] = json!("NONE");
        let refused = world.refused_to(TWO, operation, input);
        assert_code(&refused, "AccessDeniedException", "shared");
    }
    let join = json!({"serviceNetworkIdentifier": network["arn"], "vpcIdentifier": VPC_TWO});
    let made = world
        .ask(TWO, "CreateServiceNetworkVpcAssociation", join)
        .unwrap();
    assert_eq!(made["createdBy"], TWO);
    let tags = world.refused("ListTagsForResource", json!({"resourceArn": made["arn"]}));
    assert_code(&tags, "ResourceNotFoundException", "not found");

    world.ok(
        "DeleteResourcePolicy",
        json!({"resourceArn": network["arn"]}),
    );
    let missing = world.refused("GetResourcePolicy", json!({"resourceArn": network["arn"]}));
    assert_code(&missing, "ResourceNotFoundException", "not found");
    let hidden = world.refused_to(TWO, "GetServiceNetwork", by_id);
    assert_code(&hidden, "ResourceNotFoundException", "not found");
    // What was made while it was shared stays; the owner can end it.
    let identifier = json!({"serviceNetworkVpcAssociationIdentifier": made["id"]});
    world.ok("DeleteServiceNetworkVpcAssociation", identifier);
}
