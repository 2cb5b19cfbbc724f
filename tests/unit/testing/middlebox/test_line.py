"""Delay and rate."""

from __future__ import annotations

import asyncio

import pytest

from underpass.testing import stream_pair
from underpass.testing.middlebox.line import PIECE_BYTES, DelayedSender, Line


async def take(size: int, line: Line) -> float:
    """Send `size` bytes over the line; how long until they have come, in seconds."""
    now = asyncio.get_running_loop().time
    here, there = stream_pair()
    sender = DelayedSender(line, here)
    started = now()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(sender.run())
        await sender.send(bytes(size))
        received = 0
        while received < size:
            received += len(await there.receive())
        took = now() - started
        await sender.flushed()
        running.cancel()
    return took


async def test_a_plain_line_is_none() -> None:
    assert Line(0, 0).is_plain
    assert await take(1000, Line(0, 0)) < 0.05


async def test_a_delay_is_kept_to() -> None:
    assert await take(1000, Line(0.05, 0)) >= 0.05


@pytest.mark.parametrize("size", [1000, 20_000])
async def test_a_rate_is_kept_to(size: int) -> None:
    took = await take(size, Line(0, size * 10))
    assert took >= 0.09


@pytest.mark.parametrize(
    ("rate", "piece"), [(0, PIECE_BYTES), (1e9, PIECE_BYTES), (1000, 20), (1, 1)]
)
def test_pieces_are_small_on_a_slow_line(rate: float, piece: int) -> None:
    assert Line(0, rate).piece == piece
