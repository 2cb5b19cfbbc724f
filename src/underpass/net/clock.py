"""`TimeLimit`: a time-out for the waits that every request makes."""

from __future__ import annotations

import asyncio
from types import TracebackType


class TimeLimit:
    """What `asyncio.timeout` does, at a third of its cost (docs/decisions/005)::

        with TimeLimit(10.0):
            await something()

    After so many seconds the waiting task is cancelled there, and `TimeoutError` leaves the block;
    a cancellation that came from elsewhere leaves it as what it is. None is no limit. Use one once.
    """

    __slots__ = ("_cancelling", "_expired", "_seconds", "_task", "_timer")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._cancelling = 0
        self._expired = False

    def __enter__(self) -> TimeLimit:
        loop = asyncio.get_running_loop()
        self._task = task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("a time limit needs a task to cancel")
        self._cancelling = task.cancelling()
        if self._seconds is not None:
            self._timer = loop.call_later(self._seconds, self.expire)
        return self

    def expire(self) -> None:
        """End the wait now. Call it from outside the block, while the task waits in it."""
        if self._task is not None and not self._expired:
            self._expired = True
            self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if self._timer is not None:
            self._timer.cancel()
        # As in asyncio.timeout: we take our cancellation back, and it was ours alone if the task is
        # cancelled no more often than it was when we came.
        if (
            self._expired
            and task is not None
            and task.uncancel() <= self._cancelling
            and kind is asyncio.CancelledError
        ):
            raise TimeoutError from error
