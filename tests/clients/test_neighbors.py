"""The services beside VPC Lattice that its clients need, through boto3: the first user, IAM, tags, VPCs."""

import contextlib
import dataclasses
import json
import pathlib
import stat
import subprocess
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from conftest import ACCOUNT, REGION, START_ATTEMPTS, TRELLIS, PortTaken, free_port, policy, process, wait_until_ready

OTHER = "444455556666"


@dataclasses.dataclass
class Served:
    folder: pathlib.Path
    path: pathlib.Path
    control: int
    log: pathlib.Path

    @property
    def administrator(self):
        return json.loads((self.folder / "data" / "administrator.json").read_text())

    def client(self, service, key=None, secret=None, token=None):
        kept = self.administrator
        return boto3.client(
            service, endpoint_url=f"http://127.0.0.1:{self.control}", region_name=REGION,
            aws_access_key_id=key or kept["accessKeyId"], aws_secret_access_key=secret or kept["secretAccessKey"],
            aws_session_token=token, config=Config(retries={"max_attempts": 0}),
        )


def configuration(ports):
    """No principals at all: whoever calls was made through the API."""
    return {
        "account": ACCOUNT,
        "region": REGION,
        "gateway": {
            "admin": f"127.0.0.1:{ports['admin']}",
            "control": f"127.0.0.1:{ports['control']}",
            "dataDir": "./data",
            "workers": 1,
        },
        "vpcs": [{"name": "main", "cidrs": ["127.0.0.0/8"], "attachments": [{"listen": ["127.0.0.1"]}]}],
    }


@contextlib.contextmanager
def serve(folder):
    ports = {name: free_port() for name in ("control", "admin")}
    path = folder / "trellis.json"
    path.write_text(json.dumps(configuration(ports), indent=2))
    log = folder / "gateway.log"
    with log.open("w") as out, process([TRELLIS, "serve", "--config", str(path)], stdout=out, stderr=out) as child:
        wait_until_ready(child, ports["admin"], log)
        yield Served(folder=folder, path=path, control=ports["control"], log=log)


@contextlib.contextmanager
def serve_somewhere(folder):
    for _ in range(START_ATTEMPTS):
        with contextlib.suppress(PortTaken):
            with serve(folder) as running:
                yield running
                return
    raise AssertionError("no free ports to be had")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serve_somewhere(tmp_path_factory.mktemp("neighbors")) as running:
        yield running


def refused(code, call, **parameters):
    with pytest.raises(ClientError) as error:
        call(**parameters)
    answer = error.value.response
    assert answer["Error"]["Code"] == code, answer
    assert answer["ResponseMetadata"]["RequestId"], answer
    return error.value


def soon(call, **parameters):
    """What the call answers once what was changed counts, a moment later."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return call(**parameters)
        except ClientError as error:
            if time.monotonic() > deadline:
                raise AssertionError("it is still refused") from error
            time.sleep(0.01)


def soon_refused(code, call, **parameters):
    """Calls until the call is refused, which it is a moment later."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            call(**parameters)
        except ClientError as error:
            assert error.response["Error"]["Code"] == code, error.response
            return
        time.sleep(0.01)
    raise AssertionError("it is still allowed")


