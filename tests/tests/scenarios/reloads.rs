//! Changes of a running gateway: nothing that runs notices, and a bad change changes nothing (design §4, §6).

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use trellis_tests::{
    Caller, Guard, Key, Request, Setup, Target, Via, allow, deny, forward, identity,
};

/// Calls `orders` without a pause until it is told to stop; every answer must be 200. Now and then it begins a new connection.
async fn callers(
    caller: Caller,
    via: Via,
    key: Key,
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
) {
    while !stop.load(Ordering::SeqCst) {
        let mut connection = caller.connect(via, "orders.test").await;
        for _ in 0..20 {
            let request = Request::post("orders.test", "/", "x").signed(&key);
            let answer = connection.send(request).await;
            assert_eq!(answer.status, 200, "{via:?}: {}", answer.text());
            served.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Services, weights, policies, targets and listeners change many times while clients call: not one request fails.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_the_configuration_changes_under_load() {
    let (one, two) = (Target::named("one").await, Target::named("two").await);
    let key = Key::new("AKWRITER");
    let mut gateway = Setup::new()
        .group("one", [&one])
        .group("two", [&two])
        .service("orders", &forward(&[("one", 1), ("two", 1)]))
        .user("writer", &key, &[identity("Allow")])
        .user("idler", &Key::new("AKIDLER"), &[])
        .start()
        .await;
    let (stop, served) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let running: Vec<_> = Via::ALL
        .into_iter()
        .map(|via| {
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            tokio::spawn(callers(gateway.caller(), via, key.clone(), stop, served))
        })
        .collect();
    let everybody = Guard::By(allow(&json!("*")));
    let somebody = Guard::By(deny(
        &json!({"AWS": "arn:aws:iam::111122223333:user/idler"}),
    ));
    let both = [&one, &two];
    for round in 0_u16..12 {
        let before = served.load(Ordering::SeqCst);
        let port = gateway.setup_mut().free_port();
        // A group that is about to lose its targets gets nothing any more.
        let empty = round % 4 == 3;
        let weight = if empty { 0 } else { round % 3 };
        let targets: &[&Target] = if empty { &[] } else { &both };
        gateway.reload(|setup| {
            let setup = setup.service(
                &format!("extra-{round}"),
                &json!({"fixedResponse": {"statusCode": 404}}),
            );
            let guard = if round % 2 == 0 {
                &everybody
            } else {
                &somebody
            };
            let weights = forward(&[("one", weight), ("two", 1)]);
            setup
                .set(
                    &format!("services.extra-{round}.listeners.http.port"),
                    json!(port),
                )
                .set(
                    "services.orders.listeners.http.defaultAction",
                    weights.clone(),
                )
                .set("services.orders.listeners.https.defaultAction", weights)
                .guarded(guard, &Guard::Off)
                .targets("one", targets)
        });
        trellis_tests::eventually("requests under this configuration", async || {
            (served.load(Ordering::SeqCst) >= before + 20).then_some(())
        })
        .await;
    }
    stop.store(true, Ordering::SeqCst);
    for task in running {
        task.await.unwrap();
    }
    assert!(served.load(Ordering::SeqCst) >= 240);
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_come_and_go_and_leave_other_connections_alone() {
    let target = Target::holding("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let port = gateway.setup_mut().free_port();
    let old_port = gateway.setup().http_port();
    let new = gateway.caller().on_port(port);
    assert!(new.try_connect(Via::Http1, "orders.test").await.is_err());

    let mut connection = gateway.connect(Via::Http1, "orders.test").await;
    let pending = connection.start(Request::get("orders.test", "/"));
    target.arrived(1).await;
    let old = gateway.caller();
    gateway.reload(|setup| setup.set("services.orders.listeners.http.port", json!(port)));
    target.release(3);
    new.get("orders.test", "/").await.is(200, "v1");
    trellis_tests::eventually("the old port to be closed", async || {
        old.try_connect(Via::Http1, "orders.test").await.err()
    })
    .await;
    // What runs on a port that is gone ends as it began; what comes after on the same connection finds no listener.
    pending.answer().await.unwrap().is(200, "v1");
    connection
        .send(Request::get("orders.test", "/"))
        .await
        .has_status(404);

    gateway.reload(|setup| setup.set("services.orders.listeners.http.port", json!(old_port)));
    old.get("orders.test", "/").await.is(200, "v1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_decided_under_the_configuration_that_it_met() {
    let target = Target::holding("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let mut connection = gateway.connect(Via::Http2, "orders.test").await;
    let pending = connection.start(Request::get("orders.test", "/before"));
    target.arrived(1).await;
    gateway.reload(|setup| setup.guarded(&Guard::By(deny(&json!("*"))), &Guard::Off));
    gateway
        .expect_log("all that the statement allows is denied")
        .await;
    let refused = connection.send(Request::get("orders.test", "/after")).await;
    refused.has_status(403);
    target.release(1);
    pending.answer().await.unwrap().is(200, "v1");
    let generation = |record: trellis_tests::Record| record.field("trellis")["generation"].clone();
    assert_eq!(generation(gateway.record_for("/before").await), 1);
    assert_eq!(generation(gateway.record_for("/after").await), 2);
}

/// Changes that are refused, and what the report says about each.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_change_is_reported_and_changes_nothing() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let taken = std::net::TcpListener::bind((gateway.setup_mut().ip(), 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let rows: [(&str, Value, &str); 6] = [
        (
            "services.orders.listeners.http.defaultAction",
            forward(&[("nothing", 1)]),
            "nothing",
        ),
        (
            "services.orders.listeners.http.port",
            json!(port),
            "cannot listen on",
        ),
        ("services.orders.unknown", json!(1), "unknown"),
        (
            "services.orders.authPolicy",
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Maybe"}]}),
            "Maybe",
        ),
        (
            "services.orders.certificate",
            json!({"certificateFile": "missing.pem", "privateKeyFile": "missing.key"}),
            "missing.pem",
        ),
        (
            "principals.users",
            json!([{"name": "a", "accessKeys": [{"id": "AKA", "secret": {"file": "no-secret"}}]}]),
            "no-secret",
        ),
    ];
    for (number, (path, value, complaint)) in rows.into_iter().enumerate() {
        let problems = gateway
            .try_reload(|setup| setup.set(path, value))
            .unwrap_err();
        assert!(problems.to_string().contains(complaint), "{problems}");
        gateway.expect_log("configuration rejected").await;
        for _ in problems.iter() {
            gateway.expect_log("configuration problem=").await;
        }
        let rejected = "gateway_config_reloads_total{outcome=\"rejected\"}";
        gateway.expect_metric(rejected, number as u64 + 1).await;
        assert_eq!(gateway.metric("gateway_config_last_reload_successful"), 0);
        assert_eq!(gateway.metric("gateway_config_generation"), 1);
        let page: Value = serde_json::from_str(&gateway.admin("/config").await.text()).unwrap();
        assert_eq!(page["generation"], 1);
        let told = page["rejected"].to_string();
        assert!(told.contains(complaint), "{told}");
        gateway.admin("/readyz").await.has_status(200);
        gateway.get("orders.test", "/").await.is(200, "v1");
    }
    let failures = "gateway_listener_failures_total";
    gateway.expect_metric(failures, 1).await;
    gateway.reload(|setup| setup);
    assert_eq!(gateway.metric("gateway_config_last_reload_successful"), 1);
    assert_eq!(gateway.metric("gateway_config_errors"), 0);
    let page: Value = serde_json::from_str(&gateway.admin("/config").await.text()).unwrap();
    assert_eq!(
        (&page["generation"], &page["rejected"]),
        (&json!(2), &json!([]))
    );
}

/// A refused change leaves no trace, in what clients keep of their connections neither: sessions of a VPC that it would have taken away
/// resume as before.
#[tokio::test(flavor = "multi_thread")]
async fn tls_sessions_outlive_a_change_that_is_refused() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let taken = std::net::TcpListener::bind((gateway.setup_mut().ip(), 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let caller = gateway.caller();
    let visit = async || {
        let mut connection = caller.connect(Via::Http1Tls, "orders.test").await;
        // An answer brings the tickets with it.
        connection.send(Request::get("orders.test", "/")).await;
        connection.resumed
    };
    assert!(!visit().await);
    let refused = gateway.try_reload(|setup| {
        setup
            .set("vpcs.shop.id", json!("vpc-0123456789abcdef0"))
            .set("services.orders.listeners.http.port", json!(port))
    });
    let problems = refused.unwrap_err().iter().count();
    gateway.expect_log("configuration rejected").await;
    for _ in 0..problems {
        gateway.expect_log("configuration problem=").await;
    }
    let rejected = "gateway_config_reloads_total{outcome=\"rejected\"}";
    gateway.expect_metric(rejected, 1).await;
    gateway
        .expect_metric("gateway_listener_failures_total", 1)
        .await;
    gateway.reload(|setup| setup);
    assert!(visit().await);
}

/// What policies and certificates are warned of is found after the documents are read, and has its line all the same.
#[tokio::test(flavor = "multi_thread")]
async fn warnings_in_the_log_name_the_document_and_the_line() {
    let target = Target::named("v1").await;
    let never = |action: Value| {
        Guard::By(trellis_tests::policy(&[
            json!({"Effect": "Allow", "Principal": "*", "Action": action, "Resource": "*"}),
        ]))
    };
    let warned = async |gateway: &trellis_tests::Gateway| {
        let told = gateway.expect_log("Statement[0]").await;
        assert!(told.contains("documents/0.yaml:"), "{told}");
    };
    let empty = never(json!([]));
    let mut gateway = Setup::with_orders([&target])
        .guarded(&Guard::Off, &empty)
        .start()
        .await;
    warned(&gateway).await;
    gateway.reload(|setup| setup.guarded(&empty, &Guard::Off));
    warned(&gateway).await;
}

/// The first account's document has settings that only a start takes over.
#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_process_keep_their_value_with_a_warning() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    gateway.reload(|setup| setup.set("gateway.workers", json!(1)));
    gateway.expect_log("gateway.workers").await;
    gateway.get("orders.test", "/").await.is(200, "v1");
}
