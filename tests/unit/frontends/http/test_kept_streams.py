"""Streams to servers that are kept for a next request, and those that must not be."""

from __future__ import annotations

import asyncio

from tests.unit.frontends.http.dialogue import LOOPBACK, RawClient, origin, stage
from underpass import ListenAddress, ProxyOptions
from underpass.access import Effect, Rule
from underpass.options import Limits

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"


def get(name: bytes) -> bytes:
    return b"GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n" % (name, name)


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
