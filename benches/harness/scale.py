"""How Trellis grows: with the number of services, and with the number of connections that do nothing."""

import contextlib
import json
import resource
import socket
import time

from . import load
from .processes import HOST, PEERS, Failure, free_ports, running

SERVICES = 10_000
RULES = 10
CONNECTIONS = 10_000
SETTLE_SECONDS = 5
WARM_SECONDS = 2

REQUEST = f"GET /hello HTTP/1.1\r\nhost: {HOST}\r\n\r\n".encode()


def document(services, port, target, folder):
    """A configuration with so many services; each has ten rules and a target group of its own."""

    def service(index):
        forward = {"forward": {"targetGroups": [{"targetGroupIdentifier": f"group-{index}"}]}}
        rules = [
            {
                "name": f"part-{rule}",
                "priority": rule + 1,
                "match": {"httpMatch": {"pathMatch": {"match": {"prefix": f"/r{rule}/"}}}},
                "action": forward,
            }
            for rule in range(RULES)
        ]
        refuse = {"fixedResponse": {"statusCode": 404}}
        listener = {"name": "http", "protocol": "HTTP", "port": port, "defaultAction": refuse, "rules": rules}
        return {"name": f"service-{index}", "customDomainName": f"s{index}.test", "listeners": [listener]}

    def group(index):
        config = {"protocol": "HTTP", "port": target, "vpcIdentifier": "main", "healthCheck": {"enabled": False}}
        return {"name": f"group-{index}", "type": "IP", "config": config, "targets": [{"id": "127.0.0.1"}]}

    members = [{"serviceIdentifier": f"service-{index}"} for index in range(services)]
    network = {"name": "all", "vpcAssociations": [{"vpcIdentifier": "main"}], "serviceAssociations": members}
    return {
        "account": "111122223333",
        "region": "us-west-2",
        "gateway": {"dataDir": str(folder / "trellis-data"), "workers": 1},
        "vpcs": [{"name": "main", "attachments": [{"listen": ["127.0.0.1"]}]}],
        "serviceNetworks": [network],
        "services": [service(index) for index in range(services)],
        "targetGroups": [group(index) for index in range(services)],
    }


@contextlib.contextmanager
def gateway(services, binary, target, folder):
    """A gateway with so many services."""
    (port,) = free_ports(1)
    path = folder / f"services-{services}.json"
    path.write_text(json.dumps(document(services, port, target, folder)))
    with running("trellis", [binary, "serve", "--config", path], {"http": port}, folder) as proxy:
        yield proxy


def with_services(binary, target, folder, services, seconds):
    """Start time, memory, and cost of a request when the requests go to all services in turn."""
    with gateway(services, binary, target, folder) as proxy:
        # What was needed only for reading the configuration goes back to the system a few seconds later.
        time.sleep(SETTLE_SECONDS)
        idle = proxy.memory()
        script = [PEERS / "services.lua", services, proxy.http, RULES - 1]
        url = f"http://127.0.0.1:{proxy.http}/"
        script = [str(part) for part in script]
        # Each service has a target group of its own, so the first round opens a connection per service.
        load.wrk(url, WARM_SECONDS, script=script)
        sample = load.measured(proxy, lambda: load.wrk(url, seconds, script=script))
        return {
            "start_s": proxy.started,
            "memory_mib": idle / 2**20,
            "memory_after_load_mib": proxy.memory() / 2**20,
            "cpu_us": sample.cpu_us,
        }


def raise_limit(wanted):
    """Lets this process, and the proxies that it starts, open so many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise Failure(f"the limit of open files is {hard}, and {wanted} are needed: raise `ulimit -Hn`")
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def idle_connections(proxy, encrypted, count=CONNECTIONS):
    """Resident bytes for each kept connection that has had one request and waits for the next."""
    context = load.client_context()
    port = proxy.https if encrypted else proxy.http
    # The first few find memory that the process has in hand already, so they are not counted.
    uncounted = count // 20
    with contextlib.ExitStack() as stack:
        before = None
        for index in range(count):
            if index == uncounted:
                before = proxy.memory()
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            # Otherwise the request would wait for the delayed acknowledgment of the handshake.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if encrypted:
                client = stack.enter_context(context.wrap_socket(client, server_hostname=HOST))
            client.sendall(REQUEST)
            answer = client.recv(4096)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise Failure(f"{proxy.name} answered {answer[:80]!r}")
        return (proxy.memory() - before) / (count - uncounted)
