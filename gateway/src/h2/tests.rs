//! Frames, each accepted form with its refused twin. The cases of h2spec are in `tests/clients/hostile/test_http2_conformance.py`.

use std::time::{Duration, Instant};

mod blocks;
mod messages;

use super::*;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const WITH_PRIORITY: u8 = 0x20;

/// A whole request: `GET /` over http, to the host `a`.
const GET: &[u8] = b"\x82\x84\x86\x01\x01a";

/// What the fields of a request may count.
const LIST_BYTES: usize = 4096;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, l0, l1, l2] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![l0, l1, l2, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

fn request(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, GET)
}

fn upload(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, GET)
}

fn preface() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes
}

/// Takes everything at once, byte by byte and in odd pieces; the verdict is the same.
#[track_caller]
fn judge_raw(bytes: &[u8]) -> Result<(), Code> {
    let now = Instant::now();
    let verdict = Guard::new(LIST_BYTES, now).take(bytes, now).map(drop);
    for size in [1, 7, 10] {
        let mut guard = Guard::new(LIST_BYTES, now);
        let pieces = bytes
            .chunks(size)
            .try_for_each(|piece| guard.take(piece, now).map(drop));
        assert_eq!(pieces, verdict, "in pieces of {size}");
    }
    verdict
}

#[track_caller]
fn judge(frames: &[Vec<u8>]) -> Result<(), Code> {
    judge_raw(&[preface(), frames.concat()].concat())
}

#[track_caller]
fn passes(frames: &[Vec<u8>]) {
    assert_eq!(judge(frames), Ok(()));
}

#[track_caller]
fn refuses(frames: &[Vec<u8>], code: Code) {
    assert_eq!(judge(frames), Err(code));
}

#[test]
fn the_preface_comes_first_and_settings_next() {
    assert_eq!(judge_raw(&preface()), Ok(()));
    assert_eq!(judge_raw(b"GET / HTTP/1.1\r\n"), Err(Code::Protocol));
    let ping = frame(PING, 0, 0, &[0; 8]);
    let early = [&preface()[..24], &ping].concat();
    assert_eq!(judge_raw(&early), Err(Code::Protocol));
    let acknowledged = [&preface()[..24], &frame(SETTINGS, ACK, 0, &[])].concat();
    assert_eq!(judge_raw(&acknowledged), Err(Code::Protocol));
}

#[test]
fn frames_have_the_size_of_their_type() {
    for (kind, size) in [(PRIORITY, 5), (RST_STREAM, 4), (WINDOW_UPDATE, 4)] {
        passes(&[upload(1), frame(kind, 0, 1, &vec![0; size])]);
        refuses(
            &[upload(1), frame(kind, 0, 1, &vec![0; size - 1])],
            Code::FrameSize,
        );
        refuses(
            &[upload(1), frame(kind, 0, 1, &vec![0; size + 1])],
            Code::FrameSize,
        );
    }
    passes(&[frame(PING, 0, 0, &[0; 8])]);
    refuses(&[frame(PING, 0, 0, &[0; 7])], Code::FrameSize);
    passes(&[frame(GOAWAY, 0, 0, &[0; 9])]);
    refuses(&[frame(GOAWAY, 0, 0, &[0; 7])], Code::FrameSize);
    passes(&[frame(SETTINGS, 0, 0, &[0; 12])]);
    refuses(&[frame(SETTINGS, 0, 0, &[0; 11])], Code::FrameSize);
    refuses(&[frame(SETTINGS, ACK, 0, &[0; 6])], Code::FrameSize);
    refuses(
        &[frame(SETTINGS, 0, 0, &[0; 6 * 65])],
        Code::EnhanceYourCalm,
    );
    passes(&[upload(1), frame(DATA, 0, 1, &vec![0; 1 << 14])]);
    refuses(
        &[upload(1), frame(DATA, 0, 1, &vec![0; (1 << 14) + 1])],
        Code::FrameSize,
    );
}

