use std::{collections::BTreeSet, sync::Arc, time::UNIX_EPOCH};

use proptest::prelude::*;
use serde_json::{Value, json};
use trellis_model::config::{Action, Config};

use super::DataPlane;
use crate::lattice::tests::{ONE, VPC_ONE, World, files, forward, id, not_found, rule};

/// Everything of a configuration that the API has a part in, as text.
fn shown(config: &Config) -> String {
    format!(
        "{:#?}\n{:#?}\n{:#?}\n{:#?}",
        config.service_networks, config.services, config.target_groups, config.function_groups
    )
}

#[test]
fn what_is_created_becomes_configuration() {
    let world = World::new();
    let files = files();
    let (network, service, group) = (
        world.network("commerce"),
        world.service("orders"),
        world.group("orders-v1"),
    );
    let register =
        json!({"targetGroupIdentifier": group, "targets": [{"id": "10.0.0.1", "port": 81}]});
    world.ok("RegisterTargets", register);
    let listener = world.listener(&service, "web", 8080);
    let mut first = rule(&service, &listener, "first", 7);
    first["action"] = forward(&group);
    world.ok("CreateRule", first);
    world.ok(
        "CreateServiceNetworkServiceAssociation",
        json!({
            "serviceNetworkIdentifier": network, "serviceIdentifier": service,
        }),
    );
    world.ok(
        "CreateServiceNetworkVpcAssociation",
        json!({
            "serviceNetworkIdentifier": network, "vpcIdentifier": VPC_ONE,
        }),
    );
    let config = world.plane.configuration(&files, UNIX_EPOCH);
    let [made] = config.services.as_slice() else {
        panic!()
    };
    assert_eq!(made.id.to_string(), service);
    assert_eq!(made.listeners[0].port, 8080);
    assert_eq!(made.listeners[0].rules[0].priority.get(), 7);
    let Action::Forward(forward) = &made.listeners[0].rules[0].action else {
        panic!()
    };
    assert_eq!(forward.groups[0].weight.get(), 100);
    assert_eq!(
        config.target_groups[0].targets[0].address.to_string(),
        "10.0.0.1:81"
    );
    let [commerce] = config.service_networks.as_slice() else {
        panic!()
    };
    assert_eq!(commerce.services[0].service.to_string(), service);
    assert_eq!(commerce.vpcs[0].vpc.as_str(), VPC_ONE);
}

#[test]
fn only_what_changed_is_made_anew() {
    let world = World::new();
    let files = files();
    let (one, _) = (world.service("one"), world.service("two"));
    let before = world.plane.configuration(&files, UNIX_EPOCH);
    assert!(Arc::ptr_eq(
        &before,
        &world.plane.configuration(&files, UNIX_EPOCH)
    ));
    world.ok(
        "UpdateService",
        json!({"serviceIdentifier": one, "idleTimeoutSeconds": 61}),
    );
    let after = world.plane.configuration(&files, UNIX_EPOCH);
    let same = |position: usize| Arc::ptr_eq(&before.services[position], &after.services[position]);
    assert!(!same(0));
    assert!(same(1));
    // Tags of listeners are nothing that the data plane knows.
    let listener = world.listener(&one, "web", 80);
    let before = world.plane.configuration(&files, UNIX_EPOCH);
    let shown = world.ok(
        "GetListener",
        json!({"serviceIdentifier": one, "listenerIdentifier": listener}),
    );
    world.ok(
        "TagResource",
        json!({"resourceArn": shown["arn"], "tags": {"a": "b"}}),
    );
    let after = world.plane.configuration(&files, UNIX_EPOCH);
    assert!(Arc::ptr_eq(&before.services[0], &after.services[0]));
}

