//! Targets and clients that misbehave, die or dawdle: what the other side sees, and what is recorded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use hyper::body::Frame;
use serde_json::json;
use trellis_tests::{Reply, Request, Setup, Target, Via, eventually, forward};

/// `orders` with an idle timeout and a time for heads shorter than usual.
fn impatient(target: &Target) -> Setup {
    Setup::with_orders([target])
        .set("services.orders.timeouts", json!({"idleMillis": 300}))
        .adjust(move |config| {
            config.gateway.limits.header_timeout = Duration::from_millis(300);
        })
}

/// Answers that break off: what came goes on to the client, who learns by the missing end that it is not all.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_dies_in_its_answer_breaks_it_off_for_the_client() {
    let rows: [(&[u8], &str); 3] = [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
            "TargetConnectionClosed",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "TargetConnectionClosed",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
            "TargetProtocolError",
        ),
    ];
    for (bytes, reason) in rows {
        let target = Target::saying(bytes).await;
        let mut gateway = Setup::with_orders([&target]).start().await;
        for via in [Via::Http1, Via::Http2] {
            let broken = gateway
                .try_send(via, Request::get("orders.test", "/"))
                .await
                .unwrap_err();
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(broken.status(), Some(200), "{via:?} {text:?}");
            assert!(b"hello".starts_with(&broken.body), "{via:?} {text:?}");
            let record = gateway.record_for("/").await;
            record
                .failed(200, reason)
                .has([("targetIpPort", json!(target.address().to_string()))]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_falls_silent_in_its_answer_breaks_it_off_for_the_client() {
    let target = Target::scripted(|mut raw, _| async move {
        raw.read_head().await;
        raw.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
            .await;
        raw.read_to_end().await;
    })
    .await;
    let mut gateway = impatient(&target).start().await;
    for via in [Via::Http1, Via::Http2] {
        let broken = gateway
            .try_send(via, Request::get("orders.test", "/"))
            .await
            .unwrap_err();
        assert_eq!((broken.status(), &*broken.body), (Some(200), &b"hello"[..]));
        gateway
            .record_for("/")
            .await
            .failed(200, "TargetDataTimeout");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_target_is_waited_for_as_long_as_it_says_something() {
    let target = Target::scripted(|mut raw, _| async move {
        raw.read_head().await;
        raw.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
            .await;
        for letter in ["s", "l", "o", "w", "l", "y"] {
            // Slower than the test would have patience for in all, but never silent for long.
            tokio::time::sleep(Duration::from_millis(100)).await;
            raw.send(letter).await;
        }
    })
    .await;
    let gateway = impatient(&target).start().await;
    gateway.get("orders.test", "/").await.is(200, "slowly");
}

/// What a target says beyond its answer reaches nobody, and its connection is not used again.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_beyond_an_answer_are_not_the_next_one() {
    let target = Target::scripted(|mut raw, number| async move {
        raw.read_head().await;
        raw.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")).await;
        raw.read_to_end().await;
    })
    .await;
    let gateway = Setup::with_orders([&target])
        .set("gateway.workers", json!(1))
        .start()
        .await;
    let mut connection = gateway.connect(Via::Http1, "orders.test").await;
    for expected in ["1", "2", "3"] {
        connection
            .send(Request::get("orders.test", "/"))
            .await
            .is(200, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_ends_with_the_connection_is_whole() {
    let target = Target::saying(b"HTTP/1.1 200 OK\r\n\r\nto the end").await;
    let gateway = Setup::with_orders([&target]).start().await;
    for via in Via::ALL {
        gateway
            .send(via, Request::get("orders.test", "/"))
            .await
            .is(200, "to the end");
    }
}

/// A target may refuse a body before it has come: the client gets the answer, whatever it still wanted to send.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_before_the_body_has_come_reaches_the_client() {
    let target = Target::scripted(|mut raw, _| async move {
        raw.read_head().await;
        raw.send(
            "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig",
        )
        .await;
        raw.finish().await;
        raw.read_to_end().await;
    })
    .await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    for via in [Via::Http1, Via::Http2] {
        let (request, pieces) = Request::new("POST", "orders.test", "/").streaming();
        let mut connection = gateway.connect(via, "orders.test").await;
        let pending = connection.start(request);
        pieces
            .send(Ok(Frame::data("the first of many".into())))
            .await
            .unwrap();
        let answer = pending.answer().await.unwrap();
        answer.is(413, "big");
        drop((pieces, connection));
        // Whether the client is seen to leave before its body is done depends on who is faster.
        let record = gateway.record_of(&answer).await;
        record.has([("responseCode", json!(413))]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_speak_http2_is_a_bad_one() {
    for bytes in [
        &b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..],
        b"\0\0\0\0",
        b"",
    ] {
        let target = Target::scripted(move |mut raw, _| async move {
            raw.read_until("SM\r\n\r\n").await;
            raw.send(bytes).await;
        })
        .await;
        let mut gateway = Setup::with_orders([&target])
            .set(
                "targetGroups.orders-targets.config.protocolVersion",
                json!("HTTP2"),
            )
            .start()
            .await;
        let answer = gateway
            .send(Via::Http2, Request::get("orders.test", "/"))
            .await;
        let record = gateway.record_of(&answer).await;
        assert!(matches!(answer.status, 500 | 502), "{bytes:?}: {answer:?}");
        let reason = record.text("failureReason");
        assert!(reason.starts_with("Target"), "{bytes:?}: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_its_answer_is_recorded_and_its_target_freed() {
    let target = Target::holding("late").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    for (number, via) in [Via::Http1, Via::Http1Tls, Via::Http2, Via::Http2Tls]
        .into_iter()
        .enumerate()
    {
        let mut connection = gateway.connect(via, "orders.test").await;
        let pending = connection.start(Request::get("orders.test", &format!("/{number}")));
        target.arrived(number + 1).await;
        drop(pending);
        drop(connection);
        let record = gateway.record_for(&format!("/{number}")).await;
        record
            .failed(0, "ClientConnectionClosed")
            .has([("targetIpPort", json!(target.address().to_string()))]);
        eventually("the target to be free", async || {
            (target.open_connections() == 0).then_some(())
        })
        .await;
    }
    gateway.expect_metric("gateway_requests_in_flight", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_in_its_body_is_recorded_and_its_target_told() {
    let target = Target::named("never").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    for (number, via) in [Via::Http1, Via::Http2].into_iter().enumerate() {
        let (request, pieces) =
            Request::new("POST", "orders.test", &format!("/{number}")).streaming();
        let mut connection = gateway.connect(via, "orders.test").await;
        let pending = connection.start(request);
        pieces
            .send(Ok(Frame::data("half of".into())))
            .await
            .unwrap();
        eventually("the request at the target", async || {
            (target.connections() == number + 1).then_some(())
        })
        .await;
        // A body that fails, not one that merely has no more pieces: over HTTP/2 that would be its proper end.
        let torn = std::io::Error::other("the client gives up");
        pieces.send(Err(torn)).await.unwrap();
        drop((pending, connection));
        let record = gateway.record_for(&format!("/{number}")).await;
        record.has([("failureReason", json!("ClientConnectionClosed"))]);
        target.arrived(number + 1).await;
        assert!(!target.seen()[number].complete);
    }
}

/// A target that sends as much as it can get rid of, and counts it.
async fn endless() -> (Target, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let target = Target::streaming(move |_| {
        let counter = Arc::clone(&counter);
        async move {
            let (reply, pieces) = Reply::new(200, "").streaming();
            tokio::spawn(async move {
                let piece = Bytes::from(vec![b'x'; 64 * 1024]);
                while pieces.send(Ok(Frame::data(piece.clone()))).await.is_ok() {
                    counter.fetch_add(piece.len(), Ordering::SeqCst);
                }
            });
            reply
        }
    })
    .await;
    (target, sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_in_an_answer_ends_it_at_the_target() {
    let (target, _) = endless().await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    for (number, via) in Via::ALL.into_iter().enumerate() {
        let mut connection = gateway.connect(via, "orders.test").await;
        let mut answer = connection
            .start(Request::get("orders.test", &format!("/{number}")))
            .head()
            .await
            .unwrap();
        answer.next().await.unwrap();
        drop((answer, connection));
        gateway
            .record_for(&format!("/{number}"))
            .await
            .failed(200, "ClientConnectionClosed");
        eventually("the target to be free", async || {
            (target.open_connections() == 0).then_some(())
        })
        .await;
    }
}

/// Of an HTTP/2 connection, only the stream that is given up ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_reset_leaves_its_siblings_alone() {
    let target = Target::holding("kept").await;
    let mut gateway = Setup::with_orders([&target]).start().await;
    let mut connection = gateway.connect(Via::Http2, "orders.test").await;
    let given_up = connection.start(Request::get("orders.test", "/given-up"));
    target.arrived(1).await;
    let kept = connection.start(Request::get("orders.test", "/kept"));
    target.arrived(2).await;
    drop(given_up);
    gateway
        .record_for("/given-up")
        .await
        .failed(0, "ClientConnectionClosed");
    target.release(2);
    kept.answer().await.unwrap().is(200, "kept");
}

/// A client that does not read holds up the target, not the gateway's memory; after the idle timeout it is let go.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_bounded_and_let_go() {
    const BOUND: usize = 24 * 1024 * 1024;
    let (target, sent) = endless().await;
    let mut gateway = impatient(&target).start().await;
    let mut raw = gateway.raw().await;
    raw.send("GET /raw HTTP/1.1\r\nHost: orders.test\r\n\r\n")
        .await;
    let record = gateway.record_for("/raw").await;
    record.failed(200, "ClientConnectionClosed");
    assert!(sent.load(Ordering::SeqCst) < BOUND, "{sent:?}");
    drop(raw);

    let mut connection = gateway.connect(Via::Http2, "orders.test").await;
    let answer = connection
        .start(Request::get("orders.test", "/two"))
        .head()
        .await
        .unwrap();
    let record = gateway.record_for("/two").await;
    record.failed(200, "ClientConnectionClosed");
    assert!(sent.load(Ordering::SeqCst) < 2 * BOUND, "{sent:?}");
    drop(answer);
}

/// A target that does not read its request holds up the client, not the gateway's memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_read_is_bounded_and_given_up() {
    const BOUND: usize = 24 * 1024 * 1024;
    let target = Target::scripted(|mut raw, _| async move {
        raw.read_head().await;
        std::future::pending::<()>().await;
    })
    .await;
    let mut gateway = impatient(&target).start().await;
    for via in [Via::Http1, Via::Http2] {
        let (request, pieces) = Request::new("POST", "orders.test", "/").streaming();
        let mut connection = gateway.connect(via, "orders.test").await;
        let pending = connection.start(request);
        let piece = Bytes::from(vec![b'x'; 64 * 1024]);
        let mut sent = 0;
        while pieces.send(Ok(Frame::data(piece.clone()))).await.is_ok() {
            sent += piece.len();
            assert!(sent < BOUND, "{via:?}");
        }
        if let Ok(answer) = pending.answer().await {
            answer.has_status(504);
        }
        let record = gateway.record_for("/").await;
        record.failed(504, "TargetDataTimeout");
    }
}

/// Trouble with one target does not spread: its service fails, the other goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_in_trouble_leaves_the_others_alone() {
    let (stuck, fine) = (Target::holding("stuck").await, Target::named("fine").await);
    let mut gateway = Setup::with_orders([&stuck])
        .group("carts-targets", [&fine])
        .service("carts", &forward(&[("carts-targets", 1)]))
        .start()
        .await;
    let mut connection = gateway.connect(Via::Http2, "orders.test").await;
    let waiting: Vec<_> = (0..50)
        .map(|_| connection.start(Request::get("orders.test", "/")))
        .collect();
    stuck.arrived(50).await;
    for via in Via::ALL {
        gateway
            .send(via, Request::get("carts.test", "/"))
            .await
            .is(200, "fine");
    }
    stuck.release(50);
    for pending in waiting {
        pending.answer().await.unwrap().is(200, "stuck");
    }
    gateway.expect_metric("gateway_requests_in_flight", 0).await;
}
