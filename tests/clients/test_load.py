"""h2load and nghttp: many requests on many streams, every one of them answered well."""

import re

import pytest
from conftest import run

REQUESTS = 3000


@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        ("http", ["--h1"]),
        ("http", ["-m", "20"]),
        ("https", ["--h1"]),
        ("https", ["-m", "20"]),
    ],
)
def test_every_request_of_many_is_answered(gateway, scheme, options):
    port = gateway.https if scheme == "https" else gateway.http
    done = run(
        "h2load", "-n", REQUESTS, "-c", 10, *options,
        f"--connect-to=127.0.0.1:{port}", f"{scheme}://open.test:{port}/?bytes=1000",
    )
    assert re.search(rf"{REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout", done.stdout), done.stdout
    assert f"status codes: {REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx" in done.stdout, done.stdout


def test_nghttp_sees_a_clean_exchange(gateway):
    done = run(
        "nghttp", "--verbose", "--null-out", f"--header=:authority: open.test:{gateway.http}",
        f"http://127.0.0.1:{gateway.http}/",
    )
    assert ":status: 200" in done.stdout, done.stdout
    assert "RST_STREAM" not in done.stdout, done.stdout
