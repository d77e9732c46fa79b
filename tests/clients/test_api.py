"""The VPC Lattice API through boto3: every operation, every kind of refusal, and traffic over what was created."""

import concurrent.futures
import datetime
import http.client
import json
import os
import random
import subprocess
import time
import urllib.error
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from botocore.exceptions import ClientError, ParamValidationError
from conftest import HERE, PROJECT, REGION, echo
from lattice import ONE, TWO, VPC_ONE, VPC_TWO, secret, serving, start

NOT_FOUND = {"fixedResponse": {"statusCode": 404}}
OPEN = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "vpc-lattice-svcs:Invoke", "Resource": "*"}],
    }
)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("api")) as running:
        yield running


def refused(code, call, **parameters):
    """The answer of a call that is refused with this code."""
    with pytest.raises(ClientError) as error:
        call(**parameters)
    answer = error.value.response
    assert answer["Error"]["Code"] == code, answer
    assert type(error.value).__name__ == code or code not in dir(error.value), type(error.value)
    return answer


def forward(group):
    return {"forward": {"targetGroups": [{"targetGroupIdentifier": group}]}}


def prefix(path):
    return {"httpMatch": {"pathMatch": {"match": {"prefix": path}}}}


def everything(c, page):
    """All items of a list, page by page."""
    return c.get_paginator(page[0]).paginate(**page[1], PaginationConfig={"PageSize": 1}).build_full_result()["items"]


def services_and_rules(c, group):
    service = c.create_service(name="life-orders", tags={"team": "web"}, customDomainName="life.shop.test")
    sid, arn = service["id"], service["arn"]
    assert c.get_service(serviceIdentifier=arn)["status"] == "ACTIVE"
    assert sid in [item["id"] for item in everything(c, ("list_services", {}))]
    c.update_service(serviceIdentifier=sid, idleTimeoutSeconds=120)
    listener = c.create_listener(
        serviceIdentifier=arn, name="web", protocol="HTTP", port=8080, defaultAction=NOT_FOUND
    )
    lid = listener["id"]
    within = {"serviceIdentifier": sid, "listenerIdentifier": listener["arn"]}
    assert c.get_listener(**within)["defaultAction"] == NOT_FOUND
    assert [item["id"] for item in everything(c, ("list_listeners", {"serviceIdentifier": sid}))] == [lid]
    c.update_listener(**within, defaultAction=forward(group["arn"]))
    shown = c.get_listener(**within)["defaultAction"]["forward"]["targetGroups"]
    assert shown == [{"targetGroupIdentifier": group["id"], "weight": 100}]
    rules = [
        c.create_rule(**within, name=f"rule{number}", priority=number, match=prefix("/a"), action=NOT_FOUND)
        for number in (1, 2)
    ]
    c.update_rule(**within, ruleIdentifier=rules[0]["arn"], match=prefix("/b"))
    assert c.get_rule(**within, ruleIdentifier=rules[0]["id"])["match"] == prefix("/b")
    swap = [{"ruleIdentifier": rule["id"], "priority": 2 - number} for number, rule in enumerate(rules)]
    assert not c.batch_update_rule(**within, rules=swap)["unsuccessful"]
    assert [rule["isDefault"] for rule in everything(c, ("list_rules", within))] == [True, False, False]
    return service, within, rules


def policies_and_records(c, resource):
    c.put_auth_policy(resourceIdentifier=resource["id"], policy=OPEN)
    assert c.get_auth_policy(resourceIdentifier=resource["arn"])["state"] == "Inactive"
    c.delete_auth_policy(resourceIdentifier=resource["id"])
    assert "policy" not in c.get_auth_policy(resourceIdentifier=resource["id"])
    sharing = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": TWO},
                "Action": ["vpc-lattice:GetService", "vpc-lattice:CreateServiceNetworkServiceAssociation"],
                "Resource": resource["arn"],
            }
        ],
    }
    c.put_resource_policy(resourceArn=resource["arn"], policy=json.dumps(sharing))
    assert json.loads(c.get_resource_policy(resourceArn=resource["arn"])["policy"]) == sharing
    c.delete_resource_policy(resourceArn=resource["arn"])
    refused("ResourceNotFoundException", c.get_resource_policy, resourceArn=resource["arn"])
    subscription = c.create_access_log_subscription(
        resourceIdentifier=resource["id"], destinationArn="arn:aws:s3:::records-of-orders"
    )
    identifier = {"accessLogSubscriptionIdentifier": subscription["arn"]}
    c.update_access_log_subscription(**identifier, destinationArn="arn:aws:s3:::records-of-others")
    assert c.get_access_log_subscription(**identifier)["destinationArn"].endswith("others")
    assert len(everything(c, ("list_access_log_subscriptions", {"resourceIdentifier": resource["id"]}))) == 1
    c.delete_access_log_subscription(**identifier)
    c.tag_resource(resourceArn=resource["arn"], tags={"a b": "c/d", "stage": "prod"})
    c.untag_resource(resourceArn=resource["arn"], tagKeys=["a b"])
    assert c.list_tags_for_resource(resourceArn=resource["arn"])["tags"]["stage"] == "prod"


