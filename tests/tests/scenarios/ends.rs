//! How connections and the gateway itself end: idle timeouts, lifetimes, a stop in order.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::Frame;
use serde_json::json;
use trellis_tests::{Gateway, Reply, Request, Setup, Target, Via, eventually};

const SHORT: Duration = Duration::from_millis(300);

/// A connection's lifetime that is awaited, and long enough to send a request in, TLS handshake included, on a busy machine.
const LIFETIME: Duration = Duration::from_secs(1);

/// A target that begins an answer at once and ends it never, unless it is told to by the scenario's dropping it.
async fn murmuring() -> Target {
    Target::streaming(|_| async {
        let (reply, pieces) = Reply::new(200, "").streaming();
        tokio::spawn(async move {
            while pieces
                .send(Ok(Frame::data(Bytes::from_static(b"m"))))
                .await
                .is_ok()
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        reply
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_after_the_idle_timeout() {
    let target = Target::named("v1").await;
    let gateway = Setup::with_orders([&target])
        .set(
            "services.orders.timeouts",
            json!({"idleMillis": SHORT.as_millis()}),
        )
        .adjust(|config| config.gateway.limits.header_timeout = SHORT)
        .start()
        .await;
    for via in Via::ALL {
        let mut connection = gateway.connect(via, "orders.test").await;
        let began = Instant::now();
        connection
            .send(Request::get("orders.test", "/"))
            .await
            .is(200, "v1");
        connection.closed().await;
        assert!(began.elapsed() >= SHORT, "{via:?}");
    }
}

/// The idle timeout is about silence: a connection that is used, and a stream that moves, outlive it many times over.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_in_use_outlives_the_idle_timeout() {
    let target = murmuring().await;
    let mut gateway = Setup::with_orders([&target])
        .set(
            "services.orders.timeouts",
            json!({"idleMillis": SHORT.as_millis()}),
        )
        .adjust(|config| config.gateway.limits.header_timeout = SHORT)
        .start()
        .await;
    for via in [Via::Http1, Via::Http2] {
        let mut connection = gateway.connect(via, "orders.test").await;
        let mut answer = connection
            .start(Request::get("orders.test", "/"))
            .head()
            .await
            .unwrap();
        let began = Instant::now();
        while began.elapsed() < 4 * SHORT {
            answer.next().await.unwrap();
        }
        drop((answer, connection));
        gateway
            .record_for("/")
            .await
            .failed(200, "ClientConnectionClosed");
    }
}

/// `orders` with connections that live for a short time and wind down for another.
async fn shortlived(target: &Target, wind_down: Duration) -> Gateway {
    let setup = Setup::with_orders([target]).adjust(move |config| {
        config.gateway.limits.header_timeout = SHORT;
        config.gateway.limits.connection_lifetime = Some(LIFETIME);
        config.gateway.limits.wind_down = Some(wind_down);
    });
    setup.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_at_the_end_of_its_life_takes_no_new_requests_and_finishes_those_it_has() {
    let target = Target::holding("slow").await;
    let gateway = shortlived(&target, Duration::from_secs(60)).await;
    for (number, via) in Via::ALL.into_iter().enumerate() {
        let mut connection = gateway.connect(via, "orders.test").await;
        let began = Instant::now();
        let pending = connection.start(Request::get("orders.test", "/"));
        target.arrived(number + 1).await;
        eventually("the end of its life", async || {
            (began.elapsed() > LIFETIME + SHORT).then_some(())
        })
        .await;
        target.release(1);
        let answer = pending.answer().await.unwrap();
        answer.is(200, "slow");
        if via.version() == http::Version::HTTP_11 {
            assert_eq!(answer.header("connection"), "close");
        }
        connection.closed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_outlives_the_winding_down_is_cut_and_recorded() {
    let target = murmuring().await;
    let mut gateway = shortlived(&target, SHORT).await;
    for via in Via::ALL {
        let broken = gateway
            .try_send(via, Request::get("orders.test", "/"))
            .await
            .unwrap_err();
        assert_eq!(broken.status(), Some(200), "{via:?}");
        gateway
            .record_for("/")
            .await
            .failed(200, "ConnectionDurationExceeded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_does_not_outlive_its_lifetime() {
    let target = Target::named("v1").await;
    let gateway = shortlived(&target, SHORT).await;
    for via in Via::ALL {
        let mut connection = gateway.connect(via, "orders.test").await;
        connection
            .send(Request::get("orders.test", "/"))
            .await
            .is(200, "v1");
        connection.closed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_running_requests_finish_and_closes_what_is_idle() {
    let target = Target::holding("last").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let mut idle = Vec::new();
    for via in Via::ALL {
        let mut connection = gateway.connect(via, "orders.test").await;
        let pending = connection.start(Request::get("orders.test", "/"));
        target.release(1);
        pending.answer().await.unwrap().is(200, "last");
        idle.push(connection);
    }
    let untouched = gateway.raw().await;
    let mut running = Vec::new();
    for via in Via::ALL {
        let mut connection = gateway.connect(via, "orders.test").await;
        let pending = connection.start(Request::get("orders.test", "/"));
        running.push((connection, pending));
    }
    target.arrived(8).await;

    let caller = gateway.caller();
    let stopping = gateway.begin_stop();
    for mut connection in idle {
        connection.closed().await;
    }
    let mut untouched = untouched;
    assert_eq!(untouched.read_to_end().await, "");
    eventually("new connections to be refused", async || {
        caller.try_connect(Via::Http1, "orders.test").await.err()
    })
    .await;
    assert!(!stopping.is_finished());
    target.release(4);
    for (mut connection, pending) in running {
        pending.answer().await.unwrap().is(200, "last");
        connection.closed().await;
    }
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_cuts_what_outlasts_the_grace_period_and_records_it() {
    let target = murmuring().await;
    let mut gateway = Setup::with_orders([&target])
        .set("gateway.workers", json!(1))
        .adjust(|config| config.gateway.limits.stop_grace = SHORT)
        .start()
        .await;
    let mut running = Vec::new();
    for via in Via::ALL {
        let mut connection = gateway.connect(via, "orders.test").await;
        let path = format!("/{via:?}");
        let answer = connection
            .start(Request::get("orders.test", &path))
            .head()
            .await
            .unwrap();
        running.push((connection, answer, path));
    }
    let began = Instant::now();
    gateway.stop().await;
    assert!(began.elapsed() >= SHORT);
    assert!(began.elapsed() < Duration::from_secs(10));
    for (_connection, answer, path) in running {
        answer.finish().await.unwrap_err();
        let record = gateway.record_for(&path).await;
        record.has([("responseCode", json!(200))]);
        assert_ne!(record.text("failureReason"), "-", "{path}");
    }
    let told = gateway.expect_log("stopped; connections were cut").await;
    let cut = format!("cut={}", Via::ALL.len());
    assert!(told.contains(&cut), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_grants_the_grace_period_of_the_running_configuration() {
    let target = murmuring().await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let mut connection = gateway.connect(Via::Http1, "orders.test").await;
    let running = connection.start(Request::get("orders.test", "/long"));
    let answer = running.head().await.unwrap();
    gateway.reload(|setup| setup.adjust(|config| config.gateway.limits.stop_grace = SHORT));
    let began = Instant::now();
    gateway.stop().await;
    // It began with thirty seconds.
    assert!(began.elapsed() < Duration::from_secs(10));
    answer.finish().await.unwrap_err();
    gateway.record_for("/long").await;
    gateway.expect_log("stopped; connections were cut").await;
}

/// Whoever embeds the gateway may stop it from a thread of a runtime, where running another one would panic.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_may_be_asked_for_within_a_runtime() {
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target])
        .set("gateway.dns", json!({"listen": ["127.0.0.1:0"]}))
        .start()
        .await;
    gateway.get("orders.test", "/").await.is(200, "v1");
    gateway.stop_here();
}

/// Frames of HTTP/2 as they are on the wire. Spec: RFC 9113 §4.1.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_http2_connection_is_told_to_go_away_when_the_gateway_stops() {
    const GOAWAY: u8 = 7;
    let target = Target::named("v1").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let mut raw = gateway.raw().await;
    raw.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    raw.send([0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
    let mut stopping = None;
    loop {
        let head = raw.read_exactly(9).await;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        raw.read_exactly(length as usize).await;
        // The first frame is the gateway's settings: it serves, and may be told to stop.
        stopping.get_or_insert_with(|| gateway.begin_stop());
        if head[3] == GOAWAY {
            break;
        }
    }
    drop(raw);
    stopping.unwrap().await.unwrap();
}

/// A gateway that stops is not ready: whoever balances over several takes it out.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_says_so_on_its_admin_pages() {
    let target = Target::holding("last").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    gateway.admin("/readyz").await.is(200, "ready\n");
    gateway.admin("/healthz").await.has_status(200);
    let admin = gateway.admin_address();
    let mut connection = gateway.connect(Via::Http1, "orders.test").await;
    let pending = connection.start(Request::get("orders.test", "/"));
    target.arrived(1).await;
    let stopping = gateway.begin_stop();
    eventually("the gateway to be not ready", async || {
        let page = gateway.page(admin, "/readyz").await;
        (page.status == 503 && page.text().contains("the gateway is stopping")).then_some(())
    })
    .await;
    gateway.page(admin, "/healthz").await.has_status(200);
    target.release(1);
    pending.answer().await.unwrap().is(200, "last");
    stopping.await.unwrap();
}

/// An HTTP/1 client that closes its half cannot be told from one that is gone, until something is written to it. Most are gone, so its
/// target is not kept busy for nothing; nginx and Envoy see it the same way. What the gateway says itself is there at once, and is sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_its_half_while_its_target_works_is_gone() {
    let target = Target::holding("done").await;
    let mut gateway = Setup::with_orders([&target])
        .service("fixed", &json!({"fixedResponse": {"statusCode": 404}}))
        .start()
        .await;
    let mut patient = gateway.raw().await;
    patient
        .send("GET /patient HTTP/1.1\r\nHost: orders.test\r\n\r\n")
        .await;
    target.arrived(1).await;
    let mut half = gateway.raw().await;
    half.send("GET /half HTTP/1.1\r\nHost: orders.test\r\n\r\n")
        .await;
    target.arrived(2).await;
    assert_eq!(target.open_connections(), 2);
    half.finish().await;
    assert_eq!(half.read_to_end().await, "");
    eventually("no connection for who is gone", async || {
        (target.open_connections() == 1).then_some(())
    })
    .await;
    let record = gateway.record_for("/half").await;
    record.failed(0, "ClientConnectionClosed");
    target.release(2);
    let answer = patient.read_head().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    let mut half = gateway.raw().await;
    half.send("GET / HTTP/1.1\r\nHost: fixed.test\r\n\r\n")
        .await;
    half.finish().await;
    let answer = half.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}
