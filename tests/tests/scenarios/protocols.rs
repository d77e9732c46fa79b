//! Which protocol reaches which: the cells of the specification, §4.5, streaming, trailers, upgrades.

use bytes::Bytes;
use http::{HeaderMap, Version};
use hyper::body::Frame;
use serde_json::json;
use trellis_tests::{Issuer, Reply, Request, Setup, Target, Via, forward};

/// `orders` whose group speaks this version, in the clear.
fn speaking(version: &str, target: &Target) -> Setup {
    Setup::with_orders([target]).set(
        "targetGroups.orders-targets.config.protocolVersion",
        json!(version),
    )
}

/// A gRPC answer: the message comes back, the status is in the trailers.
async fn grpc_target() -> Target {
    Target::answering(|seen| {
        Reply::new(200, "")
            .header("content-type", "application/grpc")
            .with_trailers(
                seen.body.clone(),
                &[("grpc-status", "0"), ("grpc-message", "fine")],
            )
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn http_reaches_groups_of_every_version_that_can_carry_it() {
    let rows = [
        ("HTTP1", Via::Http1, Ok(Version::HTTP_11)),
        ("HTTP1", Via::Http1Tls, Ok(Version::HTTP_11)),
        ("HTTP1", Via::Http2, Ok(Version::HTTP_11)),
        ("HTTP1", Via::Http2Tls, Ok(Version::HTTP_11)),
        ("HTTP2", Via::Http1, Err(400)),
        ("HTTP2", Via::Http1Tls, Err(400)),
        ("HTTP2", Via::Http2, Ok(Version::HTTP_2)),
        ("HTTP2", Via::Http2Tls, Ok(Version::HTTP_2)),
        ("GRPC", Via::Http1, Err(400)),
        ("GRPC", Via::Http1Tls, Err(400)),
        ("GRPC", Via::Http2, Ok(Version::HTTP_2)),
        ("GRPC", Via::Http2Tls, Ok(Version::HTTP_2)),
    ];
    for version in ["HTTP1", "HTTP2", "GRPC"] {
        let target = Target::named("v1").await;
        let mut gateway = speaking(version, &target).start().await;
        for (_, via, expected) in rows.iter().filter(|(of, ..)| *of == version) {
            let before = target.count();
            let answer = gateway
                .send(*via, Request::post("orders.test", "/a?b", "body"))
                .await;
            let record = gateway.record_of(&answer).await;
            let (protocol, tls) = (
                if via.version() == Version::HTTP_2 {
                    "HTTP/2"
                } else {
                    "HTTP/1.1"
                },
                if via.is_tls() { "HTTPS" } else { "HTTP" },
            );
            record.has([("protocol", json!(protocol)), ("listenerType", json!(tls))]);
            match expected {
                Ok(spoken) => {
                    answer.is(200, "v1");
                    let seen = target.seen().pop().unwrap();
                    assert_eq!(seen.version, *spoken, "{version} {via:?}");
                    assert_eq!(
                        (&*seen.body, &*seen.path, &*seen.host),
                        (&b"body"[..], "/a?b", "orders.test")
                    );
                }
                Err(status) => {
                    assert_eq!(
                        (answer.status, target.count()),
                        (*status, before),
                        "{version} {via:?}"
                    );
                    record.failed(*status, "ClientProtocolError");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_reaches_groups_that_speak_http2() {
    for version in ["HTTP2", "GRPC"] {
        let target = grpc_target().await;
        let mut gateway = speaking(version, &target).start().await;
        for via in [Via::Http2, Via::Http2Tls] {
            let answer = gateway
                .send(
                    via,
                    Request::grpc("orders.test", "/shop.Orders/Get", b"which"),
                )
                .await;
            assert_eq!(
                (answer.status, &*answer.body),
                (200, &b"\0\0\0\0\x05which"[..])
            );
            assert_eq!(answer.trailers["grpc-status"], "0");
            assert_eq!(answer.trailers["grpc-message"], "fine");
            let record = gateway.record_of(&answer).await;
            record.has([
                ("grpcResponseCode", json!(0)),
                ("requestPath", json!("/shop.Orders/Get")),
                ("requestMethod", json!("POST")),
            ]);
            assert_eq!(target.seen().pop().unwrap().header("te"), "trailers");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_does_not_reach_an_http1_group_and_only_post_reaches_a_grpc_group() {
    let target = grpc_target().await;
    let mut gateway = Setup::new()
        .group("one", [&target])
        .group("rpc", [&target])
        .set("targetGroups.rpc.config.protocolVersion", json!("GRPC"))
        .service("orders", &forward(&[("one", 1)]))
        .service("carts", &forward(&[("rpc", 1)]))
        .start()
        .await;
    for request in [
        Request::grpc("orders.test", "/a.B/C", b""),
        Request::get("carts.test", "/a.B/C"),
    ] {
        let answer = gateway.send(Via::Http2, request).await;
        answer.has_status(502);
        gateway
            .record_of(&answer)
            .await
            .failed(502, "ClientProtocolError");
    }
    assert_eq!(target.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_failure_that_the_target_reports_is_recorded_with_its_code() {
    let target = Target::answering(|_| {
        Reply::new(200, "")
            .header("content-type", "application/grpc")
            .header("grpc-status", "5")
    })
    .await;
    let mut gateway = speaking("GRPC", &target).start().await;
    let answer = gateway
        .send(Via::Http2, Request::grpc("orders.test", "/a.B/C", b"x"))
        .await;
    assert_eq!(answer.header("grpc-status"), "5");
    gateway.record_of(&answer).await.has([
        ("grpcResponseCode", json!(5)),
        ("failureReason", json!("-")),
    ]);
}

/// A target that sends back each piece of the body as it comes.
async fn mirror() -> Target {
    Target::streaming(|request| async {
        use http_body_util::BodyExt as _;
        let (reply, pieces) = Reply::new(200, "").streaming();
        tokio::spawn(async move {
            let mut body = request.into_body();
            while let Some(Ok(frame)) = body.frame().await {
                if pieces.send(Ok(frame)).await.is_err() {
                    return;
                }
            }
        });
        reply
    })
    .await
}

/// Both directions at once: each piece of the answer comes before the next piece of the request is sent.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_stream_both_ways_at_once() {
    for (version, via) in [
        ("HTTP1", Via::Http1),
        ("HTTP1", Via::Http2),
        ("HTTP2", Via::Http2),
        ("GRPC", Via::Http2Tls),
    ] {
        let target = mirror().await;
        let gateway = speaking(version, &target).start().await;
        let (request, pieces) = Request::new("POST", "orders.test", "/").streaming();
        let mut connection = gateway.connect(via, "orders.test").await;
        let pending = connection.start(request);
        pieces.send(Ok(Frame::data("0".into()))).await.unwrap();
        let mut answer = pending.head().await.unwrap();
        assert_eq!(answer.next().await.unwrap(), "0");
        for number in 1..5 {
            let piece = Bytes::from(number.to_string());
            pieces.send(Ok(Frame::data(piece.clone()))).await.unwrap();
            assert_eq!(answer.next().await.unwrap(), piece, "{version} {via:?}");
        }
        drop(pieces);
        assert_eq!(answer.next().await, None, "{version} {via:?}");
    }
}

/// Trailers of a request end at the gateway: the engine does not carry them. gRPC has none, and no other client needs them.
#[tokio::test(flavor = "multi_thread")]
async fn trailers_of_an_answer_reach_http2_clients_and_those_of_a_request_end_here() {
    let target = Target::answering(|seen| {
        assert_eq!((&*seen.body, seen.trailers.len()), (&b"body"[..], 0));
        Reply::new(200, "").with_trailers("answer", &[("x-sum", "42")])
    })
    .await;
    for version in ["HTTP2", "GRPC"] {
        let gateway = speaking(version, &target).start().await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "41".parse().unwrap());
        let request = Request::new("POST", "orders.test", "/").with_trailers("body", trailers);
        let answer = gateway.send(Via::Http2, request).await;
        answer.is(200, "answer");
        assert_eq!(answer.trailers["x-sum"], "42");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_speak_tls_to_targets_and_do_not_verify_them() {
    let stranger = Issuer::new("nobody trusts me");
    for (version, via, spoken) in [
        ("HTTP1", Via::Http1, Version::HTTP_11),
        ("HTTP2", Via::Http2, Version::HTTP_2),
        ("GRPC", Via::Http2Tls, Version::HTTP_2),
    ] {
        let target =
            Target::answering_over_tls(&stranger, "elsewhere.test", |_| Reply::new(200, "tls"))
                .await;
        let gateway = speaking(version, &target)
            .set(
                "targetGroups.orders-targets.config.protocol",
                json!("HTTPS"),
            )
            .start()
            .await;
        gateway
            .send(via, Request::post("orders.test", "/", "x"))
            .await
            .is(200, "tls");
        assert_eq!(target.only().version, spoken);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_port_serves_services_in_the_clear_and_over_tls() {
    let target = Target::named("v1").await;
    let mut setup =
        Setup::with_orders([&target]).service("carts", &forward(&[("orders-targets", 1)]));
    let port = setup.free_port();
    // A group serves one service only, so the other one answers itself.
    let fixed = json!({"fixedResponse": {"statusCode": 404}});
    let gateway = setup
        .set("services.orders.listeners.http.port", json!(port))
        .set("services.carts.listeners.https.port", json!(port))
        .set(
            "services.carts.listeners.https.defaultAction",
            fixed.clone(),
        )
        .set("services.carts.listeners.http.defaultAction", fixed)
        .start()
        .await;
    let caller = gateway.caller().on_port(port);
    for via in [Via::Http1, Via::Http2] {
        caller
            .send(via, Request::get("orders.test", "/"))
            .await
            .is(200, "v1");
    }
    for via in [Via::Http1Tls, Via::Http2Tls] {
        caller
            .send(via, Request::get("carts.test", "/"))
            .await
            .is(404, "");
    }
}

pub(super) const HANDSHAKE: &str = "GET /socket HTTP/1.1\r\nHost: orders.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Agrees to a WebSocket and sends back what comes, in capitals.
pub(super) async fn shouting() -> Target {
    Target::scripted(|mut raw, _| async move {
        let head = raw.read_head().await.to_ascii_lowercase();
        assert!(head.contains("upgrade: websocket"), "{head}");
        raw.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        )
        .await;
        loop {
            let word = raw.read_until(".").await;
            raw.send(word.to_uppercase()).await;
            if word == "bye." {
                return;
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_passes_in_both_directions_until_one_side_ends_it() {
    let target = shouting().await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let mut raw = gateway.raw().await;
    raw.send(HANDSHAKE).await;
    let head = raw.read_head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    for word in ["hello.", "again."] {
        raw.send(word).await;
        assert_eq!(raw.read_until(".").await, word.to_uppercase());
    }
    raw.send("bye.").await;
    assert_eq!(raw.read_to_end().await, "BYE.");
    let record = gateway.record_for("/socket").await;
    record.has([("responseCode", json!(101)), ("failureReason", json!("-"))]);
    assert!(record.number("bytesSent") >= 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_an_ordinary_request_where_upgrades_are_dropped() {
    let target = Target::named("v1").await;
    let gateway = Setup::with_orders([&target])
        .set("gateway.limits.upgrades", json!("DROP"))
        .start()
        .await;
    let mut raw = gateway.raw().await;
    raw.send(HANDSHAKE).await;
    assert!(raw.read_head().await.starts_with("HTTP/1.1 200 "));
    let seen = target.only();
    assert_eq!(
        (seen.header("upgrade"), seen.header("connection")),
        ("-".into(), "-".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_to_another_protocol_is_not_passed_on() {
    let target = Target::named("v1").await;
    let gateway = Setup::with_orders([&target]).start().await;
    for protocol in ["h2c", "tcp", "websocket, h2c", "TLS/1.0"] {
        let mut raw = gateway.raw().await;
        raw.send(format!("GET / HTTP/1.1\r\nHost: orders.test\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n")).await;
        assert!(
            raw.read_head().await.starts_with("HTTP/1.1 200 "),
            "{protocol}"
        );
        assert_eq!(
            target.seen().pop().unwrap().header("upgrade"),
            "-",
            "{protocol}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_expects_100_continue_gets_it_before_it_sends_its_body() {
    let target = Target::named("v1").await;
    let gateway = Setup::with_orders([&target]).start().await;
    let mut raw = gateway.raw().await;
    raw.send(
        "POST / HTTP/1.1\r\nHost: orders.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
    )
    .await;
    assert_eq!(raw.read_head().await, "HTTP/1.1 100 Continue");
    raw.send("body").await;
    let head = raw.read_head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(&*target.only().body, b"body");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_expects_100_continue_is_refused_without_it() {
    let target = Target::named("v1").await;
    let gateway = Setup::with_orders([&target]).start().await;
    let mut raw = gateway.raw().await;
    raw.send(
        "POST / HTTP/1.1\r\nHost: carts.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
    )
    .await;
    assert!(raw.read_head().await.starts_with("HTTP/1.1 404 "));
    // Whether the body still comes is open; the next request must not be taken for it.
    raw.send("GET / HTTP/1.1\r\nHost: orders.test\r\n\r\n")
        .await;
    let rest = raw.read_to_end().await;
    assert!(!rest.contains(" 200 "), "{rest}");
    assert_eq!(target.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn early_hints_of_a_target_reach_the_client() {
    let target = Target::saying(b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nv1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let mut raw = gateway.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: orders.test\r\nConnection: close\r\n\r\n")
        .await;
    let answer = raw.read_to_end().await;
    assert!(
        answer.starts_with("HTTP/1.1 103 Early Hints\r\n"),
        "{answer}"
    );
    assert!(answer.contains("HTTP/1.1 200 OK\r\n"), "{answer}");
    gateway
        .record_for("/")
        .await
        .has([("responseCode", json!(200))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_request_and_answers_without_a_body_leave_the_connection_usable() {
    let target = Target::answering(|seen| match &*seen.path {
        "/none" => Reply::new(204, ""),
        "/same" => Reply::new(304, "").header("etag", "\"a\""),
        _ => Reply::new(200, "body"),
    })
    .await;
    let gateway = Setup::with_orders([&target]).start().await;
    for via in Via::ALL {
        let mut connection = gateway.connect(via, "orders.test").await;
        for _ in 0..2 {
            let head = connection
                .send(Request::new("HEAD", "orders.test", "/"))
                .await;
            assert_eq!(
                (head.status, &*head.header("content-length"), &*head.body),
                (200, "4", &b""[..]),
                "{via:?}"
            );
            connection
                .send(Request::get("orders.test", "/none"))
                .await
                .is(204, "");
            connection
                .send(Request::get("orders.test", "/same"))
                .await
                .is(304, "");
            connection
                .send(Request::get("orders.test", "/"))
                .await
                .is(200, "body");
        }
    }
}
