"""grpcio: unary calls, streams and statuses, over TLS and in the clear."""

import pathlib
import queue
import sys

import grpc
import pytest
from conftest import PROJECT
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_tools import protoc

PROTO = PROJECT / "gateway" / "src" / "echo" / "echo.proto"


@pytest.fixture(scope="session")
def echo_stubs(tmp_path_factory):
    """Client code generated from the echo's own description."""
    folder = tmp_path_factory.mktemp("proto")
    arguments = ["protoc", f"-I{PROTO.parent}", f"--python_out={folder}", f"--grpc_python_out={folder}", str(PROTO)]
    assert protoc.main(arguments) == 0
    sys.path.insert(0, str(folder))
    import echo_pb2
    import echo_pb2_grpc

    return echo_pb2, echo_pb2_grpc


@pytest.fixture(params=["https", "http"])
def channel(request, gateway):
    port = gateway.https if request.param == "https" else gateway.http
    target = f"127.0.0.1:{port}"
    options = [("grpc.default_authority", f"rpc.test:{port}")]
    if request.param == "http":
        made = grpc.insecure_channel(target, options)
    else:
        credentials = grpc.ssl_channel_credentials(pathlib.Path(gateway.ca).read_bytes())
        options.append(("grpc.ssl_target_name_override", "rpc.test"))
        made = grpc.secure_channel(target, credentials, options)
    with made:
        yield made


@pytest.fixture
def stub(channel, echo_stubs):
    return echo_stubs[1].EchoStub(channel)


@pytest.fixture
def say(echo_stubs):
    return echo_stubs[0].SayRequest


def test_a_unary_call_is_answered_with_trailers(stub, say):
    reply, call = stub.Say.with_call(say(text="hello"), timeout=20, metadata=[("x-one", "1")])
    assert (reply.name, reply.text) == ("rpc", "hello")
    assert ("x-one", "1") in [(header.name, header.value) for header in reply.headers]
    assert call.code() == grpc.StatusCode.OK
    assert ("x-echo-name", "rpc") in [(item.key, item.value) for item in call.trailing_metadata()]


def test_a_status_arrives_as_it_was_sent(stub, say):
    with pytest.raises(grpc.RpcError) as error:
        stub.Say(say(text="x", status=5), timeout=20)
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    assert error.value.details() == "the caller asked for this status"


def test_an_unknown_method_is_unimplemented(channel):
    shout = channel.unary_unary("/trellis.Echo/Shout")
    with pytest.raises(grpc.RpcError) as error:
        shout(b"", timeout=20)
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_stream_of_answers_arrives_in_order(stub, say):
    replies = list(stub.SayMany(say(text="x", count=200), timeout=20))
    assert [reply.index for reply in replies] == list(range(200))


def test_a_stream_may_end_badly(stub, say):
    got = []
    with pytest.raises(grpc.RpcError) as error:
        got.extend(iter(stub.SayMany(say(text="x", count=3, status=8), timeout=20)))
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_conversation_goes_both_ways_at_once(stub, say):
    questions = queue.Queue()
    conversation = stub.Chat(iter(questions.get, None), timeout=20)
    for number in range(5):
        questions.put(say(text=str(number)))
        # The next question waits for this answer: neither side may be held back until its end.
        assert next(conversation).text == str(number)
    questions.put(None)
    with pytest.raises(StopIteration):
        next(conversation)


def test_a_deadline_ends_a_slow_call(stub, say):
    with pytest.raises(grpc.RpcError) as error:
        stub.Say(say(text="x", delay_milliseconds=20_000), timeout=0.3)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_health_is_asked_through_the_gateway(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    reply = stub.Check(health_pb2.HealthCheckRequest(), timeout=20)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING
