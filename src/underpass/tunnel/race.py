"""`Race`: tries kinds of carriers one after another, without waiting for each to fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from underpass.carriers.base import CarrierError
from underpass.tunnel.pulse import Pulse


@dataclass(slots=True)
class Standing:
    """A carrier that works, the task that runs it, since when it does, its round trip and pulse."""

    rank: int
    task: asyncio.Task[CarrierError]
    since: float
    delay: float
    pulse: Pulse


class Race:
    """One race. `attempt` opens a carrier of a rank and returns when it works, or raises."""

    def __init__(self, attempt: Callable[[int], Awaitable[Standing]]) -> None:
        self._attempt = attempt
        self._winner: Standing | None = None
        self.reasons: list[str] = []

    async def run(self, order: Sequence[int], head_start: float) -> Standing | None:
        """Try the ranks in this order, each `head_start` seconds after the one before it.

        The next starts at once where all before it have failed. Returns the first that works, and
        ends the others; None where none does, and `reasons` tell why. Cancelled, it ends all.
        """
        running: set[asyncio.Task[None]] = set()
        try:
            async with asyncio.TaskGroup() as tasks:
                for rank in order:
                    running.add(tasks.create_task(self._try(rank)))
                    running = await self._wait(running, head_start)
                    if self._winner is not None:
                        break
                while running and self._winner is None:
                    running = await self._wait(running, None)
                for task in running:
                    task.cancel()
        except BaseException:
            # Nobody takes the winner any more.
            if self._winner is not None:
                self._winner.task.cancel()
            raise
        return self._winner

    async def _wait(
        self, running: set[asyncio.Task[None]], timeout: float | None
    ) -> set[asyncio.Task[None]]:
        """Wait until one works, all have failed or the time is over; those still running."""
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        while running and self._winner is None:
            left = None
            if deadline is not None:
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    break
            _, running = await asyncio.wait(
                running, timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
        return running

    async def _try(self, rank: int) -> None:
        try:
            standing = await self._attempt(rank)
        except CarrierError as error:
            self.reasons.append(error.reason)
            return
        if self._winner is None:
            self._winner = standing
        else:
            standing.task.cancel()
