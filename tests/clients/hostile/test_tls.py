"""TLS from hostile clients: what is no handshake, names that are nobody's or somebody else's, handshakes that stall, and protocols other than
those agreed upon."""

import contextlib
import os
import random
import socket
import ssl
import struct
import subprocess

import pytest

from conftest import process

from . import http2, wire
from .conftest import FOREIGN, FOREIGN_ADDRESS, HOST, OTHER
from .http2 import headers

ALERT, HANDSHAKE = 21, 22
HANDSHAKE_SECONDS = 10
# Alerts of RFC 8446 §6.
CLOSE_NOTIFY, UNEXPECTED, BAD_MAC, OVERFLOW, FAILURE, ILLEGAL, DECODE, VERSION, NO_NAME = 0, 10, 20, 22, 40, 47, 50, 70, 112
FATAL = {UNEXPECTED, BAD_MAC, OVERFLOW, FAILURE, ILLEGAL, DECODE, VERSION, NO_NAME}


def vector(size, data):
    return len(data).to_bytes(size, "big") + data


def extension(kind, data):
    return struct.pack(">H", kind) + vector(2, data)


def server_name(*names):
    return extension(0, vector(2, b"".join(b"\0" + vector(2, name) for name in names)))


def hello(*extensions, version=0x0303, suites=(0x1301, 0x1302, 0xC02B, 0xC02F, 0xC02C, 0xC030), modern=True):
    """A client's first message, without its record."""
    more = [
        extension(10, vector(2, struct.pack(">HH", 23, 29))),
        extension(11, vector(1, b"\0")),
        extension(13, vector(2, struct.pack(">HHH", 0x0403, 0x0804, 0x0401))),
        *([extension(43, vector(1, b"\x03\x04\x03\x03")), extension(51, vector(2, struct.pack(">H", 29) + vector(2, bytes(31) + b"\x09")))] if modern else []),
    ]
    body = struct.pack(">H", version) + bytes(range(32)) + vector(1, b"") + vector(2, struct.pack(f">{len(suites)}H", *suites))
    body += vector(1, b"\0") + vector(2, b"".join([*extensions, *more]))
    return b"\x01" + vector(3, body)


def record(data, kind=HANDSHAKE, version=0x0301):
    return struct.pack(">BH", kind, version) + vector(2, data)


def answer(sock):
    """The first record that comes back: its type, and what an alert says. Nothing: the end."""
    head = wire.Stream(sock)
    try:
        kind, _, length = struct.unpack(">BHH", head.take(5))
        data = head.take(length)
    except wire.Malformed:
        return None, None
    return kind, data[1] if kind == ALERT else data[0]


