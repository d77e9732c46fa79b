"""Access records in log storage that nobody here wrote, read back as an auditor would; across crashes of either side."""

import json
import re
import subprocess
import threading
import time

import pytest

from conftest import ACCOUNT, REGION, TRELLIS, echo, free_port
from log_storage import LONG, Collector, Gateway, Moto, SeaweedFs, api, eventually

BUCKET = "records"
GROUP = "/lattice/records"
STREAM = "records"


@pytest.fixture(scope="module")
def target():
    with echo("plain") as port:
        yield port


@pytest.fixture
def gateway(tmp_path, target):
    """Makes a gateway that is not started yet."""
    made = []

    def make(*subscriptions, **settings):
        made.append(Gateway(tmp_path, target, subscriptions, settings))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    storage = SeaweedFs(tmp_path_factory.mktemp("seaweedfs"))
    storage.start()
    storage.s3.create_bucket(Bucket=BUCKET)
    yield storage
    storage.kill()


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    storage = Moto(tmp_path_factory.mktemp("moto"))
    storage.start()
    (storage.folder / "secret").write_text(storage.secret)
    yield storage
    storage.kill()


def to_moto(moto, **more):
    return api(moto.port, moto.key, moto.folder / "secret", **more)


def test_every_request_is_in_the_bucket_though_both_sides_are_killed(bucket, gateway):
    running = gateway(
        {"destinationArn": f"arn:aws:s3:::{BUCKET}/killed", "batchSeconds": 1},
        logStorage={"s3": api(bucket.port)},
    )
    running.start()
    running.requests(50)
    eventually(lambda: len(bucket.ids(BUCKET, "killed/")) >= 50, "the first records are there")
    # The storage goes under load; the gateway goes on, and then goes as well.
    done = threading.Event()
    threads = running.load_until(done)
    bucket.kill()
    eventually(lambda: running.metric("gateway_access_ship_failures_total") >= 1, "the gateway noticed")
    before = len(running.answered)
    eventually(lambda: len(running.answered) > before + 200, "requests are served without storage")
    # What was answered in the last moment is on its way to write(2): 10 ms in the pages, far more here, where the machine is busy.
    time.sleep(2)
    killed = time.monotonic() - 1.5
    running.kill()
    done.set()
    for thread in threads:
        thread.join()
    must = {request_id for when, request_id in running.answered if when < killed}
    bucket.start()
    running.start()
    running.requests(20)
    must |= {request_id for _, request_id in running.answered[-20:]}
    eventually(lambda: running.metric("gateway_access_spool_records") == 0, "everything was shipped")
    found = bucket.ids(BUCKET, "killed/")
    assert must <= set(found), f"{len(must - set(found))} of {len(must)} are missing"
    assert running.metric("gateway_access_records_dropped_total") == 0
    layout = re.compile(
        rf"killed/AWSLogs/{ACCOUNT}/VpcLattice/AccessLogs/{REGION}/(\d{{4}})/(\d\d)/(\d\d)/(sn-0[0-9a-f]{{16}})/"
        rf"{ACCOUNT}_VpcLatticeAccessLogs_{REGION}_\4_\1\2\3T\d{{4}}Z_[0-9a-f]{{16}}\.json\.gz"
    )
    for key in bucket.objects(BUCKET, "killed/"):
        assert layout.fullmatch(key), key


