//! How requests are spread over the targets of a group, and which targets they avoid: what `balancing` and `outlierDetection` add to
//! the turns of VPC Lattice.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering::SeqCst},
    },
};

use serde_json::{Value, json};
use trellis_tests::{Answer, Gateway, Reply, Request, Setup, Target, Via, eventually, forward};

async fn named<const N: usize>(names: [&'static str; N]) -> Vec<Target> {
    let mut targets = Vec::new();
    for name in names {
        targets.push(Target::named(name).await);
    }
    targets
}

/// `orders` with these targets and this balancing.
fn balanced(targets: &[Target], balancing: &Value) -> Setup {
    Setup::with_orders(targets).set("targetGroups.orders-targets.balancing", balancing.clone())
}

/// How many requests each target got, of so many with these fields.
async fn counts(
    gateway: &Gateway,
    count: usize,
    fields: &[(&str, &str)],
) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut connection = gateway.connect(Via::Http1, "orders.test").await;
    for _ in 0..count {
        let mut request = Request::get("orders.test", "/");
        for (name, value) in fields {
            request = request.header(name, value);
        }
        let answer = connection.send(request).await;
        answer.has_status(200);
        *counts.entry(answer.text()).or_insert(0) += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_follow_the_weights_of_targets_to_the_letter() {
    let targets = named(["light", "heavy"]).await;
    let gateway = Setup::with_orders(&targets)
        .adjust(|config| {
            for (target, weight) in Arc::make_mut(&mut config.target_groups[0])
                .targets
                .iter_mut()
                .zip([1, 4])
            {
                target.weight = weight;
            }
        })
        .start()
        .await;
    let expected = BTreeMap::from([("light".into(), 4), ("heavy".into(), 16)]);
    assert_eq!(counts(&gateway, 20, &[]).await, expected);
}

/// A target that holds its requests has the most running ones, and gets no further one while others have fewer.
#[tokio::test(flavor = "multi_thread")]
async fn busy_targets_are_spared_by_algorithms_that_count_requests() {
    for algorithm in ["LEAST_REQUEST", "RANDOM_TWO_CHOICES"] {
        let (slow, quick) = (Target::holding("slow").await, Target::named("quick").await);
        let gateway = Setup::with_orders([&slow, &quick])
            .set(
                "targetGroups.orders-targets.balancing",
                json!({"algorithm": algorithm}),
            )
            .start()
            .await;
        let mut connection = gateway.connect(Via::Http2, "orders.test").await;
        // Of two idle targets either may be first; the slow one keeps the first request that it gets.
        let mut pending = Vec::new();
        while slow.count() == 0 {
            pending.push(connection.start(Request::get("orders.test", "/")));
            eventually("the request to arrive", async || {
                (slow.count() + quick.count() == pending.len()).then_some(())
            })
            .await;
        }
        let expected = BTreeMap::from([("quick".into(), 20)]);
        assert_eq!(counts(&gateway, 20, &[]).await, expected, "{algorithm}");
        slow.release(1);
        for pending in pending {
            pending.answer().await.unwrap().has_status(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hashes_lead_each_key_to_one_target_and_keys_to_all() {
    let targets = named(["a", "b", "c", "d"]).await;
    for (hash, field) in [
        (json!({"header": "x-user"}), "x-user"),
        (json!({"cookie": "user"}), "cookie"),
    ] {
        let balancing = json!({"algorithm": "MAGLEV", "hash": hash});
        let gateway = balanced(&targets, &balancing).start().await;
        let mut seen = BTreeMap::new();
        for user in 0..40 {
            let value = format!("{}{user}", if field == "cookie" { "user=" } else { "" });
            let counts = counts(&gateway, 3, &[(field, &value)]).await;
            assert_eq!(counts.len(), 1, "{value}: {counts:?}");
            seen.extend(counts);
        }
        assert_eq!(seen.len(), 4, "{field}: {seen:?}");
        // Without the field there is nothing to hash, and all are used.
        assert!(counts(&gateway, 40, &[]).await.len() > 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_of_the_source_keeps_one_client_at_one_target() {
    let targets = named(["a", "b", "c", "d"]).await;
    let balancing = json!({"algorithm": "MAGLEV", "hash": {"source": true}});
    let gateway = balanced(&targets, &balancing).start().await;
    assert_eq!(counts(&gateway, 20, &[]).await.len(), 1);
}

/// The cookie that an answer sets, and its attributes.
fn set_cookie(answer: &Answer) -> Option<(String, String)> {
    let field = answer.headers.get("set-cookie")?.to_str().unwrap();
    let (pair, attributes) = field.split_once("; ").unwrap();
    Some((pair.to_owned(), attributes.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sticky_client_stays_until_its_target_is_gone_and_then_at_another() {
    let targets = named(["a", "b", "c"]).await;
    let mut gateway = balanced(&targets, &json!({"stickiness": {"cookieName": "stay"}}))
        .start()
        .await;
    let first = gateway.get("orders.test", "/").await;
    let (pair, attributes) = set_cookie(&first).unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly");
    let at = first.text();
    for target in &targets {
        let address = target.address();
        assert!(
            !pair.contains(&address.ip().to_string())
                && !pair.contains(&address.port().to_string())
        );
    }
    let again = |cookie: String| Request::get("orders.test", "/").header("cookie", &cookie);
    for _ in 0..10 {
        let answer = gateway
            .send(Via::Http1, again(format!("x=y; {pair}")))
            .await;
        answer.is(200, &at);
        assert_eq!(set_cookie(&answer), None, "nothing changed");
    }

    let others: Vec<&Target> = targets
        .iter()
        .zip(["a", "b", "c"])
        .filter(|(_, name)| *name != at)
        .map(|(target, _)| target)
        .collect();
    gateway.reload(|setup| setup.targets("orders-targets", &others));
    let moved = gateway.send(Via::Http1, again(pair.clone())).await;
    assert_ne!(moved.text(), at);
    let (next, _) = set_cookie(&moved).unwrap();
    assert_ne!(next, pair);
    gateway
        .send(Via::Http1, again(next))
        .await
        .is(200, &moved.text());
}

/// The twins: what the gateway did not make leads nowhere, and does no harm.
#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_of_somebody_elses_making_is_replaced() {
    let targets = named(["a", "b"]).await;
    let gateway = balanced(&targets, &json!({"stickiness": {"durationSeconds": 60}}))
        .start()
        .await;
    let address = targets[0].address().to_string();
    let long = "A".repeat(4000);
    for value in [address.as_str(), "", "AAAAAAAAAAAAAAAAAAAAAA", "%00", &long] {
        let cookie = format!("TRELLIS-TARGET={value}");
        let answer = gateway
            .send(
                Via::Http1,
                Request::get("orders.test", "/").header("cookie", &cookie),
            )
            .await;
        answer.has_status(200);
        let (pair, attributes) = set_cookie(&answer).unwrap();
        assert_ne!(pair, cookie);
        assert_eq!(attributes, "Path=/; HttpOnly; Max-Age=60");
        // With a duration, its time begins anew with each answer.
        let answer = gateway
            .send(
                Via::Http1,
                Request::get("orders.test", "/").header("cookie", &pair),
            )
            .await;
        assert_eq!(set_cookie(&answer).unwrap().0, pair);
    }
}

/// A client that comes back to its target comes back to its group, unless that is to get nothing more.
#[tokio::test(flavor = "multi_thread")]
async fn a_sticky_client_stays_at_its_group_while_that_has_weight() {
    let (one, two) = (Target::named("one").await, Target::named("two").await);
    let mut gateway = Setup::new()
        .group("one", [&one])
        .group("two", [&two])
        .set("targetGroups.one.balancing", json!({"stickiness": {}}))
        .set("targetGroups.two.balancing", json!({"stickiness": {}}))
        .service("orders", &forward(&[("one", 1), ("two", 1)]))
        .start()
        .await;
    let first = gateway.get("orders.test", "/").await;
    let (pair, _) = set_cookie(&first).unwrap();
    let all = counts(&gateway, 20, &[("cookie", &pair)]).await;
    assert_eq!(all, BTreeMap::from([(first.text(), 20)]));

    let weights = if first.text() == "one" {
        [0, 1]
    } else {
        [1, 0]
    };
    gateway.reload(|setup| {
        let groups = forward(&[("one", weights[0]), ("two", weights[1])]);
        setup.set("services.orders.listeners.http.defaultAction", groups)
    });
    let other = gateway
        .send(
            Via::Http1,
            Request::get("orders.test", "/").header("cookie", &pair),
        )
        .await;
    assert_ne!(other.text(), first.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_cookie_is_for_tls_only() {
    let targets = named(["a"]).await;
    let gateway = balanced(&targets, &json!({"stickiness": {}})).start().await;
    for via in [Via::Http1Tls, Via::Http2Tls] {
        let mut connection = gateway.connect(via, "orders.test").await;
        let answer = connection.send(Request::get("orders.test", "/")).await;
        assert_eq!(set_cookie(&answer).unwrap().1, "Path=/; HttpOnly; Secure");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_stay_in_the_zone_of_the_gateway() {
    let targets = named(["here", "there"]).await;
    let gateway = balanced(&targets, &json!({"zonePreference": {}}))
        .set("gateway.zone", json!("a"))
        .adjust(|config| {
            for (target, zone) in Arc::make_mut(&mut config.target_groups[0])
                .targets
                .iter_mut()
                .zip(["a", "b"])
            {
                target.zone = Some(zone.into());
            }
        })
        .start()
        .await;
    assert_eq!(
        counts(&gateway, 10, &[]).await,
        BTreeMap::from([("here".into(), 10)])
    );
}

/// A target that answers with the status it was given last.
async fn moody(name: &'static str) -> (Target, Arc<AtomicU16>) {
    let mood = Arc::new(AtomicU16::new(200));
    let shown = Arc::clone(&mood);
    let target = Target::answering(move |_| Reply::new(shown.load(SeqCst), name)).await;
    (target, mood)
}

/// Three failures in a row eject, for half a second at first.
fn detecting(setup: Setup) -> Setup {
    setup.set(
        "targetGroups.orders-targets.outlierDetection",
        json!({"maxServerErrors": 3, "intervalMillis": 100, "baseEjectionDurationMillis": 500, "maxEjectionPercent": 50}),
    )
}

async fn target_state(gateway: &Gateway, target: &Target) -> Value {
    let page: Value = serde_json::from_str(&gateway.admin("/targets").await.text()).unwrap();
    let targets = page["targetGroups"][0]["targets"].as_array().unwrap();
    let address = target.address().to_string();
    targets
        .iter()
        .find(|state| state["address"] == address)
        .unwrap()
        .clone()
}

/// Whether a request gets a server error of its target, which the record has as well.
async fn fails(gateway: &mut Gateway) -> bool {
    let answer = gateway.get("orders.test", "/").await;
    if answer.status < 500 {
        return false;
    }
    let record = gateway.record_of(&answer).await;
    record.failed(answer.status, "-");
    true
}

/// How often targets of `orders` were ejected, as the metrics have it.
async fn ejections(gateway: &Gateway) -> u64 {
    let page = gateway.admin("/metrics").await.text();
    let line = page
        .lines()
        .find(|line| line.starts_with("gateway_target_ejections_total{"));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

async fn is_ejected(gateway: &Gateway, target: &Target, wanted: bool) {
    eventually("the target to be ejected or back", async || {
        (target_state(gateway, target).await["ejected"] == wanted).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_fails_requests_is_ejected_and_comes_back() {
    let (good, (bad, mood)) = (Target::named("good").await, moody("bad").await);
    let mut gateway = detecting(Setup::with_orders([&good, &bad])).start().await;
    mood.store(503, SeqCst);
    let mut failures = 0;
    for _ in 0..6 {
        failures += usize::from(fails(&mut gateway).await);
    }
    assert_eq!(failures, 3, "every other request, of six");
    is_ejected(&gateway, &bad, true).await;
    gateway.expect_log("OutlierDetected").await;
    let state = target_state(&gateway, &bad).await;
    assert_eq!(state["status"], "UNHEALTHY");
    assert_eq!(state["reasonCode"], "OutlierDetected");
    assert_eq!(state["receivesRequests"], false);
    assert_eq!(ejections(&gateway).await, 1);

    mood.store(200, SeqCst);
    is_ejected(&gateway, &bad, false).await;
    assert_eq!(counts(&gateway, 10, &[]).await.len(), 2, "it is used again");
    assert_eq!(target_state(&gateway, &bad).await["status"], "UNAVAILABLE");
}

/// The twin: what is not the target's fault, or not in a row, ejects nobody.
#[tokio::test(flavor = "multi_thread")]
async fn errors_of_clients_and_failures_between_successes_eject_nobody() {
    let (target, mood) = moody("target").await;
    let other = Target::named("other").await;
    let mut gateway = detecting(Setup::with_orders([&target, &other]))
        .start()
        .await;
    for status in [404, 429, 503, 503, 200, 503, 503, 200] {
        mood.store(status, SeqCst);
        for _ in 0..2 {
            fails(&mut gateway).await;
        }
    }
    assert_eq!(ejections(&gateway).await, 0);
    assert_eq!(target_state(&gateway, &target).await["ejected"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_takes_no_connections_is_ejected_sooner_where_that_is_wanted() {
    let good = Target::named("good").await;
    let mut setup = Setup::new();
    let nobody = std::net::SocketAddr::from((setup.ip(), setup.free_port()));
    let gateway = setup
        .group_at("orders-targets", &[good.address(), nobody])
        .service("orders", &forward(&[("orders-targets", 100)]))
        .set(
            "targetGroups.orders-targets.outlierDetection",
            json!({"maxServerErrors": 100, "maxConnectionFailures": 1, "intervalMillis": 60000, "maxEjectionPercent": 50}),
        )
        .start()
        .await;
    // What is sent to the one goes to the other in its place, but it is counted.
    for _ in 0..2 {
        gateway.get("orders.test", "/").await.is(200, "good");
    }
    gateway.expect_log("OutlierDetected").await;
    assert_eq!(
        counts(&gateway, 10, &[]).await,
        BTreeMap::from([("good".into(), 10)])
    );
}
