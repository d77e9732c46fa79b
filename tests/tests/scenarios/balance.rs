//! Choosing a target: weights, round robin, health, fail-open, draining (specification §5).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};
use trellis_tests::{Gateway, Reply, Request, Setup, Target, Via, eventually, forward};

/// How many of `count` requests each answer's text got.
async fn shares(gateway: &Gateway, count: usize) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    let mut connection = gateway.connect(Via::Http1, "orders.test").await;
    for _ in 0..count {
        let answer = connection.send(Request::get("orders.test", "/")).await;
        answer.has_status(200);
        *shares.entry(answer.text()).or_insert(0) += 1;
    }
    shares
}

/// The share of a group is binomial: five standard deviations are exceeded once in two million runs. The seed is printed.
#[tokio::test(flavor = "multi_thread")]
async fn groups_get_requests_by_their_weights() {
    const COUNT: u16 = 1500;
    let (one, two, three) = (
        Target::named("one").await,
        Target::named("two").await,
        Target::named("three").await,
    );
    let gateway = Setup::new()
        .group("one", [&one])
        .group("two", [&two])
        .group("three", [&three])
        .service(
            "orders",
            &forward(&[("one", 600), ("two", 300), ("three", 0)]),
        )
        .start()
        .await;
    let shares = shares(&gateway, COUNT.into()).await;
    let expected = f64::from(COUNT) * 2.0 / 3.0;
    let deviation = (f64::from(COUNT) * (2.0 / 3.0) * (1.0 / 3.0)).sqrt();
    let got = f64::from(u16::try_from(shares["one"]).unwrap());
    assert!((got - expected).abs() < 5.0 * deviation, "{shares:?}");
    assert_eq!(shares.get("three"), None, "weight zero gets nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_of_a_group_take_turns() {
    let targets = [
        Target::named("a").await,
        Target::named("b").await,
        Target::named("c").await,
    ];
    let gateway = Setup::with_orders(&targets).start().await;
    assert_eq!(
        shares(&gateway, 30).await,
        BTreeMap::from([("a".into(), 10), ("b".into(), 10), ("c".into(), 10)])
    );
}

/// `orders` with quick probes of `/health`: the least interval of documents would take the suite half a minute.
fn probed<'t>(targets: impl IntoIterator<Item = &'t Target>) -> Setup {
    let check = json!({"enabled": true, "path": "/health", "unhealthyThresholdCount": 2, "healthyThresholdCount": 2});
    Setup::with_orders(targets)
        .set("targetGroups.orders-targets.config.healthCheck", check)
        .adjust(|config| {
            for group in &mut config.target_groups {
                let check = Arc::make_mut(group).health_check.as_mut().unwrap();
                Arc::make_mut(check).interval = Duration::from_millis(50);
            }
        })
}

/// A target that answers probes with the status it was given last.
async fn moody(name: &'static str) -> (Target, std::sync::Arc<std::sync::atomic::AtomicU16>) {
    let mood = std::sync::Arc::new(std::sync::atomic::AtomicU16::new(200));
    let shown = std::sync::Arc::clone(&mood);
    let target = Target::answering(move |seen| {
        if seen.path == "/health" {
            Reply::new(shown.load(std::sync::atomic::Ordering::SeqCst), "")
        } else {
            Reply::new(200, name)
        }
    })
    .await;
    (target, mood)
}

/// Statuses of the targets, by their port, as the admin page has them.
pub(super) async fn statuses(gateway: &Gateway) -> BTreeMap<String, String> {
    let page: Value = serde_json::from_str(&gateway.admin("/targets").await.text()).unwrap();
    let groups = page["targetGroups"].as_array().unwrap();
    let targets = groups
        .iter()
        .flat_map(|group| group["targets"].as_array().unwrap());
    targets
        .map(|target| {
            let text = |key: &str| target[key].as_str().unwrap().to_owned();
            (text("address"), text("status"))
        })
        .collect()
}

