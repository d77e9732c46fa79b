"""Presigned queries and Signature Version 4A, by signers that nobody here wrote; each with twins that must be refused."""

import dataclasses
import datetime
import urllib.parse

import pytest
from conftest import READER_KEY_ID
from signers import ASYMMETRIC, NODE, PRESIGNERS, Request, sign
from test_signers import MISMATCH, PATHS, QUERIES, UNKNOWN, accepted, flipped, refused

EXPIRED = "InvalidSignatureException: Signature expired: "
BOTH = "IncompleteSignatureException: Sign either the 'Authorization' header or the query string, not both."
# Takes each name once, with its first value.
TAKES_EACH_NAME_ONCE = {"botocore-presigned"}


@pytest.fixture(scope="module", autouse=True)
def node():
    yield
    NODE.close()


@pytest.fixture
def host(gateway):
    return f"guarded.test:{gateway.http}"


def in_query(signed, old, new):
    assert old in signed.target, signed.target
    return dataclasses.replace(signed, target=signed.target.replace(old, new, 1))


def parameter(signed, name):
    (value,) = urllib.parse.parse_qs(signed.target.partition("?")[2])[name]
    return value


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:40])
@pytest.mark.parametrize("signer", [*PRESIGNERS, *ASYMMETRIC])
def test_odd_paths_verify(gateway, host, signer, path):
    signed = sign(signer, Request(host, path))
    assert accepted(gateway, signed)["path"] == path
    before, mark, after = signed.target.partition("?")
    refused(gateway, dataclasses.replace(signed, target=f"{before}x{mark}{after}"))


@pytest.mark.parametrize("query", [query for query in QUERIES if "://" not in query], ids=lambda query: query[:40])
@pytest.mark.parametrize("signer", [*PRESIGNERS, *ASYMMETRIC])
def test_odd_queries_verify(gateway, host, signer, query):
    signed = sign(signer, Request(host, f"/search?{query}"))
    accepted(gateway, signed)
    sent = urllib.parse.parse_qs(signed.target.partition("?")[2], keep_blank_values=True)
    for name, values in urllib.parse.parse_qs(query, keep_blank_values=True).items():
        assert sent[name][0] in values if signer in TAKES_EACH_NAME_ONCE else sorted(sent[name]) == sorted(values)
    refused(gateway, dataclasses.replace(signed, target=f"{signed.target}&added=1"))


# What is done to a presigned request, and what the answer begins with.
TWINS = {
    "method": (lambda s: dataclasses.replace(s, method="DELETE"), MISMATCH),
    "path": (lambda s: in_query(s, "/orders/1", "/orders/2"), MISMATCH),
    "query": (lambda s: in_query(s, "a=1", "a=2"), MISMATCH),
    "time that it holds": (lambda s: in_query(s, "X-Amz-Expires=3600", "X-Amz-Expires=3601"), MISMATCH),
    "host": (lambda s: s.set("Host", "Guarded.test:" + s.get("host").split(":")[1]), MISMATCH),
    "signature": (
        lambda s: in_query(s, parameter(s, "X-Amz-Signature"), parameter(s, "X-Amz-Signature")[::-1]),
        MISMATCH,
    ),
    "unknown key": (lambda s: in_query(s, "Credential=AKIA", "Credential=AKIB"), UNKNOWN),
    "key of another": (
        lambda s: in_query(s, parameter(s, "X-Amz-Credential").split("/")[0], READER_KEY_ID),
        MISMATCH,
    ),
    "a week and a second": (
        lambda s: in_query(s, "X-Amz-Expires=3600", "X-Amz-Expires=604801"),
        "IncompleteSignatureException: X-Amz-Expires must be a number of seconds from 1 to 604800",
    ),
    "no date": (
        lambda s: in_query(s, "X-Amz-Date=", "Date="),
        "IncompleteSignatureException: AWS query-string parameters must include 'X-Amz-Date'.",
    ),
    "no signature": (
        lambda s: in_query(s, "X-Amz-Signature=", "Signature="),
        "IncompleteSignatureException: AWS query-string parameters must include 'X-Amz-Signature'.",
    ),
    "a parameter twice": (
        lambda s: dataclasses.replace(s, target=f"{s.target}&x-amz-expires=1"),
        "IncompleteSignatureException: 'X-Amz-Expires' must be given once in a signed query string.",
    ),
    "another algorithm": (
        lambda s: in_query(s, "X-Amz-Algorithm=AWS4-", "X-Amz-Algorithm=AWS5-"),
        "IncompleteSignatureException: Unsupported AWS 'algorithm'",
    ),
    "header as well": (lambda s: s.add("Authorization", "AWS4-HMAC-SHA256 Credential=x"), BOTH),
    "a header of meaning added": (
        lambda s: s.add("x-amz-meta-tag", "1"),
        "InvalidSignatureException: 'x-amz-meta-tag' must be a 'SignedHeader' in the AWS Authorization.",
    ),
    "token added": (lambda s: dataclasses.replace(s, target=f"{s.target}&X-Amz-Security-Token=x"), UNKNOWN),
}


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("signer", PRESIGNERS)
def test_a_changed_presigned_request_is_refused(gateway, host, signer, twin):
    signed = sign(signer, Request(host, "/orders/1?a=1&b=2"))
    accepted(gateway, signed)
    change, beginning = TWINS[twin]
    refused(gateway, change(signed), beginning)