#[test]
fn frames_are_on_streams_of_their_kind() {
    for kind in [DATA, HEADERS, PRIORITY, RST_STREAM, CONTINUATION] {
        let size = if kind == PRIORITY { 5 } else { 4 };
        refuses(
            &[frame(kind, END_HEADERS, 0, &vec![0; size])],
            Code::Protocol,
        );
    }
    for (kind, size) in [(SETTINGS, 0), (PING, 8), (GOAWAY, 8)] {
        refuses(&[frame(kind, 0, 1, &vec![0; size])], Code::Protocol);
    }
    refuses(&[request(2)], Code::Protocol);
    refuses(
        &[frame(5, END_HEADERS, 1, &[0, 0, 0, 2, 0x82])],
        Code::Protocol,
    );
    passes(&[frame(0xf0, 0xff, 6, &[1, 2, 3])]);
}

#[test]
fn nothing_interrupts_a_header_block() {
    let begun = frame(HEADERS, END_STREAM, 1, &GET[..2]);
    let more = frame(CONTINUATION, 0, 1, &GET[2..3]);
    let end = frame(CONTINUATION, END_HEADERS, 1, &GET[3..]);
    passes(&[begun.clone(), more.clone(), end.clone(), request(3)]);
    for intruder in [
        request(3),
        frame(PING, 0, 0, &[0; 8]),
        frame(0xf0, 0, 0, &[]),
        frame(CONTINUATION, END_HEADERS, 3, GET),
    ] {
        refuses(&[begun.clone(), intruder], Code::Protocol);
    }
    refuses(std::slice::from_ref(&end), Code::Protocol);
    refuses(&[request(1), end], Code::Protocol);
}

#[test]
fn streams_are_opened_in_order_and_ended_once() {
    passes(&[request(1), request(5), request(7)]);
    refuses(&[request(5), request(3)], Code::Protocol);
    let data = |stream| frame(DATA, END_STREAM, stream, b"x");
    passes(&[upload(1), data(1)]);
    refuses(&[data(1)], Code::Protocol);
    refuses(&[request(1), data(1)], Code::StreamClosed);
    refuses(&[upload(1), data(1), data(1)], Code::StreamClosed);
    refuses(&[request(1), request(1)], Code::StreamClosed);
    let reset = |stream| frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
    passes(&[request(1), reset(1), reset(1)]);
    refuses(&[reset(1)], Code::Protocol);
    refuses(&[upload(1), reset(1), data(1)], Code::StreamClosed);
    refuses(&[frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])], Code::Protocol);
}

#[test]
fn what_is_long_past_is_left_to_the_engine() {
    let many: Vec<_> = (0..3000).map(|number| request(2 * number + 1)).collect();
    let far = [many.concat(), frame(DATA, END_STREAM, 1, b"x")].concat();
    passes(&[far]);
    refuses(
        &[many.concat(), frame(DATA, END_STREAM, 5001, b"x")],
        Code::StreamClosed,
    );
}

#[test]
fn padding_fits_and_no_stream_depends_on_itself() {
    passes(&[frame(
        HEADERS,
        END_STREAM | END_HEADERS | PADDED,
        1,
        &[&[2], GET, &[0, 0]].concat(),
    )]);
    refuses(
        &[frame(
            HEADERS,
            END_STREAM | END_HEADERS | PADDED,
            1,
            &[&[9], GET, &[0, 0]].concat(),
        )],
        Code::Protocol,
    );
    let depends = |on| {
        frame(
            HEADERS,
            END_STREAM | END_HEADERS | WITH_PRIORITY,
            1,
            &[&[0, 0, 0, on, 1], GET].concat(),
        )
    };
    passes(&[depends(3)]);
    refuses(&[depends(1)], Code::Protocol);
    refuses(
        &[frame(PRIORITY, 0, 3, &[0x80, 0, 0, 3, 1])],
        Code::Protocol,
    );
    refuses(
        &[frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0])],
        Code::FlowControl,
    );
}

