"""Signers that nobody here wrote, behind one function each: from a request to the target and headers that it must be sent with."""

import contextlib
import dataclasses
import datetime
import http.client
import json
import pathlib
import socket
import subprocess

import awscrt.auth
import awscrt.http
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from conftest import KEY_ID, REGION, SECRET

SERVICE = "vpc-lattice-svcs"
HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Request:
    """What is to be signed; `host` as it will stand in the request."""

    host: str
    target: str = "/"
    method: str = "GET"
    headers: tuple = ()
    key: str = KEY_ID
    secret: str = SECRET
    token: str | None = None
    region: str = REGION
    service: str = SERVICE
    payload: str = "UNSIGNED-PAYLOAD"
    date: datetime.datetime | None = None
    # Of presigned queries, in seconds.
    expires: int = 3600


@dataclasses.dataclass
class Signed:
    """What is sent: change anything to make a twin that must be refused."""

    method: str
    target: str
    headers: list

    def get(self, name):
        (value,) = (value for known, value in self.headers if known.lower() == name.lower())
        return value

    def set(self, name, value):
        others = [(known, old) for known, old in self.headers if known.lower() != name.lower()]
        return dataclasses.replace(self, headers=[*others, *([] if value is None else [(name, value)])])

    def add(self, name, value):
        return dataclasses.replace(self, headers=[*self.headers, (name, value)])

    def replace(self, old, new):
        value = self.get("authorization")
        assert old in value, value
        return self.set("Authorization", value.replace(old, new, 1))

    def send(self, port):
        """Over HTTP/1.1, to the byte; gives status and body."""
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers)]
        with contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as connection:
            connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
            with contextlib.closing(http.client.HTTPResponse(connection, method=self.method)) as answer:
                answer.begin()
                return answer.status, answer.read().decode()


def botocore(request):
    """Normalises the path and encodes it again; leaves the query as it is, sorted."""
    headers = {**dict(request.headers), "x-amz-content-sha256": request.payload, "host": request.host}
    signed = AWSRequest(method=request.method, url=f"http://{request.host}{request.target}", headers=headers)
    credentials = Credentials(request.key, request.secret, request.token)
    SigV4Auth(credentials, request.service, request.region).add_auth(signed)
    return request.target, list(signed.headers.items())


def botocore_presigned(request):
    """Signs the query, with the payload's hash in a header that must be sent."""
    headers = {**dict(request.headers), "x-amz-content-sha256": request.payload, "host": request.host}
    signed = AWSRequest(method=request.method, url=f"http://{request.host}{request.target}", headers=headers)
    credentials = Credentials(request.key, request.secret, request.token)
    SigV4QueryAuth(credentials, request.service, request.region, expires=request.expires).add_auth(signed)
    return signed.url.removeprefix(f"http://{request.host}"), list(signed.headers.items())


def awscrt_signer(
    double_encode,
    normalize,
    algorithm=awscrt.auth.AwsSigningAlgorithm.V4,
    where=awscrt.auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
):
    """The C signer of the newer SDKs, in its four ways of writing a path; decodes the query and encodes it anew."""
    query = where == awscrt.auth.AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS

    def sign(request):
        headers = awscrt.http.HttpHeaders([("host", request.host), *request.headers])
        message = awscrt.http.HttpRequest(request.method, request.target, headers)
        config = awscrt.auth.AwsSigningConfig(
            algorithm=algorithm,
            signature_type=where,
            credentials_provider=awscrt.auth.AwsCredentialsProvider.new_static(
                request.key, request.secret, request.token
            ),
            region=request.region,
            service=request.service,
            date=request.date,
            use_double_uri_encode=double_encode,
            should_normalize_uri_path=normalize,
            signed_body_value=request.payload,
            signed_body_header_type=awscrt.auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
            **({"expiration_in_seconds": request.expires} if query else {}),
        )
        signed = awscrt.auth.aws_sign_request(message, config).result(20)
        return signed.path, list(signed.headers)

    return sign


class Node:
    """The signers in JavaScript, in one process for all tests."""

    def __init__(self):
        self.process = None

    def signer(self, name):
        def sign(request):
            question = {
                "signer": name, "method": request.method, "host": request.host, "target": request.target,
                "headers": {**dict(request.headers), "x-amz-content-sha256": request.payload},
                "key": request.key, "secret": request.secret, "region": request.region, "service": request.service,
                "expires": request.expires,
                **({"token": request.token} if request.token else {}),
            }
            answer = self.ask(question)
            return answer["target"], list(answer["headers"].items())

        return sign

    def ask(self, question):
        if self.process is None:
            self.process = subprocess.Popen(
                ["node", str(HERE / "sign.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(20)
            self.process.stdout.close()
            self.process = None


NODE = Node()

SIGNERS = {
    "botocore": botocore,
    "awscrt": awscrt_signer(double_encode=True, normalize=True),
    "awscrt-raw": awscrt_signer(double_encode=True, normalize=False),
    # What AWS's sample in Go signs: the path encoded once.
    "awscrt-single": awscrt_signer(double_encode=False, normalize=False),
    "smithy": NODE.signer("smithy"),
    "smithy-single": NODE.signer("smithy-single"),
    "aws4": NODE.signer("aws4"),
}

V4A = awscrt.auth.AwsSigningAlgorithm.V4_ASYMMETRIC
IN_QUERY = awscrt.auth.AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS

# Signature Version 4A, whose `region` is a set of them.
ASYMMETRIC = {
    "awscrt-v4a": awscrt_signer(True, True, V4A),
    "awscrt-v4a-raw": awscrt_signer(True, False, V4A),
}

# Signatures in the query.
PRESIGNERS = {
    "botocore-presigned": botocore_presigned,
    "awscrt-presigned": awscrt_signer(True, True, where=IN_QUERY),
    "awscrt-presigned-single": awscrt_signer(False, False, where=IN_QUERY),
    "awscrt-v4a-presigned": awscrt_signer(True, True, V4A, IN_QUERY),
    "smithy-presigned": NODE.signer("smithy-presigned"),
}


def sign(signer, request, host=None):
    """Signs a request; `host` stands in what is sent where that is something else than what was signed."""
    target, headers = {**SIGNERS, **ASYMMETRIC, **PRESIGNERS}[signer](request)
    signed = Signed(request.method, target, headers)
    return signed.set("Host", host or request.host)
