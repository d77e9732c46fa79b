"""One gateway with short timeouts in front of one recording target, for all probes."""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest

from conftest import START_ATTEMPTS, TRELLIS, PortTaken, free_port, process, wait_until_ready

from . import wire
from .target import Target

HOST = "hostile.test"
OTHER = "other.test"
# A service of another VPC, which is attached at an address of its own.
FOREIGN = "foreign.test"
FOREIGN_ADDRESS = "127.0.0.2"
HEADER_SECONDS = 1
IDLE_SECONDS = 2
# Longest that a bystander may wait for an answer while another client attacks. Builds for tests are slow, and so are busy machines.
SLOWEST_SECONDS = 3
# The state of a listening socket in /proc/net/tcp.
LISTENS = "0A"


@dataclasses.dataclass
class Front:
    """The gateway under attack."""

    child: subprocess.Popen
    folder: pathlib.Path
    http: int
    https: int
    admin: int
    ca: pathlib.Path

    def __post_init__(self):
        self.read = 0
        self.records = []

    @property
    def authority(self):
        return f"{HOST}:{self.http}".encode()

    def new_records(self):
        """Reads on in the file of access records; gives all read so far."""
        path = self.folder / "access.jsonl"
        if path.exists():
            with path.open("rb") as file:
                file.seek(self.read)
                data = file.read()
            whole = data.rpartition(b"\n")[0]
            self.read += len(whole) + 1 if whole else 0
            self.records += [json.loads(line) for line in whole.splitlines()]
        return self.records

    def record(self, request_id):
        """The record of the request with this id."""

        def find():
            return next((one for one in self.new_records() if one["requestId"] == request_id), None)

        return wire.wait_for(find, f"the record of {request_id}")

    def records_since(self, position, count=1):
        """The records after the first `position`, at least `count` of them."""
        return wire.wait_for(
            lambda: len(self.new_records()) >= position + count and self.records[position:],
            f"{count} records after {position}",
        )

    def records_of(self, peer, count):
        """The records of one connection, at least `count` of them."""
        source = "%s:%d" % peer.sock.getsockname()

        def find():
            # Earlier connections may have had the same port.
            found = [one for one in self.new_records()[peer.since :] if one["sourceIpPort"] == source]
            return found if len(found) >= count else None

        return wire.wait_for(find, f"{count} records of {source}")

    def descriptors(self):
        """Open descriptors: those of clients' connections, and all others except connections kept to targets."""
        folder = pathlib.Path(f"/proc/{self.child.pid}")
        held = []
        for one in (folder / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                held.append(os.readlink(one))
        clients = targets = 0
        for row in (folder / "net" / "tcp").read_text().splitlines()[1:]:
            _, local, remote, state, *_ = columns = row.split()
            if f"socket:[{columns[9]}]" not in held or state == LISTENS:
                continue
            port = int(local.partition(":")[2], 16)
            clients += port in (self.http, self.https)
            targets += port not in (self.http, self.https, self.admin)
        return clients, len(held) - clients - targets

    def memory(self):
        """Resident memory in KiB."""
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))

    def cpu(self):
        """Seconds of processor time so far."""
        fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def configuration(ports, target, limits):
    def service(name, group):
        forward = {"forward": {"targetGroups": [{"targetGroupIdentifier": group}]}}
        return {
            "name": name,
            "customDomainName": f"{name}.test",
            "limits": {"idleTimeoutSeconds": IDLE_SECONDS},
            "listeners": [
                {"name": "http", "protocol": "HTTP", "port": ports["http"], "defaultAction": forward},
                {"name": "https", "protocol": "HTTPS", "port": ports["https"], "defaultAction": forward},
            ],
        }

    def group(name):
        config = {
            "protocol": "HTTP",
            "port": target,
            "vpcIdentifier": "main",
            # What reaches the target is what a client sent.
            "healthCheck": {"enabled": False},
        }
        return {"name": name, "type": "IP", "config": config, "targets": [{"id": "127.0.0.1"}]}

    def network(name, vpc, services):
        return {
            "name": name,
            "vpcAssociations": [{"vpcIdentifier": vpc}],
            "serviceAssociations": [{"serviceIdentifier": one} for one in services],
        }

    names = ["hostile", "other", "foreign"]
    return {
        "account": "111122223333",
        "region": "us-west-2",
        "gateway": {
            "admin": f"127.0.0.1:{ports['admin']}",
            "dataDir": "./data",
            "workers": 1,
            "limits": {"headerTimeoutSeconds": HEADER_SECONDS, **limits},
        },
        "vpcs": [
            {"name": "main", "attachments": [{"listen": ["127.0.0.1"]}]},
            {"name": "elsewhere", "attachments": [{"listen": [FOREIGN_ADDRESS]}]},
        ],
        "serviceNetworks": [network("everything", "main", names[:2]), network("abroad", "elsewhere", names[2:])],
        "services": [service(name, f"to-{name}") for name in names],
        "targetGroups": [group(f"to-{name}") for name in names],
        "accessLogSubscriptions": [
            {"resourceIdentifier": "everything", "destination": {"file": "./access.jsonl"}}
        ],
    }


