"""The cases of h2spec 2.6 (its sections generic, http2 and hpack), over plain connections with prior knowledge and over TLS.

Numbers are h2spec's: `h.` its section http2 (RFC 7540, still the numbering of h2spec), `p.` hpack (RFC 7541), `g.` generic. Each case is
accepted as h2spec accepts it: an error of the connection is GOAWAY with one of the codes, or the connection closed; an error of a stream is
RST_STREAM or GOAWAY with one of the codes, or the connection closed.
"""

import struct

import hpack
import pytest

from . import http2
from .http2 import (
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PREFACE, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, WITH_PRIORITY, Closed, block, frame, goaway, headers, integer, literal, ping, priority, reset, settings, window_update,
)

PROTOCOL, SIZE, FLOW, STREAM_CLOSED = "PROTOCOL_ERROR", "FRAME_SIZE_ERROR", "FLOW_CONTROL_ERROR", "STREAM_CLOSED"
COMPRESSION, REFUSED = "COMPRESSION_ERROR", "REFUSED_STREAM"
CASES = {}


def case(name):
    def add(function):
        assert name not in CASES
        CASES[name] = function
        return function

    return add


def sends(name, judge, *codes, settings=()):
    """A case that sends bytes, made from the peer, and judges what comes back."""

    def add(function):
        @case(name)
        def run(peer):
            peer.send(*function(peer))
            judge(peer, *codes)

        run.settings = settings
        return function

    return add


# How h2spec judges.


def connection_error(peer, *codes):
    try:
        got = peer.until(lambda got: got.kind == GOAWAY)
    except Closed:
        return
    assert got.code in codes


def stream_error(peer, *codes):
    try:
        got = peer.until(lambda got: got.kind in (GOAWAY, RST_STREAM))
    except Closed:
        return
    assert got.code in codes


def answered(peer, stream=1, status=200):
    assert peer.answer(stream).status == status


def works(peer):
    assert peer.works()


def finished(peer):
    """The stream was ended, well or not, or the connection was."""
    try:
        peer.until(lambda got: got.ends or got.kind in (RST_STREAM, GOAWAY))
    except Closed:
        return


def get(peer, stream=1, end=True, **more):
    return headers(stream, peer.request(**more), end=end)


def post(peer, stream=1, *fields, **more):
    return headers(stream, peer.request("/a", *fields, method="POST", **more), end=False)


def data(stream=1, payload=b"test", end=True):
    return frame(DATA, END_STREAM if end else 0, stream, payload)


def split(peer, *sizes, stream=1, end=True):
    """A request in HEADERS and CONTINUATION, the last without END_HEADERS unless `sizes` ends with None."""
    whole = block(*peer.request())
    first = frame(HEADERS, END_STREAM if end else 0, stream, whole[: sizes[0]])
    return first, whole[sizes[0] :]


def get_and_wait(peer, stream=1):
    peer.send(get(peer, stream))
    answered(peer, stream)


# Generic.


@case("g.1/1 preface")
def _(peer):
    works(peer)


@sends("g.2/1 PRIORITY on an idle stream", works)
def _(peer):
    return [priority(1)]


@sends("g.2/2 WINDOW_UPDATE on a half-closed stream", works)
def _(peer):
    return [get(peer), window_update(1, 100)]


@sends("g.2/3 PRIORITY on a half-closed stream", works)
def _(peer):
    return [get(peer), priority(1)]


@sends("g.2/4 RST_STREAM on a half-closed stream", works)
def _(peer):
    return [get(peer), reset(1)]


@case("g.2/5 PRIORITY on a closed stream")
def _(peer):
    get_and_wait(peer)
    peer.send(priority(1))
    works(peer)


@sends("g.3.1/1 DATA", answered)
def _(peer):
    return [post(peer), data()]


@sends("g.3.1/2 several DATA", answered)
def _(peer):
    return [post(peer), data(end=False), data()]


@sends("g.3.1/3 DATA with padding", answered)
def _(peer):
    return [post(peer), frame(DATA, END_STREAM | PADDED, 1, b"\x06test" + bytes(6))]


@sends("g.3.2/1 HEADERS", answered)
def _(peer):
    return [get(peer)]


@sends("g.3.2/2 HEADERS with padding", answered)
def _(peer):
    return [frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, b"\x06" + block(*peer.request()) + bytes(6))]