def test_the_first_user_is_announced_once_and_may_do_anything(tmp_path):
    with serve_somewhere(tmp_path) as served:
        kept = served.administrator
        assert kept["account"] == ACCOUNT and kept["userName"] == "administrator"
        mode = stat.S_IMODE((tmp_path / "data" / "administrator.json").stat().st_mode)
        assert mode == 0o600
        said = served.log.read_text()
        assert kept["accessKeyId"] in said and said.count(kept["secretAccessKey"]) == 1
        arn = served.client("sts").get_caller_identity()["Arn"]
        assert arn == f"arn:aws:iam::{ACCOUNT}:user/administrator"
        assert served.client("vpc-lattice").create_service(name="orders")["status"] == "ACTIVE"
        wrong = served.client("vpc-lattice", secret="x" * 40)
        refused("InvalidSignatureException", wrong.create_service, name="stock")
    with serve_somewhere(tmp_path) as served:
        # The next start says nothing of it.
        assert served.administrator == kept
        assert kept["accessKeyId"] not in served.log.read_text()
        [service] = served.client("vpc-lattice").list_services()["items"]
        assert service["name"] == "orders"
    done = subprocess.run(
        [TRELLIS, "control", "reset-administrator", "--config", str(tmp_path / "trellis.json")],
        capture_output=True, text=True, timeout=60, check=True,
    )
    with serve_somewhere(tmp_path) as served:
        new = served.administrator
        assert new["accessKeyId"] != kept["accessKeyId"] and new["accessKeyId"] in done.stdout
        assert served.client("vpc-lattice").list_services()["items"]
        old = served.client("vpc-lattice", kept["accessKeyId"], kept["secretAccessKey"])
        refused("UnrecognizedClientException", old.list_services)


