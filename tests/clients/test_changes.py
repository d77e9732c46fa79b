"""Files change under a running gateway, well and badly, and the process itself is stopped, killed and signalled."""

import json
import os
import shutil
import signal
import threading

import pytest

from conftest import echo, free_port
from operating import PATIENCE, answer, document, eventually, gateway, running, taken, trellis, write


def status_becomes(running, wanted):
    eventually(lambda: running.request()[0] == wanted, f"status {wanted}")


def in_place(config, text):
    config.write_text(text)


def in_two_steps(config, text):
    with config.open("w") as file:
        file.write(text[: len(text) // 2])
        file.flush()
        file.write(text[len(text) // 2 :])


def by_renaming(config, text):
    new = config.with_name("trellis.json.new")
    new.write_text(text)
    new.rename(config)


def with_a_backup(config, text):
    """As vim does it: the old file is moved away, then a new one is written."""
    config.rename(config.with_name("trellis.json~"))
    config.write_text(text)


def with_a_gap(config, text):
    config.unlink()
    config.write_text(text)


@pytest.mark.parametrize("save", [in_place, in_two_steps, by_renaming, with_a_backup, with_a_gap])
def test_a_saved_file_is_taken_up(tmp_path, save):
    with gateway(tmp_path) as running:
        assert running.request()[0] == 404
        save(running.config, json.dumps(running.document(answer(500))))
        status_becomes(running, 500)
        assert running.metric("gateway_config_last_reload_successful") == 1


def release(folder, name, document):
    """What Kubernetes does with a ConfigMap: a new folder, and a link that is swapped in one step."""
    (folder / name).mkdir()
    write(folder / name / "trellis.json", document)
    (folder / "..data_tmp").symlink_to(name)
    (folder / "..data_tmp").rename(folder / "..data")


@pytest.mark.parametrize("named", ["trellis.json", ""])
def test_a_config_map_is_taken_up(tmp_path, named):
    port, admin = free_port(), free_port()
    mounted, state = tmp_path / "mounted", tmp_path / "state"
    mounted.mkdir()
    data_dir = {"gateway": {"admin": f"127.0.0.1:{admin}", "dataDir": str(state)}}
    release(mounted, "..first", document(port, admin, answer(404), **data_dir))
    (mounted / "trellis.json").symlink_to("..data/trellis.json")
    with running(mounted / named, port, admin) as gateway:
        assert gateway.request()[0] == 404
        release(mounted, "..second", document(port, admin, answer(500), **data_dir))
        shutil.rmtree(mounted / "..first")
        status_becomes(gateway, 500)
        release(mounted, "..third", document(port, admin, answer(404), **data_dir))
        status_becomes(gateway, 404)


def linked(folder, new):
    (folder / "next").symlink_to(new)
    (folder / "next").rename(folder / "current")


def replaced(folder, new):
    (folder / "current").rename(folder / "before")
    (folder / new).rename(folder / "current")


@pytest.mark.parametrize("deploy", [linked, replaced])
def test_a_folder_replaced_as_a_whole_is_taken_up(tmp_path, deploy):
    port, admin = free_port(), free_port()
    data_dir = {"gateway": {"admin": f"127.0.0.1:{admin}", "dataDir": str(tmp_path / "data")}}
    for name, status in (("one", 404), ("two", 500)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "trellis.json", document(port, admin, answer(status), **data_dir))
    if deploy is linked:
        linked(tmp_path, "one")
    else:
        (tmp_path / "one").rename(tmp_path / "current")
    with running(tmp_path / "current", port, admin) as gateway:
        assert gateway.request()[0] == 404
        deploy(tmp_path, "two")
        status_becomes(gateway, 500)


def broken(_):
    return "{"


def of_another_shape(running):
    return json.dumps(running.document(services="all"))


def with_a_contradiction(running):
    changed = running.document(answer(500))
    changed["serviceNetworks"][0]["serviceAssociations"].append({"serviceIdentifier": "nobody"})
    return json.dumps(changed)


def with_a_bad_policy(running):
    changed = running.document(answer(500))
    changed["services"][0].update(authType="AWS_IAM", authPolicy={"Statement": [{"Effect": "Alow"}]})
    return json.dumps(changed)


def with_records_nowhere(running):
    subscription = {"resourceIdentifier": "only", "destination": {"file": "./nowhere/access.jsonl"}}
    return json.dumps(running.document(answer(500), accessLogSubscriptions=[subscription]))


@pytest.mark.parametrize(
    "change", [broken, of_another_shape, with_a_contradiction, with_a_bad_policy, with_records_nowhere]
)
def test_a_bad_change_leaves_the_running_configuration_alone(tmp_path, change):
    with gateway(tmp_path) as running:
        assert running.rejected == 0
        running.config.write_text(change(running))
        eventually(lambda: running.rejected == 1, "the change is refused")
        assert running.request()[0] == 404
        assert running.generation == 1
        assert running.metric("gateway_config_last_reload_successful") == 0
        assert running.metric("gateway_config_errors") >= 1
        assert running.page("/readyz").startswith("ready")
        log = running.log.read_text()
        assert "trellis.json:" in log and "configuration rejected" in log
        # Repaired, it runs.
        write(running.config, running.document(answer(500)))
        status_becomes(running, 500)
        assert running.metric("gateway_config_last_reload_successful") == 1
        assert running.metric("gateway_config_errors") == 0


def test_a_change_that_wants_a_port_in_use_is_refused_whole(tmp_path):
    with gateway(tmp_path) as running, taken() as port:
        changed = running.document(answer(500))
        more = {**changed["services"][0]["listeners"][0], "name": "more", "port": port}
        changed["services"][0]["listeners"].append(more)
        write(running.config, changed)
        eventually(lambda: running.rejected == 1, "the change is refused")
        assert running.request()[0] == 404
        # Counted first, logged then.
        reason = f"cannot listen on 127.0.0.1:{port} for listener `more` of service `only`"
        eventually(lambda: reason in running.log.read_text(), "the reason is logged")
        assert running.metric("gateway_listener_failures_total") == 1


def test_a_file_that_vanishes_changes_nothing(tmp_path):
    with gateway(tmp_path) as running:
        running.config.unlink()
        eventually(lambda: running.rejected >= 1, "the change is refused")
        assert running.request()[0] == 404
        write(running.config, running.document(answer(500)))
        status_becomes(running, 500)


def test_a_policy_file_that_changes_is_taken_up(tmp_path):
    statement = {"Effect": "Allow", "Principal": "*", "Action": "vpc-lattice-svcs:Invoke", "Resource": "*"}
    policy = tmp_path / "policy.json"
    write(policy, {"Statement": [statement]})
    with gateway(tmp_path) as running:
        guarded = running.document()
        guarded["services"][0].update(authType="AWS_IAM", authPolicy={"file": "policy.json"})
        write(running.config, guarded)
        eventually(lambda: running.generation == 2, "the policy counts")
        assert running.request()[0] == 404
        write(policy, {"Statement": [{**statement, "Effect": "Deny"}]})
        status_becomes(running, 403)


def test_a_storm_of_hangups_does_no_harm(tmp_path):
    with gateway(tmp_path) as running:
        for _ in range(300):
            running.signal(signal.SIGHUP)
            assert running.request()[0] == 404
        # In one step: a reload that reads half a document would rightly refuse it.
        complete = tmp_path / "complete.tmp"
        write(complete, running.document(answer(500)))
        complete.rename(running.config)
        status_becomes(running, 500)
        assert running.rejected == 0


def test_killed_in_the_middle_it_starts_again_with_the_same_root(tmp_path):
    subscription = {"resourceIdentifier": "only", "destination": {"file": "./access.jsonl"}}
    with gateway(tmp_path, accessLogSubscriptions=[subscription]) as first:
        root = (tmp_path / "data" / "ca" / "root.pem").read_bytes()
        stop = threading.Event()

        def load():
            while not stop.is_set():
                try:
                    first.request("/before")
                except OSError:
                    return

        clients = [threading.Thread(target=load) for _ in range(3)]
        for client in clients:
            client.start()
        records = tmp_path / "access.jsonl"
        eventually(lambda: records.exists() and records.stat().st_size > 0, "a record")
        first.child.kill()
        first.child.wait()
        stop.set()
        for client in clients:
            client.join()
        with running(first.config, first.port, first.admin) as second:
            assert second.request("/after")[0] == 404
            assert (tmp_path / "data" / "ca" / "root.pem").read_bytes() == root
            assert second.stop() == 0
    # Every line is whole: whatever the kill cut in two was ended.
    lines = records.read_text().splitlines()
    whole = []
    for line in lines:
        try:
            whole.append(json.loads(line)["requestPath"])
        except json.JSONDecodeError:
            assert line.startswith('{"serviceNetworkArn":"arn:'), line
    assert whole[-1] == "/after"
    assert "/before" in whole


def test_two_gateways_on_one_data_folder_have_one_root(tmp_path):
    with gateway(tmp_path) as one:
        port, admin = free_port(), free_port()
        write(tmp_path / "other.json", document(port, admin))
        root = (tmp_path / "data" / "ca" / "root.pem").read_bytes()
        with running(tmp_path / "other.json", port, admin) as other:
            assert one.request()[0] == other.request()[0] == 404
            assert (tmp_path / "data" / "ca" / "root.pem").read_bytes() == root
        # The very same configuration a second time is refused, although the kernel would let two processes share a port.
        done = trellis("serve", "--config", one.config)
        assert done.returncode == 2
        assert "the address is in use" in done.stderr
        assert one.request()[0] == 404


def test_told_to_stop_it_finishes_what_runs(tmp_path):
    with echo("slow") as port:
        groups = [
            {
                "name": "slow",
                "type": "IP",
                "config": {"protocol": "HTTP", "port": port, "vpcIdentifier": "main"},
                "targets": [{"id": "127.0.0.1"}],
            }
        ]
        forward = {"forward": {"targetGroups": [{"targetGroupIdentifier": "slow"}]}}
        with gateway(tmp_path, action=forward, targetGroups=groups) as running:
            answers = []
            client = threading.Thread(target=lambda: answers.append(running.request("/?delay=1500ms")[0]))
            client.start()
            eventually(lambda: running.metric("gateway_requests_in_flight") == 1, "the request is in flight")
            running.signal(signal.SIGTERM)
            eventually(lambda: refuses(running), "no new connections")
            client.join(PATIENCE)
            assert answers == [200]
            assert running.child.wait(PATIENCE) == 0


def refuses(running):
    try:
        running.request(timeout=1)
    except OSError:
        return True
    return False


def test_records_survive_rotation_and_stop(tmp_path):
    subscription = {"resourceIdentifier": "only", "destination": {"file": "./access.jsonl"}}
    with gateway(tmp_path, accessLogSubscriptions=[subscription]) as running:
        current, old = tmp_path / "access.jsonl", tmp_path / "access.jsonl.1"
        for number in range(40):
            running.request(f"/{number}")
        current.rename(old)
        for number in range(40, 60):
            running.request(f"/{number}")
        running.signal(signal.SIGHUP)
        eventually(current.exists, "the file is opened again")
        for number in range(60, 100):
            running.request(f"/{number}")
        assert running.stop() == 0
    lines = old.read_text().splitlines() + current.read_text().splitlines()
    assert [json.loads(line)["requestPath"] for line in lines] == [f"/{number}" for number in range(100)]
    assert os.stat(current).st_mode & 0o777 == 0o640


def test_records_go_to_standard_output_and_the_log_does_not(tmp_path):
    subscription = {"resourceIdentifier": "only", "destination": "stdout"}
    with (tmp_path / "out").open("w") as out, gateway(
        tmp_path, "--log-format", "json", stdout=out, accessLogSubscriptions=[subscription]
    ) as running:
        for number in range(20):
            running.request(f"/{number}")
        assert running.stop() == 0
        log = running.log.read_text().splitlines()
    lines = (tmp_path / "out").read_text().splitlines()
    assert [json.loads(line)["requestPath"] for line in lines] == [f"/{number}" for number in range(20)]
    assert all("level" in json.loads(line) for line in log)


def test_a_full_disk_is_told_and_holds_nobody_up(tmp_path):
    subscription = {"resourceIdentifier": "only", "destination": {"file": "/dev/full"}}
    with gateway(tmp_path, accessLogSubscriptions=[subscription]) as running:
        for _ in range(20):
            assert running.request()[0] == 404
        eventually(lambda: running.metric("gateway_access_record_write_errors_total") > 0, "the metric says so")
        assert "access records cannot be written" in running.log.read_text()
        assert "no space is left" in running.log.read_text()
        assert running.metric("gateway_access_records_written_total") == 0
        assert running.request()[0] == 404
