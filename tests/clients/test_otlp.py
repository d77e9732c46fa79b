"""OpenTelemetry's own messages and propagators as peers: what the gateway sends to a collector, and what it tells targets."""

import contextlib
import http.server
import json
import threading
import time
import urllib.error
import urllib.request

import pytest
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from conftest import ACCOUNT, PortTaken, REGION, START_ATTEMPTS, echo, free_port, started

TRACE, SPAN = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
DEADLINE = 30


class Collector(http.server.ThreadingHTTPServer):
    """Takes what OTLP over HTTP sends, after as many refusals as it is told."""

    daemon_threads = True

    def __init__(self):
        self.taken, self.heads, self.refusals = [], [], []
        super().__init__(("127.0.0.1", 0), Intake)

    @property
    def spans(self):
        return [
            (resource.resource, span)
            for message in self.taken
            if isinstance(message, ExportTraceServiceRequest)
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def metrics(self):
        return {
            metric.name: metric
            for message in self.taken
            if isinstance(message, ExportMetricsServiceRequest)
            for resource in message.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def wait(self, condition):
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            found = condition()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"not in time; got {len(self.taken)} messages, {len(self.heads)} requests")


class Intake(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.heads.append((self.path, dict(self.headers)))
        if self.server.refusals:
            self.send_response(self.server.refusals.pop(0))
            self.send_header("retry-after", "1")
            self.send_header("content-length", "0")
            self.end_headers()
            return
        kinds = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}
        message = kinds[self.path]()
        message.ParseFromString(body)
        self.server.taken.append(message)
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def collector():
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def document(ports, targets, endpoint, traces):
    """One service, whose requests are tried again at another target when one answers 503."""
    group = {
        "name": "orders",
        "type": "IP",
        "config": {"protocol": "HTTP", "port": targets[0], "vpcIdentifier": "main"},
        "targets": [{"id": "127.0.0.1", "port": port} for port in targets],
    }
    return {
        "account": ACCOUNT,
        "region": REGION,
        "gateway": {
            "admin": f"127.0.0.1:{ports['admin']}",
            "dataDir": "./data",
            "workers": 1,
            "zone": "us-west-2a",
            "telemetry": {
                "otlp": {
                    "endpoint": endpoint,
                    "headers": {"authorization": {"env": "COLLECTOR_TOKEN"}},
                    "metricsIntervalSeconds": 1,
                },
                "traces": traces,
            },
        },
        "vpcs": [{"name": "main", "attachments": [{"listen": ["127.0.0.1"]}]}],
        "serviceNetworks": [
            {
                "name": "shop",
                "vpcAssociations": [{"vpcIdentifier": "main"}],
                "serviceAssociations": [{"serviceIdentifier": "orders"}],
            }
        ],
        "services": [
            {
                "name": "orders",
                "customDomainName": "orders.test",
                "retryPolicy": {"maxRetries": 2, "on": ["gateway-error"], "backOff": {"baseMillis": 1}},
                "listeners": [
                    {
                        "name": "http",
                        "protocol": "HTTP",
                        "port": ports["http"],
                        "defaultAction": {
                            "forward": {"targetGroups": [{"targetGroupIdentifier": "orders"}]}
                        },
                    }
                ],
            }
        ],
        "targetGroups": [group],
        "accessLogSubscriptions": [{"resourceIdentifier": "shop", "destination": {"file": "access.jsonl"}}],
    }


@contextlib.contextmanager
def tracing(folder, targets, peer, traces):
    """A gateway that sends to this collector; gives what asks it for a path."""
    endpoint = f"http://127.0.0.1:{peer.server_address[1]}"
    for attempt in range(START_ATTEMPTS):
        ports = {name: free_port() for name in ("http", "admin")}
        path = folder / "trellis.yaml"
        path.write_text(json.dumps(document(ports, targets, endpoint, traces)))
        try:
            with started(path, ports["admin"], {"COLLECTOR_TOKEN": "Bearer of-tests"}):

                def ask(path, headers=None):
                    url = f"http://127.0.0.1:{ports['http']}{path}"
                    request = urllib.request.Request(url, headers={"host": "orders.test", **(headers or {})})
                    try:
                        with urllib.request.urlopen(request, timeout=20) as answer:
                            return answer.status, json.loads(answer.read())
                    except urllib.error.HTTPError as error:
                        return error.code, None

                yield ask
                return
        except PortTaken:
            if attempt == START_ATTEMPTS - 1:
                raise


def attributes(of):
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in of.attributes}


def parent(sampled=True):
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    context = SpanContext(TRACE, SPAN, is_remote=False, trace_flags=flags, trace_state=TraceState([("a", "1")]))
    return set_span_in_context(NonRecordingSpan(context))


