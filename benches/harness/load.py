"""Load on a proxy, and what it cost: CPU time per request, requests per second, 99th percentile."""

import concurrent.futures
import dataclasses
import re
import socket
import ssl
import subprocess
import threading
import time

from .processes import HOST, Failure, environment, tool
from .secured import ADDRESSES, MEASURED

# Enough to keep one worker busy: it is never without a request to do, so figures are those of a busy proxy.
CONNECTIONS = 32
STREAMS = 8
HANDSHAKERS = 8

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclasses.dataclass
class Sample:
    """One measurement: per request, or per handshake."""

    cpu_us: float
    per_second: float
    p99_ms: float


def measured(proxy, run):
    """Runs a load; `run` gives the number of requests, the seconds they took, and the 99th percentile in milliseconds."""
    before = proxy.cpu()
    count, seconds, p99 = run()
    used = proxy.cpu() - before
    if count < 100:
        raise Failure(f"{proxy.name} answered {count} requests: too few to tell anything")
    return Sample(used / count * 1e6, count / seconds, p99)


def output(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    if done.returncode != 0:
        raise Failure(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def find(pattern, text):
    match = re.search(pattern, text)
    if not match:
        raise Failure(f"the load generator's output has no `{pattern}`:\n{text}")
    return match.groups()


def wrk(url, seconds, headers=(), script=(), connections=CONNECTIONS):
    """HTTP/1.1 on kept connections."""
    options = ["--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--latency"]
    for name, value in dict(headers).items():
        options += ["--header", f"{name}: {value}"]
    if script:
        options += ["--script", script[0]]
    told = output([tool("wrk"), *options, url, *(["--", *script[1:]] if script else [])])
    if "Non-2xx" in told or "Socket errors" in told:
        raise Failure(f"not every answer was a success:\n{told}")
    count, took, unit = find(r"(\d+) requests in ([\d.]+)(us|ms|s|m)\b", told)
    latency, latency_unit = find(r"99%\s+([\d.]+)(us|ms|s|m)\b", told)
    return int(count), float(took) * UNITS[unit] / 1e3, float(latency) * UNITS[latency_unit]


def http1(proxy, seconds):
    """HTTP/1.1, connections kept."""
    return measured(proxy, lambda: wrk(f"http://{HOST}:{proxy.http}/hello", seconds))


def traffic(proxy, seconds):
    """HTTP/1.1 to a service with every kind of traffic control configured and none of it called for."""
    return measured(proxy, lambda: wrk(f"http://127.0.0.4:{proxy.http}/hello", seconds, {"Host": f"{HOST}:{proxy.http}"}))


def flaky(proxy, seconds):
    """The same with a target that fails one request in a hundred, which is tried again."""
    return measured(proxy, lambda: wrk(f"http://127.0.0.4:{proxy.http}/flaky", seconds, {"Host": f"{HOST}:{proxy.http}"}))


def tls_http1(proxy, seconds):
    """HTTP/1.1 over TLS 1.3, connections kept."""
    return measured(proxy, lambda: wrk(f"https://{HOST}:{proxy.https}/hello", seconds))


def secured(senders, way, proxy, seconds):
    """HTTP/1.1, every request with a proof of this kind, where it is asked for."""
    # wrk adds a `Host` of its own unless it is spelled like this.
    headers = {"Host": f"{HOST}:{proxy.http}", **senders.headers(way, proxy.http)}
    return measured(proxy, lambda: wrk(f"http://{ADDRESSES[way]}:{proxy.http}{MEASURED}", seconds, headers))


def http2(proxy, seconds):
    """HTTP/2 over TLS 1.3: several streams on each connection."""
    return measured(proxy, lambda: h2load(proxy, seconds))


def h2load(proxy, seconds):
    connections = max(1, CONNECTIONS // STREAMS)
    options = ["--clients", str(connections), "--max-concurrent-streams", str(STREAMS), "--duration", str(seconds)]
    # The log has a line per request: when it began, its status, and how many microseconds it took.
    log = "/dev/stdout"
    url = f"https://{HOST}:{proxy.https}/hello"
    told = output([tool("h2load"), *options, "--log-file", log, "--connect-to", f"127.0.0.1:{proxy.https}", url])
    lines = re.findall(r"^\d+\t(-?\d+)\t(\d+)$", told, re.MULTILINE)
    (protocol,) = find(r"Application protocol: (\S+)", told)
    if protocol != "h2" or any(status != "200" for status, _ in lines) or not lines:
        raise Failure(f"not every answer was a success over HTTP/2, or there was none: {told[-2000:]}")
    times = sorted(int(time) for _, time in lines)
    return len(lines), seconds, times[len(times) * 99 // 100] / 1e3


def handshakes(proxy, seconds):
    """Full TLS 1.3 handshakes: connect, shake hands, close, without a request."""
    return measured(proxy, lambda: shake_hands(proxy.https, seconds))


def client_context():
    """A client that never resumes a session and does not spend time on judging the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def shake_hands(port, seconds):
    context, over = client_context(), threading.Event()

    def shake():
        times = []
        while not over.is_set():
            begun = time.monotonic()
            with socket.create_connection(("127.0.0.1", port)) as plain:
                with context.wrap_socket(plain, server_hostname=HOST) as encrypted:
                    times.append(time.monotonic() - begun)
                    # The server has finished when it has seen that the client is gone.
                    encrypted.shutdown(socket.SHUT_WR)
                    while encrypted.recv(4096):
                        pass
        return times

    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(HANDSHAKERS) as pool:
        running = [pool.submit(shake) for _ in range(HANDSHAKERS)]
        time.sleep(seconds)
        over.set()
        times = sorted(time for shaker in running for time in shaker.result())
    return len(times), time.monotonic() - begun, times[len(times) * 99 // 100] * 1e3
