//! Tables of heads and bodies, each accepted form with its refused twin.

use super::*;

const LIMITS: HeadLimits = HeadLimits {
    bytes: 1024,
    fields: 5,
};

/// `head` is written with `\n` for CRLF and without the empty line.
fn head(head: &str) -> Result<Head, Violation> {
    let text = format!("{}\r\n\r\n", head.replace('\n', "\r\n"));
    check(text.as_bytes(), LIMITS)
}

#[track_caller]
fn accepts(text: &str, body: &Body) {
    assert_eq!(head(text).map(|head| head.body), Ok(body.clone()), "{text}");
}

#[track_caller]
fn refuses(text: &str, violation: Violation) {
    assert_eq!(head(text).map(|head| head.body), Err(violation), "{text}");
}

#[test]
fn request_lines() {
    accepts("GET / HTTP/1.1\nHost: a", &Body::None);
    accepts("OPTIONS * HTTP/1.1\nHost: a", &Body::None);
    accepts("M-SEARCH /x?y={z}|[] HTTP/1.1\nHost: a", &Body::None);
    for (text, violation) in [
        ("GET  / HTTP/1.1\nHost: a", Violation::RequestLine),
        (" GET / HTTP/1.1\nHost: a", Violation::RequestLine),
        ("GET / HTTP/1.1 \nHost: a", Violation::RequestLine),
        ("GET /\nHost: a", Violation::RequestLine),
        ("GET / HTTP/2.0\nHost: a", Violation::Version),
        ("GET / HTTP/1.10\nHost: a", Violation::Version),
        ("GET / http/1.1\nHost: a", Violation::RequestLine),
        ("GET / HTTP/1.1\r\nHost: a", Violation::RequestLine),
        ("G(T / HTTP/1.1\nHost: a", Violation::RequestLine),
        ("GET * HTTP/1.1\nHost: a", Violation::Target),
        ("GET x HTTP/1.1\nHost: a", Violation::Target),
        ("GET /a#b HTTP/1.1\nHost: a", Violation::Target),
        ("GET /\u{e9} HTTP/1.1\nHost: a", Violation::Target),
        ("GET /\u{1} HTTP/1.1\nHost: a", Violation::Target),
        ("CONNECT a:1 HTTP/1.1\nHost: a:1", Violation::Connect),
    ] {
        refuses(text, violation);
    }
}

#[test]
fn absolute_targets_must_agree_with_host_and_are_cut() {
    let head = head("GET http://a.b:80/x?y HTTP/1.1\nHost: A.b:80").unwrap();
    assert_eq!(head.absolute, Some(4..17));
    refuses("GET http://a/x HTTP/1.1\nHost: b", Violation::Host);
    refuses("GET http://a/x HTTP/1.0", Violation::Host);
    refuses("GET http://a HTTP/1.1\nHost: a", Violation::Target);
    refuses("GET ftp://a/x HTTP/1.1\nHost: a", Violation::Target);
}

#[test]
fn hosts() {
    accepts("GET / HTTP/1.0", &Body::None);
    refuses("GET / HTTP/1.1", Violation::Host);
    refuses("GET / HTTP/1.1\nHost: a\nHost: a", Violation::Host);
    refuses("GET / HTTP/1.1\nHost: user@a", Violation::Host);
}

#[test]
fn fields() {
    accepts("GET / HTTP/1.1\nHost: a\nx:\ny: \u{e9}\t", &Body::None);
    for (text, violation) in [
        ("GET / HTTP/1.1\nHost: a\n folded", Violation::Folding),
        ("GET / HTTP/1.1\n\tfolded\nHost: a", Violation::Folding),
        ("GET / HTTP/1.1\nHost : a", Violation::Field),
        ("GET / HTTP/1.1\nHost: a\nno colon", Violation::Field),
        ("GET / HTTP/1.1\nHost: a\n: x", Violation::Field),
        ("GET / HTTP/1.1\nHost: a\nx: \u{0}", Violation::Field),
        ("GET / HTTP/1.1\nHost: a\nx: a\rb", Violation::Field),
        (
            "GET / HTTP/1.1\nHost: a\n1:\n2:\n3:\n4:\n5:",
            Violation::TooLarge,
        ),
    ] {
        refuses(text, violation);
    }
    refuses(
        &format!("GET / HTTP/1.1\nHost: a\nx: {}", "y".repeat(1024)),
        Violation::TooLarge,
    );
}

#[test]
fn body_framing() {
    accepts(
        "POST / HTTP/1.1\nHost: a\nContent-Length: 7",
        &Body::Length(7),
    );
    accepts("POST / HTTP/1.1\nHost: a\nContent-Length: 0", &Body::None);
    accepts(
        "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: Chunked",
        &Body::chunked(),
    );
    let both = "POST / HTTP/1.1\nHost: a\nContent-Length: 7\nTransfer-Encoding: chunked";
    refuses(both, Violation::TransferEncoding);
    refuses(
        "POST / HTTP/1.0\nHost: a\nTransfer-Encoding: chunked",
        Violation::TransferEncoding,
    );
    for value in [
        "+7",
        "-7",
        "7,7",
        "7 7",
        "0x7",
        "",
        "9999999999999999999",
        "\u{b2}",
    ] {
        refuses(
            &format!("POST / HTTP/1.1\nHost: a\nContent-Length: {value}"),
            Violation::ContentLength,
        );
    }
    refuses(
        "POST / HTTP/1.1\nHost: a\nContent-Length: 7\nContent-Length: 7",
        Violation::ContentLength,
    );
    refuses(
        "POST / HTTP/1.1\nHost: a\nContent_Length: 7",
        Violation::Field,
    );
    for value in [
        "chunked, chunked",
        "xchunked",
        "identity",
        "chunked;q=1",
        "\"chunked\"",
        "",
    ] {
        refuses(
            &format!("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: {value}"),
            Violation::TransferEncoding,
        );
    }
    let twice = "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked";
    refuses(twice, Violation::TransferEncoding);
    refuses(
        "POST / HTTP/1.1\nHost: a\nTransfer_Encoding: chunked",
        Violation::Field,
    );
}

