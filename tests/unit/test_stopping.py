"""How a process is told to end, and to read its configuration again."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from underpass.stopping import EXIT_INTERRUPTED, Stopping


async def told(*numbers: signal.Signals) -> tuple[Stopping, int]:
    """What a process was told by these signals, and how often it was told to reload."""
    one = Stopping()
    reloads: list[None] = []
    with one.signals(lambda: reloads.append(None)):
        for number in numbers:
            os.kill(os.getpid(), number)
            await asyncio.sleep(0.01)
    return one, len(reloads)


@pytest.mark.parametrize(
    ("numbers", "stops", "ends", "code"),
    [
        ([signal.SIGTERM], True, False, 0),
        ([signal.SIGINT], True, False, EXIT_INTERRUPTED),
        ([signal.SIGTERM, signal.SIGTERM], True, True, 0),
        ([signal.SIGINT, signal.SIGTERM], True, True, EXIT_INTERRUPTED),
        ([signal.SIGTERM, signal.SIGINT], True, True, EXIT_INTERRUPTED),
        ([signal.SIGHUP], False, False, 0),
    ],
)
async def test_the_first_signal_drains_and_the_second_ends(
    numbers: list[signal.Signals], stops: bool, ends: bool, code: int
) -> None:
    one, reloads = await told(*numbers)
    assert (one.stopping.is_set(), one.ending.is_set(), one.exit_code) == (stops, ends, code)
    assert reloads == numbers.count(signal.SIGHUP)


async def test_a_drain_ends_by_itself_or_by_the_second_signal() -> None:
    async with asyncio.timeout(5):
        one = Stopping()
        drained = asyncio.Event()

        async def quick() -> None:
            drained.set()

        await one.unless_ended(quick())
        assert drained.is_set()
        one.ending.set()

        async def endless() -> None:
            await asyncio.Event().wait()

        await one.unless_ended(endless())