#[test]
fn a_function_group_is_served_once_it_has_its_function() {
    let world = World::new();
    let files = files();
    let service = world.service("orders");
    let group = id(&world.ok(
        "CreateTargetGroup",
        json!({"name": "function", "type": "LAMBDA"}),
    ));
    world.ok("CreateListener", json!({
        "serviceIdentifier": service, "name": "web", "protocol": "HTTP", "defaultAction": forward(&group),
    }));
    let groups = || {
        let config = world.plane.configuration(&files, UNIX_EPOCH);
        match &config.services[0].listeners[0].default_action {
            Action::Forward(forward) => (forward.groups.len(), config.function_groups.len()),
            other @ Action::FixedResponse(_) => panic!("{other:?}"),
        }
    };
    assert_eq!(groups(), (0, 0));
    let function = format!("arn:aws:lambda:us-west-2:{ONE}:function:orders");
    let targets = json!({"targetGroupIdentifier": group, "targets": [{"id": function}]});
    world.ok("RegisterTargets", targets.clone());
    assert_eq!(groups(), (1, 1));
    world.ok("DeregisterTargets", targets);
    assert_eq!(groups(), (0, 0));
}

/// One change, by numbers.
fn change(world: &World, (kind, which, value): (u8, u8, u16)) {
    let pick = |operation: &str, scope: Value| -> Option<String> {
        let listed = world.ask(ONE, operation, scope).ok()?;
        let ids: Vec<String> = listed["items"].as_array()?.iter().map(id).collect();
        (!ids.is_empty()).then(|| ids[usize::from(which) % ids.len()].clone())
    };
    let name = format!("name-{value}");
    let service = pick("ListServices", json!({})).unwrap_or_default();
    let network = pick("ListServiceNetworks", json!({})).unwrap_or_default();
    let group = pick("ListTargetGroups", json!({})).unwrap_or_default();
    let of_service = json!({"serviceIdentifier": service});
    let listener = pick("ListListeners", of_service.clone()).unwrap_or_default();
    let both = json!({"serviceNetworkIdentifier": network, "serviceIdentifier": service});
    let targets = json!({
        "targetGroupIdentifier": group,
        "targets": [{"id": format!("10.0.0.{}", value % 5 + 1)}],
    });
    let action = if value % 2 == 0 {
        forward(&group)
    } else {
        not_found()
    };
    let config = json!({"protocol": "HTTP", "vpcIdentifier": VPC_ONE});
    let mut made = rule(&service, &listener, &name, value % 50 + 1);
    made["action"] = action.clone();
    let (operation, input) = match kind % 13 {
        0 => ("CreateService", json!({"name": name})),
        1 => ("CreateServiceNetwork", json!({"name": name})),
        2 => (
            "CreateTargetGroup",
            json!({"name": name, "type": "IP", "config": config}),
        ),
        3 => (
            "CreateListener",
            json!({
                "serviceIdentifier": service, "name": name, "protocol": "HTTP", "port": value % 3 + 80,
                "defaultAction": action,
            }),
        ),
        4 => ("CreateRule", made),
        5 => ("RegisterTargets", targets),
        6 => ("DeregisterTargets", targets),
        7 => ("CreateServiceNetworkServiceAssociation", both),
        8 => ("DeleteService", of_service),
        9 => (
            "DeleteServiceNetwork",
            json!({"serviceNetworkIdentifier": network}),
        ),
        10 => ("DeleteTargetGroup", json!({"targetGroupIdentifier": group})),
        11 => (
            "DeleteListener",
            json!({"serviceIdentifier": service, "listenerIdentifier": listener}),
        ),
        _ => (
            "UpdateService",
            json!({"serviceIdentifier": service, "idleTimeoutSeconds": value % 500 + 60}),
        ),
    };
    // Most of what is thought of is refused, which must change nothing.
    let _ = world.ask(ONE, operation, input);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn change_by_change_gives_what_all_at_once_gives(
        changes in prop::collection::vec(any::<(u8, u8, u16)>(), 1..60),
    ) {
        let world = World::new();
        let files = files();
        for one in changes {
            change(&world, one);
            let step = world.plane.configuration(&files, UNIX_EPOCH);
            let fresh = DataPlane::default().configuration(
                &world.plane.catalog(),
                BTreeSet::new(),
                (&files, world.plane.region()),
            );
            prop_assert_eq!(shown(&step), shown(&fresh));
        }
    }
}
