//! What operators see of requests: metrics that agree with what happened, and no longer than there is something to see.

use serde_json::json;
use trellis_tests::{Issuer, Reply, Request, Setup, Target, TargetSide, Via, eventually, forward};

/// Both versions of TLS.
const BOTH: &[&rustls::SupportedProtocolVersion] =
    &[&rustls::version::TLS12, &rustls::version::TLS13];

#[tokio::test]
async fn requests_are_counted_for_target_group_network_vpc_and_account() {
    let target = Target::answering(|seen| {
        let code = if seen.path == "/broken" { 503 } else { 200 };
        Reply::new(code, "0123456789")
    })
    .await;
    let at = target.address();
    let mut gateway = Setup::with_orders([&target])
        .set(
            "targetGroups.orders-targets.targets",
            json!([{"id": at.ip().to_string(), "port": at.port(), "zone": "us-west-2b"}]),
        )
        .start()
        .await;
    for via in Via::ALL {
        gateway
            .send(via, Request::get("orders.test", "/"))
            .await
            .is(200, "0123456789");
    }
    let broken = gateway.get("orders.test", "/broken").await;
    broken.has_status(503);
    gateway.record_of(&broken).await;
    let group = "target_group=\"orders-targets\"";
    let all = Via::ALL.len() as u64 + 1;
    for (series, expected) in [
        ("gateway_target_requests_total", all),
        ("gateway_target_request_duration_seconds_count", all),
        ("gateway_network_requests_total", all),
        ("gateway_network_request_duration_seconds_count", all),
        ("gateway_vpc_requests_total", all),
        ("gateway_vpc_request_duration_seconds_count", all),
        (
            "gateway_account_requests_total{account=\"111122223333\"}",
            all,
        ),
        ("gateway_target_retries_total", 0),
        ("gateway_target_connection_failures_total", 0),
    ] {
        assert_eq!(gateway.metric(series), expected, "{series}");
    }
    let page = gateway.admin("/metrics").await.text();
    let owned = "gateway_account_resources{account=\"111122223333\",kind=\"target\"} 1\n";
    assert!(page.contains(owned), "{page}");
    let of_group: Vec<&str> = page.lines().filter(|line| line.contains(group)).collect();
    let has = |name: &str, label: &str, value: u64| {
        let end = format!(" {value}");
        let fits =
            |line: &&&str| line.starts_with(name) && line.contains(label) && line.ends_with(&end);
        assert!(
            of_group.iter().any(|line| fits(&line)),
            "{name} {label} {value}: {of_group:#?}"
        );
    };
    has("gateway_target_requests_total", "code=\"2xx\"", all - 1);
    has("gateway_target_requests_total", "code=\"5xx\"", 1);
    has("gateway_target_requests_total", "zone=\"us-west-2b\"", 1);
    has(
        "gateway_target_connections_opened_total",
        "protocol=\"http1\"",
        target.connections() as u64,
    );
    has(
        "gateway_target_connections{",
        "zone=\"us-west-2b\"",
        target.open_connections() as u64,
    );
    for bytes in [
        "gateway_target_received_bytes_total",
        "gateway_target_sent_bytes_total",
    ] {
        // Four answers of ten bytes, and their heads.
        assert!(gateway.metric(bytes) > 10 * all, "{bytes}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn connections_to_targets_that_fail_are_counted_by_why() {
    let issuer = Issuer::new("targets");
    let side = TargetSide::new(
        &issuer.server_identity(&["orders.test"], |_| {}),
        BOTH,
        None,
    );
    let secure = Target::over_tls(&side, |_| Reply::new(200, "fine")).await;
    let mut gone = Target::named("gone").await;
    gone.retire().await;
    let mut gateway = Setup::new()
        .group("secure", [&secure])
        .group("gone", [&gone])
        .service("orders", &forward(&[("secure", 1)]))
        .service("lost", &forward(&[("gone", 1)]))
        .set("targetGroups.secure.config.protocol", json!("HTTPS"))
        .start()
        .await;
    gateway.get("orders.test", "/").await.is(200, "fine");
    let lost = gateway.get("lost.test", "/").await;
    lost.has_status(500);
    gateway
        .record_of(&lost)
        .await
        .failed(500, "TargetConnectionError");
    let page = gateway.admin("/metrics").await.text();
    for (name, labels, value) in [
        (
            "gateway_target_tls_handshakes_total",
            ["target_group=\"secure\"", "outcome=\"ok\""],
            1,
        ),
        (
            "gateway_target_tls_handshakes_total",
            ["target_group=\"secure\"", "outcome=\"failed\""],
            0,
        ),
        (
            "gateway_target_connection_failures_total",
            ["target_group=\"gone\"", "reason=\"refused\""],
            1,
        ),
        (
            "gateway_target_connection_failures_total",
            ["target_group=\"gone\"", "reason=\"tls\""],
            0,
        ),
        (
            "gateway_target_connection_failures_total",
            ["target_group=\"secure\"", "reason=\"refused\""],
            0,
        ),
    ] {
        let line = page
            .lines()
            .find(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
        let value = format!(" {value}");
        assert!(
            line.is_some_and(|line| line.ends_with(&value)),
            "{name} {labels:?}: {line:?}"
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn series_of_a_removed_service_are_gone() {
    let target = Target::named("one").await;
    let mut gateway = Setup::new()
        .group("one", [&target])
        .group("two", [&target])
        .service("orders", &forward(&[("one", 1)]))
        .service("brief", &forward(&[("two", 1)]))
        .start()
        .await;
    for host in ["orders.test", "brief.test"] {
        gateway.get(host, "/").await.is(200, "one");
    }
    // A request is counted when it is recorded, a moment after its answer.
    eventually("the series of both services", async || {
        let page = gateway.admin("/metrics").await.text();
        (page.contains("service=\"brief\"") && page.contains("target_group=\"two\"")).then_some(())
    })
    .await;
    gateway.reload(|setup| setup.without_service("brief"));
    gateway.expect_uncounted(1);
    // They go when the last snapshot that has them is let go, by a connection that is just ending perhaps.
    let page = eventually("the series of the removed service to go", async || {
        gateway.settle_metrics();
        let page = gateway.admin("/metrics").await.text();
        (!page.contains("service=\"brief\"")).then_some(page)
    })
    .await;
    assert!(page.contains("service=\"orders\""));
    gateway.stop().await;
}
