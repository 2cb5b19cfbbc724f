"""The corpus of malformed requests, made of the tables: >= 1,000 that a proxy must not forward."""

from __future__ import annotations

from collections.abc import Iterator

from tests.malformed.case import EVIL, Case, Fate, distinct, named
from tests.malformed.tables import (
    CHUNK_SIZES,
    CHUNKED_BODIES,
    CODINGS,
    CONTROLS,
    DELIMITERS,
    FIELD_LINES,
    FOREIGN,
    LENGTHS,
    LINE_ENDS,
)
from tests.malformed.targets import ABSOLUTES, AUTHORITIES, HOSTS

HOST_LINE = b"Host: {o}\r\n"
GET_LINE = b"GET http://{o}/ HTTP/1.1\r\n"
POST_LINE = b"POST http://{o}/ HTTP/1.1\r\n"
GET = GET_LINE + HOST_LINE
POST = POST_LINE + HOST_LINE
CONNECT = b"CONNECT {o} HTTP/1.1\r\n" + HOST_LINE
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

REQUEST_LINES: tuple[tuple[bytes, int], ...] = (
    (b"", 400),
    (b" ", 400),
    (b"GET", 400),
    (b"GET ", 400),
    (b"GET  ", 400),
    (b"GET http://{o}/", 400),
    (b"GET http://{o}/ ", 400),
    (b"GET http://{o}/  HTTP/1.1", 400),
    (b"GET  http://{o}/ HTTP/1.1", 400),
    (b"GET\thttp://{o}/ HTTP/1.1", 400),
    (b"GET http://{o}/\tHTTP/1.1", 400),
    (b"GET\x0bhttp://{o}/ HTTP/1.1", 400),
    (b"GET\x0chttp://{o}/ HTTP/1.1", 400),
    (b"GET\xa0http://{o}/ HTTP/1.1", 400),
    (b" GET http://{o}/ HTTP/1.1", 400),
    (b"\tGET http://{o}/ HTTP/1.1", 400),
    (b"GET http://{o}/ HTTP/1.1 ", 400),
    (b"GET http://{o}/ HTTP/1.1\t", 400),
    (b"GET http://{o}/ HTTP/1.1 X", 400),
    (b"GET http://{o}/ http://{o}/ HTTP/1.1", 400),
    (b"GET http://{o}/ HTTP/1.1 HTTP/1.1", 400),
    (b"http://{o}/ HTTP/1.1", 400),
    (b"HTTP/1.1 200 OK", 400),
    (b"GET HTTP/1.1", 400),
    (b"GET http://{o}/ HTTP", 400),
    (b"GET http://{o}/ HTTP/", 400),
    (b"GET http://{o}/ HTTP/1", 400),
    (b"GET http://{o}/ HTTP/1.", 400),
    (b"GET http://{o}/ HTTP/.1", 400),
    (b"GET http://{o}/ HTTP/1.10", 400),
    (b"GET http://{o}/ HTTP/11", 400),
    (b"GET http://{o}/ HTTP/11.1", 400),
    (b"GET http://{o}/ HTTP/01.1", 400),
    (b"GET http://{o}/ HTTP/1.01", 400),
    (b"GET http://{o}/ HTTP/1.1.1", 400),
    (b"GET http://{o}/ HTTP/1,1", 400),
    (b"GET http://{o}/ HTTP/1 1", 400),
    (b"GET http://{o}/ HTTP/ 1.1", 400),
    (b"GET http://{o}/ HTTP /1.1", 400),
    (b"GET http://{o}/ HTTP/-1.1", 400),
    (b"GET http://{o}/ HTTP/+1.1", 400),
    (b"GET http://{o}/ HTTP/1.x", 400),
    (b"GET http://{o}/ HTTP/x.1", 400),
    (b"GET http://{o}/ http/1.1", 400),
    (b"GET http://{o}/ Http/1.1", 400),
    (b"GET http://{o}/ hTTP/1.1", 400),
    (b"GET http://{o}/ HTTPS/1.1", 400),
    (b"GET http://{o}/ HTP/1.1", 400),
    (b"GET http://{o}/ RTSP/1.0", 400),
    (b"GET http://{o}/ ICE/1.0", 400),
    (b"GET http://{o}/ SIP/2.0", 400),
    (b"GET http://{o}/ \\HTTP/1.1", 400),
    (b"GET http://{o}/ HTTP\\1.1", 400),
    (b"GET http://{o}/ HTTP/\xef\xbc\x91.1", 400),
    (b"GET http://{o}/ HTTP/1.1\x00", 400),
    (b"GET http://{o}/ \x00HTTP/1.1", 400),
    (b"GET http://{o}/ HTTP/0.0", 505),
    (b"GET http://{o}/ HTTP/0.9", 505),
    (b"GET http://{o}/ HTTP/2.0", 505),
    (b"GET http://{o}/ HTTP/3.0", 505),
    (b"GET http://{o}/ HTTP/9.9", 505),
    (b"CONNECT {o} HTTP/2.0", 505),
    (b"CONNECT {o}", 400),
    (b"CONNECT  {o} HTTP/1.1", 400),
    (b"CONNECT {o}  HTTP/1.1", 400),
    (b"CONNECT {o} {o} HTTP/1.1", 400),
    (b"CONNECT\t{o} HTTP/1.1", 400),
    (b"CONNECT {o} HTTP/1.1 ", 400),
    (b"CONNECT HTTP/1.1", 400),
    (b"connect {o} HTTP/1.1", 400),
    (b"Connect {o} HTTP/1.1", 400),
    (b"CONNEC {o} HTTP/1.1", 400),
    (b"CONNECTX {o} HTTP/1.1", 400),
    (b"A" * 33 + b" http://{o}/ HTTP/1.1", 501),
    (b"A" * 300 + b" http://{o}/ HTTP/1.1", 501),
    (b"GET http://{o}/" + b"a" * 16_384 + b" HTTP/1.1", 414),
    (b"GET http://{o}/" + b"a" * 70_000 + b" HTTP/1.1", 414),
    (b"GET http://{o}/" + b"a" * 200_000, 414),
)

