"""Certificates as clients see them: those of the internal CA, and those of files that are replaced while the gateway runs."""

import http.client
import os
import re
import signal
import socket
import ssl
import subprocess

import pytest

from conftest import TRELLIS, free_port, run
from operating import answer, eventually, gateway, trellis, write

NODE = """
const https = require("https");
const [ca, port] = process.argv.slice(1);
const options = {host: "127.0.0.1", port, servername: "only.test", headers: {host: "only.test"}, ca: require("fs").readFileSync(ca)};
https.get(options, (answer) => { console.log(answer.statusCode); answer.resume(); }).on("error", (error) => console.log(error.code));
"""


def secure(port, **members):
    """A document whose one service answers 404 over TLS."""
    listener = {"name": "https", "protocol": "HTTPS", "port": port, "defaultAction": answer(404)}
    return [{"name": "only", "customDomainName": "only.test", "listeners": [listener], **members}]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A gateway whose service has a certificate of the internal CA, its port and a file with the root."""
    folder = tmp_path_factory.mktemp("certificates")
    port = free_port()
    with gateway(folder, services=secure(port)) as started:
        root = folder / "root.pem"
        root.write_text(trellis("ca", "--config", started.config).stdout)
        yield started, port, root


def presented(port, name):
    """What openssl says of the certificate presented for a name."""
    done = run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name, "-showcerts", stdin="", check=False)
    certificate = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", done.stdout, re.DOTALL)
    assert certificate, done.stdout + done.stderr
    fields = ("-subject", "-issuer", "-serial", "-ext", "subjectAltName,basicConstraints,keyUsage,extendedKeyUsage", "-checkend", 59 * 86400)
    return run("openssl", "x509", "-noout", *fields, stdin=certificate[0], check=False).stdout


def by_openssl(port, root, name):
    done = run(
        "openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name, "-verify_hostname", name,
        "-verify_return_error", "-CAfile", root, stdin="", check=False,
    )
    return "Verify return code: 0 (ok)" in done.stdout


def by_python(port, root, name):
    context = ssl.create_default_context(cafile=root)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=name) as tls:
                client = http.client.HTTPConnection(name)
                client.sock = tls
                client.request("GET", "/", headers={"Host": name})
                return client.getresponse().status == 404
        except ssl.SSLError:
            return False


def by_curl(port, root, name):
    done = run(
        "curl", "--silent", "--cacert", root, "--resolve", f"{name}:{port}:127.0.0.1", "--output", "/dev/null",
        "--write-out", "%{http_code}", f"https://{name}:{port}/", check=False,
    )
    return done.stdout == "404"


def by_node(port, root, name):
    script = NODE.replace("only.test", name)
    return run("node", "-e", script, root, port).stdout.strip() == "404"


@pytest.mark.parametrize("accepts", [by_openssl, by_python, by_curl, by_node])
def test_clients_with_the_root_accept_and_others_do_not(running, tmp_path, accepts):
    _, port, root = running
    assert accepts(port, root, "only.test")
    # The same client with the root of another gateway.
    other = tmp_path / "other.pem"
    other.write_text(trellis("ca", "--data-dir", tmp_path / "other").stdout)
    assert not accepts(port, other, "only.test")


def test_a_leaf_is_for_one_name_and_not_for_long(running):
    _, port, _ = running
    told = presented(port, "only.test")
    assert re.search(r"^subject=O = Trellis, CN = only.test$", told, re.MULTILINE), told
    assert "issuer=O = Trellis, CN = Trellis internal CA " in told
    assert re.search(r"Subject Alternative Name: ?\n +DNS:only.test\n", told), told
    assert "Digital Signature" in told and "TLS Web Server Authentication" in told
    assert "CA:TRUE" not in told
    # Ninety days, and never the last thirty of them.
    assert "Certificate will not expire" in told
    serial = re.search(r"serial=([0-9A-F]{32})", told)[1]
    assert serial != re.search(r"serial=([0-9A-F]{32})", trellis_root(running))[1]


def trellis_root(running):
    _, _, root = running
    return run("openssl", "x509", "-noout", "-serial", "-text", "-in", root).stdout


def test_the_root_may_sign_leaves_only(running):
    told = trellis_root(running)
    assert "CA:TRUE, pathlen:0" in told
    assert "Certificate Sign, CRL Sign" in told


def test_the_key_is_for_its_owner_only(running):
    started, _, _ = running
    folder = started.folder / "data" / "ca"
    modes = {entry.name: entry.stat().st_mode & 0o777 for entry in folder.iterdir()}
    assert modes.pop("root.pem") == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in modes:
        assert "PRIVATE KEY" not in (folder / name).read_text(), name


def test_a_key_that_others_may_read_is_warned_of(tmp_path):
    made = trellis("ca", "--data-dir", tmp_path / "data")
    assert made.returncode == 0
    os.chmod(tmp_path / "data" / "ca" / "root.pem", 0o644)
    with gateway(tmp_path) as started:
        # Problems are told once the gateway is ready.
        eventually(lambda: "others than its owner may use it" in started.log.read_text(), "the warning")


def test_those_who_start_at_once_have_one_root(tmp_path):
    command = [TRELLIS, "ca", "--data-dir", str(tmp_path / "data")]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(12)]
    roots = {child.communicate(timeout=60)[0] for child in children}
    assert [child.returncode for child in children] == [0] * 12
    assert len(roots) == 1
    assert os.listdir(tmp_path / "data" / "ca") == ["root.pem"]


def issue(folder, number, domain="only.test", days=30):
    """Puts certificate and key for a domain where the document has them; gives its serial number."""
    run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", days,
        "-set_serial", number, "-subj", f"/CN={domain}", "-addext", f"subjectAltName=DNS:{domain}",
        "-keyout", folder / "new.key", "-out", folder / "new.pem",
    )
    (folder / "new.key").rename(folder / "site.key")
    (folder / "new.pem").rename(folder / "site.pem")


FILES = {"certificateFile": "site.pem", "privateKeyFile": "site.key"}


def serial(port):
    return int(re.search(r"serial=([0-9A-F]+)", presented(port, "only.test"))[1], 16)


def test_replaced_files_are_presented_and_bad_ones_are_not(tmp_path):
    issue(tmp_path, 1001)
    port = free_port()
    with gateway(tmp_path, services=secure(port, certificate=FILES)) as started:
        assert serial(port) == 1001
        issue(tmp_path, 1002)
        started.signal(signal.SIGHUP)
        eventually(lambda: serial(port) == 1002, "the new certificate")
        # For another domain: refused, told, counted; the one before stays. The files are looked at without any signal.
        issue(tmp_path, 1003, domain="other.test")
        failed = 'gateway_certificate_loads_total{outcome="failed"}'
        eventually(lambda: started.metric(failed) >= 1, "the bad certificate is counted")
        assert serial(port) == 1002
        assert "does not cover `only.test`" in started.log.read_text()
        issue(tmp_path, 1004)
        eventually(lambda: serial(port) == 1004, "the repaired certificate")
        assert started.metric('gateway_certificate_loads_total{outcome="loaded"}') >= 2


@pytest.mark.parametrize("days, told", [(3, "expires in 2 days"), (-1, "has expired")])
def test_a_certificate_near_or_past_its_end_is_warned_of(tmp_path, days, told):
    # OpenSSL 3.0 makes no certificate that ended before it began, so one that has expired is signed with dates of its own.
    if days > 0:
        issue(tmp_path, 7, days=days)
    else:
        expired(tmp_path)
    with gateway(tmp_path, services=secure(free_port(), certificate=FILES)) as started:
        assert told in started.log.read_text()
    done = trellis("validate", "--config", tmp_path / "trellis.json")
    assert done.returncode == 0 and told in done.stdout, done.stdout


def expired(folder):
    (folder / "index").touch()
    write(
        folder / "ca.cnf",
        "[ca]\ndefault_ca = d\n[d]\ndatabase = index\nnew_certs_dir = .\nserial = serial\ndefault_md = sha256\npolicy = p\n"
        "x509_extensions = e\n[p]\ncommonName = supplied\n[e]\nsubjectAltName = DNS:only.test\n",
    )
    (folder / "serial").write_text("07\n")
    openssl = lambda *rest: subprocess.run(["openssl", *rest], cwd=folder, check=True, capture_output=True)
    openssl(
        "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=only.test",
        "-keyout", "site.key", "-out", "request.pem",
    )
    openssl(
        "ca", "-config", "ca.cnf", "-selfsign", "-batch", "-notext", "-keyfile", "site.key", "-in", "request.pem",
        "-startdate", "20200101000000Z", "-enddate", "20210101000000Z", "-out", "site.pem",
    )
