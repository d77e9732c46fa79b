"""A gateway that cannot run says why, all of it at once, and exits with code 2: it never starts by halves."""

import json
import pathlib

import pytest

from conftest import free_port, run
from operating import document, taken, trellis, write

LEAF = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def certificate(folder, name, domain, days=30):
    """A certificate that signs itself, made by openssl, as `name.pem` and `name.key`."""
    run(
        "openssl", "req", "-x509", *LEAF, "-days", days, "-subj", f"/CN={domain}", "-addext", f"subjectAltName=DNS:{domain}",
        "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem",
    )


def service(document):
    return document["services"][0]


def listener(document):
    return service(document)["listeners"][0]


def with_certificate(certificate, key):
    def change(document, _):
        service(document)["certificate"] = {"certificateFile": certificate, "privateKeyFile": key}

    return change


def set_gateway(**members):
    return lambda document, _: document["gateway"].update(members)


def set_service(**members):
    return lambda document, _: service(document).update(members)


def records_to(destination):
    def change(document, _):
        document["accessLogSubscriptions"] = [{"resourceIdentifier": "only", "destination": destination}]

    return change


def user(*keys):
    def change(document, _):
        document["principals"] = {"users": [{"name": "caller", "accessKeys": list(keys)}]}

    return change


def port_in_use(document, port):
    listener(document)["port"] = port


def admin_in_use(document, port):
    document["gateway"]["admin"] = f"127.0.0.1:{port}"


def dns_in_use(document, port):
    document["gateway"]["dns"] = {"listen": [f"127.0.0.1:{port}"]}


def several_in_use(document, port):
    for use in (port_in_use, admin_in_use, dns_in_use):
        use(document, port)


def duplicates(document, _):
    document["services"].append(dict(service(document)))
    listener(document)["rules"] = [
        {"name": name, "priority": 7, "match": {"httpMatch": {}}, "action": {"fixedResponse": {"statusCode": 404}}}
        for name in ("first", "second")
    ]


def contradictions(document, _):
    document["serviceNetworks"].append(
        {"name": "another", "vpcAssociations": [{"vpcIdentifier": "main"}], "serviceAssociations": [{"serviceIdentifier": "onyl"}]}
    )


def everything_at_once(document, port):
    port_in_use(document, port)
    document["gateway"]["workers"] = 0
    set_service(authType="AWS_IAM", authPolicy={"Statement": [{"Effect": "Alow"}]})(document, port)
    with_certificate("missing.pem", "missing.key")(document, port)
    document["vpc"] = []


IN_USE = "the address is in use"