# What other protocols say first.
OTHER_PROTOCOLS: tuple[tuple[str, bytes, int], ...] = (
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ("SSLv2", b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", 400),
    ("SOCKS5", b"\x05\x01\x00", 400),
    ("SOCKS4", b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00", 400),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 400),
    ("SMTP", b"EHLO evil.example\r\n\r\n", 400),
    ("PROXY v1", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", 400),
    ("PROXY v2", b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c", 400),
    ("RDP", b"\x03\x00\x00\x13\x0e\xe0\x00\x00", 400),
    ("redis", b"*1\r\n$4\r\nPING\r\n\r\n", 400),
    ("DNS", b"\x00\x1d\xab\xcd\x01\x00\x00\x01", 400),
    ("JSON", b'{"jsonrpc": "2.0"}\r\n\r\n', 400),
    ("LF alone", b"\n", 400),
    ("CR alone", b"\rGET", 400),
    ("NUL", b"\x00", 400),
    ("BOM", b"\xef\xbb\xbfGET http://{o}/ HTTP/1.1\r\n", 400),
    ("three empty lines", b"\r\n\r\n\r\n" + GET + b"\r\n", 400),
    ("an LF line before", b"\n" + GET + b"\r\n", 400),
    ("a space before", b" \r\n" + GET + b"\r\n", 400),
)

# Whole fields that contradict each other; after Host, without the last CRLF.
CONTRADICTIONS: tuple[tuple[str, bytes, int], ...] = (
    ("CL and TE", b"Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
    ("TE and CL", b"Transfer-Encoding: chunked\r\nContent-Length: 5", 400),
    ("CL 0 and TE", b"Content-Length: 0\r\nTransfer-Encoding: chunked", 400),
    ("CL and empty TE", b"Content-Length: 5\r\nTransfer-Encoding:", 400),
    ("CL and TE identity", b"Content-Length: 5\r\nTransfer-Encoding: identity", 400),
    ("two CLs", b"Content-Length: 5\r\nContent-Length: 6", 400),
    ("two equal CLs", b"Content-Length: 5\r\nContent-Length: 5", 400),
    ("CL and CL 0", b"Content-Length: 5\r\nContent-Length: 0", 400),
    ("three CLs", b"Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 5", 400),
    ("CLs in two spellings", b"Content-Length: 5\r\ncontent-length: 05", 400),
    ("two TEs", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
    ("TE and TE identity", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", 400),
    ("TE identity and TE", b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", 501),
    ("TE and TE cow", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow", 400),
    ("TE cow and TE", b"Transfer-Encoding: cow\r\ntransfer-encoding: chunked", 501),
    ("empty TE and TE", b"Transfer-Encoding:\r\nTransfer-Encoding: chunked", 400),
)


def _request_lines() -> Iterator[Case]:
    for line, status in REQUEST_LINES:
        yield Case(f"line {named(line)}", line + b"\r\n" + HOST_LINE + b"\r\n" + EVIL, status)
    for byte in DELIMITERS.replace(b" ", b"").replace(b"\t", b"") + CONTROLS:
        line = b"G%cT http://{o}/ HTTP/1.1\r\n" % byte
        yield Case(f"method G{named(b'%c' % byte)}T", line + HOST_LINE + b"\r\n" + EVIL)
    for text in FOREIGN:
        line = b"G%sT http://{o}/ HTTP/1.1\r\n" % text
        yield Case(f"method G{named(text)}T", line + HOST_LINE + b"\r\n" + EVIL)
    for what, data, status in OTHER_PROTOCOLS:
        yield Case(f"protocol {what}", data + EVIL, status)


def _line_ends() -> Iterator[Case]:
    head = GET + b"X: y\r\nZ: z\r\n\r\n"
    lines = [at for at in range(len(head)) if head.startswith(b"\r\n", at)]
    for end in LINE_ENDS:
        for number, at in enumerate(lines):
            visible = not any(byte in CONTROLS for byte in end)
            if (number == 2 and visible) or (number == 4 and end.startswith(b"\r\n")):
                # The value of X goes on, or the head ends there: nothing is wrong with it.
                continue
            data = head[:at] + end + head[at + 2 :]
            yield Case(f"end {named(end)} of line {number}", data + EVIL)
        yield Case(f"end {named(end)} of all", head.replace(b"\r\n", end) + EVIL)


def _fields() -> Iterator[Case]:
    for line in FIELD_LINES:
        where = {
            "first": GET_LINE + line + b"\r\n" + HOST_LINE,
            "between": GET + line + b"\r\nA: b\r\n",
            "last": POST + b"Content-Length: 5\r\n" + line + b"\r\n",
            "CONNECT": CONNECT + line + b"\r\n",
        }
        for place, head in where.items():
            yield Case(f"field {named(line)} {place}", head + b"\r\n" + EVIL)
    yield Case("field 101 of them", GET + b"A: b\r\n" * 100 + b"\r\n" + EVIL, 431)
    yield Case("field 10,000 of them", GET + b"A: b\r\n" * 10_000 + b"\r\n" + EVIL, 431)
    yield Case("field of 64 KiB", GET + b"A: " + b"b" * 65_536 + b"\r\n\r\n" + EVIL, 431)
    yield Case("field of 1 MiB", GET + b"A: " + b"b" * 1_048_576 + b"\r\n\r\n" + EVIL, 431)
    yield Case("field name of 64 KiB", GET + b"A" * 65_536 + b": b\r\n\r\n" + EVIL, 431)
    yield Case("field without an end", GET + b"A: " + b"b" * 70_000, 431)


def _lengths() -> Iterator[Case]:
    for value in LENGTHS:
        field = b"Content-Length: " + value + b"\r\n"
        good = b"Content-Length: 5\r\n"
        for what, head in (
            ("POST", POST + field),
            ("GET", GET + field),
            ("after a good one", POST + good + field),
            ("before a good one", POST + field + good),
            ("and chunked", POST + field + b"Transfer-Encoding: chunked\r\n"),
        ):
            yield Case(f"length {named(value)} {what}", head + b"\r\nhello" + EVIL)


def _codings() -> Iterator[Case]:
    body = b"5\r\nhello\r\n0\r\n\r\n"
    for value, status in CODINGS:
        field = b"Transfer-Encoding: " + value + b"\r\n"
        old = POST.replace(b"HTTP/1.1", b"HTTP/1.0")
        for what, head, answer in (
            ("POST", POST + field, status),
            ("GET", GET + field, status),
            # "chunked comes twice", "not last", or in front an unknown coding.
            ("after chunked", POST + b"Transfer-Encoding: chunked\r\n" + field, 400),
            ("and a length", POST + field + b"Content-Length: 5\r\n", 400),
            ("after a length", POST + b"Content-Length: 5\r\n" + field, 400),
            ("in HTTP/1.0", old + field, 400),
        ):
            yield Case(f"coding {named(value)} {what}", head + b"\r\n" + body + EVIL, answer)
    for what, fields, status in CONTRADICTIONS:
        data = POST + fields + b"\r\n\r\n"
        yield Case(f"fields {what}", data + body + EVIL, status)
    old = b"POST http://{o}/ HTTP/1.0\r\n" + HOST_LINE + b"Transfer-Encoding: chunked\r\n\r\n"
    yield Case("coding chunked in HTTP/1.0", old + body + EVIL)


def _chunks() -> Iterator[Case]:
    for line in CHUNK_SIZES:
        for what, before in (("first", b""), ("second", b"2\r\nok\r\n")):
            data = CHUNKED + before + line + b"\r\nhello\r\n0\r\n\r\n" + EVIL
            yield Case(f"chunk {named(line)} {what}", data, fate=Fate.CUT)
        if line not in (b"",):
            data = CHUNKED + line.replace(b"5", b"0") + b"\r\n\r\n" + EVIL
            yield Case(f"chunk {named(line)} as the last", data, fate=Fate.CUT)
    for what, body in CHUNKED_BODIES:
        yield Case(f"chunk {what}", CHUNKED + body + EVIL, fate=Fate.CUT)
    extensions = b"1;a=%s\r\nx\r\n" % (b"b" * 200) * 100
    yield Case("chunk many extensions", CHUNKED + extensions + EVIL, fate=Fate.CUT)
    trailers = b"0\r\n" + b"A: b\r\n" * 101 + b"\r\n"
    yield Case("chunk 101 trailers", CHUNKED + trailers + EVIL, 431, Fate.CUT)
    large = b"0\r\nA: %s\r\n\r\n" % (b"b" * 70_000)
    yield Case("chunk trailer of 70 kB", CHUNKED + large + EVIL, fate=Fate.CUT)


def _targets() -> Iterator[Case]:
    for target in AUTHORITIES:
        for version in (b"1.1", b"1.0"):
            head = b"CONNECT %s HTTP/%s\r\n" % (target, version) + HOST_LINE + b"\r\n"
            yield Case(f"connect {named(target)} {version.decode()}", head + EVIL)
    for target, status in ABSOLUTES:
        for method in (b"GET", b"OPTIONS", b"FROBNICATE"):
            head = b"%s %s HTTP/1.1\r\n" % (method, target) + HOST_LINE + b"\r\n"
            yield Case(f"target {named(target)} {method.decode()}", head + EVIL, status)
    for method in (b"GET", b"POST", b"TRACE", b"DELETE"):
        data = b"%s * HTTP/1.1\r\n" % method + HOST_LINE + b"\r\n" + EVIL
        yield Case(f"target * {method.decode()}", data)


def _hosts() -> Iterator[Case]:
    requests = (b"GET http://{o}/ HTTP/1.1\r\n", b"CONNECT {o} HTTP/1.1\r\n")
    for line in requests:
        verb = line.split()[0].decode()
        for value in HOSTS:
            data = line + b"Host: " + value + b"\r\n\r\n" + EVIL
            yield Case(f"host {named(value)} {verb}", data)
            old = line.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Host: " + value + b"\r\n\r\n" + EVIL
            yield Case(f"host {named(value)} {verb} in HTTP/1.0", old)
        for what, lines in (
            ("none", b""),
            ("twice", HOST_LINE * 2),
            ("two", HOST_LINE + b"Host: evil\r\n"),
            ("two spellings", b"host: {o}\r\nHOST: {o}\r\n"),
            ("and an empty one", HOST_LINE + b"Host:\r\n"),
            ("thrice", HOST_LINE * 3),
        ):
            yield Case(f"host {what} {verb}", line + lines + b"\r\n" + EVIL)


def _connects() -> Iterator[Case]:
    for what, fields in (
        ("a length", b"Content-Length: 5"),
        ("length 0", b"Content-Length: 0"),
        ("chunked", b"Transfer-Encoding: chunked"),
        ("both", b"Content-Length: 5\r\nTransfer-Encoding: chunked"),
        ("an empty coding", b"Transfer-Encoding:"),
        ("a bad length", b"Content-Length: x"),
    ):
        yield Case(f"body {what} on CONNECT", CONNECT + fields + b"\r\n\r\nhello" + EVIL)
    early = {
        "a request": EVIL,
        "CONNECT": b"CONNECT {o} HTTP/1.1\r\nHost: {o}\r\n\r\n/evil",
        "a broken head": b"\x00" + EVIL,
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "a chunk": b"0\r\n\r\n" + EVIL,
        "10 kB": b"x" * 10_000 + EVIL,
    }
    denied = (b"127.0.0.2:{p}", b"[::1]:{p}", b"10.0.0.1:443", b"169.254.169.254:80", b"0.0.0.0:1")
    for target in denied:
        for what, data in early.items():
            head = b"CONNECT %s HTTP/1.1\r\n" % target + HOST_LINE + b"\r\n"
            yield Case(f"early {what} behind {named(target)}", head + data, 403)


def _unread() -> Iterator[Case]:
    """Refused for what they ask; what follows, their body or not, is not looked at."""
    length, chunked = b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n"
    bodies = {
        "a body": length,
        "a part of a body": length[:-2],
        "chunks": chunked + b"5\r\nhello\r\n0\r\n\r\n",
        "a chunk": chunked + b"5\r\nhello\r\n",
        "broken chunks": chunked + b"x\r\n",
    }
    asked = (
        (b"http://127.0.0.2:{p}/", b"", 403),
        (b"http://[::ffff:10.0.0.1]/", b"", 403),
        (b"https://{o}/", b"", 501),
        (b"http://{h}:25/", b"", 403),
        (b"http://{o}/", b"Expect: more\r\n", 417),
        (b"/", b"", 400),
        (b"*", b"", 400),
    )
    for target, field, status in asked:
        for method in (b"POST", b"GET", b"OPTIONS"):
            for what, body in bodies.items():
                head = b"%s %s HTTP/1.1\r\n" % (method, target) + HOST_LINE + field
                where = f"{method.decode()} {named(target)}"
                yield Case(f"unread {what} behind {where}", head + body + EVIL, status)


def _truncated() -> Iterator[Case]:
    head = GET + b"X: y\r\n\r\n"
    for size in range(1, len(head), 3):
        yield Case(f"cut head after {size}", head[:size], ends=True)
    body = POST + b"Content-Length: 5\r\n\r\n"
    for size in range(5):
        data = body + b"hello"[:size]
        yield Case(f"cut body after {size} of 5", data, fate=Fate.CUT, ends=True)
    chunks = b"5\r\nhello\r\n0\r\nX: y\r\n\r\n"
    for size in range(len(chunks)):
        data = CHUNKED + chunks[:size]
        yield Case(f"cut chunks after {size}", data, fate=Fate.CUT, ends=True)


def _corpus() -> Iterator[Case]:
    yield from _request_lines()
    yield from _line_ends()
    yield from _fields()
    yield from _lengths()
    yield from _codings()
    yield from _chunks()
    yield from _targets()
    yield from _hosts()
    yield from _connects()
    yield from _unread()
    yield from _truncated()


REQUESTS = distinct(_corpus())