def test_shipped_records_are_shipped_again_by_hand(bucket, gateway):
    running = gateway(
        {"destinationArn": f"arn:aws:s3:::{BUCKET}/again", "batchSeconds": 0},
        logStorage={"s3": api(bucket.port)},
    )
    running.start()
    running.requests(10)
    eventually(lambda: len(bucket.ids(BUCKET, "again/")) == 10, "the records are there")
    for key in bucket.objects(BUCKET, "again/"):
        bucket.s3.delete_object(Bucket=BUCKET, Key=key)
    command = [TRELLIS, "logs", "ship", "--config", running.path, "--subscription", running.subscription()]
    again = subprocess.run([*command, "--from", "0", "--output", "json"], capture_output=True, text=True, check=True)
    assert json.loads(again.stdout) == {"records": 10, "refused": 0, "damaged": 0}
    assert sorted(bucket.ids(BUCKET, "again/")) == sorted(request_id for _, request_id in running.answered)
    unknown = [*command[:-1], "als-0ffffffffffffffff", "--dead-letters"]
    refused = subprocess.run(unknown, capture_output=True, text=True)
    assert refused.returncode == 2 and "there is no subscription" in refused.stderr


def test_wrong_credentials_are_said_and_cost_no_record(bucket, gateway, tmp_path):
    running = gateway(
        {"destinationArn": f"arn:aws:s3:::{BUCKET}/wrong", "batchSeconds": 0},
        logStorage={"s3": api(bucket.port, "AKIAOFNOBODY")},
    )
    running.start()
    running.requests(5)
    eventually(lambda: running.metric("gateway_access_ship_failures_total") >= 1, "the storage refuses")
    eventually(lambda: running.metric("gateway_access_spool_records") == 5, "all records are spooled")
    assert "access records cannot be shipped" in running.log.read_text()
    running.path.write_text(running.path.read_text().replace("AKIAOFNOBODY", "AKIALOGSTORAGE"))
    eventually(lambda: len(bucket.ids(BUCKET, "wrong/")) == 5, "the right ones are taken up without a restart")


def test_cloudwatch_logs_has_the_records_in_order(moto, gateway):
    running = gateway(
        {"destinationArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}:*", "batchSeconds": 0},
        logStorage={"cloudWatchLogs": to_moto(moto, createLogGroups=True)},
    )
    running.start()
    running.requests(30)
    logs = moto.client("logs")

    def events():
        if not any(group["logGroupName"] == GROUP for group in logs.describe_log_groups()["logGroups"]):
            return []
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP)
        return [event for page in pages for event in page["events"]]

    eventually(lambda: len(events()) >= 30, "the events are there")
    found = [json.loads(event["message"])["requestId"] for event in events()]
    assert found == [request_id for _, request_id in running.answered]
    streams = logs.describe_log_streams(logGroupName=GROUP)["logStreams"]
    assert [stream["logStreamName"].split("/")[1] for stream in streams] == [running.subscription()]


def test_unsigned_calls_would_not_have_been_taken(moto, gateway):
    """The twin of the tests around it: the server does look at signatures."""
    running = gateway(
        {"destinationArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}-unsigned", "batchSeconds": 0},
        logStorage={"cloudWatchLogs": {"endpoint": f"http://127.0.0.1:{moto.port}", "createLogGroups": True}},
    )
    running.start()
    running.requests(1)
    eventually(lambda: running.metric("gateway_access_ship_failures_total") >= 1, "the server refuses")
    assert running.metric("gateway_access_spool_records") == 1


def test_firehose_has_the_records(moto, gateway):
    s3 = moto.client("s3")
    s3.create_bucket(Bucket="delivered", CreateBucketConfiguration={"LocationConstraint": REGION})
    moto.client("firehose").create_delivery_stream(
        DeliveryStreamName=STREAM,
        ExtendedS3DestinationConfiguration={
            "RoleARN": f"arn:aws:iam::{ACCOUNT}:role/delivery",
            "BucketARN": "arn:aws:s3:::delivered",
        },
    )
    running = gateway(
        {"destinationArn": f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/{STREAM}", "batchSeconds": 0},
        logStorage={"firehose": to_moto(moto)},
    )
    running.start()
    running.requests(30)

    def lines():
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket="delivered").get("Contents", [])]
        bodies = [s3.get_object(Bucket="delivered", Key=key)["Body"].read() for key in keys]
        return [json.loads(line)["requestId"] for body in bodies for line in body.splitlines()]

    eventually(lambda: len(lines()) >= 30, "the records are delivered")
    assert sorted(lines()) == sorted(request_id for _, request_id in running.answered)


