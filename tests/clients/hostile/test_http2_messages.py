"""HTTP/2 messages that are malformed: which of them cost only their stream, what the target never gets, and the one record of each.

Spec: RFC 9113 §8.1.1: a malformed request is an error of its stream. Others on the connection are not to suffer for it: a proxy may carry
requests of several clients side by side.
"""

import struct

import pytest

from . import http2, wire
from .http2 import (
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, WITH_PRIORITY, block, frame, headers, literal, request, reset,
)

AUTHORITY = "hostile.test"


def fields(*more, **pseudo):
    return request("/bad", *more, **pseudo)


def without(name):
    return [(key, value) for key, value in fields() if key != name]


MALFORMED = {
    "empty :scheme": fields(scheme=""),
    "unknown :scheme": fields(scheme="ftp"),
    ":scheme with a host": fields(scheme="http://other.test"),
    "no :method": without(":method"),
    "no :scheme": without(":scheme"),
    "no :path": without(":path"),
    "no :authority and no host": without(":authority"),
    "empty :method": fields(method=""),
    ":method with a space": fields(method="GET /x"),
    ":method with CR LF": fields(method="GET / HTTP/1.1\r\nx: y"),
    ":method with NUL": fields(method="GE\0T"),
    "CONNECT with :path": fields(method="CONNECT"),
    "unknown pseudo-header": [*fields(), (":test", "x")],
    ":status": [*fields(), (":status", "200")],
    ":protocol": [*fields(), (":protocol", "websocket")],
    "pseudo-header in upper case": [*without(":path"), (":PATH", "/bad")],
    ":path twice": [*fields(), (":path", "/other")],
    ":authority twice": [*fields(), (":authority", "other.test")],
    ":method behind a field": [*without(":method"), ("x", "y"), (":method", "GET")],
    ":authority with a user": fields(authority="user@hostile.test"),
    ":authority with a user as a port": fields(authority="hostile.test:80@other.test"),
    ":authority empty": fields(authority=""),
    ":authority with a path": fields(authority="hostile.test/x"),
    ":authority with a space": fields(authority="hostile.test other.test"),
    ":authority with CR LF": fields(authority="hostile.test\r\nx: y"),
    ":authority with a bad port": fields(authority="hostile.test:http"),
    "host differs": fields(("host", "other.test")),
    "host differs in its port": fields(("host", "hostile.test:1")),
    "host twice": fields(("host", AUTHORITY), ("host", AUTHORITY)),
    "host twice without :authority": [*without(":authority"), ("host", AUTHORITY), ("host", "other.test")],
    "host with a user": [*without(":authority"), ("host", "a@hostile.test")],
    ":path with a space": [*without(":path"), (":path", "/bad HTTP/1.1\r\nx: y")],
    ":path absolute": [*without(":path"), (":path", "http://other.test/bad")],
    ":path relative": [*without(":path"), (":path", "bad")],
    ":path an asterisk": [*without(":path"), (":path", "*")],
    ":path with a fragment": [*without(":path"), (":path", "/bad#x")],
    ":path with NUL": [*without(":path"), (":path", "/bad\0")],
    "upper case": fields(("X-Test", "y")),
    "upper case in content-length": fields(("Content-Length", "5")),
    "empty name": fields(("", "y")),
    "name with a colon": fields(("x:y", "z")),
    "name with a space": fields(("transfer-encoding ", "chunked")),
    "name with CR LF": fields(("x\r\ntransfer-encoding", "chunked")),
    "name with NUL": fields(("x\0", "y")),
    "name beyond ASCII": fields(("\xe9", "y")),
    "value with CR LF": fields(("x", "y\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")),
    "value with LF": fields(("x", "y\nz: 1")),
    "value with CR": fields(("x", "y\rz: 1")),
    "value with NUL": fields(("x", "y\0")),
    "value with a control character": fields(("x", "y\x1b")),
    "value with the delete character": fields(("x", "y\x7f")),
    "value with a blank in front": fields(("x", " y")),
    "value with a tab behind": fields(("x", "y\t")),
    "connection": fields(("connection", "close")),
    "connection names content-length": fields(("connection", "content-length")),
    "keep-alive": fields(("keep-alive", "timeout=5")),
    "proxy-connection": fields(("proxy-connection", "close")),
    "transfer-encoding": fields(("transfer-encoding", "chunked"), method="POST"),
    "transfer-encoding identity": fields(("transfer-encoding", "identity")),
    "upgrade": fields(("upgrade", "h2c")),
    "te": fields(("te", "gzip")),
    "te with more": fields(("te", "trailers, chunked")),
    "length without a body": fields(("content-length", "5")),
    "length negative": fields(("content-length", "-1")),
    "length signed": fields(("content-length", "+0")),
    "length a list": fields(("content-length", "0, 0")),
    "length twice": fields(("content-length", "0"), ("content-length", "0")),
    "length twice, different": fields(("content-length", "0"), ("content-length", "5")),
    "length empty": fields(("content-length", "")),
    "length too large": fields(("content-length", "18446744073709551616")),
    "list far too long": fields(*[(f"x{number}", "y" * 4000) for number in range(33)]),
}