def networks(c, service):
    network = c.create_service_network(name="life-commerce", sharingConfig={"enabled": True})
    of_network = {"serviceNetworkIdentifier": network["id"]}
    c.update_service_network(**of_network, authType="AWS_IAM")
    assert c.get_service_network(serviceNetworkIdentifier=network["arn"])["authType"] == "AWS_IAM"
    joined = c.create_service_network_service_association(**of_network, serviceIdentifier=service["id"])
    assert joined["ResponseMetadata"]["HTTPStatusCode"] == 200
    by_service = {"serviceNetworkServiceAssociationIdentifier": joined["arn"]}
    assert c.get_service_network_service_association(**by_service)["status"] == "ACTIVE"
    assert len(everything(c, ("list_service_network_service_associations", of_network))) == 1
    vpc = c.create_service_network_vpc_association(**of_network, vpcIdentifier=VPC_ONE)
    by_vpc = {"serviceNetworkVpcAssociationIdentifier": vpc["id"]}
    c.update_service_network_vpc_association(**by_vpc, securityGroupIds=["sg-00000001"])
    assert c.get_service_network_vpc_association(**by_vpc)["securityGroupIds"] == ["sg-00000001"]
    assert len(everything(c, ("list_service_network_vpc_associations", {"vpcIdentifier": VPC_ONE}))) == 1
    shown = c.get_service_network(**of_network)
    assert (shown["numberOfAssociatedVPCs"], shown["numberOfAssociatedServices"]) == (1, 1)
    answer = refused("ConflictException", c.delete_service_network, **of_network)
    assert (answer["resourceId"], answer["resourceType"]) == (network["id"], "SERVICE_NETWORK")
    refused("ConflictException", c.delete_service, serviceIdentifier=service["id"])
    assert network["id"] in [item["id"] for item in everything(c, ("list_service_networks", {}))]
    assert everything(c, ("list_service_network_vpc_endpoint_associations", of_network)) == []
    return network, by_service, by_vpc


def resources(c, network):
    gateway = c.create_resource_gateway(name="life-gateway", vpcIdentifier=VPC_ONE, subnetIds=["subnet-00000001"])
    of_gateway = {"resourceGatewayIdentifier": gateway["id"]}
    c.update_resource_gateway(**of_gateway, securityGroupIds=["sg-00000001"])
    assert c.get_resource_gateway(**of_gateway)["vpcId"] == VPC_ONE
    assert len(everything(c, ("list_resource_gateways", {}))) == 1
    made = c.create_resource_configuration(
        name="life-database", type="SINGLE", portRanges=["5432"], **of_gateway,
        allowAssociationToShareableServiceNetwork=True,
        resourceConfigurationDefinition={"ipResource": {"ipAddress": "10.0.0.9"}},
    )
    of_made = {"resourceConfigurationIdentifier": made["arn"]}
    c.update_resource_configuration(**of_made, portRanges=["5432", "5434-5436"])
    assert c.get_resource_configuration(**of_made)["portRanges"] == ["5432", "5434-5436"]
    assert len(everything(c, ("list_resource_configurations", of_gateway))) == 1
    joined = c.create_service_network_resource_association(
        resourceConfigurationIdentifier=made["id"], serviceNetworkIdentifier=network["id"]
    )
    of_joined = {"serviceNetworkResourceAssociationIdentifier": joined["id"]}
    assert c.get_service_network_resource_association(**of_joined)["status"] == "ACTIVE"
    listed = ("list_service_network_resource_associations", {"serviceNetworkIdentifier": network["id"]})
    assert len(everything(c, listed)) == 1
    assert everything(c, ("list_resource_endpoint_associations", of_made)) == []
    absent = "rea-0123456789abcdef0"
    refused(
        "ResourceNotFoundException", c.delete_resource_endpoint_association,
        resourceEndpointAssociationIdentifier=absent,
    )
    refused("ConflictException", c.delete_resource_gateway, **of_gateway)
    c.delete_service_network_resource_association(**of_joined)
    c.delete_resource_configuration(**of_made)
    c.delete_resource_gateway(**of_gateway)
    verification = c.start_domain_verification(domainName="life.shop.test")
    of_verification = {"domainVerificationIdentifier": verification["id"]}
    assert verification["txtMethodConfig"]["value"].startswith("vpc-lattice:")
    assert c.get_domain_verification(**of_verification)["status"] == "PENDING"
    assert len(everything(c, ("list_domain_verifications", {}))) == 1
    c.delete_domain_verification(**of_verification)


