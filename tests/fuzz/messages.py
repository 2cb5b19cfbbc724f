"""Readers of messages: one exception for all bad bytes, and h11's agreement on all good ones.

Where the two differ on purpose (ours is asked first, so only what it takes counts):

- h11 writes the value of Transfer-Encoding in lower case, we keep it as it came;
- we skip up to two empty lines before a request, h11 none (RFC 9112 2.2);
- fields that never belong in a trailer section are dropped by ours (RFC 9110 6.5.1);
- h11 refuses a chunked body that frames again in its trailers, where we drop those fields;
- h11 refuses spaces between a chunk's size and its extension (RFC 9112 7.1.1: BWS);
- a 101 ends HTTP for ours, where h11 wants to have asked for it.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

import h11

from tests.fuzz.target import Finding, Target, expect, pieces
from underpass.errors import RemoteProtocolError
from underpass.protocol.http.chunked import FORBIDDEN_TRAILERS
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import (
    RequestHead,
    ResponseHead,
    serialise_request,
    serialise_response,
)
from underpass.protocol.http.message import (
    EMPTY_LINES,
    Data,
    EndOfMessage,
    MessageReader,
    RequestReader,
    ResponseReader,
    Signal,
)

# Far more than any input: h11's own bound on a head must not be what differs.
H11_BYTES = 1 << 20

_FRAMING_TRAILER = re.compile(rb"\n(?:transfer-encoding|content-length):", re.IGNORECASE)
_SPACED_EXTENSION = re.compile(rb"\n[0-9A-Fa-f]+[\t ]+;")

Pairs = list[tuple[bytes, bytes]]


@dataclass
class Whole:
    """A complete message."""

    head: RequestHead | ResponseHead
    body: bytes
    trailers: Pairs


def comparable(fields: Fields) -> Pairs:
    """The fields as both keep them."""
    pairs = [(name.lower(), value) for name, value in fields]
    return [
        (name, value.lower() if name == b"transfer-encoding" else value) for name, value in pairs
    ]


def read(reader: MessageReader, data: list[bytes]) -> Whole | None:
    """The first final message of `data`; None where it is refused, or not all there."""
    waiting = list(data)
    head: RequestHead | ResponseHead | None = None
    body = b""
    try:
        while True:
            event = reader.next_event()
            if event is Signal.NEED_DATA:
                if waiting:
                    reader.receive_data(waiting.pop(0))
                else:
                    reader.receive_eof()
            elif isinstance(event, RequestHead | ResponseHead):
                head = event
            elif isinstance(event, Data):
                expect(event.data, "an empty piece of a body")
                body += event.data
            elif isinstance(event, EndOfMessage):
                if head is None:
                    raise Finding("a message without a head")
                return Whole(head, body, comparable(event.trailers))
            else:
                return _switched(head, event)
    except RemoteProtocolError as error:
        _check_error(reader, error)
        return None


def _switched(head: RequestHead | ResponseHead | None, signal: object) -> Whole | None:
    """CONNECT and 101 have no end of message: their head is all."""
    if isinstance(head, RequestHead) and signal is Signal.PAUSED:
        expect(head.method == b"CONNECT", "paused without an end")
        return Whole(head, b"", [])
    return None


def _check_error(reader: MessageReader, error: RemoteProtocolError) -> None:
    expect(error.reason.isprintable(), "a reason with control characters")
    try:
        reader.next_event()
    except RemoteProtocolError as again:
        expect(again is error, "another error at the second call")
    else:
        raise Finding("no error at the second call")


def read_by_h11(connection: h11.Connection, data: bytes) -> Whole | None:
    """The same by h11; None where it is known to refuse what we take, else that is a `Finding`."""
    connection.receive_data(data)
    connection.receive_data(b"")
    head: h11.Request | h11.Response | None = None
    body = b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request | h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return Whole(_converted(head), body, list(event.headers))
            elif not isinstance(event, h11.InformationalResponse):
                raise Finding(f"h11 waits: {event!r}")
    except h11.RemoteProtocolError as error:
        if head is not None and _differ_on_purpose(data):
            return None
        raise Finding(f"h11 refuses it: {error}") from error


def _differ_on_purpose(data: bytes) -> bool:
    body = data[data.index(b"\r\n\r\n") + 2 :]
    return bool(_FRAMING_TRAILER.search(body) or _SPACED_EXTENSION.search(body))


def _converted(head: h11.Request | h11.Response) -> RequestHead | ResponseHead:
    major, minor = (int(part) for part in head.http_version.split(b"."))
    version = (major, min(minor, 1))
    fields = Fields(head.headers)
    if isinstance(head, h11.Request):
        return RequestHead(head.method, head.target, version, fields)
    return ResponseHead(head.status_code, head.reason, version, fields)


def compare(ours: Whole, theirs: Whole | None) -> None:
    """Raise a `Finding` where two readings of a message differ."""
    if theirs is None:
        return
    for name in ("method", "target", "status", "version"):
        mine, other = getattr(ours.head, name, None), getattr(theirs.head, name, None)
        expect(mine == other, f"{name}: {mine!r}, h11 says {other!r}")
    mine, other = comparable(ours.head.fields), comparable(theirs.head.fields)
    expect(mine == other, f"fields: {mine!r}, h11 says {other!r}")
    expect(ours.body == theirs.body, f"body: {ours.body!r}, h11 says {theirs.body!r}")
    trailers = [pair for pair in theirs.trailers if pair[0] not in FORBIDDEN_TRAILERS]
    expect(ours.trailers == trailers, f"trailers: {ours.trailers!r}, h11 says {trailers!r}")


def fuzz_request(data: bytes, rng: random.Random) -> None:
    """A request: what we read, h11 reads too, and what we write again reads the same."""
    ours = read(RequestReader(), pieces(data, rng))
    if ours is None:
        return
    if not isinstance(ours.head, RequestHead):
        raise Finding("a request reader read a response")
    for _ in range(EMPTY_LINES):
        data = data.removeprefix(b"\r\n")
    compare(ours, read_by_h11(h11.Connection(h11.SERVER, H11_BYTES), data))
    again = read(RequestReader(), [serialise_request(ours.head) + b"0\r\n\r\n" * 2])
    expect(again is None or again.head == ours.head, "written again, it reads otherwise")


def fuzz_response(data: bytes, rng: random.Random) -> None:
    """A response to GET, in the same way."""
    reader = ResponseReader()
    reader.expect(b"GET")
    ours = read(reader, pieces(data, rng))
    if ours is None:
        return
    if not isinstance(ours.head, ResponseHead):
        raise Finding("a response reader read a request")
    client = h11.Connection(h11.CLIENT, H11_BYTES)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    client.send(h11.EndOfMessage())
    compare(ours, read_by_h11(client, data))
    serialise_response(ours.head)


def fuzz_chunked(data: bytes, rng: random.Random) -> None:
    """Only the body of a chunked request: the head before it is good."""
    fuzz_request(CHUNKED + data, rng)


CHUNKED = b"POST http://h/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

GET = b"GET http://h/ HTTP/1.1\r\nHost: h\r\n"
OK = b"HTTP/1.1 200 OK\r\n"

REQUESTS = (
    GET + b"\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"\r\nOPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nMax-Forwards: 3\r\n\r\n",
    b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\nProxy-Authorization: Basic YTpi\r\n\r\n\x16",
    b"POST http://h:80/a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
    CHUNKED + b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n",
    GET + b"Connection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n",
    GET + b"A:\r\nB: \t b \t\r\nCookie: a=b; c=d\r\nVia: 1.0 x, 1.1 y\r\n\r\n",
)

RESPONSES = (
    OK + b"Content-Length: 5\r\n\r\nhello",
    OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204\r\nDate: now\r\n\r\n",
    b'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "x"\r\n\r\n',
    b'HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm="a"\r\nContent-Length: 0\r\n\r\n',
    b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00",
)

CHUNKS = (
    b"5\r\nhello\r\n0\r\n\r\n",
    b"A;name=value\r\n0123456789\r\n0\r\nX-Trailer: y\r\nHost: evil\r\n\r\n",
    b'000000000000005;a="b\\"c" ; d\r\nhello\r\n1\r\n\n\r\n00\r\n\r\n',
    b"fF\r\n" + b"x" * 255 + b"\r\n0\r\n\r\n",
)

MESSAGES = (
    Target("request", REQUESTS, fuzz_request),
    Target("response", RESPONSES, fuzz_response),
    Target("chunked", CHUNKS, fuzz_chunked),
)
