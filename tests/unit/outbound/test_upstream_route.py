"""A plain request handed to an upstream proxy."""

from __future__ import annotations

import pytest

from underpass.errors import DialError, Failure, StreamClosed
from underpass.net.stream import Stream
from underpass.outbound.account import Account
from underpass.outbound.login import LoginTries
from underpass.outbound.upstream import Rehearsed
from underpass.outbound.upstream_route import MAX_STREAMS, UpstreamRoute
from underpass.protocol.http.digest import Login
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead, ResponseHead
from underpass.protocol.http.target import AbsoluteTarget, parse_absolute
from underpass.testing import stream_pair


async def nowhere() -> Stream:
    raise DialError(Failure.CONNECTION_REFUSED)


def route(login: Login | None = None) -> UpstreamRoute:
    return UpstreamRoute(nowhere, LoginTries(Account(login, "proxy.example") if login else None))


def head_for(target: AbsoluteTarget) -> RequestHead:
    return RequestHead(b"GET", target.origin_form, HTTP_11, Fields([(b"Host", b"h")]))


async def test_a_stream_to_the_proxy_is_opened() -> None:
    stream, _ = stream_pair()

    async def reach() -> Stream:
        return stream

    assert await UpstreamRoute(reach, LoginTries(None)).open() is stream
    with pytest.raises(DialError):
        await route().open()


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (b"http://site.example/a?b", b"http://site.example/a?b"),
        (b"HTTP://Site.Example", b"http://Site.Example/"),
        (b"ws://[2001:db8::1]:81/c", b"http://[2001:db8::1]:81/c"),
    ],
)
def test_the_target_is_absolute(asked: bytes, sent: bytes) -> None:
    target = parse_absolute(asked, b"GET")
    addressed = route().addressed(head_for(target), target)
    assert addressed.target == sent
    assert list(addressed.fields) == [(b"Host", b"h")]


async def test_a_login_is_bound_to_the_absolute_target() -> None:
    target = parse_absolute(b"http://site.example/a", b"GET")
    one = route(Login("carol", "sesame"))
    assert one.may_repeat
    challenge = (b"Proxy-Authenticate", b'Digest realm="p", nonce="n"')
    assert await one.must_repeat(ResponseHead(407, b"", HTTP_11, Fields([challenge])))
    login = one.addressed(head_for(target), target).fields.get(b"proxy-authorization") or b""
    assert b'uri="http://site.example/a"' in login


async def test_a_407_is_never_the_clients() -> None:
    assert not route().may_repeat
    assert not await route().must_repeat(ResponseHead(401, b"", HTTP_11, Fields()))
    with pytest.raises(DialError) as caught:
        await route().must_repeat(ResponseHead(407, b"", HTTP_11, Fields()))
    assert caught.value.parameters == {"received-status": 407}


async def test_a_broken_challenge_is_a_failure_of_the_proxy() -> None:
    broken = ResponseHead(407, b"", HTTP_11, Fields([(b"Proxy-Authenticate", b'Digest "')]))
    with pytest.raises(DialError, match="upstream proxy: ") as caught:
        await route(Login("carol", "sesame")).must_repeat(broken)
    assert caught.value.failure is Failure.UPSTREAM_PROTOCOL


async def test_a_proxy_that_closes_after_every_rehearsal_is_given_up() -> None:
    opened: list[Stream] = []

    async def reach() -> Stream:
        stream, _ = stream_pair()
        opened.append(stream)
        return stream

    async def rehearse(stream: Stream, login: LoginTries) -> Rehearsed:
        return Rehearsed(login_goes_on=True, stream_goes_on=False)

    account = Account(Login("carol", "sesame"), "proxy.example")
    one = UpstreamRoute(reach, LoginTries(account), rehearse)
    with pytest.raises(DialError, match="again and again"):
        await one.open(for_long=True)
    assert len(opened) == MAX_STREAMS
    for stream in opened:
        with pytest.raises(StreamClosed):
            await stream.receive()


async def test_a_rehearsal_that_fails_frees_its_stream() -> None:
    stream, _ = stream_pair()

    async def reach() -> Stream:
        return stream

    async def rehearse(stream: Stream, login: LoginTries) -> Rehearsed:
        raise DialError(Failure.UPSTREAM_REFUSED)

    account = Account(Login("carol", "sesame"), "proxy.example")
    with pytest.raises(DialError):
        await UpstreamRoute(reach, LoginTries(account), rehearse).open(for_long=True)
    with pytest.raises(StreamClosed):
        await stream.receive()
