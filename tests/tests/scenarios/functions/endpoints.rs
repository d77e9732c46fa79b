//! Endpoints of functions that say nonsense, hang up, fall silent or are not there.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use trellis_tests::{Request, Setup, Target, Via, eventually, forward};

use super::telling;

/// One row: what the endpoint sends, and what becomes of it.
type Row = (&'static str, Vec<u8>, u16, &'static str, &'static str);

fn answering(head: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn hostile() -> Vec<Row> {
    let protocol = "TargetProtocolError";
    let large = format!(r#"{{"statusCode":200,"body":"{}"}}"#, "a".repeat(7_000_000));
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
        large.len()
    );
    let heads = format!("HTTP/1.1 200 OK\r\n{}", "x-a: b\r\n".repeat(100_000));
    vec![
        (
            "nothing",
            Vec::new(),
            502,
            "TargetConnectionClosed",
            "the function's endpoint closed the connection",
        ),
        (
            "half a head",
            b"HTTP/1.1 200 OK\r\nConte".to_vec(),
            502,
            "TargetConnectionClosed",
            "the function's endpoint closed the connection",
        ),
        (
            "half a body",
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"statusCode\":200}".to_vec(),
            502,
            "TargetConnectionClosed",
            "the function's endpoint closed the connection",
        ),
        (
            "no HTTP",
            b"\x16\x03\x01 nonsense\r\n\r\n".to_vec(),
            502,
            protocol,
            "-",
        ),
        ("too long a head", heads.into_bytes(), 502, protocol, "-"),
        (
            "a length that is none",
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n".to_vec(),
            502,
            protocol,
            "-",
        ),
        (
            "a short length",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{\"statusCode\":200}".to_vec(),
            502,
            protocol,
            "the function's result is not JSON",
        ),
        (
            "no JSON",
            answering("200 OK", "<html>"),
            502,
            protocol,
            "the function's result is not JSON",
        ),
        (
            "no object",
            answering("200 OK", "\"hello\""),
            502,
            protocol,
            "the function's result is no object",
        ),
        (
            "no status",
            answering("200 OK", "{}"),
            502,
            protocol,
            "the function's result has no `statusCode`, or a member of a wrong type, or one twice",
        ),
        (
            "a wrong status",
            answering("200 OK", r#"{"statusCode":99}"#),
            502,
            protocol,
            "the function's `statusCode` is not in the range 200 to 599",
        ),
        (
            "a split header",
            answering(
                "200 OK",
                r#"{"statusCode":200,"headers":{"a":"b\r\nc: d"}}"#,
            ),
            502,
            protocol,
            "the function's result has a malformed header",
        ),
        (
            "too large",
            answering("200 OK", &large),
            502,
            protocol,
            "the function's result is larger than 6 MiB",
        ),
        (
            "too large by and by",
            chunked.into_bytes(),
            502,
            protocol,
            "the function's result is larger than 6 MiB",
        ),
        (
            "a function error",
            answering(
                "200 OK\r\nX-Amz-Function-Error: Unhandled",
                r#"{"errorMessage":"secret","statusCode":200}"#,
            ),
            502,
            protocol,
            "the function failed",
        ),
        (
            "a throttle",
            answering("429 Too Many Requests", "{}"),
            503,
            protocol,
            "the function is throttled",
        ),
        (
            "no permission",
            answering("403 Forbidden", "{}"),
            502,
            protocol,
            "the function's endpoint answered 403",
        ),
        (
            "no function",
            answering("404 Not Found", "{}"),
            502,
            protocol,
            "the function's endpoint answered 404",
        ),
        (
            "an accepted event",
            answering("202 Accepted", r#"{"statusCode":200}"#),
            502,
            protocol,
            "the function's endpoint answered 202",
        ),
        (
            "a redirect",
            answering(
                "307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/",
                "",
            ),
            502,
            protocol,
            "the function's endpoint answered 307",
        ),
        (
            "its own trouble",
            answering("500 Internal Server Error", "{}"),
            502,
            protocol,
            "the function's endpoint answered 500",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_says_nonsense_has_a_stated_status_and_harms_nobody_else() {
    let healthy = telling().await;
    for (what, bytes, status, reason, fault) in hostile() {
        let target = Target::scripted(move |mut raw, _| {
            let bytes = bytes.clone();
            async move {
                // The end of the event as well: a socket that is closed with something unread resets the connection.
                raw.read_until("\"requestId\":").await;
                raw.read_until("}").await;
                // Whoever has heard enough hangs up.
                let _ = raw.try_send(&bytes).await;
            }
        })
        .await;
        let endpoint = format!("http://{}", healthy.address());
        let mut gateway = Setup::with_function(&target)
            .function("others", "V2", &json!({"endpoint": endpoint}))
            .service("others", &forward(&[("others", 100)]))
            .start()
            .await;
        for via in [Via::Http1, Via::Http2] {
            let mut connection = gateway.connect(via, "orders.test").await;
            let answer = connection.send(Request::get("orders.test", "/")).await;
            assert_eq!(answer.status, status, "{what}");
            assert!(
                !answer.text().contains("secret"),
                "{what}: {}",
                answer.text()
            );
            let record = gateway.record_of(&answer).await;
            record
                .failed(status, reason)
                .has([("targetIpPort", json!("-"))]);
            if fault != "-" {
                record.adds([("fault", json!(fault))]);
            }
            // The client's connection goes on, and so do other functions.
            connection
                .send(Request::get("others.test", "/"))
                .await
                .has_status(201);
        }
        eventually("no connection to the endpoint", async || {
            (target.open_connections() == 0).then_some(())
        })
        .await;
    }
}

/// `orders` with times shorter than documents allow.
fn impatient(target: &Target) -> Setup {
    let short = Duration::from_millis(300);
    Setup::with_function(target).adjust(move |config| {
        config.gateway.limits.connect_timeout = short;
        Arc::make_mut(&mut config.function_groups[0]).timeout = Some(short);
        Arc::make_mut(&mut config.services[0]).idle_timeout = Some(Duration::from_secs(60));
    })
}

/// A reset is no clean end, wherever it strikes; and the next caller gets a connection of its own.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_a_reset_cuts_off_is_a_bad_gateway() {
    let cuts: [&'static [u8]; 5] = [
        b"",
        b"HTTP/1.1 200 OK\r\nConte",
        b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{\"statusCode\":200}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n12\r\n{\"statusCode\":200}\r\n",
    ];
    let target = Target::scripted(move |mut raw, number| async move {
        raw.read_until("\"requestId\":").await;
        raw.read_until("}").await;
        raw.send(cuts[(number - 1) / 2 % cuts.len()]).await;
        raw.reset();
    })
    .await;
    let mut gateway = Setup::with_function(&target).start().await;
    let mut connections = [
        gateway.connect(Via::Http1, "orders.test").await,
        gateway.connect(Via::Http2, "orders.test").await,
    ];
    for _ in cuts {
        for connection in &mut connections {
            let answer = connection.send(Request::get("orders.test", "/")).await;
            answer.is(502, "Bad Gateway");
            let record = gateway.record_of(&answer).await;
            let fault = "the function's endpoint closed the connection";
            record
                .failed(502, "TargetConnectionClosed")
                .adds([("fault", json!(fault))]);
        }
    }
    assert_eq!(target.connections(), 2 * cuts.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_never_answers_is_given_up_and_hung_up_on() {
    let silent: [&'static [u8]; 3] = [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    ];
    for bytes in silent {
        let target = Target::scripted(move |mut raw, _| async move {
            raw.read_head().await;
            raw.send(bytes).await;
            raw.read_to_end().await;
        })
        .await;
        let mut gateway = impatient(&target).start().await;
        let answer = gateway.get("orders.test", "/").await;
        answer.is(504, "Gateway Timeout");
        let record = gateway.record_of(&answer).await;
        record
            .failed(504, "TargetDataTimeout")
            .adds([("fault", json!("no answer of the function in time"))]);
        assert!(
            record.number("requestToTargetDuration") + record.number("responseFromTargetDuration")
                >= 250
        );
        eventually("no connection to the endpoint", async || {
            (target.open_connections() == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_cannot_be_reached_is_a_connection_error() {
    let target = Target::named("gone").await;
    let mut gateway = impatient(&target).start().await;
    target.die().await;
    for via in [Via::Http1, Via::Http2] {
        let answer = gateway
            .send(via, Request::post("orders.test", "/", "x"))
            .await;
        answer.has_status(500);
        let record = gateway.record_of(&answer).await;
        record.failed(500, "TargetConnectionError");
    }
    // A name that nobody has.
    gateway.reload(|setup| {
        setup.set(
            "targetGroups.orders.function.endpoint",
            json!("http://nobody.invalid"),
        )
    });
    let answer = gateway.get("orders.test", "/").await;
    answer.has_status(500);
    gateway
        .record_of(&answer)
        .await
        .failed(500, "TargetConnectionError");
}

/// A connection is used again only where nothing was odd about the last answer, and one that was closed meanwhile costs nobody a
/// failure.
#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_that_was_closed_or_poisoned_answers_nobody() {
    let target = Target::scripted(|mut raw, number| async move {
        raw.read_head().await;
        let body = format!(r#"{{"statusCode":200,"body":"{number}"}}"#);
        let mut bytes = answering("200 OK", &body);
        if number % 2 == 0 {
            bytes.extend(answering("200 OK", r#"{"statusCode":200,"body":"poison"}"#));
        }
        raw.send(bytes).await;
    })
    .await;
    let gateway = Setup::with_function(&target)
        .set("gateway.workers", json!(1))
        .start()
        .await;
    for number in 1..=6 {
        gateway
            .get("orders.test", "/")
            .await
            .is(200, &number.to_string());
        eventually("the end of the connection", async || {
            (target.open_connections() == 0).then_some(())
        })
        .await;
    }
}
