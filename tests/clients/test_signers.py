"""Requests with odd paths, queries and headers, signed by signers that nobody here wrote; each with twins that must be refused."""

import datetime
import json
import urllib.parse

import pytest
from conftest import KEY_ID, READER_KEY_ID, SECRET
from signers import NODE, SIGNERS, Request, sign

PATHS = [
    "/",
    "/orders/1",
    "/trailing/",
    "/a%20b",
    "/a%20b//c/../d",
    "/a//b",
    "//double",
    "/a/./b",
    "/./a/b",
    "/a/../b",
    "/a/../../b",
    "/a/b/../",
    "/a/./",
    "/%C3%BCber/%E6%97%A5%E6%9C%AC",
    "/a+b",
    "/a%2Bb",
    "/a%2Fb",
    "/a%2fb",
    "/a%252Fb",
    "/~user/-._",
    "/x;y=1,2",
    "/$&'()*!@:",
    "/%7euser",
    "/a=b&c",
    "/[x]",
    "/a%00b",
    "/..%2f..%2fetc",
    "/orders/" + "0123456789abcdef" * 256,
    "/package.Service/Method",
]

QUERIES = [
    "",
    "a=1",
    "b=2&a=1",
    "a=2&a=1",
    "a=1&a=1&a=0",
    "a",
    "a=",
    "a&b",
    "a=%20b",
    "a=%2F%2f",
    "A=1&a=2&B=3",
    "x=a+b",
    "x=a%2Bb",
    "name=%C3%BC&%C3%BC=1",
    "a=b=c",
    "a=1;b=2",
    "redirect=https://example.com/?x=y",
    "a=~-._",
    "a-=1&a=2&a.=3",
    "a%20b=1&a=2",
    "&".join(f"p{n}={n}" for n in range(300)),
    "long=" + "x" * 8000,
]

# Takes the target for a whole URI when `://` comes anywhere in it, and signs path and query of what follows.
UNABLE = {(f"awscrt{form}", "redirect=https://example.com/?x=y") for form in ("", "-raw", "-single")}

HEADERS = [
    (("x-team", "web"),),
    (("x-team", "  web   and  more "),),
    (("x-empty", ""),),
    (("accept", "*/*"), ("content-type", "application/json; charset=utf-8"), ("user-agent", "tests")),
    (("cookie", "a=1; b=2"), ("x-forwarded-for", "192.0.2.1")),
    (("x-amz-meta-tag", "v"), ("x-quoted", '"a  b"')),
    tuple((f"x-many-{n}", str(n)) for n in range(60)),
    (("x-long", "y" * 20_000),),
]


@pytest.fixture(scope="module", autouse=True)
def node():
    yield
    NODE.close()


@pytest.fixture
def host(gateway):
    return f"guarded.test:{gateway.http}"


def accepted(gateway, signed):
    status, body = signed.send(gateway.http)
    assert status == 200, body
    seen = json.loads(body)
    assert "user/writer" in dict(seen["headers"])["x-amzn-lattice-identity"]
    return seen


def refused(gateway, signed, beginning="InvalidSignatureException: The request signature we calculated does not match"):
    status, body = signed.send(gateway.http)
    assert status == 403, body
    assert body.startswith(beginning), body
    assert SECRET not in body


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:40])
@pytest.mark.parametrize("signer", SIGNERS)
def test_odd_paths_verify_and_arrive_as_they_were_sent(gateway, host, signer, path):
    signed = sign(signer, Request(host, path))
    # aws4 encodes brackets before it signs.
    assert accepted(gateway, signed)["path"] == signed.target
    assert urllib.parse.unquote(signed.target) == urllib.parse.unquote(path)
    signed.target += "x"
    refused(gateway, signed)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:40])
@pytest.mark.parametrize("signer", SIGNERS)
def test_odd_queries_verify_and_arrive_as_they_were_sent(gateway, host, signer, query):
    signed = sign(signer, Request(host, f"/search?{query}"))
    if (signer, query) in UNABLE:
        refused(gateway, signed)
        return
    # aws4 writes the query anew before it signs.
    assert accepted(gateway, signed)["query"] == signed.target.partition("?")[2]
    assert urllib.parse.parse_qs(signed.target) == urllib.parse.parse_qs(f"/search?{query}")
    signed.target += "&added=1"
    refused(gateway, signed)


