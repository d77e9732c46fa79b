//! TLS with clients: certificates by server name, from files and from the gateway's own CA, and what is refused.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use trellis_tests::{Gateway, Issuer, Request, Setup, Target, Trust, UNKNOWN_NAME, Via, forward};

const REFUSED: &str = "gateway_tls_handshakes_total{outcome=\"refused\"}";

/// `orders` with a certificate from files, `carts` without.
async fn with_files(issuer: &Issuer, orders: &Target, carts: &Target) -> Gateway {
    let setup = Setup::with_orders([orders])
        .group("carts-targets", [carts])
        .service("carts", &forward(&[("carts-targets", 1)]));
    let (certificate, key) = (setup.file("orders.pem"), setup.file("orders.key"));
    issuer.issue("orders.test", &certificate, &key);
    let files = json!({"certificateFile": certificate, "privateKeyFile": key});
    setup
        .set("services.orders.certificate", files)
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_name_chooses_the_certificate() {
    let (orders, carts) = (Target::named("orders").await, Target::named("carts").await);
    let issuer = Issuer::new("an issuer");
    let mut gateway = with_files(&issuer, &orders, &carts).await;
    let known = Trust::new(issuer.root_pem());
    for via in [Via::Http1Tls, Via::Http2Tls] {
        let trusting = gateway.caller().trusting(&known);
        trusting
            .send(via, Request::get("orders.test", "/"))
            .await
            .is(200, "orders");
        gateway
            .send(via, Request::get("carts.test", "/"))
            .await
            .is(200, "carts");
        // And each by its own issuer only.
        assert!(trusting.try_connect(via, "carts.test").await.is_err());
        assert!(
            gateway
                .caller()
                .try_connect(via, "orders.test")
                .await
                .is_err()
        );
    }
    gateway.expect_metric(REFUSED, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_name_has_a_certificate_of_the_gateways_own_ca() {
    let (orders, carts) = (Target::named("orders").await, Target::named("carts").await);
    let mut gateway = with_files(&Issuer::new("an issuer"), &orders, &carts).await;
    let answer = gateway.get("orders.test", "/").await;
    let name = gateway.record_of(&answer).await.generated_name("orders");
    let answer = gateway.send(Via::Http2Tls, Request::get(&name, "/")).await;
    answer.is(200, "orders");
    gateway
        .record_of(&answer)
        .await
        .has([("serverNameIndication", json!(name))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_certificate_files_are_used_by_new_connections() {
    let (orders, carts) = (Target::named("orders").await, Target::named("carts").await);
    let issuer = Issuer::new("an issuer");
    let mut gateway = with_files(&issuer, &orders, &carts).await;
    let caller = gateway.caller().trusting(&Trust::new(issuer.root_pem()));
    let mut old = caller.connect(Via::Http2Tls, "orders.test").await;
    let (certificate, key) = (
        gateway.setup().file("orders.pem"),
        gateway.setup().file("orders.key"),
    );
    issuer.issue("orders.test", &certificate, &key);
    gateway.refresh_certificates();
    // Another client: one with a session would resume it and be shown no certificate.
    let fresh = gateway.caller().trusting(&Trust::new(issuer.root_pem()));
    let new = fresh.connect(Via::Http2Tls, "orders.test").await;
    assert_ne!(old.certificate, new.certificate);
    old.send(Request::get("orders.test", "/"))
        .await
        .is(200, "orders");

    // Files that cannot be used leave the certificate where it is, and somebody is told.
    std::fs::write(&certificate, "not a certificate").unwrap();
    for _ in 0..2 {
        gateway.refresh_certificates();
    }
    gateway.expect_log("certificate").await;
    let failed = "gateway_certificate_loads_total{outcome=\"failed\"}";
    gateway.expect_metric(failed, 1).await;
    let fresh = gateway.caller().trusting(&Trust::new(issuer.root_pem()));
    let kept = fresh.connect(Via::Http1Tls, "orders.test").await;
    assert_eq!(kept.certificate, new.certificate);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_no_service_has_gets_no_handshake() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let caller = gateway.caller();
    for host in ["carts.test", "sub.orders.test", "127.0.0.1"] {
        assert!(
            caller.try_connect(Via::Http2Tls, host).await.is_err(),
            "{host}"
        );
    }
    gateway.expect_metric(UNKNOWN_NAME, 3).await;
    assert_eq!(gateway.records().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_alpn_speaks_http1_and_one_with_another_protocol_too_or_nothing() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let mut stream = gateway.caller().tls("orders.test", &[]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), None);
    stream
        .write_all(b"GET /plain HTTP/1.1\r\nHost: orders.test\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let reading = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer);
    trellis_tests::within("the answer", reading).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    gateway
        .record_for("/plain")
        .await
        .has([("protocol", json!("HTTP/1.1"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clear_text_on_a_tls_port_and_tls_on_a_clear_port_are_refused() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let (http, https) = (gateway.setup().http_port(), gateway.setup().https_port());
    let mut raw = gateway.caller().on_port(https).raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: orders.test\r\n\r\n")
        .await;
    let answer = raw.read_to_end().await;
    assert!(!answer.contains("200"), "{answer}");
    gateway.expect_metric(REFUSED, 1).await;
    let refused = gateway
        .caller()
        .on_port(http)
        .try_connect(Via::Http1Tls, "orders.test")
        .await;
    assert!(refused.is_err());
    let record = gateway.record_for("-").await;
    record.failed(400, "ClientProtocolError");
    assert_eq!(target.count(), 0);
}
