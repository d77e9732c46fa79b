"""Tokens made by PyJWT with keys that a server publishes, each with twins that must be refused."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time
import urllib.error
import urllib.request

import jwt
import pytest
from conftest import ACCOUNT, policy, running_gateway, statement
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER = "https://issuer.test"
INVALID = "InvalidIdentityTokenException: The web identity token included in the request is invalid."
EXPIRED = "ExpiredTokenException: The web identity token included in the request is expired."
# Long enough for whatever a busy machine does, short enough for a test to fail.
PATIENCE = 20

KEYS = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "RS384": rsa.generate_private_key(65537, 3072),
    "RS512": rsa.generate_private_key(65537, 2048),
    "PS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def published(algorithm):
    """The key as PyJWT writes it, with its id."""
    key = KEYS[algorithm].public_key()
    text = jwt.get_algorithm_by_name(algorithm).to_jwk(key)
    return {**(json.loads(text) if isinstance(text, str) else text), "kid": algorithm, "use": "sig"}


@pytest.fixture(scope="module")
def keys():
    """A server that publishes the keys; gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"keys": [published(algorithm) for algorithm in KEYS]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/keys"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, keys):
    def change(document):
        def mapping(name, claim, principal):
            match = {"identityProvider": "issuer", "claims": [claim]}
            return {"name": name, "from": "JWT", "match": match, "principal": principal}

        document["principals"] |= {
            "roles": [{"name": "robot", "policies": [policy(statement())]}],
            "identityProviders": [
                {"name": "issuer", "type": "OIDC", "issuer": ISSUER, "audiences": ["guarded"], "jwks": {"url": keys}}
            ],
            "mappings": [
                mapping("people", {"name": "sub", "value": {"exact": "writer"}}, {"user": "writer"}),
                mapping("robots", {"name": "groups", "value": {"prefix": "robots/"}}, {"role": "robot"}),
            ],
        }
        return document

    with running_gateway(tmp_path_factory, change) as running:
        deadline = time.monotonic() + PATIENCE
        while send(running, token("ES256"))[0] != 200:
            assert time.monotonic() < deadline, "the keys were not read"
            time.sleep(0.02)
        yield running


def claims(**changes):
    now = int(time.time())
    all = {"iss": ISSUER, "aud": ["guarded", "other"], "sub": "writer", "iat": now, "nbf": now, "exp": now + 300}
    return {name: value for name, value in {**all, **changes}.items() if value is not None}


def token(algorithm, key=None, headers=None, **changes):
    return jwt.encode(claims(**changes), key or KEYS[algorithm], algorithm, {"kid": algorithm, **(headers or {})})


def send(gateway, value, host="guarded.test"):
    """Status and body of a request with this token."""
    headers = {"Host": f"{host}:{gateway.http}", "Authorization": f"Bearer {value}"}
    request = urllib.request.Request(f"http://127.0.0.1:{gateway.http}/tokens", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def identity(body):
    return dict(json.loads(body)["headers"])["x-amzn-lattice-identity"]


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_token_says_who_is_calling(gateway, algorithm):
    status, body = send(gateway, token(algorithm))
    assert status == 200, body
    assert f"Principal=arn:aws:iam::{ACCOUNT}:user/writer" in identity(body)
    status, body = send(gateway, token(algorithm, sub="r2", groups=["x", "robots/r2"]))
    assert status == 200, body
    assert f"Principal=arn:aws:sts::{ACCOUNT}:assumed-role/robot/robots" in identity(body)


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_changed_token_is_refused(gateway, algorithm):
    head, body, signature = token(algorithm).split(".")
    other = token(algorithm, sub="writer", more=1).split(".")
    for forged in [
        f"{head}.{part(claims(sub='root'))}.{signature}",
        f"{head}.{body}.{other[2]}",
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{head}.{body}.{signature}.{signature}",
        f"{head}.{body}.{signature}=",
        f"{part({'alg': 'none'})}.{body}.",
        f"{part({'alg': 'none', 'kid': algorithm})}.{body}.{signature}",
    ]:
        assert send(gateway, forged) == (403, INVALID), forged


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_public_key_is_not_a_secret(gateway, algorithm):
    key = KEYS[algorithm].public_key()
    secrets = [
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(published(algorithm)).encode(),
    ]
    for secret in secrets:
        text = f"{part({'alg': 'HS256', 'kid': algorithm})}.{part(claims())}"
        tag = hmac.new(secret, text.encode(), hashlib.sha256).digest()
        forged = f"{text}.{base64.urlsafe_b64encode(tag).rstrip(b'=').decode()}"
        assert send(gateway, forged) == (403, INVALID)


@pytest.mark.parametrize("algorithm", KEYS)
def test_another_key_or_another_algorithm_is_refused(gateway, algorithm):
    for other, key in KEYS.items():
        if other == algorithm:
            continue
        # Signed by the other key, and said to be by this one.
        forged = token(other, key, {"kid": algorithm})
        assert send(gateway, forged) == (403, INVALID), other


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"iss": "https://issuer.test/"}, INVALID),
        ({"iss": None}, INVALID),
        ({"aud": "guarded.test"}, INVALID),
        ({"aud": None}, INVALID),
        ({"aud": []}, INVALID),
        ({"exp": None}, INVALID),
        ({"exp": 1_700_000_000}, EXPIRED),
        ({"nbf": 4_000_000_000}, INVALID),
        ({"iat": 4_000_000_000}, INVALID),
        ({"pad": "x" * 9_000}, INVALID),
        (
            {"sub": "stranger"},
            "AccessDeniedException: The web identity token included in the request gives no access.",
        ),
    ],
    ids=str,
)
def test_a_genuine_token_for_something_else_is_refused(gateway, changes, answer):
    assert send(gateway, token("ES256", **changes)) == (403, answer)


def test_what_a_token_brings_along_is_not_looked_at(gateway, keys):
    thief = ec.generate_private_key(ec.SECP256R1())
    own = json.loads(jwt.get_algorithm_by_name("ES256").to_jwk(thief.public_key()))
    for header in [{"jwk": own}, {"jku": keys}, {"x5u": keys}, {"crit": ["exp"]}, {"kid": "../ES256"}, {"typ": "logout+jwt"}]:
        assert send(gateway, token("ES256", thief, header)) == (403, INVALID)
    for header in [{"crit": ["exp"]}, {"kid": "../ES256"}, {"typ": "logout+jwt"}]:
        assert send(gateway, token("ES256", headers=header)) == (403, INVALID)


def test_a_token_is_the_applications_where_nobody_asks(gateway):
    status, body = send(gateway, "opaque", "open.test")
    assert status == 200, body
    assert dict(json.loads(body)["headers"])["authorization"] == "Bearer opaque"
    assert send(gateway, "opaque") == (403, INVALID)