def test_every_operation_answers_as_its_model_says(served):
    c = served.client()
    config = {"protocol": "HTTP", "port": 80, "vpcIdentifier": VPC_ONE}
    group = c.create_target_group(name="life-orders-v1", type="IP", config=config)
    of_group = {"targetGroupIdentifier": group["id"]}
    c.update_target_group(**of_group, healthCheck={"path": "/healthz"})
    assert c.get_target_group(**of_group)["config"]["healthCheck"]["path"] == "/healthz"
    assert group["id"] in [item["id"] for item in everything(c, ("list_target_groups", {"targetGroupType": "IP"}))]
    targets = [{"id": "10.0.0.1", "port": 81}, {"id": "192.168.0.1"}]
    registered = c.register_targets(**of_group, targets=targets)
    assert [len(registered[part]) for part in ("successful", "unsuccessful")] == [1, 1]
    assert [item["status"] for item in everything(c, ("list_targets", of_group))] == ["UNUSED"]
    service, within, rules = services_and_rules(c, group)
    policies_and_records(c, service)
    network, by_service, by_vpc = networks(c, service)
    resources(c, network)

    assert c.delete_service_network_service_association(**by_service)["status"] == "DELETE_IN_PROGRESS"
    c.delete_service_network_vpc_association(**by_vpc)
    c.delete_service_network(serviceNetworkIdentifier=network["id"])
    c.delete_rule(**within, ruleIdentifier=rules[0]["id"])
    c.delete_listener(**within)
    assert c.delete_service(serviceIdentifier=service["arn"])["status"] == "DELETE_IN_PROGRESS"
    refused("ResourceNotFoundException", c.get_service, serviceIdentifier=service["id"])
    c.deregister_targets(**of_group, targets=targets[:1])
    eventually(lambda: everything(c, ("list_targets", of_group)) == [])
    c.delete_target_group(**of_group)
    # The one operation that has nothing to succeed with: associations of this kind are EC2's to make.
    expected = set(c.meta.service_model.operation_names) - {"DeleteResourceEndpointAssociation"}
    assert served.succeeded >= expected, expected - served.succeeded


def eventually(holds):
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_is_foreign_looks_like_what_is_missing(served):
    mine, theirs = served.client(), served.client("bob")
    service = mine.create_service(name="foreign-orders")["id"]
    absent = "svc-0123456789abcdef0"
    for call, more in [
        (theirs.get_service, {}),
        (theirs.delete_service, {}),
        (theirs.list_listeners, {}),
        (theirs.create_listener, {"name": "web", "protocol": "HTTP", "defaultAction": NOT_FOUND}),
    ]:
        seen = [
            refused("ResourceNotFoundException", call, serviceIdentifier=identifier, **more)["Error"]["Message"]
            .replace(identifier, "it")
            for identifier in (service, absent)
        ]
        assert seen[0] == seen[1]
    assert theirs.list_services()["items"] == []
    refused("ResourceNotFoundException", theirs.create_service_network_vpc_association,
            serviceNetworkIdentifier=theirs.create_service_network(name="theirs")["id"], vpcIdentifier=VPC_ONE)
    mine.delete_service(serviceIdentifier=service)