def serve(folder, target, limits={}):
    ports = {name: free_port() for name in ("http", "https", "admin")}
    path = folder / "trellis.json"
    path.write_text(json.dumps(configuration(ports, target, limits), indent=2))
    log = folder / "gateway.log"
    with log.open("w") as out, process([TRELLIS, "serve", "--config", str(path)], stdout=out, stderr=out) as child:
        wait_until_ready(child, ports["admin"], log)
        ca = folder / "ca.pem"
        root = subprocess.run([TRELLIS, "ca", "--config", str(path)], capture_output=True, text=True, check=True)
        ca.write_text(root.stdout)
        yield Front(child=child, folder=folder, ca=ca, **ports)
        said = log.read_text()
        assert "panicked" not in said, said


@pytest.fixture(scope="session")
def target():
    made = Target()
    yield made
    made.close()


@pytest.fixture(scope="session")
def front(tmp_path_factory, target):
    for attempt in range(START_ATTEMPTS):
        try:
            yield from serve(tmp_path_factory.mktemp("front"), target.port)
            return
        except PortTaken as taken:
            print(f"attempt {attempt}: {taken}", file=sys.stderr)
    raise AssertionError("no free ports to be had")


@pytest.fixture(autouse=True)
def quiet(front):
    """Begins when the gateway has ended the connections of earlier tests, so that nothing of theirs reaches the target or the records."""
    wire.wait_for(lambda: front.descriptors()[0] == 0, "earlier connections to be closed")


class Watch:
    """Another client's requests, one after the other while an attack runs; and what the attack costs the gateway."""

    def __init__(self, front, call):
        self.front, self.call = front, call
        self.over = threading.Event()
        self.served = 0
        self.slowest = 0.0
        self.fault = None

    def __enter__(self):
        self.memory, self.cpu = self.front.memory(), self.front.cpu()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def run(self):
        while not self.over.is_set():
            began = time.monotonic()
            try:
                self.call()
            except Exception as fault:  # noqa: BLE001 - told by the test's own thread
                self.fault = fault
                return
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.served += 1

    def __exit__(self, *unused):
        wire.wait_for(lambda: self.served or self.fault, "a bystander to be served")
        self.over.set()
        self.thread.join()

    def check(self, mebibytes, seconds):
        """The bystander was served throughout, and the attack cost no more memory and processor time than this."""
        assert self.fault is None, self.fault
        grown = (self.front.memory() - self.memory) / 1024
        spent = self.front.cpu() - self.cpu
        print(f"bystander: {self.served} served, slowest {self.slowest:.3f} s; grown {grown:.1f} MiB, spent {spent:.2f} s")
        assert grown < mebibytes
        assert spent < seconds
        assert self.slowest < SLOWEST_SECONDS


@pytest.fixture
def watch(front, bystander):
    return Watch(front, bystander)


@pytest.fixture
def bystander(front):
    """Another client's request, which must get its own answer whatever went before."""
    count = 0

    def call(host=HOST):
        nonlocal count
        count += 1
        path = f"/bystander/{count}"
        with wire.connect(front.http) as sock:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{front.http}\r\nConnection: close\r\n\r\n".encode())
            answer = wire.read_answer(wire.Stream(sock))
        assert (answer.status, answer.body) == (200, f"GET {path}".encode())
        return f"GET {path}"

    return call
