"""What operators see: metrics that promtool accepts, records that say what happened, TLS that sslscan finds nothing wrong with."""

import re
import time
import urllib.request

from conftest import READER_KEY_ID, READER_SECRET, REGION, run


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
