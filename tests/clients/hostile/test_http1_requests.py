"""HTTP/1 requests that two readers could take differently: what the client is told, and the exact bytes that reached the target.

`@` stands for the service's authority in every probe. A probe's connection must end where `CLOSES` says so; where it says `STAYS`, an
ordinary request is sent on it afterwards. Then another client asks for something and must get its own answer. The target must have
received the listed requests, each whole and framed as stated, and not a byte more.
"""

import pytest

from . import wire

CLOSES, STAYS = "closes", "stays"
HOST = b"Host: @\r\n"
GET = b"GET /a HTTP/1.1\r\n" + HOST
POST = b"POST /a HTTP/1.1\r\n" + HOST
END = b"\r\n"
# What an attacker hopes to have read as a request of its own.
INNER = b"GET /smuggled HTTP/1.1\r\nHost: @\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def length(value):
    return b"Content-Length: " + value + b"\r\n"


def refused(name, sent, status=400):
    return pytest.param(sent, [status], [], CLOSES, id=name)


def passes(name, sent, *reached, statuses=None, ends=STAYS):
    return pytest.param(sent, statuses or [200] * len(reached), list(reached), ends, id=name)


CONTENT_LENGTH = [
    passes("length", POST + length(b"3") + END + b"abc", "POST /a length:abc"),
    passes("length zero", POST + length(b"0") + END, "POST /a length:"),
    passes("length with zeros in front", POST + length(b"003") + END + b"abc", "POST /a length:abc"),
    passes("length in odd case", POST + b"cONTENT-lENGTH:3\r\n" + END + b"abc", "POST /a length:abc"),
    *(
        refused(f"length {value!r}", POST + length(value) + END + b"abc" + INNER)
        for value in (
            b"", b"+3", b"-3", b"3,3", b"3, 3", b"3,4", b"3 3", b"0x3", b"3.0", b"3e0", b"abc", b"3;", b"3\x00", b"\"3\"", b"3_0",
            b"18446744073709551616", b"18446744073709551619", b"9223372036854775808", b"\xb3", b"3\x0b", b"3\x0c", b"3\x7f", b"\xef\xbb\xbf3",
        )
    ),
    refused("length twice, equal", POST + length(b"3") * 2 + END + b"abc"),
    refused("length twice, different", POST + length(b"3") + length(b"40") + END + b"abc" + INNER),
    refused("length before colon a space", POST + b"Content-Length : 3\r\n" + END + b"abc"),
    refused("length before colon a tab", POST + b"Content-Length\t: 3\r\n" + END + b"abc"),
    refused("length with an underscore", POST + b"Content_Length: 3\r\n" + END + b"abc"),
    refused("length with a dot", POST + b"Content.Length: 3\r\n" + END + b"abc"),
    refused("length folded", POST + b"Content-Length:\r\n 3\r\n" + END + b"abc"),
    refused("length with CR in its value", POST + b"Content-Length: 3\r0\r\n" + END + b"abc"),
    refused("length after NUL", POST + b"\x00Content-Length: 3\r\n" + END + b"abc"),
]

BOTH = [
    refused("CL.TE", POST + length(b"6") + CHUNKED + END + b"0\r\n\r\nG"),
    refused("TE.CL", POST + CHUNKED + length(b"4") + END + b"5c\r\n" + INNER + b"\r\n0\r\n\r\n"),
    refused("CL.0", POST + length(b"44") + CHUNKED + END + b"0\r\n\r\n" + INNER),
    refused("CL twice and TE", POST + length(b"0") + length(b"5") + CHUNKED + END + b"0\r\n\r\n"),
    refused("CL and TE identity", POST + length(b"3") + b"Transfer-Encoding: identity\r\n" + END + b"abc"),
]

