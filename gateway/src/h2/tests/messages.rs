//! Requests and trailer sections, and what the engine gets of them.

use std::time::Instant;

use super::{super::hpack, *};

type Fields<'a> = Vec<(&'a str, &'a str)>;

/// `GET /a` over https, with these changes: a value replaces a field of the same name, `-` removes it, other fields follow.
fn request<'a>(changes: &[(&'a str, &'a str)]) -> Fields<'a> {
    let mut fields = vec![
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/a"),
        (":authority", "a.test"),
    ];
    for (name, value) in changes {
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some(field) => field.1 = value,
            None => fields.push((name, value)),
        }
    }
    fields.retain(|(_, value)| *value != "-");
    fields
}

fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        hpack::spell(name.as_bytes(), value.as_bytes(), &mut block);
    }
    block
}

fn check(fields: &[(&str, &str)], ends: bool) -> Result<(), Fault> {
    let fields = fields.iter();
    check_request(
        fields.map(|(name, value)| (name.as_bytes(), value.as_bytes())),
        ends,
    )
}

#[test]
fn requests_are_well_formed() {
    for changes in [
        &[][..],
        &[
            ("x-a", "b"),
            ("x-empty", ""),
            ("x-tab", "a\tb"),
            ("x-latin", "\u{e9}"),
        ],
        &[(":scheme", "http")],
        &[(":scheme", "HTTPS")],
        &[(":path", "/?a=b&c")],
        &[(":path", "*"), (":method", "OPTIONS")],
        &[(":authority", "-"), ("host", "a.test")],
        &[("host", "A.TEST")],
        &[(":authority", "[::1]:8080")],
        &[("te", "trailers")],
        &[("content-length", "0")],
        &[("cookie", "a=b"), ("x", "y"), ("cookie ", "-")],
        &[(":method", "CONNECT"), (":scheme", "-"), (":path", "-")],
        &[(":method", "M-SEARCH")],
    ] {
        assert_eq!(check(&request(changes), true), Ok(()), "{changes:?}");
    }
    assert_eq!(check(&request(&[("content-length", "5")]), false), Ok(()));
}

#[test]
fn requests_are_malformed() {
    let cases: &[(&[(&str, &str)], Fault)] = &[
        (&[("X-A", "b")], Fault::Name),
        (&[("", "b")], Fault::Name),
        (&[("x a", "b")], Fault::Name),
        (&[("x:", "b")], Fault::Name),
        (&[("x\0", "b")], Fault::Name),
        (&[("\u{e9}", "b")], Fault::Name),
        (&[("x", "a\0b")], Fault::Value),
        (&[("x", "a\r\nb")], Fault::Value),
        (&[("x", "a\nb")], Fault::Value),
        (&[("x", "a\u{7f}")], Fault::Value),
        (&[("x", " a")], Fault::Value),
        (&[("x", "a\t")], Fault::Value),
        (&[("connection", "close")], Fault::Connection),
        (&[("transfer-encoding", "chunked")], Fault::Connection),
        (&[("upgrade", "h2c")], Fault::Connection),
        (&[("keep-alive", "1")], Fault::Connection),
        (&[("proxy-connection", "close")], Fault::Connection),
        (&[("te", "trailers, deflate")], Fault::Connection),
        (&[("te", "")], Fault::Connection),
        (&[(":status", "200")], Fault::Pseudo),
        (&[(":protocol", "websocket")], Fault::Pseudo),
        (&[(":test", "a")], Fault::Pseudo),
        (&[(":", "a")], Fault::Pseudo),
        (&[(":Method", "GET")], Fault::Pseudo),
        (&[(":method", "-")], Fault::Incomplete),
        (&[(":scheme", "-")], Fault::Incomplete),
        (&[(":path", "-")], Fault::Incomplete),
        (&[(":method", "CONNECT")], Fault::Incomplete),
        (
            &[(":method", "CONNECT"), (":scheme", "-")],
            Fault::Incomplete,
        ),
        (&[(":method", "")], Fault::Method),
        (&[(":method", "G T")], Fault::Method),
        (&[(":method", "GET / HTTP/1.1\r\nx: y")], Fault::Method),
        (&[(":scheme", "")], Fault::Scheme),
        (&[(":scheme", "ftp")], Fault::Scheme),
        (&[(":scheme", "https://b.test/")], Fault::Scheme),
        (&[(":path", "")], Fault::Path),
        (&[(":path", "a")], Fault::Path),
        (&[(":path", "*")], Fault::Path),
        (&[(":path", "/a b")], Fault::Path),
        (&[(":path", "/a#b")], Fault::Path),
        (&[(":path", "/a HTTP/1.1\r\nx: y")], Fault::Path),
        (&[(":path", "http://b.test/")], Fault::Path),
        (&[(":authority", "-")], Fault::Authority),
        (&[(":authority", "")], Fault::Authority),
        (&[(":authority", "user@a.test")], Fault::Authority),
        (&[(":authority", "a.test/x")], Fault::Authority),
        (&[(":authority", "a.test:99999")], Fault::Authority),
        (&[("host", "b.test")], Fault::Authority),
        (&[("host", "")], Fault::Authority),
        (&[("content-length", "-1")], Fault::Length),
        (&[("content-length", "1, 1")], Fault::Length),
        (&[("content-length", "")], Fault::Length),
        (&[("content-length", "5")], Fault::Length),
    ];
    for (changes, fault) in cases {
        assert_eq!(check(&request(changes), true), Err(*fault), "{changes:?}");
    }
    for field in request(&[]) {
        let twice = [vec![field], request(&[])].concat();
        assert_eq!(check(&twice, true), Err(Fault::Pseudo), "{field:?} twice");
        let late = [request(&[(field.0, "-")]), vec![("x", "y"), field]].concat();
        assert_eq!(check(&late, true), Err(Fault::Pseudo), "{field:?} late");
    }
    for name in ["host", "content-length"] {
        let value = if name == "host" { "a.test" } else { "0" };
        let twice = [request(&[]), vec![(name, value); 2]].concat();
        assert!(check(&twice, true).is_err(), "{name} twice");
    }
}

fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, stream, block)
}

/// What the engine gets after the preface, and the streams that were opened; the same in pieces of any size.
#[track_caller]
fn passed(frames: &[Vec<u8>]) -> (Vec<u8>, Vec<Opened>) {
    let bytes = frames.concat();
    let now = Instant::now();
    let mut results = [bytes.len(), 1, 2, 5, 9, 10, 100].map(|size| {
        let mut guard = Guard::new(LIST_BYTES, now);
        assert_eq!(
            guard.take(&preface(), now),
            Ok(Passed::First(preface().len()))
        );
        let mut out = Vec::new();
        for piece in bytes.chunks(size) {
            match guard.take(piece, now).unwrap() {
                Passed::First(count) => out.extend(&piece[..count]),
                Passed::Instead(bytes) => out.extend(bytes),
            }
        }
        (out, guard.opened().collect::<Vec<_>>())
    });
    for result in &results {
        assert_eq!(result, &results[0]);
    }
    std::mem::take(&mut results[0])
}

#[test]
fn well_formed_requests_pass_as_they_are_and_are_told() {
    let frames = [
        headers(1, END_STREAM, GET),
        frame(PING, 0, 0, &[0; 8]),
        headers(3, 0, &block(&request(&[]))),
        frame(DATA, 0, 3, b"hello"),
        headers(3, END_STREAM, &block(&[("x", "y")])),
    ];
    let (out, opened) = passed(&frames);
    assert_eq!(out, frames.concat());
    let opened: Vec<_> = opened
        .iter()
        .map(|one| (one.stream, one.fault, one.path.as_deref()))
        .collect();
    assert_eq!(opened, [(1, None, Some(&b"/"[..])), (3, None, Some(b"/a"))]);
}

