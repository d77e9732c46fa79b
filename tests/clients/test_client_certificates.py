"""Client certificates as unmodified clients show them: curl, Python's ssl, h2, Node. Each with its refusing twin."""

import http.client
import json
import socket
import ssl

import h2.connection
import h2.events
import pytest

from conftest import ACCOUNT, free_port, run
from operating import answer, eventually, gateway, trellis

CHECKOUT = f"arn:aws:iam::{ACCOUNT}:user/checkout"
WORKLOAD = "spiffe://only.test/checkout"

NODE = """
const https = require("https");
const fs = require("fs");
const [ca, port, certificate, key] = process.argv.slice(1);
const options = {host: "127.0.0.1", port, servername: "only.test", headers: {host: "only.test"}, ca: fs.readFileSync(ca)};
if (certificate) Object.assign(options, {cert: fs.readFileSync(certificate), key: fs.readFileSync(key)});
https.get(options, (answer) => { console.log(answer.statusCode); answer.resume(); }).on("error", (error) => console.log(error.code));
"""


class Authority:
    """A certificate authority in a folder, kept by openssl."""

    def __init__(self, folder, name):
        self.folder = folder / name
        self.folder.mkdir()
        self.pem = self.folder / "ca.pem"
        self.key = self.folder / "ca.key"
        run(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN={name}",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign", "-keyout", self.key, "-out", self.pem,
        )

    def issue(self, name, *extensions, days=30):
        """Certificate and key of a client; extensions in openssl's words."""
        request, pem, key, wanted = (self.folder / f"{name}.{end}" for end in ("csr", "pem", "key", "ext"))
        wanted.write_text("\n".join(["basicConstraints=critical,CA:FALSE", *extensions]) + "\n")
        run(
            "openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/O=Shop/CN={name}",
            "-keyout", key, "-out", request,
        )
        run(
            "openssl", "x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self.key, "-CAcreateserial", "-days", days, "-sha256",
            "-extfile", wanted, "-out", pem,
        )
        return pem, key


def members(port, authorities, mode):
    """A document whose one service asks for certificates and lets `checkout` in."""
    statement = {"Effect": "Allow", "Principal": {"AWS": CHECKOUT}, "Action": "*", "Resource": "*"}
    own = {"Effect": "Allow", "Action": "vpc-lattice-svcs:Invoke", "Resource": "*"}
    listener = {"name": "https", "protocol": "HTTPS", "port": port, "defaultAction": answer(404)}
    service = {
        "name": "only", "customDomainName": "only.test", "authType": "AWS_IAM", "authPolicy": {"Statement": [statement]},
        "clientCertificates": {"trustStore": "workloads", "mode": mode}, "listeners": [listener],
    }
    mapping = {
        "name": "checkout", "from": "CERTIFICATE", "principal": {"user": "checkout"},
        "match": {"trustStore": "workloads", "spiffeId": {"exact": WORKLOAD}, "subject": [{"attribute": "O", "value": {"exact": "Shop"}}]},
    }
    principals = {
        "users": [{"name": "checkout", "policies": [{"Statement": [own]}]}],
        "trustStores": [{"name": "workloads", "caFile": str(authorities)}],
        "mappings": [mapping],
    }
    subscription = {"resourceIdentifier": "everything", "destination": {"file": "access.jsonl"}}
    return {"services": [service], "principals": principals, "accessLogSubscriptions": [subscription]}


