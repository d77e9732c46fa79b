use std::time::Duration;

use serde_json::{Value, json};

use super::{ONE, TWO, World, assert_code, forward, id, not_found, rule};

#[test]
fn a_service_is_created_shown_changed_and_deleted() {
    let world = World::new();
    let created = world.ok(
        "CreateService",
        json!({
            "name": "orders",
            "customDomainName": "Orders.Shop.Test",
            "authType": "AWS_IAM",
            "tags": {"team": "web"},
        }),
    );
    let id = id(&created);
    assert_eq!(
        created["arn"],
        format!("arn:aws:vpc-lattice:us-west-2:{ONE}:service/{id}")
    );
    assert_eq!(created["status"], "ACTIVE");
    assert_eq!(created["authType"], "AWS_IAM");
    assert_eq!(created["idleTimeoutSeconds"], 60);
    assert_eq!(created["customDomainName"], "orders.shop.test");
    assert_eq!(created.get("certificateArn"), None);
    assert_eq!(created.get("createdAt"), None, "only Get and List have it");
    let dns = created["dnsEntry"]["domainName"].as_str().unwrap();
    assert!(
        dns.starts_with("orders-0") && dns.ends_with(".vpc-lattice-svcs.us-west-2.on.aws"),
        "{dns}"
    );

    for identifier in [created["id"].clone(), created["arn"].clone()] {
        let shown = world.ok("GetService", json!({"serviceIdentifier": identifier}));
        assert_eq!(shown["name"], "orders");
        assert_eq!(shown["createdAt"], "2023-11-14T22:13:20.001Z");
        assert_eq!(shown.get("tags"), None);
    }
    let updated = world.ok(
        "UpdateService",
        json!({"serviceIdentifier": id, "authType": "NONE", "idleTimeoutSeconds": 600, "certificateArn": ""}),
    );
    assert_eq!(updated["authType"], "NONE");
    assert_eq!(updated["idleTimeoutSeconds"], 600);
    let shown = world.ok("GetService", json!({"serviceIdentifier": id}));
    assert!(shown["lastUpdatedAt"].as_str() > shown["createdAt"].as_str());
    assert_eq!(
        world.ok("UpdateService", json!({"serviceIdentifier": id}))["authType"],
        "NONE"
    );

    let deleted = world.ok("DeleteService", json!({"serviceIdentifier": id}));
    assert_eq!(deleted["status"], "DELETE_IN_PROGRESS");
    let gone = world.refused("GetService", json!({"serviceIdentifier": id}));
    assert_code(&gone, "ResourceNotFoundException", &id);
    let again = world.refused("DeleteService", json!({"serviceIdentifier": id}));
    assert_code(&again, "ResourceNotFoundException", &id);
}

#[test]
fn another_tenant_finds_nothing_and_cannot_tell_why() {
    let world = World::new();
    let service = world.service("orders");
    let absent = "svc-0aaaaaaaaaaaaaaaa";
    for operation in [
        "GetService",
        "DeleteService",
        "UpdateService",
        "ListListeners",
    ] {
        let theirs = world.refused_to(TWO, operation, json!({"serviceIdentifier": service}));
        let nothing = world.refused_to(TWO, operation, json!({"serviceIdentifier": absent}));
        assert_eq!(theirs.0, nothing.0);
        assert_eq!(theirs.1.replace(&service, absent), nothing.1);
    }
    let listed = world.ask(TWO, "ListServices", json!({})).unwrap();
    assert_eq!(listed["items"], json!([]));
    // A name is taken within an account only.
    world
        .ask(TWO, "CreateService", json!({"name": "orders"}))
        .unwrap();
}

#[test]
fn a_name_is_taken_within_its_account() {
    let world = World::new();
    let service = world.service("orders");
    let refused = world.refused("CreateService", json!({"name": "orders"}));
    assert_code(
        &refused,
        "ConflictException",
        "Resource of type Service with name orders already exists in 111122223333",
    );
    world.ok("DeleteService", json!({"serviceIdentifier": service}));
    let next = world.service("orders");
    assert_ne!(next, service, "a new service, not the old one again");
}

