"""HTTP/1 requests that are well formed and mean mischief: fields that would strip or spoof others, Expect, Upgrade, and clients that stall,
vanish or hold on."""

import contextlib
import socket
import threading

import pytest

from . import wire
from .conftest import HEADER_SECONDS, IDLE_SECONDS

HANDSHAKE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.fixture
def talk(front):
    with wire.connect(front.http) as sock:
        yield sock, wire.Stream(sock)


def head(line, *fields):
    return b"\r\n".join([line + b" HTTP/1.1", b"Host: hostile.test", *fields, b"", b""])


def ask(talk, target, *fields, line=b"GET /a", body=b"", status=200):
    """Sends one request; gives what reached the target."""
    target.take()
    sock, stream = talk
    sock.sendall(head(line, *fields) + body)
    answer = wire.read_answer(stream)
    assert answer.status == status
    seen, faults, raw = target.take()
    assert faults == [], raw
    assert len(seen) == (1 if status == 200 else 0), raw
    return seen[0] if seen else None


PROTECTED = {
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-proto": "http",
    "x-forwarded-port": None,
    "x-amzn-lattice-network": None,
    "x-amzn-lattice-target": None,
    "x-amzn-source-vpc": None,
    "x-amzn-requestid": None,
    "host": "hostile.test",
}


@pytest.mark.parametrize("name", PROTECTED)
@pytest.mark.parametrize("form", ["{}", "keep-alive, {}", "{} ,close", "x,{},y"])
def test_no_client_strips_what_the_gateway_says(talk, target, name, form):
    # Naming one of these is not a mistake that happens.
    refused = name in ("x-forwarded-for", "x-forwarded-proto", "host")
    seen = ask(talk, target, b"Connection: " + form.format(name).encode(), status=400 if refused else 200)
    if refused:
        return
    assert len(seen.values(name)) == 1
    assert PROTECTED[name] in (None, seen.value(name))


@pytest.mark.parametrize("name", ["content-length", "transfer-encoding", "Content-Length"])
def test_no_client_strips_the_framing(talk, target, name):
    fields = [b"Connection: " + name.encode(), b"Content-Length: 3" if "ength" in name else b"Transfer-Encoding: chunked"]
    body = b"abc" if "ength" in name else b"3\r\nabc\r\n0\r\n\r\n"
    seen = ask(talk, target, *fields, line=b"POST /a", body=body)
    assert seen.body == b"abc"


@pytest.mark.parametrize(
    "name",
    [
        "x-amzn-lattice-identity", "X-Amzn-Lattice-Identity", "x_amzn_lattice_identity", "x-amzn_lattice-identity", "x-amzn-lattice-network",
        "x-amzn-lattice-target", "x-amzn-lattice-identity-tags", "x-amzn-lattice-anything", "x-amzn-source-vpc", "x_amzn_source_vpc",
        "x-forwarded-proto", "x-forwarded-port", "x_forwarded_proto", "x.forwarded.proto", "x.amzn.lattice.identity", "x-amz-security-token",
        "x-amzn-lattice.identity", "x_forwarded_for", "x.forwarded.for",
    ],
)
def test_no_client_says_what_only_the_gateway_may(talk, target, name):
    seen = ask(talk, target, name.encode() + b": spoofed")
    assert b"spoofed" not in b" ".join(value.encode() for _, value in seen.fields)


def test_the_chain_of_clients_is_continued(talk, target):
    seen = ask(talk, target, b"X-Forwarded-For: 192.0.2.1", b"x-forwarded-for: 192.0.2.2")
    assert seen.values("x-forwarded-for") == ["192.0.2.1, 192.0.2.2, 127.0.0.1"]


@pytest.mark.parametrize(
    "field",
    [b"Connection: close", b"Keep-Alive: timeout=1", b"TE: trailers", b"TE: gzip", b"Proxy-Connection: keep-alive", b"Upgrade: h2c", b"Trailer: X",
     b"Proxy-Authorization: x", b"Proxy-Authenticate: x", b"Connection: x-private\r\nX-Private: 1", b"HTTP2-Settings: AAMAAABkAAQAAP__"],
)
def test_what_is_for_this_hop_stops_here(talk, target, field):
    seen = ask(talk, target, field)
    names = {name.lower() for name, _ in seen.fields}
    assert names.isdisjoint(
        {"connection", "keep-alive", "proxy-connection", "upgrade", "trailer", "te", "proxy-authorization", "proxy-authenticate", "x-private",
         "http2-settings"}
    )


# Expect.


@pytest.mark.parametrize(
    "line", [b"GET /a", b"POST /a"],
)
@pytest.mark.parametrize("value", [b"100-continue", b"100-Continue", b"200-ok", b"100-continue, 100-continue", b"", b"x" * 1000])
def test_an_expectation_without_a_body_changes_nothing(talk, target, line, value):
    seen = ask(talk, target, b"Expect: " + value, line=line)
    assert seen.framing == "none"
    # The connection is still in step.
    assert ask(talk, target).line == "GET /a"


