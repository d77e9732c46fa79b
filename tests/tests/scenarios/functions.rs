//! Functions: what they are told, and what becomes of what they say.

mod endpoints;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};
use trellis_tests::{
    FUNCTION, Guard, Issuer, Key, Reply, Request, Seen, Setup, Target, Via, allow, eventually,
    forward, identity,
};

/// A function's answer as the Invoke API gives it.
fn result(value: &Value) -> Reply {
    Reply::new(200, value.to_string())
}

/// A function that says in its body what it was told.
async fn telling() -> Target {
    Target::answering(|seen| {
        let event = String::from_utf8_lossy(&seen.body).into_owned();
        let headers = json!({"content-type": "application/json", "x-from": ["a", "b"]});
        result(&json!({"statusCode": 201, "headers": headers, "body": event}))
    })
    .await
}

fn event(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_told_the_request_and_its_result_is_the_answer() {
    let target = telling().await;
    let mut gateway = Setup::with_function(&target).start().await;
    for (number, via) in Via::ALL.into_iter().enumerate() {
        let request = Request::post("orders.test", "/a?x=1&x=2", "{}")
            .header("content-type", "application/json")
            .header("x-list", "1")
            .header("x-list", "2")
            .header("x-amzn-lattice-identity", "Principal=forged")
            .header("x-amzn-requestid", &format!("id-{number}"));
        let answer = gateway.send(via, request).await;
        assert_eq!(answer.status, 201, "{via:?}");
        assert_eq!(answer.header("x-amzn-requestid"), format!("id-{number}"));
        let values: Vec<_> = answer.headers.get_all("x-from").iter().collect();
        assert_eq!(values, ["a", "b"]);
        assert_eq!(
            answer.header("content-length"),
            answer.body.len().to_string()
        );

        let seen = target.seen().pop().unwrap();
        assert_eq!(seen.method, "POST");
        assert_eq!(
            seen.path,
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-west-2%3A111122223333%3Afunction%3Aorders/invocations"
        );
        assert_eq!(seen.header("x-amz-invocation-type"), "RequestResponse");
        assert_eq!(seen.header("authorization"), "-");
        let event = event(&seen);
        assert_eq!(answer.text(), event.to_string(), "{via:?}");
        assert_eq!(event["path"], "/a?x=1&x=2");
        assert_eq!(event["method"], "POST");
        assert_eq!(event["body"], "{}");
        assert_eq!(event["queryStringParameters"], json!({"x": ["1", "2"]}));
        let headers = &event["headers"];
        assert_eq!(headers["x-list"], json!(["1", "2"]));
        assert_eq!(headers["x-forwarded-for"], json!(["127.0.0.1"]));
        let proto = if via.is_tls() { "https" } else { "http" };
        assert_eq!(headers["x-forwarded-proto"], json!([proto]));
        assert!(
            headers["host"][0]
                .as_str()
                .unwrap()
                .starts_with("orders.test")
        );
        assert!(headers.get("x-amzn-lattice-identity").is_none());
        assert_eq!(event["requestId"], format!("id-{number}"));

        let record = gateway.record_of(&answer).await;
        let context = &event["requestContext"];
        assert_eq!(context["serviceArn"], *record.field("serviceArn"));
        assert_eq!(
            context["serviceNetworkArn"],
            *record.field("serviceNetworkArn")
        );
        assert_eq!(context["targetGroupArn"], *record.field("targetGroupArn"));
        assert_eq!(
            context["identity"],
            json!({"sourceVpcArn": record.field("sourceVpcArn")})
        );
        record.has([
            ("targetIpPort", json!("-")),
            ("destinationVpcId", json!("-")),
            ("failureReason", json!("-")),
            ("responseCode", json!(201)),
        ]);
        assert!(record.number("bytesSent") > answer.body.len() as u64);
    }
    // One connection for each worker at most, kept from call to call.
    assert!(target.connections() <= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flat_event_has_the_request_without_its_context() {
    let target = telling().await;
    let endpoint = format!("http://{}/base/", target.address());
    let gateway = Setup::new()
        .function(
            "orders",
            "V1",
            &json!({"endpoint": endpoint, "names": "NAME"}),
        )
        .service("orders", &forward(&[("orders", 100)]))
        .set(
            "targetGroups.orders.targets",
            json!([{"id": format!("{FUNCTION}orders:$LATEST")}]),
        )
        .start()
        .await;
    let request =
        Request::post("orders.test", "/a?x=1&x=2", &b"\xff\x00"[..]).header("x-list", "1");
    gateway
        .send(Via::Http2, request.header("x-list", "2"))
        .await
        .has_status(201);
    let seen = target.only();
    assert_eq!(
        seen.path,
        "/base/2015-03-31/functions/orders/invocations?Qualifier=%24LATEST"
    );
    let event = event(&seen);
    assert_eq!(event["raw_path"], "/a?x=1&x=2");
    assert_eq!(event["query_string_parameters"], json!({"x": "2"}));
    assert_eq!(event["headers"]["x-list"], "1, 2");
    assert_eq!(event["body"], "/wA=");
    assert_eq!(event["is_base64_encoded"], true);
    assert!(event.get("requestContext").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_can_be_posted_to_any_server() {
    let issuer = Issuer::new("events");
    let target = Target::answering_over_tls(&issuer, "localhost", |_| {
        Reply::new(202, r#"{"statusCode":200,"body":"taken"}"#)
    })
    .await;
    let endpoint = format!("https://localhost:{}/in?key=1", target.address().port());
    let mut setup = Setup::new()
        .function(
            "orders",
            "V2",
            &json!({"mode": "EVENT", "endpoint": endpoint}),
        )
        .service("orders", &forward(&[("orders", 100)]));
    let trusted = setup.file("authorities.pem");
    std::fs::write(&trusted, issuer.root_pem()).unwrap();
    setup = setup.set("targetGroups.orders.function.caFile", json!(trusted));
    let mut gateway = setup.start().await;
    gateway.get("orders.test", "/").await.is(200, "taken");
    let seen = target.only();
    assert_eq!(seen.path, "/in?key=1");
    assert_eq!(seen.header("x-amz-invocation-type"), "-");
    assert_eq!(event(&seen)["path"], "/");

    // A server that others vouch for is not believed, and hears nothing.
    let stranger = gateway.setup().file("strangers.pem");
    std::fs::write(&stranger, Issuer::new("strangers").root_pem()).unwrap();
    gateway.reload(|setup| setup.set("targetGroups.orders.function.caFile", json!(stranger)));
    let answer = gateway.get("orders.test", "/").await;
    answer.has_status(500);
    let record = gateway.record_of(&answer).await;
    record.failed(500, "TargetConnectionError");
    assert_eq!(target.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_signed_where_there_are_credentials_for_the_endpoint() {
    let (shared, own) = (telling().await, telling().await);
    let mut setup = Setup::new();
    let (secret, token) = (setup.file("secret"), setup.file("token"));
    std::fs::write(&secret, "not-a-secret\n").unwrap();
    std::fs::write(&token, "a-token").unwrap();
    let credentials = json!({
        "accessKeyId": "AKIASHARED",
        "secretAccessKey": {"file": secret},
        "sessionToken": {"file": token},
    });
    setup = setup
        .set(
            "gateway.functions",
            json!({"endpoint": format!("http://{}", shared.address()), "region": "eu-west-1", "credentials": credentials}),
        )
        .function("orders", "V2", &json!({}))
        .service("orders", &forward(&[("orders", 100)]))
        .function("others", "V2", &json!({"endpoint": format!("http://{}", own.address())}))
        .service("others", &forward(&[("others", 100)]));
    let gateway = setup.start().await;
    gateway.get("orders.test", "/").await.has_status(201);
    gateway.get("others.test", "/").await.has_status(201);
    let seen = shared.only();
    let authorization = seen.header("authorization");
    assert!(
        authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIASHARED/")
            && authorization.contains("/eu-west-1/lambda/aws4_request"),
        "{authorization}"
    );
    assert_eq!(seen.header("x-amz-security-token"), "a-token");
    // The gateway's credentials are no business of an endpoint that a group names.
    let seen = own.only();
    for name in ["authorization", "x-amz-security-token", "x-amz-date"] {
        assert_eq!(seen.header(name), "-", "{name}");
    }
    // Nor of the page that shows what runs.
    let page = gateway.admin("/config").await.text();
    assert!(page.contains("AKIASHARED") && !page.contains("not-a-secret"));
    assert!(!page.contains("a-token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_told_who_calls_and_is_not_called_by_whom_policies_refuse() {
    let target = telling().await;
    let key = Key::new("AKIAREADER");
    let role = "arn:aws:iam::111122223333:role/reader";
    let mut gateway = Setup::with_function(&target)
        .role("reader", "morning", &key, &[identity("Allow")])
        .guarded(&Guard::Off, &Guard::By(allow(&json!({"AWS": role}))))
        .start()
        .await;
    let refused = gateway.get("orders.test", "/").await;
    refused.has_status(403);
    let record = gateway.record_of(&refused).await;
    record.failed(403, "ClientAccessDenied");
    assert_eq!(target.count(), 0);
    let answer = gateway
        .send(Via::Http1, Request::get("orders.test", "/").signed(&key))
        .await;
    answer.has_status(201);
    let seen = target.only();
    let event = event(&seen);
    let session = "arn:aws:sts::111122223333:assumed-role/reader/morning";
    let told = &event["requestContext"]["identity"];
    assert_eq!(told["type"], "AWS_IAM");
    assert_eq!(told["principal"], session);
    assert_eq!(told["sessionName"], "morning");
    let header = event["headers"]["x-amzn-lattice-identity"][0]
        .as_str()
        .unwrap();
    assert_eq!(
        header,
        format!("Principal={session}; SessionName=morning; Type=AWS_IAM")
    );
    assert!(event["headers"].get("x-amz-security-token").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_and_targets_share_an_action_by_weight() {
    let function = telling().await;
    let target = Target::named("target").await;
    let mut gateway = Setup::with_function(&function)
        .group("plain", [&target])
        .set(
            "services.orders.listeners.http.defaultAction",
            forward(&[("orders", 1), ("plain", 1)]),
        )
        .start()
        .await;
    let mut connection = gateway.connect(Via::Http1, "orders.test").await;
    for _ in 0..40 {
        let answer = connection.send(Request::get("orders.test", "/")).await;
        assert!(answer.status == 201 || answer.text() == "target");
    }
    assert_eq!(function.count() + target.count(), 40);
    assert!(function.count() > 0 && target.count() > 0);
    gateway.reload(|setup| {
        setup.set(
            "services.orders.listeners.http.defaultAction",
            forward(&[("orders", 0), ("plain", 1)]),
        )
    });
    let before = function.count();
    for _ in 0..10 {
        gateway.get("orders.test", "/").await.is(200, "target");
    }
    assert_eq!(function.count(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_have_none() {
    let target = Target::answering(|seen| {
        let event: Value = serde_json::from_slice(&seen.body).unwrap();
        let path = event["path"].as_str().unwrap();
        let status: u16 = path.trim_start_matches('/').parse().unwrap();
        let headers = json!({
            "content-length": "999", "connection": "x-hop", "x-hop": "1", "transfer-encoding": "chunked",
            "x-trellis-explain": "forged", "x-amzn-requestid": "forged",
        });
        result(&json!({"statusCode": status, "headers": headers, "body": "hello"}))
    })
    .await;
    let gateway = Setup::with_function(&target).start().await;
    for via in [Via::Http1, Via::Http2] {
        let mut connection = gateway.connect(via, "orders.test").await;
        for (method, status, body, length) in [
            ("GET", 200, "hello", "5"),
            ("HEAD", 200, "", "5"),
            ("GET", 204, "", "-"),
            ("GET", 304, "", "-"),
            ("GET", 205, "", "0"),
            ("GET", 404, "hello", "5"),
        ] {
            let request = Request::new(method, "orders.test", &format!("/{status}"));
            let answer = connection.send(request).await;
            answer.is(status, body);
            let what = format!("{via:?} {method} {status}");
            assert_eq!(answer.header("content-length"), length, "{what}");
            assert_ne!(answer.header("connection"), "x-hop", "{what}");
            for name in ["x-hop", "transfer-encoding", "x-trellis-explain"] {
                assert_eq!(answer.header(name), "-", "{what}");
            }
            assert_ne!(answer.header("x-amzn-requestid"), "forged");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_bodies_pass_in_both_directions() {
    let target = Target::answering(|seen| {
        let event: Value = serde_json::from_slice(&seen.body).unwrap();
        result(&json!({"statusCode": 200, "isBase64Encoded": true, "body": event["body"]}))
    })
    .await;
    let gateway = Setup::with_function(&target).start().await;
    let body: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    for via in Via::ALL {
        let request = Request::post("orders.test", "/", body.clone());
        let answer = gateway.send(via, request).await;
        assert!(answer.status == 200 && answer.body == body, "{via:?}");
    }
}

/// Source: VPC Lattice user guide, "Lambda functions as targets": 6 MB, of the event and so after base64.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_fit_into_no_event_are_refused_before_they_are_read() {
    let target = telling().await;
    let mut gateway = Setup::with_function(&target).start().await;
    // Announced: refused at once, without an invitation to send it.
    let mut raw = gateway.raw().await;
    raw.send("POST /announced HTTP/1.1\r\nHost: orders.test\r\nContent-Type: text/plain\r\nContent-Length: 6291457\r\nExpect: 100-continue\r\n\r\n").await;
    assert!(raw.read_head().await.starts_with("HTTP/1.1 413 "));
    let record = gateway.record_for("/announced").await;
    record.failed(413, "ClientProtocolError");
    // In base64 it takes a third more.
    for (path, length) in [("/binary", 4_718_593), ("/chunked", 4_800_000)] {
        for via in [Via::Http1, Via::Http2] {
            let mut request = Request::post("orders.test", path, vec![0; length]);
            if path == "/chunked" {
                let (streaming, pieces) = request.streaming();
                request = streaming;
                tokio::spawn(async move {
                    for _ in 0..48 {
                        let piece = hyper::body::Frame::data(Bytes::from(vec![0; 100_000]));
                        if pieces.send(Ok(piece)).await.is_err() {
                            break;
                        }
                    }
                });
            }
            let answered = gateway.try_send(via, request).await;
            let status =
                answered.map_or_else(|broken| broken.status(), |answer| Some(answer.status));
            assert_eq!(status, Some(413), "{via:?} {path}");
            gateway
                .record_for(path)
                .await
                .failed(413, "ClientProtocolError");
        }
    }
    assert_eq!(target.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_ask_before_they_send_are_told_to_go_on() {
    let target = telling().await;
    let gateway = Setup::with_function(&target).start().await;
    let mut raw = gateway.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: orders.test\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(raw.read_head().await, "HTTP/1.1 100 Continue");
    raw.send("hello").await;
    assert!(raw.read_head().await.starts_with("HTTP/1.1 201 "));
    let event = event(&target.only());
    assert_eq!(event["body"], "hello");
    assert!(event["headers"].get("expect").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_cannot_be_called_over_grpc_and_know_no_upgrades() {
    let target = telling().await;
    let mut gateway = Setup::with_function(&target).start().await;
    let answer = gateway
        .send(Via::Http2, Request::grpc("orders.test", "/a.B/C", b"x"))
        .await;
    answer.has_status(502);
    gateway
        .record_of(&answer)
        .await
        .failed(502, "ClientProtocolError");
    assert_eq!(target.count(), 0);
    let mut raw = gateway.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: orders.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\r\n").await;
    assert!(raw.read_head().await.starts_with("HTTP/1.1 201 "));
    let event = event(&target.only());
    assert!(event["headers"].get("upgrade").is_none());
    assert!(event["headers"].get("connection").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_ends_the_call() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let target = Target::scripted(move |mut raw, _| {
        let calls = Arc::clone(&counted);
        async move {
            raw.read_head().await;
            calls.fetch_add(1, Ordering::SeqCst);
            raw.read_to_end().await;
        }
    })
    .await;
    let mut gateway = Setup::with_function(&target).start().await;
    for (number, via) in [Via::Http1, Via::Http2].into_iter().enumerate() {
        let path = format!("/{number}");
        let mut connection = gateway.connect(via, "orders.test").await;
        let pending = connection.start(Request::post("orders.test", &path, "body"));
        eventually("a call", async || {
            (calls.load(Ordering::SeqCst) > number).then_some(())
        })
        .await;
        drop((pending, connection));
        eventually("the end of the call", async || {
            (target.open_connections() == 0).then_some(())
        })
        .await;
        let record = gateway.record_for(&path).await;
        record.failed(0, "ClientConnectionClosed");
    }
    let targets: Value = serde_json::from_str(&gateway.admin("/targets").await.text()).unwrap();
    let function = &targets["targetGroups"][0]["targets"][0];
    assert_eq!(function["inFlight"], 0);
    assert_eq!(function["status"], "UNAVAILABLE");
    assert_eq!(function["reasonCode"], "HealthCheckNotSupported");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_takes_so_many_requests_at_a_time_over_all_workers() {
    let target = Target::holding(r#"{"statusCode":200,"body":"done"}"#).await;
    let mut gateway = Setup::with_function(&target)
        .set(
            "targetGroups.orders.function.maxConcurrentInvocations",
            json!(2),
        )
        .start()
        .await;
    let mut connections = Vec::new();
    let mut pending = Vec::new();
    for _ in 0..2 {
        let mut connection = gateway.connect(Via::Http1, "orders.test").await;
        pending.push(connection.start(Request::get("orders.test", "/held")));
        connections.push(connection);
    }
    target.arrived(2).await;
    let answer = gateway.get("orders.test", "/third").await;
    answer.is(503, "Service Unavailable");
    let record = gateway.record_of(&answer).await;
    record.failed(503, "TargetConnectionError").adds([(
        "fault",
        json!("as many requests are with the function as may be"),
    )]);
    target.release(2);
    for pending in pending {
        pending.answer().await.unwrap().is(200, "done");
    }
    target.release(1);
    gateway.get("orders.test", "/fourth").await.is(200, "done");
}

/// VPC Lattice fails running requests when a function is deregistered; here they finish.
#[tokio::test(flavor = "multi_thread")]
async fn running_calls_outlive_the_function_s_replacement_and_the_gateway_s_stop() {
    let old = Target::holding(r#"{"statusCode":200,"body":"old"}"#).await;
    let new = Target::answering(|_| result(&json!({"statusCode": 200, "body": "new"}))).await;
    let mut gateway = Setup::with_function(&old).start().await;
    let mut connection = gateway.connect(Via::Http1, "orders.test").await;
    let running = connection.start(Request::get("orders.test", "/"));
    old.arrived(1).await;
    let endpoint = format!("http://{}", new.address());
    gateway.reload(|setup| setup.set("targetGroups.orders.function.endpoint", json!(endpoint)));
    gateway.get("orders.test", "/").await.is(200, "new");
    old.release(1);
    running.answer().await.unwrap().is(200, "old");

    gateway.reload(|setup| {
        let endpoint = format!("http://{}", old.address());
        setup.set("targetGroups.orders.function.endpoint", json!(endpoint))
    });
    let mut connection = gateway.connect(Via::Http1, "orders.test").await;
    let running = connection.start(Request::get("orders.test", "/"));
    old.arrived(2).await;
    let stopping = gateway.begin_stop();
    old.release(1);
    running.answer().await.unwrap().is(200, "old");
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_keeps_nobody_else_from_the_function() {
    let target = telling().await;
    let gateway = Setup::with_function(&target)
        .set(
            "targetGroups.orders.function.maxConcurrentInvocations",
            json!(1),
        )
        .start()
        .await;
    let mut slow = gateway.raw().await;
    slow.send("POST /slow HTTP/1.1\r\nHost: orders.test\r\nContent-Length: 10\r\n\r\nhello")
        .await;
    gateway.get("orders.test", "/").await.has_status(201);
    slow.send("world").await;
    assert!(slow.read_head().await.starts_with("HTTP/1.1 201 "));
    let event = event(target.seen().last().unwrap());
    assert_eq!(event["body"], STANDARD.encode("helloworld"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeouts_of_a_rule_bound_calls_too() {
    let target = Target::holding("late").await;
    let mut gateway = Setup::with_function(&target)
        .set("services.orders.timeouts", json!({"requestMillis": 200}))
        .start()
        .await;
    for via in [Via::Http1, Via::Http2] {
        let answer = gateway.send(via, Request::get("orders.test", "/")).await;
        answer.has_status(504);
        let record = gateway.record_of(&answer).await;
        record.failed(504, "TargetDataTimeout");
    }
}
