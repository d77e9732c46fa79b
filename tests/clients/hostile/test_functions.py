"""Endpoints of functions that cut their answers off: what callers get, and that nothing of it stays open in the gateway."""

import contextlib
import os
import socket
import struct
import threading

import pytest

from conftest import ACCOUNT, REGION
from operating import eventually, gateway

ROUNDS = 25
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"statusCode":204}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

# What the endpoint sends of its answer, and how it ends the connection.
CUTS = {
    "a reset without a byte": (b"", "reset"),
    "a reset in the head": (b"HTTP/1.1 200 OK\r\nConte", "reset"),
    "a reset after the head": (ANSWER.partition(b"{")[0], "reset"),
    "a reset in the result": (ANSWER[:-1], "reset"),
    "a reset between two chunks": (CHUNKED + b'5\r\n{"sta\r\n', "reset"),
    "a reset before the last chunk": (CHUNKED + b'12\r\n{"statusCode":204}\r\n', "reset"),
    "a close in the result": (ANSWER[:-1], "close"),
    "no HTTP": (b"\x16\x03\x01 nonsense\r\n\r\n", "close"),
    "too large a result": (b"HTTP/1.1 200 OK\r\nContent-Length: 7000000\r\n\r\n", "reset"),
}


def event(sock):
    """Reads one call; gives the event, or nothing at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65_536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < int(length.partition(b":")[2]):
        body += sock.recv(65_536)
    return body


@contextlib.contextmanager
def endpoint(sent, end, held):
    """An endpoint that cuts each answer off as told, but first waits for `held`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    with sock:
                        if event(sock) is None:
                            continue
                        held.wait()
                        sock.sendall(sent)
                        if end == "reset":
                            # Lingering for no time: the close is a reset.
                            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            held.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextlib.contextmanager
def calling(folder, address):
    group = {
        "name": "cut",
        "type": "LAMBDA",
        "function": {"endpoint": address},
        "targets": [{"id": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:cut"}],
    }
    action = {"forward": {"targetGroups": [{"targetGroupIdentifier": "cut"}]}}
    with gateway(folder, action=action, targetGroups=[group]) as running:
        yield running


def descriptors(running):
    return len(os.listdir(f"/proc/{running.child.pid}/fd"))


@pytest.mark.parametrize("name", CUTS)
def test_an_answer_that_is_cut_off_is_a_bad_gateway_and_leaves_no_descriptor(name, tmp_path):
    held = threading.Event()
    held.set()
    with endpoint(*CUTS[name], held) as address, calling(tmp_path, address) as running:
        # The first call opens what stays open, such as the file of the log.
        assert running.request() == (502, b"Bad Gateway")
        idle = eventually(lambda: steady(running), "a steady number of descriptors")
        for _ in range(ROUNDS):
            assert running.request() == (502, b"Bad Gateway")
        eventually(lambda: descriptors(running) <= idle, f"{idle} descriptors at most")


def test_a_call_that_runs_is_seen_in_the_number_of_descriptors(tmp_path):
    held = threading.Event()
    with endpoint(ANSWER[:-1], "reset", held) as address, calling(tmp_path, address) as running:
        idle = eventually(lambda: steady(running), "a steady number of descriptors")
        caller = threading.Thread(target=running.request)
        caller.start()
        # The client's connection, and the one to the endpoint.
        eventually(lambda: descriptors(running) >= idle + 2, "two more descriptors")
        held.set()
        caller.join()
        eventually(lambda: descriptors(running) <= idle, f"{idle} descriptors at most")


def steady(running):
    """The number of descriptors, once a page of the gateway's has been answered and closed without changing it."""
    before = descriptors(running)
    running.page("/readyz")
    return before if descriptors(running) == before else None
