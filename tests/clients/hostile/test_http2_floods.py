"""HTTP/2 clients that send without end, open without end, or never read: what ends them, what it costs, and that nobody else notices.

Each attack goes on until the gateway ends it, or until far more was sent than the gateway may take. Meanwhile another client is served.
The memory and the processor time that an attack may cost are those of the whole process, bystander included, in a build for tests.
"""

import contextlib
import itertools
import threading

import pytest

from . import http2, wire
from .conftest import HEADER_SECONDS, IDLE_SECONDS
from .http2 import (
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, block, frame, goaway, headers, literal, ping, priority, reset,
    settings, window_update,
)

CALM, PROTOCOL, SIZE, STREAM_CLOSED = "ENHANCE_YOUR_CALM", "PROTOCOL_ERROR", "FRAME_SIZE_ERROR", "STREAM_CLOSED"
# Frames after which an attack that was not ended has won.
ENOUGH = 300_000
MEBIBYTES = 16
SECONDS = 8


def streams(start=1):
    return itertools.count(start, 2)


def each_stream(made):
    """Frames made for one new stream after the other."""
    return lambda peer: (made(peer, stream) for stream in streams())


def on_one(made, **opening):
    """A stream that stays open, and then the same frames for ever."""

    def run(peer):
        yield headers(1, peer.request("/upload", method="POST"), end=False)
        while True:
            yield made

    return run


def opened(peer, stream, *fields, **more):
    return headers(stream, peer.request("/opened", *fields, method="POST", **more), end=False)


def whole(peer, stream, *fields):
    return headers(stream, peer.request("/whole", *fields))


def continued(piece):
    def run(peer):
        yield frame(HEADERS, END_STREAM, 1, block(*peer.request()))
        while True:
            yield frame(CONTINUATION, 0, 1, piece)

    return run


def bomb(peer, stream):
    """4000 bytes in the table, told 12 000 times: 48 MB from 12 kB."""
    entry = literal("x", "y" * 3900, 0x40) if stream == 1 else b""
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, block(*peer.request()) + entry + b"\xbe" * 12_000)


def in_pieces(stream, fields):
    """A header block in several frames."""
    whole = block(*fields)
    pieces = [whole[at : at + 16_000] for at in range(0, len(whole), 16_000)]
    last = len(pieces) - 1
    out = frame(HEADERS, END_STREAM | (0 if last else END_HEADERS), stream, pieces[0])
    for place, piece in enumerate(pieces[1:], 1):
        out += frame(CONTINUATION, END_HEADERS if place == last else 0, stream, piece)
    return out