@sends("g.3.2/3 HEADERS with priority", answered)
def _(peer):
    payload = struct.pack(">IB", 0, 255) + block(*peer.request())
    return [frame(HEADERS, END_STREAM | END_HEADERS | WITH_PRIORITY, 1, payload)]


for number, made in enumerate((priority(1, weight=0), priority(1, weight=255), priority(3, on=1), priority(3, on=1, exclusive=True)), 1):

    @sends(f"g.3.3/{number} PRIORITY", answered)
    def _(peer, made=made):
        return [made, get(peer)]


@sends("g.3.3/5 PRIORITY for an idle stream, then HEADERS on a lower one", answered)
def _(peer):
    return [priority(9), get(peer)]


@sends("g.3.4/1 RST_STREAM", works)
def _(peer):
    return [get(peer), reset(1)]


@sends("g.3.5/1 SETTINGS", lambda peer: peer.until(lambda got: got.kind == SETTINGS and got.flags & ACK))
def _(peer):
    return [settings((http2.MAX_CONCURRENT_STREAMS, 100))]


@sends("g.3.7/1 PING", lambda peer: peer.until(lambda got: got.kind == PING and got.flags & ACK and got.payload == b"h2spec!!"))
def _(peer):
    return [ping(b"h2spec!!")]


@sends("g.3.8/1 GOAWAY", finished)
def _(peer):
    return [goaway()]


@sends("g.3.9/1 WINDOW_UPDATE of the connection", works)
def _(peer):
    return [window_update(0, 1)]


@sends("g.3.9/2 WINDOW_UPDATE of a stream", answered)
def _(peer):
    return [post(peer), window_update(1, 1), data()]


@sends("g.3.10/1 CONTINUATION", answered)
def _(peer):
    first, rest = split(peer, 1)
    return [first, frame(CONTINUATION, END_HEADERS, 1, rest)]


@sends("g.3.10/2 several CONTINUATION", answered)
def _(peer):
    first, rest = split(peer, 10)
    return [first, frame(CONTINUATION, 0, 1, rest[:10]), frame(CONTINUATION, END_HEADERS, 1, rest[10:])]


@sends("g.4/1 GET", answered)
def _(peer):
    return [get(peer)]


@sends("g.4/2 HEAD", answered)
def _(peer):
    return [get(peer, method="HEAD")]


@sends("g.4/3 POST", answered)
def _(peer):
    return [post(peer), data()]


@sends("g.4/4 POST with trailers", answered)
def _(peer):
    return [post(peer), data(end=False), headers(1, [("x-test", "ok")])]


def pseudo(peer):
    return block(*peer.request())


FORMS = {
    "indexed": b"\x90",
    "incremental indexing, indexed name": b"\x7a" + integer(4, 7) + b"test",
    "incremental indexing, indexed name, huffman": b"\x7a" + integer(3, 7, 0x80) + hpack.huffman.HuffmanEncoder(
        hpack.huffman_constants.REQUEST_CODES, hpack.huffman_constants.REQUEST_CODES_LENGTH).encode(b"test"),
    "incremental indexing, new name": literal("x-test", "ok", 0x40),
    "without indexing, indexed name": b"\x0f\x2b" + integer(4, 7) + b"test",
    "without indexing, new name": literal("x-test", "ok", 0x00),
    "never indexed, indexed name": b"\x1f\x2b" + integer(4, 7) + b"test",
    "never indexed, new name": literal("x-test", "ok", 0x10),
}
for number, (form, made) in enumerate(FORMS.items(), 1):

    @sends(f"g.5/{number} {form}", answered)
    def _(peer, made=made):
        return [frame(HEADERS, END_STREAM | END_HEADERS, 1, pseudo(peer) + made)]


@sends("g.5/9 dynamic table size update", answered)
def _(peer):
    return [frame(HEADERS, END_STREAM | END_HEADERS, 1, integer(128, 5, 0x20) + pseudo(peer))]


@sends("g.5/10 several dynamic table size updates", answered)
def _(peer):
    return [frame(HEADERS, END_STREAM | END_HEADERS, 1, integer(128, 5, 0x20) + integer(4096, 5, 0x20) + pseudo(peer))]


# HTTP/2.


def raw(name, sent):
    """A case in which the preface itself is wrong."""

    @case(name)
    def run(peer):
        peer.send(sent)
        connection_error(peer, PROTOCOL)

    run.preface = False


raw("h.3.5/2 invalid preface", b"INVALID CONNECTION PREFACE\r\n\r\n")
raw("h.3.5/3 preface without SETTINGS", PREFACE + ping() * 2)
raw("h.3.5/4 preface cut short by something else", PREFACE[:18] + b"XX\r\n\r\n")


