//! Over HTTP/2, frame by frame.

use trellis_tests::{Raw, Target};

use super::{CLOSED, MALFORMED, Row, SILENT, Then, alike, begun, check};

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
        let byte = |number: usize| u8::try_from(number).unwrap();
        if text.len() < 127 {
            bytes.push(byte(text.len()));
        } else {
            // Source: RFC 7541 §5.1: a prefix of ones, then seven bits at a time.
            bytes.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                bytes.push(byte(rest % 128) | 128);
                rest /= 128;
            }
            bytes.push(byte(rest));
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

fn data(flags: u8, text: &str) -> Vec<u8> {
    frame(kind::DATA, flags, 1, text.as_bytes())
}

/// Resets the stream for an internal error.
fn reset() -> Vec<u8> {
    frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 2])
}

fn goaway(code: u8) -> Vec<u8> {
    frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, code])
}

fn fields(count: usize, length: usize) -> Vec<u8> {
    let field = |number: usize| literal(&format!("x-{number}"), &"y".repeat(length));
    let fields = (0..count).flat_map(field);
    OK.iter().copied().chain(fields).collect()
}

/// Heads that are none, each the whole answer.
fn malformed_heads() -> impl Iterator<Item = Row> {
    let of = |fields: &[&[u8]]| head(END_STREAM, fields);
    let ten = literal("content-length", "10");
    let five = literal("content-length", "5");
    alike(
        MALFORMED,
        Then::Hang,
        [
            ("has no status", of(&[&literal("x", "y")])),
            ("has a status of letters", of(&[&literal(":status", "2x0")])),
            ("has a name in capitals", of(&[OK, &literal("X-Y", "z")])),
            (
                "has a line break in a value",
                of(&[OK, &literal("x", "y\r\nz: 1")]),
            ),
            (
                "has a field of a connection",
                of(&[OK, &literal("connection", "close")]),
            ),
            ("has two lengths", head(0, &[OK, &ten, &five])),
            ("announces a body and has none", of(&[OK, &ten])),
            ("has a head that is not HPACK", of(&[&[0xff; 6]])),
            ("has too many header fields", long_head(&fields(300, 1))),
            ("has too large a head", long_head(&fields(200, 8192))),
        ],
    )
}

/// Frames that have no place where they are.
fn malformed_frames() -> impl Iterator<Item = Row> {
    let other = frame(kind::HEADERS, END_HEADERS | END_STREAM, 7, OK);
    let push = frame(kind::PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82]);
    let http1 = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec();
    alike(
        MALFORMED,
        Then::Hang,
        [
            (
                "has too large a frame",
                b"\xff\xff\xff\0\0\0\0\0\x01".to_vec(),
            ),
            ("answers what was not asked", other),
            ("pushes", push),
            (
                "opens a window of no size",
                frame(kind::WINDOW_UPDATE, 0, 0, &[0; 4]),
            ),
            ("sends a body before its head", data(END_STREAM, "short")),
            ("speaks HTTP/1", http1),
        ],
    )
}

/// Nothing of an answer has come.
fn unanswered() -> impl Iterator<Item = Row> {
    let nothing = || ("says nothing", Vec::new());
    let endless = ("never ends its head", frame(kind::HEADERS, 0, 1, OK));
    let leaves = [
        ("goes away in anger", goaway(2)),
        ("goes away again and again", goaway(0)),
    ];
    alike(SILENT, Then::Hang, [nothing(), endless])
        .chain(alike(CLOSED, Then::HalfClose, [nothing()]))
        .chain(alike(CLOSED, Then::Reset, [nothing()]))
        .chain(alike(CLOSED, Then::Hang, [("resets the stream", reset())]))
        .chain(alike(CLOSED, Then::Close, leaves))
}

/// The head has gone to the client, who learns of the rest by the missing end.
fn broken_off() -> impl Iterator<Item = Row> {
    let begins = || head(0, &[OK, &literal("content-length", "10")]);
    let short = move || ("stops in its body", [begins(), data(0, "short")].concat());
    let announces = [
        (
            "announces too much",
            [begins(), data(END_STREAM, "short")].concat(),
        ),
        (
            "announces too little",
            [begins(), data(END_STREAM, "far too long")].concat(),
        ),
    ];
    let resets = (
        "resets the stream in its body",
        [short().1, reset()].concat(),
    );
    alike(begun(MALFORMED), Then::Hang, announces)
        .chain(alike(begun(SILENT), Then::Hang, [short()]))
        .chain(alike(begun(CLOSED), Then::Hang, [resets]))
        .chain(alike(begun(CLOSED), Then::HalfClose, [short()]))
        .chain(alike(begun(CLOSED), Then::Reset, [short()]))
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_targets_that_misbehave_have_a_status_and_leave_nothing() {
    let mut targets = Vec::new();
    let malformed = malformed_heads().chain(malformed_frames());
    for row in malformed.chain(unanswered()).chain(broken_off()) {
        let (says, then) = (row.says.clone(), row.then);
        let target = Target::scripted(move |raw, _| over_http2(raw, says.clone(), then)).await;
        targets.push((row, target));
    }
    check(targets, "HTTP2").await;
}
