"""curl, from Debian: HTTP/1.1, HTTP/2, TLS and its own SigV4.

curl 7.88 signs the path as it sends it (encoded once) and takes the payload's hash from the header x-amz-content-sha256. Unlike other
signers it does not sort the query, does not add the `=` that a key without value gets, and does not fold spaces within a header's
value: what it signs there no standard verifier can confirm. Later versions do.
"""

import json

import pytest
from conftest import READER_KEY_ID, READER_SECRET, REGION


@pytest.mark.parametrize(
    ("url", "options", "version"),
    [
        ("http://open.test:HTTP/a?b=c", ["--http1.1"], "1.1"),
        ("http://open.test:HTTP/a?b=c", ["--http2-prior-knowledge"], "2"),
        ("https://open.test:HTTPS/a?b=c", ["--http1.1"], "1.1"),
        ("https://open.test:HTTPS/a?b=c", ["--http2"], "2"),
    ],
)
def test_an_open_service_answers_in_every_version(curl, url, options, version):
    code, got, body = curl(url, *options)
    assert (code, got) == (200, version)
    seen = json.loads(body)
    assert (seen["name"], seen["path"], seen["query"]) == ("plain", "/a", "b=c")
    headers = dict(seen["headers"])
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == url.partition(":")[0]
    assert headers["host"].startswith("open.test:")


def test_a_large_body_arrives_whole(curl, tmp_path):
    path = tmp_path / "body"
    path.write_bytes(bytes(range(256)) * 8192)
    for version in ("--http1.1", "--http2"):
        code, _, body = curl("https://open.test:HTTPS/", version, "--data-binary", f"@{path}")
        assert code == 200
        assert json.loads(body)["body"]["length"] == 2 * 1024 * 1024


def test_an_unknown_host_is_not_found(curl):
    assert curl("http://nobody.test:HTTP/")[0] == 404


def test_anonymous_callers_are_refused_with_the_reason(curl):
    code, _, body = curl("http://guarded.test:HTTP/pay?x=1")
    assert code == 403
    assert body.startswith("AccessDeniedException: User: anonymous is not authorized to perform: vpc-lattice-svcs:Invoke on")
    assert body.endswith("/pay because no service-based policy allows the vpc-lattice-svcs:Invoke action")


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_refused_upload_still_gets_its_answer(curl, tmp_path, version):
    """Over HTTP/2 the stream used to be reset while curl was sending, and curl then knew of no answer at all."""
    path = tmp_path / "body"
    path.write_bytes(bytes(512 * 1024))
    for _ in range(5):
        code, _, body = curl("https://guarded.test:HTTPS/upload", version, "--data-binary", f"@{path}")
        assert (code, body.partition(":")[0]) == (403, "AccessDeniedException")


@pytest.mark.parametrize("url", ["http://guarded.test:HTTP", "https://guarded.test:HTTPS"])
@pytest.mark.parametrize("target", ["/", "/orders/1", "/orders/1?a=1&b=2"])
def test_signed_callers_are_let_in(curl, signing, url, target):
    code, _, body = curl(url + target, *signing)
    assert code == 200, body
    headers = dict(json.loads(body)["headers"])
    assert "user/writer" in headers["x-amzn-lattice-identity"]


@pytest.mark.parametrize("target", ["/a%20b", "/a//b", "/%C3%BCber", "/a+b", "/x?a=%20b"])
def test_odd_paths_verify(curl, signing, target):
    code, _, body = curl(f"http://guarded.test:HTTP{target}", *signing)
    assert code == 200, body


@pytest.mark.parametrize("target", ["/?b=1&a=2", "/?a"])
def test_queries_that_this_curl_signs_wrongly_are_refused(curl, signing, target):
    code, _, body = curl(f"http://guarded.test:HTTP{target}", *signing)
    assert code == 403
    assert body.startswith("InvalidSignatureException")


def test_signed_posts_carry_their_body(curl, signing):
    code, _, body = curl("http://guarded.test:HTTP/orders", *signing, "--data", "one=1")
    assert code == 200, body
    assert json.loads(body)["body"]["text"] == "one=1"


def test_the_identity_based_policy_counts(curl, signing):
    reader = [*signing]
    reader[reader.index("--user") + 1] = f"{READER_KEY_ID}:{READER_SECRET}"
    assert curl("http://guarded.test:HTTP/", *reader)[0] == 200
    code, _, body = curl("http://guarded.test:HTTP/", *reader, "--data", "x")
    assert code == 403
    assert body.endswith("because no identity-based policy allows the vpc-lattice-svcs:Invoke action")


@pytest.mark.parametrize(
    ("user", "scope", "error"),
    [
        ("AKIAEXAMPLEWRITER:wrong", f"aws:amz:{REGION}:vpc-lattice-svcs", "InvalidSignatureException"),
        ("AKIANOBODY:wrong", f"aws:amz:{REGION}:vpc-lattice-svcs", "UnrecognizedClientException"),
        ("AKIAEXAMPLEWRITER:secret-of-the-writer", f"aws:amz:{REGION}:s3", "InvalidSignatureException"),
        ("AKIAEXAMPLEWRITER:secret-of-the-writer", "aws:amz:eu-west-1:vpc-lattice-svcs", "InvalidSignatureException"),
    ],
)
def test_bad_signatures_are_refused_even_where_anybody_may_call(curl, user, scope, error):
    options = ["--aws-sigv4", scope, "--user", user, "--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]
    for host in ("guarded.test", "open.test"):
        code, _, body = curl(f"http://{host}:HTTP/", *options)
        assert code == 403, body
        assert body.startswith(error), body


def test_headers_of_the_gateway_cannot_be_spoofed(curl):
    spoofed = ["--header", "x-amzn-lattice-identity: Principal=root", "--header", "x-amzn-source-vpc: vpc-1"]
    code, _, body = curl("http://open.test:HTTP/", *spoofed)
    assert code == 200
    headers = dict(json.loads(body)["headers"])
    assert "x-amzn-lattice-identity" not in headers
    assert headers.get("x-amzn-source-vpc") != "vpc-1"