@sends("h.4.1/1 unknown type", works)
def _(peer):
    return [frame(0x16, 0, 0, bytes(8))]


@sends("h.4.1/2 undefined flags", works)
def _(peer):
    return [ping(flags=0x16)]


@sends("h.4.1/3 reserved bit", works)
def _(peer):
    return [frame(PING, 0, 0x80000000, bytes(8))]


@sends("h.4.2/1 DATA of 2^14", answered)
def _(peer):
    return [post(peer), data(payload=bytes(1 << 14))]


@sends("h.4.2/2 DATA too large", stream_error, SIZE)
def _(peer):
    return [post(peer), data(payload=bytes((1 << 14) + 1))]


@sends("h.4.2/3 HEADERS too large", connection_error, SIZE)
def _(peer):
    return [headers(1, peer.request("/a", ("x", "y" * (1 << 14))))]


@sends("h.4.3/1 invalid header block", connection_error, COMPRESSION)
def _(peer):
    return [frame(HEADERS, END_STREAM | END_HEADERS, 1, b"\x40\xff\xff\xff\xff\xff\xff\xff")]


@sends("h.4.3/2 PRIORITY within a header block", connection_error, PROTOCOL)
def _(peer):
    first, rest = split(peer, 10)
    return [first, priority(1), frame(CONTINUATION, END_HEADERS, 1, rest)]


@sends("h.4.3/3 HEADERS of another stream within a header block", connection_error, PROTOCOL)
def _(peer):
    first, rest = split(peer, 10)
    return [first, get(peer, 3), frame(CONTINUATION, END_HEADERS, 1, rest)]


IDLE = {
    1: lambda: data(),
    2: lambda: reset(1),
    3: lambda: window_update(1, 100),
    4: lambda: frame(CONTINUATION, END_HEADERS, 1, b""),
}
for number, made in IDLE.items():

    @sends(f"h.5.1/{number} idle", connection_error, PROTOCOL, *([STREAM_CLOSED] if number == 1 else []))
    def _(peer, made=made):
        return [made()]


AFTER = {
    "DATA": lambda peer: data(),
    "HEADERS": lambda peer: get(peer),
    "CONTINUATION": lambda peer: frame(CONTINUATION, END_HEADERS, 1, block(("x", "y"))),
}
for number, (kind, made) in enumerate(AFTER.items()):
    codes = [STREAM_CLOSED] + ([PROTOCOL] if kind == "CONTINUATION" else [])

    @sends(f"h.5.1/{5 + number} half-closed: {kind}", stream_error, *codes)
    def _(peer, made=made):
        return [get(peer, path="/say/slow"), made(peer)]

    @sends(f"h.5.1/{8 + number} closed by RST_STREAM: {kind}", stream_error, *codes)
    def _(peer, made=made):
        return [post(peer), reset(1), made(peer)]

    @case(f"h.5.1/{11 + number} closed by END_STREAM: {kind}")
    def _(peer, made=made, codes=codes):
        get_and_wait(peer)
        peer.send(made(peer))
        stream_error(peer, *codes)


@sends("h.5.1.1/1 even stream", connection_error, PROTOCOL)
def _(peer):
    return [get(peer, 2)]


@sends("h.5.1.1/2 smaller stream", connection_error, PROTOCOL)
def _(peer):
    return [get(peer, 5), get(peer, 3)]


@sends("h.5.1.2/1 more streams than allowed", stream_error, PROTOCOL, REFUSED)
def _(peer):
    return [post(peer, 2 * number + 1) for number in range(101)]


@sends("h.5.3.1/1 HEADERS depends on itself", stream_error, PROTOCOL)
def _(peer):
    payload = struct.pack(">IB", 1, 255) + block(*peer.request())
    return [frame(HEADERS, END_STREAM | END_HEADERS | WITH_PRIORITY, 1, payload)]


@sends("h.5.3.1/2 PRIORITY depends on itself", stream_error, PROTOCOL)
def _(peer):
    return [priority(1, on=1)]


@sends("h.5.4.1/1 an error closes the connection", connection_error, SIZE)
def _(peer):
    return [frame(PING, 0, 0, bytes(6))]


@sends("h.5.4.1/2 GOAWAY comes before the end", connection_error, SIZE)
def _(peer):
    return [get(peer), frame(PING, 0, 0, bytes(6))]


