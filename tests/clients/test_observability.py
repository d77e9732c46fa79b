"""What examples/observability and docker-compose.yml hold: checked by promtool, by both generations of Compose, and against the list of
metrics."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import pytest
import yaml

from conftest import PROJECT, TRELLIS, run

EXAMPLES = PROJECT / "examples" / "observability"
DASHBOARDS = sorted((EXAMPLES / "grafana" / "dashboards").glob("*.json"))
COMPOSE = PROJECT / "docker-compose.yml"

# What PromQL says besides names of metrics and labels. A word that is in none of the lists fails the test.
WORDS = {
    "abs", "and", "by", "count", "group_left", "histogram_quantile", "increase", "max", "min", "on", "or", "rate", "sum", "time", "unless",
    "vector", "without",
}


def metrics():
    """Labels by metric, as docs/metrics.md has them; histograms by the names of their samples."""
    found = {"up": {"job", "instance"}}
    for line in (PROJECT / "docs" / "metrics.md").read_text().splitlines():
        row = re.match(r"\| `(\w+)` \| (\w+) \| (.*?) \|", line)
        if row:
            name, kind, labels = row[1], row[2], set(re.findall(r"`(\w+)`", row[3]))
            ends = {"": set()} if kind != "histogram" else {"_bucket": {"le"}, "_sum": set(), "_count": set()}
            for end, more in ends.items():
                # What the scraper adds.
                found[name + end] = labels | more | {"job", "instance"}
    return found


def check(query):
    """Every name of a query is a metric of ours, and every label one of the metrics that it names."""
    known = metrics()
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', query)
    bare = re.sub(r"\[[^\]]*\]", "", bare).replace("$__rate_interval", "")
    words = set(re.findall(r"[a-zA-Z_]\w*", bare)) - WORDS
    named = words & set(known)
    assert named, f"no metric of ours in {query}"
    labels = set().union(*(known[name] for name in named))
    strange = words - named - labels
    assert not strange, f"{sorted(strange)} in {query}"


def queries_of(dashboard):
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    for variable in dashboard["templating"]["list"]:
        yield re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).expand(r"sum by (\2) (\1)")


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_ask_for_metrics_that_exist(path):
    dashboard = json.loads(path.read_text())
    queries = list(queries_of(dashboard))
    assert len(queries) > 10
    for query in queries:
        check(query)
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one in panels:
        at = one["gridPos"]
        assert at["x"] + at["w"] <= 24, one["title"]
        # No panel lies on another.
        for other in panels:
            place = other["gridPos"]
            apart = (
                at["x"] + at["w"] <= place["x"] or place["x"] + place["w"] <= at["x"]
                or at["y"] + at["h"] <= place["y"] or place["y"] + place["h"] <= at["y"]
            )
            assert one is other or apart, (one["title"], other["title"])


@pytest.mark.parametrize(
    "query",
    [
        "sum(rate(gateway_requests_totals[5m]))",
        'gateway_requests_total{servce="a"}',
        "sum by (target_group) (gateway_requests_total)",
        "rate(gateway_request_duration_seconds[5m])",
        "process_start_time",
        "1 + 1",
    ],
)
def test_a_query_for_something_else_would_be_found(query):
    with pytest.raises(AssertionError):
        check(query)


def test_dashboards_use_the_data_source_that_is_provisioned():
    sources = yaml.safe_load((EXAMPLES / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    uids = {source["uid"] for source in sources}
    assert DASHBOARDS
    for path in DASHBOARDS:
        assert set(re.findall(r'"uid": "([^"]+)"', json.dumps(json.loads(path.read_text())["panels"]))) <= uids


def test_alerts_come_when_they_should_and_only_then():
    rules = EXAMPLES / "rules" / "trellis.yml"
    run("promtool", "check", "rules", rules)
    run("promtool", "check", "config", EXAMPLES / "prometheus.yml")
    run("promtool", "test", "rules", EXAMPLES / "rules" / "trellis.test.yml")
    tests = (EXAMPLES / "rules" / "trellis.test.yml").read_text()
    for group in yaml.safe_load(rules.read_text())["groups"]:
        for rule in group["rules"]:
            check(rule["expr"])
            assert f"alertname: {rule['alert']}" in tests, f"no test of {rule['alert']}"
            assert rule["labels"]["severity"] in ("page", "ticket")


def composed(*command):
    """What a generation of Compose makes of the file."""
    done = run(*command, "-f", COMPOSE, "config", timeout=120)
    return yaml.safe_load(done.stdout)


# The first generation, in Python, is Debian's; the second, in Go, comes from PyPI.
GENERATIONS = {"1.29": ["/usr/bin/docker-compose"], "2": [str(pathlib.Path(sys.executable).parent / "docker-compose")]}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_both_generations_of_compose_read_the_file(generation):
    command = GENERATIONS[generation]
    assert generation in run(*command, "version").stdout.splitlines()[0]
    services = composed(*command)["services"]
    assert {"gateway", "red-orders", "blue-orders", "prometheus", "grafana"} <= set(services)
    for name, service in services.items():
        # No host: the image comes from wherever the engine gets its images.
        image = service["image"]
        assert re.fullmatch(r"[a-z0-9]+(/[a-z0-9-]+)?:[a-z0-9.]+", image) and not image.endswith(":latest"), image
        if image == "trellis:local":
            assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        for port in service.get("ports", []):
            host = port["host_ip"] if isinstance(port, dict) else port.split(":")[0]
            assert host == "127.0.0.1", f"{name} is reachable from elsewhere"


def test_what_is_mounted_is_there_and_what_the_gateway_runs_is_valid():
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    mounts = [volume for service in services.values() for volume in service.get("volumes", []) if volume.startswith(".")]
    assert len(mounts) >= 4
    for mount in mounts:
        source, _, mode = mount.split(":")
        assert (PROJECT / source).exists() and mode == "ro", mount
    folder = PROJECT / "examples" / "compose"
    assert run(TRELLIS, "validate", "--config", folder).stdout.startswith("valid: 2 VPCs")
    # Addresses of the gateway and of targets are those that Compose gives.
    written = "".join(path.read_text() for path in folder.glob("*.yaml"))
    for network in services["gateway"]["networks"].values():
        assert network["ipv4_address"] in written
    for tenant in ("red", "blue"):
        address = services[f"{tenant}-orders"]["networks"][tenant]["ipv4_address"]
        assert f"id: {address}" in written
        hosts = services[f"{tenant}-client"]["extra_hosts"]
        assert hosts == [f"orders.internal.test:{services['gateway']['networks'][tenant]['ipv4_address']}"]
    admin = services["gateway"]["networks"]["operators"]["ipv4_address"]
    assert services["gateway"]["healthcheck"]["test"][-1] == f"{admin}:9901"


def test_the_image_runs_as_nobody_and_holds_nothing_else():
    lines = (PROJECT / "Dockerfile").read_text().splitlines()
    stages = [line for line in lines if line.startswith("FROM ")]
    assert re.fullmatch(r"FROM [a-z]+:[0-9][\w.-]+ AS build", stages[0]) and stages[-1] == "FROM scratch"
    last = lines[lines.index("FROM scratch"):]
    assert "USER 65532:65532" in last
    assert any(line.startswith("HEALTHCHECK") and '"/trellis", "ready"' in line for line in last)


class NoEngine(Exception):
    """No Docker Engine can run here, and why."""


@contextlib.contextmanager
def engine(folder):
    """A Docker Engine of our own, with nothing of the machine's; gives the environment for its clients."""
    dockerd = shutil.which("dockerd")
    if dockerd is None:
        raise NoEngine("dockerd is not installed")
    if os.geteuid() != 0:
        raise NoEngine("only root can start dockerd")
    socket = f"unix://{folder}/docker.sock"
    log = folder / "dockerd.log"
    command = [
        dockerd, "--host", socket, "--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid",
        "--storage-driver", "vfs", "--iptables=false", "--bridge=none",
    ]
    with log.open("w") as out:
        daemon = subprocess.Popen([str(part) for part in command], stdout=out, stderr=out)
        try:
            deadline = time.monotonic() + 30
            while not (folder / "docker.sock").exists() or run("docker", "--host", socket, "info", check=False).returncode:
                if daemon.poll() is not None or time.monotonic() > deadline:
                    raise NoEngine(f"dockerd does not start: {log.read_text().strip().splitlines()[-1]}")
                time.sleep(0.2)
            yield {**os.environ, "DOCKER_HOST": socket, "DOCKER_BUILDKIT": "0"}
        finally:
            daemon.terminate()
            daemon.wait(timeout=30)


