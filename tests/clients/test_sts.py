"""Temporary credentials through boto3 and through botocore's default chain, as any program of AWS's SDK for Python gets them."""

import base64
import contextlib
import dataclasses
import hashlib
import hmac
import json
import os
import subprocess
import time

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from conftest import (
    ACCOUNT, REGION, START_ATTEMPTS, TRELLIS, PortTaken, free_port, listeners, policy, process, statement,
    wait_until_ready,
)
from signers import Request, sign

SECRETS = {"ALICE": "secret-of-alice", "BOB": "secret-of-bob", "ISSUER": "a-secret-of-the-issuer-of-32-letters-or-more"}
ISSUER = "https://issuer.test/realm"
SUBJECT = "system:serviceaccount:shop:orders"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.test/realm"


def role_arn(name):
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def trust(principal, action="sts:AssumeRole", **more):
    return policy({"Effect": "Allow", "Principal": principal, "Action": action, **more})


def configuration(ports):
    """One service, open to sessions of the role `reader` and of nobody else."""
    alice = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/alice"}

    def user(name, *policies):
        return {
            "name": name,
            "policies": list(policies),
            "accessKeys": [{"id": f"AKIA{name.upper()}", "secret": {"env": f"SECRET_{name.upper()}"}}],
        }

    def role(name, trust_policy, **more):
        return {"name": name, "trustPolicy": trust_policy, "policies": [policy(statement())], **more}

    claims = {"StringEquals": {"issuer.test/realm:sub": SUBJECT, "issuer.test/realm:aud": "sts.amazonaws.com"}}
    web = trust({"Federated": PROVIDER}, "sts:AssumeRoleWithWebIdentity", Condition=claims)
    return {
        "account": ACCOUNT,
        "region": REGION,
        "gateway": {
            "admin": f"127.0.0.1:{ports['admin']}",
            "control": f"127.0.0.1:{ports['control']}",
            "dataDir": "./data",
            "workers": 1,
        },
        "vpcs": [{"name": "main", "attachments": [{"listen": ["127.0.0.1"]}]}],
        "serviceNetworks": [
            {
                "name": "everything",
                "vpcAssociations": [{"vpcIdentifier": "main"}],
                "serviceAssociations": [{"serviceIdentifier": "orders"}],
            }
        ],
        "services": [
            {
                "name": "orders",
                "customDomainName": "orders.test",
                "authType": "AWS_IAM",
                "authPolicy": policy(statement(Principal={"AWS": [role_arn("reader"), role_arn("web")]})),
                "listeners": [
                    {**one, "defaultAction": {"fixedResponse": {"statusCode": 404}}}
                    for one in listeners({"HTTP": ports["http"]})
                ],
            }
        ],
        "principals": {
            "users": [user("alice", policy(statement())), user("bob", policy(statement()))],
            "roles": [role("reader", trust(alice)), role("other", trust(alice)), role("web", web)],
            "identityProviders": [
                {
                    "name": "realm",
                    "type": "OIDC",
                    "issuer": ISSUER,
                    "audiences": ["sts.amazonaws.com"],
                    "secret": {"env": "SECRET_ISSUER"},
                }
            ],
        },
    }


@dataclasses.dataclass
class Served:
    """Where things are."""

    folder: object
    http: int
    control: int

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.control}"

    def log(self):
        return (self.folder / "gateway.log").read_text()


@contextlib.contextmanager
def serve(folder):
    ports = {name: free_port() for name in ("http", "control", "admin")}
    path = folder / "trellis.json"
    path.write_text(json.dumps(configuration(ports), indent=2))
    log = folder / "gateway.log"
    environment = {**os.environ, **{f"SECRET_{name}": secret for name, secret in SECRETS.items()}}
    with log.open("w") as out:
        command = [TRELLIS, "serve", "--config", str(path), "--log-level", "info,trellis_gateway::telemetry::events::control=debug"]
        with process(command, stdout=out, stderr=out, env=environment) as child:
            wait_until_ready(child, ports["admin"], log)
            yield Served(folder=folder, http=ports["http"], control=ports["control"])


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    for _ in range(START_ATTEMPTS):
        with contextlib.suppress(PortTaken):
            with serve(tmp_path_factory.mktemp("sts")) as running:
                yield running
                return
    raise AssertionError("no free ports to be had")


