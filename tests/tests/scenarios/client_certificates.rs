//! Certificates of clients: who they say is calling, whom they keep out, and what of a connection outlives a change of authorities.

use rcgen::date_time_ymd;
use serde_json::{Value, json};
use trellis_tests::{
    Caller, ClientIdentity, Gateway, Guard, Issuer, Key, Request, Setup, Target, Trust, Via, allow,
    forward, identity,
};

const CHECKOUT: &str = "arn:aws:iam::111122223333:user/checkout";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/reader/web";
const REFUSED: &str = "gateway_tls_handshakes_total{outcome=\"client_certificate\"}";
const WORKLOAD: &str = "spiffe://shop.test/checkout";
const BOTH: [Via; 2] = [Via::Http1Tls, Via::Http2Tls];

/// `orders`, which asks for certificates of `issuer`, and mappings of them to a user and a role.
fn world(target: &Target, issuer: &Issuer, mode: &str) -> Setup {
    let setup = Setup::with_orders([target])
        .user("checkout", &Key::new("AKCHECKOUT"), &[identity("Allow")])
        .user("console", &Key::new("AKCONSOLE"), &[identity("Allow")])
        .role(
            "reader",
            "web-1",
            &Key::new("AKREADER"),
            &[identity("Allow")],
        );
    let authorities = setup.file("ca.pem");
    std::fs::write(&authorities, issuer.root_pem()).unwrap();
    let listener = listener(&setup, "orders-targets");
    setup
        .set("principals.trustStores", json!([{"name": "workloads", "caFile": authorities}]))
        .set("principals.mappings", json!([
            {"name": "checkout", "from": "CERTIFICATE", "match": {"trustStore": "workloads", "spiffeId": {"exact": WORKLOAD}}, "principal": {"user": "checkout"}},
            {"name": "web", "from": "CERTIFICATE", "match": {"trustStore": "workloads", "dnsName": {"exact": "web.shop.test"}, "subject": [{"attribute": "CN", "value": {"prefix": "web-"}}]}, "principal": {"role": "reader"}},
        ]))
        .set("services.orders.listeners", listener)
        .set("services.orders.clientCertificates", asking(mode))
}

/// The HTTPS listener alone.
fn listener(setup: &Setup, group: &str) -> Value {
    json!([{"name": "https", "protocol": "HTTPS", "port": setup.https_port(), "defaultAction": forward(&[(group, 100)])}])
}

fn asking(mode: &str) -> Value {
    json!({"trustStore": "workloads", "mode": mode})
}

fn showing(gateway: &Gateway, identity: &ClientIdentity) -> Caller {
    let trust = Trust::new(gateway.root_pem()).showing(identity);
    gateway.caller().trusting(&trust)
}

fn workload(issuer: &Issuer) -> ClientIdentity {
    issuer.client("checkout", &[WORKLOAD, "checkout.shop.test"], |_| {})
}

fn get() -> Request {
    Request::get("orders.test", "/a")
}