@pytest.fixture
def encrypted(front):
    """Another client's request over TLS, which must get its own answer whatever went before."""

    def call(host=HOST):
        with tls(front, host) as sock:
            sock.sendall(f"GET /bystander HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            got = wire.read_answer(wire.Stream(sock))
        assert (got.status, got.body) == (200, b"GET /bystander")

    return call


@contextlib.contextmanager
def tls(front, name=HOST, *protocols, version=None, address="127.0.0.1"):
    context = ssl.create_default_context(cafile=str(front.ca))
    if protocols:
        context.set_alpn_protocols(protocols)
    if version:
        context.minimum_version = context.maximum_version = version
    with socket.create_connection((address, front.https), timeout=wire.DEADLINE) as sock:
        with context.wrap_socket(sock, server_hostname=name, suppress_ragged_eofs=True) as made:
            yield made


GARBAGE = {
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: hostile.test\r\n\r\n",
    "HTTP/2": http2.PREFACE + http2.settings(),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "PROXY protocol": b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
    "PROXY protocol 2": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12),
    "zeros": bytes(1000),
    "ones": b"\xff" * 1000,
    "noise": random.Random(1).randbytes(5000),
    "SSL 2": b"\x80\x2e\x01\0\x02\0\x15\0\0\0\x10" + bytes(40),
    "record of SSL 3": record(hello(server_name(b"hostile.test"), version=0x0300, modern=False), version=0x0300),
    "record too large": b"\x16\x03\x01\x48\x01" + bytes(0x4801),
    "record of length zero": record(b"") + record(b"") * 100,
    "application data first": record(b"GET / HTTP/1.1\r\n\r\n", 23),
    "alert first": record(b"\x02\x28", ALERT),
    "change of cipher first": record(b"\x01", 20),
    "heartbeat (CVE-2014-0160)": record(b"\x01\x40\0", 24),
    "another message first": record(b"\x0b" + vector(3, vector(3, b""))),
    "message of 16 MB": record(b"\x01\xff\xff\xff" + bytes(1000)) + record(bytes(16_000)) * 20,
    "empty message": record(b"\x01\0\0\0"),
    "message cut short within": record(b"\x01" + vector(3, hello()[4:40])),
    "extension longer than the rest": record(hello() [:-2] + b"\xff\xff"),
    "extension twice": record(hello(server_name(b"hostile.test"), server_name(b"hostile.test"))),
    "no suite in common": record(hello(server_name(b"hostile.test"), suites=(0x0005,))),
    "no suites": record(hello(server_name(b"hostile.test"), suites=())),
    "TLS 1.0": record(hello(server_name(b"hostile.test"), version=0x0301, modern=False)),
    "TLS 1.1": record(hello(server_name(b"hostile.test"), version=0x0302, modern=False)),
    "TLS 1.1 by extension": record(hello(server_name(b"hostile.test"), extension(43, vector(1, b"\x03\x02")), modern=False)),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_no_handshake_is_ended_with_an_alert_at_most(front, target, encrypted, name):
    target.take()
    with wire.connect(front.https) as sock:
        wire.send(sock, GARBAGE[name])
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        kind, what = answer(sock)
        assert kind in (None, ALERT)
        assert kind is None or what in FATAL | {CLOSE_NOTIFY}
        assert wire.Stream(sock).at_end()
    encrypted()
    assert [one.line for one in target.take()[0]] == ["GET /bystander"]


NAMES = {
    "none": [],
    "unknown": [b"unknown.test"],
    "of another VPC": [FOREIGN.encode()],
    "a parent": [b"test"],
    "a child": [b"x.hostile.test"],
    "an IPv4 address": [b"127.0.0.1"],
    "an IPv6 address": [b"::1"],
    "empty": [b""],
    "very long": [b"a" * 60 + b"." + b"b" * 60 + b".hostile.test"],
    "longer than names can be": [b"a" * 1000],
    "longer than a record": [b"a" * 15_000],
    "with a port": [b"hostile.test:443"],
    "with a wildcard": [b"*.test"],
    "with NUL": [b"hostile.test\0.evil.test"],
    "with a line end": [b"hostile.test\r\nx: y"],
    "with UTF-8": ["hostil\u00e9.test".encode()],
    "with two dots": [b"hostile..test"],
    "of dots": [b"."],
    "two names": [b"hostile.test", b"other.test"],
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_no_service_here_is_refused_by_an_alert(front, encrypted, name):
    """Nothing tells a name of another tenant from one that does not exist."""
    with wire.connect(front.https) as sock:
        sock.sendall(record(hello(*([server_name(*NAMES[name])] if NAMES[name] else []))))
        kind, what = answer(sock)
        assert kind in (ALERT, None)
        assert what in (NO_NAME, DECODE, ILLEGAL, None)
        if name in ("none", "unknown", "of another VPC", "a parent", "a child"):
            assert what == NO_NAME
        assert wire.Stream(sock).at_end()
    encrypted()


def test_each_address_serves_the_names_of_its_own_vpc(front, target):
    with tls(front, FOREIGN, address=FOREIGN_ADDRESS) as sock:
        sock.sendall(f"GET /own HTTP/1.1\r\nHost: {FOREIGN}\r\n\r\n".encode())
        stream = wire.Stream(sock)
        assert wire.read_answer(stream).body == b"GET /own"
        # The connection stays the other VPC's, whatever is asked on it.
        sock.sendall(f"GET /a HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        assert wire.read_answer(stream).status == 404
    with pytest.raises(ssl.SSLError):
        with tls(front, HOST, address=FOREIGN_ADDRESS):
            pass
    with pytest.raises(ssl.SSLError):
        with tls(front, FOREIGN):
            pass


@pytest.mark.parametrize(
    ("host", "status"), [(OTHER, 421), (FOREIGN, 404), ("unknown.test", 404), (f"{OTHER}.", 421), (OTHER.upper(), 421), (f"{OTHER}:1", 421)],
)
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_no_service_is_reached_under_the_name_of_another(front, target, encrypted, host, status, version):
    """Domain fronting. After it the connection still serves the service that it is for."""
    target.take()
    if version == "HTTP/2":
        with http2.connect(front, "tls") as peer:
            peer.send(headers(1, peer.request("/fronted", authority=host)))
            assert peer.answer(1).status == status
            peer.send(headers(3, peer.request("/own")))
            assert peer.answer(3).body == b"GET /own"
    else:
        with tls(front) as sock:
            stream = wire.Stream(sock)
            sock.sendall(f"GET /fronted HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert wire.read_answer(stream).status == status
            sock.sendall(f"GET /own HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            assert wire.read_answer(stream).body == b"GET /own"
    encrypted()
    assert [one.line for one in target.take()[0]] == ["GET /own", "GET /bystander"]


@pytest.mark.parametrize("size", [1, 2, 7, 100])
@pytest.mark.parametrize("apart", ["segments", "records"])
def test_a_first_message_in_pieces_is_read(front, size, apart):
    message = hello(server_name(b"hostile.test"))
    with wire.connect(front.https) as sock:
        if apart == "records":
            pieces = [record(message[at : at + size]) for at in range(0, len(message), size)]
            wire.send(sock, b"".join(pieces))
        else:
            whole = record(message)
            for at in range(0, len(whole), size):
                wire.send(sock, whole[at : at + size])
        kind, what = answer(sock)
        # A server's answer to it, or a refusal to read messages in so many records; never silence.
        assert (kind, what) == (HANDSHAKE, 2) or (apart, kind) == ("records", ALERT)


def test_handshakes_that_stall_are_given_up_and_bother_nobody(front, watch):
    """Three hundred of them, at every point where a client can stop."""
    whole = record(hello(server_name(b"hostile.test")))
    stops = [b"", whole[:1], whole[:5], whole[:50], whole[:-1], whole]
    with watch, contextlib.ExitStack() as held:
        socks = [held.enter_context(wire.connect(front.https, HANDSHAKE_SECONDS + wire.DEADLINE)) for _ in range(300)]
        for number, sock in enumerate(socks):
            sock.sendall(stops[number % len(stops)])
        for sock in socks:
            wire.Stream(sock).rest()
    watch.check(24, 20)
    wire.wait_for(lambda: front.descriptors()[0] == 0, "the connections to be gone")


# Protocols other than those agreed upon.


def test_http_1_on_a_connection_for_http_2_is_a_protocol_error(front, target, encrypted):
    target.take()
    with tls(front, HOST, "h2") as sock:
        assert sock.selected_alpn_protocol() == "h2"
        sock.sendall(b"GET /a HTTP/1.1\r\nHost: hostile.test\r\n\r\n")
        peer = http2.Peer(sock, preface=False)
        with contextlib.suppress(http2.Closed):
            assert peer.until(lambda got: got.kind == http2.GOAWAY).code == "PROTOCOL_ERROR"
    encrypted()
    assert len(target.take()[0]) == 1


@pytest.mark.parametrize("protocols", [["http/1.1"], ["spdy/3", "x" * 200], []])
def test_http_2_on_a_connection_for_http_1_is_refused(front, target, encrypted, protocols):
    target.take()
    with tls(front, HOST, *protocols) as sock:
        assert sock.selected_alpn_protocol() == ("http/1.1" if protocols == ["http/1.1"] else None)
        sock.sendall(http2.PREFACE + http2.settings() + headers(1, http2.request("/a")))
        assert wire.read_answer(wire.Stream(sock)).status == 505
    encrypted()
    assert len(target.take()[0]) == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_end_without_a_word_never_completes_a_request(front, target, encrypted, version):
    """Truncation: the end of the connection below TLS ends no body."""
    for fields in (b"Content-Length: 10\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"):
        target.take()
        with tls(front, HOST, version=version) as sock:
            sock.sendall(b"POST /cut HTTP/1.1\r\nHost: hostile.test\r\n" + fields)
            wire.wait_for(lambda: b"/cut" in target.raw, "the head at the target")
            os.close(sock.detach())
        encrypted()
        wire.wait_for(lambda: target.faults, "the target's connection to end")
        seen, _, _ = target.take()
        assert [one.line for one in seen] == ["GET /bystander"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("kind", [20, 21, 22, 23, 24, 99])
def test_a_forged_record_ends_the_connection(front, target, encrypted, version, kind):
    target.take()
    with tls(front, HOST, version=version) as sock:
        raw = socket.socket(fileno=os.dup(sock.fileno()))
        with raw:
            raw.sendall(record(b"GET /forged HTTP/1.1\r\nHost: hostile.test\r\n\r\n", kind, 0x0303))
            raw.settimeout(wire.DEADLINE)
            wire.Stream(raw).rest()
    encrypted()
    assert [one.line for one in target.take()[0]] == ["GET /bystander"]


def s_client(front, *options, text):
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{front.https}", "-servername", HOST, "-CAfile", str(front.ca), *options]
    return subprocess.run(command, input=text, capture_output=True, timeout=wire.DEADLINE, check=False)


def test_neither_renegotiation_nor_early_data_is_offered(front, encrypted):
    with process(
        ["openssl", "s_client", "-tls1_2", "-crlf", "-connect", f"127.0.0.1:{front.https}", "-servername", HOST, "-CAfile", str(front.ca)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as child:
        child.stdin.write(b"GET /first HTTP/1.1\nHost: hostile.test\n\n")
        child.stdin.flush()
        said = b""
        while b"GET /first" not in said:
            piece = os.read(child.stdout.fileno(), 65536)
            assert piece, said
            said += piece
        child.stdin.write(b"R\n")
        child.stdin.flush()
        # The connection ends, at the latest when it has been idle for too long; its keys are never agreed upon again.
        said = child.stdout.read()
        child.stdin.close()
        assert b"RENEGOTIATING" in said
        assert b"verify return" not in said.partition(b"RENEGOTIATING")[2]
        assert child.wait(wire.DEADLINE) != 0
    said = s_client(front, "-tls1_3", text=b"GET / HTTP/1.1\r\nHost: hostile.test\r\nConnection: close\r\n\r\n").stdout
    assert b"Early data was not sent" in said
    assert b"Max Early Data: 0" in said or b"Max Early Data" not in said
    encrypted()
