"""Targets are restarted and replaced under load, as an operator does it: processes are told to stop, files are edited. Not one request
of urllib3 and h2load fails.

The targets are small asyncio servers. Told to stop, they accept nothing more, finish what runs and close their connections.
"""

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
import tempfile
import threading

import pytest
import urllib3

from conftest import run
from operating import PATIENCE, eventually, gateway, write


async def serve(port):
    """A server of HTTP/1.1 on this port, 0 for any. SIGTERM ends it in order."""
    idle, tasks = set(), set()
    stop = asyncio.Event()

    async def connection(reader, writer):
        tasks.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while not stop.is_set():
                idle.add(writer)
                head = await reader.readuntil(b"\r\n\r\n")
                idle.discard(writer)
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                last = b"Connection: close\r\n" if stop.is_set() else b""
                writer.write(b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (last, len(body), body))
                await writer.drain()
        idle.discard(writer)
        writer.close()
        tasks.discard(asyncio.current_task())

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(connection, "127.0.0.1", port, backlog=1024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await stop.wait()
    server.close()
    for writer in list(idle):
        writer.close()
    while tasks:
        await asyncio.wait(list(tasks))


class Target:
    """The server above in a process of its own."""

    def __init__(self, port=0):
        self.start(port)

    def start(self, port):
        command = [sys.executable, __file__, str(port)]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = json.loads(self.child.stdout.readline())["port"]

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        assert self.child.wait(PATIENCE) == 0
        self.child.stdout.close()

    def restart(self):
        self.stop()
        self.start(self.port)


class Load:
    """Clients that send one request after the other until the block ends, and what became of those that failed."""

    def __init__(self, port, *kinds):
        self.port, self.kinds = port, kinds
        self.stop, self.failures = threading.Event(), []
        self.served = {kind: 0 for kind in kinds}

    def __enter__(self):
        self.threads = [threading.Thread(target=self.run, args=(kind,)) for kind in self.kinds]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(PATIENCE)

    def run(self, kind):
        try:
            with urllib3.HTTPConnectionPool("127.0.0.1", self.port, maxsize=1) as pool:
                while not self.stop.is_set() and not self.failures:
                    self.served[kind] += self.send(pool, *kind.split())
        except Exception as error:
            self.failures.append(f"{kind}: {error!r}")

    def send(self, pool, client, method):
        """Sends requests; gives how many were answered well, which must be all."""
        if client == "urllib3":
            body = BODY if method == "POST" else b""
            headers = {"Host": "only.test"}
            answer = pool.request(method, "/", body=body, headers=headers, retries=False, timeout=PATIENCE)
            assert (answer.status, answer.data) == (200, body), answer.data
            return 1
        with tempfile.NamedTemporaryFile() as file:
            file.write(BODY)
            file.flush()
            done = run(
                "h2load", "--requests=100", "--clients=2", "--max-concurrent-streams=4", "--header=:authority: only.test",
                *([f"--data={file.name}"] if method == "POST" else []), f"http://127.0.0.1:{self.port}/",
            )
        assert "100 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout
        assert "status codes: 100 2xx, 0 3xx, 0 4xx, 0 5xx" in done.stdout, done.stdout
        return 100

    def goes_on(self):
        """Waits until every client was answered several times more."""
        before = dict(self.served)
        eventually(
            lambda: self.failures or all(self.served[kind] >= before[kind] + 10 for kind in self.kinds),
            "answers to every client",
        )
        assert not self.failures


BODY = b"x" * 2000
GETS = ("urllib3 GET", "h2load GET")
ALL = (*GETS, "urllib3 POST", "h2load POST")


def group(name, targets):
    return {
        "name": name,
        "type": "IP",
        "config": {"protocol": "HTTP", "port": 1, "vpcIdentifier": "main", "healthCheck": {"enabled": False}},
        "targets": [{"id": "127.0.0.1", "port": target.port} for target in targets],
    }


def forward(*weights, **more):
    named = [{"targetGroupIdentifier": name, "weight": weight} for name, weight in weights]
    return {"forward": {"targetGroups": named, **more}}


def edit(running, action, *target_groups):
    """Changes the file in one step, and waits until that counts."""
    generation = running.generation
    new = running.config.with_suffix(".new")
    write(new, running.document(action, targetGroups=target_groups))
    new.rename(running.config)
    eventually(lambda: running.generation > generation, "the change counts")


@pytest.fixture
def targets():
    made = [Target() for _ in range(3)]
    yield made
    for target in made:
        target.stop()


# As `docs/traffic.md` has it.
REPEATING = {
    "maxRetries": 3,
    "on": ["connection-error", "reset"],
    "backOff": {"baseMillis": 1},
    "budget": {"percent": 100, "minConcurrency": 100},
}


@pytest.mark.parametrize(("more", "kinds"), [({}, GETS), ({"retryPolicy": REPEATING}, ALL)], ids=["gets", "policy"])
def test_targets_restart_one_after_the_other(tmp_path, targets, more, kinds):
    action = forward(("all", 1), **more)
    with gateway(tmp_path, action=action, targetGroups=[group("all", targets)]) as running:
        with Load(running.port, *kinds) as load:
            for target in targets:
                load.goes_on()
                target.restart()
            load.goes_on()
        assert not load.failures, load.served


def test_targets_are_replaced_by_editing_the_file(tmp_path, targets):
    blue, green = targets[:1], targets[1:]
    both = group("blue", blue), group("green", green)
    with gateway(tmp_path, action=forward(("blue", 100), ("green", 0)), targetGroups=both) as running:
        with Load(running.port, *ALL) as load:
            load.goes_on()
            edit(running, forward(("blue", 50), ("green", 50)), *both)
            load.goes_on()
            edit(running, forward(("blue", 0), ("green", 100)), *both)
            eventually(lambda: only(running, green), "the end of what ran")
            blue[0].restart()
            load.goes_on()
            edit(running, forward(("green", 1)), group("green", [*blue, green[1]]))
            eventually(lambda: only(running, [*blue, green[1]]), "the end of the drain")
            green[0].restart()
            load.goes_on()
        assert not load.failures, load.served


def only(running, targets):
    """Do requests run on no other targets than these? Those of groups without weight have none, drained ones are gone."""
    groups = json.loads(running.page("/targets"))["targetGroups"]
    busy = [target for group in groups for target in group["targets"] if target["status"] == "DRAINING" or target["inFlight"]]
    ports = {f"127.0.0.1:{target.port}" for target in targets}
    return all(target["address"] in ports for target in busy)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
