//! What access records tell beyond VPC Lattice's fields, and what subscriptions make of them.

use serde_json::{Value, json};
use trellis_tests::{
    Gateway, Guard, Key, Reply, Request, Setup, Target, Via, allow, eventually, forward, identity,
    policy,
};

/// Lines of another file of the scenario, once there are so many.
async fn lines(gateway: &Gateway, file: &str, count: usize) -> Vec<String> {
    let path = gateway.setup().file(file);
    eventually(&format!("{count} lines in {file}"), async || {
        let text = std::fs::read_to_string(&path).ok()?;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        (lines.len() >= count && text.ends_with('\n')).then_some(lines)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_tells_which_statements_of_which_layers_allowed() {
    let target = Target::named("v1").await;
    let key = Key::new("AKWRITER");
    let network = policy(&[
        json!({"Sid": "Nobody", "Effect": "Deny", "Principal": "*", "Action": "vpc-lattice-svcs:Invoke", "Resource": "*/secret"}),
        json!({"Sid": "Everybody", "Effect": "Allow", "Principal": "*", "Action": "vpc-lattice-svcs:Invoke", "Resource": "*"}),
    ]);
    let mut gateway = Setup::with_orders([&target])
        .guarded(&Guard::By(network), &Guard::By(allow(&json!("*"))))
        .user("writer", &key, &[identity("Allow")])
        .start()
        .await;
    // Twice, so that the second one is decided from the cache.
    for _ in 0..2 {
        let request = Request::get("orders.test", "/").signed(&key);
        let answer = gateway.send(Via::Http1, request).await;
        gateway.record_of(&answer).await.adds([
            ("decision", json!("Allow")),
            (
                "allowedBy",
                json!({"Network": "statement `Everybody`", "Service": "statement 1", "Identity": "statement 1"}),
            ),
            ("decidedBy", Value::Null),
        ]);
    }
    let answer = gateway.get("orders.test", "/secret").await;
    answer.has_status(403);
    gateway.record_of(&answer).await.adds([
        ("decision", json!("ExplicitDeny")),
        ("decidedLayer", json!("Network")),
        ("decidedBy", json!("statement `Nobody`")),
        ("allowedBy", Value::Null),
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_policies_a_record_tells_of_no_decision() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let answer = gateway.get("orders.test", "/").await;
    let record = gateway.record_of(&answer).await;
    record.adds([("decision", Value::Null), ("allowedBy", Value::Null)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_tells_of_the_handshake_once_and_of_the_connection_always() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    for via in [Via::Http1Tls, Via::Http2Tls] {
        let mut connection = gateway.connect(via, "orders.test").await;
        for first in [true, false] {
            let answer = connection.send(Request::get("orders.test", "/")).await;
            let record = gateway.record_of(&answer).await;
            let alpn = if via == Via::Http2Tls {
                "h2"
            } else {
                "http/1.1"
            };
            record.adds([("tlsGroup", json!("X25519")), ("alpn", json!(alpn))]);
            let phases = &record.field("trellis")["phases"];
            assert_eq!(phases["tls"].is_u64(), first, "{phases}");
            assert_eq!(phases["accept"].is_u64(), first, "{phases}");
            for phase in [
                "match",
                "authenticate",
                "authorize",
                "queue",
                "connect",
                "firstByte",
                "body",
            ] {
                assert!(phases[phase].is_u64(), "{phase} of {phases}");
            }
            assert!(phases["backOff"].is_null(), "{phases}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_tells_of_every_attempt_and_of_the_bytes_of_all() {
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let target =
        Target::answering(
            move |_| match turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => Reply::new(503, "not now"),
                _ => Reply::new(200, "an answer"),
            },
        )
        .await;
    let policy = json!({"maxRetries": 2, "on": ["gateway-error"], "backOff": {"baseMillis": 1}});
    let mut gateway = Setup::with_orders([&target])
        .set("services.orders.retryPolicy", policy)
        .start()
        .await;
    let body = "b".repeat(1000);
    let answer = gateway
        .send(Via::Http1, Request::post("orders.test", "/", body))
        .await;
    answer.is(200, "an answer");
    let record = gateway.record_of(&answer).await;
    record.adds([
        ("attempts", json!(2)),
        ("targetAlgorithm", json!("ROUND_ROBIN")),
        ("targetReason", json!("DRAW")),
    ]);
    let trellis = record.field("trellis");
    let failed = &trellis["failedAttempts"];
    assert_eq!(failed.as_array().map(Vec::len), Some(1), "{failed}");
    assert_eq!(failed[0]["status"], 503);
    assert_eq!(failed[0]["target"], target.address().to_string());
    assert!(failed[0]["failure"].is_null());
    assert!(trellis["phases"]["backOff"].is_u64());
    // Body twice, and two heads.
    let sent = trellis["bytesToTarget"].as_u64().unwrap();
    assert!((2_100..4_000).contains(&sent), "{sent}");
    let came = trellis["bytesFromTarget"].as_u64().unwrap();
    assert!((9..1_000).contains(&came), "{came}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_be_reached_is_told_among_the_attempts() {
    let target = Target::named("v1").await;
    let mut setup = Setup::new();
    let dead = (setup.ip(), setup.free_port()).into();
    let mut gateway = setup
        .group_at("orders-targets", &[dead, target.address()])
        .service("orders", &forward(&[("orders-targets", 100)]))
        .start()
        .await;
    // In turn: at least one of two requests meets the dead one first.
    let mut told = 0;
    for _ in 0..2 {
        let answer = gateway.get("orders.test", "/").await;
        answer.is(200, "v1");
        let record = gateway.record_of(&answer).await;
        let failed = record.field("trellis")["failedAttempts"].clone();
        if let Some(attempt) = failed.get(0) {
            assert_eq!(attempt["target"], dead.to_string());
            assert_eq!(attempt["failure"], "TargetConnectionError");
            told += 1;
        }
    }
    assert!(told >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_tells_of_the_trace() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = Request::get("orders.test", "/")
        .header("traceparent", &format!("00-{id}-00f067aa0ba902b7-01"));
    let answer = gateway.send(Via::Http1, request).await;
    gateway
        .record_of(&answer)
        .await
        .adds([("traceId", json!(id))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_get_what_they_asked_for_and_no_more() {
    let target = Target::named("v1").await;
    let setup = Setup::with_orders([&target]);
    let file = |name: &str| json!({"file": setup.file(name)});
    let subscriptions = json!([
        {"resourceIdentifier": "commerce", "destination": file("access.jsonl")},
        {"resourceIdentifier": "orders", "destination": file("few.jsonl"),
         "fields": ["requestPath", "responseCode", "userAgent"],
         "redact": {"fields": ["userAgent"], "paths": ["/customers/*"]}},
        {"resourceIdentifier": "commerce", "destination": file("text.log"),
         "format": {"text": "%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% \"%REQ(USER-AGENT)%\" %RESPONSE_FLAGS%\n"}},
        {"resourceIdentifier": "orders", "destination": file("pairs.jsonl"),
         "format": {"json": [{"key": "status", "value": "%RESPONSE_CODE%"}, {"key": "to", "value": "%REQ(HOST)%%REQ(:PATH)%"}]}},
        {"resourceIdentifier": "orders", "destination": file("failures.jsonl"),
         "fields": ["requestPath"], "sampling": {"oneIn": 1_000_000}},
    ]);
    let mut gateway = setup
        .set("accessLogSubscriptions", subscriptions)
        .start()
        .await;
    let request =
        Request::get("orders.test", "/customers/ann/cards").header("user-agent", "evil\" 500 \"x");
    gateway.send(Via::Http1, request).await.is(200, "v1");
    // Workers write their records on their own, so the second request waits for the first one's.
    lines(&gateway, "few.jsonl", 1).await;
    lines(&gateway, "text.log", 1).await;
    lines(&gateway, "pairs.jsonl", 1).await;
    // What was refused is never left out.
    let request = Request::get("orders.test", "/x").header("authorization", "AWS4-HMAC-SHA256 x");
    gateway.send(Via::Http1, request).await.has_status(403);
    gateway
        .record_for("/x")
        .await
        .failed(403, "ClientAccessDenied");

    let few = lines(&gateway, "few.jsonl", 2).await;
    assert_eq!(
        few[0],
        r#"{"requestPath":"/customers/*/cards","responseCode":200,"userAgent":"[redacted]"}"#
    );
    let text = lines(&gateway, "text.log", 2).await;
    assert_eq!(
        text[0],
        r#"GET /customers/ann/cards 200 "evil\u0022 500 \u0022x" -"#
    );
    assert!(text[1].starts_with("GET /x 403 "), "{}", text[1]);
    assert!(text[1].ends_with(" UAEX"), "{}", text[1]);
    let pairs = lines(&gateway, "pairs.jsonl", 2).await;
    assert_eq!(
        pairs[0],
        r#"{"status":"200","to":"orders.test/customers/ann/cards"}"#
    );
    let failures = lines(&gateway, "failures.jsonl", 1).await;
    assert_eq!(failures, [r#"{"requestPath":"/x"}"#]);
}
