"""A gateway with its control address, and boto3 clients whose every answer is held against botocore's own model of the API."""

import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess

import boto3
from botocore.config import Config
from conftest import REGION, START_ATTEMPTS, TRELLIS, PortTaken, free_port, policy, wait_until_ready

ONE, TWO = "111122223333", "444455556666"
VPC_ONE, VPC_TWO = "vpc-00000000000000001", "vpc-00000000000000002"
EVERYTHING = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
READING = policy({"Effect": "Allow", "Action": ["vpc-lattice:Get*", "vpc-lattice:List*"], "Resource": "*"})


def secret(name):
    return f"secret-of-{name}-that-nobody-guesses"


def user(name, allowed):
    return {
        "name": name,
        "policies": [allowed],
        "accessKeys": [{"id": f"AKIA{name.upper()}", "secret": {"env": f"SECRET_{name.upper()}"}}],
    }


def documents(ports):
    """Two tenants: a file each."""
    gateway = {
        "admin": f"127.0.0.1:{ports['admin']}",
        "control": f"127.0.0.1:{ports['control']}",
        "dataDir": "../data",
        "workers": 1,
    }
    vpcs = [{"name": "shop", "id": VPC_ONE, "cidrs": ["10.0.0.0/16"], "attachments": [{"listen": ["127.0.0.1"]}]}]
    network = {"name": "of-the-file", "tags": {"from": "file"}}
    one = {
        "account": ONE,
        "region": REGION,
        "gateway": gateway,
        "vpcs": vpcs,
        "serviceNetworks": [network],
        "principals": {"users": [user("alice", EVERYTHING), user("reader", READING)]},
    }
    two = {
        "account": TWO,
        "vpcs": [{"name": "shop", "id": VPC_TWO, "cidrs": ["10.0.0.0/16"], "attachments": [{"listen": ["127.0.0.2"]}]}],
        "principals": {"users": [user("bob", EVERYTHING)]},
    }
    return {"one.json": one, "two.json": two}


@dataclasses.dataclass
class Served:
    """A gateway, its clients, and what was seen of the API."""

    folder: object
    ports: dict
    child: object
    succeeded: set = dataclasses.field(default_factory=set)
    answers: int = 0

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.ports['control']}"

    def client(self, name="alice", key=None, service="vpc-lattice"):
        made = boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=f"AKIA{name.upper()}",
            aws_secret_access_key=key or secret(name),
            config=Config(retries={"max_attempts": 0}, read_timeout=60),
        )
        if service == "vpc-lattice":
            made.meta.events.register("after-call.vpc-lattice", self.hold)
        return made

    def hold(self, http_response, model, **_):
        """One answer against the model: the status, and exactly the members that it may have."""
        self.answers += 1
        status, body = http_response.status_code, http_response.content
        assert status < 500, (model.name, body)
        assert http_response.headers["x-amzn-requestid"], model.name
        if status >= 300:
            code = http_response.headers["x-amzn-errortype"]
            known = {shape.name: shape for shape in model.error_shapes}
            if code in known:
                assert status == known[code].metadata["error"]["httpStatusCode"], (model.name, code, status)
                check(known[code], json.loads(body), code)
            return
        assert status == model.http["responseCode"], (model.name, status)
        if status == 204:
            assert body == b"", model.name
        else:
            check(model.output_shape, json.loads(body), model.name)
        self.succeeded.add(model.name)


def check(shape, value, at):
    """Is this a value of the shape, with no null and no member that the shape does not have?"""
    if shape is None:
        assert value == {}, at
    elif shape.type_name == "structure":
        assert isinstance(value, dict), at
        unknown = set(value) - {member.serialization.get("name", name) for name, member in shape.members.items()}
        assert not unknown, (at, unknown)
        for name in shape.required_members:
            assert name in value or shape.members[name].serialization.get("location"), (at, name)
        if getattr(shape, "is_tagged_union", False):
            assert len(value) == 1, (at, value)
        for name, member in value.items():
            check(shape.members[name], member, f"{at}.{name}")
    elif shape.type_name == "list":
        assert isinstance(value, list), at
        for number, item in enumerate(value):
            check(shape.member, item, f"{at}[{number}]")
    elif shape.type_name == "map":
        assert isinstance(value, dict), at
        for name, item in value.items():
            check(shape.key, name, f"{at}.{name}")
            check(shape.value, item, f"{at}.{name}")
    elif shape.type_name == "string":
        assert isinstance(value, str), (at, value)
        if shape.enum:
            assert value in shape.enum, (at, value)
        limits = shape.metadata
        assert limits.get("min", 0) <= len(value) <= limits.get("max", 1 << 30), (at, value)
        pattern = limits.get("pattern")
        assert not pattern or re.fullmatch(pattern, value), (at, value, pattern)
    elif shape.type_name in ("integer", "long"):
        assert isinstance(value, int) and not isinstance(value, bool), (at, value)
        limits = shape.metadata
        assert limits.get("min", value) <= value <= limits.get("max", value), (at, value)
    elif shape.type_name == "boolean":
        assert isinstance(value, bool), (at, value)
    elif shape.type_name == "timestamp":
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value), (at, value)
    else:
        raise AssertionError(f"{at}: a shape of type {shape.type_name}")


def start(folder, ports):
    """Starts a gateway on a folder of documents, new or used before."""
    path = folder / "config"
    path.mkdir(exist_ok=True)
    for name, document in documents(ports).items():
        (path / name).write_text(json.dumps(document, indent=2))
    log = folder / "gateway.log"
    names = ("alice", "reader", "bob")
    environment = {**os.environ, **{f"SECRET_{name.upper()}": secret(name) for name in names}}
    with log.open("a") as out:
        command = [TRELLIS, "serve", "--config", str(path)]
        child = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        wait_until_ready(child, ports["admin"], log)
    except BaseException:
        child.kill()
        child.wait()
        raise
    return child


@contextlib.contextmanager
def serving(folder):
    """A gateway until the block ends; `child` may be replaced meanwhile."""
    for _ in range(START_ATTEMPTS):
        ports = {name: free_port() for name in ("admin", "control", "http")}
        with contextlib.suppress(PortTaken):
            served = Served(folder=folder, ports=ports, child=start(folder, ports))
            break
    else:
        raise AssertionError("no free ports to be had")
    try:
        yield served
    finally:
        served.child.send_signal(signal.SIGTERM)
        try:
            served.child.wait(timeout=30)
        except subprocess.TimeoutExpired:
            served.child.kill()
            served.child.wait()
