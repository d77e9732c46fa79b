"""Health checks of servers nobody here wrote: grpcio's health service, and what asyncio answers over TCP."""

import concurrent.futures
import json
import socketserver
import threading

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from operating import eventually, gateway

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def grpc_server():
    """A gRPC server with the health service, and its port. Of the services only `shop.Orders` is well at first."""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=4))
    servicer = health.HealthServicer()
    servicer.set("", NOT_SERVING)
    servicer.set("shop.Orders", SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, port
    server.stop(None)


@pytest.fixture
def silent():
    """A port that takes connections and says nothing."""

    class Silent(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(1)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Silent) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def group(name, port, **check):
    check = {"enabled": True, "intervalMillis": 100, "timeoutMillis": 2000, "healthyThresholdCount": 2, **check}
    config = {"protocol": "HTTP", "protocolVersion": "GRPC", "vpcIdentifier": "main", "healthCheck": check}
    return {"name": name, "type": "IP", "config": config, "targets": [{"id": "127.0.0.1", "port": port}]}


def forward(*groups):
    return {"forward": {"targetGroups": [{"targetGroupIdentifier": group["name"]} for group in groups]}}


def becomes(running, **wanted):
    def statuses():
        groups = json.loads(running.page("/targets"))["targetGroups"]
        found = {group["name"]: group["targets"][0]["status"] for group in groups}
        return found == wanted

    eventually(statuses, f"statuses {wanted}")


def test_the_health_service_of_a_grpc_server_decides(tmp_path, grpc_server):
    servicer, port = grpc_server
    groups = [
        group("whole", port, protocolVersion="GRPC"),
        group("orders", port, protocolVersion="GRPC", grpcService="shop.Orders"),
        group("stranger", port, protocolVersion="GRPC", grpcService="shop.Nobody"),
    ]
    with gateway(tmp_path, action=forward(*groups), targetGroups=groups) as running:
        becomes(running, whole="UNHEALTHY", orders="HEALTHY", stranger="UNHEALTHY")
        servicer.set("", SERVING)
        servicer.set("shop.Orders", NOT_SERVING)
        becomes(running, whole="HEALTHY", orders="UNHEALTHY", stranger="UNHEALTHY")


def test_a_connection_is_enough_for_tcp_only(tmp_path, silent):
    groups = [
        group("tcp", silent, protocol="TCP"),
        group("tls", silent, protocol="TLS"),
        group("grpc", silent, protocolVersion="GRPC", timeoutMillis=200),
    ]
    with gateway(tmp_path, action=forward(*groups), targetGroups=groups) as running:
        becomes(running, tcp="HEALTHY", tls="UNHEALTHY", grpc="UNHEALTHY")
