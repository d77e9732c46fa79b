"""HTTP/1 on a socket, without a library that would correct what a test means to get wrong."""

import contextlib
import dataclasses
import socket
import time

# Longest wait for anything that must happen. Only failures take this long.
DEADLINE = 15.0


class Malformed(Exception):
    """Bytes that are not the message they should be."""


@dataclasses.dataclass
class Message:
    """A request or an answer as it stood on the wire."""

    start: bytes
    fields: list
    body: bytes
    framing: str
    trailers: list = dataclasses.field(default_factory=list)

    def values(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def value(self, name):
        values = self.values(name)
        return values[0] if values else None

    @property
    def status(self):
        return int(self.start.split(b" ")[1])

    @property
    def line(self):
        """Method and target of a request."""
        return b" ".join(self.start.split(b" ")[:2]).decode("latin-1")


class Stream:
    """Bytes from a socket, taken off in pieces."""

    def __init__(self, sock):
        self.sock = sock
        self.held = b""
        self.ended = False

    def more(self):
        """Reads once; false at the end. A reset is an end."""
        if self.ended:
            return False
        try:
            piece = self.sock.recv(65536)
        except ConnectionError:
            piece = b""
        self.held += piece
        self.ended = not piece
        return bool(piece)

    def take(self, count):
        while len(self.held) < count:
            if not self.more():
                raise Malformed(f"ended {count - len(self.held)} bytes early")
        taken, self.held = self.held[:count], self.held[count:]
        return taken

    def line(self):
        while b"\n" not in self.held:
            if not self.more():
                raise Malformed(f"ended within a line: {self.held!r}")
        end = self.held.index(b"\n") + 1
        line = self.take(end)
        if not line.endswith(b"\r\n"):
            raise Malformed(f"bare LF: {line!r}")
        return line[:-2]

    def at_end(self):
        return not self.held and not self.more()

    def rest(self):
        while self.more():
            pass
        rest, self.held = self.held, b""
        return rest


def read_fields(stream):
    fields = []
    while line := stream.line():
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip() or any(byte < 0x20 and byte != 9 for byte in value):
            raise Malformed(f"field line {line!r}")
        fields.append((name.decode("latin-1"), value.strip().decode("latin-1")))
    return fields


def read_chunks(stream):
    body, trailers = b"", []
    while True:
        size = stream.line()
        if not size or any(byte not in b"0123456789abcdefABCDEF" for byte in size):
            raise Malformed(f"chunk size {size!r}")
        data = stream.take(int(size, 16))
        if not data:
            return body, read_fields(stream)
        body += data
        if stream.take(2) != b"\r\n":
            raise Malformed("chunk without end")


def read_body(stream, fields, without_length):
    """Reads by the strictest rules: one way of framing, or none."""
    named = {name.lower() for name, _ in fields}
    lengths = [value for name, value in fields if name.lower() == "content-length"]
    codings = [value for name, value in fields if name.lower() == "transfer-encoding"]
    if codings:
        if lengths or codings != ["chunked"]:
            raise Malformed(f"framing {lengths} {codings}")
        body, trailers = read_chunks(stream)
        return body, "chunked", trailers
    if lengths:
        if len(lengths) != 1 or not lengths[0].isdecimal():
            raise Malformed(f"framing {lengths}")
        return stream.take(int(lengths[0])), "length", []
    assert "content-length" not in named
    return without_length()


def read_request(stream):
    """One request as a strict server takes it; `None` at a clean end."""
    if stream.at_end():
        return None
    start = stream.line()
    parts = start.split(b" ")
    if len(parts) != 3 or parts[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise Malformed(f"request line {start!r}")
    fields = read_fields(stream)
    body, framing, trailers = read_body(stream, fields, lambda: (b"", "none", []))
    return Message(start, fields, body, framing, trailers)


def read_answer(stream, method="GET"):
    """One final answer; informational ones before it are kept in `fields` order of arrival under `informational`."""
    informational = []
    while True:
        start = stream.line()
        if not start.startswith(b"HTTP/1.1 "):
            raise Malformed(f"status line {start!r}")
        fields = read_fields(stream)
        status = int(start.split(b" ")[1])
        if status >= 200 or status == 101:
            break
        informational.append(status)
    if method == "HEAD" or status in (101, 204, 304):
        answer = Message(start, fields, b"", "none")
    else:
        body, framing, trailers = read_body(stream, fields, lambda: (stream.rest(), "close", []))
        answer = Message(start, fields, body, framing, trailers)
    answer.informational = informational
    return answer


@contextlib.contextmanager
def connect(port, timeout=DEADLINE):
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield sock


def send(sock, data):
    """Sends; a peer that has closed already is no error here: what it said is what counts."""
    with contextlib.suppress(ConnectionError):
        sock.sendall(data)


def wait_for(condition, what, deadline=DEADLINE):
    """The condition's first true value; fails when it stays false."""
    end = time.monotonic() + deadline
    while True:
        if value := condition():
            return value
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)
