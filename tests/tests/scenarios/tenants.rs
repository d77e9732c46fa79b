//! Tenants on one gateway: what one has, another cannot see, reach or be taken for.

use serde_json::json;
use trellis_tests::{
    Gateway, Guard, Key, Request, Setup, Target, UNKNOWN_NAME, Via, allow, identity,
};

/// An account with a service `orders` on this target and the same names and ranges as every other.
fn account(setup: Setup, target: &Target) -> Setup {
    setup
        .set("vpcs.shop.cidrs", json!(["10.0.0.0/16"]))
        .group("orders-targets", [target])
        .service("orders", &trellis_tests::forward(&[("orders-targets", 1)]))
}

async fn two_accounts(first: &Target, second: &Target) -> Gateway {
    let other = account(Setup::of_account("444455556666"), second);
    account(Setup::new(), first).start_with([other]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_with_the_same_names_and_ranges_each_meet_their_own() {
    let (first, second) = (Target::named("first").await, Target::named("second").await);
    let mut gateway = two_accounts(&first, &second).await;
    for via in Via::ALL {
        for (tenant, name, account) in [(0, "first", "111122223333"), (1, "second", "444455556666")]
        {
            let answer = gateway
                .tenant(tenant)
                .send(via, Request::get("orders.test", "/"))
                .await;
            answer.is(200, name);
            let record = gateway.record_of(&answer).await;
            for field in [
                "serviceArn",
                "serviceNetworkArn",
                "targetGroupArn",
                "sourceVpcArn",
            ] {
                assert!(record.text(field).contains(account), "{field}");
            }
        }
    }
    let seen = |target: &Target| {
        target
            .seen()
            .pop()
            .unwrap()
            .header("x-amzn-lattice-network")
    };
    assert!(seen(&first).contains("111122223333"));
    assert!(seen(&second).contains("444455556666"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_another_account_is_like_one_that_nobody_has() {
    let (first, second) = (Target::named("first").await, Target::named("second").await);
    let mut gateway = two_accounts(&first, &second).await;
    let answer = gateway.tenant(1).get("orders.test", "/").await;
    let foreign = gateway.record_of(&answer).await.generated_name("orders");
    let missing = "orders-00000000000000000.7d67968.vpc-lattice-svcs.us-west-2.on.aws".to_owned();
    gateway.tenant(1).get(&foreign, "/").await.is(200, "second");
    for via in [Via::Http1, Via::Http2] {
        let strange = gateway.send(via, Request::get(&foreign, "/")).await;
        let nobodys = gateway.send(via, Request::get(&missing, "/")).await;
        assert_eq!((strange.status, &strange.body), (404, &nobodys.body));
    }
    // TLS tells no more: neither name has a certificate here.
    let caller = gateway.caller();
    for host in [&foreign, &missing] {
        assert!(caller.try_connect(Via::Http1Tls, host).await.is_err());
    }
    gateway.expect_metric(UNKNOWN_NAME, 2).await;
    assert_eq!(first.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_one_account_are_not_written_to_another() {
    let (first, second) = (Target::named("first").await, Target::named("second").await);
    let gateway = two_accounts(&first, &second).await;
    for _ in 0..5 {
        gateway.tenant(0).get("orders.test", "/mine").await;
        gateway.tenant(1).get("orders.test", "/theirs").await;
        gateway.tenant(1).get("nothing.test", "/lost").await;
    }
    trellis_tests::eventually("all records", async || {
        (gateway.records().len() == 15).then_some(())
    })
    .await;
    for (tenant, account, count) in [(0, "111122223333", 5), (1, "444455556666", 10)] {
        let records = gateway.records_of(tenant);
        assert_eq!(records.len(), count);
        assert!(
            records
                .iter()
                .all(|record| record.text("serviceNetworkArn").contains(account))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_of_another_account_is_who_it_is_and_needs_to_be_allowed() {
    let (first, second) = (Target::named("first").await, Target::named("second").await);
    let (own, foreign) = (Key::new("AKOWN"), Key::new("AKFOREIGN"));
    let other = account(Setup::of_account("444455556666"), &second).user(
        "same",
        &foreign,
        &[identity("Allow")],
    );
    let mut gateway = account(Setup::new(), &first)
        .user("same", &own, &[identity("Allow")])
        .guarded(
            &Guard::Off,
            &Guard::By(allow(&json!({"AWS": "111122223333"}))),
        )
        .start_with([other])
        .await;
    let signed = |key: &Key| Request::get("orders.test", "/").signed(key);
    gateway
        .send(Via::Http1, signed(&own))
        .await
        .is(200, "first");
    let answer = gateway.send(Via::Http1, signed(&foreign)).await;
    answer.has_status(403);
    let arn = "arn:aws:iam::444455556666:user/same";
    assert!(
        answer
            .text()
            .contains(&format!("User: {arn} is not authorized")),
        "{}",
        answer.text()
    );
    let record = gateway.record_of(&answer).await;
    record.failed(403, "ClientAccessDenied").has([
        ("resolvedUser", json!(arn)),
        ("authDeniedReason", json!("Service")),
    ]);
}

/// Two VPCs behind one listening address: the client's own address says which is its.
#[tokio::test(flavor = "multi_thread")]
async fn source_ranges_tell_vpcs_on_one_address_apart() {
    let (first, second) = (Target::named("first").await, Target::named("second").await);
    let setup = account(Setup::new(), &first);
    let (ip, http, https) = (setup.ip(), setup.http_port(), setup.https_port());
    let mut other = account(Setup::of_account("444455556666"), &second).set(
        "vpcs.shop.attachments",
        json!([{"listen": [ip], "sources": ["127.200.7.0/24"]}]),
    );
    for (listener, port) in [("http", http), ("https", https)] {
        other = other.set(
            &format!("services.orders.listeners.{listener}.port"),
            json!(port),
        );
    }
    let mut gateway = setup
        .set(
            "vpcs.shop.attachments",
            json!([{"listen": [ip], "sources": ["127.200.0.0/16"]}]),
        )
        .start_with([other])
        .await;
    for via in [Via::Http1, Via::Http2Tls] {
        let send = async |from: &str| {
            gateway
                .caller()
                .from(from)
                .send(via, Request::get("orders.test", "/"))
                .await
        };
        send("127.200.1.1").await.is(200, "first");
        send("127.200.7.9").await.is(200, "second");
    }
    // A stranger learns nothing, not even that somebody listens.
    let mut stranger = gateway.caller().from("127.9.9.9").raw().await;
    let _ = stranger
        .try_send("GET / HTTP/1.1\r\nHost: orders.test\r\n\r\n")
        .await;
    assert_eq!(stranger.read_to_end().await, "");
    gateway
        .expect_metric(
            "gateway_connections_refused_total{reason=\"unknown_vpc\"}",
            1,
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_client_sends_changes_its_vpc() {
    let (first, second) = (Target::named("first").await, Target::named("second").await);
    let mut gateway = two_accounts(&first, &second).await;
    let answer = gateway.tenant(1).get("orders.test", "/").await;
    let record = gateway.record_of(&answer).await;
    let request = Request::get("orders.test", "/")
        .header("x-amzn-source-vpc", record.text("sourceVpcId"))
        .header(
            "x-amzn-lattice-network",
            &format!("SourceVpcArn={}", record.text("sourceVpcArn")),
        )
        .header("x-forwarded-for", "10.0.0.1")
        .header("forwarded", "for=10.0.0.1");
    gateway
        .tenant(0)
        .send(Via::Http1, request)
        .await
        .is(200, "first");
}

/// A session that one tenant's listener gave cannot be resumed with another's, though certificate, name and client are the same.
#[tokio::test(flavor = "multi_thread")]
async fn tls_sessions_are_resumed_by_their_own_tenant_only() {
    let (first, second) = (Target::named("first").await, Target::named("second").await);
    let gateway = two_accounts(&first, &second).await;
    // One client, which keeps its sessions by name, as if there were one server.
    let (a, b) = (gateway.tenant(0), gateway.tenant(1));
    let visit = async |caller: &trellis_tests::Caller| {
        let mut connection = caller.connect(Via::Http1Tls, "orders.test").await;
        // An answer brings the tickets with it.
        let answer = connection.send(Request::get("orders.test", "/")).await;
        (connection.resumed, answer.text())
    };
    assert_eq!(visit(&a).await, (false, "first".into()));
    assert_eq!(visit(&a).await, (true, "first".into()));
    assert_eq!(visit(&b).await, (false, "second".into()));
    assert_eq!(visit(&b).await, (true, "second".into()));
}
