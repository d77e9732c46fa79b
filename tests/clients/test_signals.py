"""What operators see: metrics that promtool accepts, records that say what happened, TLS that sslscan finds nothing wrong with."""

import json
import re
import time
import urllib.request

from conftest import READER_KEY_ID, READER_SECRET, REGION, TRELLIS, run


def test_promtool_accepts_the_metrics(gateway, curl):
    assert curl("http://open.test:HTTP/")[0] == 200
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.admin}/metrics", timeout=20) as answer:
        metrics = answer.read().decode()
    assert "gateway_requests_total" in metrics
    done = run("promtool", "check", "metrics", stdin=metrics, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def metric(gateway, sample):
    """The value of a sample on the metrics page."""
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.admin}/metrics", timeout=20) as answer:
        found = re.search(rf"^{re.escape(sample)} (\S+)$", answer.read().decode(), re.MULTILINE)
    return float(found[1])


def test_a_decision_is_looked_up_once_made(gateway, curl):
    reader = ["--aws-sigv4", f"aws:amz:{REGION}:vpc-lattice-svcs", "--user", f"{READER_KEY_ID}:{READER_SECRET}"]
    reader += ["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]
    hit = 'gateway_decision_cache_lookups_total{outcome="hit"}'
    assert curl("http://guarded.test:HTTP/", *reader)[0] == 200
    before = metric(gateway, hit)
    assert curl("http://guarded.test:HTTP/", *reader)[0] == 200
    assert metric(gateway, hit) == before + 1


def record_of(gateway, path):
    """The record of the one request to `path`; it is written shortly after the answer."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for record in gateway.records:
            if record["requestPath"].startswith(path):
                return record
        time.sleep(0.02)
    raise AssertionError(f"no record of {path}")


def test_a_request_leaves_a_record(gateway, curl, signing):
    assert curl("https://guarded.test:HTTPS/recorded", *signing)[0] == 200
    record = record_of(gateway, "/recorded")
    assert record["responseCode"] == 200
    assert record["requestMethod"] == "GET"
    assert record["resolvedUser"].endswith(":user/writer")
    assert record["serverNameIndication"] == "guarded.test"
    assert record["tlsVersion"] in ("TLSv1.2", "TLSv1.3")
    assert record["authDeniedReason"] == "-"


def test_a_refused_request_leaves_a_record(gateway, curl):
    assert curl("http://guarded.test:HTTP/refused")[0] == 403
    record = record_of(gateway, "/refused")
    assert record["responseCode"] == 403
    assert record["authDeniedReason"] == "Service"
    assert record["failureReason"] == "ClientAccessDenied"
    assert record["targetIpPort"] == "-"


def test_sslscan_finds_nothing_weak(gateway):
    done = run("sslscan", "--no-colour", "--sni-name=open.test", f"127.0.0.1:{gateway.https}", timeout=300)
    report = done.stdout
    enabled = re.findall(r"^(SSLv\d|TLSv1\.\d)\s+enabled", report, re.MULTILINE)
    assert sorted(enabled) == ["TLSv1.2", "TLSv1.3"], report
    ciphers = re.findall(r"^(?:Preferred|Accepted)\s+(\S+)\s+(\d+) bits\s+(\S+)", report, re.MULTILINE)
    assert ciphers, report
    for version, bits, name in ciphers:
        assert int(bits) >= 128, (version, name)
        # Forward secrecy and authenticated encryption only.
        assert name.startswith(("TLS_", "ECDHE-")), (version, name)
        assert "GCM" in name or "CHACHA20" in name, (version, name)
    assert "not vulnerable to heartbleed" in report
    assert re.search(r"Compression disabled", report) or "OpenSSL version does not support compression" in report, report


def test_the_log_is_changed_for_a_while_and_back(gateway):
    def log_level(*options, check=True):
        return run(TRELLIS, "log-level", "--admin", f"127.0.0.1:{gateway.admin}", *options, check=check)

    at_first = json.loads(log_level().stdout)
    assert at_first == {"filter": "info", "revertsInSeconds": None}
    changed = json.loads(log_level("info,trellis_gateway::tls=debug", "--seconds", "60").stdout)
    assert changed["filter"] == "info,trellis_gateway::tls=debug" and 50 <= changed["revertsInSeconds"] <= 60
    assert json.loads(log_level("--reset").stdout) == at_first
    # Envoy's way, and the end of the time: the gateway looks every two seconds.
    request = urllib.request.Request(f"http://127.0.0.1:{gateway.admin}/logging?level=debug&seconds=1", method="POST")
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert json.load(answer)["filter"] == "debug"
    deadline = time.monotonic() + 30
    while json.loads(log_level().stdout) != at_first:
        assert time.monotonic() < deadline, "the change was not taken back"
        time.sleep(0.1)
    for filter, code, said in (("loud", 2, "is not a level"), ("[x{y=1}]=debug", 2, "by span or field")):
        refused = log_level(filter, check=False)
        assert refused.returncode == code and said in refused.stderr, refused


def test_a_container_can_ask_whether_the_gateway_is_ready(gateway):
    assert run(TRELLIS, "ready", "--admin", f"127.0.0.1:{gateway.admin}").stdout == "ready\n"
    nobody = run(TRELLIS, "ready", "--admin", "127.0.0.1:1", check=False)
    assert nobody.returncode == 1 and "cannot ask the gateway" in nobody.stderr
