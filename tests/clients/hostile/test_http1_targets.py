"""Targets that answer wrongly: what the client gets, whether both connections are closed, and that nobody else gets what was left over."""

import contextlib
import re
import socket
import struct
import threading

import pytest

from . import wire
from .conftest import OTHER, Watch

OK = b"HTTP/1.1 200 OK\r\n"
SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"


def cut(status, *, body=None):
    """The answer began, so it can only be cut off: no end of the body, or none at all."""
    return {"status": status, "body": body, "whole": False}


def whole(status, body=b"", **fields):
    return {"status": status, "body": body, "whole": True, "fields": fields}


BAD = whole(502, b"Bad Gateway")

# name: what the target sends before it closes, what the client gets.
ANSWERS = {
    "nothing": (b"", BAD),
    "garbage": (b"\x00\xff" * 50, BAD),
    "garbage in lines": (b"hello\r\nworld\r\n\r\n", BAD),
    "HTTP/0.9": (b"<html>hello</html>", BAD),
    "HTTP/0.9 as a version": (b"HTTP/0.9 200 OK\r\n\r\n", BAD),
    "HTTP/2.0": (b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "HTTP/1.2": (b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "a request": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    "preface of HTTP/2": (b"\0\0\0\x04\0\0\0\0\0", BAD),
    "status line without status": (b"HTTP/1.1\r\n\r\n", BAD),
    "status of two digits": (b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "status of four digits": (b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "status in letters": (b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "status 000": (b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "status 099": (b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "status negative": (b"HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "status with two spaces": (b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "status 999": (b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", whole(999)),
    "reason empty": (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", whole(200, b"ok")),
    "reason absent": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", whole(200, b"ok")),
    "reason with NUL": (b"HTTP/1.1 200 O\x00K\r\nContent-Length: 0\r\n\r\n", BAD),
    "reason with bare CR": (b"HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n", BAD),
    "reason in Latin-1": (b"HTTP/1.1 200 \xd6k\r\nContent-Length: 2\r\n\r\nok", whole(200, b"ok")),
    "field with bare CR": (OK + b"X: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n", BAD),
    "field with NUL": (OK + b"X: a\x00\r\nContent-Length: 0\r\n\r\n", BAD),
    "field with a control character": (OK + b"X: a\x1b\r\nContent-Length: 0\r\n\r\n", BAD),
    "field folded": (OK + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n", BAD),
    "field folded by a tab": (OK + b"X: a\r\n\tContent-Length: 5\r\nContent-Length: 0\r\n\r\n", BAD),
    "field without colon": (OK + b"X\r\nContent-Length: 0\r\n\r\n", BAD),
    "field without name": (OK + b": x\r\nContent-Length: 0\r\n\r\n", BAD),
    "field with space in its name": (OK + b"X Y: z\r\nContent-Length: 0\r\n\r\n", BAD),
    "length with a space before the colon": (OK + b"Content-Length : 5\r\n\r\nhello", whole(200, b"hello")),
    "first field folded": (OK + b" X: a\r\nContent-Length: 0\r\n\r\n", BAD),
    "head without end": (OK + b"X: y\r\n", BAD),
    "head endless": (OK + b"X: y\r\n" * 300_000, BAD),
    "300 fields": (OK + b"X: y\r\n" * 300 + b"Content-Length: 0\r\n\r\n", BAD),
    "field of 2 MB": (OK + b"X: " + b"y" * 2_000_000 + b"\r\nContent-Length: 0\r\n\r\n", BAD),
    "length and chunks": (
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + SECOND, BAD,
    ),
    "length twice, different": (OK + b"Content-Length: 2\r\nContent-Length: 5\r\n\r\nhello", BAD),
    "length a list, different": (OK + b"Content-Length: 2, 5\r\n\r\nhello", BAD),
    "length signed": (OK + b"Content-Length: +2\r\n\r\nok", BAD),
    "length negative": (OK + b"Content-Length: -2\r\n\r\nok", BAD),
    "length hexadecimal": (OK + b"Content-Length: 0x2\r\n\r\nok", BAD),
    "length empty": (OK + b"Content-Length:\r\n\r\nok", BAD),
    "length huge": (OK + b"Content-Length: 99999999999999999999\r\n\r\nok", BAD),
    "length twice, equal": (OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", BAD),
    "length a list, equal": (OK + b"Content-Length: 2, 2\r\n\r\nok", BAD),
    "coding unknown": (OK + b"Transfer-Encoding: cow\r\n\r\nok", BAD),
    "coding gzip": (OK + b"Transfer-Encoding: gzip\r\n\r\nok", BAD),
    "coding gzip, chunked": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", BAD),
    "coding chunked twice": (OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", BAD),
    "coding in two lines": (OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", BAD),
    "coding chunked, identity": (OK + b"Transfer-Encoding: chunked, identity\r\n\r\n2\r\nok\r\n0\r\n\r\n", BAD),
    "coding empty": (OK + b"Transfer-Encoding:\r\n\r\nok", BAD),
    "coding with a vertical tab": (OK + b"Transfer-Encoding: \x0bchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", BAD),
    "body to the end": (OK + b"\r\nhello", whole(200, b"hello")),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nhello", whole(200, b"hello")),
    "body too short": (OK + b"Content-Length: 10\r\n\r\nhello", cut(200, body=b"hello")),
    "body too long": (OK + b"Content-Length: 5\r\n\r\nhelloMORE", whole(200, b"hello")),
    "two answers": (OK + b"Content-Length: 5\r\n\r\nhello" + SECOND, whole(200, b"hello")),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n", whole(200, b"hello")),
    "chunks without end": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", cut(200, body=b"hello")),
    "chunk cut": (OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nhello", cut(200, body=b"hello")),
    "chunk size junk": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", cut(200)),
    "chunk size signed": (OK + b"Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", cut(200)),
    "chunk size huge": (OK + b"Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n", cut(200)),
    "chunk data too long": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloMORE\r\n0\r\n\r\n", cut(200)),
    "two chunked answers": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + SECOND, whole(200, b"hello")),
    "204 with a body": (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", whole(204)),
    "204 with chunks": (b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", whole(204)),
    "304 with a body": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", whole(304)),
    "304 and another answer": (b"HTTP/1.1 304 Not Modified\r\n\r\n" + SECOND, whole(304)),
    "101 unasked": (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + SECOND, BAD),
    "100 and an answer": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok", whole(200, b"ok")),
    "103 and an answer": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok", whole(200, b"ok")),
    "1xx without end": (b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" * 100_000, BAD),
    "100 and nothing": (b"HTTP/1.1 100 Continue\r\n\r\n", BAD),
    "100 with a length": (b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello" + SECOND, BAD),
    "1xx with a bad field": (b"HTTP/1.1 103 Early Hints\r\nX: a\x00\r\n\r\n" + SECOND, BAD),
    # Spec: RFC 9112 §2.2 lets a recipient take LF alone for the end of a line; what the client gets is written anew.
    "lines by bare LF": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok" + SECOND, whole(200, b"ok")),
    "one line by bare LF": (b"HTTP/1.1 200 OK\r\nX: y\nContent-Length: 2\r\n\r\nok" + SECOND, whole(200, b"ok")),
    "end of the head by bare LF": (OK + b"Content-Length: 2\r\n\nok" + SECOND, whole(200, b"ok")),
    "lines by bare CR": (b"HTTP/1.1 200 OK\rContent-Length: 2\r\rok", BAD),
    "empty lines in front": (b"\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok" + SECOND, whole(200, b"ok")),
    "two status lines": (b"HTTP/1.1 200 OK\r\n" * 2 + b"Content-Length: 2\r\n\r\nok", BAD),
    "version in lower case": (b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "another protocol": (b"ICY 200 OK\r\n\r\nhello", BAD),
    "status with a tab": (b"HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    # Spec: RFC 9112 §5.1: a proxy removes such a blank.
    "coding with a space before the colon": (
        OK + b"Transfer-Encoding : chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + SECOND, whole(200, b"ok"),
    ),
    "coding and an empty length": (
        OK + b"Content-Length:\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + SECOND, BAD,
    ),
    "coding of HTTP/1.0": (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", BAD),
    "length of 63 bits": (OK + b"Content-Length: 9223372036854775808\r\n\r\nok", BAD),
    "length with a vertical tab": (OK + b"Content-Length: \x0b2\r\n\r\nok", BAD),
    "length with a comment": (OK + b"Content-Length: 2;x\r\n\r\nok", BAD),
    "205 with a body": (b"HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nhello", whole(205, b"hello")),
    # Old servers pad their sizes; the client gets the chunks framed anew.
    "chunk size with a blank behind": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n" + SECOND, whole(200, b"hello"),
    ),
    "chunk size by bare LF": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", cut(200)),
    "chunk extension by bare LF": (OK + b"Transfer-Encoding: chunked\r\n\r\n5;\nhello\r\n0\r\n\r\n", cut(200)),
    "chunk size as 0x": (OK + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", cut(200)),
    "trailers that frame": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n" + SECOND,
        whole(200, b"hello"),
    ),
    "trailers endless": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 100_000, cut(200)),
    "1xx with a coding": (b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n" + SECOND, BAD),
}


def get(front, target, name, sends, method="GET"):
    """One request to the target that sends this, then another on the same connection if it stays."""
    target.answers[name] = sends
    with wire.connect(front.http) as sock:
        stream = wire.Stream(sock)
        sock.sendall(f"{method} /say/{name} HTTP/1.1\r\nHost: hostile.test\r\n\r\n".encode())
        try:
            answer = wire.read_answer(stream, method)
        except wire.Malformed:
            answer = None
        left = b""
        kept = answer is not None and answer.value("connection") == "keep-alive"
        if kept:
            sock.sendall(b"GET /next HTTP/1.1\r\nHost: hostile.test\r\n\r\n")
            following = wire.read_answer(stream)
            assert (following.status, following.body) == (200, b"GET /next")
        else:
            left = stream.rest()
    return answer, left, kept


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_one_way_or_refused(front, target, bystander, name):
    sends, expected = ANSWERS[name]
    target.take()
    key = re.sub(r"\W", "-", name)
    number = len(front.new_records())
    with wire.connect(front.http) as raw:
        # Seen from outside first: the raw bytes, for what a strict reader would not get to.
        target.answers[key] = sends
        raw.sendall(f"GET /say/{key} HTTP/1.1\r\nHost: hostile.test\r\nConnection: close\r\n\r\n".encode())
        text = wire.Stream(raw).rest()
    assert b"poison" not in text and b"MORE" not in text, text
    assert text.startswith(b"HTTP/1.1 %d " % expected["status"]) or b"HTTP/1.1 103 " in text or b"HTTP/1.1 100 " in text, text[:200]
    answer, left, _ = get(front, target, key, sends)
    if expected["whole"]:
        assert answer is not None, (text[:200], left[:200])
        assert (answer.status, answer.body) == (expected["status"], expected["body"])
        reason = "TargetConnectionClosed" if sends in (b"",) else "TargetProtocolError"
    else:
        assert answer is None
    bystander()

    def found():
        records = [one for one in front.new_records()[number:] if one["requestPath"] == f"/say/{key}"]
        return records if len(records) >= 2 else None

    records = wire.wait_for(found, "both records")
    assert len(records) == 2
    for record in records:
        assert record["responseCode"] == expected["status"]
        if expected == BAD:
            assert record["failureReason"] in ("TargetProtocolError", "TargetConnectionClosed"), record
        elif expected["whole"]:
            assert record["failureReason"] == "-", record
        else:
            assert record["failureReason"].startswith("Target"), record


def test_head_is_answered_without_a_body_whatever_the_target_sends(front, target, bystander):
    answer, left, kept = get(front, target, "head", OK + b"Content-Length: 6\r\n\r\npoison", "HEAD")
    assert (answer.status, answer.value("content-length"), left) == (200, "6", b"")
    bystander()
    answer, left, kept = get(front, target, "head", OK + b"Transfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n", "HEAD")
    assert answer.status == 200
    bystander()


def test_informational_answers_are_passed_on_in_order(front, target):
    answer, _, _ = get(front, target, "hints", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3 + OK + b"Content-Length: 2\r\n\r\nok")
    assert answer.informational == [103, 103, 103]
    assert answer.body == b"ok"


def test_leftovers_of_a_kept_target_connection_are_nobodys_answer(front, target, bystander):
    """The target answers twice and keeps its connection open: the second answer must not meet the next request."""

    def twice(sock, request):
        sock.sendall(OK + b"Content-Length: 2\r\n\r\nok" + SECOND)
        return True

    def later(sock, request):
        sock.sendall(OK + b"Content-Length: 2\r\n\r\nok")
        sock.sendall(SECOND)
        sent.set()
        return True

    for sends in (twice, later) * 3:
        sent = threading.Event()
        target.answers["left"] = sends
        with wire.connect(front.http) as sock:
            stream = wire.Stream(sock)
            sock.sendall(b"GET /say/left HTTP/1.1\r\nHost: hostile.test\r\n\r\n")
            assert wire.read_answer(stream).body == b"ok"
            # From here on the second answer lies in the idle connection.
            assert sends is twice or sent.wait(wire.DEADLINE)
            sock.sendall(b"GET /next HTTP/1.1\r\nHost: hostile.test\r\n\r\n")
            assert wire.read_answer(stream).body == b"GET /next"
        for _ in range(3):
            bystander()


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified", b"200 OK"])
def test_a_body_where_none_may_be_is_nobodys_answer(front, target, bystander, method, status):
    def sends(sock, request):
        length = b"" if status.startswith(b"204") else b"Content-Length: %d\r\n" % len(SECOND)
        sock.sendall(b"HTTP/1.1 " + status + b"\r\n" + length + b"\r\n" + SECOND)
        return True

    get(front, target, "odd", sends, method)
    for _ in range(3):
        bystander()


@pytest.mark.parametrize("framing", [b"Content-Length: 1000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nF4240\r\n"])
@pytest.mark.parametrize("closes", [True, False], ids=["closes", "stays"])
def test_an_answer_before_the_body_has_ended_is_delivered_and_ends_the_connection(front, target, bystander, framing, closes):
    done = []

    def early(sock, request):
        raise AssertionError("the body was read whole")

    target.take()
    # The strict reader of the target wants the whole body, so the answer is sent from outside of it.
    with wire.connect(front.http) as sock:
        stream = wire.Stream(sock)
        sock.sendall(b"POST /early HTTP/1.1\r\nHost: hostile.test\r\n" + framing + b"abc")
        wire.wait_for(lambda: b"abc" in target.raw, "the beginning of the body at the target")
        with target.lock:
            busy = list(target.connections)
        for connection in busy:
            with contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
                if closes:
                    connection.shutdown(1)
        answer = wire.read_answer(stream)
        assert (answer.status, answer.body) == (413, b"big")
        wire.send(sock, b"GET /smuggled HTTP/1.1\r\nHost: hostile.test\r\n\r\n" * 20)
        assert stream.rest() == b""
    assert done == []
    bystander()
    assert b"/smuggled HTTP/1.1\r\nHost: hostile.test\r\nx-" not in target.take()[2]


def test_no_status_line_is_made_by_what_a_client_sends(front, target):
    """Response splitting: what the client sends comes back only as the target writes it, and never with a line end in it."""

    def reflect(sock, request):
        value = request.value("x-reflect").encode("latin-1")
        sock.sendall(OK + b"X-Reflected: " + value + b"\r\nContent-Length: 0\r\n\r\n")
        return True

    target.answers["reflect"] = reflect
    with wire.connect(front.http) as sock:
        stream = wire.Stream(sock)
        sock.sendall(
            b"GET /say/reflect HTTP/1.1\r\nHost: hostile.test\r\nX-Reflect: a%0d%0aSet-Cookie: b\r\n"
            b"x-amzn-requestid: a%0d%0aSet-Cookie: b\r\n\r\n"
        )
        answer = wire.read_answer(stream)
    assert answer.value("x-reflected") == "a%0d%0aSet-Cookie: b"
    assert answer.value("set-cookie") is None


def reset(sends):
    """Sends this and breaks the connection off."""

    def answer(sock, _):
        sock.sendall(sends)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        return False

    return answer


def held(sends):
    """Sends this and nothing more, until the gateway leaves."""

    def answer(sock, _):
        sock.sendall(sends)
        with contextlib.suppress(OSError):
            while sock.recv(65536):
                pass
        return False

    return answer


def half_closed(sends):
    """Sends this, says that nothing follows, and waits for the gateway to leave."""

    def answer(sock, request):
        sock.sendall(sends)
        sock.shutdown(socket.SHUT_WR)
        return held(b"")(sock, request)

    return answer


# What targets do besides answering wrongly.
MANNERS = {
    "reset at once": reset(b""),
    "reset in the head": reset(OK + b"X: "),
    "reset in the body": reset(OK + b"Content-Length: 10\r\n\r\nhello"),
    "reset in a chunk": reset(OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nhello"),
    "half closed at once": half_closed(b""),
    "half closed in the head": half_closed(OK + b"X: "),
    "half closed in the body": half_closed(OK + b"Content-Length: 10\r\n\r\nhello"),
    "half closed after the answer": half_closed(OK + b"Content-Length: 5\r\n\r\nhello"),
}
# Whose answers have no end before the client leaves.
ENDLESS = {
    "silent": held(b""),
    "silent in the head": held(OK + b"X: "),
    "silent in the body": held(OK + b"Content-Length: 10\r\n\r\nhello"),
    "silent in a chunk": held(OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nhello"),
}
ROUNDS = 6


def meet_all(front, target):
    """One request to a target of every kind."""
    for name, sends in {**ANSWERS, **MANNERS}.items():
        target.answers["met"] = sends[0] if name in ANSWERS else sends
        with wire.connect(front.http) as sock:
            sock.sendall(b"GET /say/met HTTP/1.1\r\nHost: hostile.test\r\nConnection: close\r\n\r\n")
            wire.Stream(sock).rest()
    for sends in ENDLESS.values():
        target.answers["met"] = sends
        target.take()
        with wire.connect(front.http) as sock:
            sock.sendall(b"GET /say/met HTTP/1.1\r\nHost: hostile.test\r\n\r\n")
            wire.wait_for(lambda: target.seen, "the request at the target")


def test_targets_that_misbehave_leave_no_descriptor_and_no_memory(front, target, bystander):
    """Every kind, again and again: connections on both sides, other descriptors and memory are what they were, and another group is served."""

    def settled(most):
        def look():
            clients, others = front.descriptors()
            kept = len(target.connections)
            return (others, kept) if clients == 0 and kept <= most[1] and others <= most[0] else None

        return wire.wait_for(look, f"{most} descriptors at most")

    # The first rounds open what stays open, and fill what is kept for the next request.
    for _ in range(2):
        meet_all(front, target)
    # A bystander keeps a connection to its own target, and one to this.
    bystander()
    bystander(OTHER)
    most = settled((10_000, 2))
    watch = Watch(front, lambda: bystander(OTHER))
    with watch:
        for _ in range(ROUNDS):
            meet_all(front, target)
    settled((most[0], 2))
    # Each round brings some ten mebibytes of answers; none of it stays.
    watch.check(mebibytes=16, seconds=60)


def test_an_exchange_that_runs_is_seen_in_the_number_of_connections(front, target, bystander):
    """The twin: what the test above counts is not zero for want of counting."""
    bystander()
    target.answers["held"] = ENDLESS["silent in the body"]
    before = len(target.connections)
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            sock = stack.enter_context(wire.connect(front.http))
            sock.sendall(b"GET /say/held HTTP/1.1\r\nHost: hostile.test\r\n\r\n")
        wire.wait_for(lambda: len(target.connections) >= before + 4, "the connections to the target")
        assert front.descriptors()[0] == 5
    wire.wait_for(lambda: len(target.connections) <= max(before, 1), "the end of the connections to the target")
