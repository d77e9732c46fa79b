"""Requests that show who sends them, and proof that each proxy checks it."""

import http.client

from . import signing, tokens
from .processes import HOST, Failure, tool
from .rules import STATEMENTS

# Where each way of showing it is asked for, on every proxy.
ADDRESSES = {"signature": "127.0.0.2", "HS256": "127.0.0.2", "ES256": "127.0.0.3"}
MEASURED = "/hello"


class Senders:
    """What shows who sends a request, and what only seems to."""

    def __init__(self, folder):
        self.folder = folder
        tokens.key_files(folder, tool("openssl"))

    def headers(self, way, port, path=MEASURED):
        """Fields of a request that must pass."""
        if way == "signature":
            return signing.headers("GET", f"{HOST}:{port}", path)
        return self.bearer(tokens.token(way, self.folder, tool("openssl")))

    @staticmethod
    def bearer(token):
        return {"authorization": f"Bearer {token}"}

    def flawed(self, way, port):
        """Requests that must be refused: what is wrong, path, fields."""
        good = self.headers(way, port)
        yield "nothing shows the sender", MEASURED, {}
        yield "the proof is spoiled", MEASURED, {**good, "authorization": spoiled(good["authorization"])}
        if way != "signature":
            over = tokens.token(way, self.folder, tool("openssl"), life=-3600)
            yield "the token is over", MEASURED, self.bearer(over)
        for number in (0, STATEMENTS - 1):
            path = f"/private-{number}/a"
            yield f"the path is for owner-{number}", path, self.headers(way, port, path)


def spoiled(text):
    """The same with another letter within the signature, at its end but one: the last may hold bits that do not count."""
    place = len(text) - 2
    return text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]


def status(way, port, path, fields):
    """What a request is answered with."""
    connection = http.client.HTTPConnection(ADDRESSES[way], port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": f"{HOST}:{port}", **fields})
        return connection.getresponse().status
    finally:
        connection.close()


def prove(proxy, senders, way):
    """A figure of a check that is not made would be worthless: what must pass passes, and what must not is refused."""
    answered = status(way, proxy.http, MEASURED, senders.headers(way, proxy.http))
    if answered != 200:
        raise Failure(f"{proxy.name} answers {answered} to a request whose sender is shown by {way}")
    for flaw, path, fields in senders.flawed(way, proxy.http):
        answered = status(way, proxy.http, path, fields)
        if answered not in (401, 403):
            raise Failure(f"{proxy.name} answers {answered} although {flaw} ({way})")
