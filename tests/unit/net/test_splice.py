"""Splices without a task: when they tell of their end, and what that frees.

What a relay does with bytes and ends is told by `test_relay`, which goes through here too.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from tests.unit.net.test_relay import Pair, read, reset, write
from underpass.net.ending import Ending, RelayTimeouts, Transfer
from underpass.net.splice import SPLICE_BUFFER, Spliced, Splicer

MakePair = Callable[[], Awaitable[Pair]]
# Fewer than make the sender wait.
PIECE = 64 * 1024
# What one read brings at most, with either loop.
READ = 256 * 1024
# More than the system's buffers take.
MUCH = 64 * 1024 * 1024


class Scene:
    """Client and destination as plain sockets, the splice between them, and what it tells."""

    def __init__(self, left: Pair, right: Pair, timeouts: RelayTimeouts | None = None) -> None:
        self.left, self.client = left
        self.right, self.destination = right
        self.splicer = Splicer(timeouts or RelayTimeouts())
        self.told: list[Transfer] = []

    def start(self) -> Spliced:
        return self.splicer.splice(self.left, self.right, self.told.append)

    async def fill(self, size: int = 1) -> int:
        """Send to the client until so much of it waits here; how much was sent in all."""
        sent = 0
        async with asyncio.timeout(5):
            while self.left.transport.get_write_buffer_size() < size:
                self.left.transport.write(bytes(PIECE))
                sent += PIECE
                # uvloop writes at the end of its turn.
                await asyncio.sleep(0.001)
        return sent

    async def stall(self) -> None:
        """Let the destination send until nothing of it is read any more."""
        sending = asyncio.get_running_loop().sock_sendall(self.destination, bytes(MUCH))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sending, 0.1)

    async def ending(self) -> Ending:
        async with asyncio.timeout(5):
            while not self.told:
                await asyncio.sleep(0)
        [transfer] = self.told
        return transfer.ending


async def test_the_end_is_told_once_with_what_passed(make_pair: MakePair) -> None:
    s = Scene(await make_pair(), await make_pair())
    s.start()
    await write(s.client, b"hello")
    assert await read(s.destination, 5) == b"hello"
    s.client.close()
    assert await read(s.destination, 1) == b""
    assert s.told == []
    s.destination.close()
    assert await s.ending() is Ending.COMPLETE
    assert s.told == [Transfer(5, 0, Ending.COMPLETE)]
    assert len(s.splicer.half_closed) == 0


async def test_a_reader_that_stalls_costs_one_read_and_a_bit(make_pair: MakePair) -> None:
    s = Scene(await make_pair(), await make_pair())
    s.start()
    await s.stall()
    waiting = s.left.transport.get_write_buffer_size()
    assert SPLICE_BUFFER < waiting <= SPLICE_BUFFER + READ
    # It goes on when the client reads again.
    before = s.right.received
    assert len(await read(s.client, before)) == before
    async with asyncio.timeout(5):
        while s.right.received == before:
            await asyncio.sleep(0)


async def test_a_reader_that_had_stalled_before_costs_no_more(make_pair: MakePair) -> None:
    s = Scene(await make_pair(), await make_pair())
    await s.fill(2 * SPLICE_BUFFER)
    s.start()
    await s.stall()
    assert s.left.transport.get_write_buffer_size() <= 2 * SPLICE_BUFFER + PIECE + READ


async def test_a_cut_resets_both_and_is_told_at_once(make_pair: MakePair) -> None:
    s = Scene(await make_pair(), await make_pair())
    spliced = s.start()
    spliced.cut()
    spliced.cut()
    assert s.told == [Transfer(0, 0, Ending.CUT)]
    for end in (s.client, s.destination):
        with pytest.raises(ConnectionResetError):
            await read(end, 1)


async def test_a_stream_that_was_lost_before_ends_it_before_it_returns(
    make_pair: MakePair,
) -> None:
    s = Scene(await make_pair(), await make_pair())
    reset(s.client)
    async with asyncio.timeout(5):
        while not s.left.is_lost:
            await asyncio.sleep(0)
    s.start()
    assert s.told == [Transfer(0, 0, Ending.LEFT_RESET)]
    with pytest.raises(ConnectionResetError):
        await read(s.destination, 1)


async def test_the_end_is_told_when_the_last_byte_is_delivered(make_pair: MakePair) -> None:
    s = Scene(await make_pair(), await make_pair())
    s.start()
    size = await s.fill()
    s.client.shutdown(socket.SHUT_WR)
    s.destination.shutdown(socket.SHUT_WR)
    async with asyncio.timeout(5):
        while not len(s.splicer.flushing):
            await asyncio.sleep(0)
    assert s.told == []
    assert len(await read(s.client, size)) == size
    assert await s.ending() is Ending.COMPLETE
    assert len(s.splicer.flushing) == 0


async def test_who_never_takes_the_rest_is_given_up(make_pair: MakePair) -> None:
    s = Scene(await make_pair(), await make_pair())
    s.splicer.flushing.seconds = 0.01
    s.start()
    await s.fill()
    s.client.shutdown(socket.SHUT_WR)
    s.destination.shutdown(socket.SHUT_WR)
    assert await s.ending() is Ending.COMPLETE
    async with asyncio.timeout(5):
        while not s.left.is_lost:
            await asyncio.sleep(0)


async def test_half_closed_ones_share_a_timer(make_pair: MakePair) -> None:
    s = Scene(await make_pair(), await make_pair(), RelayTimeouts(half_close=0.02))
    s.start()
    s.client.shutdown(socket.SHUT_WR)
    assert await s.ending() is Ending.HALF_CLOSE_TIMEOUT
