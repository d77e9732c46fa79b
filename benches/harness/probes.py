"""What ten thousand targets under active checks cost: processor time and resident memory of a gateway that does nothing else.

    python3 benches/harness/probes.py target/release/trellis [targets] [seconds]

Every target is an address of 127.1.0.0/16 behind one responder. The gateway runs twice, with checks and without, for as long; the first
interval, in which every target is probed for the first time, is not counted. Prints one line of JSON.
"""

import asyncio
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
INTERVAL = 30


class Responder(asyncio.Protocol):
    answered = 0

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        Responder.answered += 1
        self.transport.write(ANSWER)
        self.transport.close()


def document(port, admin, targets, enabled, folder):
    listed = [{"id": f"127.1.{number // 250}.{number % 250 + 1}", "port": port} for number in range(targets)]
    forward = {"forward": {"targetGroups": [{"targetGroupIdentifier": "many"}]}}
    return {
        "account": "111122223333",
        "region": "us-west-2",
        "gateway": {"admin": f"127.0.0.1:{admin}", "dataDir": folder, "workers": 1},
        "vpcs": [{"name": "main", "attachments": [{"listen": ["127.0.0.1"]}]}],
        "serviceNetworks": [
            {
                "name": "all",
                "vpcAssociations": [{"vpcIdentifier": "main"}],
                "serviceAssociations": [{"serviceIdentifier": "one"}],
            }
        ],
        "services": [
            {
                "name": "one",
                "customDomainName": "one.test",
                "listeners": [{"name": "http", "protocol": "HTTP", "port": admin + 1, "defaultAction": forward}],
            }
        ],
        "targetGroups": [
            {
                "name": "many",
                "type": "IP",
                "config": {
                    "protocol": "HTTP",
                    "vpcIdentifier": "main",
                    "healthCheck": {"enabled": enabled, "healthCheckIntervalSeconds": INTERVAL},
                },
                "targets": listed,
            }
        ],
    }


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("no resident memory")


async def ready(admin):
    for _ in range(600):
        try:
            await asyncio.to_thread(lambda: urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=5).read())
            return
        except OSError:
            await asyncio.sleep(0.1)
    raise RuntimeError("the gateway does not become ready")


async def measure(program, port, targets, enabled, seconds):
    admin = port + 1
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "trellis.json"
        config.write_text(json.dumps(document(port, admin, targets, enabled, folder)))
        with open(os.devnull, "wb") as null:
            gateway = subprocess.Popen([program, "serve", "--config", str(config)], stdout=null, stderr=null)
        try:
            await ready(admin)
            await asyncio.sleep(1.5 * INTERVAL)
            before, answered, began = processor_seconds(gateway.pid), Responder.answered, time.monotonic()
            await asyncio.sleep(seconds)
            took = time.monotonic() - began
            return {
                "core_percent": round(100 * (processor_seconds(gateway.pid) - before) / took, 2),
                "probes_per_second": round((Responder.answered - answered) / took, 1),
                "resident_kib": resident_kib(gateway.pid),
            }
        finally:
            gateway.terminate()
            gateway.wait()


async def main():
    program = sys.argv[1]
    targets = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 2 * INTERVAL
    server = await asyncio.get_running_loop().create_server(Responder, "0.0.0.0", 0, backlog=4096)
    port = server.sockets[0].getsockname()[1]
    without = await measure(program, port, targets, False, seconds)
    checked = await measure(program, port, targets, True, seconds)
    per_target = 1024 * (checked["resident_kib"] - without["resident_kib"]) / targets
    print(json.dumps({"targets": targets, "checked": checked, "unchecked": without, "bytes_per_target": round(per_target)}))


asyncio.run(main())