@sends("h.5.5/1 unknown extension", works)
def _(peer):
    return [frame(0xFF, 0, 0, b"unknown")]


@sends("h.5.5/2 unknown extension within a header block", connection_error, PROTOCOL)
def _(peer):
    first, rest = split(peer, 10)
    return [first, frame(0xFF, 0, 0, b"unknown"), frame(CONTINUATION, END_HEADERS, 1, rest)]


@sends("h.6.1/1 DATA on stream 0", connection_error, PROTOCOL)
def _(peer):
    return [get(peer), data(0)]


@sends("h.6.1/2 DATA on a closed stream", stream_error, STREAM_CLOSED)
def _(peer):
    return [get(peer), data(1)]


@sends("h.6.1/3 DATA with too much padding", connection_error, PROTOCOL)
def _(peer):
    return [post(peer), frame(DATA, END_STREAM | PADDED, 1, b"\x06test")]


@sends("h.6.2/1 HEADERS without end, then PRIORITY", connection_error, PROTOCOL)
def _(peer):
    first, _ = split(peer, 10)
    return [first, priority(1)]


@sends("h.6.2/2 HEADERS without end, then HEADERS", connection_error, PROTOCOL)
def _(peer):
    first, _ = split(peer, 10)
    return [first, get(peer, 3)]


@sends("h.6.2/3 HEADERS on stream 0", connection_error, PROTOCOL)
def _(peer):
    return [get(peer, 0)]


@sends("h.6.2/4 HEADERS with too much padding", connection_error, PROTOCOL)
def _(peer):
    return [frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, b"\xff" + block(*peer.request()))]


@sends("h.6.3/1 PRIORITY on stream 0", connection_error, PROTOCOL)
def _(peer):
    return [priority(0)]


@sends("h.6.3/2 PRIORITY of another length", stream_error, SIZE)
def _(peer):
    return [post(peer), frame(PRIORITY, 0, 1, bytes(4))]


@sends("h.6.4/1 RST_STREAM on stream 0", connection_error, PROTOCOL)
def _(peer):
    return [reset(0)]


@sends("h.6.4/2 RST_STREAM on an idle stream", connection_error, PROTOCOL)
def _(peer):
    return [reset(1)]


@sends("h.6.4/3 RST_STREAM of another length", connection_error, SIZE)
def _(peer):
    return [post(peer), frame(RST_STREAM, 0, 1, bytes(3))]


@sends("h.6.5/1 SETTINGS with ACK and a payload", connection_error, SIZE)
def _(peer):
    return [settings((1, 4096), flags=ACK)]


@sends("h.6.5/2 SETTINGS on a stream", connection_error, PROTOCOL)
def _(peer):
    return [settings((1, 4096), stream=1)]


@sends("h.6.5/3 SETTINGS of another length", connection_error, SIZE)
def _(peer):
    return [frame(SETTINGS, 0, 0, bytes(3))]


VALUES = [
    (http2.ENABLE_PUSH, 2, PROTOCOL),
    (http2.INITIAL_WINDOW_SIZE, 1 << 31, FLOW),
    (http2.MAX_FRAME_SIZE, (1 << 14) - 1, PROTOCOL),
    (http2.MAX_FRAME_SIZE, 1 << 24, PROTOCOL),
]
for number, (name, value, code) in enumerate(VALUES, 1):

    @sends(f"h.6.5.2/{number} setting {name} to {value}", connection_error, code)
    def _(peer, name=name, value=value):
        return [settings((name, value))]


@sends("h.6.5.2/5 unknown setting", works)
def _(peer):
    return [settings((0xFF, 1))]


def one_byte(peer):
    got = peer.until(lambda got: got.kind == DATA)
    assert len(got.payload) == 1


@sends("h.6.5.3/1 the last of several values counts", one_byte)
def _(peer):
    return [settings((http2.INITIAL_WINDOW_SIZE, 100), (http2.INITIAL_WINDOW_SIZE, 1)), get(peer)]


@sends("h.6.5.3/2 SETTINGS are acknowledged", lambda peer: peer.until(lambda got: got.kind == SETTINGS and got.flags & ACK))
def _(peer):
    return [settings((http2.ENABLE_PUSH, 0))]


@sends("h.6.7/1 PING", lambda peer: peer.until(lambda got: got.kind == PING and got.flags & ACK and got.payload == b"h2spec__"))
def _(peer):
    return [ping(b"h2spec__")]


