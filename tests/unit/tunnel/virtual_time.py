"""An event loop whose clock jumps: when nothing is left to do, it is the time of the next timer.

An hour passes in a moment, and in memory always in the same way. Sockets on loopback, both ends of
which are in the scene, need a little patience: what was sent is almost always there at once.
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
    """What is not ready within `patience` seconds never is: waiting is a jump."""

    def __init__(self, patience: float) -> None:
        super().__init__()
        self.now = START
        self._patience = patience

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        is_idle = timeout is None or timeout > 0
        ready = super().select(self._patience if is_idle else 0)
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
    def __init__(self, patience: float) -> None:
        self._clock = _Clock(patience)
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def play(scene: Callable[[], Awaitable[None]], patience: float = 0.0) -> None:
    """Run a scene to its end on such a loop; `patience` in seconds, for sockets."""

    async def main() -> None:
        await scene()

    with asyncio.Runner(loop_factory=lambda: _Loop(patience)) as runner:
        runner.run(main())


def now() -> float:
    """Seconds since the scene began."""
    return asyncio.get_running_loop().time() - START
