"""Tells that the machine has slept: a clock that went on is ahead of one that stood still."""

from __future__ import annotations

import time
from collections.abc import Callable

# More than setting a clock right moves it, as a rule; what is mistaken for sleep costs a ping.
SLEPT_SECONDS = 10.0


def boot_time() -> float:
    """Seconds of a clock that goes on while the machine sleeps, where there is one."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time()


class SleepWatch:
    """See the module. `running` stands still in sleep, `going_on` does not."""

    def __init__(
        self,
        running: Callable[[], float] = time.monotonic,
        going_on: Callable[[], float] = boot_time,
    ) -> None:
        self._running = running
        self._going_on = going_on
        self._ahead = self._now()

    def _now(self) -> float:
        return self._going_on() - self._running()

    def has_slept(self) -> bool:
        """Whether the machine has slept since this was asked last."""
        before, self._ahead = self._ahead, self._now()
        return self._ahead - before > SLEPT_SECONDS
