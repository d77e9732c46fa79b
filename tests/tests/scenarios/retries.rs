//! Attempts at a request: after what, how often, how long; and what the client, the targets and the record get to know of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use trellis_tests::{Reply, Request, Setup, Target, Via, eventually};

/// `orders` with this retry policy and no waits between attempts to speak of.
fn retrying(targets: &[&Target], policy: &Value) -> Setup {
    let mut policy = policy.clone();
    policy["backOff"] = json!({"baseMillis": 1});
    Setup::with_orders(targets.iter().copied()).set("services.orders.retryPolicy", policy)
}

/// A target that answers with these statuses in turn, the last one again and again.
async fn answering(statuses: &'static [u16]) -> Target {
    let turn = AtomicUsize::new(0);
    Target::answering(move |_| {
        let turn = turn.fetch_add(1, Ordering::SeqCst).min(statuses.len() - 1);
        Reply::new(statuses[turn], statuses[turn].to_string())
    })
    .await
}

/// (policy, statuses in turn) → status for the client, attempts.
///
/// Source: App Mesh API reference, `HttpRetryPolicy`; App Mesh user guide, "Routes".
#[tokio::test(flavor = "multi_thread")]
async fn answers_are_tried_again_as_the_policy_says() {
    let on = |event: &str, retries: u32| json!({"maxRetries": retries, "on": [event]});
    let rows: [(Value, &'static [u16], u16, usize); 17] = [
        (on("gateway-error", 2), &[503], 503, 3),
        (on("gateway-error", 2), &[503, 200], 200, 2),
        (on("gateway-error", 2), &[502, 504, 200], 200, 3),
        (on("gateway-error", 2), &[500, 200], 500, 1),
        (on("gateway-error", 0), &[503, 200], 503, 1),
        (on("server-error", 2), &[500, 501, 200], 200, 3),
        (on("server-error", 2), &[511, 200], 200, 2),
        (on("server-error", 2), &[509, 200], 509, 1),
        (on("server-error", 2), &[499, 200], 499, 1),
        (on("client-error", 2), &[409, 409, 200], 200, 3),
        (on("client-error", 2), &[408, 200], 408, 1),
        (on("client-error", 2), &[503, 200], 503, 1),
        (on("connection-error", 2), &[503, 200], 503, 1),
        (on("reset", 2), &[503, 200], 503, 1),
        (on("unavailable", 2), &[503, 200], 503, 1),
        (
            json!({"maxRetries": 2, "statuses": [503]}),
            &[503, 200],
            200,
            2,
        ),
        (
            json!({"maxRetries": 2, "statuses": [503]}),
            &[502, 200],
            502,
            1,
        ),
    ];
    for (policy, statuses, status, attempts) in rows {
        for via in [Via::Http1, Via::Http2Tls] {
            let target = answering(statuses).await;
            let mut gateway = retrying(&[&target], &policy).start().await;
            let answer = gateway
                .send(via, Request::post("orders.test", "/", "a body"))
                .await;
            answer.is(status, &status.to_string());
            let seen = target.seen();
            assert_eq!(seen.len(), attempts, "{policy} {statuses:?}");
            assert!(seen.iter().all(|seen| seen.body == "a body"), "{policy}");
            let record = gateway.record_of(&answer).await;
            if attempts > 1 {
                record.adds([("attempts", json!(attempts))]);
            }
        }
    }
}

/// A target that hangs costs the time of each attempt, and the answer is 504 when the last is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_hangs_is_tried_again_until_time_or_retries_are_over() {
    let rows = [
        (json!({"perTryMillis": 100}), 3, 300),
        (json!({"perTryMillis": 100, "requestMillis": 150}), 2, 150),
        (json!({"requestMillis": 150}), 1, 150),
        (json!({"streamMillis": 150}), 1, 150),
    ];
    for (timeouts, attempts, least) in rows {
        for via in [Via::Http1, Via::Http2] {
            let target = Target::holding("late").await;
            let policy = json!({"maxRetries": 2, "on": ["gateway-error"]});
            let mut gateway = retrying(&[&target], &policy)
                .set("services.orders.timeouts", timeouts.clone())
                .start()
                .await;
            let began = Instant::now();
            let answer = gateway.send(via, Request::get("orders.test", "/")).await;
            answer.has_status(504);
            let took = began.elapsed();
            assert!(took >= Duration::from_millis(least), "{timeouts} {took:?}");
            target.arrived(attempts).await;
            assert_eq!(target.count(), attempts, "{timeouts}");
            let record = gateway.record_of(&answer).await;
            record.failed(504, "TargetDataTimeout");
            if attempts == 2 {
                gateway.expect_log("too few for 3 attempts").await;
            }
        }
    }
}