#[test]
fn a_token_makes_a_repeated_request_the_same_one() {
    let world = World::new();
    let with = |token: &str, name: &str| json!({"name": name, "clientToken": token});
    let first = world.ok("CreateService", with("t-1", "orders"));
    assert_eq!(world.ok("CreateService", with("t-1", "orders")), first);
    let other = world.refused("CreateService", with("t-1", "others"));
    assert_code(&other, "ConflictException", "t-1");
    let new = world.refused("CreateService", with("t-2", "orders"));
    assert_code(&new, "ConflictException", "already exist");
    // Tokens are the caller's own, and each operation's.
    world
        .ask(TWO, "CreateService", with("t-1", "theirs"))
        .unwrap();
    world.ok("CreateServiceNetwork", with("t-1", "orders"));
    world.pass(Duration::from_secs(24 * 3600));
    let late = world.refused("CreateService", with("t-1", "orders"));
    assert_code(&late, "ConflictException", "already exist");
}

#[test]
fn lists_come_in_pages_in_the_order_of_creation() {
    let world = World::new();
    let created: Vec<String> = (0..7)
        .map(|n| world.service(&format!("service-{n}")))
        .collect();
    let mut found = Vec::new();
    let mut token = Value::Null;
    let mut pages = 0;
    loop {
        let page = world.ok("ListServices", json!({"maxResults": 3, "nextToken": token}));
        found.extend(page["items"].as_array().unwrap().iter().map(id));
        pages += 1;
        match page.get("nextToken") {
            None => break,
            Some(next) => token = next.clone(),
        }
    }
    assert_eq!((found, pages), (created, 3));
    let last = world.ok("ListServices", json!({"maxResults": 7}));
    assert_eq!(last.get("nextToken"), None);
    for wrong in [json!("x"), json!("AAAA"), token.clone()] {
        let input = json!({"nextToken": wrong});
        let elsewhere = world.refused("ListServiceNetworks", input);
        assert_code(&elsewhere, "ValidationException", "nextToken");
    }
}

#[test]
fn a_listener_has_a_default_rule() {
    let world = World::new();
    let service = world.service("orders");
    let listener = world.listener(&service, "web", 8080);
    let within = json!({"serviceIdentifier": service, "listenerIdentifier": listener});
    let rules = world.ok("ListRules", within.clone());
    let default = &rules["items"][0];
    assert_eq!(default["isDefault"], true);
    assert_eq!(default.get("priority"), None);
    let by_id = |more: Value| {
        let mut input = within.clone();
        input
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        input
    };
    let shown = world.ok("GetRule", by_id(json!({"ruleIdentifier": default["id"]})));
    assert_eq!(shown["action"], not_found());
    for operation in ["UpdateRule", "DeleteRule"] {
        let refused = world.refused(operation, by_id(json!({"ruleIdentifier": default["id"]})));
        assert_code(&refused, "ValidationException", "default");
    }
    let group = world.group("orders-v1");
    world.ok(
        "UpdateListener",
        by_id(json!({"defaultAction": forward(&group)})),
    );
    let stored =
        json!({"forward": {"targetGroups": [{"targetGroupIdentifier": group, "weight": 100}]}});
    assert_eq!(
        world.ok("GetListener", within.clone())["defaultAction"],
        stored
    );
    let shown = world.ok("GetRule", by_id(json!({"ruleIdentifier": default["id"]})));
    assert_eq!(shown["action"], stored);
    world.ok("DeleteListener", within.clone());
    assert_code(
        &world.refused("GetListener", within),
        "ResourceNotFoundException",
        &listener,
    );
    world.ok("DeleteTargetGroup", json!({"targetGroupIdentifier": group}));
}

