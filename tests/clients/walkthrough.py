"""Following a page as a reader would: its files are written, its commands run, its answers compared.

A block ```yaml whose first line is a comment with a file name is that file; a block ```console holds commands after `$ ` and what they
print. A line `...` stands for any lines. Ids, dates and signatures differ from run to run and are not compared. Ports are shifted by one
number, so that nothing on this machine is in the way; everything else runs as it is written.
"""

import contextlib
import dataclasses
import os
import pathlib
import random
import re
import socket
import subprocess
import time

from conftest import PROJECT, TRELLIS

# Ports of the examples and of the README's own; no other number in their commands and files is one of them.
PORTS = {5300, 7053, 7080, 7101, 7901, 8080, 8443, 9101, 9102, 9103, 9104, 9201, 9202, 9901}
ADDRESSES = ("127.0.0.1", "127.0.0.2")
PATIENCE_SECONDS = 30


@dataclasses.dataclass
class Step:
    """A command and what it prints."""

    command: str
    expected: list


def blocks(page):
    """The fenced blocks of a page: kind and text."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def steps(page):
    """The commands of a page's console blocks, in order."""
    found = []
    for kind, block in blocks(page):
        lines = iter(block.splitlines() if kind == "console" else [])
        for line in lines:
            if line.startswith("$ "):
                command = line[2:]
                while command.endswith("\\"):
                    command += "\n" + next(lines)
                found.append(Step(command, []))
            else:
                found[-1].expected.append(line)
    return found


def files(page):
    """The files that a page shows, by name."""
    return {block.split("\n", 1)[0].removeprefix("# "): block for kind, block in blocks(page) if kind == "yaml"}


def is_free(port):
    """Can everything listen there that a page starts?"""
    for address in ADDRESSES:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                try:
                    probe.bind((address, port))
                except OSError:
                    return False
    return True


def free_shift():
    for _ in range(1000):
        shift = random.randrange(10_000, 50_000)
        if all(is_free(port + shift) for port in PORTS):
            return shift
    raise AssertionError("no free ports to be had")


def shifted(text, shift):
    return re.sub(r"\d+", lambda found: str(int(found[0]) + shift) if int(found[0]) in PORTS else found[0], text)


def masked(line):
    """The line without what differs from run to run."""
    for pattern in (
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT",
        r"\d{8}T\d{6}Z",
        r"Signature=[0-9a-f]{64}",
    ):
        line = re.sub(pattern, "(differs)", line)
    return line.rstrip()


def difference(expected, printed):
    """The first expected line that is not there, in order; `None` when all are."""
    wanted = [masked(line) for line in expected]
    lines = [masked(line) for line in printed]
    position, skipping = 0, False
    for line in wanted:
        if line == "...":
            skipping = True
            continue
        while skipping and position < len(lines) and lines[position] != line:
            position += 1
        if position == len(lines) or lines[position] != line:
            return line
        position, skipping = position + 1, False
    return None if skipping or position == len(lines) else f"nothing after line {position}"


@dataclasses.dataclass
class Reader:
    """Somebody who has built the project and follows a page in a folder of their own."""

    folder: pathlib.Path
    shift: int
    background: contextlib.ExitStack

    @property
    def environment(self):
        return {**os.environ, "PATH": f"{pathlib.Path(TRELLIS).parent}:{os.environ['PATH']}"}

    def has(self, name, text):
        """A file of the page."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(shifted(text, self.shift))

    def start(self, command):
        """Runs a command that goes on; gives the process and the files of what it prints and of its log."""
        number = len(list(self.folder.glob("out-*")))
        out, log = self.folder / f"out-{number}", self.folder / f"log-{number}"
        with out.open("w") as to, log.open("w") as err:
            # `exec`, so that the signal at the end reaches the program and not a shell.
            child = subprocess.Popen(
                ["sh", "-c", f"exec {command}"], cwd=self.folder, env=self.environment, stdout=to, stderr=err
            )
        self.background.callback(stop, child)
        return child, out, log

    def follow(self, step):
        """Runs a step until it prints what it should: what was started before may need a moment."""
        command = shifted(step.command, self.shift)
        expected = [shifted(line, self.shift) for line in step.expected]
        if command.endswith("&"):
            assert not expected, f"the output of `{step.command}` belongs to nobody"
            self.start(command.removesuffix("&"))
            return
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            done = subprocess.run(
                ["sh", "-c", command], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60
            )
            missing = difference(expected, done.stdout.splitlines())
            if missing is None:
                return
            if time.monotonic() > deadline:
                logs = "\n".join(log.read_text() for log in sorted(self.folder.glob("log-*")))
                raise AssertionError(f"{command}\nshould print `{missing}`:\n{done.stdout}\n{done.stderr}\n{logs}")
            time.sleep(0.1)


def stop(child):
    child.terminate()
    try:
        child.wait(timeout=20)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


@contextlib.contextmanager
def reader(folder):
    """A reader with free ports; what they started ends with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as background:
        yield Reader(folder, free_shift(), background)
