"""Streams that stand are waited for, and cut by whoever stops waiting."""

from __future__ import annotations

import asyncio

from underpass.server.standing import StandingStreams


class Stands:
    """A stream that ends once it is cut."""

    def __init__(self, standing: StandingStreams) -> None:
        self._standing = standing
        self.was_cut = False
        standing.add(self)

    def cut(self) -> None:
        self.was_cut = True
        self._standing.discard(self)


async def test_nobody_is_waited_for_where_none_stands() -> None:
    async with asyncio.timeout(5):
        await StandingStreams().wait_empty()


async def test_the_last_to_end_is_waited_for() -> None:
    standing = StandingStreams()
    one, other = Stands(standing), Stands(standing)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(standing.wait_empty())
        await asyncio.sleep(0)
        standing.discard(one)
        await asyncio.sleep(0)
        assert not waiting.done()
        standing.discard(other)
    assert not one.was_cut
    assert not other.was_cut


async def test_who_is_cancelled_while_waiting_cuts_all() -> None:
    standing = StandingStreams()
    streams = [Stands(standing), Stands(standing)]
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(standing.wait_empty())
        await asyncio.sleep(0)
        waiting.cancel()
    assert [stream.was_cut for stream in streams] == [True, True]
    assert len(standing) == 0
