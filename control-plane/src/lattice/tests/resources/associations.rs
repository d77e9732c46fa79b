use serde_json::{Value, json};

use super::{
    super::{ONE, TWO, World, assert_code, id},
    associate, changed, child, configuration, gateway, group, sharing, single,
};

#[test]
fn a_resource_configuration_joins_a_network_and_leaves_it() {
    let world = World::new();
    let gateway = gateway(&world, "databases", json!({}));
    let network = world.network("commerce");
    let change = json!({"customDomainName": "db.shop.test"});
    let made = changed(&single("orders-db", &gateway), &change);
    let made = id(&world.ok("CreateResourceConfiguration", made));
    let association = world.ok(
        "CreateServiceNetworkResourceAssociation",
        json!({
            "serviceNetworkIdentifier": network,
            "resourceConfigurationIdentifier": made,
            "privateDnsEnabled": true,
        }),
    );
    assert_eq!(association["status"], "ACTIVE");
    assert_eq!(association["createdBy"], ONE);
    assert_eq!(association["privateDnsEnabled"], true);
    let identifier = json!({"serviceNetworkResourceAssociationIdentifier": association["arn"]});
    let shown = world.ok("GetServiceNetworkResourceAssociation", identifier.clone());
    let name = format!(
        "{}.{made}.7d67968.vpc-lattice-rsc.us-west-2.on.aws",
        id(&association)
    );
    for (member, value) in [
        ("resourceConfigurationId", json!(made)),
        ("resourceConfigurationName", json!("orders-db")),
        ("serviceNetworkId", json!(network)),
        ("serviceNetworkName", json!("commerce")),
        ("isManagedAssociation", json!(false)),
        ("privateDnsEntry", json!({"domainName": "db.shop.test"})),
    ] {
        assert_eq!(shown[member], value, "{member}");
    }
    assert_eq!(shown["dnsEntry"]["domainName"], name);
    let of_network = json!({"serviceNetworkIdentifier": network});
    let counted = world.ok("ListServiceNetworks", json!({}));
    let counted = &counted["items"][0]["numberOfAssociatedResourceConfigurations"];
    assert_eq!(*counted, 1);

    let again = json!({
        "serviceNetworkIdentifier": network,
        "resourceConfigurationIdentifier": made,
    });
    let again = world.refused("CreateServiceNetworkResourceAssociation", again);
    assert_code(&again, "ConflictException", "Association already exists.");
    let held = world.refused("DeleteServiceNetwork", of_network.clone());
    let text = format!("ServiceNetwork {network} has resource(s) associated.");
    assert_eq!(held, ("ConflictException".to_owned(), text));
    let of_configuration = json!({"resourceConfigurationIdentifier": made});
    let held = world.refused("DeleteResourceConfiguration", of_configuration.clone());
    assert_code(&held, "ConflictException", "service network(s) associated");
    for by in [&of_network, &of_configuration] {
        let listed = world.listed("ListServiceNetworkResourceAssociations", by.clone());
        assert_eq!(listed, [id(&association)]);
    }
    let neither = world.refused("ListServiceNetworkResourceAssociations", json!({}));
    assert_code(&neither, "ValidationException", "required");
    let theirs = world.refused_to(
        TWO,
        "GetServiceNetworkResourceAssociation",
        identifier.clone(),
    );
    assert_code(&theirs, "ResourceNotFoundException", "not found");

    let gone = world.ok(
        "DeleteServiceNetworkResourceAssociation",
        identifier.clone(),
    );
    assert_eq!(gone["status"], "DELETE_IN_PROGRESS");
    let missing = world.refused("DeleteServiceNetworkResourceAssociation", identifier);
    assert_code(&missing, "ResourceNotFoundException", "not found");
    world.ok("DeleteServiceNetwork", of_network);
    world.ok("DeleteResourceConfiguration", of_configuration);
}

#[test]
fn associations_of_children_are_listed_with_those_of_their_group_when_asked_for() {
    let world = World::new();
    let gateway = gateway(&world, "databases", json!({}));
    let (network, other) = (world.network("commerce"), world.network("others"));
    let parent = group(&world, "all", &gateway, json!({"portRanges": ["5432"]}));
    let one = id(&world.ok("CreateResourceConfiguration", child("orders", &parent)));
    let of_child = id(&associate(&world, &network, &one));
    let of_group = id(&associate(&world, &other, &parent));
    let list = |more: Value| {
        let base = json!({"resourceConfigurationIdentifier": parent});
        world.listed(
            "ListServiceNetworkResourceAssociations",
            changed(&base, &more),
        )
    };
    assert_eq!(list(json!({})), [of_group.as_str()]);
    assert_eq!(list(json!({"includeChildren": false})), [of_group.as_str()]);
    let children = json!({"includeChildren": true});
    assert_eq!(list(children.clone()), [of_child.as_str(), &of_group]);
    let in_one = json!({"serviceNetworkIdentifier": network});
    assert_eq!(list(changed(&children, &in_one)), [of_child]);
    let shown = world.ok(
        "GetServiceNetworkResourceAssociation",
        json!({"serviceNetworkResourceAssociationIdentifier": of_group}),
    );
    assert!(shown.get("dnsEntry").is_none());
}