@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: headers[0][0])
@pytest.mark.parametrize("signer", SIGNERS)
def test_odd_headers_verify(gateway, host, signer, headers):
    request = Request(host, "/headers", headers=headers)
    signed = sign(signer, request)
    accepted(gateway, signed)
    # What this signer signed of them, and nothing else, is protected.
    names = signed.get("authorization").split("SignedHeaders=")[1].split(",")[0].split(";")
    for name, value in headers:
        changed = signed.set(name, value + "1")
        if name in names:
            refused(gateway, changed)
        else:
            accepted(gateway, changed)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"])
@pytest.mark.parametrize("signer", SIGNERS)
def test_other_methods_verify(gateway, host, signer, method):
    signed = sign(signer, Request(host, "/m", method)).add("Content-Length", "0")
    accepted(gateway, signed)
    signed.method = "GET"
    refused(gateway, signed)


@pytest.mark.parametrize("signer", SIGNERS)
def test_a_host_signed_without_its_port_verifies(gateway, host, signer):
    accepted(gateway, sign(signer, Request("guarded.test"), host=host))
    refused(gateway, sign(signer, Request("guarded.test:1"), host=host))


MISMATCH = "InvalidSignatureException: The request signature we calculated does not match the signature you provided."
UNKNOWN = "UnrecognizedClientException: The security token included in the request is invalid."
MUST_BE_SIGNED = "must be a 'SignedHeader' in the AWS Authorization."


def flipped(signed):
    value = signed.get("authorization")
    return signed.set("Authorization", value[:-1] + ("1" if value[-1] == "0" else "0"))


def later(signed):
    date = signed.get("x-amz-date")
    return signed.set("X-Amz-Date", date[:-2] + ("1Z" if date[-2] == "0" else "0Z"))


# What is done to a signed request, and what the answer begins with.
TWINS = {
    "method": (lambda s: s.__class__("DELETE", s.target, s.headers), MISMATCH),
    "path": (lambda s: s.__class__(s.method, "/orders/2?a=1&b=2", s.headers), MISMATCH),
    "path in other case": (lambda s: s.__class__(s.method, "/Orders/1?a=1&b=2", s.headers), MISMATCH),
    "query": (lambda s: s.__class__(s.method, "/orders/1?a=1&b=3", s.headers), MISMATCH),
    "query left out": (lambda s: s.__class__(s.method, "/orders/1", s.headers), MISMATCH),
    "parameter doubled": (lambda s: s.__class__(s.method, "/orders/1?a=1&b=2&b=2", s.headers), MISMATCH),
    "host in other case": (lambda s: s.set("Host", s.get("host").upper()), MISMATCH),
    "header": (lambda s: s.set("x-team", "wec"), MISMATCH),
    "header doubled": (lambda s: s.add("x-team", "web"), MISMATCH),
    "header left out": (
        lambda s: s.set("x-team", None),
        "IncompleteSignatureException: 'x-team' is named as a SignedHeader, but it does not exist in the HTTP request.",
    ),
    "date": (later, MISMATCH),
    "no date": (
        lambda s: s.set("x-amz-date", None),
        "IncompleteSignatureException: Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
    ),
    "signature": (flipped, MISMATCH),
    "upper-case signature": (
        lambda s: s.set("Authorization", s.get("authorization").replace("Signature=", "Signature=A", 1)[:-1]),
        MISMATCH,
    ),
    "key of another": (lambda s: s.replace(KEY_ID, READER_KEY_ID), MISMATCH),
    "unknown key": (lambda s: s.replace(KEY_ID, "AKIANOBODY"), UNKNOWN),
    "region": (
        lambda s: s.replace("us-west-2", "us-east-1"),
        "InvalidSignatureException: Credential should be scoped to a valid region, not 'us-east-1'.",
    ),
    "service": (
        lambda s: s.replace("vpc-lattice-svcs", "execute-api"),
        "InvalidSignatureException: Credential should be scoped to correct service: 'vpc-lattice-svcs'.",
    ),
    "host not signed": (
        lambda s: s.replace("host;", ""),
        f"InvalidSignatureException: 'Host' or ':authority' {MUST_BE_SIGNED}",
    ),
    "payload hash not signed": (
        lambda s: s.replace("x-amz-content-sha256;", ""),
        "IncompleteSignatureException: Missing the 'x-amz-content-sha256' in canonical headers.",
    ),
    "payload hash gone": (
        lambda s: s.replace("x-amz-content-sha256;", "").set("x-amz-content-sha256", None),
        "IncompleteSignatureException: Missing the 'x-amz-content-sha256' in canonical headers.",
    ),
    "token added": (
        lambda s: s.add("x-amz-security-token", "token"),
        f"InvalidSignatureException: 'x-amz-security-token' {MUST_BE_SIGNED}",
    ),
    "signed twice": (
        lambda s: s.add("Authorization", "Bearer x"),
        "IncompleteSignatureException: The 'Authorization' header must be given once.",
    ),
    "signature in the query as well": (
        lambda s: s.__class__(s.method, s.target + "&X-Amz-Signature=0", s.headers),
        "IncompleteSignatureException: Sign either the 'Authorization' header or the query string, not both.",
    ),
}


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("signer", SIGNERS)
def test_a_changed_request_is_refused(gateway, host, signer, twin):
    signed = sign(signer, Request(host, "/orders/1?a=1&b=2", headers=(("x-team", "web"),)))
    accepted(gateway, signed)
    change, beginning = TWINS[twin]
    refused(gateway, change(signed), beginning)


