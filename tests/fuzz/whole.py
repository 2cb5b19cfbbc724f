"""Messages that are taken whole: what is taken is what the readers read, whatever its pieces."""

from __future__ import annotations

import random

from tests.fuzz.messages import GET, OK, REQUESTS, RESPONSES, Whole, read
from tests.fuzz.target import Target, expect, pieces
from underpass.protocol.http.head import DEFAULT_LIMITS
from underpass.protocol.http.message import MessageReader, RequestReader, ResponseReader
from underpass.protocol.http.whole import whole_request, whole_response

SIMPLE_REQUESTS = (
    GET + b"Accept: */*\r\n\r\n",
    b"HEAD http://h/a?b HTTP/1.1\r\nHost: h\r\nProxy-Authorization: Basic YTpi\r\n\r\n",
    b"GET http://h/ HTTP/1.0\r\n\r\n",
    b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
)

SIMPLE_RESPONSES = (
    OK + b"Content-Length: 2\r\n\r\nhi",
    OK + b"Content-Length: 0\r\nConnection: keep-alive\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nServer: s\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
)


def fuzz_whole_request(data: bytes, rng: random.Random) -> None:
    """A request without a body: its head is the reader's, and nothing comes after it."""
    head = whole_request(data, DEFAULT_LIMITS)
    if head is not None:
        expected = Whole(head, b"", [])
        _compare(expected, RequestReader(), [data])
        _compare(expected, RequestReader(), pieces(data, rng))


def fuzz_whole_response(data: bytes, rng: random.Random) -> None:
    """A response to GET or HEAD, with its body."""
    method = rng.choice((b"GET", b"HEAD"))
    taken = whole_response(data, method, DEFAULT_LIMITS)
    if taken is not None:
        expected = Whole(*taken, [])
        for cut in ([data], pieces(data, rng)):
            reader = ResponseReader()
            reader.expect(method)
            _compare(expected, reader, cut)


def _compare(expected: Whole, reader: MessageReader, cut: list[bytes]) -> None:
    found = read(reader, cut)
    expect(found == expected, f"taken as {expected!r}, read as {found!r}")
    expect(not reader.has_buffered, "something comes after it")


WHOLE = (
    Target("whole-request", SIMPLE_REQUESTS + REQUESTS, fuzz_whole_request),
    Target("whole-response", SIMPLE_RESPONSES + RESPONSES, fuzz_whole_response),
)