/// The time of an attempt is for the head of its answer; a body may take as long as the request may.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_has_begun_is_no_longer_timed_by_the_attempt() {
    let target = Target::streaming(|_| async {
        let (reply, sender) = Reply::new(200, "").streaming();
        tokio::spawn(async move {
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_millis(60)).await;
                let _ = sender.send(Ok(hyper::body::Frame::data("x".into()))).await;
            }
        });
        reply
    })
    .await;
    let patient = json!({"perTryMillis": 120});
    let gateway = Setup::with_orders([&target])
        .set("services.orders.timeouts", patient)
        .start()
        .await;
    gateway.get("orders.test", "/").await.is(200, "xxxx");

    let impatient = json!({"perTryMillis": 120, "requestMillis": 130});
    let mut gateway = Setup::with_orders([&target])
        .set("services.orders.timeouts", impatient)
        .start()
        .await;
    let broken = gateway
        .try_send(Via::Http1, Request::get("orders.test", "/"))
        .await
        .unwrap_err();
    assert_eq!(broken.status(), Some(200));
    let record = gateway.record_for("/").await;
    record.failed(200, "TargetDataTimeout");
}

/// What a rule says counts before what its service says.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_has_its_own_policy() {
    let target = answering(&[503]).await;
    let own = json!({"forward": {
        "targetGroups": [{"targetGroupIdentifier": "orders-targets"}],
        "retryPolicy": {"maxRetries": 0},
    }});
    let rule = json!({
        "name": "once",
        "priority": 1,
        "match": {"httpMatch": {"pathMatch": {"match": {"exact": "/once"}}}},
        "action": own,
    });
    let policy = json!({"maxRetries": 1, "on": ["server-error"]});
    let mut gateway = retrying(&[&target], &policy)
        .set("services.orders.listeners.http.rules", json!([rule]))
        .start()
        .await;
    for (path, count) in [("/once", 1), ("/twice", 3)] {
        let answer = gateway.get("orders.test", path).await;
        answer.is(503, "503");
        gateway.record_of(&answer).await;
        assert_eq!(target.count(), count, "{path}");
    }
}

/// The next attempt goes to another target, so that one that is down costs no request.
#[tokio::test(flavor = "multi_thread")]
async fn another_attempt_goes_to_another_target() {
    let (dead, alive) = (Target::named("dead").await, Target::named("alive").await);
    dead.die().await;
    for (event, works) in [
        ("connection-error", true),
        ("reset", true),
        ("stream-error", false),
    ] {
        let policy = json!({"maxRetries": 1, "on": [event]});
        let mut gateway = retrying(&[&dead, &alive], &policy).start().await;
        let mut statuses = Vec::new();
        for _ in 0..10 {
            let request = Request::post("orders.test", "/", "body");
            let answer = gateway.send(Via::Http1, request).await;
            gateway.record_of(&answer).await;
            statuses.push(answer.status);
        }
        let failed = statuses.iter().filter(|status| **status == 500).count();
        assert_eq!(failed, if works { 0 } else { 5 }, "{event} {statuses:?}");
    }
}

/// A body that is not there any more is not sent again; one that is comes whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_sent_again_whole_or_not_at_all() {
    for (size, attempts) in [(0, 2), (1, 2), (60_000, 2), (200_000, 1)] {
        for via in [Via::Http1, Via::Http2] {
            let target = answering(&[503, 200]).await;
            let policy = json!({"maxRetries": 3, "on": ["gateway-error"]});
            let mut gateway = retrying(&[&target], &policy).start().await;
            let body = "x".repeat(size);
            let request = Request::post("orders.test", "/", body.clone());
            let status = if attempts == 2 { 200 } else { 503 };
            let answer = gateway.send(via, request).await;
            answer.has_status(status);
            gateway.record_of(&answer).await;
            let seen = target.seen();
            assert_eq!(seen.len(), attempts, "{via:?} {size}");
            assert!(
                seen.iter().all(|seen| seen.complete && seen.body == body),
                "{via:?} {size}"
            );
        }
    }
}

/// A group in trouble is not buried: beyond the budget, failures go to the client as they are.
#[tokio::test(flavor = "multi_thread")]
async fn a_budget_bounds_how_many_are_tried_again_at_once() {
    for (least, repeated) in [(0, 0), (3, 3)] {
        let first = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&first);
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let open = Arc::clone(&gate);
        let target = Target::streaming(move |_| {
            let (turn, gate) = (count.fetch_add(1, Ordering::SeqCst), Arc::clone(&open));
            async move {
                if turn < 8 {
                    return Reply::new(503, "");
                }
                gate.acquire().await.unwrap().forget();
                Reply::new(200, "")
            }
        })
        .await;
        let budget = json!({"percent": 0, "minConcurrency": least});
        let policy = json!({"maxRetries": 1, "on": ["gateway-error"], "budget": budget});
        let mut gateway = retrying(&[&target], &policy).start().await;
        let mut connection = gateway.connect(Via::Http2, "orders.test").await;
        let pending: Vec<_> = (0..8)
            .map(|_| connection.start(Request::get("orders.test", "/")))
            .collect();
        target.arrived(8 + repeated).await;
        gate.add_permits(8);
        let mut good = 0;
        for pending in pending {
            let answer = pending.answer().await.unwrap();
            gateway.record_of(&answer).await;
            good += usize::from(answer.status == 200);
        }
        assert_eq!(good, repeated);
        assert_eq!(target.count(), 8 + repeated);
    }
}