#[test]
fn not_everything_may_be_in_every_network() {
    let world = World::new();
    let public = gateway(&world, "public", json!({}));
    let in_vpc = gateway(
        &world,
        "in-vpc",
        json!({"resourceConfigDnsResolution": "IN_VPC"}),
    );
    let plain = world.network("plain");
    let meant = json!({"name": "meant", "sharingConfig": {"enabled": true}});
    let meant = id(&world.ok("CreateServiceNetwork", meant));
    let cidr = changed(
        &single("segment", &in_vpc),
        &json!({"type": "CIDR", "resourceConfigurationDefinition": {"cidrResource": {"cidrRanges": ["10.0.0.0/8"]}}}),
    );
    let cidr = id(&world.ok("CreateResourceConfiguration", cidr));
    let kept = id(&configuration(&world, "kept", &public));
    let input = |network: &str, configuration: &str| {
        json!({
            "serviceNetworkIdentifier": network,
            "resourceConfigurationIdentifier": configuration,
        })
    };
    let create = "CreateServiceNetworkResourceAssociation";
    let refused = world.refused(create, input(&plain, &cidr));
    assert_code(&refused, "ValidationException", "type CIDR");
    let refused = world.refused(create, input(&meant, &kept));
    assert_code(&refused, "ValidationException", "shareable");
    world.ok(create, input(&plain, &kept));
    let allow = |allow: bool| {
        json!({
            "resourceConfigurationIdentifier": kept,
            "allowAssociationToShareableServiceNetwork": allow,
        })
    };
    world.ok("UpdateResourceConfiguration", allow(true));
    world.ok(create, input(&meant, &kept));
    let refused = world.refused("UpdateResourceConfiguration", allow(false));
    assert_code(&refused, "ValidationException", &meant);
    for (member, value) in [
        ("serviceNetworkIdentifier", "sn-0123456789abcdef0"),
        ("serviceNetworkIdentifier", "odb-network"),
        ("resourceConfigurationIdentifier", "rcfg-0123456789abcdef0"),
    ] {
        let absent = changed(&input(&plain, &kept), &json!({member: value}));
        let refused = world.refused(create, absent);
        assert_code(&refused, "ResourceNotFoundException", value);
    }
}

#[test]
fn a_shared_resource_configuration_joins_the_other_account_s_networks() {
    let world = World::new();
    let gateway = gateway(&world, "databases", json!({}));
    let parent = group(&world, "all", &gateway, json!({"portRanges": ["5432"]}));
    let of_group = json!({"resourceConfigurationIdentifier": parent});
    let parent = world.ok("GetResourceConfiguration", of_group.clone());
    let one = world.ok(
        "CreateResourceConfiguration",
        child("orders", parent["id"].as_str().unwrap()),
    );
    let of_child = json!({"resourceConfigurationIdentifier": one["id"]});
    let action = "vpc-lattice:GetResourceConfiguration";
    let refused = world.refused("PutResourcePolicy", sharing(&one, action));
    assert_code(&refused, "ValidationException", "with its group");
    world.ok("PutResourcePolicy", sharing(&parent, action));
    for identifier in [&of_group, &of_child] {
        let seen = world.ask(TWO, "GetResourceConfiguration", identifier.clone());
        assert_eq!(
            seen.unwrap()["id"],
            identifier["resourceConfigurationIdentifier"]
        );
        let refused = world.refused_to(TWO, "DeleteResourceConfiguration", identifier.clone());
        assert!(refused.0 != "ConflictException", "{refused:?}");
    }
    let listed = |input: Value| {
        let answer = world.ask(TWO, "ListResourceConfigurations", input).unwrap();
        answer["items"].as_array().unwrap().len()
    };
    assert_eq!(listed(json!({})), 1);
    let by_group = json!({"resourceConfigurationGroupIdentifier": parent["id"]});
    assert_eq!(listed(by_group.clone()), 1);

    let theirs = world.ask(TWO, "CreateServiceNetwork", json!({"name": "theirs"}));
    let theirs = theirs.unwrap();
    let join = json!({
        "serviceNetworkIdentifier": theirs["arn"],
        "resourceConfigurationIdentifier": one["arn"],
    });
    let create = "CreateServiceNetworkResourceAssociation";
    let made = world.ask(TWO, create, join).unwrap();
    assert_eq!(made["createdBy"], TWO);
    let ours = world.ok("CreateServiceNetwork", json!({"name": "ours"}));
    let action = "vpc-lattice:GetServiceNetwork";
    world.ok("PutResourcePolicy", sharing(&ours, action));
    let both = json!({
        "serviceNetworkIdentifier": ours["arn"],
        "resourceConfigurationIdentifier": one["arn"],
    });
    let refused = world.refused_to(TWO, create, both);
    assert_code(&refused, "AccessDeniedException", "both shared");

    world.ok(
        "DeleteResourcePolicy",
        json!({"resourceArn": parent["arn"]}),
    );
    let hidden = world.refused_to(TWO, "GetResourceConfiguration", of_child);
    assert_code(&hidden, "ResourceNotFoundException", "not found");
    assert_eq!(listed(by_group), 0);
    // What was made while it was shared stays; the owner of the resource can end it.
    let identifier = json!({"serviceNetworkResourceAssociationIdentifier": made["id"]});
    world.ok("DeleteServiceNetworkResourceAssociation", identifier);
}

#[test]
fn there_are_no_associations_with_endpoints() {
    let world = World::new();
    let of_resource = json!({"resourceConfigurationIdentifier": "rcfg-0123456789abcdef0"});
    let listed = world.ok("ListResourceEndpointAssociations", of_resource);
    assert_eq!(listed, json!({"items": []}));
    let network = json!({"serviceNetworkIdentifier": world.network("commerce")});
    let listed = world.ok("ListServiceNetworkVpcEndpointAssociations", network);
    assert_eq!(listed, json!({"items": []}));
    let one = json!({"resourceEndpointAssociationIdentifier": "rea-0123456789abcdef0"});
    let missing = world.refused("DeleteResourceEndpointAssociation", one);
    assert_code(
        &missing,
        "ResourceNotFoundException",
        "rea-0123456789abcdef0",
    );
}
