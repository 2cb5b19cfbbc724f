"""The corpus of malformed responses, of the same tables: what an origin must not get through."""

from __future__ import annotations

from collections.abc import Iterator

from tests.malformed.case import Case, Fate, distinct, named
from tests.malformed.stage import CONTROL
from tests.malformed.tables import (
    CHUNK_SIZES,
    CHUNKED_BODIES,
    CODINGS,
    CONTROLS,
    FIELD_LINES,
    LENGTHS,
    LINE_ENDS,
)

# What a hostile origin hopes that the next request, perhaps another user's, is answered with.
EVIL_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

OK = b"HTTP/1.1 200 OK\r\n"
FIVE = b"Content-Length: 5\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BODY = b"5\r\nhello\r\n0\r\n\r\n"

STATUS_LINES = (
    b"",
    b" ",
    b"HTTP/1.1",
    b"HTTP/1.1 ",
    b"HTTP/1.1 OK",
    b"HTTP/1.1 20",
    b"HTTP/1.1 2000 OK",
    b"HTTP/1.1 0 OK",
    b"HTTP/1.1 000 OK",
    b"HTTP/1.1 099 OK",
    b"HTTP/1.1 600 OK",
    b"HTTP/1.1 999 OK",
    b"HTTP/1.1 -200 OK",
    b"HTTP/1.1 +200 OK",
    b"HTTP/1.1 2_0 OK",
    b"HTTP/1.1 0x2 OK",
    b"HTTP/1.1 2e2 OK",
    b"HTTP/1.1 200.0 OK",
    b"HTTP/1.1 \xb2\xb0\xb0 OK",
    b"HTTP/1.1 \xef\xbc\x92\xef\xbc\x90\xef\xbc\x90 OK",
    b"HTTP/1.1  200 OK",
    b"HTTP/1.1\t200 OK",
    b"HTTP/1.1 200\tOK",
    b"HTTP/1.1\xa0200 OK",
    b"HTTP/1.1 200OK",
    b"HTTP/1.1 200\x00OK",
    b"HTTP/1.1 200 O\x00K",
    b"HTTP/1.1 200 O\rK",
    b"HTTP/1.1 200 O\nK",
    b"HTTP/1.1 200 O\x1b[2JK",
    b"HTTP/1.1 200 O\x7fK",
    b" HTTP/1.1 200 OK",
    b"\tHTTP/1.1 200 OK",
    b"\x00HTTP/1.1 200 OK",
    b"\xef\xbb\xbfHTTP/1.1 200 OK",
    b"http/1.1 200 OK",
    b"Http/1.1 200 OK",
    b"HTTPS/1.1 200 OK",
    b"HTTP 200 OK",
    b"HTTP/ 200 OK",
    b"HTTP/1 200 OK",
    b"HTTP/1. 200 OK",
    b"HTTP/.1 200 OK",
    b"HTTP/1.10 200 OK",
    b"HTTP/11 200 OK",
    b"HTTP/01.1 200 OK",
    b"HTTP/1,1 200 OK",
    b"HTTP/-1.1 200 OK",
    b"HTTP/x.1 200 OK",
    b"HTTP/0.9 200 OK",
    b"HTTP/2.0 200 OK",
    b"HTTP/3.0 200 OK",
    b"ICY 200 OK",
    b"RTSP/1.0 200 OK",
    b"200 OK",
    b"<html>a 0.9 page</html>",
    b"GET http://{o}/evil HTTP/1.1",
    b"SSH-2.0-OpenSSH_9.2",
    b"220 smtp.example ESMTP",
    b"HTTP/1.1 200 " + b"a" * 70_000,
)

