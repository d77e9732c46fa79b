use http::Method;
use serde_json::{Map, Value, json};

use super::{find, read_query};
use crate::lattice::schema::API;

/// The operation and its labels, as text.
fn routed(method: &Method, path: &str) -> String {
    match find(method, path) {
        None => "none".to_owned(),
        Some(Err(_)) => "refused".to_owned(),
        Some(Ok((operation, labels))) => {
            format!("{} {}", operation.name, Value::Object(labels))
        }
    }
}

#[test]
fn paths_are_split_before_they_are_decoded() {
    let arn = "arn%3Aaws%3Avpc-lattice%3Aus-west-2%3A111122223333%3Aservice%2Fsvc-1";
    let table = [
        (Method::GET, "/services", "ListServices {}"),
        (Method::POST, "/services", "CreateService {}"),
        (
            Method::GET,
            "/services/svc-1",
            r#"GetService {"serviceIdentifier":"svc-1"}"#,
        ),
        (
            Method::GET,
            &format!("/services/{arn}"),
            r#"GetService {"serviceIdentifier":"arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-1"}"#,
        ),
        (
            Method::GET,
            &format!("/services/{arn}/listeners/listener-1"),
            r#"GetListener {"serviceIdentifier":"arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-1","listenerIdentifier":"listener-1"}"#,
        ),
        (Method::GET, "/services/", "none"),
        (Method::GET, "/services/a/b", "none"),
        (Method::GET, "//services", "none"),
        (Method::GET, "services", "none"),
        (Method::PUT, "/services", "none"),
        (Method::GET, "/Services", "none"),
        (Method::GET, "/services/%zz", "refused"),
        (Method::GET, "/services/%ff", "refused"),
        (
            Method::GET,
            "/services/a+b",
            r#"GetService {"serviceIdentifier":"a+b"}"#,
        ),
        (
            Method::GET,
            "/tags/arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-1",
            r#"ListTagsForResource {"resourceArn":"arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-1"}"#,
        ),
        (Method::GET, "/tags", "none"),
    ];
    for (method, path, expected) in table {
        assert_eq!(routed(&method, path), expected, "{method} {path}");
    }
}

#[test]
fn every_operation_is_found_by_its_own_path() {
    for operation in &API.operations {
        let path: String = operation
            .path
            .iter()
            .map(|segment| match segment {
                super::Segment::Text(text) => format!("/{text}"),
                super::Segment::Label(_) => "/x".to_owned(),
            })
            .collect();
        let (found, _) = find(&operation.method, &path).unwrap().unwrap();
        assert_eq!(found.name, operation.name);
    }
}

fn query(operation: &str, raw: &str) -> Option<Value> {
    let operation = API.operation(operation).unwrap();
    let mut input = Map::new();
    read_query(operation, raw, &mut input).ok()?;
    Some(Value::Object(input))
}

#[test]
fn queries_give_typed_members_and_lists() {
    let list = |raw| query("ListServices", raw);
    assert_eq!(list(""), Some(json!({})));
    assert_eq!(
        list("maxResults=5&nextToken=a%2Bb"),
        Some(json!({"maxResults": 5, "nextToken": "a+b"}))
    );
    assert_eq!(list("maxResults=five"), Some(json!({"maxResults": "five"})));
    assert_eq!(
        list("other=1&name=x"),
        Some(json!({})),
        "not in the query of this operation"
    );
    assert_eq!(list("maxResults=1&maxResults=2"), None);
    assert_eq!(list("maxResults=%"), None);
    assert_eq!(
        query("UntagResource", "tagKeys=a%20b&tagKeys=c%2Fd&tagKeys=e+f"),
        Some(json!({"tagKeys": ["a b", "c/d", "e f"]}))
    );
    assert_eq!(
        query(
            "ListServiceNetworkResourceAssociations",
            "includeChildren=true"
        ),
        Some(json!({"includeChildren": true}))
    );
    let many = "a=1&".repeat(600);
    assert_eq!(list(&many), None);
}