FLOODS = {
    "rapid reset (CVE-2023-44487)": (CALM, each_stream(lambda peer, stream: whole(peer, stream) + reset(stream))),
    "rapid reset of uploads": (CALM, each_stream(lambda peer, stream: opened(peer, stream) + reset(stream))),
    "made resets (CVE-2025-8671): window beyond its limit": (
        CALM, each_stream(lambda peer, stream: opened(peer, stream) + window_update(stream, 0x7FFFFFFF)),
    ),
    "made resets: window update of zero": (
        (CALM, PROTOCOL), each_stream(lambda peer, stream: opened(peer, stream) + window_update(stream, 0)),
    ),
    "made resets: data after the end": (
        STREAM_CLOSED, each_stream(lambda peer, stream: whole(peer, stream) + frame(DATA, END_STREAM, stream, b"x")),
    ),
    "made resets: headers after the end": (STREAM_CLOSED, each_stream(lambda peer, stream: whole(peer, stream) * 2)),
    "made resets: body longer than announced": (
        CALM, each_stream(lambda peer, stream: opened(peer, stream, ("content-length", "1")) + frame(DATA, END_STREAM, stream, b"xy")),
    ),
    "made resets: connection field": (CALM, each_stream(lambda peer, stream: whole(peer, stream, ("connection", "close")))),
    "made resets: priority on itself": (PROTOCOL, each_stream(lambda peer, stream: priority(stream, on=stream))),
    "made resets: priority of the wrong size": (SIZE, each_stream(lambda peer, stream: opened(peer, stream) + frame(2, 0, stream, bytes(4)))),
    "made resets: trailers with a pseudo-header": (
        # Which comes first, the limit of streams at once or that of frames, is a race.
        (CALM, PROTOCOL), each_stream(lambda peer, stream: opened(peer, stream) + headers(stream, [(":path", "/")])),
    ),
    "streams beyond the limit": (CALM, each_stream(opened)),
    "empty header blocks": (CALM, each_stream(lambda peer, stream: frame(HEADERS, END_STREAM | END_HEADERS, stream))),
    "empty names": (CALM, each_stream(lambda peer, stream: whole(peer, stream, *[("", "")] * 90))),
    "HPACK bombs": (CALM, each_stream(bomb)),
    "lists far too long": (CALM, each_stream(lambda peer, stream: in_pieces(stream, peer.request("/a", *[("x", "y" * 4000)] * 33)))),
    "CONTINUATION, empty (CVE-2024-27316)": (CALM, continued(b"")),
    "CONTINUATION, small": (CALM, continued(literal("x", "y"))),
    "CONTINUATION, full": (CALM, continued(literal("x", "y" * 16_000))),
    "CONTINUATION, of table sizes": (CALM, continued(b"\x20" * 16_000)),
    "SETTINGS (CVE-2019-9515)": (CALM, lambda peer: itertools.repeat(settings((http2.INITIAL_WINDOW_SIZE, 1000)))),
    "SETTINGS, empty": (CALM, lambda peer: itertools.repeat(settings())),
    "SETTINGS, of table sizes": (CALM, lambda peer: itertools.repeat(settings((1, 0), (1, 4096)))),
    "SETTINGS, too many in one": (CALM, lambda peer: itertools.repeat(settings(*[(0xFF, 1)] * 2000))),
    "PING (CVE-2019-9512)": (CALM, lambda peer: itertools.repeat(ping())),
    "PING, acknowledging nothing": (CALM, lambda peer: itertools.repeat(ping(flags=1))),
    "PRIORITY (CVE-2019-9513)": (CALM, lambda peer: (priority(9, on=number % 2 * 2 + 1) for number in itertools.count())),
    "WINDOW_UPDATE of the connection": (CALM, lambda peer: itertools.repeat(window_update(0, 1))),
    "WINDOW_UPDATE of a stream": (CALM, on_one(window_update(1, 1))),
    "empty DATA (CVE-2019-9518)": (CALM, on_one(frame(DATA, 0, 1))),
    "DATA of padding": (CALM, on_one(frame(DATA, 8, 1, b"\x00"))),
    "unknown frames": (CALM, lambda peer: itertools.repeat(frame(0xF0, 0, 0, b"x"))),
    "PUSH_PROMISE": (PROTOCOL, on_one(frame(5, END_HEADERS, 1, bytes(4)))),
    "frame of 16 MB": (SIZE, lambda peer: itertools.repeat(b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + bytes(8000))),
    "frame one byte too large": (SIZE, on_one(frame(DATA, 0, 1, bytes(16_385)))),
}
# What may reach the target of one attack: what the budget of frames allows, and never the attack's own number.
REACHED = 1500


class Flood(threading.Thread):
    """Sends frames until the connection is over, or for as long as is enough."""

    def __init__(self, peer, frames):
        super().__init__()
        self.peer, self.frames = peer, frames
        self.over = threading.Event()
        self.sent = 0

    def run(self):
        with contextlib.suppress(OSError):
            while not self.over.is_set() and self.sent < ENOUGH:
                some = list(itertools.islice(self.frames, 200))
                self.peer.sock.sendall(b"".join(some))
                self.sent += len(some)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *unused):
        self.over.set()
        with contextlib.suppress(OSError):
            self.peer.sock.shutdown(2)
        self.join()


def wait_until_ended(peer):
    """The code that the gateway ends the connection with."""
    code = None
    with contextlib.suppress(http2.Closed):
        while True:
            got = peer.next()
            if got.kind == GOAWAY and got.code != "NO_ERROR":
                code = got.code
            # What was seen is kept for other tests; here it would be a flood of its own.
            peer.seen.clear()
    return code


@pytest.mark.parametrize("over", ["plain", "tls"])
@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_ended(front, target, watch, name, over):
    codes, frames = FLOODS[name]
    target.take()
    with http2.connect(front, over) as peer, watch:
        with Flood(peer, frames(peer)) as flood:
            code = wait_until_ended(peer)
        assert flood.sent < ENOUGH, "the gateway never ended it"
    # A client of TLS that fails to send cannot read any more what came before.
    assert code in ((codes,) if isinstance(codes, str) else codes) or (over == "tls" and code is None)
    watch.check(MEBIBYTES, SECONDS)
    seen, _, _ = target.take()
    assert len([one for one in seen if "bystander" not in one.line]) <= REACHED
    wire.wait_for(lambda: front.descriptors()[0] == 0, "the connection to be gone")


# Clients that hold on to what they asked for.

BIG = 2_000_000
HELD_MEBIBYTES = 64


def big(sock, request):
    with contextlib.suppress(OSError):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG + bytes(BIG))
    return True