/// How many of these frames a client may send in one moment.
fn tolerated(frames: impl Fn(u32) -> Vec<u8>) -> u32 {
    let now = Instant::now();
    let mut guard = Guard::new(LIST_BYTES, now);
    guard.take(&[preface(), upload(1)].concat(), now).unwrap();
    let mut count = 0;
    while count < 100_000 {
        match guard.take(&frames(count), now) {
            Ok(_) => count += 1,
            Err(code) => {
                assert_eq!(code, Code::EnhanceYourCalm);
                return count;
            }
        }
    }
    count
}

#[test]
fn floods_are_cut_off() {
    let most = 500..=2000;
    assert!(most.contains(&tolerated(|_| frame(SETTINGS, 0, 0, &[]))));
    assert!(most.contains(&tolerated(|_| frame(PING, 0, 0, &[0; 8]))));
    assert!(most.contains(&tolerated(|_| frame(PRIORITY, 0, 9, &[0; 5]))));
    assert!(most.contains(&tolerated(|_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]))));
    assert!(most.contains(&tolerated(|_| frame(DATA, 0, 1, &[]))));
    assert!(most.contains(&tolerated(|_| frame(0xf0, 0, 0, &[]))));
    let continued = |count| match count {
        0 => frame(HEADERS, END_STREAM, 3, GET),
        _ => frame(CONTINUATION, 0, 3, &[]),
    };
    assert!((500..=2001).contains(&tolerated(continued)));
    let reset = |count| {
        [
            upload(2 * count + 3),
            frame(RST_STREAM, 0, 2 * count + 3, &[0; 4]),
        ]
        .concat()
    };
    assert!(most.contains(&tolerated(reset)));
}

#[test]
fn requests_alone_cost_nothing() {
    assert_eq!(tolerated(|count| request(2 * count + 3)), 100_000);
    assert_eq!(tolerated(|_| frame(DATA, 0, 1, b"x")), 100_000);
}

#[test]
fn time_and_answers_refill_the_budget() {
    let mut now = Instant::now();
    let mut guard = Guard::new(LIST_BYTES, now);
    guard.take(&preface(), now).unwrap();
    let ping = frame(PING, 0, 0, &[0; 8]);
    for _ in 0..10_000 {
        // Fifty a second may go on for ever.
        now += Duration::from_millis(20);
        guard.take(&ping, now).unwrap();
    }
    let mut answers = Answers::default();
    let window_update = frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]);
    for _ in 0..10_000 {
        answers
            .take(&frame(DATA, 0, 1, b"x"), &mut guard, now)
            .unwrap();
        guard.take(&window_update.repeat(2), now).unwrap();
    }
}

#[test]
fn resets_that_the_client_makes_us_send_are_counted() {
    let now = Instant::now();
    let mut guard = Guard::new(LIST_BYTES, now);
    let mut answers = Answers::default();
    let reset = |code| frame(RST_STREAM, 0, 1, &[0, 0, 0, code]);
    for _ in 0..10_000 {
        // CANCEL is ours alone.
        assert_eq!(answers.take(&reset(8), &mut guard, now), Ok(()));
    }
    assert_eq!(answers.resets().count(), 0);
    let made = (0..1000).find(|_| answers.take(&reset(1), &mut guard, now).is_err());
    assert_eq!((made, answers.resets().count()), (Some(100), 101));
}

#[test]
fn answers_are_followed_across_pieces() {
    let now = Instant::now();
    let mut guard = Guard::new(LIST_BYTES, now);
    let mut answers = Answers::default();
    assert!(answers.is_between());
    let data = frame(DATA, END_STREAM, 1, b"hello");
    for piece in data[..data.len() - 1].chunks(3) {
        answers.take(piece, &mut guard, now).unwrap();
        assert!(!answers.is_between());
    }
    answers.take(b"o", &mut guard, now).unwrap();
    assert!(answers.is_between());
}
