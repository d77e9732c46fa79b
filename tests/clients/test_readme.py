"""The README says what a newcomer sees: see `walkthrough`."""

import contextlib
import re
import time

import pytest

from conftest import PROJECT
from walkthrough import PATIENCE_SECONDS, difference, files, reader, shifted, steps

README = PROJECT / "README.md"
STEPS = steps(README)
# It shows what to do when the demo's requests fail.
TROUBLESHOOTING = PROJECT / "docs" / "troubleshooting.md"
ATTEMPTS = 5


def started_demo(newcomer, step):
    """Starts what `make demo` starts; false when another process was faster with a port."""
    child, out, log = newcomer.start(f"trellis demo --shift-ports {newcomer.shift}")
    expected = [shifted(line, newcomer.shift) for line in step.expected]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (missing := difference(expected, out.read_text().splitlines())) is not None:
        if child.poll() == 2 and "in use" in log.read_text():
            return False
        waiting = child.poll() is None and time.monotonic() < deadline
        assert waiting, f"no `{missing}`:\n{out.read_text()}\n{log.read_text()}"
        time.sleep(0.05)
    return True


@contextlib.contextmanager
def newcomer_with_demo(tmp_path):
    demo = next(step for step in STEPS if step.command == "make demo")
    for attempt in range(ATTEMPTS):
        with reader(tmp_path / str(attempt)) as newcomer:
            if started_demo(newcomer, demo):
                yield newcomer
                return
    raise AssertionError("no free ports to be had")


def test_the_readme_is_what_a_newcomer_sees(tmp_path):
    with newcomer_with_demo(tmp_path) as newcomer:
        for name, text in files(README).items():
            newcomer.has(name, text)
        for step in STEPS + steps(TROUBLESHOOTING):
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