# Complete, with something behind it: the request's method, the answer's status, the answer.
PLANTED: tuple[tuple[str, bytes, int, bytes], ...] = (
    ("behind a body", b"GET", 200, CONTROL),
    ("behind chunks", b"GET", 200, CHUNKED + b"7\r\ncontrol\r\n0\r\n\r\n"),
    ("behind no body", b"GET", 200, OK + b"Content-Length: 0\r\n\r\n"),
    ("behind 204", b"GET", 204, b"HTTP/1.1 204 No Content\r\n\r\n"),
    ("behind 304", b"GET", 304, b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    ("behind 304 with a length", b"GET", 304, b"HTTP/1.1 304 Not Modified\r\n" + FIVE + b"\r\n"),
    ("behind a head", b"HEAD", 200, OK + FIVE + b"\r\n"),
    ("behind a head with chunks", b"HEAD", 200, CHUNKED),
    ("behind 404", b"GET", 404, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"),
    ("behind 407", b"GET", 407, b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"),
)
BEHIND = {
    "a response": EVIL_RESPONSE,
    "CRLF and a response": b"\r\n" + EVIL_RESPONSE,
    "a body": b"evil!",
    "an interim one": b"HTTP/1.1 100 Continue\r\n\r\n" + EVIL_RESPONSE,
    "one byte": b"\x00",
}


def _heads() -> Iterator[Case]:
    for line in STATUS_LINES:
        data = line + b"\r\n" + FIVE + b"\r\nhello" + EVIL_RESPONSE
        yield Case(f"status {named(line)}", data, 502)
    head = OK + b"X: y\r\n" + FIVE + b"\r\n"
    lines = [at for at in range(len(head)) if head.startswith(b"\r\n", at)]
    for end in LINE_ENDS:
        for number, at in enumerate(lines):
            visible = not any(byte in CONTROLS for byte in end)
            if (visible and number < 2) or (number == 3 and end.startswith(b"\r\n")):
                continue
            data = head[:at] + end + head[at + 2 :] + b"hello" + EVIL_RESPONSE
            yield Case(f"end {named(end)} of line {number}", data, 502)
    for line in FIELD_LINES:
        if b"Host : " in line:
            continue
        for place, text in (
            ("first", OK + line + b"\r\n" + FIVE),
            ("last", OK + FIVE + line + b"\r\n"),
            ("of a 1xx", b"HTTP/1.1 100 Continue\r\n" + line + b"\r\n"),
        ):
            yield Case(f"field {named(line)} {place}", text + b"\r\nhello" + EVIL_RESPONSE, 502)
    yield Case("field 101 of them", OK + b"A: b\r\n" * 100 + FIVE + b"\r\nhello", 502)
    yield Case("field of 64 KiB", OK + b"A: " + b"b" * 65_536 + b"\r\n\r\n", 502)
    yield Case("field without an end", OK + b"A: " + b"b" * 70_000, 502)


def _framing() -> Iterator[Case]:
    for value in LENGTHS:
        field = b"Content-Length: " + value + b"\r\n"
        for what, head in (
            ("alone", OK + field),
            ("after a good one", OK + FIVE + field),
            ("before a good one", OK + field + FIVE),
            ("and chunked", OK + field + b"Transfer-Encoding: chunked\r\n"),
        ):
            data = head + b"\r\nhello" + EVIL_RESPONSE
            yield Case(f"length {named(value)} {what}", data, 502)
    for value, _ in CODINGS:
        field = b"Transfer-Encoding: " + value + b"\r\n"
        for what, head in (
            ("alone", OK + field),
            ("after chunked", OK + b"Transfer-Encoding: chunked\r\n" + field),
            ("and a length", OK + field + FIVE),
            ("in HTTP/1.0", b"HTTP/1.0 200 OK\r\n" + field),
        ):
            data = head + b"\r\n" + BODY + EVIL_RESPONSE
            yield Case(f"coding {named(value)} {what}", data, 502)
    both = OK + FIVE + b"Transfer-Encoding: chunked\r\n\r\n" + BODY + EVIL_RESPONSE
    yield Case("coding chunked and a length", both, 502)
    old = b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY + EVIL_RESPONSE
    yield Case("coding chunked in HTTP/1.0", old, 502)
    switch = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    )
    yield Case("status 101 unasked", switch + EVIL_RESPONSE, 502)
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    yield Case("interim without end", interim * 100 + EVIL_RESPONSE, 502)


def _bodies() -> Iterator[Case]:
    for line in CHUNK_SIZES:
        for what, before in (("first", b""), ("second", b"2\r\nok\r\n")):
            data = CHUNKED + before + line + b"\r\nhello\r\n0\r\n\r\n" + EVIL_RESPONSE
            yield Case(f"chunk {named(line)} {what}", data, 502, Fate.CUT)
    for what, body in CHUNKED_BODIES:
        yield Case(f"chunk {what}", CHUNKED + body + EVIL_RESPONSE, 502, Fate.CUT)
    trailers = b"0\r\n" + b"A: b\r\n" * 101 + b"\r\n"
    yield Case("chunk 101 trailers", CHUNKED + trailers, 502, Fate.CUT)


def _truncated() -> Iterator[Case]:
    head = OK + FIVE + b"\r\n"
    for size in range(1, len(head), 2):
        yield Case(f"cut head after {size}", head[:size], 502, ends=True)
    for size in range(5):
        data = head + b"hello"[:size]
        yield Case(f"cut body after {size} of 5", data, 502, Fate.CUT, ends=True)
    for size in range(len(BODY)):
        yield Case(f"cut chunks after {size}", CHUNKED + BODY[:size], 502, Fate.CUT, ends=True)


def _planted() -> Iterator[Case]:
    for where, method, status, answer in PLANTED:
        for what, more in BEHIND.items():
            yield Case(f"planted {what} {where}", answer + more, status, Fate.ALONE, method=method)


def _corpus() -> Iterator[Case]:
    yield from _heads()
    yield from _framing()
    yield from _bodies()
    yield from _truncated()
    yield from _planted()


RESPONSES = distinct(_corpus())
