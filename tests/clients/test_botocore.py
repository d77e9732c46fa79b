"""botocore's signer, which canonicalises paths in its own way (normalised, then encoded a second time)."""

import contextlib
import http.client

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from conftest import KEY_ID, REGION, SECRET

PATHS = [
    "/",
    "/orders/1",
    "/a%20b",
    "/a%20b//c/../d",
    "/a//b",
    "/./a/.",
    "/%C3%BCber",
    "/a+b",
    "/a%2Bb",
    "/a%2Fb",
    "/~user/-._",
    "/x;y=1,2",
    "/$&'()*!@:",
    "/%7euser",
    "/trailing/",
]

QUERIES = ["a=1", "b=2&a=1", "a=2&a=1", "a", "a=", "a=%20b", "a=%2F", "A=1&a=2&B=3", "x=a+b"]


def call(gateway, target, method="GET", **changes):
    """Signs a request with botocore and sends exactly what was signed."""
    request = AWSRequest(
        method=method,
        url=f"http://guarded.test:{gateway.http}{target}",
        headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"},
    )
    SigV4Auth(Credentials(KEY_ID, SECRET), "vpc-lattice-svcs", REGION).add_auth(request)
    headers = {**dict(request.headers.items()), "Host": f"guarded.test:{gateway.http}", **changes}
    connection = http.client.HTTPConnection("127.0.0.1", gateway.http, timeout=20)
    with contextlib.closing(connection):
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.mark.parametrize("path", PATHS)
def test_odd_paths_verify(gateway, path):
    status, body = call(gateway, path)
    assert status == 200, body


@pytest.mark.parametrize("query", QUERIES)
def test_odd_queries_verify(gateway, query):
    status, body = call(gateway, f"/search?{query}")
    assert status == 200, body


def test_a_changed_header_breaks_the_signature(gateway):
    status, body = call(gateway, "/", **{"X-Amz-Date": "20200101T000000Z"})
    assert status == 403
    assert body.startswith("InvalidSignatureException"), body
