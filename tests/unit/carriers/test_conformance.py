"""What every carrier does alike, over real HTTP on loopback (docs/carriers.md)."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator

import pytest

from tests.conformance.kinds import BRISK, IN_TURNS, Make
from tests.conformance.transfer import hash_from, pattern_to
from tests.unit.carriers.world import SECONDS, World, world
from underpass.address import Address
from underpass.errors import DialError, Failure, StreamError, StreamReset
from underpass.net.stream import Stream
from underpass.protocol.frames import CloseCode

WHERE = Address("service.example", 7)
MB = 1024 * 1024
STREAMS = 1000

SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in IN_TURNS]


@pytest.fixture(params=[*BRISK, *SLOW])
def make(request: pytest.FixtureRequest) -> Make:
    kind: Make = request.param
    return kind


@pytest.fixture
async def one(make: Make) -> AsyncIterator[World]:
    """A world with one carrier of the kind."""
    async with asyncio.timeout(SECONDS), world() as one:
        await one.attach(make(one))
        yield one


async def test_opens_a_stream_and_brings_bytes_both_ways(one: World) -> None:
    here, there = await one.open(WHERE)
    await here.send(b"hello")
    assert await there.receive() == b"hello"
    await there.send(b"and back")
    assert await here.receive() == b"and back"


async def test_each_direction_ends_on_its_own(one: World) -> None:
    here, there = await one.open(WHERE)
    await here.send_eof()
    assert await there.receive() == b""
    await there.send(b"still here")
    assert await here.receive() == b"still here"
    await there.send_eof()
    assert await here.receive() == b""


async def test_the_other_direction_ends_on_its_own(one: World) -> None:
    here, there = await one.open(WHERE)
    await there.send_eof()
    assert await here.receive() == b""
    await here.send(b"still here")
    assert await there.receive() == b"still here"


@pytest.mark.parametrize("from_client", [True, False])
async def test_a_reset_stays_a_reset(one: World, from_client: bool) -> None:
    here, there = await one.open(WHERE)
    ends = (here, there) if from_client else (there, here)
    ends[0].abort()
    with pytest.raises(StreamReset):
        await ends[1].receive()


async def test_a_refusal_arrives_with_its_reason(one: World) -> None:
    opening = one.tasks.create_task(one.dialled(WHERE))
    offer = await one.server.accept()
    offer.refuse(DialError(Failure.CONNECTION_REFUSED, "nobody listens"))
    error = await opening
    assert isinstance(error, DialError)
    assert error.failure is Failure.CONNECTION_REFUSED
    assert error.details == "nobody listens"


@pytest.mark.parametrize("size", [1, 100_000, pytest.param(8 * MB, marks=pytest.mark.slow)])
async def test_what_is_sent_arrives_both_ways_at_once(one: World, size: int) -> None:
    here, there = await one.open(WHERE)
    async with asyncio.TaskGroup() as tasks:
        up = tasks.create_task(pattern_to(here, size))
        down = tasks.create_task(pattern_to(there, size + 1))
        came_up = tasks.create_task(hash_from(there))
        came_down = tasks.create_task(hash_from(here))
    assert came_up.result() == up.result()
    assert came_down.result() == down.result()


async def say_and_answer(one: Stream, other: Stream, number: int) -> None:
    """Send one message each way, the second when the first is whole."""
    message = b"%d " % number * 200
    await one.send(message)
    await one.send_eof()
    assert await hash_from(other) == hashlib.sha256(message).hexdigest()
    await other.send(message[::-1])
    await other.send_eof()
    assert await hash_from(one) == hashlib.sha256(message[::-1]).hexdigest()


@pytest.mark.slow
async def test_a_thousand_streams_of_either_end_are_open_at_once(one: World) -> None:
    numbers = range(1, STREAMS + 1)
    async with asyncio.TaskGroup() as tasks:
        forth = [tasks.create_task(one.open(Address("forth.example", n))) for n in numbers]
        back = [tasks.create_task(one.open_back(Address("back.example", n))) for n in numbers]
    assert one.tunnel.stream_count == one.server.stream_count == 2 * STREAMS
    async with asyncio.TaskGroup() as tasks:
        for number, opened in enumerate(forth):
            here, there = opened.result()
            tasks.create_task(say_and_answer(here, there, number))
        for number, opened in enumerate(back):
            here, there = opened.result()
            tasks.create_task(say_and_answer(there, here, number))


@pytest.mark.slow
async def test_a_reader_that_stalls_stops_nobody_else(one: World) -> None:
    _, stalled = await one.open(WHERE)
    here, there = await one.open(WHERE)
    taken = 0

    async def fill() -> None:
        nonlocal taken
        while True:
            await stalled.send(bytes(64 * 1024))
            taken += 64 * 1024

    async with asyncio.TaskGroup() as tasks:
        filling = tasks.create_task(fill())
        sent = tasks.create_task(pattern_to(there, 4 * MB))
        assert await hash_from(here) == await sent
        filling.cancel()
    assert taken <= 8 * MB


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_lost_when_a_carrier_is_cut(one: World, make: Make, seed: int) -> None:
    chance = random.Random(seed)
    here, there = await one.open(WHERE)
    size = 6 * MB
    async with asyncio.TaskGroup() as tasks:
        up = tasks.create_task(pattern_to(here, size))
        down = tasks.create_task(pattern_to(there, size))
        came_up = tasks.create_task(hash_from(there))
        came_down = tasks.create_task(hash_from(here))
        for _ in range(4):
            await one.moved(chance.randrange(1, MB))
            one.cut()
            await one.attach(make(one))
    assert came_up.result() == up.result()
    assert came_down.result() == down.result()


async def test_a_tunnel_closes_in_order(one: World) -> None:
    here, there = await one.open(WHERE)
    await here.send(b"the last word")
    assert await there.receive() == b"the last word"
    for end in (here, there):
        await end.close()
    one.tunnel.close()
    ended = await one.tunnel.closed()
    assert ended.code == 0
    await one.server.closed()
    for task in one.carried:
        await task


async def test_a_carrier_that_is_cancelled_frees_everything(one: World) -> None:
    for task in one.carried:
        task.cancel()
    await asyncio.wait(one.carried)
    await one.until(lambda: not len(one.gate) and not len(one.table))
    assert one.server.session.carriers == ()
    assert all(stream.is_lost for stream in one.streams)


async def test_streams_that_are_open_end_badly_with_the_session(one: World) -> None:
    here, there = await one.open(WHERE)
    one.tunnel.abort(CloseCode.DONE, "enough")
    with pytest.raises(StreamError):
        await here.receive()
    with pytest.raises(StreamError):
        await there.receive()
