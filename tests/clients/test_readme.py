"""The README says what a newcomer sees: its files are written, its commands run, its answers compared.

A block ```yaml whose first line is a comment with a file name is that file; a block ```console holds commands after `$ ` and what they
print. A line `...` stands for any lines. Ids, dates, signatures and client ports differ from run to run and are not compared. Ports
are shifted by one number, so that nothing on this machine is in the way; everything else runs as it is written.
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

import pytest

from conftest import PROJECT, TRELLIS

README = (PROJECT / "README.md").read_text()

# Ports of the shop example and of the README's own; no other number in commands or files is one of them.
PORTS = {5300, 7053, 7080, 7101, 7901, 8080, 8443, 9101, 9102, 9103, 9104, 9901}
ADDRESSES = ("127.0.0.1", "127.0.0.2")
ATTEMPTS = 5
PATIENCE_SECONDS = 30

BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@dataclasses.dataclass
class Step:
    """A command and what it prints."""

    command: str
    expected: list


def steps(block):
    """The commands of a console block."""
    found = []
    lines = iter(block.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = line[2:]
            while command.endswith("\\"):
                command += "\n" + next(lines)
            found.append(Step(command, []))
        else:
            found[-1].expected.append(line)
    return found


STEPS = [step for kind, block in BLOCKS if kind == "console" for step in steps(block)]
FILES = {
    block.split("\n", 1)[0].removeprefix("# "): block for kind, block in BLOCKS if kind == "yaml"
}


def is_free(port):
    """Can everything listen there that the README starts?"""
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
class Newcomer:
    """Somebody who has built the project and follows the README in a folder of their own."""

    folder: pathlib.Path
    shift: int
    background: contextlib.ExitStack

    def start(self, command):
        """Runs a command that goes on; gives the lines that it prints to standard output."""
        out = self.folder / f"out-{len(list(self.folder.glob('out-*')))}"
        log = out.with_name(out.name.replace("out", "log"))
        with out.open("w") as to, log.open("w") as err:
            # `exec`, so that the signal at the end reaches the program and not a shell.
            child = subprocess.Popen(
                ["sh", "-c", f"exec {command}"], cwd=self.folder, env=self.environment, stdout=to, stderr=err
            )
        self.background.enter_context(process_of(child))
        return child, out, log

    @property
    def environment(self):
        return {**os.environ, "PATH": f"{pathlib.Path(TRELLIS).parent}:{os.environ['PATH']}"}

    def run(self, command):
        return subprocess.run(
            ["sh", "-c", command], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60
        )

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
            done = self.run(command)
            missing = difference(expected, done.stdout.splitlines())
            if missing is None:
                return
            logs = "\n".join(log.read_text() for log in sorted(self.folder.glob("log-*")))
            assert time.monotonic() < deadline, f"{command}\nshould print `{missing}`:\n{done.stdout}\n{done.stderr}\n{logs}"
            time.sleep(0.1)


@contextlib.contextmanager
def process_of(child):
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def started_demo(newcomer, step):
    """Starts what `make demo` starts; false when another process was faster with a port."""
    child, out, log = newcomer.start(f"trellis demo --shift-ports {newcomer.shift}")
    expected = [shifted(line, newcomer.shift) for line in step.expected]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (missing := difference(expected, out.read_text().splitlines())) is not None:
        if child.poll() == 2 and "in use" in log.read_text():
            return False
        assert child.poll() is None and time.monotonic() < deadline, f"no `{missing}`:\n{out.read_text()}\n{log.read_text()}"
        time.sleep(0.05)
    return True


@contextlib.contextmanager
def newcomer_with_demo(tmp_path):
    demo = next(step for step in STEPS if step.command == "make demo")
    for attempt in range(ATTEMPTS):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        with contextlib.ExitStack() as background:
            newcomer = Newcomer(folder, free_shift(), background)
            if started_demo(newcomer, demo):
                yield newcomer
                return
    raise AssertionError("no free ports to be had")


def test_the_readme_is_what_a_newcomer_sees(tmp_path):
    with newcomer_with_demo(tmp_path) as newcomer:
        for name, text in FILES.items():
            (newcomer.folder / name).write_text(shifted(text, newcomer.shift))
        for step in STEPS:
            if step.command != "make demo":
                newcomer.follow(step)


def test_the_readme_shows_one_call_of_each_kind():
    commands = [step.command for step in STEPS]
    shown = "\n".join(line for step in STEPS for line in step.expected)
    assert commands[0] == "make demo"
    for part in ("AccessDeniedException", "x-amzn-lattice-identity", "grpc-status: 0", "valid: 1 VPC"):
        assert part in shown, part
    assert any("--aws-sigv4" in command for command in commands)
    assert any(command.startswith("dig ") for command in commands)


def test_make_demo_runs_what_this_test_runs():
    makefile = (PROJECT / "Makefile").read_text()
    assert re.search(r"^demo:.*\n(?:\t.*\n)*\texec \$\(TARGET\)/debug/trellis demo$", makefile, re.MULTILINE)


@pytest.mark.parametrize(
    "expected, printed, missing",
    [
        (["a", "b"], ["a", "b"], None),
        (["a", "..."], ["a", "b", "c"], None),
        (["...", "c"], ["a", "b", "c"], None),
        (["a", "...", "c"], ["a", "b", "d"], "c"),
        (["a"], ["a", "b"], "nothing after line 1"),
        (["a", "b"], ["a"], "b"),
        (["b", "...", "a"], ["a", "b"], "b"),
        (["date: Wed, 25 Nov 2026 10:34:03 GMT"], ["date: Thu, 26 Nov 2026 10:34:03 GMT"], None),
    ],
)
def test_outputs_are_compared_line_by_line(expected, printed, missing):
    assert difference(expected, printed) == missing
