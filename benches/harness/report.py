"""The figures, as tables for people and as JSON."""

import statistics

ROWS = [
    ("http1", "HTTP/1.1, kept connections"),
    ("tls_http1", "HTTP/1.1 over TLS 1.3, kept connections"),
    ("http2", "HTTP/2 over TLS 1.3"),
    ("handshake", "full TLS 1.3 handshake"),
    ("traffic", "HTTP/1.1, all traffic control configured"),
    ("flaky", "the same, one request in a hundred fails and is tried again"),
    ("signature", "HTTP/1.1 signed, policies, record"),
    ("token_hs256", "HTTP/1.1 with a token, HS256"),
    ("token_es256", "HTTP/1.1 with a token, ES256"),
]

# What is aimed at: case, the proxy compared with, its case, and the highest ratio of CPU time.
AIMS = [
    ("http1", "haproxy", "http1", 1.7),
    ("tls_http1", "haproxy", "tls_http1", 1.7),
    ("handshake", "haproxy", "handshake", 0.9),
    ("traffic", "trellis", "http1", 1.1),
    ("signature", "envoy", "http1", 0.75),
    ("signature", "haproxy", "token_hs256", 1.0),
    ("signature", "envoy", "token_hs256", 1.0),
    ("token_hs256", "haproxy", "token_hs256", 1.0),
    ("token_hs256", "envoy", "token_hs256", 1.0),
    ("token_es256", "haproxy", "token_es256", 1.0),
    ("token_es256", "envoy", "token_es256", 1.0),
]

# The same for the 99th percentile of the time that a request takes.
P99_AIMS = [("flaky", "trellis", "traffic", 1.3)]

SCALE_AIMS = {"start_s": 1.0, "memory_mib": 100.0}
IDLE_AIM_KIB = 16


def spread(values, digits=1):
    """`median [lowest–highest]`"""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} [{low:.{digits}f}–{high:.{digits}f}]"


def ratios(ours, theirs, of="cpu_us"):
    """Round by round, because what slows one round down slows both."""
    return [mine[of] / other[of] for mine, other in zip(ours, theirs)]


def compared(figures, aims, of):
    """Ratios to the aims: what was compared, the ratios, the aim."""
    for case, peer, peer_case, aim in aims:
        ours = figures.get(case, {}).get("trellis")
        theirs = figures.get(peer_case, {}).get(peer)
        if ours and theirs:
            yield f"{dict(ROWS)[case]}: Trellis / {peer}" + (
                "" if case == peer_case else f" ({dict(ROWS)[peer_case]})"
            ), ratios(ours, theirs, of), aim


def verdict(value, aim):
    return "met" if value <= aim else "missed"


def table(head, rows):
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def markdown(result):
    """All tables; `docs/performance.md` holds exactly these."""
    parts = [f"Measured {result['date']} on {result['machine']}: {result['settings']}.", ""]
    parts.append(", ".join(f"{name} {version}" for name, version in result["versions"].items()) + ".\n")
    figures = result["figures"]
    if figures:
        rows = [
            [title if first else "", name, *(spread([r[k] for r in rounds], d) for k, d in (("cpu_us", 1), ("per_second", 0), ("p99_ms", 2)))]
            for case, title in ROWS
            for first, (name, rounds) in zip([True, *[False] * 9], figures.get(case, {}).items())
        ]
        parts.append(table(["load", "proxy", "CPU µs each", "per second", "p99 ms"], rows))
        for what, aims, of in (("CPU time", AIMS, "cpu_us"), ("99th percentile", P99_AIMS, "p99_ms")):
            rows = [
                [case, spread(values, 2), f"{aim}", verdict(statistics.median(values), aim)]
                for case, values, aim in compared(figures, aims, of)
            ]
            if rows:
                parts.append(table([f"{what} compared", "ratio", "aim", ""], rows))
    if result.get("scale"):
        parts.append(scale_table(result["scale"]))
    if result.get("idle"):
        rows = [
            [name, *(f"{values[kind] / 1024:.1f}" for kind in ("plain", "tls"))]
            for name, values in result["idle"].items()
        ]
        parts.append(table(["memory of an idle kept connection", "plain, KiB", "TLS, KiB"], rows))
        parts.append(f"Aim for Trellis: {IDLE_AIM_KIB} KiB.\n")
    return "\n".join(parts)


def scale_table(scale):
    """One service and many, side by side."""
    many = max(scale, key=int)
    head = ["Trellis with", *(f"{int(count):,} × 10 rules" for count in scale), "aim"]
    aims = {**{key: f"{aim:g}" for key, aim in SCALE_AIMS.items()}, "cpu_us": "as with one"}
    titles = [
        ("start_s", "start, s", 2),
        ("memory_mib", "memory 5 s after the start, MiB", 0),
        ("memory_after_load_mib", "memory after the load, MiB", 0),
        ("cpu_us", "CPU µs per request, services in turn", 1),
    ]
    rows = [
        [title, *(spread([r[key] for r in rounds], digits) for rounds in scale.values()), aims.get(key, "")]
        for key, title, digits in titles
    ]
    one = scale[min(scale, key=int)]
    ratio = ratios(scale[many], one)
    rows.append([f"CPU time, {int(many):,} / one", "", spread(ratio, 2), "1"])
    return table(head, rows)
