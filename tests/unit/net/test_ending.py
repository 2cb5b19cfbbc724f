"""How a relay ends: the words of the access line, and when what has no task tells of it."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.unit.net.between import AnyScene, JoinedScene, SplicedScene
from tests.unit.net.test_relay import MakePair, read, reset, write
from underpass.net.ending import Ending, RelayTimeouts, Transfer

SCENES = pytest.mark.parametrize("scene", [SplicedScene, JoinedScene], ids=["splice", "joint"])


def test_each_ending_has_a_word_of_its_own_for_the_access_line() -> None:
    words = [ending.value for ending in Ending]
    assert len(set(words)) == len(words)
    assert Ending.COMPLETE.value == "ok"


def test_an_idle_tunnel_stands_by_default_and_a_half_closed_one_an_hour() -> None:
    assert RelayTimeouts() == RelayTimeouts(idle=0, half_close=3600)


def test_a_transfer_tells_both_ways_apart() -> None:
    assert Transfer(1, 2, Ending.COMPLETE) != Transfer(2, 1, Ending.COMPLETE)


@SCENES
async def test_the_end_is_told_once_with_what_passed(
    scene: type[AnyScene], make_pair: MakePair
) -> None:
    s = scene(await make_pair(), await make_pair())
    s.begin()
    await write(s.client, b"hello")
    assert await read(s.destination, 5) == b"hello"
    s.client.close()
    assert await read(s.destination, 1) == b""
    assert s.told == []
    s.destination.close()
    assert await s.ending() is Ending.COMPLETE
    assert s.told == [Transfer(5, 0, Ending.COMPLETE)]
    assert len(s.maker.half_closed) == 0


@SCENES
async def test_a_cut_resets_both_and_is_told_at_once(
    scene: type[AnyScene], make_pair: MakePair
) -> None:
    s = scene(await make_pair(), await make_pair())
    joined = s.begin()
    joined.cut()
    joined.cut()
    assert s.told == [Transfer(0, 0, Ending.CUT)]
    for end in (s.client, s.destination):
        with pytest.raises(ConnectionResetError):
            await read(end, 1)


@SCENES
async def test_a_stream_that_was_lost_before_ends_it_before_it_returns(
    scene: type[AnyScene], make_pair: MakePair
) -> None:
    s = scene(await make_pair(), await make_pair())
    reset(s.client)
    async with asyncio.timeout(5):
        while not s.left.is_lost:
            await asyncio.sleep(0)
    s.begin()
    assert s.told == [Transfer(0, 0, Ending.LEFT_RESET)]
    with pytest.raises(ConnectionResetError):
        await read(s.destination, 1)


@SCENES
async def test_the_end_is_told_when_the_last_byte_is_delivered(
    scene: type[AnyScene], make_pair: MakePair
) -> None:
    s = scene(await make_pair(), await make_pair())
    s.begin()
    size = await s.fill()
    s.finish()
    async with asyncio.timeout(5):
        while not len(s.maker.flushing):
            await asyncio.sleep(0)
    assert s.told == []
    assert len(await read(s.client, size)) == size
    assert await s.ending() is Ending.COMPLETE
    assert len(s.maker.flushing) == 0


@SCENES
async def test_who_never_takes_the_rest_is_given_up(
    scene: type[AnyScene], make_pair: MakePair
) -> None:
    s = scene(await make_pair(), await make_pair())
    s.maker.flushing.seconds = 0.01
    s.begin()
    await s.fill()
    s.finish()
    assert await s.ending() is Ending.COMPLETE
    async with asyncio.timeout(5):
        while not s.left.is_lost:
            await asyncio.sleep(0)


@SCENES
async def test_half_closed_ones_share_a_timer(scene: type[AnyScene], make_pair: MakePair) -> None:
    s = scene(await make_pair(), await make_pair(), RelayTimeouts(half_close=0.02))
    s.begin()
    s.client.shutdown(socket.SHUT_WR)
    assert await s.ending() is Ending.HALF_CLOSE_TIMEOUT