# Requests that are rightly signed, but not as this gateway demands.
WRONG = {
    "secret": ({"secret": SECRET + "x"}, MISMATCH),
    "key": ({"key": "AKIANOBODY"}, UNKNOWN),
    "region": ({"region": "eu-west-1"}, "InvalidSignatureException: Credential should be scoped to a valid region"),
    "service": ({"service": "s3"}, "InvalidSignatureException: Credential should be scoped to correct service"),
    "token": ({"token": "AQoDYXdzEPT"}, UNKNOWN),
    "payload": (
        {"payload": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        "InvalidSignatureException: Payload signing is not supported",
    ),
    "streaming": (
        {"payload": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"},
        "InvalidSignatureException: Payload signing is not supported",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("signer", SIGNERS)
def test_a_request_signed_for_something_else_is_refused(gateway, host, signer, wrong):
    change, beginning = WRONG[wrong]
    refused(gateway, sign(signer, Request(host, **change)), beginning)


@pytest.mark.parametrize(
    ("seconds", "beginning"),
    [
        (-285, None),
        (285, None),
        (-315, "InvalidSignatureException: Signature expired: "),
        (315, "InvalidSignatureException: Signature not yet current: "),
    ],
)
def test_a_signature_holds_for_five_minutes_either_way(gateway, host, seconds, beginning):
    date = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    signed = sign("awscrt", Request(host, date=date))
    if beginning is None:
        accepted(gateway, signed)
    else:
        refused(gateway, signed, beginning)


def test_a_bad_signature_is_refused_where_anonymous_callers_may_pass(gateway):
    open_host = f"open.test:{gateway.http}"
    status, _ = sign("botocore", Request(open_host)).set("Authorization", None).send(gateway.http)
    assert status == 200
    status, _ = sign("botocore", Request(open_host)).send(gateway.http)
    assert status == 200
    refused(gateway, flipped(sign("botocore", Request(open_host))), MISMATCH)


@pytest.mark.parametrize("signer", SIGNERS)
def test_signatures_verify_over_http2(gateway, curl, host, signer):
    for target in ["/", "/a%20b//c/../d?b=2&a=1", "/x?a=b"]:
        signed = sign(signer, Request(host, target, headers=(("cookie", "a=1; b=2"), ("x-team", "web"))))
        # HTTP/2 clients may cut a cookie into crumbs, and it is whole again before anybody looks (RFC 9113 §8.2.3).
        lines = [*signed.set("cookie", None).headers, ("cookie", "a=1"), ("cookie", "b=2")]
        options = [option for name, value in lines for option in ("--header", f"{name}: {value}")]
        h2 = ["--http2-prior-knowledge", "--path-as-is", *options]
        code, version, body = curl(f"http://{host}{target}", *h2)
        assert (code, version) == (200, "2"), body
        assert [value for name, value in json.loads(body)["headers"] if name == "cookie"] == ["a=1; b=2"]
        code, _, body = curl(f"http://{host}{target}", *h2, "--header", "x-team: wec")
        assert code == 403, body
        assert body.startswith("InvalidSignatureException")