CODINGS = [
    passes("chunked", POST + CHUNKED + END + b"3\r\nabc\r\n0\r\n\r\n", "POST /a chunked:abc"),
    passes("chunked in odd case", POST + b"transfer-encoding:\tCHUNKED \r\n" + END + b"0\r\n\r\n", "POST /a chunked:"),
    *(
        refused(f"coding {value!r}", POST + b"Transfer-Encoding:" + value + END + END + b"0\r\n\r\n" + INNER)
        for value in (
            b"", b" ", b" xchunked", b" chunked, chunked", b" chunked,identity", b" identity", b" chunked;q=1", b" \"chunked\"", b" 'chunked'",
            b" chunked\x0b", b" \x0bchunked", b" \x00chunked", b" chunked\x00", b" ch\xc3\xbcnked", b" chunk", b" chunkedx", b" x, chunked",
            b" cow, chunked", b" chunked,", b" ,chunked", b"\rchunked", b" chunked\r", b"\x7fchunked", b"\xa0chunked", b"\xef\xbb\xbfchunked",
        )
    ),
    refused("coding gzip", POST + b"Transfer-Encoding: gzip, chunked\r\n" + END + b"0\r\n\r\n", 501),
    refused("coding gzip alone", POST + b"Transfer-Encoding: gzip\r\n" + END, 501),
    refused("TE twice", POST + CHUNKED * 2 + END + b"0\r\n\r\n"),
    refused("TE twice, the second unknown", POST + CHUNKED + b"Transfer-Encoding: cow\r\n" + END + b"0\r\n\r\n"),
    refused("TE twice, the first unknown", POST + b"Transfer-Encoding: cow\r\n" + CHUNKED + END + b"0\r\n\r\n"),
    refused("TE with a space before the colon", POST + b"Transfer-Encoding : chunked\r\n" + END + b"0\r\n\r\n"),
    refused("TE with a tab before the colon", POST + b"Transfer-Encoding\t: chunked\r\n" + END + b"0\r\n\r\n"),
    refused("TE with a space in front", POST + b" Transfer-Encoding: chunked\r\n" + END + b"0\r\n\r\n"),
    refused("TE folded", POST + b"Transfer-Encoding:\r\n chunked\r\n" + END + b"0\r\n\r\n"),
    refused("TE folded by a tab", POST + b"Transfer-Encoding:\r\n\tchunked\r\n" + END + b"0\r\n\r\n"),
    refused("TE after a folded field", POST + b"X: y\r\n Transfer-Encoding: chunked\r\n" + END + b"0\r\n\r\n"),
    refused("TE after a bare LF", POST + b"X: y\nTransfer-Encoding: chunked\r\n" + END + b"0\r\n\r\n"),
    refused("TE after a bare CR", POST + b"X: y\rTransfer-Encoding: chunked\r\n" + END + b"0\r\n\r\n"),
    refused("TE with an underscore", POST + b"Transfer_Encoding: chunked\r\n" + END + b"0\r\n\r\n"),
    refused("TE with a dot", POST + b"Transfer.Encoding: chunked\r\n" + END + b"0\r\n\r\n"),
    refused("TE with NUL in its name", POST + b"Transfer\x00Encoding: chunked\r\n" + END + b"0\r\n\r\n"),
    refused("TE on HTTP/1.0", b"POST /a HTTP/1.0\r\n" + HOST + CHUNKED + END + b"0\r\n\r\n"),
    refused("TE on HTTP/1.0 kept alive", b"POST /a HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n" + CHUNKED + END + b"0\r\n\r\n"),
]


def chunks(text):
    return POST + CHUNKED + END + text


