//! Targets that break the rules of HTTP on purpose or by accident. Each way has a status and a reason; nothing is left of it, and the
//! neighbours notice nothing.

mod http1;
mod http2;

use std::collections::BTreeMap;

use serde_json::json;
use tokio::task::JoinSet;
use trellis_tests::{Raw, Request, Setup, Target, Via, eventually, forward, within};

/// How a target goes on when it has said what it says.
#[derive(Debug, Clone, Copy)]
enum Then {
    /// Closes its direction, and reads.
    HalfClose,
    Close,
    Reset,
    /// Does nothing until the gateway closes the connection.
    Hang,
}

impl Then {
    async fn play(self, mut raw: Raw) {
        match self {
            Self::HalfClose => {
                raw.finish().await;
                raw.read_to_end().await;
            }
            Self::Close => {}
            Self::Reset => raw.reset(),
            Self::Hang => drop(raw.read_to_end().await),
        }
    }
}

/// A way to misbehave, and what becomes of it: the status that the client sees, and the reason in the record. A client that has seen
/// the head of an answer learns of the rest by the missing end.
struct Row {
    what: &'static str,
    says: Vec<u8>,
    then: Then,
    status: u16,
    reason: &'static str,
}

/// Ways to misbehave that come to the same.
fn alike<const N: usize>(
    (status, reason): (u16, &'static str),
    then: Then,
    ways: [(&'static str, Vec<u8>); N],
) -> impl Iterator<Item = Row> {
    ways.into_iter().map(move |(what, says)| Row {
        what,
        says,
        then,
        status,
        reason,
    })
}

const CLOSED: (u16, &str) = (502, "TargetConnectionClosed");
const MALFORMED: (u16, &str) = (502, "TargetProtocolError");
const SILENT: (u16, &str) = (504, "TargetDataTimeout");

/// The same for an answer whose head has gone to the client.
fn begun((_, reason): (u16, &'static str)) -> (u16, &'static str) {
    (200, reason)
}

/// Each target has a service and a group of its own, and gets a request with a body and one without, over each kind of connection that
/// reaches it. Meanwhile a good target in their midst is called.
async fn check(rows: Vec<(Row, Target)>, version: &str) {
    let fine = Target::named("fine").await;
    let setup = Setup::with_orders([&fine]);
    let named = || (0..).map(|number| format!("bad-{number}")).zip(&rows);
    let setup = named().fold(setup, |setup, (name, (_, target))| {
        setup
            .group(&name, [target])
            .set(
                &format!("targetGroups.{name}.config.protocolVersion"),
                json!(version),
            )
            .service(&name, &forward(&[(&name, 1)]))
            .set(
                &format!("services.{name}.timeouts"),
                json!({"idleMillis": 500}),
            )
    });
    let mut gateway = setup.start().await;
    let mut calls = JoinSet::new();
    for (name, _) in named() {
        let (caller, host) = (gateway.caller(), format!("{name}.test"));
        calls.spawn(async move {
            let mut seen = Vec::new();
            // One after the other: what a target does to one stream of a connection must not be what it does to another.
            for (path, via, request) in requests(&name) {
                let mut connection = caller.connect(via, &host).await;
                let status = match connection.try_send(request).await {
                    Ok(answer) => answer.status,
                    Err(broken) => broken.status().unwrap_or(0),
                };
                seen.push((path, status));
            }
            seen
        });
    }
    let mut neighbour = gateway.connect(Via::Http2, "orders.test").await;
    let mut seen = BTreeMap::new();
    while let Some(call) = within("an end of each request", calls.join_next()).await {
        seen.extend(call.unwrap());
        let request = Request::get("orders.test", "/neighbour");
        neighbour.send(request).await.is(200, "fine");
    }
    let mut surprises = Vec::new();
    for (name, (row, target)) in named() {
        for (path, ..) in requests(&name) {
            let record = gateway.record_for(&path).await;
            let (status, reason) = (seen[&path], record.text("failureReason"));
            assert_eq!(
                record.number("responseCode"),
                u64::from(status),
                "{}",
                row.what
            );
            if (status, reason) != (row.status, row.reason) {
                surprises.push(format!("{}, {path}: {status} {reason}", row.what));
            }
        }
        if version == "HTTP1" {
            // Over HTTP/2, a connection outlives the failure of a stream.
            freed(target, row.what).await;
        }
    }
    assert!(surprises.is_empty(), "{surprises:#?}");
    gateway.expect_metric("gateway_requests_in_flight", 0).await;
    drop((neighbour, gateway));
    for (row, target) in &rows {
        freed(target, row.what).await;
    }
}

/// Requests to a service, with their paths, which tell them apart.
fn requests(service: &str) -> [(String, Via, Request); 4] {
    let host = format!("{service}.test");
    let of = |method: &str, via: Via| {
        let path = format!("/{service}/{method}/{via:?}");
        let request = match method {
            "get" => Request::get(&host, &path),
            _ => Request::post(&host, &path, "a body"),
        };
        (path, via, request)
    };
    [
        of("get", Via::Http2),
        of("get", Via::Http2Tls),
        of("post", Via::Http2),
        of("post", Via::Http2Tls),
    ]
}

/// Waits until the gateway has let go of every connection to the target: that is its descriptor and all that hangs on it.
async fn freed(target: &Target, what: &str) {
    eventually(&format!("the target to be free: {what}"), async || {
        (target.open_connections() == 0).then_some(())
    })
    .await;
}