# Requests that are rightly signed, but not as this gateway demands.
WRONG = {
    "secret": ({"secret": "x" * 40}, MISMATCH),
    "key": ({"key": "AKIANOBODY"}, UNKNOWN),
    "region": ({"region": "eu-west-1"}, "InvalidSignatureException: Credential should be scoped to a valid region"),
    "service": ({"service": "s3"}, "InvalidSignatureException: Credential should be scoped to correct service"),
    "token": ({"token": "AQoDYXdzEPT"}, UNKNOWN),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("signer", [*PRESIGNERS, *ASYMMETRIC])
def test_a_request_signed_for_something_else_is_refused(gateway, host, signer, wrong):
    change, beginning = WRONG[wrong]
    refused(gateway, sign(signer, Request(host, **change)), beginning)


@pytest.mark.parametrize("signer", ["awscrt-presigned", "awscrt-v4a-presigned"])
@pytest.mark.parametrize(
    ("seconds", "expires", "beginning"),
    [
        (-590, 600, None),
        (-615, 600, EXPIRED),
        (-86_400 * 6, 604_800, None),
        (-86_400 * 8, 604_800, EXPIRED),
        (285, 600, None),
        (315, 600, "InvalidSignatureException: Signature not yet current: "),
    ],
)
def test_a_url_holds_for_the_time_it_states(gateway, host, signer, seconds, expires, beginning):
    date = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    signed = sign(signer, Request(host, date=date, expires=expires))
    if beginning is None:
        accepted(gateway, signed)
    else:
        refused(gateway, signed, beginning)


@pytest.mark.parametrize(
    ("regions", "fits"),
    [
        ("us-west-2", True), ("*", True), ("us-*", True), ("eu-west-1,us-west-2", True), ("eu-west-1,us-w*", True),
        ("us-east-1", False), ("eu-*", False), ("us-east-*,us-west-1", False), ("us-west-22", False),
    ],
)
@pytest.mark.parametrize("signer", ["awscrt-v4a", "awscrt-v4a-presigned"])
def test_a_signature_of_version_4a_holds_in_the_regions_of_its_set(gateway, host, signer, regions, fits):
    signed = sign(signer, Request(host, region=regions))
    if fits:
        accepted(gateway, signed)
    else:
        refused(gateway, signed, "InvalidSignatureException: Credential should be scoped to a valid region")


@pytest.mark.parametrize("signer", ASYMMETRIC)
def test_a_changed_request_of_version_4a_is_refused(gateway, host, signer):
    signed = sign(signer, Request(host, "/orders/1?a=1", headers=(("x-team", "web"),)))
    accepted(gateway, signed)
    refused(gateway, flipped(signed))
    refused(gateway, signed.set("x-team", "wec"))
    refused(gateway, signed.set("x-amz-region-set", "*"))
    refused(gateway, in_query(signed, "a=1", "a=2"))
    refused(
        gateway,
        signed.set("x-amz-region-set", None),
        "IncompleteSignatureException: ",
    )


@pytest.mark.parametrize("signer", PRESIGNERS)
def test_a_presigned_request_verifies_over_http2(gateway, curl, host, signer):
    signed = sign(signer, Request(host, "/a%20b?b=2&a=1"))
    options = [option for name, value in signed.headers if name.lower() != "host" for option in ("--header", f"{name}: {value}")]
    h2 = ["--http2-prior-knowledge", "--path-as-is", *options]
    code, version, body = curl(f"http://{host}{signed.target}", *h2)
    assert (code, version) == (200, "2"), body
    code, _, body = curl(f"http://{host}{signed.target}&c=3", *h2)
    assert code == 403, body
    assert body.startswith(MISMATCH)
