"""HTTP/1 clients that send without end, open without end, or never finish: what ends them, what it costs, and that nobody else notices."""

import contextlib
import itertools
import re
import resource
import socket
import threading
import urllib.request

import pytest

from . import wire
from .conftest import HEADER_SECONDS, IDLE_SECONDS, serve

MEBIBYTES = 16
SECONDS = 8
# Bytes after which a flood that was not ended, and not held back, has won.
ENOUGH = 64 * 1024 * 1024
HOST = b"Host: hostile.test\r\n"
CHUNKED = b"POST /flood HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


def endless(first, more):
    return lambda: itertools.chain([first], itertools.repeat(more * max(1, 16_384 // len(more))))


# What is sent, and the status of the answer that ends it; `None` for none.
FLOODS = {
    "a method": (endless(b"", b"A"), 400),
    "a target": (endless(b"GET /", b"a"), 400),
    "a field's name": (endless(b"GET / HTTP/1.1\r\n" + HOST, b"x"), 400),
    "a field's value": (endless(b"GET / HTTP/1.1\r\n" + HOST + b"X: ", b"y"), 400),
    "fields": (endless(b"GET / HTTP/1.1\r\n" + HOST, b"X: y\r\n"), 400),
    "empty lines": (endless(b"", b"\r\n"), 400),
    "a chunk's size": (endless(CHUNKED, b"0"), 400),
    "a chunk's extension": (endless(CHUNKED + b"1;", b"x"), 400),
    "a trailer's value": (endless(CHUNKED + b"0\r\nX: ", b"y"), 400),
    "trailers": (endless(CHUNKED + b"0\r\n", b"X: y\r\n"), 400),
    "requests for a service that is not there": (endless(b"", b"GET / HTTP/1.1\r\nHost: unknown.test\r\n\r\n"), None),
    "requests that are malformed": (endless(b"", b"GET / HTTP/1.1\r\n\r\n"), 400),
    "HTTP/2 prefaces": (endless(b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), None),
    "zeros": (endless(b"", b"\0"), 400),
}


def flood(sock, pieces, over):
    """Sends until the connection is over, or nothing is taken any more. Gives how much was sent."""
    sent = 0
    sock.settimeout(IDLE_SECONDS)
    with contextlib.suppress(OSError):
        for piece in pieces:
            sock.sendall(piece)
            sent += len(piece)
            if sent >= ENOUGH or over.is_set():
                break
    return sent


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_ended(front, target, watch, name):
    pieces, status = FLOODS[name]
    target.take()
    over = threading.Event()
    sent = []
    with wire.connect(front.http) as sock, watch:
        sender = threading.Thread(target=lambda: sent.append(flood(sock, pieces(), over)))
        sender.start()
        stream = wire.Stream(sock)
        if status:
            assert wire.read_answer(stream).status == status
            stream.rest()
        else:
            # Answers are not read: the flood is held back, and then given up.
            sender.join(IDLE_SECONDS + wire.DEADLINE)
        over.set()
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sender.join()
    assert sent[0] < ENOUGH, "the gateway never ended it"
    watch.check(MEBIBYTES, SECONDS)
    seen, _, _ = target.take()
    assert [one.line for one in seen if "bystander" not in one.line] == []


SLOW = {
    "heads, byte by byte": (b"GET /a HTTP/1.1\r\n" + HOST + b"X: ", HEADER_SECONDS),
    "nothing at all after a byte": (b"G", HEADER_SECONDS),
    "bodies that stop": (b"POST /slow HTTP/1.1\r\n" + HOST + b"Content-Length: 100\r\n\r\nabc", IDLE_SECONDS),
    "chunks that stop": (CHUNKED + b"5\r\nab", IDLE_SECONDS),
    "trailers that stop": (CHUNKED + b"0\r\nX: ", IDLE_SECONDS),
}


@pytest.mark.parametrize("name", SLOW)
def test_two_hundred_slow_clients_are_given_up(front, target, watch, name):
    """Slowloris, and its kin for bodies."""
    sent, seconds = SLOW[name]
    with watch, contextlib.ExitStack() as held:
        socks = [held.enter_context(wire.connect(front.http, seconds + wire.DEADLINE)) for _ in range(200)]
        for sock in socks:
            sock.sendall(sent)
        for sock in socks:
            assert wire.read_answer(wire.Stream(sock)).status == 408
    watch.check(MEBIBYTES, SECONDS)
    target.take()


def test_tiny_chunks_with_long_extensions_cost_little(front, target, watch):
    """CVE-2023-39326: a body of 20 000 bytes in chunks of one, each with 200 bytes of extension, is a body all the same."""
    target.take()
    with wire.connect(front.http) as sock, watch:
        wire.send(sock, CHUNKED + (b"1;" + b"x" * 200 + b"\r\na\r\n") * 20_000 + b"0\r\n\r\n")
        assert wire.read_answer(wire.Stream(sock)).status == 200
    watch.check(MEBIBYTES, SECONDS)
    seen, faults, _ = target.take()
    assert faults == []
    assert [len(one.body) for one in seen if one.line == "POST /flood"] == [20_000]


def test_connections_beyond_the_limit_of_a_client_are_closed_and_others_are_served(tmp_path, target):
    """One client holds what it may; more of its connections are closed at once, and another's are served."""
    for front in serve(tmp_path, target.port, {"connectionsPerClient": 20, "connectionsPerVpc": 30}):
        with contextlib.ExitStack() as held:
            mine = [held.enter_context(wire.connect(front.http)) for _ in range(50)]
            closed = sum(is_closed(sock) for sock in mine)
            assert closed == 30
            others = [held.enter_context(from_address(front.http, "127.0.0.9")) for _ in range(20)]
            assert sum(is_closed(sock) for sock in others) == 10
            for sock in (mine[0], others[0]):
                sock.sendall(b"GET /mine HTTP/1.1\r\n" + HOST + b"\r\n")
                assert wire.read_answer(wire.Stream(sock)).status == 200
        wire.wait_for(lambda: front.descriptors()[0] == 0, "the connections to be gone")
        with wire.connect(front.http) as sock:
            sock.sendall(b"GET /again HTTP/1.1\r\n" + HOST + b"\r\n")
            assert wire.read_answer(wire.Stream(sock)).status == 200
    target.take()


def accept_failures(front):
    with urllib.request.urlopen(f"http://127.0.0.1:{front.admin}/metrics", timeout=wire.DEADLINE) as page:
        text = page.read().decode()
    found = re.search(r'^gateway_connections_refused_total\{reason="accept_failed"\} (\d+)$', text, re.MULTILINE)
    return int(found[1]) if found else 0


def test_running_out_of_descriptors_is_survived_and_fills_no_log(tmp_path, target):
    for front in serve(tmp_path, target.port):
        _, others = front.descriptors()
        usual = resource.prlimit(front.child.pid, resource.RLIMIT_NOFILE)
        log = tmp_path / "gateway.log"
        resource.prlimit(front.child.pid, resource.RLIMIT_NOFILE, (others + 10, usual[1]))
        with contextlib.ExitStack() as held:
            for _ in range(40):
                held.enter_context(wire.connect(front.http))
            wire.wait_for(lambda: "cannot accept connections" in log.read_text(), "the complaint")
            resource.prlimit(front.child.pid, resource.RLIMIT_NOFILE, usual)
            wire.wait_for(lambda: accept_failures(front) > 0 and front.descriptors()[0] >= 40, "those that waited to be accepted")
        assert log.read_text().count("cannot accept connections") == 1
        with wire.connect(front.http) as sock:
            sock.sendall(b"GET /again HTTP/1.1\r\n" + HOST + b"\r\n")
            assert wire.read_answer(wire.Stream(sock)).status == 200
    target.take()


@contextlib.contextmanager
def from_address(port, address):
    with socket.create_connection(("127.0.0.1", port), timeout=wire.DEADLINE, source_address=(address, 0)) as sock:
        yield sock


def is_closed(sock):
    """Was the connection closed at once? One that was not is asked for something that does not exist."""
    wire.send(sock, b"GET /there HTTP/1.1\r\nHost: unknown.test\r\n\r\n")
    try:
        return wire.read_answer(wire.Stream(sock)).status != 404
    except wire.Malformed:
        return True
