"""Signature Version 4 of one request, in as few lines as it takes; checked by the gateway, which would answer 403."""

import datetime
import hashlib
import hmac

KEY_ID = "AKIABENCHMARK"
SECRET = "benchmark-secret-of-the-caller"
REGION = "us-west-2"
SERVICE = "vpc-lattice-svcs"


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def headers(method, host, path):
    """Headers that make the request a signed one, for the five minutes in which its date is accepted."""
    now = datetime.datetime.now(datetime.timezone.utc)
    date = now.strftime("%Y%m%dT%H%M%SZ")
    fields = {"host": host, "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-date": date}
    signed = ";".join(fields)
    lines = "".join(f"{name}:{value}\n" for name, value in fields.items())
    canonical = f"{method}\n{path}\n\n{lines}\n{signed}\nUNSIGNED-PAYLOAD"
    scope = f"{date[:8]}/{REGION}/{SERVICE}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    del fields["host"]
    fields["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={signed}, Signature={signature}"
    )
    return fields
