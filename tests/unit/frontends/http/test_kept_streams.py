"""Streams to servers that are kept for a next request, and those that must not be."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.frontends.http.dialogue import (
    LOOPBACK,
    SECONDS,
    Dialled,
    RawClient,
    answers,
    bench,
    field_of,
    origin,
    stage,
)
from tests.unit.net.test_message_stream import Scripted
from underpass import ListenAddress, ProxyOptions
from underpass.access import Effect, Rule
from underpass.address import Address
from underpass.errors import StreamReset
from underpass.frontends.http import forward
from underpass.net.stream import Stream
from underpass.net.transport import READ_BUFFER
from underpass.options import Limits
from underpass.outbound.via import Via

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"


def get(name: bytes, more: bytes = b"") -> bytes:
    return b"GET http://%s/ HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (name, name, more)


async def test_a_second_answer_that_nobody_asked_for_answers_nothing() -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(OK + EVIL)
        await visitor.rest()

    async with origin(script) as there, stage() as s, s.client() as client:
        for _ in range(2):
            await client.say(get(there.name))
            assert (await client.response())[1] == b"ok"
        assert there.accepted == 2


async def test_a_stream_in_use_during_a_reload_does_not_outlive_the_old_policy() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        asked.set()
        await go_on.wait()
        await visitor.say(OK)
        await visitor.rest()

    async with origin(script) as there, stage() as s, s.client() as client:
        await client.say(get(there.name))
        await asked.wait()
        s.proxy.reload(
            ProxyOptions(
                listen=(ListenAddress("127.0.0.1", 0),),
                allow=LOOPBACK,
                deny=(Rule.parse(Effect.DENY, there.name.decode()),),
                limits=Limits(drain_timeout=0),
            )
        )
        go_on.set()
        assert (await client.response())[1] == b"ok"
        await client.say(get(there.name))
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 403 ")
        assert there.accepted == 1


async def test_a_kept_stream_that_the_server_ended_is_replaced() -> None:
    async with origin(answers(OK)) as there, stage() as s:
        for _ in range(2):
            async with s.client() as client:
                await client.say(get(there.name))
                assert (await client.response())[1] == b"ok"
        assert there.accepted == 2


# More than a stream reads ahead, so that it stops reading on the way.
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (4 * READ_BUFFER) + bytes(
    4 * READ_BUFFER
)


@pytest.mark.parametrize("response", [OK, LARGE], ids=["short", "long"])
async def test_a_kept_stream_is_freed_as_soon_as_its_server_ends_it(response: bytes) -> None:
    ended = asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(response)
        if there.accepted == 1:
            visitor.finish()
            assert await visitor.rest() == b""
            ended.set()

    async with origin(script) as there, stage() as s, s.client() as client:
        await client.say(get(there.name))
        await client.response()
        async with asyncio.timeout(SECONDS):
            await ended.wait()
        # One that must not be sent twice finds no stream that has ended.
        await client.say(get(there.name, b"Content-Length: 0\r\n").replace(b"GET", b"POST"))
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 200 ")
        assert (there.accepted, there.problems) == (2, [])


async def test_streams_are_not_shared_between_clients_that_authenticate_to_the_server() -> None:
    bound = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nWWW-Authenticate: NTLM\r\n\r\nok"
    async with (
        origin(answers(bound, bound)) as there,
        stage() as s,
        s.client() as one,
        s.client() as other,
    ):
        await one.say(get(there.name))
        await one.response()
        await other.say(get(there.name))
        await other.response()
        assert there.accepted == 2
        await one.say(get(there.name))
        await one.response()
        assert there.accepted == 2


@pytest.mark.parametrize(
    ("method", "fields", "again"),
    [
        (b"GET", b"", True),
        (b"DELETE", b"", True),
        (b"POST", b"Content-Length: 0\r\n", False),
        (b"PATCH", b"", False),
    ],
)
async def test_only_what_may_be_repeated_is_sent_again(
    method: bytes, fields: bytes, again: bool
) -> None:
    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(OK)
        # It takes a second request and ends without a word.
        await visitor.head()

    async with origin(script) as there, stage() as s, s.client() as client:
        await client.say(get(there.name))
        assert (await client.response())[1] == b"ok"
        await client.say(get(there.name, fields).replace(b"GET", method))
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 200 " if again else b"HTTP/1.1 502 ")
        assert there.accepted == (2 if again else 1)


async def test_a_stream_that_is_gone_before_the_request_is_a_502() -> None:
    class Gone(Dialled):
        async def _dial(self, address: Address) -> Stream:
            return Scripted(takes=StreamReset("gone"))

    async with bench(Gone()) as b, b.client() as client:
        await client.say(get(b"192.0.2.1"))
        head, _ = await client.response()
        assert head.startswith(b"HTTP/1.1 502 ")
        assert b"error=connection_terminated" in (field_of(head, b"proxy-status") or b"")


BOUND = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nWWW-Authenticate: NTLM\r\n\r\nok"


async def test_a_bound_stream_that_its_server_ended_is_let_go() -> None:
    ended = asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        await visitor.say(BOUND)
        visitor.finish()
        assert await visitor.rest() == b""
        ended.set()

    async with origin(script) as there, stage() as s, s.client() as client:
        for _ in range(2):
            await client.say(get(there.name))
            assert (await client.response())[1] == b"ok"
        async with asyncio.timeout(5):
            await ended.wait()
        assert there.accepted == 2
        assert there.problems == []


async def test_a_client_holds_a_bounded_number_of_bound_streams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forward, "BOUND_STREAMS", 1)
    one, other = answers(BOUND, BOUND), answers(BOUND, BOUND)
    async with origin(one) as here, origin(other) as there, stage() as s, s.client() as client:
        for name in (here.name, there.name) * 2:
            await client.say(get(name))
            assert (await client.response())[1] == b"ok"
        assert (here.accepted, there.accepted) == (1, 2)


async def test_a_stream_in_use_during_a_reload_does_not_outlive_the_old_way_out() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def script(visitor: RawClient) -> None:
        await visitor.head()
        asked.set()
        await go_on.wait()
        await visitor.say(OK)
        await visitor.rest()

    async def parent(visitor: RawClient) -> None:
        for _ in range(2):
            assert (await visitor.head()).startswith(b"GET http://%s/ " % there.name)
            await visitor.say(OK)

    async with origin(script) as there, origin(parent) as p, stage() as s, s.client() as client:
        await client.say(get(there.name))
        await asked.wait()
        via = Via.parse(f"http://127.0.0.1:{p.port}")
        listen = (ListenAddress("127.0.0.1", 0),)
        limits = Limits(drain_timeout=0)
        s.proxy.reload(ProxyOptions(listen=listen, allow=LOOPBACK, via=via, limits=limits))
        go_on.set()
        for _ in range(2):
            assert (await client.response())[1] == b"ok"
            await client.say(get(there.name))
        assert (await client.response())[1] == b"ok"
        assert (there.accepted, p.accepted, p.problems) == (1, 1, [])