@case("h.6.7/2 PING with ACK")
def _(peer):
    peer.send(ping(b"unbidden", ACK), ping(b"h2spec__"))
    assert peer.until(lambda got: got.kind == PING).payload == b"h2spec__"


@sends("h.6.7/3 PING on a stream", connection_error, PROTOCOL)
def _(peer):
    return [frame(PING, 0, 1, bytes(8))]


@sends("h.6.7/4 PING of another length", connection_error, SIZE)
def _(peer):
    return [frame(PING, 0, 0, bytes(6))]


@sends("h.6.8/1 GOAWAY on a stream", connection_error, PROTOCOL)
def _(peer):
    return [goaway(stream=1)]


@sends("h.6.9/1 WINDOW_UPDATE of zero", connection_error, PROTOCOL)
def _(peer):
    return [window_update(0, 0)]


@sends("h.6.9/2 WINDOW_UPDATE of zero on a stream", stream_error, PROTOCOL)
def _(peer):
    return [post(peer), window_update(1, 0)]


@sends("h.6.9/3 WINDOW_UPDATE of another length", connection_error, SIZE)
def _(peer):
    return [frame(WINDOW_UPDATE, 0, 0, bytes(3))]


@sends("h.6.9.1/1 no more than the window", one_byte)
def _(peer):
    return [settings((http2.INITIAL_WINDOW_SIZE, 1)), get(peer)]


@sends("h.6.9.1/2 window of the connection beyond 2^31-1", connection_error, FLOW)
def _(peer):
    return [window_update(0, (1 << 31) - 1)] * 2


@sends("h.6.9.1/3 window of a stream beyond 2^31-1", stream_error, FLOW)
def _(peer):
    return [post(peer), *[window_update(1, (1 << 31) - 1)] * 2]


@case("h.6.9.2/1 window changed after HEADERS")
def _(peer):
    peer.send(settings((http2.INITIAL_WINDOW_SIZE, 0)), get(peer))
    peer.until(lambda got: got.kind == HEADERS)
    peer.send(settings((http2.INITIAL_WINDOW_SIZE, 1)))
    one_byte(peer)


@case("h.6.9.2/2 window below zero")
def _(peer):
    peer.send(settings((http2.INITIAL_WINDOW_SIZE, 3)), get(peer))
    assert len(peer.until(lambda got: got.kind == DATA).payload) == 3
    peer.send(settings((http2.INITIAL_WINDOW_SIZE, 2)), window_update(1, 2))
    one_byte(peer)


@sends("h.6.9.2/3 initial window beyond 2^31-1", connection_error, FLOW)
def _(peer):
    return [settings((http2.INITIAL_WINDOW_SIZE, (1 << 31) - 1 + 1))]


@sends("h.6.10/1 several CONTINUATION", answered)
def _(peer):
    first, rest = split(peer, 1)
    return [first, *(frame(CONTINUATION, 0, 1, rest[at : at + 30]) for at in range(0, len(rest), 30)), frame(CONTINUATION, END_HEADERS, 1)]


@sends("h.6.10/2 CONTINUATION, then DATA", connection_error, PROTOCOL)
def _(peer):
    first, rest = split(peer, 1, end=False)
    return [first, frame(CONTINUATION, 0, 1, rest), data()]


@sends("h.6.10/3 CONTINUATION on stream 0", connection_error, PROTOCOL)
def _(peer):
    first, rest = split(peer, 1)
    return [first, frame(CONTINUATION, END_HEADERS, 0, rest)]


@sends("h.6.10/4 CONTINUATION after the end of a header block", connection_error, PROTOCOL)
def _(peer):
    return [get(peer), frame(CONTINUATION, END_HEADERS, 1, block(("x", "y")))]


@sends("h.6.10/5 CONTINUATION after a CONTINUATION that ended it", connection_error, PROTOCOL)
def _(peer):
    first, rest = split(peer, 1)
    return [first, frame(CONTINUATION, END_HEADERS, 1, rest), frame(CONTINUATION, END_HEADERS, 1, block(("x", "y")))]


@sends("h.6.10/6 CONTINUATION after DATA", connection_error, PROTOCOL)
def _(peer):
    return [post(peer), data(end=False), frame(CONTINUATION, END_HEADERS, 1, block(("x", "y")))]


@sends("h.7/1 GOAWAY with an unknown code", finished)
def _(peer):
    return [goaway(code=0xFF)]


@sends("h.7/2 RST_STREAM with an unknown code", works)
def _(peer):
    return [get(peer), reset(1, 0xFF)]


