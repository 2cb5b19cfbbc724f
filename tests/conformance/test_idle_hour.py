"""An hour in which nobody says a word, on a clock that jumps, over real HTTP on loopback."""

from __future__ import annotations

import asyncio

import pytest

from tests.conformance import kinds
from tests.conformance.kinds import Make
from tests.unit.carriers.world import World, world
from tests.unit.tunnel.virtual_time import play
from underpass.address import Address
from underpass.errors import StreamReset

WHERE = Address("service.example", 7)
HOUR = 3600.0
PATIENCE_SECONDS = 0.0002
# All of TCP in that hour. Most goes where two requests of 150 bytes wait for no longer than a
# second each; a WebSocket takes a hundredth of it.
QUIET_BYTES = 2_500_000
KINDS = (
    kinds.websocket,
    kinds.stream,
    kinds.poll,
    kinds.poll_by_post,
    kinds.get,
    *kinds.IN_TURNS,
)


async def echo(one: World) -> None:
    """A stream that is idle for an hour brings bytes both ways, and ends both ways."""
    here, there = await one.open(WHERE)
    for number in range(2):
        if number:
            await asyncio.sleep(HOUR)
        await here.send(b"up %d" % number)
        assert await there.receive() == b"up %d" % number
        await there.send(b"down %d" % number)
        assert await here.receive() == b"down %d" % number
    await here.send_eof()
    assert await there.receive() == b""
    await there.send_eof()
    assert await here.receive() == b""


@pytest.mark.slow
@pytest.mark.parametrize("make", KINDS)
def test_a_stream_outlives_an_idle_hour_on_one_carrier(make: Make) -> None:
    async def scene() -> None:
        async with world() as one:
            carrying = await one.attach(make(one))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(echo(one))
            assert not carrying.done()
            assert one.tunnel.session.carriers == one.server.session.carriers == (0,)
            moved = sum(stream.sent + stream.received for stream in one.streams)
            assert moved <= QUIET_BYTES

    play(scene, PATIENCE_SECONDS)


async def end_carriers(one: World) -> None:
    for task in one.carried:
        task.cancel()
    await asyncio.wait(one.carried)
    await one.until(lambda: not one.server.session.carriers)


@pytest.mark.slow
@pytest.mark.parametrize("make", KINDS)
def test_a_stream_lives_on_without_a_carrier_for_the_grace_time_and_no_longer(make: Make) -> None:
    async def scene() -> None:
        async with world() as one:
            await one.attach(make(one))
            here, there = await one.open(WHERE)
            grace = one.tunnel.session.terms.grace
            await end_carriers(one)
            await asyncio.sleep(grace - 1)
            await here.send(b"still here")
            await one.attach(make(one))
            assert await there.receive() == b"still here"
            await end_carriers(one)
            await asyncio.sleep(grace + 1)
            with pytest.raises(StreamReset):
                await here.receive()
            with pytest.raises(StreamReset):
                await there.receive()

    play(scene, PATIENCE_SECONDS)