/// Waits until a target has this status.
pub(super) async fn becomes(gateway: &Gateway, target: &Target, status: &str) {
    let address = target.address().to_string();
    let metric = format!(
        "gateway_target_status_changes_total{{status=\"{}\"}}",
        status.to_lowercase()
    );
    eventually(&format!("{address} to be {status}"), async || {
        let statuses = statuses(gateway).await;
        (statuses.get(&address)? == status).then_some(())
    })
    .await;
    assert!(gateway.metric(&metric) >= 1, "{metric}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_fails_its_probes_gets_nothing_until_it_passes_them_again() {
    use std::sync::atomic::Ordering::SeqCst;
    let ((good, _), (bad, mood)) = (moody("good").await, moody("bad").await);
    let gateway = probed([&good, &bad]).start().await;
    becomes(&gateway, &good, "HEALTHY").await;
    becomes(&gateway, &bad, "HEALTHY").await;
    assert_eq!(shares(&gateway, 20).await.len(), 2);

    mood.store(500, SeqCst);
    becomes(&gateway, &bad, "UNHEALTHY").await;
    gateway.expect_log("HealthCheckFailed").await;
    assert_eq!(
        shares(&gateway, 20).await,
        BTreeMap::from([("good".into(), 20)])
    );

    mood.store(200, SeqCst);
    becomes(&gateway, &bad, "HEALTHY").await;
    assert_eq!(shares(&gateway, 20).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_targets_are_all_unhealthy_fails_open() {
    use std::sync::atomic::Ordering::SeqCst;
    let ((one, first), (two, second)) = (moody("one").await, moody("two").await);
    let mut gateway = probed([&one, &two]).start().await;
    becomes(&gateway, &one, "HEALTHY").await;
    becomes(&gateway, &two, "HEALTHY").await;
    first.store(503, SeqCst);
    second.store(503, SeqCst);
    becomes(&gateway, &one, "UNHEALTHY").await;
    becomes(&gateway, &two, "UNHEALTHY").await;
    for _ in 0..2 {
        gateway.expect_log("HealthCheckFailed").await;
    }
    let both = BTreeMap::from([("one".into(), 10), ("two".into(), 10)]);
    assert_eq!(shares(&gateway, 20).await, both);
    let page = gateway.admin("/metrics").await.text();
    assert!(page.lines().any(
        |line| line.starts_with("gateway_target_group_failing_open{") && line.ends_with(" 1")
    ));

    // One that recovers ends it.
    second.store(200, SeqCst);
    becomes(&gateway, &two, "HEALTHY").await;
    assert_eq!(
        shares(&gateway, 20).await,
        BTreeMap::from([("two".into(), 20)])
    );
    gateway.expect_metric("gateway_requests_in_flight", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_taken_out_finishes_what_it_has_and_gets_nothing_more() {
    let (old, new) = (Target::holding("old").await, Target::named("new").await);
    let mut gateway = Setup::with_orders([&old]).start().await;
    let mut connection = gateway.connect(Via::Http1, "orders.test").await;
    let pending = connection.start(Request::get("orders.test", "/slow"));
    old.arrived(1).await;
    gateway.reload(|setup| setup.targets("orders-targets", &[&new]));
    becomes(&gateway, &old, "DRAINING").await;
    assert_eq!(
        shares(&gateway, 10).await,
        BTreeMap::from([("new".into(), 10)])
    );

    old.release(1);
    pending.answer().await.unwrap().is(200, "old");
    let address = old.address().to_string();
    eventually("the drained target to be gone", async || {
        (!statuses(&gateway).await.contains_key(&address)).then_some(())
    })
    .await;
    assert_eq!(old.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_comes_back_while_it_drains_is_used_again() {
    let target = Target::holding("back").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let mut connection = gateway.connect(Via::Http2, "orders.test").await;
    let pending = connection.start(Request::get("orders.test", "/"));
    target.arrived(1).await;
    gateway.reload(|setup| setup.targets("orders-targets", &[]));
    let answer = gateway.get("orders.test", "/").await;
    gateway
        .record_of(&answer)
        .await
        .failed(503, "TargetConnectionError");
    gateway.reload(|setup| setup.targets("orders-targets", &[&target]));
    target.release(2);
    gateway.get("orders.test", "/").await.is(200, "back");
    pending.answer().await.unwrap().is(200, "back");
}

/// Connections to targets are kept and used again, and a request that finds one closed goes out on another.
#[tokio::test(flavor = "multi_thread")]
async fn connections_to_targets_are_reused_and_replaced_when_the_target_closed_them() {
    let target = Target::scripted(|mut raw, number| async move {
        for _ in 0..2 {
            raw.read_head().await;
            raw.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}"
            ))
            .await;
        }
    })
    .await;
    // One worker: each has connections of its own.
    let gateway = Setup::with_orders([&target])
        .set("gateway.workers", json!(1))
        .start()
        .await;
    for expected in ["1", "1", "2", "2", "3"] {
        gateway.get("orders.test", "/").await.is(200, expected);
    }
}

/// A target says how long it keeps connections, and none is used when that is nearly over: here, none is kept at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_s_word_on_how_long_it_keeps_connections_counts() {
    for (said, connections) in [("timeout=1", 5), ("timeout=30, max=100", 1)] {
        let target =
            Target::answering(move |_| Reply::new(200, "v1").header("keep-alive", said)).await;
        let gateway = Setup::with_orders([&target])
            .set("gateway.workers", json!(1))
            .start()
            .await;
        for _ in 0..5 {
            let request = Request::post("orders.test", "/", "x");
            gateway.send(Via::Http1, request).await.is(200, "v1");
        }
        assert_eq!(target.connections(), connections, "{said}");
    }
}
