"""Heads, parsed and serialised from one table; whatever is ambiguous is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import Failure, LocalProtocolError, RemoteProtocolError
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import (
    HTTP_10,
    HTTP_11,
    HeadLimits,
    RequestHead,
    ResponseHead,
    parse_field_section,
    parse_request_head,
    parse_response_head,
    serialise_request,
    serialise_response,
)

REQUESTS = [
    (
        b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n",
        RequestHead(b"CONNECT", b"h:1", HTTP_11, Fields([(b"Host", b"h:1")])),
    ),
    (
        b"GET http://h/ HTTP/1.0\r\n\r\n",
        RequestHead(b"GET", b"http://h/", HTTP_10, Fields()),
    ),
    (
        b"M-SEARCH * HTTP/1.1\r\nA: \r\nB: x  \t y\r\nC: \xff\r\n\r\n",
        RequestHead(
            b"M-SEARCH", b"*", HTTP_11, Fields([(b"A", b""), (b"B", b"x  \t y"), (b"C", b"\xff")])
        ),
    ),
]

RESPONSES = [
    (
        b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
        ResponseHead(200, b"OK", HTTP_11, Fields([(b"A", b"b")])),
    ),
    (b"HTTP/1.0 404 \r\n\r\n", ResponseHead(404, b"", HTTP_10, Fields())),
    (b"HTTP/1.1 599 a \xe4 b\r\n\r\n", ResponseHead(599, b"a \xe4 b", HTTP_11, Fields())),
]


@pytest.mark.parametrize(("data", "head"), REQUESTS)
def test_request_is_parsed_and_written(data: bytes, head: RequestHead) -> None:
    assert parse_request_head(data) == head
    assert serialise_request(head) == data


@pytest.mark.parametrize(("data", "head"), RESPONSES)
def test_response_is_parsed_and_written(data: bytes, head: ResponseHead) -> None:
    assert parse_response_head(data) == head
    assert serialise_response(head) == data


def test_optional_white_space_round_a_value_is_dropped() -> None:
    head = parse_request_head(b"GET / HTTP/1.1\r\nA:b\r\nC: \t d \t \r\n\r\n")
    assert list(head.fields) == [(b"A", b"b"), (b"C", b"d")]


def test_a_status_line_without_reason_is_taken() -> None:
    assert parse_response_head(b"HTTP/1.1 200\r\n\r\n").reason == b""


def test_a_later_minor_version_is_spoken_as_ours() -> None:
    assert parse_request_head(b"GET / HTTP/1.7\r\n\r\n").version == HTTP_11
    assert parse_response_head(b"HTTP/1.7 200 OK\r\n\r\n").version == HTTP_11


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        (b"GET  / HTTP/1.1\r\n\r\n", Failure.BAD_REQUEST),
        (b"GET / HTTP/1.1 \r\n\r\n", Failure.BAD_REQUEST),
        (b"GET / http/1.1\r\n\r\n", Failure.BAD_REQUEST),
        (b"GET / HTTP/1\r\n\r\n", Failure.BAD_REQUEST),
        (b"GET / HTTP/11.1\r\n\r\n", Failure.BAD_REQUEST),
        (b" GET / HTTP/1.1\r\n\r\n", Failure.BAD_REQUEST),
        (b"G@T / HTTP/1.1\r\n\r\n", Failure.BAD_REQUEST),
        (b"GET /\xff HTTP/1.1\r\n\r\n", Failure.BAD_REQUEST),
        (b"GET /\tHTTP/1.1\r\n\r\n", Failure.BAD_REQUEST),
        (b"GET / HTTP/2.0\r\n\r\n", Failure.VERSION_NOT_SUPPORTED),
        (b"GET / HTTP/0.9\r\n\r\n", Failure.VERSION_NOT_SUPPORTED),
        (b"A" * 33 + b" / HTTP/1.1\r\n\r\n", Failure.NOT_IMPLEMENTED),
        (b"GET /%s HTTP/1.1\r\n\r\n" % (b"a" * 20_000), Failure.TARGET_TOO_LONG),
        (b"GET / HTTP/1.1\r\n%s\r\n" % (b"A: b\r\n" * 101), Failure.HEADERS_TOO_LARGE),
        (b"GET / HTTP/1.1\r\nA : b\r\n\r\n", Failure.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\n A: b\r\n\r\n", Failure.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", Failure.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nA\r\n\r\n", Failure.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\n: b\r\n\r\n", Failure.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nA: b\x00c\r\n\r\n", Failure.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nA: b\x7f\r\n\r\n", Failure.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", Failure.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n", Failure.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\n\r\nmore", Failure.BAD_REQUEST),
    ],
)
def test_request_that_is_refused(data: bytes, failure: Failure) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_request_head(data)
    assert caught.value.failure is failure


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        (b"HTTP/1.1 20 OK\r\n\r\n", Failure.UPSTREAM_PROTOCOL),
        (b"HTTP/1.1 600 OK\r\n\r\n", Failure.UPSTREAM_PROTOCOL),
        (b"HTTP/2.0 200 OK\r\n\r\n", Failure.UPSTREAM_PROTOCOL),
        (b"ICY 200 OK\r\n\r\n", Failure.UPSTREAM_PROTOCOL),
        (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", Failure.UPSTREAM_PROTOCOL),
        (b"HTTP/1.1 200 OK\r\n%s\r\n" % (b"A: b\r\n" * 101), Failure.RESPONSE_HEADERS_TOO_LARGE),
    ],
)
def test_response_that_is_refused(data: bytes, failure: Failure) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_response_head(data)
    assert caught.value.failure is failure


@pytest.mark.parametrize(
    "head",
    [
        RequestHead(b"GET", b"/ x", HTTP_11, Fields()),
        RequestHead(b"GET", b"/\r\nEvil: 1", HTTP_11, Fields()),
        RequestHead(b"", b"/", HTTP_11, Fields()),
        RequestHead(b"GET", b"/", HTTP_11, Fields([(b"A", b"b\r\nC: d")])),
    ],
)
def test_request_that_would_not_parse_back_is_not_written(head: RequestHead) -> None:
    with pytest.raises(LocalProtocolError):
        serialise_request(head)


def test_response_that_would_not_parse_back_is_not_written() -> None:
    with pytest.raises(LocalProtocolError):
        serialise_response(ResponseHead(200, b"OK\r\nEvil: 1", HTTP_11, Fields()))


def test_limits_are_the_callers() -> None:
    data = b"GET / HTTP/1.1\r\nA: b\r\nC: d\r\n\r\n"
    with pytest.raises(RemoteProtocolError):
        parse_request_head(data, HeadLimits(fields=1))


def test_trailers_are_parsed_by_the_same_rules() -> None:
    assert parse_field_section(b"A: b\r\n\r\n") == Fields([(b"A", b"b")])
    with pytest.raises(RemoteProtocolError):
        parse_field_section(b"A : b\r\n\r\n")


@given(st.binary(max_size=200))
def test_bytes_raise_one_exception_and_nothing_else(data: bytes) -> None:
    for parse in (parse_request_head, parse_response_head, parse_field_section):
        with contextlib.suppress(RemoteProtocolError):
            parse(data + b"\r\n\r\n")


names = st.from_regex(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}", fullmatch=True)
values = st.from_regex(rb"([!-~\x80-\xff]([ -~\x80-\xff\t]{0,20}[!-~\x80-\xff])?)?", fullmatch=True)


@given(st.lists(st.tuples(names, values), max_size=20), names)
def test_what_is_written_parses_back(pairs: list[tuple[bytes, bytes]], method: bytes) -> None:
    request = RequestHead(method, b"http://h/", HTTP_11, Fields(pairs))
    assert parse_request_head(serialise_request(request)) == request
