"""Documentation that ages is worse than none: links lead somewhere, and what is named exists.

* A relative link in a page leads to a file, and its anchor to a heading.
* A path in backticks that begins with a folder of the project is there; `path::name` is a function or type in that file.
* An option after `trellis <command>` is one of that command's, a metric is one of the gateway's, a failure reason one of the records'.
* Configurations in the page on balancing are valid.
* Shell lines in the pages of the examples name the examples' own files, ports and hosts.
"""

import pathlib
import re
import subprocess

import pytest

from conftest import PROJECT, TRELLIS

PAGES = sorted(
    PROJECT / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()
    if (PROJECT / name).exists()
)
FOLDERS = sorted(path.name for path in PROJECT.iterdir() if path.is_dir() and path.name != "target")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def name_of(page):
    return str(page.relative_to(PROJECT))


def pages(*parts):
    """Parametrizes by page; of the changelog only the links count, because it speaks of what was."""
    found = [page for page in PAGES if not parts or any(part in name_of(page) for part in parts)]
    return pytest.mark.parametrize("page", found, ids=name_of)


def anchors(page):
    """The anchors of a page's headings, made as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)
    return set(plain)


def commands():
    """The options of every command, those of its own commands included, from the page that a Rust test keeps the same as the code."""
    text = (PROJECT / "docs" / "reference" / "cli.md").read_text()
    found = {}
    for title, body in re.findall(r"^## trellis ?([\w -]*)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL):
        options = set(re.findall(r"^\s+(?:-\w, )?(--[\w-]+)", body, re.MULTILINE)) | {"--help", "-h"}
        found.setdefault(title.split(" ")[0], set()).update(options)
    return found


def table_column(page, heading):
    """The first cells, in backticks, of the table under the line that begins with `heading`."""
    text = (PROJECT / page).read_text()
    _, after = text.split(heading, 1)
    return re.findall(r"^\| `([^`]+)` \|", after, re.MULTILINE)


COMMANDS = commands()
METRICS = set(table_column("docs/metrics.md", "| metric |"))
REASONS = set(
    re.findall(r'Self::\w+ => "(\w+)"', (PROJECT / "access-logs/src/record.rs").read_text().split("pub enum FailureReason")[1].split("pub enum ")[0])
)


def test_there_is_something_to_check():
    assert len(PAGES) > 10 and "serve" in COMMANDS and len(METRICS) > 30 and len(REASONS) == 9


@pages()
def test_links_lead_somewhere(page):
    text = FENCE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} leads nowhere"
        if anchor:
            assert anchor in anchors(file), f"{target} has no such heading"


@pages()
def test_files_and_names_in_them_exist(page):
    for token in CODE.findall(FENCE.sub("", page.read_text())):
        path, _, name = token.partition("::")
        if "/" not in path or path.split("/")[0] not in FOLDERS or re.search(r"[\s*{<…]", path):
            continue
        file = PROJECT / path
        assert file.exists(), f"`{token}`: no such file"
        if name:
            text = file.read_text()
            assert re.search(rf"\b(fn|def|struct|enum|const|trait|type) {re.escape(name)}\b", text), f"`{token}`: no such name"


@pages()
def test_options_exist(page):
    text = page.read_text()
    for command, rest in re.findall(r"\btrellis (\w[\w-]*)((?:[ \t]+(?:\\\n\s*)?[^\s`|&>]+)*)", text):
        for option in re.findall(r"(?<!\S)--?[a-z][\w-]*", rest):
            assert command in COMMANDS, f"`trellis {command}` does not exist"
            assert option in COMMANDS[command], f"`trellis {command} {option}` does not exist"
    for command in re.findall(r"`trellis (\w[\w-]*)", text):
        assert command in COMMANDS, f"`trellis {command}` does not exist"


@pages()
def test_metrics_exist(page):
    for name in re.findall(r"\bgateway_[a-z_]+[a-z]\b(?!\.)", page.read_text()):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        assert name in METRICS or base in METRICS, f"no metric `{name}`"


def test_every_failure_reason_is_explained():
    assert set(re.findall(r"^\| `(\w+)` \|", (PROJECT / "docs/access-records.md").read_text(), re.MULTILINE)) >= REASONS
    shooting = (PROJECT / "docs/troubleshooting.md").read_text()
    missing = [reason for reason in REASONS if f"`{reason}`" not in shooting]
    assert not missing


def test_every_page_of_docs_is_in_its_index():
    index = (PROJECT / "docs" / "README.md").read_text()
    for page in PAGES:
        name = name_of(page)
        if name.startswith("docs/") and name != "docs/README.md":
            assert f"]({name.removeprefix('docs/')})" in index, f"{name} is not in docs/README.md"


@pages("examples/")
def test_pages_of_examples_name_what_is_there(page):
    documents = "\n".join(file.read_text() for file in page.parent.glob("*.yaml"))
    for block in FENCE.findall(page.read_text()):
        for address in re.findall(r"127\.0\.0\.\d", block):
            assert address in documents, f"{address} is not in the example"
        for port in re.findall(r"(?<=:)\d{4,5}\b|(?<=-p )\d{4,5}\b", block):
            assert port in documents, f"port {port} is not in the example"
        for host in re.findall(r"[\w.-]+\.test\b", block):
            assert host in documents, f"{host} is not in the example"
        for config in re.findall(r"--config (\S+)", block):
            assert (PROJECT / config).exists(), f"{config} is not there"


BALANCING = re.findall(r"^```yaml\n(.*?)^```$", (PROJECT / "docs" / "balancing.md").read_text(), re.MULTILINE | re.DOTALL)


def test_there_are_configurations_on_balancing():
    assert len(BALANCING) >= 3


@pytest.mark.parametrize("part", BALANCING, ids=lambda part: re.search(r"name: (\S+)", part)[1])
def test_configurations_on_balancing_are_valid(part):
    """With the rest that a configuration needs, which the page leaves out."""
    rest = "account: '111122223333'\nregion: us-west-2\nvpcs: [{name: shop}]\n"
    rest += "" if "gateway:" in part else "gateway: {zone: us-west-2a}\n"
    done = subprocess.run(
        [TRELLIS, "validate", "--config", "-"], input=rest + part, capture_output=True, text=True,
        env={"STICKINESS_KEY": "a-key-of-thirty-two-characters-or-more"},
    )
    assert done.returncode == 0 and "warning" not in done.stdout + done.stderr, done.stdout + done.stderr


TRAFFIC = re.findall(r"^```yaml\n(.*?)^```$", (PROJECT / "docs" / "traffic.md").read_text(), re.MULTILINE | re.DOTALL)


def test_the_configuration_on_traffic_is_valid():
    """Both parts together, with the rest that a configuration needs, which the page leaves out."""
    assert [part.split(":")[0] for part in TRAFFIC] == ["services", "targetGroups"]
    rest = (
        "account: '111122223333'\nregion: us-west-2\nvpcs: [{name: shop, attachments: [{listen: [127.0.0.1]}]}]\n"
        "serviceNetworks:\n  - {name: commerce, vpcAssociations: [{vpcIdentifier: shop}], serviceAssociations: [{serviceIdentifier: orders}]}\n"
    )
    done = subprocess.run([TRELLIS, "validate", "--config", "-"], input=rest + "".join(TRAFFIC), capture_output=True, text=True)
    assert done.returncode == 0 and "warning" not in done.stdout + done.stderr, done.stdout + done.stderr
