use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Given, Source, load, source};

fn outcome(sources: &[Source]) -> String {
    match load(sources, &Given::new(&[("KEY", "not-a-real-secret")])) {
        Ok(loaded) => {
            // Only the file's name may differ between two formats.
            format!("{}\n{:#?}", loaded.warnings.iter().count(), loaded.config)
                .replace("a.yaml", "a.json")
        }
        Err(problems) => problems
            .iter()
            .map(|problem| format!("{}: {}", problem.place.path, problem.message))
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

/// Values that stand in documents, right and wrong ones, so that every check is met from both sides.
fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::sample::select(vec![
            "net",
            "orders",
            "http",
            "IP",
            "ALB",
            "HTTP",
            "HTTPS",
            "GRPC",
            "AWS_IAM",
            "NONE",
            "10.0.0.0/8",
            "10.0.0.1",
            "::1",
            "/path",
            "stdout",
            "KEY",
            "i-12345678",
            "vpc-12345678",
            "LAMBDA",
            "a b",
            "",
        ])
        .prop_map(Value::from),
        (-5i64..70_000).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ]
}

/// Trees of known and unknown members, of no particular shape.
fn tree() -> impl Strategy<Value = Value> {
    const MEMBERS: [&str; 40] = [
        "account",
        "region",
        "gateway",
        "limits",
        "dns",
        "listen",
        "vpcs",
        "name",
        "id",
        "cidrs",
        "attachments",
        "sources",
        "addressBook",
        "serviceNetworks",
        "authType",
        "authPolicy",
        "Statement",
        "file",
        "cedar",
        "services",
        "listeners",
        "protocol",
        "port",
        "rules",
        "priority",
        "match",
        "httpMatch",
        "pathMatch",
        "exact",
        "action",
        "forward",
        "fixedResponse",
        "statusCode",
        "targetGroups",
        "config",
        "targets",
        "principals",
        "users",
        "accessKeys",
        "env",
    ];
    scalar().prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((prop::sample::select(MEMBERS.to_vec()), inner), 0..6).prop_map(
                |members| {
                    Value::Object(
                        members
                            .into_iter()
                            .map(|(name, value)| (name.to_owned(), value))
                            .collect::<Map<_, _>>(),
                    )
                }
            ),
        ]
    })
}

/// Documents that are nearly right: a right one, in which one value somewhere is another.
fn document() -> impl Strategy<Value = Value> {
    let right = json!({
        "account": "111122223333", "region": "us-west-2",
        "vpcs": [{"name": "net", "cidrs": ["10.0.0.0/8"], "attachments": [{"listen": ["127.0.0.1"]}],
                  "addressBook": {"i-12345678": "10.0.0.1"}}],
        "serviceNetworks": [{"name": "main", "authType": "NONE", "vpcAssociations": [{"vpcIdentifier": "net"}],
                             "serviceAssociations": [{"serviceIdentifier": "orders"}]}],
        "services": [{"name": "orders", "listeners": [{"name": "http", "protocol": "HTTP", "port": 80,
            "defaultAction": {"forward": {"targetGroups": [{"targetGroupIdentifier": "group", "weight": 5}]}},
            "rules": [{"name": "one", "priority": 1, "match": {"httpMatch": {"pathMatch": {"match": {"exact": "/a"}}}},
                       "action": {"fixedResponse": {"statusCode": 404}}}]}]}],
        "targetGroups": [{"name": "group", "type": "IP", "config": {"protocol": "HTTP", "vpcIdentifier": "net",
            "healthCheck": {"enabled": true, "matcher": {"httpCode": "200-299"}}}, "targets": [{"id": "10.0.0.1", "port": 81}]}],
        "principals": {"users": [{"name": "checkout", "policies": [{"Statement": []}],
                                  "accessKeys": [{"id": "AKIAEXAMPLE", "secret": {"env": "KEY"}}]}]},
        "accessLogSubscriptions": [{"resourceIdentifier": "main", "destination": "stdout"}]
    });
    let places = places(&right, String::new());
    (prop::sample::select(places), prop_oneof![scalar(), tree()]).prop_map(move |(place, other)| {
        let mut document = right.clone();
        if let Some(value) = document.pointer_mut(&place) {
            *value = other;
        }
        document
    })
}

fn places(value: &Value, here: String) -> Vec<String> {
    let mut all = Vec::new();
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                all.extend(places(item, format!("{here}/{index}")));
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                all.extend(places(member, format!("{here}/{name}")));
            }
        }
        _ => {}
    }
    all.push(here);
    all
}

proptest! {
    #[test]
    fn no_text_makes_the_loader_panic(text in "[\\[\\]{}:,\"'&*<>!|# \\n\\t\\\\a-c0-2~-]{0,80}") {
        outcome(&[source("a.yaml", &text), source("b.json", &text)]);
    }

    #[test]
    fn no_tree_makes_the_loader_panic(tree in tree()) {
        outcome(&[source("a.json", &tree.to_string())]);
    }

    #[test]
    fn a_document_has_one_outcome_in_both_formats(document in document()) {
        let json = outcome(&[source("a.json", &document.to_string())]);
        let yaml = serde_saphyr::to_string(&document).unwrap();
        // Numbers and booleans are texts in YAML where a text is wanted, so only what JSON takes is compared.
        let taken = load(&[source("a.json", &document.to_string())], &Given::new(&[("KEY", "not-a-real-secret")])).is_ok();
        let other = outcome(&[source("a.yaml", &yaml)]);
        if taken {
            prop_assert_eq!(json, other, "{}", yaml);
        }
    }
}
