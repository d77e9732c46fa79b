"""Stickiness cookies in the jars of clients that keep them by the book: curl and Python's own.

Two targets take turns, so that only the cookie can keep a client at one of them. Each test has its twin without a jar.
"""

import http.client
import http.cookiejar
import json
import urllib.request

import pytest

from conftest import echo, run, running_gateway

REQUESTS = 8


@pytest.fixture(scope="module")
def sticky(tmp_path_factory):
    """A gateway whose service `open` keeps its clients for a minute."""
    with echo("other") as other:

        def change(document):
            group = document["targetGroups"][0]
            group["balancing"] = {"stickiness": {"cookieName": "stay", "durationSeconds": 60}}
            group["targets"].append({"id": "127.0.0.1", "port": other})
            return document

        with running_gateway(tmp_path_factory, change) as running:
            yield running


def curl(gateway, scheme, *options):
    """One request; gives the name of the target that answered."""
    port = gateway.https if scheme == "https" else gateway.http
    done = run(
        "curl", "--silent", "--show-error", "--fail", "--max-time", 20, "--cacert", gateway.ca,
        "--connect-to", "::127.0.0.1:", *options, f"{scheme}://open.test:{port}/",
    )
    return json.loads(done.stdout)["name"]


@pytest.mark.parametrize(("scheme", "version"), [("http", "--http1.1"), ("https", "--http1.1"), ("https", "--http2")])
def test_curl_with_a_jar_stays_at_its_target(sticky, tmp_path, scheme, version):
    jar = ["--cookie-jar", tmp_path / "jar", "--cookie", tmp_path / "jar"]
    assert len({curl(sticky, scheme, version, *jar) for _ in range(REQUESTS)}) == 1
    assert len({curl(sticky, scheme, version) for _ in range(REQUESTS)}) == 2


def test_a_cookie_of_a_connection_with_tls_is_not_sent_over_others(sticky, tmp_path):
    jar = tmp_path / "jar"
    curl(sticky, "https", "--cookie-jar", jar)
    (line,) = [line for line in jar.read_text().splitlines() if "\tstay\t" in line]
    domain, _, path, secure, expires, *_ = line.split("\t")
    assert (domain, path, secure) == ("#HttpOnly_open.test", "/", "TRUE") and int(expires) > 0
    seen = {curl(sticky, "http", "--cookie", jar) for _ in range(REQUESTS)}
    assert len(seen) == 2, "curl keeps it for TLS"


def test_pythons_jar_stays_at_its_target(sticky, monkeypatch):
    """With the name of the service in the URL, which the jar looks at; connections go to the gateway."""
    connect = http.client.HTTPConnection.connect

    def to_the_gateway(connection):
        connection.host = "127.0.0.1"
        connect(connection)

    monkeypatch.setattr(http.client.HTTPConnection, "connect", to_the_gateway)
    jar = http.cookiejar.CookieJar()
    url = f"http://open.test:{sticky.http}/"

    def name(opener):
        return json.load(opener.open(url, timeout=20))["name"]

    without, with_jar = urllib.request.build_opener(), urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    assert len({name(with_jar) for _ in range(REQUESTS)}) == 1
    assert len({name(without) for _ in range(REQUESTS)}) == 2
    (cookie,) = jar
    assert (cookie.name, cookie.path, cookie.secure) == ("stay", "/", False)
    assert cookie.has_nonstandard_attr("HttpOnly") and not cookie.is_expired()
