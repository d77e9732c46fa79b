"""A real gateway, real targets, and a network of services for clients that nobody here wrote.

The gateway is the binary named by TRELLIS (default: target/debug/trellis), started once per session. Its listeners' ports stand in
the configuration, so free ports are found first by binding port 0. Another process may take one before the gateway does; then the
gateway says so with exit code 2, and the fixture starts over with other ports.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
TRELLIS = os.environ.get("TRELLIS", str(PROJECT / "target" / "debug" / "trellis"))

REGION = "us-west-2"
ACCOUNT = "111122223333"
KEY_ID = "AKIAEXAMPLEWRITER"
SECRET = "secret-of-the-writer"
READER_KEY_ID = "AKIAEXAMPLEREADER"
READER_SECRET = "secret-of-the-reader"

START_ATTEMPTS = 5
START_SECONDS = 30


def run(*command, check=True, stdin=None, timeout=60):
    """Runs a client and gives back its output as text; a client that is not installed is an error, not a skip."""
    done = subprocess.run(
        [str(part) for part in command], input=stdin, capture_output=True, text=True, timeout=timeout
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{command} exited with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


class PortTaken(Exception):
    """Another process was faster."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def process(command, **options):
    """Runs a program until the block ends; asks it to stop first."""
    child = subprocess.Popen(command, **options)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout:
            child.stdout.close()


@contextlib.contextmanager
def echo(name, *options):
    """A target; gives its port."""
    command = [TRELLIS, "echo", "--listen", "127.0.0.1:0", "--name", name, "--output", "json", *options]
    with process(command, stdout=subprocess.PIPE, text=True) as child:
        address = json.loads(child.stdout.readline())["address"]
        yield int(address.rsplit(":", 1)[1])


@dataclasses.dataclass
class Gateway:
    """Where things are."""

    folder: pathlib.Path
    http: int
    https: int
    dns: int
    admin: int
    ca: pathlib.Path

    @property
    def records(self):
        """The access records written so far."""
        path = self.folder / "access.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def statement(effect="Allow", **more):
    return {"Effect": effect, "Action": "vpc-lattice-svcs:Invoke", "Resource": "*", **more}


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def listeners(ports, *groups):
    forward = {"forward": {"targetGroups": [{"targetGroupIdentifier": group} for group in groups]}}
    return [
        {"name": protocol.lower(), "protocol": protocol, "port": port, "defaultAction": forward}
        for protocol, port in ports.items()
    ]


def configuration(ports, targets):
    """The document, as JSON: one VPC, an open service, a guarded one and a gRPC one."""
    both = {"HTTP": ports["http"], "HTTPS": ports["https"]}

    def group(name, **config):
        shared = {"protocol": "HTTP", "port": targets[name], "vpcIdentifier": "main"}
        return {"name": name, "type": "IP", "config": {**shared, **config}, "targets": [{"id": "127.0.0.1"}]}

    def user(name, key_id, *statements):
        return {
            "name": name,
            "policies": [policy(*statements)],
            "accessKeys": [{"id": key_id, "secret": {"env": f"SECRET_OF_{name.upper()}"}}],
        }

    read_only = {"StringEquals": {"vpc-lattice-svcs:RequestMethod": "GET"}}
    return {
        "account": ACCOUNT,
        "region": REGION,
        "gateway": {
            "admin": f"127.0.0.1:{ports['admin']}",
            "dns": {"listen": [f"127.0.0.1:{ports['dns']}"], "answers": ["127.0.0.1"]},
            "dataDir": "./data",
            "workers": 1,
        },
        "vpcs": [{"name": "main", "attachments": [{"listen": ["127.0.0.1"]}]}],
        "serviceNetworks": [
            {
                "name": "everything",
                "vpcAssociations": [{"vpcIdentifier": "main"}],
                "serviceAssociations": [
                    {"serviceIdentifier": name} for name in ("open", "guarded", "rpc")
                ],
            }
        ],
        "services": [
            {"name": "open", "customDomainName": "open.test", "listeners": listeners(both, "plain")},
            {
                "name": "guarded",
                "customDomainName": "guarded.test",
                "authType": "AWS_IAM",
                "authPolicy": policy(statement(Principal={"AWS": ACCOUNT})),
                "listeners": listeners(both, "guarded"),
            },
            {"name": "rpc", "customDomainName": "rpc.test", "listeners": listeners(both, "rpc")},
        ],
        # A target group serves one service only, so the one target is in two of them.
        "targetGroups": [group("plain"), group("guarded"), group("rpc", protocolVersion="GRPC")],
        "principals": {
            "users": [
                user("writer", KEY_ID, statement()),
                user("reader", READER_KEY_ID, statement(Condition=read_only)),
            ]
        },
        "accessLogSubscriptions": [
            {"resourceIdentifier": "everything", "destination": {"file": "./access.jsonl"}}
        ],
    }