#[test]
fn ports_and_names_of_listeners_are_taken_within_their_service() {
    let world = World::new();
    let (service, other) = (world.service("orders"), world.service("others"));
    world.listener(&service, "web", 8080);
    world.listener(&other, "web", 8080);
    let create = |name: &str, port: u16| {
        world.refused(
            "CreateListener",
            json!({
                "serviceIdentifier": service,
                "name": name,
                "protocol": "HTTP",
                "port": port,
                "defaultAction": not_found(),
            }),
        )
    };
    assert_code(&create("web", 81), "ConflictException", "already exist");
    assert_code(&create("two", 8080), "ConflictException", "8080");
    world.listener(&service, "two", 81);
    assert_code(
        &create("three", 82),
        "ServiceQuotaExceededException",
        "quota of 2",
    );
}

#[test]
fn rules_are_echoed_and_changed_member_by_member() {
    let world = World::new();
    let service = world.service("orders");
    let listener = world.listener(&service, "web", 80);
    let condition = json!({"httpMatch": {
        "method": "GET",
        "pathMatch": {"match": {"exact": "/a"}, "caseSensitive": false},
        "headerMatches": [{"name": "X-Team", "match": {"contains": "we"}}],
    }});
    let mut input = rule(&service, &listener, "first", 10);
    input["match"] = condition.clone();
    let created = world.ok("CreateRule", input);
    assert_eq!(created["match"], condition);
    let by_id = json!({
        "serviceIdentifier": service,
        "listenerIdentifier": listener,
        "ruleIdentifier": created["id"],
    });
    let shown = world.ok("GetRule", by_id.clone());
    assert_eq!(shown["match"], condition);
    assert_eq!(shown["isDefault"], false);
    let mut update = by_id.clone();
    update["priority"] = json!(20);
    let updated = world.ok("UpdateRule", update);
    assert_eq!(
        (&updated["priority"], &updated["match"]),
        (&json!(20), &condition)
    );
    world.ok("CreateRule", rule(&service, &listener, "second", 10));
    let taken = world.refused("CreateRule", rule(&service, &listener, "third", 20));
    assert_code(&taken, "ConflictException", "priority 20 already exists");
    world.ok("DeleteRule", by_id.clone());
    assert_code(
        &world.refused("GetRule", by_id),
        "ResourceNotFoundException",
        "Rule",
    );
}

#[test]
fn a_batch_swaps_priorities_and_tells_what_it_could_not_do() {
    let world = World::new();
    let service = world.service("orders");
    let listener = world.listener(&service, "web", 80);
    let make = |name: &str, priority| {
        id(&world.ok("CreateRule", rule(&service, &listener, name, priority)))
    };
    let (one, two, three) = (make("one", 1), make("two", 2), make("three", 3));
    let batch = |rules: Value| {
        let input =
            json!({"serviceIdentifier": service, "listenerIdentifier": listener, "rules": rules});
        world.ok("BatchUpdateRule", input)
    };
    let swapped = batch(json!([
        {"ruleIdentifier": one, "priority": 2},
        {"ruleIdentifier": two, "priority": 1},
    ]));
    assert_eq!(swapped["unsuccessful"], json!([]));
    let priorities = || -> Vec<(String, u64)> {
        let input = json!({"serviceIdentifier": service, "listenerIdentifier": listener});
        let rules = world.ok("ListRules", input);
        let rules = rules["items"].as_array().unwrap().clone();
        let numbered = rules
            .iter()
            .filter_map(|rule| Some((id(rule), rule["priority"].as_u64()?)));
        numbered.collect()
    };
    assert_eq!(
        priorities(),
        [(one.clone(), 2), (two.clone(), 1), (three.clone(), 3)]
    );
    let partly = batch(json!([
        {"ruleIdentifier": one, "priority": 3},
        {"ruleIdentifier": two, "priority": 7},
        {"ruleIdentifier": "rule-0ffffffffffffffff", "priority": 9},
    ]));
    let failed: Vec<&Value> = partly["unsuccessful"].as_array().unwrap().iter().collect();
    assert_eq!(failed.len(), 2);
    assert_eq!(failed[0]["ruleIdentifier"], json!(one));
    assert_eq!(failed[0]["failureCode"], "ConflictException");
    assert_eq!(failed[1]["failureCode"], "ResourceNotFoundException");
    assert_eq!(priorities(), [(one, 2), (two, 7), (three, 3)]);
}

