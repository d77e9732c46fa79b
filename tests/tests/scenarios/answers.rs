//! Answers of the gateway's own: every status of the specification, §4.9, with its record.

use std::time::Duration;

use serde_json::json;
use trellis_tests::{Address, Gateway, Raw, Request, Setup, Target, Via, forward};

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_no_service_has_is_not_found() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    for via in [Via::Http1, Via::Http2] {
        for host in [
            "carts.test",
            "orders.test.evil",
            "xorders.test",
            "127.0.0.1",
            "[::1]",
        ] {
            let answer = gateway.send(via, Request::get(host, "/")).await;
            answer.is(
                404,
                "Not Found: no service of this network has that host and port",
            );
            gateway.record_of(&answer).await.has([
                ("responseCode", json!(404)),
                ("serviceArn", json!("-")),
                ("hostHeader", json!(host)),
                ("targetIpPort", json!("-")),
                ("failureReason", json!("-")),
            ]);
        }
    }
    assert_eq!(target.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_known_by_any_spelling_of_its_names() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let answer = gateway.get("orders.test", "/").await;
    let generated = gateway.record_of(&answer).await.generated_name("orders");
    let port = gateway.setup().http_port();
    for name in ["orders.test", &generated] {
        for host in [
            name.to_owned(),
            name.to_uppercase(),
            format!("{name}."),
            format!("{name}:{port}"),
            format!("{name}.:1"),
        ] {
            for via in [Via::Http1, Via::Http2] {
                let answer = gateway.send(via, Request::get(&host, "/")).await;
                answer.is(200, "v1");
                assert_eq!(
                    target.seen().last().unwrap().host,
                    host,
                    "passed on as it was sent"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_outside_the_network_is_not_found_and_looks_like_a_missing_one() {
    let target = Target::named("v1").await;
    let members = "serviceNetworks.commerce.serviceAssociations";
    let gateway = Setup::with_orders([&target])
        .service("carts", &json!({"fixedResponse": {"statusCode": 404}}))
        .set(members, json!([{"serviceIdentifier": "carts"}]))
        .start()
        .await;
    let foreign = gateway.get("orders.test", "/").await;
    let missing = gateway.get("nothing.test", "/").await;
    assert_eq!((foreign.status, &foreign.body), (404, &missing.body));
    let names = |answer: &trellis_tests::Answer| {
        answer
            .headers
            .keys()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&foreign), names(&missing));
    assert_eq!(target.count(), 0);
    let told = gateway
        .expect_log("service `orders` is in no service network")
        .await;
    assert!(told.contains("services[0]"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_belongs_to_its_service_alone() {
    let target = Target::named("v1").await;
    let mut setup = Setup::with_orders([&target])
        .service("carts", &json!({"fixedResponse": {"statusCode": 500}}));
    let port = setup.free_port();
    let gateway = setup
        .set("services.carts.listeners.http.port", json!(port))
        .start()
        .await;
    let other_port = gateway.caller().on_port(port);
    other_port.get("orders.test", "/").await.has_status(404);
    gateway.get("carts.test", "/").await.has_status(404);
    gateway.get("orders.test", "/").await.has_status(200);
    let answer = other_port.get("carts.test", "/").await;
    answer.is(500, "");
    let mut gateway = gateway;
    gateway.record_of(&answer).await.failed(500, "-");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_response_has_its_status_and_nothing_else() {
    let mut gateway = Setup::new()
        .service("orders", &json!({"fixedResponse": {"statusCode": 404}}))
        .set(
            "services.orders.listeners.http.rules",
            json!([{
                "name": "broken",
                "priority": 10,
                "match": {"httpMatch": {"pathMatch": {"match": {"prefix": "/broken"}}}},
                "action": {"fixedResponse": {"statusCode": 500}},
            }]),
        )
        .start()
        .await;
    for via in [Via::Http1, Via::Http2] {
        for (path, status) in [("/", 404), ("/broken/x", 500)] {
            let answer = gateway.send(via, Request::get("orders.test", path)).await;
            answer.is(status, "");
            assert_eq!(answer.header("content-length"), "0");
            assert_eq!(answer.header("content-type"), "-");
            gateway.record_of(&answer).await.failed(status, "-");
        }
    }
}

/// The host of a rule is that of the request, whatever the version of HTTP calls it; crumbs of cookies are one cookie.
#[tokio::test(flavor = "multi_thread")]
async fn rules_on_host_and_cookie_hold_in_every_version() {
    let rule = |name, priority, headers| {
        json!({
            "name": name,
            "priority": priority,
            "match": {"httpMatch": {"headerMatches": headers}},
            "action": {"fixedResponse": {"statusCode": 500}},
        })
    };
    let mut gateway = Setup::new()
        .service("orders", &json!({"fixedResponse": {"statusCode": 404}}))
        .set(
            "services.orders.listeners.http.rules",
            json!([
                rule(
                    "elsewhere",
                    10,
                    json!([{"name": "host", "match": {"prefix": "carts."}}])
                ),
                rule(
                    "here",
                    20,
                    json!([
                        {"name": "Host", "match": {"prefix": "orders.test"}},
                        {"name": "cookie", "match": {"exact": "a=1; b=2"}},
                    ])
                ),
            ]),
        )
        .start()
        .await;
    for via in [Via::Http1, Via::Http2] {
        let plain = Request::get("orders.test", "/");
        gateway.send(via, plain).await.is(404, "");
        let crumbs = Request::get("orders.test", "/")
            .header("cookie", "a=1")
            .header("cookie", "b=2");
        let answer = gateway.send(via, crumbs).await;
        answer.is(500, "");
        gateway.record_of(&answer).await.failed(500, "-");
        let other = Request::get("orders.test", "/").header("cookie", "b=2");
        gateway.send(via, other).await.is(404, "");
    }
}

/// What the client still sends is read for a moment, so that it gets the answer; the record does not count that.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upload_has_lasted_until_its_answer() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let mut raw = gateway.raw().await;
    raw.send("POST /large HTTP/1.1\r\nHost: carts.test\r\nContent-Length: 100000\r\n\r\nabc")
        .await;
    let answer = raw.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer:?}");
    let record = gateway.record_for("/large").await;
    // The client is given a second.
    assert!(record.number("duration") < 900);
}

/// Requests that break HTTP/1.1, and the status that each gets. `$` stands for the target's host.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused_recorded_and_not_forwarded() {
    let rows = [
        (400, "GET / HTTP/1.1\r\n\r\n"),
        (
            400,
            "GET / HTTP/1.1\r\nHost: orders.test\r\nHost: orders.test\r\n\r\n",
        ),
        (400, "GET / HTTP/1.1\nHost: orders.test\n\n"),
        (
            400,
            "GET / HTTP/1.1\r\nHost: orders.test\r\nA: b\r\n c\r\n\r\n",
        ),
        (400, "GET / HTTP/1.1\r\nHost: orders.test\r\nA : b\r\n\r\n"),
        (
            400,
            "GET / HTTP/1.1\r\nHost: orders.test\r\nContent-Length: 1, 1\r\n\r\nx",
        ),
        (
            400,
            "GET / HTTP/1.1\r\nHost: orders.test\r\nContent-Length: +1\r\n\r\nx",
        ),
        (
            400,
            "POST / HTTP/1.1\r\nHost: orders.test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            400,
            "POST / HTTP/1.0\r\nHost: orders.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            501,
            "POST / HTTP/1.1\r\nHost: orders.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            400,
            "GET http://carts.test/ HTTP/1.1\r\nHost: orders.test\r\n\r\n",
        ),
        (400, "GET / HTTP/1.1\r\nHost: orders.test/x\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: user@orders.test\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: \r\n\r\n"),
        (400, "GET /a b HTTP/1.1\r\nHost: orders.test\r\n\r\n"),
        (400, "GET /\u{e9} HTTP/1.1\r\nHost: orders.test\r\n\r\n"),
        (400, "GET  / HTTP/1.1\r\nHost: orders.test\r\n\r\n"),
        (400, "\u{16}\u{3}\u{1}\r\n\r\n"),
        (
            405,
            "CONNECT orders.test:80 HTTP/1.1\r\nHost: orders.test:80\r\n\r\n",
        ),
        (505, "GET / HTTP/2.0\r\nHost: orders.test\r\n\r\n"),
    ];
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    for (status, request) in rows {
        let mut raw = gateway.raw().await;
        raw.send(request).await;
        let answer = raw.read_head().await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request:?} gets {answer:?}"
        );
        let id = answer_field(&answer, "x-amzn-requestid").to_owned();
        let record = gateway
            .record_where(request, |record| record.text("requestId") == id)
            .await;
        record
            .failed(status, "ClientProtocolError")
            .has([("targetIpPort", json!("-"))]);
    }
    assert_eq!(target.count(), 0);
}

/// The head is fine, so the request is on its way when the body turns out to be wrong; the target sees it break off.
#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_chunk_is_refused_and_ends_the_request_at_the_target() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    for (number, chunk) in ["zz", "-1", "1\n", "1 ;x", "10000000000000000"]
        .iter()
        .enumerate()
    {
        let mut raw = gateway.raw().await;
        raw.send(format!("POST /{number} HTTP/1.1\r\nHost: orders.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n{chunk}\r\n\r\n")).await;
        let answer = raw.read_to_end().await;
        assert!(
            answer.starts_with("HTTP/1.1 400 "),
            "{chunk:?} gets {answer:?}"
        );
        let record = gateway.record_for(&format!("/{number}")).await;
        record.failed(400, "ClientProtocolError");
    }
    assert!(target.seen().iter().all(|seen| !seen.complete));
}

fn answer_field<'a>(answer: &'a str, name: &str) -> &'a str {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(": ");
    answer
        .lines()
        .find_map(value)
        .unwrap_or_else(|| panic!("no {name} in {answer:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_over_the_limits_is_refused_and_one_at_the_limits_is_not() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let fields = |count: usize| {
        (0..count).fold(Request::get("orders.test", "/"), |request, number| {
            request.header(&format!("x-{number}"), "")
        })
    };
    let long = |bytes: usize| Request::get("orders.test", "/").header("x", &"a".repeat(bytes));
    for via in [Via::Http1, Via::Http2] {
        gateway.send(via, fields(99)).await.is(200, "v1");
        gateway.send(via, long(61_000)).await.is(200, "v1");
        for request in [fields(101), long(61_440)] {
            let answer = gateway.send(via, request).await;
            answer.has_status(400);
            gateway
                .record_of(&answer)
                .await
                .failed(400, "ClientProtocolError");
        }
    }
    assert_eq!(target.count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http2_request_whose_host_contradicts_its_authority_is_refused() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let request = Request::get("orders.test", "/").header("host", "carts.test");
    let mut connection = gateway.connect(Via::Http2, "orders.test").await;
    connection.try_send(request).await.unwrap_err();
    let record = gateway.record_for("/").await;
    record.has([
        ("protocol", json!("HTTP/2")),
        ("responseCode", json!("-")),
        ("failureReason", json!("ClientProtocolError")),
        ("hostHeader", json!("orders.test")),
        ("targetIpPort", json!("-")),
    ]);
    let request = Request::get("orders.test", "/").header("host", "orders.test");
    gateway.send(Via::Http2, request).await.is(200, "v1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_other_than_the_connections_server_name_is_misdirected() {
    let (orders, carts) = (Target::named("orders").await, Target::named("carts").await);
    let mut gateway = Setup::with_orders([&orders])
        .group("carts-targets", [&carts])
        .service("carts", &forward(&[("carts-targets", 1)]))
        .start()
        .await;
    for via in [Via::Http1Tls, Via::Http2Tls] {
        let mut connection = gateway.connect(via, "orders.test").await;
        connection
            .send(Request::get("orders.test", "/"))
            .await
            .is(200, "orders");
        let answer = connection.send(Request::get("carts.test", "/")).await;
        answer.is(
            421,
            "Misdirected Request: the host is not the one that the TLS connection is for",
        );
        gateway.record_of(&answer).await.has([
            ("responseCode", json!(421)),
            ("serverNameIndication", json!("orders.test")),
            ("hostHeader", json!("carts.test")),
        ]);
    }
    assert_eq!(carts.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_be_reached_is_the_gateways_500() {
    let mut nobody = Address::claim();
    let mut gateway = Setup::new()
        .group_at("orders-targets", &[nobody.socket()])
        .service("orders", &forward(&[("orders-targets", 1)]))
        .start()
        .await;
    for via in [Via::Http1, Via::Http2] {
        let answer = gateway.send(via, Request::get("orders.test", "/")).await;
        answer.is(500, "Internal Server Error: no connection to a target");
        let record = gateway.record_of(&answer).await;
        record.failed(500, "TargetConnectionError").has([
            ("targetIpPort", json!("-")),
            ("requestToTargetDuration", json!(0)),
        ]);
        assert_ne!(record.text("targetGroupArn"), "-");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_targets_or_weight_is_503() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::new()
        .group_at("empty", &[])
        .group("weightless", [&target])
        .service("orders", &forward(&[("empty", 1)]))
        .service("carts", &forward(&[("weightless", 0)]))
        .start()
        .await;
    for host in ["orders.test", "carts.test"] {
        let answer = gateway.get(host, "/").await;
        answer.is(503, "Service Unavailable");
        gateway
            .record_of(&answer)
            .await
            .failed(503, "TargetConnectionError");
    }
    assert_eq!(target.count(), 0);
}

/// Targets whose answers are not HTTP, or end before they are complete: nothing of them reaches the client.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_answer_is_502() {
    let rows: [(&[u8], &str); 7] = [
        (b"", "TargetConnectionClosed"),
        (b"HTTP/1.1 200 O", "TargetConnectionClosed"),
        (b"garbage\r\n\r\n", "TargetProtocolError"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", "TargetProtocolError"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "TargetProtocolError",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nab",
            "TargetProtocolError",
        ),
        (
            b"HTTP/1.1 200 OK\r\nA b: c\r\nContent-Length: 0\r\n\r\n",
            "TargetProtocolError",
        ),
    ];
    for (bytes, reason) in rows {
        let target = Target::saying(bytes).await;
        let mut gateway = Setup::with_orders([&target]).start().await;
        let answer = gateway.get("orders.test", "/").await;
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(
            (answer.status, &*answer.text()),
            (502, "Bad Gateway"),
            "{text:?}"
        );
        let record = gateway.record_of(&answer).await;
        assert_eq!(record.text("failureReason"), reason, "{text:?}");
        record
            .failed(502, reason)
            .has([("targetIpPort", json!(target.address().to_string()))]);
    }
}

/// `orders` with an idle timeout and a time for heads shorter than usual.
async fn impatient(target: &Target) -> Gateway {
    let setup = Setup::with_orders([target])
        .set("services.orders.timeouts", json!({"idleMillis": 300}))
        .adjust(|config| {
            config.gateway.limits.header_timeout = Duration::from_millis(300);
        });
    setup.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_target_is_504() {
    let target = Target::holding("never").await;
    let mut gateway = impatient(&target).await;
    for via in [Via::Http1, Via::Http2] {
        let answer = gateway.send(via, Request::get("orders.test", "/")).await;
        answer.is(504, "Gateway Timeout");
        let record = gateway.record_of(&answer).await;
        record.failed(504, "TargetDataTimeout");
        assert!(record.number("requestToTargetDuration") >= 300);
        assert_eq!(record.number("responseFromTargetDuration"), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_finish_its_head_is_408() {
    let target = Target::named("v1").await;
    let mut gateway = impatient(&target).await;
    let half = |mut raw: Raw| async move {
        raw.send("GET / HTTP/1.1\r\nHost: orders").await;
        raw
    };
    let mut silent = half(gateway.raw().await).await;
    let mut gone = half(gateway.raw().await).await;
    gone.finish().await;
    for raw in [&mut silent, &mut gone] {
        let answer = raw.read_to_end().await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
        let id = answer_field(&answer, "x-amzn-requestid").to_owned();
        let record = gateway
            .record_where("half a head", |record| record.text("requestId") == id)
            .await;
        record.failed(408, "ClientProtocolError");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_finish_its_body_is_refused_and_recorded() {
    let target = Target::named("v1").await;
    let mut gateway = impatient(&target).await;
    let mut silent = gateway.raw().await;
    silent
        .send("POST /silent HTTP/1.1\r\nHost: orders.test\r\nContent-Length: 10\r\n\r\nabc")
        .await;
    let answer = silent.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
    gateway
        .record_for("/silent")
        .await
        .failed(408, "ClientProtocolError");

    let mut gone = gateway.raw().await;
    gone.send("POST /gone HTTP/1.1\r\nHost: orders.test\r\nContent-Length: 10\r\n\r\nabc")
        .await;
    gone.finish().await;
    let answer = gone.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer:?}");
    gateway
        .record_for("/gone")
        .await
        .failed(400, "ClientConnectionClosed");
    assert!(target.seen().iter().all(|seen| !seen.complete));
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_is_served_and_closed() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let mut raw = gateway.raw().await;
    raw.send("GET /old HTTP/1.0\r\nHost: orders.test\r\n\r\n")
        .await;
    let answer = raw.read_to_end().await;
    assert!(
        answer.starts_with("HTTP/1.0 200 ") || answer.starts_with("HTTP/1.1 200 "),
        "{answer:?}"
    );
    assert!(answer.ends_with("\r\n\r\nv1"), "{answer:?}");
    gateway
        .record_for("/old")
        .await
        .has([("protocol", json!("HTTP/1.0"))]);

    let mut raw = gateway.raw().await;
    raw.send("GET /hostless HTTP/1.0\r\n\r\n").await;
    assert!(raw.read_to_end().await.contains(" 404 "));
}