@pytest.mark.parametrize("window", [0, 1, 65_535])
def test_answers_that_nobody_reads_are_held_within_bounds_and_given_up(front, target, watch, window):
    """CVE-2019-9511, -9517: a hundred large answers asked for, no room for them."""
    target.answers["big"] = big
    with http2.connect(front, "plain", (http2.INITIAL_WINDOW_SIZE, window)) as peer, watch:
        peer.send(*(headers(2 * number + 1, peer.request("/say/big")) for number in range(100)))
        records = front.records_of(peer, 100)
        assert len(records) == 100
        assert {one["failureReason"] for one in records} == {"ClientConnectionClosed"}
        # Half a mebibyte for each stream, most of it the engine's pieces between target and client.
        watch.check(HELD_MEBIBYTES, SECONDS)


def test_a_window_opened_byte_by_byte_is_given_up(front, target, watch):
    """CVE-2019-9511, data dribble."""
    target.answers["big"] = big
    with http2.connect(front, "plain", (http2.INITIAL_WINDOW_SIZE, 0)) as peer, watch:

        def dribble():
            yield b"".join(headers(2 * number + 1, peer.request("/say/big")) for number in range(50))
            while True:
                yield from (window_update(2 * number + 1, 1) for number in range(50))

        with Flood(peer, dribble()) as flood:
            code = wait_until_ended(peer)
    assert flood.sent < ENOUGH
    # Each answered byte buys two updates; what is sent beyond that does not.
    assert code == CALM
    watch.check(HELD_MEBIBYTES, 2 * SECONDS)


@pytest.mark.parametrize("frames", [ping() * 4, settings() * 4], ids=["PING", "SETTINGS"])
def test_a_client_that_does_not_read_its_acknowledgments_is_ended(front, watch, frames):
    """CVE-2019-9512, -9515: what must be acknowledged is not queued for a client that does not read."""
    with http2.connect(front) as peer, watch:
        with Flood(peer, itertools.repeat(frames)) as flood:
            # Nothing is read before the flood is over.
            flood.join(wire.DEADLINE)
            assert not flood.is_alive()
    assert flood.sent < ENOUGH
    watch.check(MEBIBYTES, SECONDS)


def test_streams_that_never_end_are_given_up(front, target, watch):
    """Slow bodies, a hundred side by side."""
    with http2.connect(front) as peer, watch:
        peer.send(*(headers(2 * number + 1, peer.request("/slow", method="POST"), end=False) for number in range(100)))
        records = front.records_of(peer, 100)
    assert {(one["responseCode"], one["failureReason"]) for one in records} == {(408, "ClientProtocolError")}
    watch.check(MEBIBYTES, SECONDS)
    target.take()


# Connections that stall before they have asked for anything.

STALLS = {
    "half a preface": http2.PREFACE[:10],
    "half a preface, to the empty line": http2.PREFACE[:17],
    "a preface without settings": http2.PREFACE,
    "half a frame's head": http2.PREFACE + settings()[:5],
    "half a header block": http2.PREFACE + settings() + frame(HEADERS, END_STREAM, 1, b"\x82"),
    "half a frame": http2.PREFACE + settings() + frame(HEADERS, END_STREAM | END_HEADERS, 1, bytes(100))[:50],
}


@pytest.mark.parametrize("name", STALLS)
def test_a_connection_that_stalls_within_a_head_is_given_up(front, watch, name):
    with watch, contextlib.ExitStack() as held:
        socks = [held.enter_context(wire.connect(front.http, HEADER_SECONDS + wire.DEADLINE)) for _ in range(50)]
        for sock in socks:
            sock.sendall(STALLS[name])
        for sock in socks:
            wire.Stream(sock).rest()
    watch.check(MEBIBYTES, SECONDS)


# What is odd, and no attack.


def test_streams_after_a_goaway_are_served_or_refused_and_the_connection_ends(front, target, bystander):
    target.take()
    with http2.connect(front) as peer:
        peer.send(headers(1, peer.request("/before")), goaway(), headers(3, peer.request("/after")))
        assert peer.answer(1).body == b"GET /before"
        wait_until_ended(peer)
    bystander()
    assert "GET /before" in [one.line for one in target.take()[0]]


@pytest.mark.parametrize("field", [("x", ""), ("cookie", "a=b")])
def test_many_small_fields_are_refused_with_a_status(front, target, bystander, field):
    target.take()
    with http2.connect(front) as peer:
        peer.send(in_pieces(1, peer.request("/a", *[field] * 3000)))
        assert peer.answer(1).status == 400
        peer.works()
    bystander()
    assert len(target.take()[0]) == 1


def test_requests_in_plenty_are_no_flood(front, target, bystander):
    """The refused twin of all floods: what a busy client does is never ended."""
    with http2.connect(front) as peer:
        for round in range(40):
            first = round * 100 + 1
            peer.send(*(headers(first + 2 * number, peer.request("/busy")) for number in range(50)), ping(), window_update(0, 1000))
            done = set()
            while len(done) < 50:
                got = peer.next()
                assert got.kind not in (GOAWAY, RST_STREAM), got.code
                if got.ends:
                    done.add(got.stream)
    bystander()
    target.take()
