"""Where bodies end, in a table; every doubt refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import Failure, RemoteProtocolError
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.framing import (
    CHUNKED,
    NO_BODY,
    UNTIL_CLOSE,
    BodyKind,
    Framing,
    request_framing,
    response_framing,
)
from underpass.protocol.http.head import HTTP_10, HTTP_11, RequestHead, ResponseHead, Version

HOST = (b"Host", b"h")
Pairs = list[tuple[bytes, bytes]]


def request(pairs: Pairs, method: bytes = b"POST", version: Version = HTTP_11) -> RequestHead:
    return RequestHead(method, b"http://h/", version, Fields(pairs))


@pytest.mark.parametrize(
    ("pairs", "framing"),
    [
        ([HOST], NO_BODY),
        ([HOST, (b"Content-Length", b"0")], NO_BODY),
        ([HOST, (b"Content-Length", b"10")], Framing(BodyKind.LENGTH, 10)),
        ([HOST, (b"Content-Length", b"010")], Framing(BodyKind.LENGTH, 10)),
        ([HOST, (b"Transfer-Encoding", b"chunked")], CHUNKED),
        ([HOST, (b"Transfer-Encoding", b"Chunked")], CHUNKED),
        ([(b"Host", b"[::1]:80")], NO_BODY),
        ([(b"Host", b"")], NO_BODY),
    ],
)
def test_request_framing(pairs: Pairs, framing: Framing) -> None:
    assert request_framing(request(pairs)) == framing


@pytest.mark.parametrize(
    ("pairs", "failure"),
    [
        ([], Failure.BAD_REQUEST),
        ([HOST, HOST], Failure.BAD_REQUEST),
        ([(b"Host", b"a b")], Failure.BAD_REQUEST),
        ([(b"Host", b"u@h")], Failure.BAD_REQUEST),
        ([(b"Host", b"h:x")], Failure.BAD_REQUEST),
        ([(b"Host", b"h/evil")], Failure.BAD_REQUEST),
        ([(b"Host", b"[1::2::3]")], Failure.BAD_REQUEST),
        ([(b"Host", b"h%2")], Failure.BAD_REQUEST),
        ([HOST, (b"Content-Length", b"3"), (b"Content-Length", b"3")], Failure.BAD_REQUEST),
        ([HOST, (b"Content-Length", b"3, 3")], Failure.BAD_REQUEST),
        ([HOST, (b"Content-Length", b"+3")], Failure.BAD_REQUEST),
        ([HOST, (b"Content-Length", b"-3")], Failure.BAD_REQUEST),
        ([HOST, (b"Content-Length", b"1_0")], Failure.BAD_REQUEST),
        ([HOST, (b"Content-Length", b"0x10")], Failure.BAD_REQUEST),
        ([HOST, (b"Content-Length", b"")], Failure.BAD_REQUEST),
        ([HOST, (b"Content-Length", b"1" * 20)], Failure.BAD_REQUEST),
        (
            [HOST, (b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked")],
            Failure.BAD_REQUEST,
        ),
        ([HOST, (b"Transfer-Encoding", b"gzip, chunked")], Failure.NOT_IMPLEMENTED),
        ([HOST, (b"Transfer-Encoding", b"chunked, gzip")], Failure.BAD_REQUEST),
        ([HOST, (b"Transfer-Encoding", b"chunked, chunked")], Failure.BAD_REQUEST),
        ([HOST, (b"Transfer-Encoding", b"identity")], Failure.BAD_REQUEST),
        ([HOST, (b"Transfer-Encoding", b",chunked")], Failure.BAD_REQUEST),
        (
            [HOST, (b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"x")],
            Failure.BAD_REQUEST,
        ),
    ],
)
def test_request_in_doubt_is_refused(pairs: Pairs, failure: Failure) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        request_framing(request(pairs))
    assert caught.value.failure is failure


def test_http_1_0_needs_no_host_but_takes_no_two_and_no_coding() -> None:
    assert request_framing(request([], version=HTTP_10)) == NO_BODY
    for pairs in ([HOST, HOST], [(b"Transfer-Encoding", b"chunked")]):
        with pytest.raises(RemoteProtocolError):
            request_framing(request(pairs, version=HTTP_10))


@pytest.mark.parametrize("field", [(b"Content-Length", b"0"), (b"Transfer-Encoding", b"chunked")])
def test_connect_has_no_body(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(RemoteProtocolError, match="CONNECT has no body"):
        request_framing(request([HOST, field], b"CONNECT"))


@given(st.binary(max_size=24))
def test_a_length_is_taken_only_if_it_is_digits(value: bytes) -> None:
    head = request([HOST, (b"Content-Length", value)])
    digits = re.fullmatch(rb"[0-9]{1,19}", value)
    try:
        framing = request_framing(head)
    except RemoteProtocolError:
        assert not digits
    else:
        assert digits
        assert framing.length == int(value)


LENGTH_5 = (b"Content-Length", b"5")
CODED = (b"Transfer-Encoding", b"chunked")


@pytest.mark.parametrize(
    ("status", "pairs", "method", "framing"),
    [
        (200, [LENGTH_5], b"GET", Framing(BodyKind.LENGTH, 5)),
        (200, [(b"Content-Length", b"0")], b"GET", NO_BODY),
        (200, [CODED], b"GET", CHUNKED),
        (200, [], b"GET", UNTIL_CLOSE),
        (200, [LENGTH_5], b"HEAD", NO_BODY),
        (204, [], b"GET", NO_BODY),
        (304, [LENGTH_5], b"GET", NO_BODY),
        (103, [], b"GET", NO_BODY),
        (101, [], b"GET", NO_BODY),
        (200, [LENGTH_5], b"CONNECT", NO_BODY),
        (403, [LENGTH_5], b"CONNECT", Framing(BodyKind.LENGTH, 5)),
    ],
)
def test_response_framing(status: int, pairs: Pairs, method: bytes, framing: Framing) -> None:
    head = ResponseHead(status, b"", HTTP_11, Fields(pairs))
    assert response_framing(head, method) == framing


@pytest.mark.parametrize(
    ("pairs", "version"),
    [
        ([LENGTH_5, CODED], HTTP_11),
        ([LENGTH_5, LENGTH_5], HTTP_11),
        ([(b"Content-Length", b"x")], HTTP_11),
        ([(b"Transfer-Encoding", b"gzip, chunked")], HTTP_11),
        ([CODED], HTTP_10),
    ],
)
def test_response_in_doubt_is_refused(pairs: Pairs, version: Version) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        response_framing(ResponseHead(200, b"", version, Fields(pairs)), b"GET")
    assert caught.value.failure is Failure.UPSTREAM_PROTOCOL


@pytest.mark.parametrize(("status", "method"), [(200, b"HEAD"), (304, b"GET"), (204, b"GET")])
def test_a_length_that_frames_nothing_is_a_number_all_the_same(status: int, method: bytes) -> None:
    for pairs in ([LENGTH_5, LENGTH_5], [(b"Content-Length", b"x")]):
        with pytest.raises(RemoteProtocolError):
            response_framing(ResponseHead(status, b"", HTTP_11, Fields(pairs)), method)
