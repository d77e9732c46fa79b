//! Targets that have as many requests as they may: who waits, who is turned away, and what the others notice.

use serde_json::json;
use trellis_tests::{Request, Setup, Target, Via, eventually};

/// Requests beyond those that a target may have wait, in both versions of HTTP; those beyond who may wait are turned away.
#[tokio::test(flavor = "multi_thread")]
async fn requests_wait_for_a_place_and_are_turned_away_beyond_that() {
    for (version, limit) in [("HTTP1", "maxConnections"), ("HTTP2", "maxRequests")] {
        let target = Target::holding("held").await;
        let mut gateway = Setup::with_orders([&target])
            .set(
                "targetGroups.orders-targets.config.protocolVersion",
                json!(version),
            )
            .set(
                "targetGroups.orders-targets.connectionPool",
                json!({limit: 2, "maxPendingRequests": 3}),
            )
            .start()
            .await;
        // Several connections, so that both workers take part.
        let mut connections = Vec::new();
        for _ in 0..6 {
            connections.push(gateway.connect(Via::Http2, "orders.test").await);
        }
        let mut pending: Vec<_> = connections
            .iter_mut()
            .map(|connection| connection.start(Request::get("orders.test", "/")))
            .collect();
        // Two are there, three wait, and one is told at once.
        let refused = gateway
            .record_where(
                "the one that was turned away",
                trellis_tests::Record::is_failure,
            )
            .await;
        refused.failed(503, "TargetConnectionError");
        target.arrived(2).await;
        assert_eq!(target.count(), 2);
        target.release(5);
        let mut statuses = Vec::new();
        for pending in pending.drain(..) {
            statuses.push(pending.answer().await.unwrap().status);
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 200, 200, 200, 503], "{version}");
        assert_eq!(target.count(), 5);

        // All places are free again.
        target.release(2);
        for _ in 0..2 {
            let request = Request::get("orders.test", "/");
            gateway.send(Via::Http2, request).await.is(200, "held");
        }
    }
}

/// A request takes a free place at another target before it waits at the one whose turn it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_free_target_is_better_than_a_place_in_a_queue() {
    let (busy, free) = (Target::holding("busy").await, Target::named("free").await);
    let gateway = Setup::with_orders([&busy, &free])
        .set(
            "targetGroups.orders-targets.connectionPool",
            json!({"maxConnections": 1, "maxPendingRequests": 0}),
        )
        .start()
        .await;
    let mut connection = gateway.connect(Via::Http2, "orders.test").await;
    let mut held = Vec::new();
    while busy.count() == 0 {
        held.push(connection.start(Request::get("orders.test", "/")));
        eventually("the request at a target", async || {
            (busy.count() + free.count() == held.len()).then_some(())
        })
        .await;
    }
    for _ in 0..6 {
        gateway.get("orders.test", "/").await.is(200, "free");
    }
    busy.release(1);
    for pending in held {
        pending.answer().await.unwrap().has_status(200);
    }
}

/// Who waits may leave, and who waits too long is told; neither keeps a place.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_with_the_client_or_with_the_time_of_the_request() {
    let target = Target::holding("held").await;
    let patient = json!({
        "name": "patient",
        "priority": 1,
        "match": {"httpMatch": {"pathMatch": {"match": {"exact": "/first"}}}},
        "action": {"forward": {
            "targetGroups": [{"targetGroupIdentifier": "orders-targets"}],
            "timeouts": {"streamMillis": 0},
        }},
    });
    let mut gateway = Setup::with_orders([&target])
        .set(
            "targetGroups.orders-targets.connectionPool",
            json!({"maxConnections": 1, "maxPendingRequests": 1}),
        )
        .set("services.orders.timeouts", json!({"streamMillis": 500}))
        .set("services.orders.listeners.http.rules", json!([patient]))
        .start()
        .await;
    let mut first = gateway.connect(Via::Http1, "orders.test").await;
    let held = first.start(Request::get("orders.test", "/first"));
    target.arrived(1).await;

    let mut raw = gateway.raw().await;
    raw.send("GET /gone HTTP/1.1\r\nHost: orders.test\r\n\r\n")
        .await;
    gateway.expect_metric("gateway_requests_in_flight", 2).await;
    raw.reset();
    let record = gateway.record_for("/gone").await;
    assert_eq!(record.field("failureReason"), "ClientConnectionClosed");

    let late = gateway.get("orders.test", "/late").await;
    late.has_status(504);
    let record = gateway.record_of(&late).await;
    record.failed(504, "TargetDataTimeout");
    assert_eq!(target.count(), 1);
    target.release(2);
    held.answer().await.unwrap().is(200, "held");
    gateway.get("orders.test", "/").await.is(200, "held");
}

