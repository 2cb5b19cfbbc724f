"""Two streams that pour, each into the other, without a task: see `Joiner`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from underpass.errors import StreamError
from underpass.net.clock import Alarm
from underpass.net.ending import Ending, RelayTimeouts, Transfer
from underpass.net.stream import Stream
from underpass.net.transport import FLUSH_SECONDS, TransportStream
from underpass.protocol.frames import Payload

# By name, as an enum's member costs ten times what a name does.
_COMPLETE = Ending.COMPLETE
_LEFT_RESET = Ending.LEFT_RESET
_RIGHT_RESET = Ending.RIGHT_RESET


class Joiner:
    """Joins pairs of streams that pour, which then need no task: one for all with `timeouts`.

    What `Splicer` is for two transports, for any two kinds.
    """

    def __init__(self, timeouts: RelayTimeouts) -> None:
        self.timeouts = timeouts
        self.half_closed: Alarm[Joint] = Alarm(timeouts.half_close, Joint.expire)
        self.flushing: Alarm[Joint] = Alarm(FLUSH_SECONDS, Joint.cut)

    def join(self, left: Stream, right: Stream, done: Callable[[Transfer], object]) -> Joint:
        """Do what `relay` does, without a task, and call `done` when both streams are free.

        That may be before this returns.
        """
        joint = Joint(self, left, right, done)
        joint.start()
        return joint


class _Side:
    """One stream of a joint: what comes over it is put to the other. A `Sink`."""

    __slots__ = ("_joint", "_lost", "count", "into", "stream", "tap")

    def __init__(self, stream: Stream, joint: Joint, lost: Ending) -> None:
        self.stream = stream
        self._joint = joint
        self._lost = lost
        self.count = 0
        self.into = self.tap = stream.pour(self)

    def came(self, data: Payload) -> None:
        self.count += len(data)
        into = self.into
        into.put(data)
        if into.is_full:
            self.tap.hold()

    def ready(self) -> None:
        self.into.go_on()

    def ended(self) -> None:
        self._joint.ended(self)

    def lost(self, error: StreamError | None) -> None:
        self._joint.lost(_COMPLETE if error is None else self._lost)


class Joint:
    """Two streams that pour, each into the other, until both are at their end."""

    __slots__ = ("_done", "_ending", "_fins", "_joiner", "_left", "_right", "_watch")

    def __init__(
        self, joiner: Joiner, left: Stream, right: Stream, done: Callable[[Transfer], object]
    ) -> None:
        self._joiner = joiner
        self._done: Callable[[Transfer], object] | None = done
        self._ending: Ending | None = None
        self._fins = 0
        self._watch: asyncio.TimerHandle | None = None
        self._left = here = _Side(left, self, _LEFT_RESET)
        self._right = there = _Side(right, self, _RIGHT_RESET)
        here.into, there.into = there.tap, here.tap

    def start(self) -> None:
        """Begin to pour."""
        if self._joiner.timeouts.idle:
            self._watch_idle(-1)
        self._left.tap.go_on()
        # Unless the first was lost already.
        if self._ending is None:
            self._right.tap.go_on()

    def ended(self, side: _Side) -> None:
        """The other end of a side's stream has sent FIN."""
        if self._ending is not None:
            return
        self._fins += 1
        if self._fins == 2:
            # The second is left to closing, which sends it.
            self._finish(_COMPLETE)
        else:
            side.into.end_sending()
            self._joiner.half_closed.begin(self)

    def lost(self, ending: Ending) -> None:
        """A side's stream is gone, which ends the joint so, unless it has ended before."""
        if self._ending is None:
            self._finish(ending)
        elif self._done is not None:
            self._end_if_flushed()

    def expire(self) -> None:
        """The half-close time is over."""
        self._finish(Ending.HALF_CLOSE_TIMEOUT)

    def cut(self) -> None:
        """Reset both streams, whatever they still have to deliver."""
        if self._ending is None:
            self._finish(Ending.CUT)
        elif self._done is not None:
            self._reset()

    def _watch_idle(self, before: int) -> None:
        """Look at the byte counts once an idle time: no timer is touched for a read."""
        total = self._left.count + self._right.count
        if total == before:
            self._finish(Ending.IDLE)
        else:
            loop = asyncio.get_running_loop()
            self._watch = loop.call_later(self._joiner.timeouts.idle, self._watch_idle, total)

    def _finish(self, ending: Ending) -> None:
        if self._ending is not None:
            return
        self._ending = ending
        if self._fins:
            self._joiner.half_closed.end(self)
        if self._watch is not None:
            self._watch.cancel()
        if ending is _COMPLETE:
            self._left.stream.close_soon()
            self._right.stream.close_soon()
            if not self._end_if_flushed():
                self._joiner.flushing.begin(self)
        else:
            self._reset()

    def _reset(self) -> None:
        self._left.stream.abort()
        self._right.stream.abort()
        self._end()

    def _end_if_flushed(self) -> bool:
        for side in (self._left, self._right):
            stream = side.stream
            # What a session has, it delivers; what a transport has, only this process has.
            if isinstance(stream, TransportStream) and not stream.is_flushed:
                return False
        self._end()
        return True

    def _end(self) -> None:
        done, self._done = self._done, None
        if done is None or self._ending is None:
            return
        self._joiner.flushing.end(self)
        transfer = Transfer(self._left.count, self._right.count, self._ending)
        # Circles are for the garbage collector, and nobody asks for the sides any more.
        del self._left, self._right
        done(transfer)
