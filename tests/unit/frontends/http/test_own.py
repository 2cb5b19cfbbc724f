"""Requests for the proxy itself: told what it is, never given a secret back."""

from __future__ import annotations

import pytest

from tests.unit.frontends.http.dialogue import Dialled, bench, field_of
from tests.unit.net.test_message_stream import Scripted
from underpass.errors import StreamTimeout
from underpass.frontends.http import own
from underpass.frontends.http.exchange import Exchange
from underpass.frontends.http.own import describe, reflect
from underpass.net.message_stream import MessageStream
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_10, HTTP_11, RequestHead
from underpass.protocol.http.message import RequestReader

SECRETS = [
    (b"Authorization", b"Basic YTpi"),
    (b"Cookie", b"session=1"),
    (b"Proxy-Authorization", b"Basic YTpi"),
    (b"cookie", b"more=2"),
]


def head(method: bytes, *pairs: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(method, b"http://h/", HTTP_11, Fields([(b"Host", b"h"), *pairs]))


def test_options_names_what_there_is() -> None:
    assert describe(head(b"OPTIONS")) == (
        b"HTTP/1.1 200 OK\r\nAllow: GET, HEAD, OPTIONS, TRACE, CONNECT\r\nContent-Length: 0\r\n\r\n"
    )


def test_trace_is_the_request_without_its_secrets() -> None:
    answer = reflect(head(b"TRACE", *SECRETS, (b"A", b"b"), (b"Via", b"1.1 x")))
    body = b"TRACE http://h/ HTTP/1.1\r\nHost: h\r\nA: b\r\nVia: 1.1 x\r\n\r\n"
    assert answer == (
        b"HTTP/1.1 200 OK\r\n"
        b"Content-Type: message/http\r\n"
        b"Content-Length: %d\r\n"
        b"Cache-Control: no-store\r\n\r\n%s" % (len(body), body)
    )


def test_a_client_that_goes_is_told_so() -> None:
    old = RequestHead(b"OPTIONS", b"*", HTTP_10, Fields())
    for answer in (describe(head(b"OPTIONS", (b"Connection", b"close"))), reflect(old)):
        assert field_of(answer.partition(b"\r\n\r\n")[0], b"connection") == b"close"


@pytest.mark.parametrize("target", [b"/", b"*"])
async def test_answers_keep_the_stream_in_step(target: bytes) -> None:
    request = b"OPTIONS %s HTTP/1.1\r\nHost: h\r\n\r\n" % target
    async with bench(Dialled()) as b, b.client() as client:
        await client.say(request * 3)
        for _ in range(3):
            assert (await client.response())[0].startswith(b"HTTP/1.1 200 ")
        record = await b.record(2)
        assert (record.method, record.address, record.status) == ("OPTIONS", "(itself)", 200)


async def test_visitors_and_other_methods_are_told_what_this_is() -> None:
    async with bench(Dialled()) as b, b.client() as client:
        await client.say(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        answer, body = await client.response()
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert b"HTTP proxy" in body
        await client.say(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await client.head()).startswith(b"HTTP/1.1 404 ")
        await client.say(b"PUT / HTTP/1.1\r\nHost: h\r\n\r\n")
        answer, _ = await client.response()
        assert answer.startswith(b"HTTP/1.1 405 ")
        assert field_of(answer, b"allow") == b"GET, HEAD, OPTIONS, TRACE"


async def test_a_body_for_the_proxy_itself_ends_the_stream() -> None:
    async with bench(Dialled()) as b, b.client() as client:
        body = b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        await client.say(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n" + body)
        answer, _ = await client.response()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert await client.rest() == b""


async def test_who_asks_without_reading_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "ANSWER_SECONDS", 0.001)
    inbound = MessageStream(Scripted(takes=False), RequestReader())
    with pytest.raises(StreamTimeout):
        await own.answer(inbound, Exchange(None, "127.0.0.1"), head(b"OPTIONS"))
