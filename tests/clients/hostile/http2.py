"""HTTP/2 frames on a socket. What is sent is made byte by byte; `hpack` only compresses what is well formed and reads what comes back."""

import contextlib
import dataclasses
import socket
import ssl
import struct

import hpack

from . import wire

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20

CODES = (
    "NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED FRAME_SIZE_ERROR REFUSED_STREAM CANCEL"
    " COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM INADEQUATE_SECURITY HTTP_1_1_REQUIRED"
).split()

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(*pairs, flags=0, stream=0):
    return frame(SETTINGS, flags, stream, b"".join(struct.pack(">HI", name, value) for name, value in pairs))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def reset(stream, code=8):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def ping(data=b"12345678", flags=0):
    return frame(PING, flags, 0, data)


def priority(stream, on=0, weight=15, exclusive=False):
    return frame(PRIORITY, 0, stream, struct.pack(">IB", on | (exclusive << 31), weight))


def goaway(last=0, code=0, stream=0):
    return frame(GOAWAY, 0, stream, struct.pack(">II", last, code))


def integer(value, bits, first=0):
    """Spec: RFC 7541 §5.1."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out = [first | most]
    value -= most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def literal(name, value, first=0x00, huffman=False):
    """A literal field without indexing and with its name spelled out, whatever bytes it has. Spec: RFC 7541 §6.2.2."""
    name, value = (part if isinstance(part, bytes) else part.encode("latin-1") for part in (name, value))
    return bytes([first]) + integer(len(name), 7) + name + integer(len(value), 7) + value


def block(*fields):
    return b"".join(literal(name, value) for name, value in fields)


def request(path="/a", *fields, method="GET", authority="hostile.test", scheme="http"):
    """The fields of a request; a pseudo-header that is `None` is left out."""
    pseudo = [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority)]
    return [*((name, value) for name, value in pseudo if value is not None), *fields]


def headers(stream, fields, end=True, flags=END_HEADERS):
    return frame(HEADERS, flags | (END_STREAM if end else 0), stream, block(*fields))


@dataclasses.dataclass
class Frame:
    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def code(self):
        return CODES[struct.unpack(">I", self.payload[4:8] if self.kind == GOAWAY else self.payload[:4])[0]]

    @property
    def ends(self):
        return self.kind in (DATA, HEADERS) and bool(self.flags & END_STREAM)


class Closed(Exception):
    """The gateway closed the connection."""


class Peer:
    """A client's end of a connection, with the preface behind it unless told otherwise."""

    def __init__(self, sock, *pairs, preface=True, scheme="http", since=0):
        self.sock = sock
        self.since = since
        self.stream = wire.Stream(sock)
        self.decoder = hpack.Decoder()
        self.scheme = scheme
        self.seen = []
        if preface:
            self.send(PREFACE + settings(*pairs))
            assert self.next().kind == SETTINGS
            self.send(settings(flags=ACK))
            while not (self.next_is(SETTINGS) and self.seen[-1].flags & ACK):
                pass

    def send(self, *parts):
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            self.sock.sendall(b"".join(parts))

    def request(self, path="/a", *fields, **more):
        return request(path, *fields, scheme=more.pop("scheme", self.scheme), **more)

    def next(self):
        try:
            head = self.stream.take(9)
            length = int.from_bytes(head[:3], "big")
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            got = Frame(kind, flags, stream & 0x7FFFFFFF, self.stream.take(length))
        except (wire.Malformed, ssl.SSLError) as end:
            raise Closed from end
        if got.kind == HEADERS:
            got.fields = self.decoder.decode(got.payload)
        self.seen.append(got)
        return got

    def next_is(self, kind):
        return self.next().kind == kind

    def until(self, wanted):
        """The first frame that is wanted."""
        while not wanted(got := self.next()):
            pass
        return got

    def answer(self, stream=1):
        """Status, fields and body of the answer on a stream."""
        fields, body, trailers = None, b"", None
        while True:
            got = self.next()
            if got.kind == GOAWAY and got.code != "NO_ERROR":
                raise Closed(got.code)
            if got.stream != stream:
                continue
            assert got.kind != RST_STREAM, got.code
            if got.kind == HEADERS and fields is None:
                fields = dict(got.fields)
            elif got.kind == HEADERS:
                trailers = dict(got.fields)
            elif got.kind == DATA:
                body += got.payload
                if got.payload:
                    self.send(window_update(0, len(got.payload)))
            if got.ends:
                return Answer(int(fields[":status"]), fields, body, trailers)

    def works(self):
        """Is a ping answered?"""
        self.send(ping(b"are you?"))
        return self.until(lambda got: got.kind == PING and got.flags & ACK and got.payload == b"are you?")


@dataclasses.dataclass
class Answer:
    status: int
    fields: dict
    body: bytes
    trailers: dict


@contextlib.contextmanager
def connect(front, over="plain", *pairs, **more):
    """A connection, over TLS with ALPN or plain with prior knowledge."""
    if over == "plain":
        since = len(front.new_records())
        with wire.connect(front.http) as sock:
            yield Peer(sock, *pairs, since=since, **more)
        return
    context = ssl.create_default_context(cafile=str(front.ca))
    context.set_alpn_protocols(["h2"])
    with wire.connect(front.https) as sock:
        with context.wrap_socket(sock, server_hostname="hostile.test", suppress_ragged_eofs=True) as tls:
            assert tls.selected_alpn_protocol() == "h2"
            yield Peer(tls, *pairs, scheme="https", **more)


def is_reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