@pytest.mark.parametrize("coding", [b"Content-Length: 3", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("patient", [True, False], ids=["waits", "does not wait"])
def test_an_expected_body_is_asked_for_or_taken(talk, target, coding, patient):
    target.answers["expect"] = None
    target.take()
    sock, stream = talk
    body = b"abc" if b"Length" in coding else b"3\r\nabc\r\n0\r\n\r\n"
    sock.sendall(head(b"POST /a", b"Expect: 100-continue", coding))
    if patient:
        wire.wait_for(lambda: target.raw, "the head at the target")
    sock.sendall(body)
    answer = wire.read_answer(stream)
    assert answer.status == 200
    seen, faults, raw = target.take()
    assert [(request.line, request.body) for request in seen] == [("POST /a", b"abc")], raw
    assert faults == []
    assert ask(talk, target).line == "GET /a"


def test_a_refused_expectation_leaves_no_body_to_be_misread(talk, target):
    target.take()
    sock, stream = talk
    inner = head(b"GET /smuggled")
    sock.sendall(head(b"POST /a", b"Expect: 100-continue", b"Content-Length: %d" % len(inner)).replace(b"hostile.test", b"unknown.test"))
    assert wire.read_answer(stream).status == 404
    wire.send(sock, inner)
    assert stream.at_end()
    assert target.take() == ([], [], b"")


# Upgrade.


def accept_upgrade(sock, request):
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    data = sock.recv(100)
    while data:
        sock.sendall(data.upper())
        data = sock.recv(100)
    return False


def test_an_upgrade_makes_a_tunnel_that_ends_with_either_side(talk, target, bystander):
    target.answers["upgrade"] = accept_upgrade
    sock, stream = talk
    sock.sendall(head(b"GET /say/upgrade", *HANDSHAKE.splitlines()))
    assert wire.read_answer(stream).status == 101
    sock.sendall(b"hello")
    assert stream.take(5) == b"HELLO"
    sock.shutdown(socket.SHUT_WR)
    assert stream.at_end()
    bystander()


def test_bytes_sent_before_the_upgrade_is_agreed_are_no_request(talk, target, bystander):
    target.answers["upgrade"] = accept_upgrade
    target.take()
    sock, stream = talk
    inner = head(b"GET /smuggled")
    sock.sendall(head(b"GET /say/upgrade", *HANDSHAKE.splitlines()) + inner)
    assert wire.read_answer(stream).status == 101
    assert stream.take(len(inner)) == inner.upper()
    bystander()


def test_a_refused_upgrade_leaves_an_ordinary_connection(talk, target):
    seen = ask(talk, target, *HANDSHAKE.splitlines())
    assert seen.value("upgrade") == "websocket"
    assert ask(talk, target).line == "GET /a"


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ([b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"], b"GET /a"),
        ([b"Connection: Upgrade", b"Upgrade: TLS/1.0"], b"GET /a"),
        ([b"Connection: Upgrade", b"Upgrade: websocket, h2c"], b"GET /a"),
        ([b"Connection: Upgrade", b"Upgrade: "], b"GET /a"),
        ([b"Upgrade: websocket"], b"GET /a"),
        ([b"Connection: close", b"Upgrade: h2c"], b"GET /a"),
    ],
)
def test_other_upgrades_are_ordinary_requests(talk, target, fields, line):
    seen = ask(talk, target, *fields, line=line)
    assert seen.value("upgrade") is None
    assert seen.value("connection") is None


@pytest.mark.parametrize("coding", [(b"Content-Length: 3", b"abc"), (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n")])
def test_an_upgrade_with_a_body_is_an_ordinary_request(talk, target, coding, bystander):
    target.answers["upgrade"] = accept_upgrade
    target.take()
    sock, stream = talk
    sock.sendall(head(b"POST /say/upgrade", coding[0], *HANDSHAKE.splitlines()) + coding[1])
    answer = wire.read_answer(stream)
    # The target switched though it was not asked to.
    assert answer.status == 502
    assert stream.at_end()
    seen, faults, raw = target.take()
    assert [(one.body, one.value("upgrade")) for one in seen] == [(b"abc", None)], raw
    bystander()


# Clients that stall, vanish or hold on.


def test_a_head_that_trickles_is_given_up(front, target, bystander):
    with wire.connect(front.http) as sock:
        sock.settimeout(HEADER_SECONDS + wire.DEADLINE)
        stream = wire.Stream(sock)
        stop = threading.Event()

        def trickle():
            with contextlib.suppress(OSError):
                for byte in head(b"GET /a", b"X: " + b"y" * 500):
                    sock.sendall(bytes([byte]))
                    if stop.wait(0.05):
                        return

        thread = threading.Thread(target=trickle)
        thread.start()
        answer = wire.read_answer(stream)
        assert answer.status == 408
        assert stream.at_end()
        stop.set()
        thread.join()
    record = front.record(answer.value("x-amzn-requestid"))
    assert (record["responseCode"], record["failureReason"]) == (408, "ClientProtocolError")
    bystander()


def test_a_body_that_stops_is_given_up(front, target, bystander):
    target.take()
    with wire.connect(front.http) as sock:
        sock.settimeout(IDLE_SECONDS + wire.DEADLINE)
        stream = wire.Stream(sock)
        sock.sendall(head(b"POST /a", b"Content-Length: 10") + b"abc")
        answer = wire.read_answer(stream)
        assert answer.status == 408
        assert stream.at_end()
    record = front.record(answer.value("x-amzn-requestid"))
    assert (record["responseCode"], record["failureReason"]) == (408, "ClientProtocolError")
    bystander()
    seen, _, _ = target.take()
    assert [one.line for one in seen] == ["GET /bystander/1"]


def test_an_idle_connection_is_closed_without_a_word(front, bystander, talk, target):
    ask(talk, target)
    sock, stream = talk
    sock.settimeout(IDLE_SECONDS + wire.DEADLINE)
    assert stream.at_end()


@pytest.mark.parametrize("sent", [b"G", b"GET /a HTTP/1.1\r\n", b"GET /a HTTP/1.1\r\nHost: hostile.test\r\n"])
def test_half_a_head_and_the_end_is_refused(front, target, bystander, sent):
    target.take()
    with wire.connect(front.http) as sock:
        stream = wire.Stream(sock)
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        answer = wire.read_answer(stream)
        assert answer.status in (400, 408)
        assert stream.at_end()
    assert front.record(answer.value("x-amzn-requestid"))["failureReason"] == "ClientProtocolError"
    bystander()
    assert len(target.take()[0]) == 1


@pytest.mark.parametrize("sent", [b"Content-Length: 10\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nab", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"])
@pytest.mark.parametrize("how", ["half close", "reset"])
def test_half_a_body_and_the_end_never_becomes_a_request(front, target, bystander, sent, how):
    target.take()
    before = len(front.new_records())
    with wire.connect(front.http) as sock:
        sock.sendall(b"POST /half HTTP/1.1\r\nHost: hostile.test\r\n" + sent)
        wire.wait_for(lambda: target.raw, "the head at the target")
        if how == "half close":
            sock.shutdown(socket.SHUT_WR)
            wire.Stream(sock).rest()
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    record = wire.wait_for(
        lambda: next((one for one in front.new_records()[before:] if one["requestPath"] == "/half"), None), "the record"
    )
    assert record["failureReason"] == "ClientConnectionClosed"
    bystander()
    seen, _, raw = target.take()
    assert [one.line for one in seen] == ["GET /bystander/1"], raw


def test_a_client_that_closes_its_side_is_taken_to_be_gone(front, target, bystander):
    def silent(sock, request):
        sock.recv(1)
        return False

    target.answers["silent"] = silent
    with wire.connect(front.http) as sock:
        sock.sendall(head(b"GET /say/silent", b"x-amzn-requestid: gone"))
        sock.shutdown(socket.SHUT_WR)
        assert wire.Stream(sock).at_end()
    assert front.record("gone")["failureReason"] == "ClientConnectionClosed"
    bystander()


def test_a_client_that_does_not_read_is_given_up(front, target, bystander):
    def endless(sock, request):
        with contextlib.suppress(OSError):
            sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                sock.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")
        return False

    target.answers["endless"] = endless
    before = front.memory()
    number = len(front.new_records())
    with contextlib.ExitStack() as held:
        for _ in range(20):
            sock = held.enter_context(wire.connect(front.http))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.sendall(head(b"GET /say/endless"))
        bystander()
        records = [one for one in front.records_since(number, 21) if one["requestPath"] == "/say/endless"]
        assert {one["failureReason"] for one in records} == {"ClientConnectionClosed"}
        # Some hundred kilobytes for each, however much the target would send.
        assert front.memory() - before < 20 * 1024
    bystander()


def test_pipelined_requests_are_held_within_bounds(front, target, bystander):
    """A client that sends without end and never reads its answers."""
    before = front.memory()
    with wire.connect(front.http) as sock:
        sock.settimeout(0.5)
        request = head(b"GET /a") * 1000
        with contextlib.suppress(OSError):
            for _ in range(1000):
                sock.sendall(request)
        bystander()
        assert front.memory() - before < 20 * 1024


def test_nothing_is_left_open(front, target, bystander):
    bystander()

    def quiet():
        """Twice the same, because what closes between the two lists that are compared would count among the others."""
        now = front.descriptors()
        return now[0] == 0 and now == front.descriptors() and now

    _, others = wire.wait_for(quiet, "earlier connections to be closed")
    with contextlib.ExitStack() as held:
        for sent in (b"", b"G", head(b"GET /a"), head(b"POST /a", b"Content-Length: 9"), b"BAD\r\n\r\n", b"\x16\x03\x01"):
            for _ in range(20):
                wire.send(held.enter_context(wire.connect(front.http)), sent)
        bystander()
    wire.wait_for(lambda: front.descriptors() == (0, others), "descriptors to be closed")
    bystander()
