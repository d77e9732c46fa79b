"""How many changes a second the API takes from boto3, and what a service costs: memory, and time after `kill -9`.

    .venv/bin/python benches/harness/api.py target/release/trellis [processes] [services of each]

One client first makes a hundred services, each with a listener and in one network, waiting for every answer; then several processes make
as many as they are told. Prints one line of JSON. Only loopback is used.
"""

import json
import multiprocessing
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3

SECRET = "a-secret-of-the-load-that-is-long"
NOT_FOUND = {"fixedResponse": {"statusCode": 404}}
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def document(ports):
    plenty = {"services": 1_000_000, "serviceAssociations": 1_000_000}
    return {
        "account": "111122223333",
        "region": "us-west-2",
        "gateway": {
            "admin": f"127.0.0.1:{ports[0]}", "control": f"127.0.0.1:{ports[1]}", "dataDir": "./data", "quotas": plenty,
        },
        "vpcs": [{"name": "shop", "attachments": [{"listen": ["127.0.0.1"]}]}],
        "principals": {
            "users": [{"name": "load", "policies": [EVERYTHING], "accessKeys": [{"id": "AKIALOAD", "secret": {"env": "LOAD"}}]}]
        },
    }


def start(program, folder, admin):
    """A gateway once it is ready, and the seconds that took."""
    began = time.monotonic()
    with open(folder / "log", "a") as log:
        child = subprocess.Popen(
            [program, "serve", "--config", folder / "trellis.json"], stdout=log, stderr=log, env={**os.environ, "LOAD": SECRET}
        )
    while time.monotonic() - began < 30:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=5):
                return child, time.monotonic() - began
        except OSError:
            time.sleep(0.002)
    child.kill()
    raise SystemExit(f"not ready within 30 s: {(folder / 'log').read_text()}")


def client(control):
    return boto3.client(
        "vpc-lattice", endpoint_url=f"http://127.0.0.1:{control}", region_name="us-west-2",
        aws_access_key_id="AKIALOAD", aws_secret_access_key=SECRET,
    )


def make(control, network, prefix, count):
    lattice = client(control)
    for number in range(count):
        service = lattice.create_service(name=f"{prefix}-{number}")["id"]
        lattice.create_listener(serviceIdentifier=service, name="web", protocol="HTTP", defaultAction=NOT_FOUND)
        lattice.create_service_network_service_association(serviceIdentifier=service, serviceNetworkIdentifier=network)


def resident_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def main():
    program = os.path.abspath(sys.argv[1])
    processes, each = (int(sys.argv[at]) if len(sys.argv) > at else default for at, default in ((2, 12), (3, 200)))
    with tempfile.TemporaryDirectory() as name:
        folder, ports = pathlib.Path(name), (free_port(), free_port())
        (folder / "trellis.json").write_text(json.dumps(document(ports)))
        child, _ = start(program, folder, ports[0])
        before = resident_kib(child.pid)
        network = client(ports[1]).create_service_network(name="commerce")["id"]
        began = time.monotonic()
        make(ports[1], network, "one", 100)
        alone = 300 / (time.monotonic() - began)
        began = time.monotonic()
        workers = [
            multiprocessing.Process(target=make, args=(ports[1], network, f"many-{number}", each)) for number in range(processes)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        together = processes * each * 3 / (time.monotonic() - began)
        services = 100 + processes * each
        memory = (resident_kib(child.pid) - before) / services
        child.kill()
        child.wait()
        child, ready = start(program, folder, ports[0])
        child.kill()
        child.wait()
    print(json.dumps({
        "callsPerSecondOneClient": round(alone), "callsPerSecondTogether": round(together), "processes": processes,
        "services": services, "kibPerService": round(memory, 1), "secondsToReadyAfterKill": round(ready, 3),
    }))


if __name__ == "__main__":
    main()