def test_users_get_keys_and_permissions(served):
    iam = served.client("iam")
    user = iam.create_user(UserName="ann", Tags=[{"Key": "team", "Value": "web"}])["User"]
    assert user["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/ann" and user["Path"] == "/"
    assert iam.get_user(UserName="ann")["User"]["Tags"] == [{"Key": "team", "Value": "web"}]
    with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
        iam.create_user(UserName="ann")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    ann = {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
    identity = soon(served.client("sts", **ann).get_caller_identity)
    assert identity["Arn"] == user["Arn"] and identity["UserId"] == user["UserId"]
    lattice = served.client("vpc-lattice", **ann)
    with pytest.raises(lattice.exceptions.AccessDeniedException):
        lattice.list_services()
    with pytest.raises(iam.exceptions.MalformedPolicyDocumentException):
        iam.put_user_policy(UserName="ann", PolicyName="list", PolicyDocument="{}")
    document = policy({"Effect": "Allow", "Action": "vpc-lattice:List*", "Resource": "*"})
    iam.put_user_policy(UserName="ann", PolicyName="list", PolicyDocument=json.dumps(document))
    assert iam.get_user_policy(UserName="ann", PolicyName="list")["PolicyDocument"] == document
    assert soon(lattice.list_services)["items"] == []
    with pytest.raises(lattice.exceptions.AccessDeniedException):
        lattice.create_service(name="anns")
    refused("AccessDenied", served.client("iam", **ann).create_user, UserName="bea")
    iam.update_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    soon_refused("UnrecognizedClientException", lattice.list_services)
    with pytest.raises(iam.exceptions.DeleteConflictException):
        iam.delete_user(UserName="ann")
    iam.delete_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="ann", PolicyName="list")
    iam.delete_user(UserName="ann")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_user(UserName="ann")
    names = [one["UserName"] for page in iam.get_paginator("list_users").paginate() for one in page["Users"]]
    assert names == ["administrator"]


def test_roles_are_assumed_with_shared_policies(served):
    iam = served.client("iam")
    trust = policy({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/administrator"}, "Action": "sts:AssumeRole"})
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust), Description="reads")["Role"]
    assert role["AssumeRolePolicyDocument"] == trust and role["MaxSessionDuration"] == 3600
    document = policy({"Effect": "Allow", "Action": "vpc-lattice:List*", "Resource": "*"})
    shared = iam.create_policy(PolicyName="lists", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="reader", PolicyArn=shared)
    [attached] = iam.list_attached_role_policies(RoleName="reader")["AttachedPolicies"]
    assert attached == {"PolicyName": "lists", "PolicyArn": shared}
    version = iam.get_policy(PolicyArn=shared)["Policy"]
    assert version["AttachmentCount"] == 1
    shown = iam.get_policy_version(PolicyArn=shared, VersionId=version["DefaultVersionId"])
    assert shown["PolicyVersion"]["Document"] == document
    session = soon(served.client("sts").assume_role, RoleArn=role["Arn"], RoleSessionName="work")["Credentials"]
    credentials = (session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
    lattice = served.client("vpc-lattice", *credentials)
    assert "items" in soon(lattice.list_services)
    with pytest.raises(iam.exceptions.DeleteConflictException):
        iam.delete_policy(PolicyArn=shared)
    iam.detach_role_policy(RoleName="reader", PolicyArn=shared)
    soon_refused("AccessDeniedException", lattice.list_services)
    iam.delete_policy(PolicyArn=shared)
    iam.update_assume_role_policy(RoleName="reader", PolicyDocument=json.dumps(policy(
        {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"})))
    soon_refused("AccessDenied", served.client("sts").assume_role, RoleArn=role["Arn"], RoleSessionName="work")
    iam.delete_role(RoleName="reader")
    # What is not served says so.
    refused("InvalidAction", iam.create_group, GroupName="g")


def test_resources_are_found_by_their_tags(served):
    lattice, tagging = served.client("vpc-lattice"), served.client("resourcegroupstaggingapi")
    arns = [lattice.create_service(name=f"tagged-{n}", tags={"team": "web", "n": str(n)})["arn"] for n in range(3)]
    network = lattice.create_service_network(name="tagged", tags={"team": "web"})["arn"]
    pages = tagging.get_paginator("get_resources").paginate(
        TagFilters=[{"Key": "team", "Values": ["web"]}], ResourceTypeFilters=["vpc-lattice:service"], ResourcesPerPage=2)
    pages = [page["ResourceTagMappingList"] for page in pages]
    assert [len(page) for page in pages] == [2, 1]
    assert [one["ResourceARN"] for page in pages for one in page] == arns
    answer = tagging.tag_resources(ResourceARNList=[network, arns[0] + "0"], Tags={"stage": "prod"})
    assert list(answer["FailedResourcesMap"]) == [arns[0] + "0"]
    assert lattice.list_tags_for_resource(resourceArn=network)["tags"] == {"team": "web", "stage": "prod"}
    tagging.untag_resources(ResourceARNList=[network], TagKeys=["team"])
    [found] = tagging.get_resources(ResourceARNList=[network])["ResourceTagMappingList"]
    assert found["Tags"] == [{"Key": "stage", "Value": "prod"}]
    assert tagging.get_tag_keys()["TagKeys"] == ["n", "stage", "team"]
    assert tagging.get_tag_values(Key="n")["TagValues"] == ["0", "1", "2"]
    with pytest.raises(tagging.exceptions.InvalidParameterException):
        tagging.get_resources(ResourcesPerPage=1000)
    refused("UnknownOperationException", tagging.describe_report_creation)
    for arn in arns:
        lattice.delete_service(serviceIdentifier=arn)
    lattice.delete_service_network(serviceNetworkIdentifier=network)


def test_vpcs_are_those_of_the_files(served):
    ec2 = served.client("ec2")
    [vpc] = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["main"]}])["Vpcs"]
    assert vpc["CidrBlock"] == "127.0.0.0/8" and vpc["OwnerId"] == ACCOUNT and vpc["State"] == "available"
    assert vpc["Tags"] == [{"Key": "Name", "Value": "main"}]
    assert ec2.describe_vpcs(VpcIds=[vpc["VpcId"]])["Vpcs"] == [vpc]
    refused("InvalidVpcID.NotFound", ec2.describe_vpcs, VpcIds=["vpc-00000000000000000"])
    by_vpc = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    assert ec2.describe_subnets(Filters=by_vpc)["Subnets"] == []
    assert ec2.describe_security_groups(Filters=by_vpc)["SecurityGroups"] == []
    refused("InvalidAction", ec2.describe_instances)
    # It is good for a target group.
    group = served.client("vpc-lattice").create_target_group(
        name="group", type="IP", config={"protocol": "HTTP", "port": 80, "vpcIdentifier": vpc["VpcId"]})
    assert group["config"]["vpcIdentifier"] == vpc["VpcId"]
    served.client("vpc-lattice").delete_target_group(targetGroupIdentifier=group["id"])
