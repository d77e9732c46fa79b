"""A gateway of one's own, for tests that break its configuration, its files or the process itself."""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from conftest import ACCOUNT, REGION, START_ATTEMPTS, TRELLIS, free_port

PATIENCE = 30


def eventually(condition, what):
    """Waits for a condition and gives back what it says; a test never sleeps for a fixed time."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {PATIENCE} s: {what}")


def answer(status):
    return {"fixedResponse": {"statusCode": status}}


def document(port, admin, action=None, **members):
    """One VPC, one service on one port. It answers 404, unless another action is wanted."""
    listener = {"name": "http", "protocol": "HTTP", "port": port, "defaultAction": action or answer(404)}
    return {
        "account": ACCOUNT,
        "region": REGION,
        "gateway": {"admin": f"127.0.0.1:{admin}", "dataDir": "./data", "workers": 1},
        "vpcs": [{"name": "main", "attachments": [{"listen": ["127.0.0.1"]}]}],
        "serviceNetworks": [
            {
                "name": "everything",
                "vpcAssociations": [{"vpcIdentifier": "main"}],
                "serviceAssociations": [{"serviceIdentifier": "only"}],
            }
        ],
        "services": [{"name": "only", "customDomainName": "only.test", "listeners": [listener]}],
        **members,
    }


def write(path, document):
    path.write_text(document if isinstance(document, str) else json.dumps(document, indent=1))


@dataclasses.dataclass
class Running:
    """A gateway and what can be seen of it from outside."""

    child: subprocess.Popen
    config: pathlib.Path
    port: int
    admin: int
    log: pathlib.Path

    @property
    def folder(self):
        return self.config.parent

    def document(self, action=None, **members):
        return document(self.port, self.admin, action, **members)

    def page(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=10) as page:
            return page.read().decode()

    def metric(self, name):
        """The value of a metric without labels, or with exactly the labels given in the name."""
        for line in self.page("/metrics").splitlines():
            if line.startswith(f"{name} "):
                return float(line.rsplit(" ", 1)[1])
        raise AssertionError(f"no metric {name}")

    @property
    def generation(self):
        return int(self.metric("gateway_config_generation"))

    @property
    def rejected(self):
        return self.metric('gateway_config_reloads_total{outcome="rejected"}')

    def request(self, path="/", timeout=20):
        """The status and the body of a plain request on a connection of its own."""
        wanted = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Host": "only.test"})
        try:
            with urllib.request.urlopen(wanted, timeout=timeout) as found:
                return found.status, found.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def signal(self, number):
        self.child.send_signal(number)

    def stop(self):
        self.signal(signal.SIGTERM)
        return self.child.wait(timeout=PATIENCE)


def environment(**variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRELLIS_", "SECRET"))}
    return {**kept, **variables}


@contextlib.contextmanager
def running(config, port, admin, *options, stdout=None):
    """`trellis serve` until the block ends. What is still alive then is killed."""
    log = config.parent / f"{config.name}.log"
    with log.open("ab") as err:
        command = [TRELLIS, "serve", "--config", str(config), *options]
        child = subprocess.Popen(command, stdout=stdout or err, stderr=err, env=environment())
    gateway = Running(child, config, port, admin, log)

    def ready():
        if child.poll() is not None:
            raise AssertionError(f"exited with {child.returncode}:\n{log.read_text()}")
        with contextlib.suppress(OSError):
            return gateway.page("/readyz")
        return None

    try:
        eventually(ready, "the gateway is ready")
        yield gateway
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()


@contextlib.contextmanager
def gateway(folder, *options, action=None, stdout=None, **members):
    """A gateway with the document above in `folder`; other ports when somebody was faster."""
    for attempt in range(START_ATTEMPTS):
        port, admin = free_port(), free_port()
        config = folder / "trellis.json"
        write(config, document(port, admin, action, **members))
        block = running(config, port, admin, *options, stdout=stdout)
        try:
            started = block.__enter__()
        except AssertionError as error:
            if "in use" in str(error) and attempt + 1 < START_ATTEMPTS:
                continue
            raise
        try:
            yield started
        finally:
            block.__exit__(None, None, None)
        return


@contextlib.contextmanager
def taken():
    """A port that somebody else listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def trellis(*arguments, cwd=None, stdin=None, **variables):
    """Runs a command to its end."""
    return subprocess.run(
        [TRELLIS, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        input=stdin,
        env=environment(**variables),
    )
