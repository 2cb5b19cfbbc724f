"""An event loop whose clock jumps: when nothing is left to do, it is the time of the next timer.

For what happens in memory alone. An hour passes in a moment, and always in the same way.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable

# A scene that takes longer, by its own clock, does not come to its end.
LONGEST_SECONDS = 24 * 3600.0
# When its clock begins: long ago, so that nothing works only because it begins at 0.
START = 5000.0


class _Clock(selectors.SelectSelector):
    """Nothing ever becomes ready: waiting is a jump."""

    now = START

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise AssertionError("everybody waits, and no timer is set")
        # Past it, as with a real clock: a loop calls a timer that is a rounding error away.
        self.now += max(timeout, 0) + 1e-9
        if self.now > START + LONGEST_SECONDS:
            raise AssertionError("a scene that does not end")
        return []


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Clock()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def play(scene: Callable[[], Awaitable[None]]) -> None:
    """Run a scene to its end on such a loop."""

    async def main() -> None:
        await scene()

    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(main())


def now() -> float:
    """Seconds since the scene began."""
    return asyncio.get_running_loop().time() - START
