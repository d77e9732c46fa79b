"""dig: the gateway's names, over UDP and TCP."""

import json
import re

import pytest
from conftest import REGION, run


def dig(gateway, *question):
    return run("dig", "@127.0.0.1", "-p", gateway.dns, "+tries=1", "+time=5", *question).stdout


def status(answer):
    return re.search(r"status: (\w+)", answer).group(1)


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
@pytest.mark.parametrize("name", ["open.test", "OPEN.test", "guarded.test"])
def test_services_have_the_address_of_the_gateway(gateway, transport, name):
    assert dig(gateway, "+short", transport, name, "A").split() == ["127.0.0.1"]


def test_answers_are_authoritative(gateway):
    answer = dig(gateway, "open.test", "A")
    assert status(answer) == "NOERROR"
    assert re.search(r"flags: qr aa", answer), answer


def test_the_generated_name_resolves_and_is_served(gateway, curl):
    _, _, body = curl("http://open.test:HTTP/")
    facts = dict(json.loads(body)["headers"])["x-amzn-lattice-target"]
    ident = re.search(r"service/svc-([0-9a-f]+)", facts).group(1)
    name = f"open-{ident}.7d67968.vpc-lattice-svcs.{REGION}.on.aws"
    assert dig(gateway, "+short", name, "A").split() == ["127.0.0.1"]
    for url in (f"http://{name}:HTTP/", f"https://{name}:HTTPS/"):
        assert curl(url)[0] == 200


def test_a_name_without_an_ipv6_address_has_no_data(gateway):
    answer = dig(gateway, "open.test", "AAAA")
    assert status(answer) == "NOERROR"
    assert "ANSWER: 0" in answer
    assert "SOA" in answer


def test_an_unknown_name_under_a_known_zone_does_not_exist(gateway):
    answer = dig(gateway, "nobody-0123456789abcdef0.7d67968.vpc-lattice-svcs.us-west-2.on.aws", "A")
    assert status(answer) == "NXDOMAIN"
    assert "SOA" in answer


def test_other_names_are_refused_without_a_resolver(gateway):
    assert status(dig(gateway, "example.org", "A")) == "REFUSED"
