"""What pipelines read of `trellis test` and `trellis policy lint`: XML that an XML parser takes, JSON, and exit codes."""

import json
import pathlib
from xml.etree import ElementTree

from conftest import PROJECT, TRELLIS, run

FAILING = PROJECT / "gateway" / "testdata" / "test" / "failing.yaml"
PASSING = PROJECT / "examples" / "shop" / "tests" / "orders.yaml"
FINDINGS = PROJECT / "gateway" / "testdata" / "lint" / "trellis.yaml"


def test_junit_reports_are_xml_with_every_test_in_its_suite():
    done = run(TRELLIS, "test", "--output", "junit", PASSING, FAILING, check=False)
    assert done.returncode == 1, done.stderr
    suites = ElementTree.fromstring(done.stdout).findall("testsuite")
    assert [suite.get("name") for suite in suites] == [str(PASSING), str(FAILING)]
    assert [(suite.get("tests"), suite.get("failures")) for suite in suites] == [("8", "0"), ("3", "2")]
    cases = suites[1].findall("testcase")
    assert [case.find("failure") is not None for case in cases] == [False, True, True]
    # Whatever a name holds, it is read as it was written.
    assert cases[1].get("name") == 'the auditor writes, "<&>" or not'
    line = FAILING.read_text().splitlines()[int(cases[1].get("line")) - 1]
    assert "the auditor writes" in line
    assert "expected allow, got deny" in cases[1].find("failure").get("message")


def test_json_reports_say_the_same_as_the_exit_code():
    for file, code in [(PASSING, 0), (FAILING, 1)]:
        done = run(TRELLIS, "test", "--output", "json", file, check=False)
        report = json.loads(done.stdout)
        assert done.returncode == code
        assert (report["failed"] == 0) == (code == 0)
        assert len(report["tests"]) == report["passed"] + report["failed"]


def test_findings_are_at_the_lines_that_they_name():
    done = run(TRELLIS, "policy", "lint", "--config", FINDINGS, "--output", "json", check=False)
    assert done.returncode == 1, done.stderr
    findings = json.loads(done.stdout)["findings"]
    sids = [finding for finding in findings if finding["message"].startswith("statement `") and finding["file"].endswith(".json")]
    assert len(sids) >= 8
    for finding in sids:
        sid = finding["message"].split("`")[1]
        lines = pathlib.Path(finding["file"]).read_text().splitlines()
        # A condition may stand on the line after its statement's first.
        assert any(f'"Sid": "{sid}"' in line for line in lines[finding["line"] - 2 : finding["line"]]), finding


def test_what_cannot_be_used_is_no_finding():
    assert run(TRELLIS, "policy", "lint", "--config", PROJECT / "none.yaml", check=False).returncode == 2
    assert run(TRELLIS, "test", PROJECT / "none.yaml", check=False).returncode == 2