def test_refusals_are_typed_and_say_what_is_wrong(served):
    c = served.client()
    with pytest.raises(c.exceptions.ValidationException) as error:
        c.create_service(name="Wrong--Name")
    answer = error.value.response
    assert answer["reason"] == "fieldValidationFailed"
    assert [field["name"] for field in answer["fieldList"]] == ["name"]
    service = c.create_service(name="typed-orders")
    with pytest.raises(c.exceptions.ConflictException) as error:
        c.create_service(name="typed-orders")
    answer = error.value.response
    assert (answer["resourceId"], answer["resourceType"]) == (service["id"], "SERVICE")
    for number in (1, 2):
        c.create_listener(
            serviceIdentifier=service["id"], name=f"web{number}", protocol="HTTP", port=number, defaultAction=NOT_FOUND
        )
    with pytest.raises(c.exceptions.ServiceQuotaExceededException) as error:
        c.create_listener(
            serviceIdentifier=service["id"], name="web3", protocol="HTTP", port=3, defaultAction=NOT_FOUND
        )
    answer = error.value.response
    assert (answer["serviceCode"], answer["quotaCode"]) == ("vpc-lattice", "L-D64E952E")
    reader = served.client("reader")
    assert reader.get_service(serviceIdentifier=service["id"])["name"] == "typed-orders"
    with pytest.raises(reader.exceptions.AccessDeniedException) as error:
        reader.delete_service(serviceIdentifier=service["id"])
    said = error.value.response["message"]
    assert f"User: arn:aws:iam::{ONE}:user/reader is not authorized to perform: vpc-lattice:DeleteService" in said
    assert f"on resource: {service['arn']} because no identity-based policy allows" in said
    of_file = next(item for item in everything(c, ("list_service_networks", {})) if item["name"] == "of-the-file")
    said = refused("AccessDeniedException", c.delete_service_network, serviceNetworkIdentifier=of_file["id"])
    assert "one.json" in said["Error"]["Message"]
    c.delete_service(serviceIdentifier=service["id"])


def test_a_repeated_token_is_the_same_request(served):
    c = served.client()
    first = c.create_service(name="token-orders", clientToken="token-1")
    again = c.create_service(name="token-orders", clientToken="token-1")
    assert first["id"] == again["id"]
    refused("ConflictException", c.create_service, name="token-others", clientToken="token-1")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        calls = [
            pool.submit(c.create_service, name="token-race", clientToken="token-2") for _ in range(8)
        ]
        assert len({call.result()["id"] for call in calls}) == 1
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(c.create_service, name="name-race") for _ in range(8)]
        outcomes = [call.exception() for call in calls]
    assert outcomes.count(None) == 1, outcomes
    for name in ("token-orders", "token-race", "name-race"):
        found = next(item for item in everything(c, ("list_services", {})) if item["name"] == name)
        c.delete_service(serviceIdentifier=found["id"])


def raw(served, method, path, body=b"", name="alice", service="vpc-lattice", key=None, at=None, sign=True):
    """Status, code and body of a request that botocore signs but would not send."""
    request = botocore.awsrequest.AWSRequest(method, served.endpoint + path, data=body, headers={"content-type": "application/json"})
    credentials = botocore.credentials.Credentials(f"AKIA{name.upper()}", key or secret(name))
    if sign:
        signer = botocore.auth.SigV4Auth(credentials, service, REGION)
        signer.add_auth(request)
        if at is not None:
            # The same, as of another time.
            del request.headers["Authorization"], request.headers["X-Amz-Date"]
            request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
            request.headers["X-Amz-Date"] = request.context["timestamp"]
            canonical = signer.canonical_request(request)
            text = signer.string_to_sign(request, canonical)
            signer._inject_signature_to_request(request, signer.signature(text, request))
    connection = http.client.HTTPConnection("127.0.0.1", served.ports["control"], timeout=30)
    try:
        connection.request(method, path, body=body, headers=dict(request.prepare().headers))
        answer = connection.getresponse()
        return answer.status, answer.getheader("x-amzn-errortype"), answer.read()
    finally:
        connection.close()


def test_requests_that_no_client_would_send_are_refused_for_what_they_are(served):
    deep = b'{"name":' + b"[" * 5000 + b"]" * 5000 + b"}"
    for body, reason in [
        (b"{", "cannotParse"),
        (b"[]", "cannotParse"),
        (b'"x"', "cannotParse"),
        (deep, "cannotParse"),
        (b'{"name": 7}', "cannotParse"),
        (b'{"name": "fine", "tags": []}', "cannotParse"),
        (b'{"name": "fine", "tags": {"a": null}}', "cannotParse"),
        (b"\xff\xfe", "cannotParse"),
        (b"{}", "fieldValidationFailed"),
        (b"", "fieldValidationFailed"),
        (b'{"name": null}', "fieldValidationFailed"),
    ]:
        status, code, answer = raw(served, "POST", "/services", body)
        assert (status, code) == (400, "ValidationException"), (body[:40], answer)
        assert json.loads(answer)["reason"] == reason, (body[:40], answer)
    for method, path in [("GET", "/nothing"), ("PUT", "/services"), ("GET", "/services/"), ("GET", "//services")]:
        status, code, answer = raw(served, method, path)
        assert (status, code) == (400, "ValidationException"), (path, answer)
        assert json.loads(answer)["reason"] == "unknownOperation"
    assert raw(served, "POST", "/services", b" " * (2 << 20))[0] == 413
    now = datetime.datetime.now(datetime.timezone.utc)
    for wrong, expected in [
        ({"sign": False}, "MissingAuthenticationTokenException"),
        ({"key": "another"}, "InvalidSignatureException"),
        ({"name": "nobody"}, "UnrecognizedClientException"),
        ({"at": now - datetime.timedelta(hours=1)}, "InvalidSignatureException"),
    ]:
        status, code, answer = raw(served, "GET", "/services", **wrong)
        assert (status, code) == (403, expected), answer
    status, _, _ = raw(served, "GET", "/services", service="vpc-lattice-svcs")
    assert status in (400, 403)


