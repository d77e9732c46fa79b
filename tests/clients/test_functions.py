"""Functions in emulators of AWS that nobody here wrote: what real handlers, in Python, JavaScript and Rust, are told and answer.

Calls are signed, and the signature is calculated once more by botocore, which shares no code with the gateway's signer.
"""

import base64
import contextlib
import http.server
import io
import json
import os
import subprocess
import threading
import urllib.request
import zipfile

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from conftest import ACCOUNT, PROJECT, REGION, SECRET, free_port, process
from operating import eventually, gateway

EMULATORS = PROJECT / ".tools" / "emulators" / "bin"
IN_RUST = PROJECT / "tests" / "clients" / "in-rust"

PYTHON = """
import json
def handler(event, context):
    path = event.get("path") or event["raw_path"]
    if path == "/raise":
        raise ValueError("a secret of the function")
    if path == "/nonsense":
        return ["no", "answer"]
    if path == "/bare":
        return {"statusCode": 418, "body": "bare"}
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}
"""

JAVASCRIPT = """
exports.handler = async (event) => ({
  statusCode: 200,
  isBase64Encoded: true,
  multiValueHeaders: {"set-cookie": ["a=1", "b=2"]},
  body: Buffer.from(JSON.stringify(event)).toString("base64"),
});
"""


def zipped(name, text):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(name, text)
    return data.getvalue()


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    """Where the emulator listens, with both functions in it."""
    port = free_port()
    folder = tmp_path_factory.mktemp("ministack")
    environment = os.environ | {"GATEWAY_PORT": str(port), "MINISTACK_REGION": REGION, "SERVICES": "lambda,iam,sts", "HOME": str(folder)}
    command = [EMULATORS / "python", "-m", "hypercorn", "ministack.app:app", "--bind", f"127.0.0.1:{port}"]
    with (folder / "log").open("w") as log, process(command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=folder):
        client = boto3.client(
            "lambda",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name=REGION,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="any",
            config=Config(retries={"total_max_attempts": 1}),
        )

        def answers():
            with contextlib.suppress(Exception):
                return client.list_functions() is not None

        eventually(answers, "the emulator answers")
        for name, runtime, file, text in [
            ("in-python", "python3.11", "index.py", PYTHON),
            ("in-javascript", "nodejs20.x", "index.js", JAVASCRIPT),
        ]:
            made = client.create_function(
                FunctionName=name,
                Runtime=runtime,
                Role=f"arn:aws:iam::{ACCOUNT}:role/function",
                Handler="index.handler",
                Code={"ZipFile": zipped(file, text)},
            )
            assert made["FunctionArn"] == arn(name)
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """Where cargo-lambda listens, with the function of the folder `in-rust` behind it. Neither asks a registry for anything."""
    port = free_port()
    folder = tmp_path_factory.mktemp("cargo-lambda")
    environment = os.environ | {"CARGO_TARGET_DIR": str(folder / "target"), "CARGO_NET_OFFLINE": "true"}
    address = ["--invoke-address", "127.0.0.1", "--invoke-port", str(port)]
    command = [EMULATORS / "cargo-lambda", "lambda", "watch", "--ignore-changes", "--locked", "--offline", *address]
    log = folder / "log"
    with log.open("w") as out, process(command, stdout=out, stderr=out, env=environment, cwd=IN_RUST) as child:
        call = f"http://127.0.0.1:{port}/2015-03-31/functions/in-rust/invocations"

        def answers():
            assert child.poll() is None, log.read_text()
            # It listens before the function is built, and the first call waits for that.
            with contextlib.suppress(OSError), urllib.request.urlopen(call, data=b"{}", timeout=30) as answer:
                return answer.status == 200

        eventually(answers, "the function answers")
        yield f"http://127.0.0.1:{port}"


def arn(name):
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


@contextlib.contextmanager
def calling(folder, endpoint, name, version, **settings):
    """A gateway whose only service is a function; settings are those of `function`."""
    secret = folder / "secret"
    secret.write_text(SECRET)
    credentials = {"accessKeyId": ACCOUNT, "secretAccessKey": {"file": str(secret)}}
    group = {
        "name": name,
        "type": "LAMBDA",
        "config": {"lambdaEventStructureVersion": version},
        "function": {"endpoint": endpoint, "credentials": credentials, **settings},
        "targets": [{"id": arn(name)}],
    }
    action = {"forward": {"targetGroups": [{"targetGroupIdentifier": name}]}}
    with gateway(folder, action=action, targetGroups=[group]) as started:
        yield started


def post(running, path, body, headers):
    wanted = urllib.request.Request(
        f"http://127.0.0.1:{running.port}{path}", data=body, headers={"Host": "only.test", **headers}
    )
    return urllib.request.urlopen(wanted, timeout=30)