def test_a_trace_goes_from_the_client_through_the_gateway_to_the_target(tmp_path):
    headers = {}
    TraceContextTextMapPropagator().inject(headers, parent())
    with collector() as peer, echo("one") as port:
        with tracing(tmp_path, [port], peer, {"sampleOneIn": 0}) as ask:
            status, seen = ask("/pay?card=4111", headers)
            assert status == 200
            spans = peer.wait(lambda: peer.spans)
            resource, server = next((r, s) for r, s in spans if s.kind == s.SPAN_KIND_SERVER)
            _, client = next((r, s) for r, s in spans if s.kind == s.SPAN_KIND_CLIENT)
    told = TraceContextTextMapPropagator().extract({key.lower(): value for key, value in echoed(seen).items()})
    told = get_current_span(told).get_span_context()
    assert told.trace_id == TRACE and told.trace_flags.sampled and told.trace_state.get("a") == "1"
    assert client.span_id == told.span_id.to_bytes(8, "big")
    assert server.trace_id == client.trace_id == TRACE.to_bytes(16, "big")
    assert server.parent_span_id == SPAN.to_bytes(8, "big")
    assert client.parent_span_id == server.span_id
    assert server.start_time_unix_nano <= client.start_time_unix_nano
    assert client.end_time_unix_nano <= server.end_time_unix_nano
    assert server.trace_state == "a=1"
    facts = attributes(server)
    assert facts["http.request.method"] == "GET" and facts["http.response.status_code"] == 200
    # A query may hold secrets, as in access records.
    assert facts["url.path"] == "/pay" and "4111" not in str(server)
    assert facts["server.address"] == "orders.test" and facts["trellis.service.name"] == "orders"
    assert attributes(client)["server.port"] == port
    assert attributes(resource)["service.name"] == "trellis"
    assert attributes(resource)["cloud.availability_zone"] == "us-west-2a"
    assert ("/v1/traces", "Bearer of-tests") in [(path, head.get("authorization")) for path, head in peer.heads]


def echoed(seen):
    """The header fields that the echo target got."""
    fields = seen["request"]["headers"] if "request" in seen else seen["headers"]
    return {name: value for name, value in fields} if isinstance(fields, list) else fields


@pytest.mark.parametrize("propagator", [B3SingleFormat(), B3MultiFormat()], ids=["single", "multi"])
def test_b3_is_read_and_written_as_openzipkin_does(tmp_path, propagator):
    headers = {}
    propagator.inject(headers, parent())
    with collector() as peer, echo("one") as port:
        with tracing(tmp_path, [port], peer, {"sampleOneIn": 0}) as ask:
            _, seen = ask("/", headers)
            fields = {key.lower(): value for key, value in echoed(seen).items()}
            told = propagator.extract(fields)
            told = get_current_span(told).get_span_context()
            assert told.trace_id == TRACE and told.span_id != SPAN and told.trace_flags.sampled
            peer.wait(lambda: [s for _, s in peer.spans if s.span_id == told.span_id.to_bytes(8, "big")])


def test_a_client_that_does_not_trace_leaves_no_spans_and_its_fields_go_on(tmp_path):
    headers = {}
    TraceContextTextMapPropagator().inject(headers, parent(sampled=False))
    with collector() as peer, echo("one") as port:
        with tracing(tmp_path, [port], peer, {"sampleOneIn": 1}) as ask:
            _, seen = ask("/unsampled", headers)
            fields = {key.lower(): value for key, value in echoed(seen).items()}
            assert fields["traceparent"] == headers["traceparent"]
            ask("/sampled")
            peer.wait(lambda: [s for _, s in peer.spans if attributes(s)["url.path"] == "/sampled"])
    assert not [s for _, s in peer.spans if attributes(s)["url.path"] == "/unsampled"]


def test_only_what_failed_is_kept_and_a_collector_that_is_down_gets_it_later(tmp_path):
    with collector() as peer, echo("one") as port:
        peer.refusals = [503, 429]
        with tracing(tmp_path, [port], peer, {"sampleOneIn": 0}) as ask:
            assert ask("/fine")[0] == 200
            assert ask("/broken", {"x-echo-status": "503"})[0] == 503
            spans = peer.wait(lambda: peer.spans)
    kinds = [span.kind for _, span in spans]
    server = next(span for _, span in spans if span.kind == span.SPAN_KIND_SERVER)
    assert server.status.code == server.status.STATUS_CODE_ERROR
    # Three attempts, siblings below one request.
    clients = [span for _, span in spans if span.kind == span.SPAN_KIND_CLIENT]
    assert len(clients) == 3 and len(kinds) == 4
    assert {span.parent_span_id for span in clients} == {server.span_id}
    assert [attributes(span).get("http.request.resend_count") for span in clients] == [None, 1, 2]
    assert {attributes(span)["error.type"] for span in clients} == {"503"}


def test_metrics_arrive_with_units_and_exemplars(tmp_path):
    headers = {}
    TraceContextTextMapPropagator().inject(headers, parent())
    with collector() as peer, echo("one") as port:
        with tracing(tmp_path, [port], peer, {}) as ask:
            ask("/", headers)

            def durations():
                metric = peer.metrics.get("gateway_request_duration_seconds")
                points = metric.histogram.data_points if metric else []
                return metric if any(point.exemplars for point in points) else None

            metric = peer.wait(durations)
            requests = peer.metrics["gateway_requests_total"]
    assert metric.unit == "s" and metric.histogram.aggregation_temporality == 2
    point = next(point for point in metric.histogram.data_points if point.exemplars)
    assert point.exemplars[0].trace_id == TRACE.to_bytes(16, "big")
    assert sum(point.bucket_counts) == point.count and len(point.bucket_counts) == len(point.explicit_bounds) + 1
    assert requests.sum.is_monotonic
    counts = {attributes(point)["code"]: point.as_int for point in requests.sum.data_points if attributes(point)["service"] == "orders"}
    assert counts["2xx"] == 1