/// Limits that change begin to count anew; what a target has already stays.
#[tokio::test(flavor = "multi_thread")]
async fn limits_follow_the_configuration() {
    let target = Target::holding("held").await;
    let mut gateway = Setup::with_orders([&target])
        .set(
            "targetGroups.orders-targets.connectionPool",
            json!({"maxConnections": 1, "maxPendingRequests": 0}),
        )
        .start()
        .await;
    let mut connection = gateway.connect(Via::Http2, "orders.test").await;
    let held = connection.start(Request::get("orders.test", "/"));
    target.arrived(1).await;
    let refused = gateway.get("orders.test", "/").await;
    refused.has_status(503);
    gateway.record_of(&refused).await;
    gateway.reload(|setup| {
        setup.set(
            "targetGroups.orders-targets.connectionPool",
            json!({"maxConnections": 2, "maxPendingRequests": 0}),
        )
    });
    let more = connection.start(Request::get("orders.test", "/"));
    target.arrived(2).await;
    target.release(2);
    for pending in [held, more] {
        pending.answer().await.unwrap().is(200, "held");
    }
}

/// How long connections are kept, and how many requests share one.
#[tokio::test(flavor = "multi_thread")]
async fn connections_are_kept_and_shared_as_the_group_says() {
    // (version, pool) → connections for four requests, one after the other.
    for (version, pool, connections) in [
        ("HTTP1", json!({"keepAliveSeconds": 0}), 4),
        ("HTTP1", json!({"keepAliveSeconds": 30}), 1),
        ("HTTP2", json!({"keepAliveSeconds": 30}), 1),
    ] {
        let target = Target::named("v1").await;
        let gateway = Setup::with_orders([&target])
            .set(
                "targetGroups.orders-targets.config.protocolVersion",
                json!(version),
            )
            .set("targetGroups.orders-targets.connectionPool", pool.clone())
            .start()
            .await;
        let mut connection = gateway.connect(Via::Http2, "orders.test").await;
        for _ in 0..4 {
            let request = Request::get("orders.test", "/");
            connection.send(request).await.is(200, "v1");
        }
        assert_eq!(target.connections(), connections, "{version} {pool}");
    }
    for (streams, connections) in [(1, 6), (3, 2), (100, 1)] {
        let target = Target::holding("held").await;
        let gateway = Setup::with_orders([&target])
            .set(
                "targetGroups.orders-targets.config.protocolVersion",
                json!("HTTP2"),
            )
            .set(
                "targetGroups.orders-targets.connectionPool",
                json!({"maxStreamsPerConnection": streams}),
            )
            .start()
            .await;
        let mut connection = gateway.connect(Via::Http2, "orders.test").await;
        let mut pending = Vec::new();
        for count in 1..=6 {
            pending.push(connection.start(Request::get("orders.test", "/")));
            target.arrived(count).await;
        }
        assert_eq!(target.connections(), connections, "{streams}");
        target.release(6);
        for pending in pending {
            pending.answer().await.unwrap().is(200, "held");
        }
    }
}
