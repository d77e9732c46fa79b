//! Headers added, stripped and never trusted (specification §4.7), and the access record (§7.2).

use serde_json::{Value, json};
use trellis_tests::{Guard, Key, Reply, Request, Setup, Target, Via, allow, identity};

const VPC: &str = "arn:aws:ec2:us-west-2:111122223333:vpc/vpc-";

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarded_request_says_where_it_came_from() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    for via in Via::ALL {
        let answer = gateway.send(via, Request::get("orders.test", "/")).await;
        let record = gateway.record_of(&answer).await;
        let seen = target.seen().pop().unwrap();
        let port = if via.is_tls() {
            gateway.setup().https_port()
        } else {
            gateway.setup().http_port()
        };
        assert_eq!(seen.header("x-forwarded-for"), "127.0.0.1", "{via:?}");
        assert_eq!(seen.header("x-forwarded-port"), port.to_string(), "{via:?}");
        assert_eq!(
            seen.header("x-forwarded-proto"),
            if via.is_tls() { "https" } else { "http" }
        );
        assert_eq!(
            seen.header("x-amzn-requestid"),
            answer.header("x-amzn-requestid")
        );
        assert_eq!(seen.header("x-amzn-requestid").len(), 36);
        let vpc = record.text("sourceVpcId");
        assert_eq!(
            seen.header("x-amzn-lattice-network"),
            format!("SourceVpcArn={}", record.text("sourceVpcArn"))
        );
        assert!(record.text("sourceVpcArn").starts_with(VPC));
        assert_eq!(seen.header("x-amzn-source-vpc"), vpc);
        assert_eq!(
            seen.header("x-amzn-lattice-target"),
            format!(
                "ServiceArn={}; ServiceNetworkArn={}; TargetGroupArn={}",
                record.text("serviceArn"),
                record.text("serviceNetworkArn"),
                record.text("targetGroupArn")
            )
        );
        assert_eq!(seen.header("x-amzn-lattice-identity"), "-");
        assert_eq!(seen.header("x-amzn-lattice-identity-tags"), "-");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_caller_is_introduced_to_the_target() {
    let target = Target::named("v1").await;
    let (user, role) = (Key::new("AKWRITER"), Key::new("AKREADER"));
    let all = Guard::By(allow(&json!("*")));
    let mut gateway = Setup::with_orders([&target])
        .guarded(&all, &all)
        .user("writer", &user, &[identity("Allow")])
        .set(
            "principals.users.writer.tags",
            json!({"team": "a=b", "cost": "1"}),
        )
        .role("reader", "web-1", &role, &[identity("Allow")])
        .set(
            "organization",
            json!({"id": "o-example", "paths": ["o-example/r-1/ou-2/"]}),
        )
        .start()
        .await;
    let rows = [
        (user, "arn:aws:iam::111122223333:user/writer", "-"),
        (
            role,
            "arn:aws:sts::111122223333:assumed-role/reader/web-1",
            "web-1",
        ),
    ];
    for (key, arn, session) in rows {
        let request = Request::get("orders.test", "/").signed(&key);
        let answer = gateway.send(Via::Http1, request).await;
        answer.is(200, "v1");
        let seen = target.seen().pop().unwrap();
        let identity = seen.header("x-amzn-lattice-identity");
        let parts: Vec<_> = identity.split("; ").collect();
        assert!(parts.contains(&&*format!("Principal={arn}")), "{identity}");
        assert!(parts.contains(&"PrincipalOrgID=o-example"), "{identity}");
        assert!(parts.contains(&"Type=AWS_IAM"), "{identity}");
        if session != "-" {
            assert!(
                parts.contains(&&*format!("SessionName={session}")),
                "{identity}"
            );
        }
        let tags = seen.header("x-amzn-lattice-identity-tags");
        assert!(tags.contains(&format!("principal={arn}")), "{tags}");
        let record = gateway.record_of(&answer).await;
        record.has([
            ("resolvedUser", json!(arn)),
            ("callerPrincipal", json!(arn)),
            ("callerPrincipalOrgID", json!("o-example")),
            ("authDeniedReason", json!("-")),
        ]);
        if session == "-" {
            assert!(tags.contains("team=a=b"), "{tags}");
            let tags: Value = serde_json::from_str(record.text("callerPrincipalTags")).unwrap();
            assert_eq!(tags, json!({"cost": "1", "team": "a=b"}));
        }
    }
}

/// What only the gateway may say is dropped, in any spelling; `x-forwarded-for` is appended to; the session token is a secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_speak_for_the_gateway() {
    let target = Target::named("v1").await;
    let gateway = Setup::with_orders([&target]).start().await;
    let lies = [
        "x-amzn-lattice-identity",
        "x-amzn-lattice-identity-tags",
        "x-amzn-lattice-anything",
        "x-amzn-source-vpc",
        "X_Amzn_Lattice_Identity",
        "x-amzn_lattice-identity",
        "x_amzn_source_vpc",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x_forwarded_proto",
        "x-amz-security-token",
    ];
    for via in [Via::Http1, Via::Http2] {
        let mut request = Request::get("orders.test", "/")
            .header("x-forwarded-for", "1.2.3.4")
            .header("x-forwarded-for", "5.6.7.8, 9.9.9.9");
        for name in lies {
            request = request.header(name, "a lie").header(name, "another lie");
        }
        gateway.send(via, request).await.is(200, "v1");
        let seen = target.seen().pop().unwrap();
        let lie = seen
            .headers
            .iter()
            .find(|(_, value)| value.as_bytes().ends_with(b"lie"));
        assert_eq!(lie, None, "{via:?}");
        assert_eq!(
            seen.header("x-forwarded-for"),
            "1.2.3.4, 5.6.7.8, 9.9.9.9, 127.0.0.1"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_request_id_is_kept_and_cut_to_size() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let long = "x".repeat(600);
    for (number, (sent, kept)) in [
        ("mine, whatever", "mine, whatever"),
        (&*long, &*"x".repeat(512)),
    ]
    .into_iter()
    .enumerate()
    {
        let request =
            Request::get("orders.test", &format!("/{number}")).header("x-amzn-requestid", sent);
        let answer = gateway.send(Via::Http1, request).await;
        assert_eq!(answer.header("x-amzn-requestid"), kept);
        assert_eq!(
            target.seen().pop().unwrap().header("x-amzn-requestid"),
            kept
        );
        gateway
            .record_for(&format!("/{number}"))
            .await
            .has([("requestId", json!(kept))]);
    }
}

/// Spec: RFC 9110 §7.6.1: fields about one connection end there, those that `Connection` names included.
#[tokio::test(flavor = "multi_thread")]
async fn fields_of_a_connection_stop_at_the_gateway_in_both_directions() {
    let target = Target::saying(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, x-hop\r\nKeep-Alive: timeout=5\r\nX-Hop: secret\r\n\
          Proxy-Connection: x\r\nX-End: kept\r\n\r\nv1",
    )
    .await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let mut raw = gateway.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: orders.test\r\n\r\n")
        .await;
    let head = raw.read_head().await.to_ascii_lowercase();
    assert!(head.contains("x-end: kept"), "{head}");
    for gone in ["x-hop", "keep-alive: timeout=5", "proxy-connection"] {
        assert!(!head.contains(gone), "{gone} in {head}");
    }
    drop(raw);

    let target = Target::named("v1").await;
    gateway.reload(|setup| setup.targets("orders-targets", &[&target]));
    let mut raw = gateway.raw().await;
    raw.send(
        "GET / HTTP/1.1\r\nHost: orders.test\r\nConnection: keep-alive, x-hop, x-amzn-requestid\r\nKeep-Alive: 5\r\n\
         X-Hop: secret\r\nProxy-Connection: x\r\nProxy-Authorization: x\r\nTE: gzip\r\nX-End: kept\r\n\r\n",
    )
    .await;
    let head = raw.read_head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let seen = target.only();
    assert_eq!(seen.header("x-end"), "kept");
    for gone in [
        "connection",
        "keep-alive",
        "x-hop",
        "proxy-connection",
        "te",
        "transfer-encoding",
    ] {
        assert_eq!(seen.header(gone), "-", "{gone}");
    }
    assert_ne!(seen.header("x-amzn-requestid"), "-");
    assert_eq!(seen.header("x-forwarded-for"), "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_have_a_field_dropped_that_targets_rely_on() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    for name in ["X-Forwarded-For", "host", "x-forwarded-proto", "\"x\""] {
        let mut raw = gateway.raw().await;
        raw.send(format!(
            "GET / HTTP/1.1\r\nHost: orders.test\r\nConnection: {name}\r\n\r\n"
        ))
        .await;
        let head = raw.read_head().await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{name}: {head}");
        let record = gateway.record_for("/").await;
        record.failed(400, "ClientProtocolError");
    }
    assert_eq!(target.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_reaches_the_client_as_the_target_gave_it() {
    let target = Target::answering(|_| {
        Reply::new(418, "short and stout")
            .header("server", "teapot/1")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .header("x-amzn-requestid", "the target's own")
            .header("content-encoding", "identity")
    })
    .await;
    let gateway = Setup::with_orders([&target]).start().await;
    for via in Via::ALL {
        let answer = gateway.send(via, Request::get("orders.test", "/")).await;
        answer.is(418, "short and stout");
        assert_eq!(answer.header("server"), "teapot/1");
        let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
        assert_eq!(answer.header("content-encoding"), "identity");
        assert_eq!(answer.headers.get_all("x-amzn-requestid").iter().count(), 1);
        assert_ne!(answer.header("x-amzn-requestid"), "the target's own");
        assert_eq!(answer.header("via"), "-");
    }
}

/// Every field of a record of an ordinary request.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_says_all_about_a_request() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let mut connection = gateway.connect(Via::Http2Tls, "orders.test").await;
    let request = Request::post("orders.test", "/a%20b?secret=1", "hello")
        .header("user-agent", "a \"client\"/1");
    let answer = connection.send(request).await;
    let record = gateway.record_of(&answer).await;
    record.has([
        ("requestMethod", json!("POST")),
        ("requestPath", json!("/a%20b")),
        ("protocol", json!("HTTP/2")),
        ("responseCode", json!(200)),
        ("hostHeader", json!("orders.test")),
        ("userAgent", json!("a \"client\"/1")),
        ("serverNameIndication", json!("orders.test")),
        ("tlsVersion", json!("TLSv1.3")),
        ("sourceIpPort", json!(connection.local.to_string())),
        ("targetIpPort", json!(target.address().to_string())),
        ("resolvedUser", json!("-")),
        ("callerPrincipal", json!("-")),
        ("callerX509SubjectCN", json!("-")),
        ("failureReason", json!("-")),
        ("listenerType", json!("HTTPS")),
    ]);
    assert!(record.text("sslCipher").starts_with("TLS_"));
    assert!(record.text("listenerId").starts_with("listener-"));
    assert!(record.text("destinationVpcId").starts_with("vpc-"));
    assert!(record.text("startTime").ends_with('Z'));
    for (field, prefix) in [
        (
            "serviceArn",
            "arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-",
        ),
        (
            "serviceNetworkArn",
            "arn:aws:vpc-lattice:us-west-2:111122223333:servicenetwork/sn-",
        ),
        (
            "targetGroupArn",
            "arn:aws:vpc-lattice:us-west-2:111122223333:targetgroup/tg-",
        ),
    ] {
        assert!(record.text(field).starts_with(prefix), "{field}");
    }
    assert!(record.number("bytesReceived") > 5);
    assert!(record.number("bytesSent") > 2);
    assert!(record.number("duration") >= record.number("requestToTargetDuration"));
}