def order(running):
    """Posts what `check_order` wants the function to be told of."""
    headers = {"Content-Type": "application/json", "X-Amzn-RequestId": "id-1"}
    return post(running, "/orders?item=1&item=2", b"{}", headers)


def check_order(event):
    """Source: VPC Lattice user guide, "Receive events from the VPC Lattice service", event structure V2."""
    context = event["requestContext"]
    assert event | {"headers": None, "requestContext": None} == {
        "version": "2.0",
        "path": "/orders?item=1&item=2",
        "method": "POST",
        "headers": None,
        "queryStringParameters": {"item": ["1", "2"]},
        "body": "{}",
        "requestContext": None,
        "requestId": "id-1",
    }
    assert event["headers"]["x-forwarded-for"] == ["127.0.0.1"]
    assert event["headers"]["content-length"] == ["2"]
    assert context["region"] == REGION and context["timeEpoch"].isdigit()
    assert context["identity"].keys() == {"sourceVpcArn"}


def test_a_handler_in_python_is_told_the_request(emulator, tmp_path):
    with calling(tmp_path, emulator, "in-python", "V2") as running:
        with order(running) as answer:
            assert answer.status == 200
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["x-amzn-requestid"] == "id-1"
            event = json.load(answer)
        check_order(event)


def test_a_handler_in_javascript_is_told_the_request_and_answers_in_base64(emulator, tmp_path):
    with calling(tmp_path, emulator, "in-javascript", "V1") as running:
        with post(running, "/in?a=1&a=2", b"\xff\x00", {"Content-Type": "image/png"}) as answer:
            assert answer.headers.get_all("set-cookie") == ["a=1", "b=2"]
            event = json.load(answer)
        assert event | {"headers": None} == {
            "raw_path": "/in?a=1&a=2",
            "method": "POST",
            "headers": None,
            "query_string_parameters": {"a": "2"},
            "body": base64.b64encode(b"\xff\x00").decode(),
            "is_base64_encoded": True,
        }
        assert event["headers"]["content-type"] == "image/png"


def test_a_handler_that_fails_is_a_bad_gateway_and_keeps_its_secrets(emulator, tmp_path):
    with calling(tmp_path, emulator, "in-python", "V1") as running:
        assert running.request("/bare") == (418, b"bare")
        for path in ["/raise", "/nonsense"]:
            assert running.request(path) == (502, b"Bad Gateway")
        assert running.request("/bare") == (418, b"bare")


def test_a_handler_in_rust_is_told_the_request_and_its_answer_arrives(watched, tmp_path):
    with calling(tmp_path, watched, "in-rust", "V2", names="NAME") as running:
        with order(running) as answer:
            assert answer.status == 201
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers.get_all("set-cookie") == ["a=1", "b=2"]
            check_order(json.load(answer))
        with post(running, "/binary", b"\xff\x00", {"Content-Type": "image/png"}) as answer:
            assert (answer.status, answer.read()) == (200, b"\xff\x00")


def test_a_handler_in_rust_that_fails_is_a_bad_gateway_and_keeps_its_secrets(watched, tmp_path):
    with calling(tmp_path, watched, "in-rust", "V2", names="NAME") as running:
        for path in ["/fail", "/nonsense"]:
            assert running.request(path) == (502, b"Bad Gateway")
        assert running.request("/again")[0] == 201
    # This emulator knows functions by their names only.
    with calling(tmp_path, watched, "in-rust", "V2") as running:
        assert running.request("/") == (502, b"Bad Gateway")


def test_a_function_that_is_not_there_is_a_bad_gateway(emulator, tmp_path):
    with calling(tmp_path, emulator, "in-cobol", "V1") as running:
        assert running.request("/") == (502, b"Bad Gateway")


class Remembering(http.server.BaseHTTPRequestHandler):
    """Keeps requests as they came, and answers as a function."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append((self.path, dict(self.headers), body))
        result = b'{"statusCode":204}'
        self.send_response(200)
        self.send_header("content-length", str(len(result)))
        self.end_headers()
        self.wfile.write(result)

    def log_message(self, *_):
        pass


def test_botocore_calculates_the_same_signature(tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Remembering) as server:
        server.seen = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        with calling(tmp_path, endpoint, "in-python", "V2") as running:
            assert running.request("/a%20b?x=%C3%BC")[0] == 204
        server.shutdown()
    path, headers, body = server.seen.pop()
    headers = {name.lower(): value for name, value in headers.items()}
    authorization = headers.pop("authorization")
    names = authorization.split("SignedHeaders=")[1].split(",")[0].split(";")
    assert {"host", "x-amz-date"} <= set(names)
    request = AWSRequest("POST", endpoint + path, data=body, headers={name: headers[name] for name in names})
    request.context["timestamp"] = headers["x-amz-date"]
    signer = SigV4Auth(Credentials(ACCOUNT, SECRET), "lambda", REGION)
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    assert authorization.endswith(f"Signature={signature}")
