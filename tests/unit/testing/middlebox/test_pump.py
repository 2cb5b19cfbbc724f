"""The two sides of a box, and bytes between them."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest

from underpass.address import Address
from underpass.errors import DialError, Failure, StreamReset
from underpass.net.stream import Stream
from underpass.testing import MemoryStream, stream_pair
from underpass.testing.middlebox import Behaviour
from underpass.testing.middlebox.line import Line
from underpass.testing.middlebox.pump import LONGEST_FUSE, Fuse, pump, side
from underpass.testing.middlebox.state import BoxState


async def no_dial(address: Address) -> Stream:
    raise DialError(Failure.CONNECTION_REFUSED, str(address))


@contextlib.asynccontextmanager
async def state(behaviour: Behaviour) -> AsyncIterator[BoxState]:
    async with asyncio.TaskGroup() as tasks:
        it = BoxState(behaviour, no_dial, 1, tasks)
        yield it
        it.end()


async def pumped(
    fuse: Fuse, delay: float = 0.0
) -> AsyncIterator[tuple[MemoryStream, MemoryStream]]:
    here, client = stream_pair()
    server, there = stream_pair()
    async with (
        state(Behaviour()) as it,
        side(client, Line(delay, 0), it) as one,
        side(server, Line(delay, 0), it) as other,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(pump(one, other, fuse))
        yield here, there


NO_FUSE = Fuse(random.Random(1), 0)


@pytest.mark.parametrize("delay", [0.0, 0.005])
async def test_bytes_pass_both_ways_and_each_ends_on_its_own(delay: float) -> None:
    async for here, there in pumped(NO_FUSE, delay):
        await here.send(b"up")
        await here.send_eof()
        assert await there.receive() == b"up"
        assert await there.receive() == b""
        await there.send(b"down")
        await there.send_eof()
        assert await here.receive() == b"down"
        assert await here.receive() == b""


async def test_a_fuse_resets_the_streams_within_its_length() -> None:
    here, there = stream_pair()
    fuse = Fuse(random.Random(1), 1)
    with pytest.raises(StreamReset, match="middlebox"):
        fuse.burn(bytes(LONGEST_FUSE), here)
    with pytest.raises(StreamReset):
        await there.receive()


async def test_a_reset_goes_on() -> None:
    async for here, there in pumped(NO_FUSE):
        here.abort()
        with pytest.raises(StreamReset):
            await there.receive()


def test_without_a_chance_nothing_burns() -> None:
    assert NO_FUSE.burn(bytes(2 * LONGEST_FUSE)) == bytes(2 * LONGEST_FUSE)


async def test_what_fails_within_leaves_a_reset() -> None:
    here, client = stream_pair()
    with pytest.raises(ExceptionGroup):
        async with state(Behaviour()) as it, side(client, Line(0, 0), it):
            raise StreamReset("enough")
    with pytest.raises(StreamReset):
        await here.receive()