def image_of(folder):
    """What the image holds, with the libraries of a binary that is not static."""
    root = folder / "root"
    libraries = re.findall(r"(/\S+)", run("ldd", TRELLIS, check=False).stdout)
    for source in [TRELLIS, *libraries]:
        target = root / ("trellis" if source == TRELLIS else source.lstrip("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    (root / "data").mkdir()
    recipe = 'FROM scratch\nCOPY root/ /\nCOPY --chown=65532:65532 root/data /data\nUSER 65532:65532\nENTRYPOINT ["/trellis"]\n'
    (folder / "Dockerfile").write_text(recipe)




def test_a_container_of_the_binary_runs_where_an_engine_can(capsys):
    # Not pytest's folders, which are kept: an engine's data are hundreds of megabytes.
    with tempfile.TemporaryDirectory() as image, tempfile.TemporaryDirectory() as data:
        smoke(pathlib.Path(image), pathlib.Path(data), capsys)


def smoke(image, data, capsys):
    image_of(image)
    try:
        with engine(data) as environment:
            def docker(*command):
                done = subprocess.run(["docker", *command], env=environment, capture_output=True, text=True, timeout=120)
                assert done.returncode == 0, done.stdout + done.stderr
                return done.stdout

            docker("build", "--tag", "trellis:smoke", str(image))
            limits = ["--read-only", "--cap-drop", "ALL", "--network", "none", "--rm"]
            assert docker("run", *limits, "trellis:smoke", "version").startswith("trellis ")
            example = f"{PROJECT / 'examples' / 'two-tenants'}:/etc/trellis:ro"
            docker("run", *limits, "--volume", example, "--tmpfs", "/data:uid=65532", "--detach", "--name", "gateway",
                   "trellis:smoke", "serve", "--config", "/etc/trellis", "--data-dir", "/data", "--dns-listen", "127.0.0.1:5300")
            deadline = time.monotonic() + 30
            while subprocess.run(["docker", "exec", "gateway", "/trellis", "ready"], env=environment, capture_output=True).returncode:
                assert time.monotonic() < deadline, docker("logs", "gateway")
                time.sleep(0.2)
            docker("stop", "gateway")
    except NoEngine as why:
        # Everything but running is tested above.
        with capsys.disabled():
            print(f"\nno Docker Engine here, so no container was run: {why}")