@pytest.fixture
def peer(front):
    with http2.connect(front) as made:
        yield made


def goes_on(peer, stream):
    """The connection carries the next request, and one whose fields come out of the compression table."""
    entry = literal("x-table", "kept", 0x40)
    for number, more in ((stream, entry), (stream + 2, b"\xbe")):
        peer.send(frame(HEADERS, END_STREAM | END_HEADERS, number, block(*peer.request(f"/next/{number}")) + more))
        answer = peer.answer(number)
        assert (answer.status, answer.body) == (200, f"GET /next/{number}".encode())


def first(fields, name):
    return next((value for key, value in fields if key == name), "-")


def in_frames(stream, fields):
    """Frames of a header block, in pieces where one would be too large."""
    whole = block(*fields)
    pieces = [whole[at : at + 16384] for at in range(0, len(whole), 16384)]
    out = []
    for place, piece in enumerate(pieces):
        ends = END_HEADERS if piece is pieces[-1] else 0
        out.append(frame(CONTINUATION if place else HEADERS, ends if place else END_STREAM | ends, stream, piece))
    return b"".join(out)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_costs_its_stream_only(front, target, peer, name):
    bad = MALFORMED[name]
    target.take()
    peer.send(headers(1, peer.request("/before")), in_frames(3, bad))
    end = peer.until(lambda got: got.stream == 3 or got.kind == GOAWAY)
    assert (end.kind, end.code) == (RST_STREAM, "PROTOCOL_ERROR")
    goes_on(peer, 5)
    wire.wait_for(lambda: len(target.seen) == 3, "all requests at the target")
    seen, faults, raw = target.take()
    assert sorted(one.line for one in seen) == ["GET /before", "GET /next/5", "GET /next/7"], raw
    assert [one.value("x-table") for one in seen if "next" in one.line] == ["kept", "kept"]
    assert faults == []
    records = front.records_of(peer, 4)
    refused = [one for one in records if one["failureReason"] == "ClientProtocolError"]
    assert len(records) == 4 and len(refused) == 1
    [record] = refused
    assert (record["responseCode"], record["targetIpPort"], record["protocol"]) == ("-", "-", "HTTP/2")
    assert record["requestMethod"] == (first(bad, ":method") or record["requestMethod"])
    assert record["requestPath"] == (first(bad, ":path") or record["requestPath"])


def post(peer, *more, path="/upload"):
    return headers(1, peer.request(path, *more, method="POST"), end=False)


def data(payload, end=True):
    return frame(DATA, END_STREAM if end else 0, 1, payload)


BODIES = {
    "longer than its length": lambda peer: [post(peer, ("content-length", "3")), data(b"abcd")],
    "longer, in two frames": lambda peer: [post(peer, ("content-length", "3")), data(b"ab", False), data(b"cd")],
    "longer, without end": lambda peer: [post(peer, ("content-length", "3")), data(b"abcd", False)],
    "shorter than its length": lambda peer: [post(peer, ("content-length", "3")), data(b"ab")],
    "none but a length": lambda peer: [post(peer, ("content-length", "3")), data(b"")],
    "shorter, ended by trailers": lambda peer: [post(peer, ("content-length", "3")), data(b"ab", False), headers(1, [("x", "y")])],
}
TRAILERS = {
    "pseudo-header": [(":path", "/")],
    "pseudo-header behind a field": [("x", "y"), (":method", "GET")],
    ":status": [(":status", "200")],
    "upper case": [("X", "y")],
    "connection field": [("transfer-encoding", "chunked")],
    "control character": [("x", "y\r\nz: 1")],
}
for name, bad in TRAILERS.items():
    BODIES[f"trailers: {name}"] = lambda peer, bad=bad: [post(peer), data(b"abc", False), headers(1, bad)]