def test_inputs_just_inside_and_outside_of_the_model(served):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    c = served.client()
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    for _ in range(60):
        length = dice.choice([3, 4, 39, 40])
        name = "n" + "".join(dice.choice(letters) for _ in range(length - 1))
        made = c.create_service(name=name, idleTimeoutSeconds=dice.choice([60, 61, 599, 600]))
        c.delete_service(serviceIdentifier=made["id"])
        wrong = dice.choice(["-" + name, name + "-", name + "A", name[:1] + "--" + name[:1], "svc-" + name, name + "n" * 41, name + "."])
        body = json.dumps({"name": wrong}).encode()
        assert raw(served, "POST", "/services", body)[:2] == (400, "ValidationException"), wrong
        seconds = dice.choice([59, 601, 0, -1, 10**12])
        body = json.dumps({"name": name, "idleTimeoutSeconds": seconds}).encode()
        assert raw(served, "POST", "/services", body)[:2] == (400, "ValidationException"), seconds
    with pytest.raises(ParamValidationError):
        c.create_service(name="ab")


def test_what_is_created_serves_a_moment_later(served):
    c = served.client()
    with echo("orders") as port:
        group = c.create_target_group(
            name="live-orders", type="IP", config={"protocol": "HTTP", "port": port, "vpcIdentifier": VPC_ONE}
        )["id"]
        c.register_targets(targetGroupIdentifier=group, targets=[{"id": "127.0.0.1"}])
        service = c.create_service(name="live-orders")
        sid = service["id"]
        listener = c.create_listener(
            serviceIdentifier=sid, name="web", protocol="HTTP", port=served.ports["http"], defaultAction=NOT_FOUND
        )["id"]
        within = {"serviceIdentifier": sid, "listenerIdentifier": listener}
        rule = c.create_rule(**within, name="all", priority=1, match=prefix("/a"), action=forward(group))["id"]
        network = c.create_service_network(name="live-commerce")["id"]
        joined = c.create_service_network_service_association(serviceNetworkIdentifier=network, serviceIdentifier=sid)
        vpc = c.create_service_network_vpc_association(serviceNetworkIdentifier=network, vpcIdentifier=VPC_ONE)
        host = service["dnsEntry"]["domainName"]

        def status(path):
            request = urllib.request.Request(f"http://127.0.0.1:{served.ports['http']}{path}", headers={"host": host})
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return answer.status
            except urllib.error.HTTPError as error:
                return error.code
            except OSError:
                return None

        eventually(lambda: status("/a") == 200)
        assert status("/b") == 404
        eventually(lambda: c.list_targets(targetGroupIdentifier=group)["items"][0]["status"] == "HEALTHY")
        c.update_service(serviceIdentifier=sid, authType="AWS_IAM")
        eventually(lambda: status("/a") == 403)
        c.put_auth_policy(resourceIdentifier=sid, policy=OPEN)
        eventually(lambda: status("/a") == 200)
        c.update_rule(**within, ruleIdentifier=rule, action={"fixedResponse": {"statusCode": 500}})
        eventually(lambda: status("/a") == 500)
        c.delete_service_network_service_association(serviceNetworkServiceAssociationIdentifier=joined["id"])
        eventually(lambda: status("/a") in (404, None))
        c.delete_service_network_vpc_association(serviceNetworkVpcAssociationIdentifier=vpc["id"])
        c.delete_service_network(serviceNetworkIdentifier=network)
        c.delete_service(serviceIdentifier=sid)
        c.deregister_targets(targetGroupIdentifier=group, targets=[{"id": "127.0.0.1"}])
        eventually(lambda: c.list_targets(targetGroupIdentifier=group)["items"] == [])
        c.delete_target_group(targetGroupIdentifier=group)


