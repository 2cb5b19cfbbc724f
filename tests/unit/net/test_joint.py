"""Joints without a task: when they tell of their end, and what that frees.

What a relay does with bytes and ends is told by `test_relay`, which goes through here too.
"""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.unit.net.test_relay import Pair, read, reset, write
from tests.unit.net.test_splice import MakePair, Scene
from underpass.net.ending import Ending, RelayTimeouts, Transfer
from underpass.net.joint import Joiner, Joint
from underpass.testing.memory import stream_pair


class Joined(Scene):
    """The same scene, with a joint in the place of the splice."""

    def __init__(self, left: Pair, right: Pair, timeouts: RelayTimeouts | None = None) -> None:
        super().__init__(left, right)
        self.joiner = Joiner(timeouts or RelayTimeouts())

    def begin(self) -> Joint:
        return self.joiner.join(self.left, self.right, self.told.append)


async def test_the_end_is_told_once_with_what_passed(make_pair: MakePair) -> None:
    s = Joined(await make_pair(), await make_pair())
    s.begin()
    await write(s.client, b"hello")
    assert await read(s.destination, 5) == b"hello"
    s.client.close()
    assert await read(s.destination, 1) == b""
    assert s.told == []
    s.destination.close()
    assert await s.ending() is Ending.COMPLETE
    assert s.told == [Transfer(5, 0, Ending.COMPLETE)]
    assert len(s.joiner.half_closed) == 0


async def test_a_cut_resets_both_and_is_told_at_once(make_pair: MakePair) -> None:
    s = Joined(await make_pair(), await make_pair())
    joint = s.begin()
    joint.cut()
    joint.cut()
    assert s.told == [Transfer(0, 0, Ending.CUT)]
    for end in (s.client, s.destination):
        with pytest.raises(ConnectionResetError):
            await read(end, 1)


async def test_a_stream_that_was_lost_before_ends_it_before_it_returns(
    make_pair: MakePair,
) -> None:
    s = Joined(await make_pair(), await make_pair())
    reset(s.client)
    async with asyncio.timeout(5):
        while not s.left.is_lost:
            await asyncio.sleep(0)
    s.begin()
    assert s.told == [Transfer(0, 0, Ending.LEFT_RESET)]
    with pytest.raises(ConnectionResetError):
        await read(s.destination, 1)


async def test_the_end_is_told_when_the_last_byte_is_delivered(make_pair: MakePair) -> None:
    s = Joined(await make_pair(), await make_pair())
    s.begin()
    size = await s.fill()
    s.client.shutdown(socket.SHUT_WR)
    s.destination.shutdown(socket.SHUT_WR)
    async with asyncio.timeout(5):
        while not len(s.joiner.flushing):
            await asyncio.sleep(0)
    assert s.told == []
    assert len(await read(s.client, size)) == size
    assert await s.ending() is Ending.COMPLETE
    assert len(s.joiner.flushing) == 0


async def test_who_never_takes_the_rest_is_given_up(make_pair: MakePair) -> None:
    s = Joined(await make_pair(), await make_pair())
    s.joiner.flushing.seconds = 0.01
    s.begin()
    await s.fill()
    s.client.shutdown(socket.SHUT_WR)
    s.destination.shutdown(socket.SHUT_WR)
    assert await s.ending() is Ending.COMPLETE
    async with asyncio.timeout(5):
        while not s.left.is_lost:
            await asyncio.sleep(0)


async def test_half_closed_ones_share_a_timer(make_pair: MakePair) -> None:
    s = Joined(await make_pair(), await make_pair(), RelayTimeouts(half_close=0.02))
    s.begin()
    s.client.shutdown(socket.SHUT_WR)
    assert await s.ending() is Ending.HALF_CLOSE_TIMEOUT
    assert len(s.joiner.half_closed) == 0


async def test_what_is_told_after_a_cut_changes_nothing() -> None:
    here, left = stream_pair()
    right, there = stream_pair()
    told: list[Transfer] = []
    joiner = Joiner(RelayTimeouts())
    joint = joiner.join(left, right, told.append)
    await here.send(b"abc")
    assert await there.receive() == b"abc"
    side = joint._left
    joint.cut()
    joint.cut()
    joint.ended(side)
    joint.lost(Ending.LEFT_RESET)
    joint.expire()
    assert told == [Transfer(3, 0, Ending.CUT)]
    assert len(joiner.half_closed) == len(joiner.flushing) == 0