/// Source: gRPC over HTTP/2, "Requests" and "Responses"; App Mesh API reference, `GrpcRetryPolicy`.
#[tokio::test(flavor = "multi_thread")]
async fn grpc_statuses_are_tried_again_and_deadlines_are_passed_on() {
    for (event, status, again) in [
        ("unavailable", "14", true),
        ("cancelled", "1", true),
        ("deadline-exceeded", "4", true),
        ("internal", "13", true),
        ("resource-exhausted", "8", true),
        ("unavailable", "13", false),
        ("internal", "0", false),
    ] {
        let turn = AtomicUsize::new(0);
        let target = Target::answering(move |_| {
            let first = turn.fetch_add(1, Ordering::SeqCst) == 0;
            let reply = Reply::new(200, "").header("content-type", "application/grpc");
            reply.header("grpc-status", if first { status } else { "0" })
        })
        .await;
        let policy = json!({"maxRetries": 1, "on": [event]});
        let gateway = retrying(&[&target], &policy)
            .set(
                "targetGroups.orders-targets.config.protocolVersion",
                json!("GRPC"),
            )
            .start()
            .await;
        let request =
            Request::grpc("orders.test", "/shop.Orders/Get", b"x").header("grpc-timeout", "5S");
        let answer = gateway.send(Via::Http2, request).await;
        assert_eq!(
            answer.header("grpc-status"),
            if again { "0" } else { status }
        );
        let seen = target.seen();
        assert_eq!(seen.len(), 1 + usize::from(again), "{event} {status}");
        for seen in seen {
            let left = seen.header("grpc-timeout");
            let micros: u64 = left.trim_end_matches('u').parse().unwrap();
            assert!((1_000_000..5_000_000).contains(&micros), "{left}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_deadline_ends_the_request() {
    let target = Target::holding("late").await;
    let mut gateway = Setup::with_orders([&target])
        .set(
            "targetGroups.orders-targets.config.protocolVersion",
            json!("GRPC"),
        )
        .start()
        .await;
    let request =
        Request::grpc("orders.test", "/shop.Orders/Get", b"x").header("grpc-timeout", "80m");
    let answer = gateway.send(Via::Http2, request).await;
    answer.has_status(504);
    let record = gateway.record_of(&answer).await;
    record.failed(504, "TargetDataTimeout");
}

/// The second attempt's answer counts when it is first; the other target loses its connection, and one request counts once.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_attempt_beside_a_slow_one_wins_if_it_is_faster() {
    let (slow, fast) = (Target::holding("slow").await, Target::named("fast").await);
    let gateway = Setup::with_orders([&slow, &fast])
        .set("services.orders.hedging", json!({"afterMillis": 30}))
        .start()
        .await;
    for via in [Via::Http1, Via::Http2] {
        for _ in 0..4 {
            let request = Request::get("orders.test", "/");
            gateway.send(via, request).await.is(200, "fast");
        }
    }
    // Each request takes two turns.
    assert_eq!((slow.count(), fast.count()), (8, 8));

    // A method that is not idempotent is sent once, however long it takes.
    let mut gateway = Setup::with_orders([&slow, &fast])
        .set("services.orders.hedging", json!({"afterMillis": 30}))
        .set("services.orders.timeouts", json!({"requestMillis": 200}))
        .start()
        .await;
    let mut statuses = Vec::new();
    for _ in 0..2 {
        let request = Request::post("orders.test", "/", "x");
        let answer = gateway.send(Via::Http1, request).await;
        gateway.record_of(&answer).await;
        statuses.push(answer.status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 504]);
    assert_eq!((slow.count(), fast.count()), (9, 9));
}

/// A first attempt that is slow but sure wins over a second one that fails.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_attempt_that_fails_harms_nobody() {
    let slow = Target::holding("slow").await;
    let dead = Target::scripted(|raw, _| async move { raw.reset() }).await;
    let gateway = Setup::with_orders([&slow, &dead])
        .set("services.orders.hedging", json!({"afterMillis": 30}))
        .start()
        .await;
    let mut connection = gateway.connect(Via::Http2, "orders.test").await;
    let first = connection.start(Request::get("orders.test", "/"));
    slow.arrived(1).await;
    eventually("the second attempt", async || {
        (dead.connections() > 0 && dead.open_connections() == 0).then_some(())
    })
    .await;
    slow.release(1);
    first.answer().await.unwrap().is(200, "slow");
}
