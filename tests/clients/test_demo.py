"""`trellis demo` beside itself, interrupted, and where it may not write. What it prints is followed by `test_readme`."""

import contextlib
import signal
import subprocess

from conftest import TRELLIS
from operating import PATIENCE, environment, eventually, trellis
from walkthrough import free_shift

ATTEMPTS = 5


@contextlib.contextmanager
def demo(folder):
    """A demo, and by how much its ports are shifted; other ports when somebody was faster."""
    for _ in range(ATTEMPTS):
        shift = free_shift()
        out = folder / "out"
        with out.open("w") as written:
            command = [TRELLIS, "demo", "--directory", str(folder / "shop"), "--shift-ports", str(shift)]
            child = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT, env=environment())
        try:
            eventually(lambda: child.poll() is not None or "Ctrl-C stops it." in out.read_text(), "the guide")
            if child.poll() == 2 and "in use" in out.read_text():
                continue
            assert child.poll() is None, out.read_text()
            yield child, shift
            return
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
    raise AssertionError("no free ports to be had")


def test_a_second_demo_leaves_the_first_and_its_files_alone(tmp_path):
    with demo(tmp_path) as (child, shift):
        changed = tmp_path / "shop" / "trellis.yaml"
        changed.write_text(changed.read_text() + "# mine\n")
        done = trellis("demo", "--directory", tmp_path / "shop", "--shift-ports", shift)
        assert done.returncode == 2, done.stderr
        assert "perhaps another demo runs" in done.stderr and "the address is in use" in done.stderr
        assert "--shift-ports" in done.stderr
        assert done.stdout == ""
        assert changed.read_text().endswith("# mine\n")
        assert child.poll() is None


def test_ctrl_c_stops_it_in_order(tmp_path):
    with demo(tmp_path) as (child, shift):
        child.send_signal(signal.SIGINT)
        assert child.wait(PATIENCE) == 0
        log = (tmp_path / "out").read_text()
        assert "stopped" in log and "panicked" not in log
    # Its ports are free again: the next one starts at once.
    with demo(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_named():
    for _ in range(ATTEMPTS):
        done = trellis("demo", "--directory", "/proc/shop", "--shift-ports", free_shift())
        if "in use" not in done.stderr:
            break
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("trellis: cannot write `/proc/shop/"), done.stderr
