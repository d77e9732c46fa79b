//! Targets that break the rules of HTTP on purpose or by accident. Each way has a status and a reason; nothing is left of it, and the
//! neighbours notice nothing.

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

fn row(
    what: &'static str,
    says: impl Into<Vec<u8>>,
    then: Then,
    status: u16,
    reason: &'static str,
) -> Row {
    Row {
        what,
        says: says.into(),
        then,
        status,
        reason,
    }
}

const CLOSED: &str = "TargetConnectionClosed";
const MALFORMED: &str = "TargetProtocolError";
const SILENT: &str = "TargetDataTimeout";

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

fn lines(count: usize, length: usize) -> String {
    let value = "x".repeat(length);
    (0..count).fold(String::new(), |text, number| {
        text + &format!("x-{number}: {value}\r\n")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn http1_targets_that_misbehave_have_a_status_and_leave_nothing() {
    let head = "HTTP/1.1 200 OK\r\n";
    let many = format!("{head}{}Content-Length: 0\r\n\r\n", lines(300, 1));
    let large = format!("{head}{}Content-Length: 0\r\n\r\n", lines(200, 8192));
    let rows = [
        row("says nothing", "", Then::Hang, 504, SILENT),
        row(
            "says nothing and half-closes",
            "",
            Then::HalfClose,
            502,
            CLOSED,
        ),
        row("resets at once", "", Then::Reset, 502, CLOSED),
        row(
            "stops in its head",
            "HTTP/1.1 200 O",
            Then::Hang,
            504,
            SILENT,
        ),
        row(
            "resets in its head",
            "HTTP/1.1 200 O",
            Then::Reset,
            502,
            CLOSED,
        ),
        row(
            "speaks TLS",
            b"\x15\x03\x03\0\x02\x02\x28\r\n\r\n",
            Then::Close,
            502,
            MALFORMED,
        ),
        row(
            "speaks HTTP/2",
            b"\0\0\x12\x04\0\0\0\0\0\r\n\r\n",
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "has too many header fields",
            many,
            Then::Close,
            502,
            MALFORMED,
        ),
        row("has too large a head", large, Then::Close, 502, MALFORMED),
        row(
            "announces too much",
            format!("{head}Content-Length: 9\r\n\r\nshort"),
            Then::Close,
            200,
            CLOSED,
        ),
        row(
            "announces too much and hangs",
            format!("{head}Content-Length: 9\r\n\r\nshort"),
            Then::Hang,
            200,
            SILENT,
        ),
        row(
            "resets in its body",
            format!("{head}Content-Length: 9\r\n\r\nshort"),
            Then::Reset,
            200,
            CLOSED,
        ),
        row(
            "half-closes in its chunks",
            format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n"),
            Then::HalfClose,
            200,
            CLOSED,
        ),
        row(
            "has a chunk of nonsense",
            format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nzz\r\n"),
            Then::Hang,
            200,
            MALFORMED,
        ),
        row(
            "has a length that is negative",
            format!("{head}Content-Length: -1\r\n\r\n"),
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "switches protocols unasked",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "never comes to the point",
            "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(40),
            Then::Hang,
            502,
            MALFORMED,
        ),
    ];
    let mut targets = Vec::new();
    for row in rows {
        let (says, then) = (row.says.clone(), row.then);
        let target = Target::scripted(move |mut raw, _| {
            let says = says.clone();
            async move {
                raw.read_head().await;
                // A gateway that has seen enough may not wait for the rest.
                let _ = raw.try_send(says).await;
                then.play(raw).await;
            }
        })
        .await;
        targets.push((row, target));
    }
    check(targets, "HTTP1").await;
}

/// Kinds of frames. Source: RFC 9113 §6.
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PUSH_PROMISE: u8 = 5;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;
}

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `:status: 200` from the static table. Source: RFC 7541, appendix A.
const OK: &[u8] = &[0x88];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header field as HPACK's literal without indexing. Source: RFC 7541 §6.2.2.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        match u8::try_from(text.len()) {
            Ok(length @ ..127) => bytes.push(length),
            _ => {
                // Source: RFC 7541 §5.1: a prefix of ones, then seven bits at a time.
                bytes.push(127);
                let mut rest = text.len() - 127;
                while rest >= 128 {
                    bytes.push(u8::try_from(rest % 128).unwrap() | 128);
                    rest /= 128;
                }
                bytes.push(u8::try_from(rest).unwrap());
            }
        }
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// The head of the answer on the first stream.
fn head(flags: u8, block: &[&[u8]]) -> Vec<u8> {
    frame(kind::HEADERS, END_HEADERS | flags, 1, &block.concat())
}

/// A head in as many frames as it needs.
fn long_head(block: &[u8]) -> Vec<u8> {
    let mut bytes = frame(kind::HEADERS, END_STREAM, 1, &[]);
    for piece in block.chunks(16_000) {
        bytes.extend(frame(kind::CONTINUATION, 0, 1, piece));
    }
    bytes.extend(frame(kind::CONTINUATION, END_HEADERS, 1, &[]));
    bytes
}

/// The same frames for another stream than the first. What is no frame stays as it is.
fn on_stream(stream: &[u8], frames: &[u8]) -> Vec<u8> {
    let mut bytes = frames.to_vec();
    let mut position = 0;
    while let Some(head) = bytes.get_mut(position..position + 9) {
        if head[5..] == [0, 0, 0, 1] {
            head[5..].copy_from_slice(stream);
        }
        position +=
            9 + usize::from(head[0]) * 65_536 + usize::from(head[1]) * 256 + usize::from(head[2]);
    }
    bytes
}

/// Speaks just enough HTTP/2 to be asked something, and answers each request with these bytes.
async fn over_http2(mut raw: Raw, says: Vec<u8>, then: Then) {
    raw.read_until("SM\r\n\r\n").await;
    raw.send(frame(kind::SETTINGS, 0, 0, &[])).await;
    while let Some((kind, flags, stream)) = next_frame(&mut raw).await {
        if kind <= kind::HEADERS && flags & END_STREAM != 0 {
            let _ = raw.try_send(on_stream(&stream, &says)).await;
            if !matches!(then, Then::Hang) {
                return then.play(raw).await;
            }
        }
    }
}

/// Kind, flags and stream of the next frame; none at the end of the connection.
async fn next_frame(raw: &mut Raw) -> Option<(u8, u8, Vec<u8>)> {
    let head = raw.try_read_exactly(9).await?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    raw.try_read_exactly(length.try_into().unwrap()).await?;
    Some((head[3], head[4], head[5..].to_vec()))
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_targets_that_misbehave_have_a_status_and_leave_nothing() {
    let data = |flags: u8, text: &str| frame(kind::DATA, flags, 1, text.as_bytes());
    let ten = literal("content-length", "10");
    let begun = [head(0, &[OK, &ten]), data(0, "short")].concat();
    let reset = |code: u8| frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, code]);
    let goaway = |last: u8, code: u8| frame(kind::GOAWAY, 0, 0, &[0, 0, 0, last, 0, 0, 0, code]);
    let many: Vec<u8> = (0..300)
        .flat_map(|number| literal(&format!("x-{number}"), "y"))
        .collect();
    let large: Vec<u8> = (0..200)
        .flat_map(|number| literal(&format!("x-{number}"), &"y".repeat(8192)))
        .collect();
    let rows = [
        row("says nothing", "", Then::Hang, 504, SILENT),
        row(
            "says nothing and half-closes",
            "",
            Then::HalfClose,
            502,
            CLOSED,
        ),
        row("resets its connection", "", Then::Reset, 502, CLOSED),
        row("resets the stream", reset(2), Then::Hang, 502, CLOSED),
        row("goes away in anger", goaway(0, 2), Then::Close, 502, CLOSED),
        row(
            "goes away again and again",
            goaway(0, 0),
            Then::Close,
            502,
            CLOSED,
        ),
        row(
            "has no status",
            head(END_STREAM, &[&literal("x", "y")]),
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "has a status that is no number",
            head(END_STREAM, &[&literal(":status", "2x0")]),
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "has a name in capitals",
            head(END_STREAM, &[OK, &literal("X-Y", "z")]),
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "has a line break in a value",
            head(END_STREAM, &[OK, &literal("x", "y\r\nz: 1")]),
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "has a field of a connection",
            head(END_STREAM, &[OK, &literal("connection", "close")]),
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "has two lengths",
            head(0, &[OK, &ten, &literal("content-length", "5")]),
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "has a head that is not HPACK",
            head(END_STREAM, &[&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]]),
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "has too many header fields",
            long_head(&[OK, &many].concat()),
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "has too large a head",
            long_head(&[OK, &large].concat()),
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "never ends its head",
            frame(kind::HEADERS, 0, 1, OK),
            Then::Hang,
            504,
            SILENT,
        ),
        row(
            "has too large a frame",
            b"\xff\xff\xff\0\0\0\0\0\x01".as_slice(),
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "answers what was not asked",
            frame(kind::HEADERS, END_HEADERS | END_STREAM, 7, OK),
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "pushes",
            frame(kind::PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82]),
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "opens a window of no size",
            frame(kind::WINDOW_UPDATE, 0, 0, &[0; 4]),
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "sends a body before its head",
            data(END_STREAM, "short"),
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "speaks HTTP/1",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "announces a body and has none",
            head(END_STREAM, &[OK, &ten]),
            Then::Hang,
            502,
            MALFORMED,
        ),
        row(
            "announces too much",
            [head(0, &[OK, &ten]), data(END_STREAM, "short")].concat(),
            Then::Hang,
            200,
            MALFORMED,
        ),
        row(
            "announces too little",
            [head(0, &[OK, &ten]), data(END_STREAM, "far too long")].concat(),
            Then::Hang,
            200,
            MALFORMED,
        ),
        row("stops in its body", begun.clone(), Then::Hang, 200, SILENT),
        row(
            "resets the stream in its body",
            [begun.clone(), reset(2)].concat(),
            Then::Hang,
            200,
            CLOSED,
        ),
        row(
            "half-closes in its body",
            begun.clone(),
            Then::HalfClose,
            200,
            CLOSED,
        ),
        row(
            "resets its connection in its body",
            begun,
            Then::Reset,
            200,
            CLOSED,
        ),
    ];
    let mut targets = Vec::new();
    for row in rows {
        let (says, then) = (row.says.clone(), row.then);
        let target = Target::scripted(move |raw, _| over_http2(raw, says.clone(), then)).await;
        targets.push((row, target));
    }
    check(targets, "HTTP2").await;
}