/// In TLS 1.3 a client hears only after its own part of the handshake that it is refused.
async fn is_refused(caller: &Caller, via: Via) -> bool {
    match caller.try_connect(via, "orders.test").await {
        Err(_) => true,
        Ok(mut connection) => connection.try_send(get()).await.is_err(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_says_who_is_calling_and_its_twins_are_refused() {
    let target = Target::named("v1").await;
    let (ours, theirs) = (Issuer::new("ours"), Issuer::new("theirs"));
    let callers = allow(&json!({"AWS": [CHECKOUT, SESSION]}));
    let mut gateway = world(&target, &ours, "REQUIRE")
        .guarded(&Guard::Off, &Guard::By(callers))
        .start()
        .await;
    let web = ours.client("web-7", &["web.shop.test"], |_| {});
    for (identity, who, fields) in [
        (
            workload(&ours),
            CHECKOUT,
            [
                ("callerX509SubjectCN", json!("checkout")),
                ("callerX509SANURI", json!(WORKLOAD)),
                ("callerX509SANDNS", json!("checkout.shop.test")),
            ],
        ),
        (
            web,
            SESSION,
            [
                ("callerX509SubjectCN", json!("web-7")),
                ("callerX509SANURI", json!("-")),
                ("callerX509SANDNS", json!("web.shop.test")),
            ],
        ),
    ] {
        for via in BOTH {
            let before = target.count();
            // What the client itself says of that counts for nothing.
            let request = get().header(
                "x-amzn-lattice-identity",
                "Principal=arn:aws:iam::111122223333:user/console",
            );
            let answer = showing(&gateway, &identity).send(via, request).await;
            answer.has_status(200);
            let record = gateway.record_of(&answer).await;
            record.has(fields.clone());
            record.has([
                ("resolvedUser", json!(who)),
                ("callerPrincipal", json!(who)),
            ]);
            let told = target
                .seen()
                .remove(before)
                .header("x-amzn-lattice-identity");
            assert!(told.starts_with(&format!("Principal={who}; ")), "{told}");
            assert!(told.contains("; X509Subject/CN="), "{told}");
            assert!(!told.contains("console"), "{told}");
        }
    }
    let before = target.count();
    // Known to the authority and to nobody else.
    let stranger = ours.client("web-7", &["console.shop.test"], |_| {});
    let answer = showing(&gateway, &stranger)
        .send(Via::Http2Tls, get())
        .await;
    assert!(
        answer.text().contains("User: anonymous"),
        "{}",
        answer.text()
    );
    let record = gateway.record_of(&answer).await;
    record.failed(403, "ClientAccessDenied");
    record.has([("callerX509SANDNS", json!("console.shop.test"))]);
    // And those whose handshake comes to nothing.
    let expired = ours.client("checkout", &[WORKLOAD], |params| {
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    for via in BOTH {
        assert!(
            is_refused(&gateway.caller(), via).await,
            "without a certificate"
        );
        for identity in [&workload(&theirs), &expired] {
            assert!(is_refused(&showing(&gateway, identity), via).await);
        }
    }
    gateway.expect_metric(REFUSED, 6).await;
    assert_eq!(target.count(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_required_may_be_missing_but_not_wrong() {
    let target = Target::named("v1").await;
    let (ours, theirs) = (Issuer::new("ours"), Issuer::new("theirs"));
    let named = allow(&json!({"AWS": CHECKOUT}));
    let mut gateway = world(&target, &ours, "REQUEST")
        .guarded(&Guard::Off, &Guard::By(named))
        .start()
        .await;
    let identity = workload(&ours);
    for via in BOTH {
        showing(&gateway, &identity)
            .send(via, get())
            .await
            .has_status(200);
        let answer = gateway.caller().send(via, get()).await;
        assert!(
            answer.text().contains("User: anonymous"),
            "{}",
            answer.text()
        );
        let record = gateway.record_of(&answer).await;
        record.failed(403, "ClientAccessDenied");
        record.has([("callerX509SubjectCN", json!("-"))]);
        assert!(is_refused(&showing(&gateway, &workload(&theirs)), via).await);
    }
    gateway.expect_metric(REFUSED, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_of_another_than_the_certificate_is_refused() {
    let target = Target::named("v1").await;
    let ours = Issuer::new("ours");
    let mut gateway = world(&target, &ours, "REQUIRE")
        .guarded(&Guard::Off, &Guard::By(allow(&json!("*"))))
        .start()
        .await;
    let caller = showing(&gateway, &workload(&ours));
    let signed = |id: &str| get().signed(&Key::new(id));
    caller
        .send(Via::Http1Tls, signed("AKCHECKOUT"))
        .await
        .has_status(200);
    let answer = caller.send(Via::Http1Tls, signed("AKCONSOLE")).await;
    answer.is(
        403,
        "AccessDeniedException: The signature and the client certificate included in the request are of different principals.",
    );
    let record = gateway.record_of(&answer).await;
    record
        .failed(403, "ClientAccessDenied")
        .has([("resolvedUser", json!("Unknown"))]);
    // A certificate that names nobody contradicts nobody.
    let stranger = ours.client("stranger", &["stranger.test"], |_| {});
    let caller = showing(&gateway, &stranger);
    caller
        .send(Via::Http1Tls, signed("AKCONSOLE"))
        .await
        .has_status(200);
}

/// The proof of one service is none for another, nor is a connection that was not asked for one.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_for_the_service_that_its_handshake_was_for() {
    let target = Target::named("v1").await;
    let (ours, theirs) = (Issuer::new("ours"), Issuer::new("theirs"));
    let setup = world(&target, &ours, "REQUIRE")
        .group("pay-targets", [&target])
        .service("pay", &forward(&[("pay-targets", 100)]))
        .group("open-targets", [&target])
        .service("open", &forward(&[("open-targets", 100)]));
    let others = setup.file("theirs.pem");
    std::fs::write(&others, theirs.root_pem()).unwrap();
    let stores = json!([
        {"name": "workloads", "caFile": setup.file("ca.pem")},
        {"name": "partners", "caFile": others},
    ]);
    let listener = listener(&setup, "pay-targets");
    let mut gateway = setup
        .set("principals.trustStores", stores)
        .set("services.pay.listeners", listener)
        .set(
            "services.pay.clientCertificates",
            json!({"trustStore": "partners"}),
        )
        .start()
        .await;
    let mine = showing(&gateway, &workload(&ours));
    let partner = showing(&gateway, &workload(&theirs));
    for (caller, name) in [
        (&mine, "orders.test"),
        (&partner, "pay.test"),
        (&mine, "open.test"),
    ] {
        for via in BOTH {
            let mut connection = caller.connect(via, name).await;
            connection
                .send(Request::get(name, "/own"))
                .await
                .has_status(200);
            for other in ["orders.test", "pay.test", "open.test"]
                .iter()
                .filter(|other| **other != name)
            {
                let answer = connection.send(Request::get(other, "/other")).await;
                answer.has_status(421);
                let record = gateway.record_of(&answer).await;
                record.has([
                    ("targetIpPort", json!("-")),
                    ("callerX509SANURI", json!("-")),
                ]);
            }
        }
    }
    assert_eq!(target.count(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_from_before_the_service_asked_is_sent_away() {
    const TEXT: &str = "Misdirected Request: the TLS connection was not made with a client certificate that the service accepts now";

    let target = Target::named("v1").await;
    let ours = Issuer::new("ours");
    let mut gateway = world(&target, &ours, "REQUIRE")
        .set("services.orders.clientCertificates", Value::Null)
        .start()
        .await;
    let identity = workload(&ours);
    for via in BOTH {
        for (mode, bare) in [("REQUEST", 200), ("REQUIRE", 421)] {
            gateway.reload(|setup| setup.set("services.orders.clientCertificates", Value::Null));
            let mut unasked = showing(&gateway, &identity)
                .connect(via, "orders.test")
                .await;
            unasked.send(get()).await.has_status(200);
            gateway
                .reload(|setup| setup.set("services.orders.clientCertificates", asking("REQUEST")));
            let mut without = gateway.caller().connect(via, "orders.test").await;
            let mut with = showing(&gateway, &identity)
                .connect(via, "orders.test")
                .await;
            gateway.reload(|setup| setup.set("services.orders.clientCertificates", asking(mode)));
            let answer = unasked.send(get()).await;
            answer.is(421, TEXT);
            let record = gateway.record_of(&answer).await;
            assert!(record.text("serviceArn").contains(":service/svc-"));
            without.send(get()).await.has_status(bare);
            with.send(get()).await.has_status(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_change_under_open_connections() {
    let target = Target::named("v1").await;
    let (ours, next) = (Issuer::new("ours"), Issuer::new("next"));
    let named = Guard::By(allow(&json!({"AWS": CHECKOUT})));
    let mut gateway = world(&target, &ours, "REQUIRE")
        .guarded(&Guard::Off, &named)
        .start()
        .await;
    let authorities = gateway.setup().file("ca.pem");
    let (old, new) = (
        showing(&gateway, &workload(&ours)),
        showing(&gateway, &workload(&next)),
    );
    let mut first = old.connect(Via::Http2Tls, "orders.test").await;
    first.send(get()).await.has_status(200);
    assert!(is_refused(&new, Via::Http2Tls).await);

    // Both: nobody notices.
    std::fs::write(
        &authorities,
        format!("{}{}", ours.root_pem(), next.root_pem()),
    )
    .unwrap();
    gateway.reload(|setup| setup);
    first.send(get()).await.has_status(200);
    let mut second = new.connect(Via::Http2Tls, "orders.test").await;
    second.send(get()).await.has_status(200);

    // A file that cannot be used changes nothing, and is told with its place and a hint.
    std::fs::write(&authorities, "nothing").unwrap();
    let problems = gateway.try_reload(|setup| setup).unwrap_err().to_string();
    assert!(
        problems.contains("principals.trustStores[0].caFile: the file holds no certificate"),
        "{problems}"
    );
    assert!(problems.contains("hint: certificates in PEM"), "{problems}");
    gateway.expect_log("holds no certificate").await;
    gateway.expect_log("configuration rejected").await;
    gateway
        .expect_metric("gateway_config_reloads_total{outcome=\"rejected\"}", 1)
        .await;
    first.send(get()).await.has_status(200);

    // The new one alone: what the old one signed is worth nothing, whether its client resumes its session or begins anew.
    std::fs::write(&authorities, next.root_pem()).unwrap();
    gateway.reload(|setup| setup);
    first.send(get()).await.has_status(421);
    second.send(get()).await.has_status(200);
    assert!(is_refused(&old, Via::Http2Tls).await);
    assert!(is_refused(&showing(&gateway, &workload(&ours)), Via::Http1Tls).await);
    gateway.expect_metric(REFUSED, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_session_is_the_caller_that_began_it() {
    let target = Target::named("v1").await;
    let ours = Issuer::new("ours");
    let named = Guard::By(allow(&json!({"AWS": CHECKOUT})));
    let mut gateway = world(&target, &ours, "REQUIRE")
        .guarded(&Guard::Off, &named)
        .start()
        .await;
    let caller = showing(&gateway, &workload(&ours));
    for resumed in [false, true, true] {
        let mut connection = caller.connect(Via::Http2Tls, "orders.test").await;
        assert_eq!(connection.resumed, resumed);
        let answer = connection.send(get()).await;
        answer.has_status(200);
        let record = gateway.record_of(&answer).await;
        record.has([
            ("callerPrincipal", json!(CHECKOUT)),
            ("callerX509SANURI", json!(WORKLOAD)),
        ]);
    }
}