#[test]
fn the_end_of_a_head_is_found_across_reads() {
    let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
    let mut from = 0;
    for length in 0..=text.len() {
        match find_end(&text[..length], from).unwrap() {
            HeadEnd::Beyond(next) => from = next,
            HeadEnd::At(end) => {
                assert_eq!((end, length), (27, 27));
                return;
            }
        }
    }
    unreachable!("the end was not found");
}

#[test]
fn a_bare_line_feed_is_refused_at_once() {
    assert_eq!(
        find_end(b"GET / HTTP/1.1\n", 0),
        Err(Violation::BareLineFeed)
    );
    assert_eq!(
        find_end(b"GET / HTTP/1.1\r\nHost: a\n\r\n", 0),
        Err(Violation::BareLineFeed)
    );
}

/// Feeds `text` in every split of two parts, as well as byte by byte, and gives how many bytes belong to the body.
#[track_caller]
fn chunked(text: &str) -> Result<(usize, bool), Violation> {
    let bytes = text.as_bytes();
    let whole = feed(&[bytes]);
    let singles: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(feed(&singles), whole, "{text:?} byte by byte");
    for at in 0..bytes.len() {
        assert_eq!(
            feed(&[&bytes[..at], &bytes[at..]]),
            whole,
            "{text:?} split at {at}"
        );
    }
    whole
}

fn feed(parts: &[&[u8]]) -> Result<(usize, bool), Violation> {
    let mut body = Body::chunked();
    let mut taken = 0;
    for part in parts {
        let step = body.take(part)?;
        taken += step;
        if step < part.len() {
            break;
        }
    }
    Ok((taken, body.is_done()))
}

#[test]
fn chunked_bodies() {
    assert_eq!(chunked("3\r\nabc\r\n0\r\n\r\nGET"), Ok((13, true)));
    assert_eq!(chunked("0\r\n\r\n"), Ok((5, true)));
    assert_eq!(
        chunked("A;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n"),
        Ok((30, true))
    );
    assert_eq!(chunked("5\r\nab"), Ok((5, false)));
    for text in [
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "\r\n",
        ";x\r\n",
        "1000000000000000\r\n",
        "3;\u{0}\r\nabc\r\n",
        "3;\nabc\r\n",
        "0\r\n\n",
        "0\r\n folded\r\n\r\n",
        "0\r\nT : v\r\n\r\n",
    ] {
        assert_eq!(chunked(text), Err(Violation::Chunk), "{text:?}");
    }
    assert_eq!(
        feed(&[format!("3;{}\r\n", "x".repeat(300)).as_bytes()]),
        Err(Violation::Chunk)
    );
    let endless = format!("0\r\n{}", "T: v\r\n".repeat(3000));
    assert_eq!(feed(&[endless.as_bytes()]), Err(Violation::Chunk));
}

#[test]
fn the_head_of_an_answer_can_be_taken_one_way_only() {
    use Violation::{ContentLength, Field, Folding, TransferEncoding};
    for (fields, expected) in [
        ("", Ok(())),
        ("X: y\r\n", Ok(())),
        ("X:\r\nY: \t a\tb \r\n", Ok(())),
        ("Content-Length: 5\r\n", Ok(())),
        ("Transfer-Encoding: chunked\r\n", Ok(())),
        ("Content-Length : 5\r\nX-Content-Length: 6\r\n", Ok(())),
        ("X: y\nContent-Length: 5\n", Ok(())),
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            Err(TransferEncoding),
        ),
        (
            "transfer-encoding : chunked\r\nX: y\r\nCONTENT-LENGTH\t: 5\r\n",
            Err(TransferEncoding),
        ),
        (
            "Content-Length:\r\nTransfer-Encoding: chunked\r\n",
            Err(TransferEncoding),
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            Err(TransferEncoding),
        ),
        (
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            Err(ContentLength),
        ),
        (
            "Content-Length: 5\r\ncontent-length: 5\r\n",
            Err(ContentLength),
        ),
        ("X: a\r\n b\r\n", Err(Folding)),
        ("X: a\r\n\tContent-Length: 5\r\n", Err(Folding)),
        (" X: a\r\n", Err(Folding)),
        ("X: a\rSet-Cookie: b\r\n", Err(Field)),
        ("X: a\0\r\n", Err(Field)),
        ("X: a\x1b\r\n", Err(Field)),
        ("X: a\x7f\r\n", Err(Field)),
        ("X\r\n", Err(Field)),
    ] {
        for (status, end) in [
            ("HTTP/1.1 200 OK\r\n", "\r\n"),
            ("\r\nHTTP/1.1 200\n", "\n"),
        ] {
            let head = format!("{status}{fields}{end}");
            assert_eq!(check_answer(head.as_bytes()), expected, "{head:?}");
        }
    }
    for status in ["HTTP/1.1 200 O\rK", "HTTP/1.1 200 O\0K"] {
        let head = format!("{status}\r\n\r\n");
        assert_eq!(check_answer(head.as_bytes()), Err(Field), "{head:?}");
    }
    // Latin-1 was good enough once.
    assert_eq!(
        check_answer(b"HTTP/1.1 200 \xd6k\r\nX: \xe4\r\n\r\n"),
        Ok(())
    );
}