# What is wrong, and what the report must say of it.
REFUSED = {
    "a port in use": (port_in_use, ["cannot listen on 127.0.0.1:PORT for listener `http` of service `only`: " + IN_USE, "hint: "]),
    "an admin port in use": (admin_in_use, ["trellis.json:5: gateway.admin: cannot listen on 127.0.0.1:PORT: " + IN_USE]),
    "a DNS port in use": (dns_in_use, ["gateway.dns.listen: ", IN_USE]),
    "all of them in use": (several_in_use, ["for listener `http`", "gateway.admin: ", "gateway.dns.listen: "]),
    "an admin address that is none": (set_gateway(admin="9901"), ["gateway.admin: `9901` is not an IP address and port"]),
    "an address of another machine": (set_gateway(admin="192.0.2.1:9901"), ["gateway.admin: ", "no interface of this machine"]),
    "a data folder below a file": (set_gateway(dataDir="./a-file"), ["trellis.json:6: gateway.dataDir: ", "not a folder"]),
    "a data folder that cannot be made": (set_gateway(dataDir="/proc/trellis"), ["gateway.dataDir: cannot write", "`--data-dir` names one too"]),
    "an empty CA": (set_gateway(dataDir="./empty"), ["gateway.dataDir: ", "holds no certificate", "restore it, or remove it"]),
    "a CA cut short": (set_gateway(dataDir="./cut"), ["gateway.dataDir: ", "restore it, or remove it"]),
    "a CA that is a folder": (set_gateway(dataDir="./folder"), ["gateway.dataDir: cannot read", "it is a folder"]),
    "a secret not in the environment": (
        user({"id": "AK", "secret": {"env": "NOT_THERE"}}),
        ["accessKeys[0].secret.env: environment variable `NOT_THERE` is not set"],
    ),
    "a secret file that is missing": (
        user({"id": "AK", "secret": {"file": "nowhere"}}),
        ["accessKeys[0].secret.file: cannot read `", "nowhere`: there is no such file"],
    ),
    "a secret file that is a folder": (user({"id": "AK", "secret": {"file": "folder"}}), ["secret.file: ", "it is a folder"]),
    "a secret that is no text": (user({"id": "AK", "secret": {"file": "bytes"}}), ["secret.file: ", "line 2 is not UTF-8 text"]),
    "a secret in the document": (user({"id": "AK", "secret": "hunter2"}), ["accessKeys[0].secret: this does not fit here"]),
    "certificate and key of two": (with_certificate("right.pem", "other.key"), ["services[0].certificate: ", "right.pem` does not belong to the key"]),
    "a certificate of another domain": (
        with_certificate("other.pem", "other.key"),
        ["services[0].certificate: ", "does not cover `only.test`", "it is for `other.test`"],
    ),
    "a certificate that is missing": (with_certificate("no.pem", "right.key"), ["cannot read the certificate file", "no such file"]),
    "a certificate that is a folder": (with_certificate("folder", "right.key"), ["it is not a file"]),
    "a certificate that is none": (with_certificate("a-file", "right.key"), ["services[0].certificate: the certificate file `"]),
    "records into a folder that is missing": (
        records_to({"file": "./nowhere/access.jsonl"}),
        ["accessLogSubscriptions[0].destination: access records cannot be written to `", "no such file or folder"],
    ),
    "records into a folder": (records_to({"file": "."}), ["accessLogSubscriptions[0].destination: ", "it is a folder"]),
    "a policy that is none": (
        set_service(authType="AWS_IAM", authPolicy={"file": "policy.json"}),
        ["policy.json:3: Statement[0].Effect: `Alow` is not an effect"],
    ),
    "duplicates": (duplicates, ['services[1].name: "only" is taken by services[0]', 'priority: 7 is taken by rule "first"']),
    "contradictions": (
        contradictions,
        ["VPC `main` is in service network `everything` already", "no service `onyl` in account", "did you mean `only`?"],
    ),
    "documents, policies and certificates at once": (
        everything_at_once,
        ["gateway.workers: 0 is not", "`Alow` is not an effect", "missing.pem`", "unknown key `vpc`", "did you mean `vpcs`?"],
    ),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What the documents above name."""
    folder = tmp_path_factory.mktemp("files")
    certificate(folder, "right", "only.test")
    certificate(folder, "other", "other.test")
    (folder / "a-file").write_text("not a certificate\n")
    (folder / "bytes").write_bytes(b"secret\n\xff")
    (folder / "folder" / "ca" / "root.pem").mkdir(parents=True)
    (folder / "policy.json").write_text('{\n"Statement": [\n{"Effect": "Alow", "Principal": "*", "Action": "*", "Resource": "*"}]}')
    made = trellis("ca", "--data-dir", folder / "cut")
    assert made.returncode == 0, made.stderr
    root = folder / "cut" / "ca" / "root.pem"
    root.write_bytes(root.read_bytes()[:700])
    (folder / "empty" / "ca").mkdir(parents=True)
    (folder / "empty" / "ca" / "root.pem").touch()
    return folder


@pytest.mark.parametrize("case", REFUSED)
def test_it_does_not_start_and_says_why(files, case):
    change, wanted = REFUSED[case]
    config = files / "trellis.json"
    with taken() as port:
        wrong = document(free_port(), free_port())
        change(wrong, port)
        write(config, wrong)
        done = trellis("serve", "--config", config)
        report = done.stderr
    assert done.returncode == 2, report
    for part in wanted:
        assert part.replace("PORT", str(port)) in report, report
    # Our words, not those of the language or the system; no secret; nothing that panicked.
    for part in ("os error", "Os {", "panicked", "hunter2", "Error("):
        assert part not in report, report
    assert done.stdout == ""


@pytest.mark.parametrize("options, wanted", [
    (["--admin", "nowhere"], "invalid value 'nowhere' for '--admin"),
    (["--workers", "0"], "invalid value '0' for '--workers"),
    (["--log-level", "verbose"], "`verbose` is not a level of the log"),
    (["--log-level", "a=b=c"], "log filter `a=b=c` is not understood"),
    (["--colour"], "unexpected argument '--colour'"),
])
def test_a_wrong_option_is_refused(tmp_path, options, wanted):
    write(tmp_path / "trellis.json", document(free_port(), free_port()))
    done = trellis("serve", "--config", tmp_path / "trellis.json", *options)
    assert done.returncode == 2, done.stderr
    assert wanted in done.stderr


# Whole files, by what is in them: YAML's traps, other encodings, other formats.
DOCUMENTS = {
    "nothing.yaml": (b"", ["no file names the region", "no file names the account"]),
    "tabs.yaml": (b"gateway:\n\tworkers: 1\n", ["tabs.yaml:2: tabs disallowed"]),
    "two.yaml": (b"region: us-west-2\n---\nregion: us-west-2\n", ["two.yaml:2: a second document in one file"]),
    "twice.yaml": (b"region: us-west-2\nregion: us-east-1\n", ["twice.yaml:2: region: this key appears twice"]),
    "wide.yaml": ("account: x\n".encode("utf-16"), ["line 1 is not UTF-8 text"]),
    "latin.yaml": (b"# fine\n# caf\xe9\n", ["line 2 is not UTF-8 text"]),
    "booleans.yaml": (
        b"targetGroups: [{name: abc, type: IP, config: {protocol: HTTP, vpcIdentifier: v, healthCheck: {enabled: yes}}}]\n",
        ["healthCheck.enabled: `yes` is not `true` or `false`"],
    ),
    "floats.yaml": (b"gateway: {workers: 1e3}\n", ["gateway.workers: `1e3` is not a whole number"]),
    "short.yaml": (b"account: 11112222333\n", ["account: `11112222333` is not an account id of 12 digits"]),
    "number.json": (b'{"account": 111122223333}', ["account: `111122223333` is a number, not a text", "quotes around it"]),
    "comma.json": (b'{"region": "us-west-2",}', ["comma.json:1: expected a key in double quotes"]),
    "open.json": (b'{"region": "us-west-2"', ["open.json:1: the text ends where an object should go on"]),
    "trellis.toml": (b"region = 1\n", ["neither YAML nor JSON", "`.yaml`, `.yml` or `.json`"]),
    "bomb.yaml": (
        b"a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + b"".join(b"%c: &%c [%s]\n" % (to, to, b", ".join([b"*%c" % of] * 10)) for of, to in zip(b"abcdefg", b"bcdefgh")),
        ["aliases repeat too much"],
    ),
    "deep.yaml": (b"[" * 5000, ["deep.yaml:1: recursion limit exceeded"]),
    "colours.yaml": (b'services: [{name: "\\e[31mred"}]\n', ["services[0].name: `\\u{1b}[31mred` is not a name"]),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_refused_with_its_line(tmp_path, name):
    text, wanted = DOCUMENTS[name]
    (tmp_path / name).write_bytes(text)
    done = trellis("validate", "--config", name, cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    for part in wanted:
        assert part in done.stdout, done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("account", ["111122223333", "'111122223333'", "000122223333", "000000000012"])
def test_an_account_may_be_written_without_quotes_in_yaml(tmp_path, account):
    text = f"\ufeffaccount: {account}\r\nregion: us-west-2\r\n"
    (tmp_path / "trellis.yaml").write_text(text, newline="")
    done = trellis("validate", "--config", tmp_path / "trellis.yaml")
    assert done.returncode == 0, done.stdout


def test_a_folder_is_read_without_what_editors_leave_in_it(tmp_path):
    (tmp_path / "main.yaml").write_text("account: '111122223333'\nregion: us-west-2\n")
    for leftover in ("main.yaml~", "#main.yaml#", ".main.yaml.swp", ".hidden.yaml", "main.yaml.bak", "4913", "notes.md"):
        (tmp_path / leftover).write_text("{{{{")
    for below in ("policies", "folder.yaml"):
        (tmp_path / below).mkdir()
        (tmp_path / below / "x.yaml").write_text("{{{{")
    done = trellis("validate", "--config", tmp_path)
    assert done.returncode == 0, done.stdout
    (tmp_path / "more.yml").symlink_to(pathlib.Path("nowhere"))
    (tmp_path / "wrong.json").write_text("{{{{")
    done = trellis("validate", "--config", tmp_path)
    assert done.returncode == 2
    assert "wrong.json:1: " in done.stdout


def test_a_document_may_come_from_standard_input(tmp_path):
    (tmp_path / "policy.json").write_text('{"Statement": [{"Effect": "Alow", "Principal": "*", "Action": "*", "Resource": "*"}]}')
    good = document(free_port(), free_port())
    done = trellis("validate", "--config", "-", cwd=tmp_path, stdin=json.dumps(good))
    assert (done.returncode, done.stdout.split(":")[0]) == (0, "valid"), done.stdout
    url = f"http://only.test:{listener(good)['port']}/"
    done = trellis("explain", "--config", "-", url, cwd=tmp_path, stdin=json.dumps(good))
    assert done.returncode == 0, done.stderr
    # Files are named relative to the folder that the command runs in.
    set_service(authType="AWS_IAM", authPolicy={"file": "policy.json"})(good, None)
    done = trellis("validate", "--config", "-", cwd=tmp_path, stdin=json.dumps(good))
    assert done.returncode == 2
    assert "policy.json:1: Statement[0].Effect: `Alow` is not an effect" in done.stdout
    assert done.stdout.endswith("1 problem in standard input\n")
    done = trellis("validate", "--config", "-", cwd=tmp_path, stdin="region: us-west-2\nacount: 1\n")
    assert "stdin.yaml:2: acount: unknown key `acount`" in done.stdout, done.stdout


def test_standard_input_cannot_be_watched():
    done = trellis("serve", "--config", "-", stdin="region: us-west-2\n")
    assert done.returncode == 2
    assert done.stderr == "-: standard input can be read once only, not watched\n"


def test_a_document_that_cannot_be_read_does_not_hide_the_others(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xff")
    (tmp_path / "b.yaml").write_text("account: '111122223333'\nregion: us-west-2\nservice: []\n")
    done = trellis("validate", "--config", tmp_path)
    assert done.returncode == 2
    for part in ("a.yaml: cannot be read: line 1 is not UTF-8 text", "b.yaml:3: service: unknown key `service`", "2 problems in "):
        assert part in done.stdout, done.stdout


def test_warnings_do_not_refuse(tmp_path):
    warned = document(free_port(), free_port())
    service(warned)["authPolicy"] = {"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}}
    write(tmp_path / "trellis.json", warned)
    done = trellis("validate", "--config", tmp_path / "trellis.json", "--output", "json")
    assert done.returncode == 0, done.stdout
    report = json.loads(done.stdout)
    assert report["valid"] is True
    assert [(problem["severity"], problem["path"]) for problem in report["problems"]] == [("warning", "services[0].authPolicy")]
    assert report["problems"][0]["line"] > 1


def test_the_root_can_be_had_without_the_secrets(tmp_path):
    secretive = document(free_port(), free_port())
    user({"id": "AK", "secret": {"env": "NOT_THERE"}})(secretive, None)
    write(tmp_path / "trellis.json", secretive)
    done = trellis("ca", "--config", tmp_path / "trellis.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("-----BEGIN CERTIFICATE-----")
    assert (tmp_path / "data" / "ca" / "root.pem").exists()
    # Where the data folder itself is in doubt, no CA is made in a wrong place.
    secretive["gateway"]["dataDirectory"] = secretive["gateway"].pop("dataDir")
    write(tmp_path / "trellis.json", secretive)
    done = trellis("ca", "--config", tmp_path / "trellis.json", cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert "unknown key `dataDirectory`" in done.stderr
    assert not (tmp_path / "trellis-data").exists()


def test_an_echo_on_a_port_in_use_is_refused():
    with taken() as port:
        done = trellis("echo", "--listen", f"127.0.0.1:{port}")
    assert done.returncode == 2
    assert done.stderr == f"trellis: cannot listen on `127.0.0.1:{port}`: the address is in use\n"