@sends("h.8.1/1 second HEADERS without END_STREAM", stream_error, PROTOCOL)
def _(peer):
    return [post(peer), data(end=False), headers(1, [("x-test", "ok")], end=False)]


FIELDS = {
    "h.8.1.2/1 upper case": [("X-Test", "ok")],
    "h.8.1.2.1/1 unknown pseudo-header": [(":test", "ok")],
    "h.8.1.2.1/2 pseudo-header of answers": [(":status", "200")],
    "h.8.1.2.2/1 connection": [("connection", "keep-alive")],
    "h.8.1.2.2/2 te": [("te", "trailers, deflate")],
}
for name, fields in FIELDS.items():

    @sends(name, stream_error, PROTOCOL)
    def _(peer, fields=fields):
        return [headers(1, peer.request("/a", *fields))]


@sends("h.8.1.2.1/3 pseudo-header in trailers", stream_error, PROTOCOL)
def _(peer):
    return [post(peer), data(end=False), headers(1, [(":method", "GET")])]


@sends("h.8.1.2.1/4 pseudo-header behind a field", stream_error, PROTOCOL)
def _(peer):
    fields = peer.request()
    return [headers(1, [*fields[:3], ("x-test", "ok"), fields[3]])]


REQUESTS = {
    "h.8.1.2.3/1 empty :path": lambda peer: peer.request(""),
    "h.8.1.2.3/2 no :method": lambda peer: peer.request(method=None),
    "h.8.1.2.3/3 no :scheme": lambda peer: peer.request(scheme=None),
    "h.8.1.2.3/4 no :path": lambda peer: peer.request(None),
    "h.8.1.2.3/5 :method twice": lambda peer: [(":method", "GET"), *peer.request()],
    "h.8.1.2.3/6 :scheme twice": lambda peer: [(":scheme", peer.scheme), *peer.request()],
    "h.8.1.2.3/7 :path twice": lambda peer: [(":path", "/a"), *peer.request()],
}
for name, fields in REQUESTS.items():

    @sends(name, stream_error, PROTOCOL)
    def _(peer, fields=fields):
        return [headers(1, fields(peer))]


@sends("h.8.1.2.6/1 content-length and DATA differ", stream_error, PROTOCOL)
def _(peer):
    return [post(peer, 1, ("content-length", "1")), data()]


@sends("h.8.1.2.6/2 content-length and several DATA differ", stream_error, PROTOCOL)
def _(peer):
    return [post(peer, 1, ("content-length", "1")), data(end=False), data()]


@sends("h.8.2/1 PUSH_PROMISE", connection_error, PROTOCOL)
def _(peer):
    return [post(peer), frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + block(*peer.request()))]


# HPACK.


BLOCKS = {
    "p.2.3.3/1 index beyond the tables": b"\xff\x09",
    "p.2.3.3/2 name index beyond the tables": b"\x7f\x2a\x04test",
    "p.4.2/1 table size update behind a field": b"\x3f\x01",
    "p.5.2/1 huffman padding beyond 7 bits": b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff",
    "p.5.2/2 huffman padding of zeros": b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90",
    "p.5.2/3 huffman with EOS": b"\x00\x85\xf2\xb2\x4a\x84\xff\x87\x49\x51\xff\xff\xff\xfa\x7f",
    "p.6.1/1 index 0": b"\x80",
}
for name, made in BLOCKS.items():

    @sends(name, connection_error, COMPRESSION)
    def _(peer, made=made):
        return [frame(HEADERS, END_STREAM | END_HEADERS, 1, pseudo(peer) + made)]


@sends("p.6.3/1 table size update beyond the setting", connection_error, COMPRESSION)
def _(peer):
    return [frame(HEADERS, END_STREAM | END_HEADERS, 1, integer(1 << 20, 5, 0x20) + pseudo(peer))]


def slow(sock, request):
    """An answer that waits long enough for the stream to be still half-closed when the next frame is read."""
    sock.settimeout(1)
    try:
        sock.recv(1)
    except TimeoutError:
        pass
    return False


@pytest.mark.parametrize("over", ["plain", "tls"])
@pytest.mark.parametrize("name", CASES)
def test_a_case_of_h2spec(front, target, name, over):
    target.answers["slow"] = slow
    run = CASES[name]
    with http2.connect(front, over, *getattr(run, "settings", ()), preface=getattr(run, "preface", True)) as peer:
        run(peer)