#[test]
fn the_engine_gets_an_empty_block_for_a_malformed_request_and_later_ones_spelled_out() {
    let indexed = b"\x82\x87\x84\x41\x01a\x40\x01x\x01y";
    let bad = b"\x82\x87\x84\x01\x01a\x40\x01X\x01z";
    let frames = [
        headers(1, END_STREAM, indexed),
        headers(3, END_STREAM, bad),
        // `:authority` and `x` out of the table, which the malformed block has changed.
        headers(5, END_STREAM, b"\x82\x87\x84\xc0\xbf"),
        frame(PING, 0, 0, &[0; 8]),
    ];
    let (out, opened) = passed(&frames);
    let spelled = block(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/"),
        (":authority", "a"),
        ("x", "y"),
    ]);
    let wanted = [
        frames[0].clone(),
        headers(3, END_STREAM, b""),
        headers(5, END_STREAM, &spelled),
        frames[3].clone(),
    ];
    assert_eq!(out, wanted.concat());
    let faults: Vec<_> = opened.iter().map(|one| one.fault).collect();
    assert_eq!(faults, [None, Some(Fault::Name), None]);
    assert_eq!(opened[1].method.as_deref(), Some(&b"GET"[..]));
    assert_eq!(opened[1].path.as_deref(), Some(&b"/"[..]));
}

#[test]
fn padding_and_priority_are_no_part_of_a_block_and_blocks_come_in_pieces() {
    let padded = |block: &[u8]| [&[3, 0, 0, 0, 0, 9][..], block, &[0; 3]].concat();
    let flags = END_STREAM | PADDED | WITH_PRIORITY;
    let whole = headers(1, flags, &padded(GET));
    assert_eq!(passed(std::slice::from_ref(&whole)).0, whole);
    let pieces = [
        frame(HEADERS, flags, 1, &padded(&GET[..1])),
        frame(CONTINUATION, 0, 1, &GET[1..4]),
        frame(CONTINUATION, 0, 1, b""),
        frame(CONTINUATION, END_HEADERS, 1, &GET[4..]),
    ];
    let (out, opened) = passed(&pieces);
    assert_eq!((out, opened[0].fault), (pieces.concat(), None));
    let bad = [
        frame(HEADERS, flags, 1, &padded(&GET[..1])),
        frame(CONTINUATION, END_HEADERS, 1, b""),
    ];
    let (out, opened) = passed(&bad);
    assert_eq!(out, headers(1, END_STREAM, b""));
    assert_eq!(opened[0].fault, Some(Fault::Incomplete));
}

#[test]
fn a_malformed_trailer_section_makes_the_engine_reset_the_stream() {
    let upload = upload(1);
    for (flags, trailers) in [
        (0, &[("x", "y")][..]),
        (END_STREAM, &[(":path", "/")]),
        (END_STREAM, &[("x", "y"), (":path", "/")]),
        (END_STREAM, &[(":status", "200")]),
        (END_STREAM, &[("X", "y")]),
        (END_STREAM, &[("connection", "close")]),
        (END_STREAM, &[("x", "a\r\nb")]),
    ] {
        let (out, _) = passed(&[upload.clone(), headers(1, flags, &block(trailers))]);
        assert_eq!(
            out,
            [upload.clone(), headers(1, 0, b"")].concat(),
            "{trailers:?}"
        );
    }
}

#[test]
fn long_lists_are_refused_and_endless_blocks_end_the_connection() {
    let long = "v".repeat(LIST_BYTES);
    let (_, opened) = passed(&[headers(1, END_STREAM, &block(&request(&[("x", &long)])))]);
    assert_eq!(opened[0].fault, Some(Fault::TooLarge));
    // A field of 1000 bytes told fifty times by its index.
    let bomb = [
        &block(&request(&[]))[..],
        &[0x40, 1, b'x', 0x7f, 0xe9, 0x06],
        &[b'v'; 1000],
        &[0xbe; 50],
    ]
    .concat();
    let (out, opened) = passed(&[headers(1, END_STREAM, &bomb)]);
    assert_eq!(out, headers(1, END_STREAM, b""));
    assert_eq!(opened[0].fault, Some(Fault::TooLarge));
    let endless = [
        vec![frame(HEADERS, END_STREAM, 1, GET)],
        vec![frame(CONTINUATION, 0, 1, &[0; 4096]); 6],
    ]
    .concat();
    assert_eq!(judge(&endless), Err(Code::EnhanceYourCalm));
}

#[test]
fn a_block_that_cannot_be_decompressed_ends_the_connection() {
    assert_eq!(
        judge(&[headers(1, END_STREAM, b"\x80")]),
        Err(Code::Compression)
    );
    let trailers = headers(1, END_STREAM, b"\xbe");
    assert_eq!(judge(&[upload(1), trailers]), Err(Code::Compression));
}
