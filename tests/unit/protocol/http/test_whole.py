"""Whole messages: what is taken is what the readers take, and everything else is left to them."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.mutate import mutated
from tests.malformed.requests import REQUESTS
from tests.malformed.responses import RESPONSES
from underpass.errors import RemoteProtocolError
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import (
    DEFAULT_LIMITS,
    HTTP_10,
    HTTP_11,
    HeadLimits,
    RequestHead,
    ResponseHead,
)
from underpass.protocol.http.message import (
    Data,
    EndOfMessage,
    MessageReader,
    RequestReader,
    ResponseReader,
    Signal,
)
from underpass.protocol.http.whole import whole_request, whole_response

GET = b"GET http://h/ HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n"
CONNECT = b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"
OLD = b"GET http://h/ HTTP/1.0\r\n\r\n"
POST = b"POST http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
EMPTY = b"HTTP/1.1 204 No Content\r\nServer: s\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\n\r\nhi"
INTERIM = b"HTTP/1.1 102 Processing\r\n\r\n"

# A round of the comparison: half a second. The numbers are the seeds.
ROUNDS = range(8)
MUTATIONS = 250


def read(reader: MessageReader, data: bytes) -> tuple[object, bytes, bool] | None:
    """The first head of `data`, its body, and whether it ends with the data; None if refused."""
    reader.receive_data(data)
    head: object = None
    body = b""
    try:
        while True:
            event = reader.next_event()
            if isinstance(event, RequestHead | ResponseHead):
                head = event
            elif isinstance(event, Data):
                body += event.data
            elif isinstance(event, EndOfMessage) or (event is Signal.PAUSED and head is not None):
                return head, body, not reader.has_buffered
            else:
                return None
    except RemoteProtocolError:
        return None


def test_a_request_without_a_body_is_taken_whole() -> None:
    fields = Fields([(b"Host", b"h"), (b"Accept", b"*/*")])
    head = RequestHead(b"GET", b"http://h/", HTTP_11, fields)
    assert whole_request(GET, DEFAULT_LIMITS) == head
    assert whole_request(OLD, DEFAULT_LIMITS) == RequestHead(
        b"GET", b"http://h/", HTTP_10, Fields()
    )
    connect = whole_request(CONNECT, DEFAULT_LIMITS)
    assert connect is not None
    assert connect.target == b"h:443"


@pytest.mark.parametrize(
    "data",
    [b"", GET[:-1], GET + b"x", GET + GET, b"\r\n" + GET, POST, POST[:-2], CONNECT + b"early"],
)
def test_another_request_is_left_to_the_reader(data: bytes) -> None:
    assert whole_request(data, DEFAULT_LIMITS) is None


def test_a_request_over_a_limit_is_left_to_the_reader() -> None:
    assert whole_request(GET, HeadLimits(section=len(GET))) is not None
    assert whole_request(GET, HeadLimits(section=len(GET) - 1)) is None
    assert whole_request(GET, HeadLimits(fields=1)) is None


def test_a_response_is_taken_with_its_body() -> None:
    fields = Fields([(b"Content-Length", b"2")])
    head = ResponseHead(200, b"OK", HTTP_11, fields)
    assert whole_response(OK, b"GET", DEFAULT_LIMITS) == (head, b"hi")
    assert whole_response(OK[:-2], b"HEAD", DEFAULT_LIMITS) == (head, b"")
    empty = whole_response(EMPTY, b"GET", DEFAULT_LIMITS)
    assert empty is not None
    assert (empty[0].status, empty[1]) == (204, b"")


@pytest.mark.parametrize(
    "data", [b"", OK[:-1], OK[:10], OK + b"x", OK + OK, CHUNKED, CLOSING, INTERIM + OK, b"rubbish"]
)
def test_another_response_is_left_to_the_reader(data: bytes) -> None:
    assert whole_response(data, b"GET", DEFAULT_LIMITS) is None


def test_a_response_over_a_limit_is_left_to_the_reader() -> None:
    size = len(OK) - 2
    assert whole_response(OK, b"GET", HeadLimits(section=size)) is not None
    assert whole_response(OK, b"GET", HeadLimits(section=size - 1)) is None


def test_no_malformed_message_is_taken() -> None:
    taken = [case.id for case in REQUESTS if whole_request(case.data, DEFAULT_LIMITS)]
    # Those are refused for where they go, after they were read.
    readable = [case.id for case in REQUESTS if read(RequestReader(), case.data) is not None]
    assert set(taken) <= set(readable)
    for case in RESPONSES:
        if whole_response(case.data, case.method, DEFAULT_LIMITS) is not None:
            reader = ResponseReader()
            reader.expect(case.method)
            assert read(reader, case.data) is not None, case.id


@pytest.mark.parametrize("seed", ROUNDS)
def test_what_is_taken_of_mutated_messages_is_what_the_readers_take(seed: int) -> None:
    rng = random.Random(seed)
    taken = 0
    for _ in range(MUTATIONS):
        data = mutated(rng, (GET, CONNECT, OLD, POST))
        request = whole_request(data, DEFAULT_LIMITS)
        if request is not None:
            taken += 1
            assert read(RequestReader(), data) == (request, b"", True), data
        data = mutated(rng, (OK, EMPTY, CHUNKED, CLOSING, INTERIM))
        method = rng.choice((b"GET", b"HEAD"))
        response = whole_response(data, method, DEFAULT_LIMITS)
        if response is not None:
            taken += 1
            reader = ResponseReader()
            reader.expect(method)
            assert read(reader, data) == (*response, True), data
    assert taken > 0