def test_the_sdk_for_javascript_lives_through_the_same(served):
    environment = {
        **os.environ, "ENDPOINT": served.endpoint, "REGION": REGION, "KEY_ID": "AKIAALICE", "SECRET": secret("alice"),
        "VPC": VPC_ONE,
    }
    done = subprocess.run(
        ["node", HERE / "lattice.mjs"], cwd=HERE, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(json.loads(done.stdout)) == 17


def test_the_aws_cli_creates_lists_and_deletes(served):
    environment = {
        **os.environ, "AWS_ENDPOINT_URL_VPC_LATTICE": served.endpoint, "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "AKIAALICE", "AWS_SECRET_ACCESS_KEY": secret("alice"), "AWS_MAX_ATTEMPTS": "1",
        "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }

    def aws(*words, code=0):
        command = [PROJECT / ".tools" / "aws-cli" / "bin" / "aws", "vpc-lattice", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stderr if code else json.loads(done.stdout or "null")

    service = aws("create-service", "--name", "cli-orders", "--tags", "team=web")
    assert aws("get-service", "--service-identifier", service["arn"])["status"] == "ACTIVE"
    listener = aws(
        "create-listener", "--service-identifier", service["id"], "--name", "web", "--protocol", "HTTP",
        "--default-action", '{"fixedResponse": {"statusCode": 404}}',
    )
    rules = aws("list-rules", "--service-identifier", service["arn"], "--listener-identifier", listener["arn"])
    assert [rule["isDefault"] for rule in rules["items"]] == [True]
    names = aws("list-services", "--query", "items[].name")
    assert "cli-orders" in names
    taken = aws("create-service", "--name", "cli-orders", code=255)
    assert "(ConflictException)" in taken
    assert aws("delete-service", "--service-identifier", service["id"])["status"] == "DELETE_IN_PROGRESS"
    missing = aws("get-service", "--service-identifier", service["id"], code=255)
    assert "(ResourceNotFoundException)" in missing


def test_what_was_acknowledged_survives_a_kill_and_nothing_is_half_done(tmp_path):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    with serving(tmp_path) as served:
        there, gone = {}, set()
        for round in range(3):
            c = served.client()

            def write(thread):
                """Creates and deletes until the gateway is gone; what was acknowledged, and what was under way."""
                made, removed, pending = {}, set(), set()
                for number in range(10_000):
                    name = f"s{round}-{thread}-{number}"
                    try:
                        pending.add(name)
                        identifier = c.create_service(name=name)["id"]
                        made[name] = identifier
                        c.create_listener(
                            serviceIdentifier=identifier, name="web", protocol="HTTP", defaultAction=NOT_FOUND
                        )
                        if number % 3 == 0:
                            c.delete_service(serviceIdentifier=identifier)
                            removed.add(name)
                            del made[name]
                        pending.discard(name)
                    except Exception:
                        break
                return made, removed, pending

            with concurrent.futures.ThreadPoolExecutor(6) as pool:
                writers = [pool.submit(write, thread) for thread in range(6)]
                time.sleep(dice.uniform(0.3, 1.0))
                served.child.kill()
                served.child.wait()
                outcomes = [writer.result() for writer in writers]
            served.child = start(tmp_path, served.ports)
            c = served.client()
            uncertain = set().union(*(pending for _, _, pending in outcomes))
            for made, removed, _ in outcomes:
                there.update({name: identifier for name, identifier in made.items() if name not in uncertain})
                gone |= removed
            found = {item["name"]: item["id"] for item in c.get_paginator("list_services").paginate().build_full_result()["items"]}
            assert {name: found.get(name) for name in there} == there
            assert not gone & set(found)
            for name in uncertain & set(found):
                for listener in c.list_listeners(serviceIdentifier=found[name])["items"]:
                    within = {"serviceIdentifier": found[name], "listenerIdentifier": listener["id"]}
                    assert [rule["isDefault"] for rule in c.list_rules(**within)["items"]] == [True]
                c.delete_service(serviceIdentifier=found[name])
            for name in sorted(uncertain | gone)[:5]:
                # A name is free exactly when its resource is gone.
                c.delete_service(serviceIdentifier=c.create_service(name=name)["id"])
        assert there, "the storm wrote nothing"
