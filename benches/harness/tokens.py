"""JSON Web Tokens of two issuers: one signs with a shared secret (HS256), the other with a P-256 key (ES256)."""

import base64
import hashlib
import hmac
import json
import subprocess
import time

AUDIENCE = "benchmark"
SUBJECT = "caller"
SECRET = "benchmark-secret-of-the-issuer-of-tokens"
ALGORITHMS = ("HS256", "ES256")

# The largest part of a DER signature's integers, and of a raw one: RFC 7518 §3.4.
COORDINATE = 32


def _text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def issuer(algorithm):
    return f"https://{algorithm.lower()}.issuer.test"


def key_files(folder, openssl):
    """Makes the P-256 key, its public half for HAProxy, and a key set of each kind for the others."""
    private, public = folder / "issuer.pem", folder / "issuer-public.pem"
    run = [openssl, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private]
    subprocess.run(run, check=True, capture_output=True)
    subprocess.run([openssl, "ec", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    der = subprocess.run([openssl, "ec", "-in", private, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    # Ends with the point, uncompressed.
    x, y = der[-2 * COORDINATE : -COORDINATE], der[-COORDINATE:]
    sets = {
        "HS256": {"kty": "oct", "kid": "key", "alg": "HS256", "k": _text(SECRET.encode())},
        "ES256": {"kty": "EC", "crv": "P-256", "kid": "key", "alg": "ES256", "x": _text(x), "y": _text(y)},
    }
    for algorithm, key in sets.items():
        (folder / f"{algorithm.lower()}-keys.json").write_text(json.dumps({"keys": [key]}))


def _integers(der):
    """The two integers of an ECDSA signature in DER, each in 32 bytes."""
    place, numbers = 2, []
    for _ in range(2):
        length = der[place + 1]
        numbers.append(int.from_bytes(der[place + 2 : place + 2 + length], "big").to_bytes(COORDINATE, "big"))
        place += 2 + length
    return b"".join(numbers)


def token(algorithm, folder, openssl, life=3600):
    """A token of the caller that ends after so many seconds; before now, if they are negative."""
    now = int(time.time())
    header = {"alg": algorithm, "typ": "JWT", "kid": "key"}
    claims = {"iss": issuer(algorithm), "aud": AUDIENCE, "sub": SUBJECT, "iat": now - 7200, "exp": now + life}
    text = ".".join(_text(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    if algorithm == "HS256":
        signature = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest()
    else:
        command = [openssl, "dgst", "-sha256", "-sign", folder / "issuer.pem"]
        signature = _integers(subprocess.run(command, input=text.encode(), check=True, capture_output=True).stdout)
    return f"{text}.{_text(signature)}"
