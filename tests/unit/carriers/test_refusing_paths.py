"""What the carriers make of paths that refuse a method, or let one request at a time through."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.unit.carriers.world import SECONDS, World, world
from underpass.address import Address
from underpass.carriers.base import CarrierError, Feed
from underpass.carriers.calls import SerialPath
from underpass.carriers.get import GetCarrier
from underpass.carriers.http_client import HttpClient
from underpass.carriers.methods import Methods
from underpass.carriers.pacing import Pacing
from underpass.carriers.poll import PollCarrier
from underpass.carriers.server_url import ServerUrl
from underpass.carriers.stream import StreamCarrier
from underpass.net.route import StreamRoute
from underpass.protocol.frames import CloseCode
from underpass.testing.middlebox import Behaviour, Middlebox

WHERE = Address("service.example", 7)


@contextlib.asynccontextmanager
async def boxed(behaviour: Behaviour) -> AsyncIterator[tuple[World, HttpClient, Middlebox]]:
    """A world behind a box that stands in the path, and a client of HTTP to it."""
    async with (
        asyncio.timeout(SECONDS),
        world() as one,
        Middlebox(behaviour, Address("127.0.0.1", one.port)) as box,
    ):
        url = ServerUrl.parse(f"http://{box.address}/below")
        yield one, HttpClient(url, lambda: StreamRoute(one.dial, box.address)), box
        for task in one.carried:
            task.cancel()


async def ping(one: World) -> None:
    here, there = await one.open(WHERE)
    await here.send(b"ping")
    assert await there.receive() == b"ping"
    await there.send(b"pong")
    assert await here.receive() == b"pong"


@pytest.mark.parametrize("kind", [StreamCarrier, PollCarrier])
async def test_post_stands_for_put_where_that_is_refused(
    kind: type[StreamCarrier] | type[PollCarrier],
) -> None:
    behaviour = Behaviour(methods=frozenset({"GET", "POST"}))
    async with boxed(behaviour) as (one, client, box):
        await one.attach(kind(client, Methods(), Pacing()))
        await ping(one)
    assert [head.method for head in box.record.heads][:2] == [b"PUT", b"POST"]


async def test_where_post_is_refused_too_the_error_says_so() -> None:
    async with boxed(Behaviour(methods=frozenset({"GET"}))) as (_, client, _box):
        carrier = StreamCarrier(client, Methods(), Pacing())
        with pytest.raises(CarrierError, match="POST was refused: HTTP 405"):
            await carrier.open(b"hello")


@pytest.mark.slow
async def test_stream_ends_where_one_request_goes_at_a_time() -> None:
    pacing = Pacing()
    # It has made room before, and nothing else worked.
    pacing.path.doubt(0.0)
    async with boxed(Behaviour(one_at_a_time=True)) as (one, client, _):
        running = await one.attach(StreamCarrier(client, Methods(), pacing))
        for _ in range(2):
            one.tunnel.session.lower_keepalive(0, 1.0)
            one.tunnel.settle()
            await asyncio.sleep(0.3)
        opening = one.tasks.create_task(one.dialled(WHERE))
        ended = await running
        opening.cancel()
    assert isinstance(ended, CarrierError)
    assert "one request at a time" in ended.reason
    with pytest.raises(SerialPath):
        await StreamCarrier(client, Methods(), pacing).open(b"hello")


async def test_get_that_was_not_helped_by_turns_ends_as_any_carrier() -> None:
    async with boxed(Behaviour()) as (one, client, _):

        async def not_helped(feed: Feed) -> bool:
            return False

        carrier = GetCarrier(client, Pacing())
        carrier._helps = not_helped  # type: ignore[method-assign]  # else it takes a slow path
        carrier._calls._stuck.set()
        running = await one.attach(carrier)
        await ping(one)
        one.tunnel.abort(CloseCode.DONE, "enough")
        assert isinstance(await running, CarrierError)