def client(served, key="AKIAALICE", secret="secret-of-alice", token=None):
    return boto3.client(
        "sts", endpoint_url=served.endpoint, region_name=REGION, aws_access_key_id=key,
        aws_secret_access_key=secret, aws_session_token=token, config=Config(retries={"max_attempts": 0}),
    )


def of(served, credentials):
    return client(served, credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])


def assume(served, name="reader", **more):
    return client(served).assume_role(RoleArn=role_arn(name), RoleSessionName="work", **more)["Credentials"]


def refused(code, call, **parameters):
    with pytest.raises(ClientError) as error:
        call(**parameters)
    answer = error.value.response
    assert answer["Error"]["Code"] == code, answer
    assert answer["ResponseMetadata"]["RequestId"], answer
    return answer["Error"]["Message"]


def visit(served, signer, key, secret, token):
    """What the service answers to a request that is signed with these credentials."""
    request = Request("orders.test", "/a?b=c", key=key, secret=secret, token=token)
    return sign(signer, request).send(served.http)


def test_boto3_learns_who_it_is(served):
    answer = client(served).get_caller_identity()
    assert answer["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert answer["Account"] == ACCOUNT
    assert answer["UserId"].startswith("AIDA")
    refused("SignatureDoesNotMatch", client(served, secret="another").get_caller_identity)
    refused("InvalidClientTokenId", client(served, key="AKIANOBODY").get_caller_identity)
    refused("InvalidClientTokenId", client(served, token="token").get_caller_identity)


@pytest.mark.parametrize("signer", ["botocore", "awscrt", "smithy", "awscrt-v4a", "botocore-presigned", "awscrt-v4a-presigned"])
def test_a_session_reaches_the_service_that_names_its_role(served, signer):
    credentials = assume(served)
    key, secret, token = (credentials[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
    # The one action is a fixed response; what is denied is answered before it.
    assert visit(served, signer, key, secret, token)[0] == 404
    other = assume(served, "other")
    status, body = visit(served, signer, other["AccessKeyId"], other["SecretAccessKey"], other["SessionToken"])
    assert status == 403
    assert f"User: arn:aws:sts::{ACCOUNT}:assumed-role/other/work is not authorized" in body
    for twin in [
        (key, secret, other["SessionToken"]),
        (other["AccessKeyId"], secret, token),
        (key, other["SecretAccessKey"], token),
        (key, secret, None),
        (key, secret, token[:-1]),
        (key, secret, token.swapcase()),
        ("AKIAALICE", SECRETS["ALICE"], token),
    ]:
        status, body = visit(served, signer, *twin)
        assert status == 403, twin
        assert "security token included in the request is invalid" in body or "does not match" in body, body


def test_a_session_policy_limits_a_session(served):
    for allowed, status in [(statement(), 404), (statement(Condition={"Bool": {"aws:SecureTransport": "true"}}), 403)]:
        credentials = assume(served, Policy=json.dumps(policy(allowed)))
        answer = visit(
            served, "botocore", credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"]
        )
        assert answer[0] == status, answer
    assert "because no session policy allows" in answer[1]


def test_refusals_are_exceptions_of_the_sdk(served):
    call = client(served).assume_role
    message = refused("AccessDenied", client(served, "AKIABOB", "secret-of-bob").assume_role,
                      RoleArn=role_arn("reader"), RoleSessionName="work")
    assert message == (
        f"User: arn:aws:iam::{ACCOUNT}:user/bob is not authorized to perform: sts:AssumeRole on resource: {role_arn('reader')}"
    )
    refused("AccessDenied", call, RoleArn=role_arn("gone"), RoleSessionName="work")
    refused("ValidationError", call, RoleArn=role_arn("reader"), RoleSessionName="work", DurationSeconds=3601)
    refused("AccessDenied", call, RoleArn=role_arn("reader"), RoleSessionName="work", Tags=[{"Key": "a", "Value": "b"}])
    sts = client(served)
    with pytest.raises(sts.exceptions.MalformedPolicyDocumentException):
        sts.assume_role(RoleArn=role_arn("reader"), RoleSessionName="work", Policy="{}")
    tags = [{"Key": f"key-{n}", "Value": "v" * 200} for n in range(50)]
    with pytest.raises(sts.exceptions.PackedPolicyTooLargeException):
        sts.assume_role(RoleArn=role_arn("reader"), RoleSessionName="work", Tags=tags)
    refused("InvalidAction", sts.get_federation_token, Name="someone")


def test_users_get_temporary_credentials_of_their_own(served):
    credentials = client(served).get_session_token()["Credentials"]
    mine = of(served, credentials)
    assert mine.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert credentials["Expiration"].timestamp() - time.time() == pytest.approx(43_200, abs=60)
    refused("AccessDenied", mine.get_session_token)
    refused("AccessDenied", of(served, assume(served)).get_session_token)


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def jwt(secret=SECRETS["ISSUER"], **claims):
    """A token of the issuer, signed by HS256."""
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": SUBJECT, "aud": "sts.amazonaws.com", "iat": now, "exp": now + 600, **claims}
    text = b".".join(encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return b".".join([text, encode(hmac.digest(secret.encode(), text, hashlib.sha256))]).decode()


def chain(served, tmp_path, monkeypatch, token, role="web"):
    """botocore's default chain with nothing but a role, a token and the address of the service."""
    path = tmp_path / "token"
    path.write_text(token)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "HOME": tmp_path, "AWS_ROLE_ARN": role_arn(role), "AWS_WEB_IDENTITY_TOKEN_FILE": path,
        "AWS_ENDPOINT_URL_STS": served.endpoint, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, str(value))
    return botocore.session.Session().get_credentials().get_frozen_credentials()


def test_the_default_chain_reaches_the_service_that_names_its_role(served, tmp_path, monkeypatch):
    credentials = chain(served, tmp_path, monkeypatch, jwt())
    assert visit(served, "botocore", *credentials[:3])[0] == 404


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"sub": "system:serviceaccount:shop:others"}, "AccessDenied"),
        ({"aud": "another"}, "InvalidIdentityToken"),
        ({"iss": "https://elsewhere.test"}, "InvalidIdentityToken"),
        ({"exp": 1_700_000_000}, "ExpiredTokenException"),
        ({"secret": "another-secret-of-the-issuer-of-32-letters"}, "InvalidIdentityToken"),
    ],
)
def test_other_tokens_are_refused(served, tmp_path, monkeypatch, claims, code):
    with pytest.raises(ClientError) as error:
        chain(served, tmp_path, monkeypatch, jwt(**claims))
    assert error.value.response["Error"]["Code"] == code
    with pytest.raises(ClientError) as error:
        chain(served, tmp_path, monkeypatch, jwt(), role="reader")
    assert error.value.response["Error"]["Code"] == "AccessDenied"


def test_every_call_is_in_the_log_and_no_secret(served):
    credentials = assume(served)
    log = served.log()
    assert "control call" in log and f"assumed-role/reader/work" in log
    for secret in [*SECRETS.values(), credentials["SecretAccessKey"], credentials["SessionToken"]]:
        assert secret not in log


def test_keys_are_kept_with_their_owner(served):
    path = served.folder / "data" / "session-keys"
    assert path.stat().st_mode & 0o777 == 0o600
    done = subprocess.run([TRELLIS, "validate", "--config", str(served.folder / "trellis.json")],
                          env={**os.environ, **{f"SECRET_{name}": secret for name, secret in SECRETS.items()}},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
