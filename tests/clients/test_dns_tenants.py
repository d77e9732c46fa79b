"""DNS tells each tenant its own names, and its addresses follow the configuration without a restart."""

import json
import os
import socket
import time
import urllib.request

import pytest
from conftest import TRELLIS, PortTaken, free_port, process, run, wait_until_ready
from operating import eventually

ADDRESSES = {"blue": "127.0.0.1", "red": "127.0.0.2"}


def document(admin, dns, services):
    """Two VPCs of one account; `services` says what each one's network holds, as `{vpc: [name]}`."""
    return {
        "account": "111122223333",
        "region": "us-west-2",
        "gateway": {"admin": f"127.0.0.1:{admin}", "dns": {"listen": dns, "ttlSeconds": 7}, "dataDir": "./data"},
        "vpcs": [{"name": vpc, "attachments": [{"listen": [address]}]} for vpc, address in ADDRESSES.items()],
        "serviceNetworks": [
            {
                "name": f"of-{vpc}",
                "vpcAssociations": [{"vpcIdentifier": vpc}],
                "serviceAssociations": [{"serviceIdentifier": name} for name in services[vpc]],
            }
            for vpc in ADDRESSES
        ],
        "services": [
            {"name": name, "customDomainName": f"{name}.test"} for name in sorted({*services["blue"], *services["red"]})
        ],
    }


class Running:
    """A gateway whose configuration the test rewrites."""

    def __init__(self, folder, admin):
        self.folder, self.admin, self.port = folder, admin, free_port()

    def write(self, dns, services):
        # Replaced, not rewritten: a reader never sees half a document.
        text = json.dumps(document(self.admin, dns, services))
        (self.folder / "next.tmp").write_text(text)
        os.replace(self.folder / "next.tmp", self.folder / "trellis.json")

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=5) as page:
            for line in page.read().decode().splitlines():
                if line.startswith(f"{name} "):
                    return float(line.split()[1])
        return 0.0

    def reload(self, dns, services, metric="gateway_config_generation"):
        """Writes another configuration and waits until `metric` has moved."""
        before = self.metric(metric)
        self.write(dns, services)
        deadline = time.monotonic() + 30
        while self.metric(metric) == before:
            assert time.monotonic() < deadline, f"{metric} stayed at {before}"
            time.sleep(0.02)

    def ask(self, address, name, *options):
        """The status of the answer and the addresses in it."""
        done = run(
            "dig", f"@{address}", "-p", self.port, "+tries=1", "+time=5", "+noall", "+comments", "+answer", *options,
            name, "A",
        )
        status = done.stdout.split("status: ")[1].split(",")[0]
        found = [line.split() for line in done.stdout.splitlines() if line and not line.startswith(";")]
        return status, [(int(fields[1]), fields[4]) for fields in found]


@pytest.fixture
def running(tmp_path):
    for _ in range(5):
        gateway = Running(tmp_path, free_port())
        both = [f"{address}:{gateway.port}" for address in ADDRESSES.values()]
        gateway.write(both, {"blue": ["sky", "shared"], "red": ["rose", "shared"]})
        log = tmp_path / "gateway.log"
        try:
            with log.open("w") as out:
                command = [TRELLIS, "serve", "--config", str(tmp_path / "trellis.json")]
                with process(command, stdout=out, stderr=out) as child:
                    wait_until_ready(child, gateway.admin, log)
                    yield gateway
                    return
        except PortTaken:
            continue
    raise AssertionError("no free ports to be had")


def test_a_tenant_learns_nothing_of_the_other_tenants_names(running):
    for vpc, own, foreign in (("blue", "sky.test", "rose.test"), ("red", "rose.test", "sky.test")):
        address = ADDRESSES[vpc]
        assert running.ask(address, own) == ("NOERROR", [(7, address)])
        assert running.ask(address, own, "+tcp") == ("NOERROR", [(7, address)])
        assert running.ask(address, "shared.test") == ("NOERROR", [(7, address)])
        # Foreign and missing look the same.
        assert running.ask(address, foreign) == running.ask(address, "nobody.test") == ("REFUSED", [])


def test_names_and_addresses_follow_the_configuration(running):
    blue, red = (f"{address}:{running.port}" for address in ADDRESSES.values())
    assert running.ask("127.0.0.1", "new.test") == ("REFUSED", [])
    running.reload([blue], {"blue": ["new"], "red": ["rose"]})
    assert running.ask("127.0.0.1", "new.test") == ("NOERROR", [(7, "127.0.0.1")])
    assert running.ask("127.0.0.1", "sky.test") == ("REFUSED", [])
    done = run(
        "dig", "@127.0.0.2", "-p", running.port, "+tries=1", "+time=1", "+tcp", "rose.test", "A", check=False
    )
    assert done.returncode == 9, done.stdout
    running.reload([blue, red], {"blue": ["new"], "red": ["rose"]})
    assert running.ask("127.0.0.2", "rose.test") == ("NOERROR", [(7, "127.0.0.2")])


def test_a_port_in_use_refuses_the_change_and_names_continue(running):
    own = [f"{address}:{running.port}" for address in ADDRESSES.values()]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        running.reload([*own, taken], {"blue": ["new"], "red": []}, metric='gateway_config_reloads_total{outcome="rejected"}')
    # Counted first, logged then.
    reason = f"cannot answer DNS on {taken}/udp"
    eventually(lambda: reason in (running.folder / "gateway.log").read_text(), "the reason is logged")
    assert running.ask("127.0.0.1", "sky.test") == ("NOERROR", [(7, "127.0.0.1")])
    assert running.ask("127.0.0.1", "new.test") == ("REFUSED", [])
