"""What a proxy changes in a message it forwards, and what nobody can make it change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import Failure, RemoteProtocolError
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import (
    HTTP_10,
    HTTP_11,
    RequestHead,
    ResponseHead,
    Version,
    parse_request_head,
    parse_response_head,
    serialise_request,
    serialise_response,
)
from underpass.protocol.http.rules import (
    END_TO_END,
    MAX_VIA,
    binds_connection,
    expects_continue,
    forwarded_request,
    forwarded_response,
    has_loop,
    is_idempotent,
    next_max_forwards,
    upgrade_requested,
    wants_keep_alive,
)
from underpass.protocol.http.target import parse_absolute

Pair = tuple[bytes, bytes]
US = b"us-1"
TARGET = parse_absolute(b"http://h:81/a?b", b"GET")


def request(*pairs: Pair, method: bytes = b"GET", version: Version = HTTP_11) -> RequestHead:
    return RequestHead(method, b"http://h:81/a?b", version, Fields(pairs))


def response(*pairs: Pair, status: int = 200, version: Version = HTTP_11) -> ResponseHead:
    return ResponseHead(status, b"OK", version, Fields(pairs))


def sent(*pairs: Pair, version: Version = HTTP_11) -> list[Pair]:
    """The fields that the origin gets of a request with `pairs`, but for Host and Via."""
    head = forwarded_request(request(*pairs, version=version), TARGET, US)
    fields = list(head.fields)
    assert fields[0] == (b"Host", b"h:81")
    return [pair for pair in fields[1:] if pair[0] != b"Via"]


def test_a_request_gets_our_version_the_targets_host_and_via() -> None:
    head = forwarded_request(request((b"Host", b"other"), version=HTTP_10), TARGET, US)
    assert (head.method, head.target, head.version) == (b"GET", b"/a?b", HTTP_11)
    assert list(head.fields) == [(b"Host", b"h:81"), (b"Via", b"1.0 us-1")]


def test_a_response_gets_our_version_and_via() -> None:
    head = forwarded_response(response((b"A", b"b"), (b"Via", b"1.1 x"), version=HTTP_10), US)
    assert head.version == HTTP_11
    assert list(head.fields) == [(b"A", b"b"), (b"Via", b"1.1 x"), (b"Via", b"1.0 us-1")]


HOP_BY_HOP: list[Pair] = [
    (b"Connection", b"close"),
    (b"Proxy-Connection", b"keep-alive"),
    (b"Keep-Alive", b"timeout=5"),
    (b"TE", b"gzip"),
    (b"Transfer-Encoding", b"chunked"),
    (b"Upgrade", b"websocket"),
    (b"Proxy-Authorization", b"Basic YTpi"),
    (b"Proxy-Authenticate", b"Basic realm=x"),
    (b"Proxy-Authentication-Info", b"nextnonce=x"),
]


@pytest.mark.parametrize("field", HOP_BY_HOP)
def test_a_field_for_the_next_server_only_goes_no_further(field: Pair) -> None:
    kept = (b"X-A", b"b")
    assert sent(field, kept) == [kept]
    assert b"x-a" in forwarded_response(response(field, kept), US).fields
    assert field[0].lower() not in forwarded_response(response(field, kept), US).fields


def test_what_connection_names_goes_no_further() -> None:
    dropped = [(b"X-One", b"1"), (b"x-two", b"2"), (b"X-Two", b"2")]
    named = [(b"Connection", b"X-One , close"), (b"Connection", b",x-TWO")]
    assert sent(*named, *dropped, (b"X-Three", b"3")) == [(b"X-Three", b"3")]
    fields = forwarded_response(response(*named, *dropped, (b"X-Three", b"3")), US).fields
    assert [name for name, _ in fields] == [b"X-Three", b"Via"]


@pytest.mark.parametrize(
    "name", [*sorted(END_TO_END - {b"host", b"via"}), b"x-forwarded-for", b"sec-fetch-site"]
)
def test_nobody_has_a_field_removed_that_others_rely_on(name: bytes) -> None:
    kept = (name, b"1")
    assert sent((b"Connection", b"close, host, via, " + name), kept) == [kept]
    fields = forwarded_response(response((b"Connection", name), kept), US).fields
    assert fields.get(name) == b"1"


def test_nobody_has_our_own_fields_removed() -> None:
    head = forwarded_request(request((b"Connection", b"host, via"), (b"Via", b"1.1 x")), TARGET, US)
    assert head.fields.get_all(b"host") == [b"h:81"]
    assert head.fields.get_all(b"via") == [b"1.1 x", b"1.1 us-1"]


def test_trailers_are_asked_for_again_and_nothing_else_of_te() -> None:
    asked = sent((b"TE", b"gzip;q=1, Trailers"), (b"Connection", b"TE"))
    assert asked == [(b"TE", b"trailers"), (b"Connection", b"TE")]


def test_an_upgrade_is_asked_for_again() -> None:
    pairs = [(b"Connection", b"keep-alive, Upgrade"), (b"Upgrade", b"websocket")]
    asked = [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")]
    assert sent(*pairs) == asked
    assert sent(*pairs, (b"TE", b"trailers"))[-1] == (b"Connection", b"TE, Upgrade")
    assert sent(*pairs, version=HTTP_10) == []


@pytest.mark.parametrize(
    ("pairs", "version", "upgrade"),
    [
        ([(b"Connection", b"upgrade"), (b"Upgrade", b"a, b")], HTTP_11, b"a, b"),
        ([(b"Connection", b"upgrade"), (b"Upgrade", b"a")], HTTP_10, None),
        ([(b"Connection", b"upgrade"), (b"Upgrade", b"")], HTTP_11, None),
        ([(b"Connection", b"upgrade"), (b"Upgrade", b"a"), (b"Upgrade", b"")], HTTP_11, b"a"),
        ([(b"Connection", b"upgrade")], HTTP_11, None),
        ([(b"Upgrade", b"a")], HTTP_11, None),
    ],
)
def test_upgrade_requested(pairs: list[Pair], version: Version, upgrade: bytes | None) -> None:
    assert upgrade_requested(request(*pairs, version=version)) == upgrade


@pytest.mark.parametrize("status", [100, 103, 204])
def test_a_response_that_has_no_body_says_no_length(status: int) -> None:
    head = forwarded_response(response((b"Content-Length", b"5"), status=status), US)
    assert b"content-length" not in head.fields


@pytest.mark.parametrize("status", [200, 304])
def test_the_length_of_a_body_stays_where_there_may_be_one(status: int) -> None:
    head = forwarded_response(response((b"Content-Length", b"5"), status=status), US)
    assert head.fields.get(b"content-length") == b"5"


@pytest.mark.parametrize(
    ("values", "loop"),
    [
        ([], False),
        ([b"1.1 other, 1.0 one"], False),
        ([b"1.1 us-10"], False),
        ([b"us-1"], False),
        ([b"1.1 US-1"], True),
        ([b"1.1 other, HTTP/1.1  us-1 (comment)"], True),
        ([b"1.1 other", b"1.1 us-1"], True),
        ([b"1.1 a, 1.1 b"] * (MAX_VIA // 2), False),
        ([b"1.1 a"] * (MAX_VIA + 1), True),
    ],
)
def test_loops_are_seen_in_via(values: list[bytes], loop: bool) -> None:
    assert has_loop(Fields([(b"Via", value) for value in values]), US) is loop


@pytest.mark.parametrize(
    ("pairs", "version", "stays"),
    [
        ([], HTTP_11, True),
        ([(b"Connection", b"keep-alive, CLOSE")], HTTP_11, False),
        ([], HTTP_10, False),
        ([(b"Connection", b"keep-alive")], HTTP_10, False),
        ([(b"Proxy-Connection", b"keep-alive")], HTTP_10, False),
    ],
)
def test_keep_alive(pairs: list[Pair], version: Version, stays: bool) -> None:
    assert wants_keep_alive(request(*pairs, version=version)) is stays
    assert wants_keep_alive(response(*pairs, version=version)) is stays


@pytest.mark.parametrize("method", [b"TRACE", b"OPTIONS"])
@pytest.mark.parametrize(
    ("value", "forwards", "after"),
    [(b"0", 0, b"0"), (b"1", 1, b"0"), (b"7", 7, b"6"), (b"9999999999", 255, b"254")],
)
def test_max_forwards_is_counted_down(
    method: bytes, value: bytes, forwards: int, after: bytes
) -> None:
    head = request((b"Max-Forwards", value), (b"A", b"b"), method=method)
    found, head = next_max_forwards(head)
    assert found == forwards
    assert head.fields.get_all(b"max-forwards") == [after]
    assert b"a" in head.fields


def test_max_forwards_means_nothing_to_other_methods_nor_where_it_is_not() -> None:
    for head in (request((b"Max-Forwards", b"x")), request(method=b"TRACE")):
        assert next_max_forwards(head) == (None, head)


@pytest.mark.parametrize("value", [b"", b"-1", b"+1", b"1, 1", b"x", b"1" * 11])
def test_max_forwards_that_is_no_number_is_refused(value: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        next_max_forwards(request((b"Max-Forwards", value), method=b"TRACE"))


@pytest.mark.parametrize(
    ("values", "version", "expects"),
    [
        ([], HTTP_11, False),
        ([b"100-Continue"], HTTP_11, True),
        ([b"100-continue"], HTTP_10, False),
        ([b"something"], HTTP_10, False),
    ],
)
def test_expectations(values: list[bytes], version: Version, expects: bool) -> None:
    pairs = [(b"Expect", value) for value in values]
    assert expects_continue(request(*pairs, version=version)) is expects


@pytest.mark.parametrize("values", [[b"more"], [b"100-continue, more"], [b"100-continue"] * 2])
def test_an_unknown_expectation_is_refused(values: list[bytes]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        expects_continue(request(*[(b"Expect", value) for value in values]))
    assert caught.value.failure is Failure.EXPECTATION_FAILED


def test_an_expectation_of_http_1_0_is_not_passed_on() -> None:
    assert sent((b"Expect", b"100-continue")) == [(b"Expect", b"100-continue")]
    assert sent((b"Expect", b"100-continue"), version=HTTP_10) == []


def test_idempotent_methods() -> None:
    assert all(map(is_idempotent, [b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"]))
    assert not any(map(is_idempotent, [b"POST", b"PATCH", b"CONNECT", b"get", b"X"]))


@pytest.mark.parametrize(
    ("field", "bound"),
    [
        ((b"Authorization", b"NTLM TlRM"), True),
        ((b"Authorization", b"negotiate YII"), True),
        ((b"WWW-Authenticate", b"Negotiate"), True),
        ((b"Proxy-Authenticate", b"NTLM"), True),
        ((b"Authorization", b"Basic YTpi"), False),
        ((b"X-Authorization", b"NTLM TlRM"), False),
    ],
)
def test_authentication_that_is_bound_to_a_stream(field: Pair, bound: bool) -> None:
    assert binds_connection(request((b"Authorization", b"Bearer x"), field)) is bound
    assert binds_connection(response(field)) is bound


names = st.sampled_from([b"Host", b"Connection", b"Upgrade", b"TE", b"Via", b"X-A", b"Cookie"])
values = st.sampled_from([b"host", b"close, cookie", b"upgrade, x-a", b"trailers", b"x", b""])


@given(st.lists(st.tuples(names, values), max_size=8))
def test_what_is_forwarded_parses_and_has_one_host(pairs: list[Pair]) -> None:
    head = forwarded_request(request(*pairs), TARGET, US)
    assert parse_request_head(serialise_request(head)) == head
    assert head.fields.get_all(b"host") == [b"h:81"]
    assert head.fields.get_all(b"via")[-1] == b"1.1 us-1"
    assert len(head.fields.get_all(b"cookie")) == [name for name, _ in pairs].count(b"Cookie")
    answer = forwarded_response(response(*pairs), US)
    assert parse_response_head(serialise_response(answer)) == answer