#[test]
fn actions_must_fit_the_listener_and_the_group_its_service() {
    let world = World::new();
    let (service, other) = (world.service("orders"), world.service("others"));
    let group = world.group("orders-v1");
    let create = |service: &str, name: &str, action: Value| {
        let input = json!({
            "serviceIdentifier": service,
            "name": name,
            "protocol": "HTTP",
            "port": if name == "web" { 80 } else { 81 },
            "defaultAction": action,
        });
        world.ask(ONE, "CreateListener", input)
    };
    create(&service, "web", forward(&group)).unwrap();
    let refusal = |service: &str, action: Value| {
        let error = create(service, "next", action).unwrap_err();
        (
            error.code().to_owned(),
            error.body()["message"].as_str().unwrap().to_owned(),
        )
    };
    assert_code(
        &refusal(&other, forward(&group)),
        "ConflictException",
        "already in use",
    );
    let absent = "tg-0123456789abcdef0";
    assert_code(
        &refusal(&other, forward(absent)),
        "ResourceNotFoundException",
        absent,
    );
    let status = json!({"fixedResponse": {"statusCode": 200}});
    assert_code(
        &refusal(&other, status),
        "ValidationException",
        "404 or 500",
    );
    let twice = json!({"forward": {"targetGroups": [
        {"targetGroupIdentifier": group, "weight": 1},
        {"targetGroupIdentifier": group, "weight": 2},
    ]}});
    assert_code(&refusal(&service, twice), "ValidationException", "twice");
    let shown = world.ok("GetTargetGroup", json!({"targetGroupIdentifier": group}));
    assert_eq!(
        shown["serviceArns"],
        json!([format!(
            "arn:aws:vpc-lattice:us-west-2:{ONE}:service/{service}"
        )])
    );
    let used = world.refused("DeleteTargetGroup", json!({"targetGroupIdentifier": group}));
    assert_code(&used, "ConflictException", "in use");
}

#[test]
fn connections_are_passed_through_to_tcp_groups_only() {
    let world = World::new();
    let plain = world.service("plain");
    let named = id(&world.ok(
        "CreateService",
        json!({"name": "named", "customDomainName": "db.shop.test"}),
    ));
    let tcp = id(&world.ok(
        "CreateTargetGroup",
        json!({"name": "db-v1", "type": "IP", "config": {
            "protocol": "TCP", "port": 5432, "vpcIdentifier": super::VPC_ONE,
        }}),
    ));
    let http = world.group("web-v1");
    let create = |service: &str, protocol: &str, action: Value| {
        let input = json!({
            "serviceIdentifier": service,
            "name": "pass",
            "protocol": protocol,
            "defaultAction": action,
        });
        world
            .ask(ONE, "CreateListener", input)
            .map_err(|error| error.code())
    };
    let wrong = Err("ValidationException");
    assert_eq!(
        create(&plain, "TLS_PASSTHROUGH", forward(&tcp)).map(|_| ()),
        wrong
    );
    assert_eq!(
        create(&named, "TLS_PASSTHROUGH", forward(&http)).map(|_| ()),
        wrong
    );
    assert_eq!(
        create(&named, "TLS_PASSTHROUGH", not_found()).map(|_| ()),
        wrong
    );
    assert_eq!(create(&named, "HTTP", forward(&tcp)).map(|_| ()), wrong);
    let made = create(&named, "TLS_PASSTHROUGH", forward(&tcp)).unwrap();
    assert_eq!(made["port"], 443);
    let listener = id(&made);
    let more = world.refused("CreateRule", rule(&named, &listener, "more", 1));
    assert_code(&more, "ValidationException", "TLS_PASSTHROUGH");
}

#[test]
fn custom_domains_are_names() {
    let world = World::new();
    for wrong in ["a b.test", "-a.test", "a..test", "10.0.0.1", "*.shop.test"] {
        let input = json!({"name": "orders", "customDomainName": wrong});
        let refused = world.refused("CreateService", input);
        assert_code(&refused, "ValidationException", "customDomainName");
    }
}
