//! Frames, each accepted form with its refused twin. The cases of h2spec are in `tests/clients/hostile/test_http2_conformance.py`.

use std::time::{Duration, Instant};

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

/// `:method: GET`, as if it were a whole request: the guard does not read more of it.
const GET: &[u8] = &[0x82];

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
    let verdict = Guard::new(now).take(bytes, now);
    for size in [1, 7, 10] {
        let mut guard = Guard::new(now);
        let pieces = bytes
            .chunks(size)
            .try_for_each(|piece| guard.take(piece, now));
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
    let begun = frame(HEADERS, END_STREAM, 1, GET);
    let more = frame(CONTINUATION, 0, 1, GET);
    let end = frame(CONTINUATION, END_HEADERS, 1, GET);
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
fn trailers_end_the_stream_and_have_no_pseudo_headers() {
    let trailers = |flags, block: &[u8]| frame(HEADERS, END_HEADERS | flags, 1, block);
    let plain = b"\x00\x01x\x01y";
    passes(&[upload(1), trailers(END_STREAM, plain)]);
    refuses(&[upload(1), trailers(0, plain)], Code::Protocol);
    for pseudo in [
        &b"\x82"[..],
        b"\x44\x01/",
        b"\x04\x01/",
        b"\x00\x05:path\x01/",
        b"\x40\x84\xb9\x58\xd3\x3f\x01/",
    ] {
        refuses(&[upload(1), trailers(END_STREAM, pseudo)], Code::Protocol);
    }
}

#[test]
fn padding_fits_and_no_stream_depends_on_itself() {
    passes(&[frame(
        HEADERS,
        END_STREAM | END_HEADERS | PADDED,
        1,
        &[2, 0x82, 0, 0],
    )]);
    refuses(
        &[frame(
            HEADERS,
            END_STREAM | END_HEADERS | PADDED,
            1,
            &[4, 0x82, 0, 0],
        )],
        Code::Protocol,
    );
    let depends = |on| {
        frame(
            HEADERS,
            END_STREAM | END_HEADERS | WITH_PRIORITY,
            1,
            &[0, 0, 0, on, 1, 0x82],
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
    let mut guard = Guard::new(now);
    guard.take(&[preface(), upload(1)].concat(), now).unwrap();
    let mut count = 0;
    while count < 100_000 {
        match guard.take(&frames(count), now) {
            Ok(()) => count += 1,
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
    let mut guard = Guard::new(now);
    guard.take(&preface(), now).unwrap();
    let ping = frame(PING, 0, 0, &[0; 8]);
    for _ in 0..10_000 {
        // Fifty a second may go on for ever.
        now += Duration::from_millis(20);
        assert_eq!(guard.take(&ping, now), Ok(()));
    }
    let mut answers = Answers::default();
    let window_update = frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]);
    for _ in 0..10_000 {
        answers
            .take(&frame(DATA, 0, 1, b"x"), &mut guard, now)
            .unwrap();
        assert_eq!(guard.take(&window_update.repeat(2), now), Ok(()));
    }
}

#[test]
fn resets_that_the_client_makes_us_send_are_counted() {
    let now = Instant::now();
    let mut guard = Guard::new(now);
    let mut answers = Answers::default();
    let reset = |code| frame(RST_STREAM, 0, 1, &[0, 0, 0, code]);
    for _ in 0..10_000 {
        // CANCEL is ours alone.
        assert_eq!(answers.take(&reset(8), &mut guard, now), Ok(None));
    }
    assert_eq!(answers.resets(), 0);
    let made = (0..1000).find(|_| answers.take(&reset(1), &mut guard, now).is_err());
    assert_eq!((made, answers.resets()), (Some(100), 101));
}

#[test]
fn a_refused_header_block_is_blamed_on_what_is_wrong_with_it() {
    let now = Instant::now();
    for (block, code) in [
        (&b"\x00\x01X\x01y"[..], Code::Protocol),
        (b"\x00\x05:test\x01y", Code::Protocol),
        // `X-Test` in Huffman's code.
        (b"\x00\x85\xfc\x5a\x65\x0a\x4f\x01y", Code::Protocol),
        (b"\x80", Code::Compression),
        (b"\xff\x09", Code::Compression),
        (b"\x00\x01x", Code::Compression),
    ] {
        let mut guard = Guard::new(now);
        let headers = frame(HEADERS, END_STREAM | END_HEADERS, 1, block);
        guard.take(&[preface(), headers].concat(), now).unwrap();
        let mut answers = Answers::default();
        let sent = [
            frame(SETTINGS, ACK, 0, &[]),
            go_away(0, Code::Protocol).to_vec(),
        ]
        .concat();
        let corrected = answers.take(&sent, &mut guard, now).unwrap();
        let wanted = [frame(SETTINGS, ACK, 0, &[]), go_away(0, code).to_vec()].concat();
        assert_eq!(corrected.unwrap_or(sent), wanted, "{block:?}");
        assert!(answers.gave_up());
    }
}

#[test]
fn answers_are_followed_across_pieces() {
    let now = Instant::now();
    let mut guard = Guard::new(now);
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
