"""The proxies under measurement: started from the templates in `benches/peers`, pinned, and asked for their CPU time and memory."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import socket
import string
import subprocess
import sys
import time

from . import rules, signing, tokens

PROJECT = pathlib.Path(__file__).resolve().parents[2]
PEERS = PROJECT / "benches" / "peers"
TOOLS = PROJECT / ".tools"

# The proxy has a core for itself; the load generator, the origin and this program share the other.
LOAD_CORE, PROXY_CORE = 0, 1

# The name that clients ask for. The load generator `wrk` takes it from the URL and resolves it, so it is one that every machine knows.
HOST = "localhost"

START_SECONDS = 60
STOP_SECONDS = 30

ISSUERS = {
    "audience": tokens.AUDIENCE,
    "sharedissuer": tokens.issuer("HS256"),
    "publicissuer": tokens.issuer("ES256"),
}


class Failure(Exception):
    """Something that makes the figures worthless or impossible; the text is for whoever runs the benchmark."""


class Template(string.Template):
    """`@{name}`, because nginx has use for the dollar sign."""

    delimiter = "@"
    pattern = r"@(?:(?P<escaped>@)|(?P<named>\b\B)|\{(?P<braced>[a-z]+)\}|(?P<invalid>\b\B))"


def tool(name):
    """A program of Debian's, on the path or unpacked into .tools by scripts/setup."""
    for folder in ("usr/sbin", "usr/bin"):
        candidate = TOOLS / folder / name
        if candidate.exists():
            return str(candidate)
    found = shutil.which(name)
    if not found:
        raise Failure(f"{name} is not there; run: scripts/setup bench")
    return found


def environment():
    """Unpacked programs find their libraries beside them."""
    libraries = ":".join(str(folder) for folder in sorted(TOOLS.glob("usr/lib/*-linux-gnu")))
    return {**os.environ, "LD_LIBRARY_PATH": libraries, "BENCHMARK_SECRET": signing.SECRET, "BENCHMARK_TOKEN_SECRET": tokens.SECRET}


def free_ports(count):
    """Ports that nobody listens on, found together so that no two are the same."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@dataclasses.dataclass
class Proxy:
    """A running proxy."""

    name: str
    child: subprocess.Popen
    ports: dict
    started: float

    @property
    def http(self):
        return self.ports["http"]

    @property
    def https(self):
        return self.ports["https"]

    def pids(self):
        """The process and its children: nginx works in one."""
        children = pathlib.Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text()
        return [self.child.pid, *map(int, children.split())]

    def cpu(self):
        """Seconds of CPU time so far, user and system, of all threads; to the nanosecond, where /proc/PID/stat counts 10 ms ticks."""
        nanoseconds = 0
        for pid in self.pids():
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                nanoseconds += int((task / "schedstat").read_text().split()[0])
        return nanoseconds / 1e9

    def memory(self):
        """Resident bytes."""
        total = 0
        for pid in self.pids():
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1]) * 1024
        return total


def start(name, command, ports, folder):
    """Starts a proxy on its core and waits until it accepts connections on its HTTP port."""
    log = open(folder / f"{name}.log", "wb")
    begun = time.monotonic()
    child = subprocess.Popen(
        ["taskset", "--cpu-list", str(LOAD_CORE if name == "origin" else PROXY_CORE), *map(str, command)],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    log.close()
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", ports["http"])) == 0:
                return Proxy(name, child, ports, time.monotonic() - begun)
        if child.poll() is not None or time.monotonic() > begun + START_SECONDS:
            stop(child)
            raise Failure(f"{name} did not start:\n{(folder / f'{name}.log').read_text()[-4000:]}")
        time.sleep(0.002)


def stop(child):
    """Ends a child, with force if it does not listen."""
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


@contextlib.contextmanager
def running(name, command, ports, folder):
    """A proxy for the length of a block."""
    proxy = start(name, command, ports, folder)
    try:
        yield proxy
    finally:
        stop(proxy.child)


def fill(template, folder, **values):
    """Writes a filled template of `benches/peers` into the folder of this run; gives its path."""
    path = folder / template
    path.write_text(Template((PEERS / template).read_text()).substitute(folder=folder, host=HOST, **values))
    return path


def certificate(folder):
    """One P-256 certificate that every proxy shows: alone, with its key, and the two in one file."""
    key, chain = folder / "key.pem", folder / "chain.pem"
    command = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN={HOST} -addext subjectAltName=DNS:{HOST}"
    made = subprocess.run(
        [tool("openssl"), *command.split(), "-keyout", key, "-out", chain], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise Failure(f"openssl made no certificate:\n{made.stderr}")
    (folder / "chain-and-key.pem").write_bytes(chain.read_bytes() + key.read_bytes())
    # nginx and the origin read as another user where they are started by root.
    for path in (folder, key, chain, folder / "chain-and-key.pem"):
        path.chmod(path.stat().st_mode | 0o055 if path.is_dir() else 0o644)


@contextlib.contextmanager
def origin(folder):
    """The target; gives its port."""
    (port,) = free_ports(1)
    configuration = fill("origin.conf", folder, origin=port)
    with running("origin", [tool("nginx"), "-e", "stderr", "-c", configuration], {"http": port}, folder):
        yield port


def command(name, binary, folder, target):
    """How a proxy is started, and the ports that it listens on."""
    http, https, admin = free_ports(3)
    ports = {"http": http, "https": https}
    if name == "trellis":
        # Not beside the configuration: that folder is watched.
        (folder / "records").mkdir(exist_ok=True)
        denials = {"network": rules.statements(0), "service": rules.statements(rules.STATEMENTS - 1)}
        configuration = fill("trellis.yaml", folder, origin=target, admin=admin, **denials, **ISSUERS, **ports)
        return [binary, "serve", "--config", configuration], ports
    if name == "haproxy":
        configuration = fill("haproxy.cfg", folder, origin=target, rules=rules.haproxy(), secret=tokens.SECRET, **ISSUERS, **ports)
        return [tool("haproxy"), "-db", "-f", configuration], ports
    if name == "nginx":
        return [tool("nginx"), "-e", "stderr", "-c", fill("nginx.conf", folder, origin=target, **ports)], ports
    if name == "envoy":
        configuration = fill("envoy.yaml", folder, origin=target, policies=rules.envoy(), **ISSUERS, **ports)
        options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
        return [envoy(), *options, "--config-path", configuration], ports
    raise Failure(f"there is no proxy called {name}")


def envoy():
    """The binary in the wheel; its entry point `envoy` is a Python script that runs it."""
    found = sorted((PROJECT / ".venv").glob("lib/python3*/site-packages/envoy/_bin/envoy"))
    if not found:
        raise Failure("envoy is not there; run: scripts/setup bench")
    return str(found[0])


def version(name, binary):
    """The version that a proxy tells of itself."""
    asked = {
        "trellis": [binary, "--version"],
        "haproxy": [tool("haproxy"), "-v"],
        "nginx": [tool("nginx"), "-v"],
        "envoy": [envoy(), "--version"],
    }[name]
    told = subprocess.run(asked, capture_output=True, text=True, check=True, env=environment())
    text = (told.stdout + told.stderr).strip().splitlines()[0]
    return next((word for word in text.replace("/", " ").split() if word[0].isdigit() and "." in word), text)


def progress(text):
    """A line for whoever waits."""
    print(text, file=sys.stderr, flush=True)
