"""The `websockets` client: Upgrade passed through, frames both ways."""

import socket
import ssl

import pytest
from websockets.sync.client import connect


@pytest.fixture(params=["ws", "wss"])
def websocket(request, gateway):
    port = gateway.https if request.param == "wss" else gateway.http
    context = ssl.create_default_context(cafile=str(gateway.ca)) if request.param == "wss" else None
    stream = socket.create_connection(("127.0.0.1", port), timeout=20)
    with connect(f"{request.param}://open.test:{port}/chat", sock=stream, ssl=context, open_timeout=20) as made:
        yield made


def test_messages_come_back(websocket):
    for message in ("hello", "", "ü" * 1000, b"\x00\xff", bytes(300_000)):
        websocket.send(message)
        assert websocket.recv(timeout=20) == message


def test_fragments_come_back_as_one_message(websocket):
    websocket.send(iter(["a", "b", "c"]))
    assert websocket.recv(timeout=20) == "abc"


def test_a_ping_is_answered_by_the_target(websocket):
    assert websocket.ping().wait(timeout=20)


def test_closing_is_agreed_on(websocket):
    websocket.close(code=1000, reason="done")
    assert websocket.protocol.close_rcvd.code == 1000