# A body's head is well formed and goes to the target at once; what is wrong with the body shows only later. Then the target's connection
# is closed in the middle of the body, never reused, so nothing of it can be taken for a request. `cut` names that.
CHUNKS = [
    passes("chunks", chunks(b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"), "POST /a chunked:abc0123456789"),
    passes("chunk size with zeros", chunks(b"0003\r\nabc\r\n000\r\n\r\n"), "POST /a chunked:abc"),
    passes("chunk extension", chunks(b"3;a=b\r\nabc\r\n0;c\r\n\r\n"), "POST /a chunked:abc"),
    passes("chunk extension, quoted", chunks(b"3;a=\"b;c\\\"\"\r\nabc\r\n0\r\n\r\n"), "POST /a chunked:abc"),
    passes("trailers are dropped", chunks(b"3\r\nabc\r\n0\r\nX: y\r\n\r\n"), "POST /a chunked:abc"),
    *(
        passes(f"forbidden trailer {name.decode()}", chunks(b"0\r\n" + name + b": 5\r\n\r\n"), "POST /a chunked:")
        for name in (b"Content-Length", b"Transfer-Encoding", b"Host", b"Authorization", b"X-Forwarded-For", b"Connection", b"Cookie")
    ),
]
BROKEN_CHUNKS = {
    "size empty": b"\r\nabc\r\n0\r\n\r\n",
    "size signed": b"+3\r\nabc\r\n0\r\n\r\n",
    "size negative": b"-3\r\nabc\r\n0\r\n\r\n",
    "size as 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "size with space in front": b" 3\r\nabc\r\n0\r\n\r\n",
    "size with space behind": b"3 \r\nabc\r\n0\r\n\r\n",
    "size with tab behind": b"3\t\r\nabc\r\n0\r\n\r\n",
    "size with underscore": b"0_3\r\nabc\r\n0\r\n\r\n",
    "size not hex": b"g\r\nabc\r\n0\r\n\r\n",
    "size with NUL": b"3\x00\r\nabc\r\n0\r\n\r\n",
    "size of 64 bits and more": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "size of 64 bits": b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "size with bare LF": b"3\nabc\r\n0\r\n\r\n",
    "size with bare CR": b"3\rabc\r\n0\r\n\r\n",
    "size with CR CR LF": b"3\r\r\nabc\r\n0\r\n\r\n",
    "data too long": b"3\r\nabcd\r\n0\r\n\r\n",
    "data ended by bare LF": b"3\r\nabc\n0\r\n\r\n",
    "data ended by bare CR": b"3\r\nabc\r0\r\n\r\n",
    "extension with bare LF": b"3;a\nabc\r\n0\r\n\r\n",
    "extension with bare LF, as TERM.EXT": b"2;\nxx\r\n4c\r\n" + INNER + b"\r\n0\r\n\r\n",
    "extension with bare CR": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
    "extension with NUL": b"3;\x00\r\nabc\r\n0\r\n\r\n",
    "extension too long": b"3;" + b"x" * 300 + b"\r\nabc\r\n0\r\n\r\n",
    "extension without end": b"3;" + b"x" * 9000,
    "last chunk by bare LF": b"3\r\nabc\r\n0\n\r\n",
    "end by bare LF": b"3\r\nabc\r\n0\r\n\n",
    "trailer with space before the colon": b"0\r\nX : y\r\n\r\n",
    "trailer folded": b"0\r\nX: y\r\n z\r\n\r\n",
    "trailer without colon": b"0\r\nX\r\n\r\n",
    "trailer without name": b"0\r\n: y\r\n\r\n",
    "trailer with NUL": b"0\r\nX: \x00\r\n\r\n",
    "trailer with bare LF": b"0\r\nX: y\n\r\n",
    "trailer with bare CR": b"0\r\nX: y\rZ: 1\r\n\r\n",
    "trailers too long": b"0\r\n" + b"X: y\r\n" * 3000 + b"\r\n",
    "request instead of a chunk": INNER,
}

LINES = [
    refused("bare LF", b"GET /a HTTP/1.1\nHost: @\n\n"),
    refused("bare LF at the very end", GET + b"\n" + INNER),
    refused("bare LF after the request line", b"GET /a HTTP/1.1\nHost: @\r\n\r\n"),
    refused("bare CR after the request line", b"GET /a HTTP/1.1\rHost: @\r\n\r\n"),
    refused("CR CR LF", b"GET /a HTTP/1.1\r\r\nHost: @\r\n\r\n"),
    refused("NUL in the request line", b"GET /a\x00 HTTP/1.1\r\nHost: @\r\n\r\n"),
    refused("NUL in front", b"\x00GET /a HTTP/1.1\r\nHost: @\r\n\r\n"),
    refused("space in front", b" GET /a HTTP/1.1\r\nHost: @\r\n\r\n"),
    refused("bare LF in front", b"\nGET /a HTTP/1.1\r\nHost: @\r\n\r\n"),
    passes("empty lines in front", b"\r\n\r\n" + GET + END, "GET /a none:"),
    refused("byte order mark in front", b"\xef\xbb\xbfGET /a HTTP/1.1\r\nHost: @\r\n\r\n"),
    refused("two spaces", b"GET  /a HTTP/1.1\r\n" + HOST + END),
    refused("two spaces before the version", b"GET /a  HTTP/1.1\r\n" + HOST + END),
    refused("tab for space", b"GET\t/a HTTP/1.1\r\n" + HOST + END),
    refused("form feed for space", b"GET\x0c/a HTTP/1.1\r\n" + HOST + END),
    refused("space at the end", b"GET /a HTTP/1.1 \r\n" + HOST + END),
    refused("space in the target", b"GET /a b HTTP/1.1\r\n" + HOST + END),
    refused("no version: HTTP/0.9", b"GET /a\r\n\r\n"),
    refused("no target", b"GET  HTTP/1.1\r\n" + HOST + END),
    refused("only a method", b"GET\r\n" + HOST + END),
    refused("version 0.9", b"GET /a HTTP/0.9\r\n" + HOST + END, 505),
    refused("version 1.2", b"GET /a HTTP/1.2\r\n" + HOST + END, 505),
    refused("version 2.0", b"GET /a HTTP/2.0\r\n" + HOST + END, 505),
    refused("version 2", b"GET /a HTTP/2\r\n" + HOST + END, 505),
    refused("version 3.0", b"GET /a HTTP/3.0\r\n" + HOST + END, 505),
    refused("version 1.10", b"GET /a HTTP/1.10\r\n" + HOST + END, 505),
    refused("version 1", b"GET /a HTTP/1\r\n" + HOST + END, 505),
    refused("version 1,1", b"GET /a HTTP/1,1\r\n" + HOST + END, 505),
    refused("version in lower case", b"GET /a http/1.1\r\n" + HOST + END),
    refused("another protocol", b"GET /a ICY/1.1\r\n" + HOST + END),
    refused("preface of HTTP/2 with another target", b"PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
]

METHODS = [
    *(
        passes(f"method {method.decode()}", method + b" /a HTTP/1.1\r\n" + HOST + END, f"{method.decode()} /a none:")
        for method in (b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"M-SEARCH", b"get", b"A!#$%&'*+-.^_`|~9")
    ),
    *(
        refused(f"method {method!r}", method + b" /a HTTP/1.1\r\n" + HOST + END)
        for method in (b"", b"G(T", b"G:T", b"G/T", b"G\x00T", b"G\xc9T", b"\"GET\"", b"G@T", b"G[T", b"GET,POST", b"G\x0bT")
    ),
    refused("CONNECT", b"CONNECT @ HTTP/1.1\r\n" + HOST + END, 405),
    refused("CONNECT to a path", b"CONNECT /a HTTP/1.1\r\n" + HOST + END, 405),
    refused("CONNECT with a body", b"CONNECT /a HTTP/1.1\r\n" + HOST + length(b"40") + END + INNER, 405),
    refused("method without end", b"A" * 70_000),
]

TARGETS = [
    passes("absolute form", b"GET http://@/a HTTP/1.1\r\n" + HOST + END, "GET /a none:"),
    passes("absolute form in odd case", b"GET HTTP://@/a HTTP/1.1\r\n" + HOST + END, "GET /a none:"),
    passes("asterisk", b"OPTIONS * HTTP/1.1\r\n" + HOST + END, "OPTIONS * none:"),
    passes("dots and slashes as they are", b"GET //a/../b/./%2e%2E/%2F;p HTTP/1.1\r\n" + HOST + END, "GET //a/../b/./%2e%2E/%2F;p none:"),
    passes("backslash as it is", b"GET /a\\b HTTP/1.1\r\n" + HOST + END, "GET /a\\b none:"),
    passes("encoded CR LF as it is", b"GET /a%0d%0aX:%20y HTTP/1.1\r\n" + HOST + END, "GET /a%0d%0aX:%20y none:"),
    passes("two question marks", b"GET /a?b?c=/d HTTP/1.1\r\n" + HOST + END, "GET /a?b?c=/d none:"),
    refused("absolute form with another host", b"GET http://other.test/a HTTP/1.1\r\n" + HOST + END),
    refused("absolute form with user", b"GET http://user@@/a HTTP/1.1\r\n" + HOST + END),
    refused("absolute form without path", b"GET http://@ HTTP/1.1\r\n" + HOST + END),
    refused("absolute form without host", b"GET http:///a HTTP/1.1\r\n" + HOST + END),
    refused("absolute form, query next", b"GET http://@?a HTTP/1.1\r\n" + HOST + END),
    refused("absolute form of another scheme", b"GET ftp://@/a HTTP/1.1\r\n" + HOST + END),
    refused("absolute form, one slash", b"GET http:/@/a HTTP/1.1\r\n" + HOST + END),
    refused("absolute form without Host", b"GET http://@/a HTTP/1.1\r\n\r\n"),
    refused("asterisk for GET", b"GET * HTTP/1.1\r\n" + HOST + END),
    refused("relative", b"GET a HTTP/1.1\r\n" + HOST + END),
    refused("authority form", b"GET @ HTTP/1.1\r\n" + HOST + END),
    refused("dots for a path", b"GET .. HTTP/1.1\r\n" + HOST + END),
    refused("question mark for a path", b"GET ?a HTTP/1.1\r\n" + HOST + END),
    refused("at sign in front", b"GET @evil.test/a HTTP/1.1\r\n" + HOST + END),
    refused("fragment", b"GET /a#b HTTP/1.1\r\n" + HOST + END),
    refused("quote", b"GET /a\"b HTTP/1.1\r\n" + HOST + END),
    refused("angle brackets", b"GET /<a> HTTP/1.1\r\n" + HOST + END),
    refused("raw UTF-8", "GET /ä HTTP/1.1\r\n".encode() + HOST + END),
    refused("delete character", b"GET /a\x7f HTTP/1.1\r\n" + HOST + END),
    refused("target too long", b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + END),
]

HOSTS = [
    refused("no Host", b"GET /a HTTP/1.1\r\n\r\n"),
    refused("Host twice, equal", GET + HOST + END),
    refused("Host twice, different", GET + b"Host: other.test\r\n" + END),
    refused("Host twice, the second in odd case", GET + b"hOsT: other.test\r\n" + END),
    *(
        refused(f"Host {value!r}", b"GET /a HTTP/1.1\r\nHost: " + value + END + END)
        for value in (
            b"user@@", b"@,other.test", b"@ other.test", b"@/a", b"@?a", b"@#a", b"http://@", b"@\x00", b"[::1", b"hostile.test:", b"hostile.test:x",
            b"hostile.test:99999", b"hostile.test:80:80", b"h\xc3\xb6st", b"\"@\"", b"hostile.test\\@other.test", b"hostile.test%00",
        )
    ),
    pytest.param(b"GET /a HTTP/1.1\r\nHost: unknown.test\r\n\r\n", [404], [], STAYS, id="unknown Host"),
    pytest.param(b"GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", [404], [], STAYS, id="Host an address"),
    refused("Host empty", b"GET /a HTTP/1.1\r\nHost:\r\n\r\n"),
    passes("Host in odd case and with a dot", b"GET /a HTTP/1.1\r\nHost: HosTile.Test.\r\n\r\n", "GET /a none:"),
]

FIELDS = [
    passes("underscore in a name", GET + b"x_y: z\r\n" + END, "GET /a none:"),
    passes("empty value", GET + b"X:\r\n" + END, "GET /a none:"),
    passes("obs-text in a value", GET + b"X: \xe9\r\n" + END, "GET /a none:"),
    refused("no colon", GET + b"X\r\n" + END),
    refused("no name", GET + b": x\r\n" + END),
    refused("space before the colon", GET + b"X : y\r\n" + END),
    refused("space in a name", GET + b"X Y: z\r\n" + END),
    refused("control character in a name", GET + b"X\x01: z\r\n" + END),
    refused("non-ASCII in a name", GET + "Ä: z\r\n".encode() + END),
    refused("bracket in a name", GET + b"X(y): z\r\n" + END),
    refused("NUL in a value", GET + b"X: y\x00\r\n" + END),
    refused("control character in a value", GET + b"X: y\x1b\r\n" + END),
    refused("delete character in a value", GET + b"X: y\x7f\r\n" + END),
    refused("bare CR in a value", GET + b"X: y\rZ: 1\r\n" + END),
    refused("bare CR at the end of a value", GET + b"X: y\r\r\n" + END),
    refused("folding", GET + b"X: y\r\n z\r\n" + END),
    refused("folding by a tab", GET + b"X: y\r\n\tz\r\n" + END),
    refused("folding of the request line", b"GET /a HTTP/1.1\r\n X: y\r\n" + HOST + END),
    refused("line of a space", GET + b" \r\n" + END),
    refused("too many", GET + b"X: y\r\n" * 100 + END),
    refused("too long", GET + b"X: " + b"y" * 61_440 + b"\r\n" + END),
    refused("without end", GET + b"X: " + b"y" * 80_000),
    refused("many without end", GET + b"X: y\r\n" * 12_000),
    passes("as many as allowed", GET + b"X: y\r\n" * 99 + END, "GET /a none:"),
    passes("as long as allowed", GET + b"X: " + b"y" * 60_000 + b"\r\n" + END, "GET /a none:"),
]

ONE_ZERO = [
    passes("1.0 closes", b"GET /a HTTP/1.0\r\n" + HOST + END, "GET /a none:", ends=CLOSES),
    passes("1.0 kept alive", b"GET /a HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n" + END, "GET /a none:"),
    pytest.param(b"GET /a HTTP/1.0\r\n\r\n", [404], [], CLOSES, id="1.0 without Host"),
    passes("1.0 with a body", b"POST /a HTTP/1.0\r\n" + HOST + length(b"3") + END + b"abc", "POST /a length:abc", ends=CLOSES),
    passes("1.1 close", GET + b"Connection: close\r\n" + END, "GET /a none:", ends=CLOSES),
    passes("1.1 close in odd case", GET + b"cONNECTION: x, CLOSE\r\n" + END, "GET /a none:", ends=CLOSES),
]

PIPELINES = [
    passes("two", GET + END + b"GET /b HTTP/1.1\r\n" + HOST + END, "GET /a none:", "GET /b none:"),
    passes(
        "bodies of both kinds",
        POST + length(b"3") + END + b"abc" + POST + CHUNKED + END + b"3\r\ndef\r\n0\r\n\r\n" + GET + END,
        "POST /a length:abc", "POST /a chunked:def", "GET /a none:",
    ),
    passes("a hundred", (GET + END) * 100, *["GET /a none:"] * 100),
    passes("GET with a body", GET + length(b"5") + END + b"hello" + GET + END, "GET /a length:hello", "GET /a none:"),
    passes("a request for a body", POST + length(b"34") + END + b"GET /smuggled HTTP/1.1\r\nHost:a\r\n\r\n", "POST /a length:GET /smuggled HTTP/1.1\r\nHost:a\r\n\r\n"),
    passes("an error midway", GET + END + b"BAD\r\n\r\n" + INNER, "GET /a none:", statuses=[200, 400], ends=CLOSES),
    passes("a close midway", GET + b"Connection: close\r\n" + END + INNER, "GET /a none:", ends=CLOSES),
    passes("length of 0, then a request", POST + length(b"0") + END + GET + END, "POST /a length:", "GET /a none:"),
    passes("empty lines between", GET + END + b"\r\n" + GET + END, "GET /a none:", "GET /a none:"),
    # Closed rather than drained: an unread body is never taken for a request.
    pytest.param(
        b"POST /a HTTP/1.1\r\nHost: unknown.test\r\n" + length(b"3") + END + b"abc" + GET + END, [404], [], CLOSES, id="after a refused body",
    ),
    passes("HEAD and GET", b"HEAD /a HTTP/1.1\r\n" + HOST + END + GET + END, "HEAD /a none:", "GET /a none:"),
]

PROBES = [*CONTENT_LENGTH, *BOTH, *CODINGS, *CHUNKS, *LINES, *METHODS, *TARGETS, *HOSTS, *FIELDS, *ONE_ZERO, *PIPELINES]


def shown(request):
    return f"{request.line} {request.framing}:{request.body.decode('latin-1')}"


def answers(stream, sent, count, ends):
    """The answers to what was sent: to the end of the connection, or so many."""
    methods = ["HEAD"] if sent.startswith(b"HEAD") else []
    got = []
    while not (stream.at_end() if ends == CLOSES else len(got) == count):
        got.append(wire.read_answer(stream, methods[len(got)] if len(got) < len(methods) else "GET"))
    return got


def still_works(sock, stream):
    sock.sendall(b"GET /still HTTP/1.1\r\nHost: hostile.test\r\n\r\n")
    answer = wire.read_answer(stream)
    assert (answer.status, answer.body) == (200, b"GET /still")
    return "GET /still none:"


@pytest.mark.parametrize(("sent", "statuses", "reached", "ends"), PROBES)
def test_a_request_is_read_one_way_or_refused(front, target, bystander, sent, statuses, reached, ends):
    judge(front, target, bystander, sent, statuses, reached, ends)


def judge(front, target, bystander, sent, statuses, reached, ends):
    target.take()
    sent = sent.replace(b"@", front.authority)
    expected = [line.replace("@", front.authority.decode()) for line in reached]
    with wire.connect(front.http) as sock:
        stream = wire.Stream(sock)
        wire.send(sock, sent)
        got = answers(stream, sent, len(statuses), ends)
        assert [answer.status for answer in got] == statuses
        if ends == STAYS:
            expected.append(still_works(sock, stream))
    expected.append(bystander() + " none:")
    seen, faults, raw = target.take()
    assert [shown(request) for request in seen] == expected, raw
    assert faults == [], raw
    for answer in got:
        if answer.status >= 400:
            record = front.record(answer.value("x-amzn-requestid"))
            assert record["responseCode"] == answer.status
            assert record["failureReason"] == ("-" if answer.status == 404 else "ClientProtocolError")
            assert record["targetIpPort"] == "-"


@pytest.mark.parametrize("body", BROKEN_CHUNKS.values(), ids=BROKEN_CHUNKS.keys())
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "body later"])
def test_a_broken_chunked_body_ends_both_connections(front, target, bystander, body, at_once):
    target.take()
    head, body = chunks(b"").replace(b"@", front.authority), body.replace(b"@", front.authority)
    with wire.connect(front.http) as sock:
        stream = wire.Stream(sock)
        if at_once:
            wire.send(sock, head + body)
        else:
            wire.send(sock, head)
            wire.wait_for(lambda: target.raw, "the head at the target")
            wire.send(sock, body)
        got = wire.read_answer(stream)
        assert got.status == 400
        assert stream.at_end()
    bystander()
    record = front.record(got.value("x-amzn-requestid"))
    assert (record["responseCode"], record["failureReason"]) == (400, "ClientProtocolError")
    # The target may have seen the head and the good part of the body, never the whole of a request, and never the inner one.
    seen, _, raw = target.take()
    assert [request.line for request in seen] == ["GET /bystander/1"], raw
    assert b"smuggled" not in raw