def test_a_collector_gets_the_records_in_opentelemetrys_own_messages(gateway):
    collector = Collector()
    collector.answers = [503, 429, 200]
    running = gateway({"destination": {"otlp": {"endpoint": f"http://127.0.0.1:{collector.port}"}}, "batchSeconds": 0})
    running.start()
    running.requests(20)
    eventually(lambda: len(collector.records()) >= 20, "the records are there")
    found = [json.loads(record.body.string_value)["requestId"] for _, record in collector.records()]
    assert found == [request_id for _, request_id in running.answered]
    resource, record = collector.records()[0]
    attributes = {attribute.key: attribute.value.string_value for attribute in resource.attributes}
    assert attributes["service.name"] == "trellis" and attributes["cloud.account.id"] == ACCOUNT
    assert abs(record.time_unix_nano / 1e9 - time.time()) < 3600 and record.severity_number == 9
    collector.stop()


def test_a_full_spool_refuses_requests_until_there_is_room(gateway):
    collector = Collector()
    collector.answers = [503]
    running = gateway(
        {
            "destination": {"otlp": {"endpoint": f"http://127.0.0.1:{collector.port}"}},
            "batchSeconds": 0,
            "whenFull": "REFUSE",
            "spoolMegabytes": 8,
        },
    )
    running.start()
    # Records of 4 KB: the budget is used up after two thousand of them.
    path, agent = "/" + "p" * 2000, "a" * 2000
    served = 0
    while running.request(path, **{"user-agent": agent})[0] == 200:
        served += 1
        assert served < 4000
    assert served > 1000
    assert running.request()[0] == 503, "nothing is served without a record"
    collector.answers = [200]
    eventually(lambda: running.request()[0] == 200, "requests are served again")
    eventually(lambda: running.metric("gateway_access_spool_records") == 0, "everything was shipped")
    assert len(collector.records()) >= served
    assert running.metric("gateway_access_spool_lost_records_total") == 0
    collector.stop()


def test_a_second_gateway_on_the_same_spool_does_not_start(gateway, tmp_path, target):
    collector = Collector()
    running = gateway({"destination": {"otlp": {"endpoint": f"http://127.0.0.1:{collector.port}"}}})
    running.start()
    other = json.loads(running.path.read_text())
    port = free_port()
    for member in ("admin", "dns"):
        other["gateway"].pop(member)
    for service in other["services"]:
        service["listeners"] = service["listeners"][:1]
        service["listeners"][0]["port"] = port
    path = tmp_path / "second.json"
    path.write_text(json.dumps(other))
    second = subprocess.run([TRELLIS, "serve", "--config", path], capture_output=True, text=True, timeout=LONG)
    assert second.returncode == 2
    assert "in use by another gateway, process" in second.stderr + second.stdout
    collector.stop()


def test_a_spool_that_was_torn_by_a_crash_goes_on(gateway):
    collector = Collector()
    collector.answers = [503]
    running = gateway({"destination": {"otlp": {"endpoint": f"http://127.0.0.1:{collector.port}"}}, "batchSeconds": 0})
    running.start()
    running.requests(10)
    eventually(lambda: running.metric("gateway_access_spool_records") == 10, "the records are in the spool")
    running.kill()
    last = max(running.spool().glob("*.seg"))
    with last.open("r+b") as file:
        file.truncate(last.stat().st_size - 7)
    collector.answers = [200]
    running.start()
    running.requests(1)
    eventually(lambda: len(collector.records()) == 10, "all but the torn one")
    assert "the spool's last record was torn" in running.log.read_text()
    found = [json.loads(record.body.string_value)["requestId"] for _, record in collector.records()]
    wanted = [request_id for _, request_id in running.answered]
    assert found == wanted[:9] + wanted[10:]
    collector.stop()
