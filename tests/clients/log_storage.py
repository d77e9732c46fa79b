"""Log storage that nobody here wrote, started and stopped as a test wants it, and a gateway that ships to it and may be killed."""

import contextlib
import gzip
import http.server
import json
import os
import pathlib
import signal
import subprocess
import threading
import time
import urllib.request

import boto3
import urllib3
from botocore.config import Config

from conftest import ACCOUNT, PROJECT, REGION, TRELLIS, configuration, free_port, wait_until_ready

EMULATORS = PROJECT / ".tools" / "emulators" / "bin"
KEY_ID = "AKIALOGSTORAGE"
SECRET = "a-secret-of-log-storage"
LONG = 60


def eventually(ask, what, seconds=LONG):
    """Asks until the answer is neither None nor false; gives it."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := ask():
            return answer
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def client(service, port, key=KEY_ID, secret=SECRET):
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


class Child:
    """A program that may be killed and started again."""

    def __init__(self):
        self.child = None

    def kill(self):
        if self.child:
            self.child.kill()
            self.child.wait()
            self.child = None

    def stop(self):
        if self.child:
            self.child.terminate()
            try:
                self.child.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill()
            self.child = None


class SeaweedFs(Child):
    """SeaweedFS as S3; it refuses what is not signed with the right key."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.ports = [free_port() for _ in range(8)]
        self.port = self.ports[6]
        identity = {
            "name": "logs",
            "credentials": [{"accessKey": KEY_ID, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        self.s3 = client("s3", self.port)

    def start(self):
        master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc = self.ports
        options = {
            "dir": self.folder,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.port": master,
            "master.port.grpc": master_grpc,
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 64,
            "volume.port": volume,
            "volume.port.grpc": volume_grpc,
            "volume.max": 20,
            "filer": "true",
            "filer.port": filer,
            "filer.port.grpc": filer_grpc,
            "s3": "true",
            "s3.port": s3,
            "s3.port.grpc": s3_grpc,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.config": self.folder / "s3.json",
        }
        command = [EMULATORS / "weed", "-logtostderr=true", "server", *(f"-{name}={value}" for name, value in options.items())]
        with (self.folder / "log").open("a") as log:
            self.child = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)

        def answers():
            with contextlib.suppress(Exception):
                return self.s3.list_buckets() is not None

        eventually(answers, "SeaweedFS answers")

    def objects(self, bucket, prefix=""):
        """All objects: key and what is in them."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", []) if not item["Key"].endswith("/")]
        return {key: self.s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def ids(self, bucket, prefix=""):
        """Request ids of all records, in the order of keys."""
        found = self.objects(bucket, prefix)
        return [json.loads(line)["requestId"] for key in sorted(found) for line in gzip.decompress(found[key]).splitlines()]


class Moto(Child):
    """moto as CloudWatch Logs, Firehose and S3; it verifies signatures once its user has been made."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.port = free_port()

    def start(self):
        # Three actions without a signature make the user, its key and its policy.
        environment = os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": "3"}
        command = [EMULATORS / "moto_server", "--host", "127.0.0.1", "--port", str(self.port)]
        with (self.folder / "log").open("a") as log:
            self.child = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

        def answers():
            with contextlib.suppress(OSError):
                return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/moto-api/data.json", timeout=5).status == 200

        eventually(answers, "moto answers")
        iam = client("iam", self.port, "any", "any")
        iam.create_user(UserName="logs")
        key = iam.create_access_key(UserName="logs")["AccessKey"]
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.put_user_policy(UserName="logs", PolicyName="all", PolicyDocument=json.dumps(everything))
        self.key, self.secret = key["AccessKeyId"], key["SecretAccessKey"]

    def client(self, service):
        return client(service, self.port, self.key, self.secret)


class Collector:
    """An OTLP collector in OpenTelemetry's own messages; `answers` are statuses, of which the last one stays."""

    def __init__(self):
        from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as service

        self.answers, self.requests = [200], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = gzip.decompress(self.rfile.read(int(self.headers["content-length"])))
                status = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                if status == 200:
                    assert self.path == "/v1/logs" and self.headers["content-type"] == "application/x-protobuf"
                    outer.requests.append(service.ExportLogsServiceRequest.FromString(body))
                answer = service.ExportLogsServiceResponse().SerializeToString()
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def records(self):
        return [
            (resource.resource, record)
            for request in self.requests
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]


class Gateway(Child):
    """A gateway with the usual services, whose network has these subscriptions."""

    def __init__(self, folder, target, subscriptions, settings):
        super().__init__()
        self.folder = folder
        self.ports = {name: free_port() for name in ("http", "https", "dns", "admin")}
        document = configuration(self.ports, {"plain": target, "guarded": target, "rpc": target})
        (folder / "secret").write_text(SECRET)
        document["gateway"] |= settings
        document["accessLogSubscriptions"] = [
            {"resourceIdentifier": "everything", **subscription} for subscription in subscriptions
        ]
        document["principals"] = {}
        self.path = folder / "trellis.json"
        self.path.write_text(json.dumps(document, indent=2))
        self.log = folder / "gateway.log"
        self.pool = urllib3.HTTPConnectionPool("127.0.0.1", self.ports["http"], maxsize=8, retries=False, timeout=20)
        self.answered = []

    def start(self):
        with self.log.open("a") as log:
            self.child = subprocess.Popen([TRELLIS, "serve", "--config", self.path], stdout=log, stderr=log)
        wait_until_ready(self.child, self.ports["admin"], self.log)

    def request(self, path="/", **headers):
        """Status and id of a request, which is noted when it was answered."""
        answer = self.pool.request("GET", path, headers={"host": "open.test", **headers}, preload_content=True)
        request_id = answer.headers["x-amzn-requestid"]
        self.answered.append((time.monotonic(), request_id))
        return answer.status, request_id

    def requests(self, number):
        for _ in range(number):
            assert self.request()[0] == 200

    def load_until(self, done):
        """Requests on four threads until `done` is set; what breaks by then breaks."""

        def work():
            while not done.is_set():
                with contextlib.suppress(urllib3.exceptions.HTTPError):
                    self.request()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        return threads

    def metric(self, name):
        """The sum of a metric's samples."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['admin']}/metrics", timeout=20) as page:
            lines = page.read().decode().splitlines()
        return sum(float(line.split()[1]) for line in lines if line.startswith((name + "{", name + " ")))

    def subscription(self):
        """Id of the subscription."""
        return self.spool().name

    def spool(self):
        return next((self.folder / "data" / "spool").glob("als-*"))


def api(port, key=KEY_ID, secret=pathlib.Path("secret"), **more):
    """A member of `gateway.logStorage`."""
    credentials = {"accessKeyId": key, "secretAccessKey": {"file": str(secret)}}
    return {"endpoint": f"http://127.0.0.1:{port}", "credentials": credentials, **more}