def wait_until_ready(child, admin, log):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if child.poll() is not None:
            said = log.read_text()
            if child.returncode == 2 and "in use" in said:
                raise PortTaken(said)
            raise AssertionError(f"the gateway exited with {child.returncode}:\n{said}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.02)
    raise AssertionError(f"the gateway was not ready after {START_SECONDS} s:\n{log.read_text()}")


@contextlib.contextmanager
def started(path, admin, environment):
    """Runs a gateway on the document at `path` until the block ends."""
    log = path.parent / "gateway.log"
    with log.open("w") as out:
        command = [TRELLIS, "serve", "--config", str(path)]
        with process(command, stdout=out, stderr=out, env={**os.environ, **environment}) as child:
            wait_until_ready(child, admin, log)
            yield child


@contextlib.contextmanager
def serve(folder, targets, change=lambda document: document):
    """Runs a gateway; `change` gives the document that it runs instead of the usual one."""
    ports = {name: free_port() for name in ("http", "https", "dns", "admin")}
    path = folder / "trellis.json"
    path.write_text(json.dumps(change(configuration(ports, targets)), indent=2))
    log = folder / "gateway.log"
    environment = {**os.environ, "SECRET_OF_WRITER": SECRET, "SECRET_OF_READER": READER_SECRET}
    with log.open("w") as out:
        command = [TRELLIS, "serve", "--config", str(path)]
        with process(command, stdout=out, stderr=out, env=environment) as child:
            wait_until_ready(child, ports["admin"], log)
            ca = folder / "ca.pem"
            root = subprocess.run(
                [TRELLIS, "ca", "--config", str(path)], env=environment, capture_output=True, text=True, check=True
            )
            ca.write_text(root.stdout)
            yield Gateway(folder=folder, ca=ca, **ports)


@contextlib.contextmanager
def running_gateway(tmp_path_factory, change=lambda document: document):
    with echo("plain") as plain, echo("rpc") as rpc:
        for attempt in range(START_ATTEMPTS):
            folder = tmp_path_factory.mktemp("gateway")
            try:
                with serve(folder, {"plain": plain, "guarded": plain, "rpc": rpc}, change) as running:
                    yield running
                    return
            except PortTaken as taken:
                print(f"attempt {attempt}: {taken}", file=sys.stderr)
        raise AssertionError("no free ports to be had")


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    with running_gateway(tmp_path_factory) as running:
        yield running


@pytest.fixture
def curl(gateway):
    """Calls curl; the names of the services lead to the gateway. Gives status and body."""

    def call(url, *options):
        url = url.replace(":HTTPS", f":{gateway.https}").replace(":HTTP", f":{gateway.http}")
        everywhere = f"::127.0.0.1:"
        done = run(
            "curl", "--silent", "--show-error", "--max-time", 20, "--cacert", gateway.ca,
            "--connect-to", everywhere, "--write-out", "\n%{http_code} %{http_version}", *options, url,
        )
        body, _, status = done.stdout.rpartition("\n")
        code, version = status.split()
        return int(code), version, body

    return call


@pytest.fixture(scope="session")
def signing():
    """The options that make curl sign as the user `writer`."""
    return [
        "--aws-sigv4", f"aws:amz:{REGION}:vpc-lattice-svcs",
        "--user", f"{KEY_ID}:{SECRET}",
        "--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD",
    ]
