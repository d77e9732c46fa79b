"""A target that keeps every byte it gets, reads them by the strictest rules, and answers as a test tells it."""

import contextlib
import socket
import threading

from . import wire


class Target:
    """A server on loopback, one thread per connection.

    It answers each request with its method and target in the body, so that an answer which reaches the wrong client shows.
    A path under `/say/NAME` is answered with what stands in `answers[NAME]`: bytes to send as they are, or a function of the
    connection and the request.
    """

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.answers = {}
        self.lock = threading.Lock()
        self.raw = b""
        self.seen = []
        self.faults = []
        self.connections = set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            # Each `sendall` of a test leaves at once.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections.add(sock)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        stream = Recorded(sock, self)
        with sock, contextlib.suppress(OSError):
            while True:
                try:
                    request = wire.read_request(stream)
                except wire.Malformed as fault:
                    with self.lock:
                        self.faults.append(str(fault))
                    break
                if request is None:
                    break
                with self.lock:
                    self.seen.append(request)
                if not self.answer(sock, request):
                    break
        with self.lock:
            self.connections.discard(sock)

    def answer(self, sock, request):
        """Answers; false when the connection is to be closed."""
        method, path = request.line.split(" ", 1)
        name = path.partition("?")[0].rpartition("/")[2]
        special = self.answers.get(name) if path.startswith("/say/") else None
        if callable(special):
            return special(sock, request)
        if special is not None:
            sock.sendall(special)
            # Whatever follows is not ours to frame, so the end of the connection is the end of the answer.
            return False
        body = b"" if method == "HEAD" else request.line.encode("latin-1")
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        return True

    def take(self):
        """What came since the last call: requests, what was wrong with the rest, and the raw bytes."""
        with self.lock:
            seen, faults, raw = self.seen, self.faults, self.raw
            self.seen, self.faults, self.raw = [], [], b""
            return seen, faults, raw

    def close(self):
        self.listener.close()
        with self.lock:
            connections = list(self.connections)
        for sock in connections:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class Recorded(wire.Stream):
    def __init__(self, sock, target):
        super().__init__(sock)
        self.target = target

    def more(self):
        before = len(self.held)
        more = super().more()
        with self.target.lock:
            self.target.raw += self.held[before:]
        return more
