"""Splices without a task: what a stalled reader costs.

What a relay does with bytes and ends is told by `test_relay`, which goes through here too; when a
splice tells of its end, by `test_ending`.
"""

from __future__ import annotations

import asyncio

from tests.unit.net.between import PIECE, SplicedScene
from tests.unit.net.test_relay import MakePair, read
from underpass.net.splice import SPLICE_BUFFER

# What one read brings at most, with either loop.
READ = 256 * 1024


async def test_a_reader_that_stalls_costs_one_read_and_a_bit(make_pair: MakePair) -> None:
    s = SplicedScene(await make_pair(), await make_pair())
    s.begin()
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
    s = SplicedScene(await make_pair(), await make_pair())
    await s.fill(2 * SPLICE_BUFFER)
    s.begin()
    await s.stall()
    assert s.left.transport.get_write_buffer_size() <= 2 * SPLICE_BUFFER + PIECE + READ
