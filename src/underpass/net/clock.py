"""`TimeLimit`, `Patience`, `Alarm`: time-outs for the waits that every request makes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Generic, Self, TypeVar

# Both loops count milliseconds, each rounding its own way: a timer may go off so much too soon.
TICK = 0.001

Item = TypeVar("Item", bound=Hashable)


class TimeLimit:
    """What `asyncio.timeout` does, at a third of its cost (docs/decisions/005)::

        with TimeLimit(10.0):
            await something()

    After so many seconds the waiting task is cancelled there, and `TimeoutError` leaves the block;
    a cancellation that came from elsewhere leaves it as what it is. None is no limit. Use one once.
    """

    __slots__ = ("_alarm", "_cancelling", "_expired", "_seconds", "_task", "_timer")

    def __init__(self, seconds: float | None, alarm: Alarm[TimeLimit] | None = None) -> None:
        """`alarm`, which calls `expire`, stands for the seconds where many wait equally long."""
        self._seconds = seconds
        self._alarm = alarm
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._cancelling = 0
        self._expired = False

    def __enter__(self) -> Self:
        self._task = task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit needs a task to cancel")
        self._cancelling = task.cancelling()
        if self._alarm is not None:
            self._alarm.begin(self)
        elif self._seconds is not None:
            self._start_timer(task.get_loop(), self._seconds)
        return self

    def _start_timer(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._timer = loop.call_later(seconds, self.expire)

    @property
    def has_expired(self) -> bool:
        """Whether the present wait, or the last, is over before its end."""
        return self._expired

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
        if self._alarm is not None:
            self._alarm.end(self)
        elif self._timer is not None:
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


class Patience(TimeLimit):
    """A time limit for one wait after the other, most of which end long before theirs::

        with patience.within(10.0):
            await something()

    A wait that ends in time leaves its timer to the next: it is set anew only when it goes off too
    soon, or where a limit ends sooner. A client that asks a thousand times a second costs one timer
    a second. Call `end` when nothing is waited for any more, as the timer would stay till its time.
    """

    __slots__ = ("_deadline", "_goes_off", "_present")

    def __init__(self) -> None:
        super().__init__(None)
        self._present: asyncio.TimerHandle | None = None
        self._deadline = math.inf
        self._goes_off = math.inf

    def within(self, seconds: float | None) -> Patience:
        """The same, for a wait of so many seconds; None is no limit."""
        self._seconds = seconds
        self._deadline = math.inf
        self._expired = False
        return self

    def restart(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Give the present wait so many seconds from now on."""
        self._start_timer(loop, seconds)

    def _start_timer(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._deadline = deadline = loop.time() + seconds
        if deadline < self._goes_off:
            self._set_alarm(loop, deadline)

    def _set_alarm(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        self.end()
        self._goes_off = when
        self._present = loop.call_later(when - loop.time(), self._look)

    def _look(self) -> None:
        """The alarm went off: for the present wait, or for one that has long ended."""
        self._present = None
        self._goes_off = math.inf
        if self._task is None:
            return
        loop = asyncio.get_running_loop()
        if self._deadline <= loop.time() + TICK:
            self.expire()
        elif self._deadline < math.inf:
            self._set_alarm(loop, self._deadline)

    def end(self) -> None:
        """Let go of the timer."""
        if self._present is not None:
            self._present.cancel()
            self._present = None
            self._goes_off = math.inf


class Alarm(Generic[Item]):
    """One timer for many waits of the same length, each of which most often ends in time.

    `act` is called with each item `seconds` after its `begin`, unless `end` came before. With no
    seconds it never is. A wait costs a place in a dict instead of a timer.
    """

    __slots__ = ("_act", "_loop", "_timer", "_waiting", "seconds")

    def __init__(self, seconds: float, act: Callable[[Item], object]) -> None:
        self.seconds = seconds
        self._act = act
        # In the order of their deadlines, as all wait equally long.
        self._waiting: dict[Item, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def begin(self, item: Item) -> None:
        """`item` waits from now on, and not for longer than `seconds`."""
        if not self.seconds:
            return
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        self._waiting[item] = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_later(self.seconds, self._look)

    def end(self, item: Item) -> None:
        """`item` does not wait any more; it need not have begun to."""
        self._waiting.pop(item, None)

    def ring(self) -> None:
        """End all waits now, as if their time were over."""
        late, self._waiting = self._waiting, {}
        for item in late:
            self._act(item)

    def _look(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time() + TICK
        late = []
        for item, deadline in self._waiting.items():
            if deadline > now:
                self._timer = loop.call_later(deadline - now + TICK, self._look)
                break
            late.append(item)
        for item in late:
            # Unless one before it ended this one's wait.
            if self._waiting.pop(item, None) is not None:
                self._act(item)
