"""A race of kinds, in virtual time: who sets out when, who wins, and what is left of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from tests.unit.tunnel.asked import pulse_of
from tests.unit.tunnel.virtual_time import now, play
from underpass.carriers.base import CarrierError
from underpass.tunnel.race import Race, Standing


class Track:
    """Kinds that take so long, or fail with a text after so long."""

    def __init__(self, *plan: float | tuple[float, str]) -> None:
        self.plan = plan
        self.started: dict[int, float] = {}
        self.cancelled: list[int] = []
        self.carriers: dict[int, asyncio.Task[CarrierError]] = {}
        self.tasks = asyncio.TaskGroup()
        self.on_win: Callable[[], object] = lambda: None

    async def attempt(self, rank: int) -> Standing:
        self.started[rank] = round(now(), 3)
        step = self.plan[rank]
        try:
            await asyncio.sleep(step if isinstance(step, float) else step[0])
        except asyncio.CancelledError:
            self.cancelled.append(rank)
            raise
        if isinstance(step, tuple):
            raise CarrierError(step[1])
        self.on_win()
        task = self.carriers[rank] = self.tasks.create_task(self._carry())
        return Standing(rank, task, now(), 0.1, pulse_of())

    async def _carry(self) -> CarrierError:
        await asyncio.sleep(1000)
        return CarrierError("ended")

    async def run(self, order: Sequence[int] | None = None) -> tuple[Standing | None, Race]:
        race = Race(self.attempt)
        async with self.tasks:
            try:
                standing = await race.run(order or range(len(self.plan)), 1.0)
            finally:
                await asyncio.sleep(0)
                self.living = [r for r, task in self.carriers.items() if not task.cancelling()]
                for task in self.carriers.values():
                    task.cancel()
        return standing, race


def test_the_first_alone_runs_where_it_is_quick() -> None:
    async def scene() -> None:
        track = Track(0.5, 0.1)
        standing, _ = await track.run()
        assert standing is not None
        assert standing.rank == 0
        assert track.started == {0: 0}

    play(scene)


def test_the_next_sets_out_after_the_head_start_and_may_win() -> None:
    async def scene() -> None:
        track = Track(5.0, 3.0, 0.5)
        standing, _ = await track.run()
        assert standing is not None
        assert standing.rank == 2
        assert track.started == {0: 0, 1: 1, 2: 2}
        assert sorted(track.cancelled) == [0, 1]
        assert now() == pytest.approx(2.5, abs=0.01)

    play(scene)


def test_a_failure_lets_the_next_set_out_at_once() -> None:
    async def scene() -> None:
        track = Track((0.1, "no"), (0.2, "nor this"), 0.1)
        standing, race = await track.run()
        assert standing is not None
        assert standing.rank == 2
        assert track.started == {0: 0, 1: 0.1, 2: 0.3}
        assert race.reasons == ["no", "nor this"]

    play(scene)


def test_where_all_fail_the_reasons_tell() -> None:
    async def scene() -> None:
        standing, race = await Track((3.0, "a"), (0.1, "b")).run()
        assert standing is None
        assert race.reasons == ["b", "a"]

    play(scene)


def test_the_order_is_the_callers() -> None:
    async def scene() -> None:
        track = Track(0.1, 0.1, 0.1)
        standing, _ = await track.run([2, 0])
        assert standing is not None
        assert standing.rank == 2

    play(scene)


def test_of_two_in_the_same_moment_one_is_let_go() -> None:
    async def scene() -> None:
        track = Track(1.5, 0.5)
        standing, _ = await track.run()
        assert standing is not None
        assert track.living == [standing.rank]

    play(scene)


def test_a_race_that_is_called_off_leaves_nothing() -> None:
    async def scene() -> None:
        track = Track(2.0, 5.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await track.run()
        assert sorted(track.cancelled) == [0, 1]
        assert track.carriers == {}

    play(scene)


def test_a_race_that_is_called_off_as_it_is_won_ends_the_winner() -> None:
    async def scene() -> None:
        track = Track(1.0)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(track.run())
            # Before anybody learns of the win.
            track.on_win = lambda: asyncio.get_running_loop().call_soon(running.cancel)
        assert running.cancelled()
        assert list(track.carriers) == [0]
        assert track.living == []

    play(scene)