SPIFFE = (f"subjectAltName=URI:{WORKLOAD}", "extendedKeyUsage=clientAuth")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two gateways that ask, one of which requires; the port of each, the root to trust, and certificates by what is with them."""
    folder = tmp_path_factory.mktemp("client-certificates")
    ours, theirs = Authority(folder, "ours"), Authority(folder, "theirs")
    shown = {
        "good": ours.issue("checkout", *SPIFFE),
        "unmapped": ours.issue("console", "subjectAltName=URI:spiffe://only.test/console", "extendedKeyUsage=clientAuth"),
        "theirs": theirs.issue("checkout", *SPIFFE),
        "server": ours.issue("server", f"subjectAltName=URI:{WORKLOAD}", "extendedKeyUsage=serverAuth"),
        "double": ours.issue("double", f"subjectAltName=URI:{WORKLOAD},URI:https://only.test/", "extendedKeyUsage=clientAuth"),
        "none": None,
    }
    ports = {"REQUIRE": free_port(), "REQUEST": free_port()}
    folders = {mode: folder / mode for mode in ports}
    for each in folders.values():
        each.mkdir()
    with gateway(folders["REQUIRE"], **members(ports["REQUIRE"], ours.pem, "REQUIRE")):
        with gateway(folders["REQUEST"], **members(ports["REQUEST"], ours.pem, "REQUEST")):
            roots = {}
            for mode, each in folders.items():
                roots[mode] = each / "root.pem"
                roots[mode].write_text(trellis("ca", "--config", each / "trellis.json", cwd=each).stdout)
            yield folders, ports, roots, shown


def context(root, shown):
    made = ssl.create_default_context(cafile=root)
    if shown:
        made.load_cert_chain(*shown)
    return made


def by_curl(port, root, shown):
    own = ["--cert", shown[0], "--key", shown[1]] if shown else []
    done = run(
        "curl", "--silent", "--cacert", root, *own, "--resolve", f"only.test:{port}:127.0.0.1", "--output", "/dev/null",
        "--write-out", "%{http_code}", f"https://only.test:{port}/", check=False,
    )
    return int(done.stdout)


def by_python(port, root, shown):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        try:
            with context(root, shown).wrap_socket(plain, server_hostname="only.test") as tls:
                client = http.client.HTTPConnection("only.test")
                client.sock = tls
                client.request("GET", "/", headers={"Host": "only.test"})
                return client.getresponse().status
        except (ssl.SSLError, ConnectionError, http.client.BadStatusLine):
            return 0


def by_h2(port, root, shown):
    made = context(root, shown)
    made.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        try:
            with made.wrap_socket(plain, server_hostname="only.test") as tls:
                assert tls.selected_alpn_protocol() == "h2"
                return exchange(tls)
        except (ssl.SSLError, ConnectionError):
            return 0


def exchange(tls):
    """The status of one request over HTTP/2; 0 when the connection ends before."""
    connection = h2.connection.H2Connection()
    connection.initiate_connection()
    fields = [(":method", "GET"), (":scheme", "https"), (":authority", "only.test"), (":path", "/")]
    connection.send_headers(1, fields, end_stream=True)
    tls.sendall(connection.data_to_send())
    while received := tls.recv(65536):
        for event in connection.receive_data(received):
            if isinstance(event, h2.events.ResponseReceived):
                return int(dict(event.headers)[b":status"])
        tls.sendall(connection.data_to_send())
    return 0


def by_node(port, root, shown):
    said = run("node", "-e", NODE, root, port, *(shown or [])).stdout.strip()
    return int(said) if said.isdigit() else 0


CLIENTS = pytest.mark.parametrize("client", [by_curl, by_python, by_h2, by_node])


@CLIENTS
@pytest.mark.parametrize(
    "mode, shown, status",
    [
        # 404 is the rule's own answer: the request was let in.
        ("REQUIRE", "good", 404),
        ("REQUIRE", "unmapped", 403),
        ("REQUIRE", "none", 0),
        ("REQUIRE", "theirs", 0),
        ("REQUIRE", "server", 0),
        ("REQUIRE", "double", 0),
        ("REQUEST", "good", 404),
        ("REQUEST", "unmapped", 403),
        ("REQUEST", "none", 403),
        ("REQUEST", "double", 0),
    ],
)
def test_a_certificate_lets_its_holder_in_and_nobody_else(world, client, mode, shown, status):
    _, ports, roots, certificates = world
    assert client(ports[mode], roots[mode], certificates[shown]) == status


def test_records_have_the_names_of_the_certificate(world):
    folders, ports, roots, certificates = world
    assert by_curl(ports["REQUIRE"], roots["REQUIRE"], certificates["good"]) == 404
    records = folders["REQUIRE"] / "access.jsonl"

    def known():
        lines = records.read_text().splitlines() if records.exists() else []
        found = [json.loads(line) for line in lines]
        return [record for record in found if record["callerPrincipal"] == CHECKOUT]

    record = eventually(known, "a record of the caller")[0]
    assert record["callerX509SubjectCN"] == "checkout" and record["callerX509SANURI"] == WORKLOAD
    assert record["callerX509SANDNS"] == record["callerX509IssuerOU"] == "-"


@pytest.mark.parametrize(
    "mode, shown, code, said",
    [
        ("REQUIRE", "good", 0, f"{CHECKOUT}, as the client certificate shows"),
        ("REQUIRE", "unmapped", 1, "anonymous, without a signature"),
        ("REQUIRE", "none", 1, "the service requires a client certificate and the client shows none"),
        ("REQUIRE", "theirs", 1, "the service does not accept the client certificate"),
        ("REQUIRE", "double", 1, "it has several URIs, one of them a SPIFFE ID"),
        ("REQUEST", "none", 1, "anonymous, without a signature"),
    ],
)
def test_explanations_and_tests_suppose_certificates(world, tmp_path, mode, shown, code, said):
    folders, ports, _, certificates = world
    config, url = folders[mode] / "trellis.json", f"https://only.test:{ports[mode]}/"
    shows = certificates[shown] and certificates[shown][0]
    options = ["--client-certificate", shows] if shows else []
    done = trellis("explain", "--config", config, *options, url)
    assert done.returncode == code and said in done.stdout, done.stdout + done.stderr

    request = {"url": url, **({"clientCertificate": str(shows)} if shows else {})}
    outcome = "fixedResponse" if code == 0 else "unanswered" if "certificate" in said or "URIs" in said else "refused"
    tests = tmp_path / "tests.json"
    for expected, result in [(outcome, 0), ("forwarded", 1)]:
        tests.write_text(json.dumps({"tests": [{"name": "a request", "request": request, "expect": {"outcome": expected}}]}))
        done = trellis("test", "--config", config, tests)
        assert done.returncode == result, done.stdout + done.stderr


def test_a_certificate_that_cannot_be_read_is_a_mistake_of_the_command_line(world, tmp_path):
    folders, ports, _, _ = world
    config, url = folders["REQUIRE"] / "trellis.json", f"https://only.test:{ports['REQUIRE']}/"
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for path, said in [(tmp_path / "nowhere.pem", "cannot read"), (empty, "holds no certificate")]:
        done = trellis("explain", "--config", config, "--client-certificate", path, url)
        assert done.returncode == 2 and said in done.stderr, done.stderr


def test_a_file_of_authorities_that_cannot_be_used_is_a_problem_with_place_and_hint(tmp_path):
    leaf, _ = Authority(tmp_path, "one").issue("checkout", *SPIFFE)
    document = {
        "account": ACCOUNT, "region": "us-west-2", "principals": {"trustStores": [{"name": "workloads", "caFile": str(leaf)}]},
    }
    config = tmp_path / "trellis.json"
    config.write_text(json.dumps(document))
    done = trellis("validate", "--config", config)
    told = done.stdout + done.stderr
    assert done.returncode != 0 and "principals.trustStores[0].caFile: the file holds the certificate of no authority, as number 1" in told, told
    assert "hint: certificates of authorities, which have `CA:TRUE`" in told, told