BODIES["trailers without end"] = lambda peer: [post(peer), data(b"abc", False), headers(1, [("x", "y")], end=False)]
BODIES["trailers: pseudo-header by its index"] = lambda peer: [
    post(peer), data(b"abc", False), frame(HEADERS, END_STREAM | END_HEADERS, 1, literal("x", "y") + b"\x84"),
]


@pytest.mark.parametrize("pause", [False, True], ids=["at once", "in between"])
@pytest.mark.parametrize("name", BODIES)
def test_a_malformed_body_or_trailer_section_costs_its_stream_only(front, target, peer, name, pause):
    target.take()
    opening, *rest = BODIES[name](peer)
    if pause:
        peer.send(opening)
        wire.wait_for(lambda: target.raw, "the head at the target")
        peer.send(*rest)
    else:
        peer.send(opening, *rest)
    end = peer.until(lambda got: got.stream == 1 or got.kind == GOAWAY)
    assert (end.kind, end.code) == (RST_STREAM, "PROTOCOL_ERROR")
    goes_on(peer, 3)
    records = front.records_of(peer, 3)
    assert len(records) == 3
    [record] = [one for one in records if one["requestPath"] == "/upload"]
    assert (record["requestMethod"], record["failureReason"], record["responseCode"]) == ("POST", "ClientProtocolError", "-")
    seen, _, raw = target.take()
    assert [one.line for one in seen] == ["GET /next/3", "GET /next/5"], raw


def test_only_the_number_of_streams_announced_is_served_and_each_other_is_recorded(front, target, peer):
    peer.send(*(headers(2 * at + 1, peer.request(f"/many/{at}", method="POST"), end=False) for at in range(120)))
    for _ in range(20):
        assert peer.until(lambda got: got.kind == RST_STREAM).code == "REFUSED_STREAM"
    peer.send(*(reset(2 * at + 1) for at in range(100)))
    records = front.records_of(peer, 120)
    assert sorted(one["requestPath"] for one in records) == sorted(f"/many/{at}" for at in range(120))
    refused = [one for one in records if one["failureReason"] == "ClientProtocolError"]
    assert sorted(one["requestPath"] for one in refused) == sorted(f"/many/{at}" for at in range(100, 120))
    assert {one["requestMethod"] for one in records} == {"POST"}


BROKEN = {
    "a block that cannot be decompressed": lambda peer: frame(HEADERS, END_STREAM | END_HEADERS, 3, b"\xff\x09"),
    "a stream that depends on itself": lambda peer: frame(
        HEADERS, END_STREAM | END_HEADERS | WITH_PRIORITY, 3, struct.pack(">IB", 3, 1) + block(*peer.request("/bad"))
    ),
    "a frame of the wrong size": lambda peer: frame(RST_STREAM, 0, 1, bytes(3)),
}


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_connection_has_one_record_for_each_of_its_requests(front, target, peer, name, running):
    if running:
        peer.send(headers(1, peer.request("/running", method="POST"), end=False))
        wire.wait_for(lambda: b"/running" in target.raw, "the head at the target")
    else:
        peer.send(headers(1, peer.request("/running")))
        assert peer.answer(1).status == 200
    peer.send(BROKEN[name](peer))
    assert peer.until(lambda got: got.kind == GOAWAY).code in ("COMPRESSION_ERROR", "PROTOCOL_ERROR", "FRAME_SIZE_ERROR")
    with pytest.raises(http2.Closed):
        peer.next()
    records = front.records_of(peer, 1 if running and "size" in name else 2)
    faults = [one["failureReason"] for one in records if one["requestPath"] == "/running"]
    assert faults == (["ClientProtocolError"] if running else ["-"])
    others = [one for one in records if one["requestPath"] != "/running"]
    assert [one["failureReason"] for one in others] == ([] if running and "size" in name else ["ClientProtocolError"])
    target.take()
