"""The examples are configurations that load as they stand, and their pages say what happens with them."""

import os

import pytest

from conftest import PROJECT, TRELLIS, run
from walkthrough import reader, steps

# The folder for Prometheus and Grafana holds no configuration of ours: test_observability.py has it.
EXAMPLES = sorted(path for path in (PROJECT / "examples").iterdir() if path.is_dir() and path.name != "observability")


def test_there_are_examples():
    assert {example.name for example in EXAMPLES} >= {"shop", "two-tenants"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_loads_without_a_warning(example):
    assert (example / "README.md").exists()
    done = run(TRELLIS, "validate", "--config", example, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("valid: "), done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_page_of_an_example_is_what_its_reader_sees(example, tmp_path):
    with reader(tmp_path) as follower:
        for file in example.rglob("*"):
            if file.is_file():
                follower.has(os.path.relpath(file, PROJECT), file.read_text())
        for step in steps(example / "README.md"):
            follower.follow(step)
