"""Two transport streams that write straight to each other, without a task: see `Splicer`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from underpass.errors import StreamError
from underpass.net.clock import Alarm
from underpass.net.ending import Ending, RelayTimeouts, Transfer
from underpass.net.stream import Stream
from underpass.net.transport import FLUSH_SECONDS, TransportStream

# Unsent bytes at which a splice stops reading, and goes on again. A read of uvloop (256 KB) whose
# rest exceeds that is all that a stalled reader costs; a busy one is fed from the kernel's buffer.
SPLICE_BUFFER = 64 * 1024
SPLICE_BUFFER_LOW = 16 * 1024

# By name, as an enum's member costs ten times what a name does.
_COMPLETE = Ending.COMPLETE


class Splicer:
    """Splices pairs of transport streams, which then need no task: one for all with `timeouts`."""

    def __init__(self, timeouts: RelayTimeouts) -> None:
        self.idle = timeouts.idle
        self.half_closed: Alarm[Spliced] = Alarm(timeouts.half_close, Spliced.expire)
        self.flushing: Alarm[Spliced] = Alarm(FLUSH_SECONDS, Spliced.cut)

    def splice(
        self, left: TransportStream, right: TransportStream, done: Callable[[Transfer], object]
    ) -> Spliced:
        """Do what `relay` does, without a task, and call `done` when both streams are free.

        That may be before this returns.
        """
        spliced = Spliced(self, left, right, done)
        spliced.start()
        return spliced


class Spliced:
    """Two transport streams that write straight to each other until both are at their end."""

    __slots__ = (
        "_done",
        "_ending",
        "_fins",
        "_left",
        "_left_before",
        "_right",
        "_right_before",
        "_splicer",
        "_watch",
    )

    def __init__(
        self,
        splicer: Splicer,
        left: TransportStream,
        right: TransportStream,
        done: Callable[[Transfer], object],
    ) -> None:
        self._splicer = splicer
        self._left = left
        self._right = right
        self._done: Callable[[Transfer], object] | None = done
        self._ending: Ending | None = None
        self._fins = 0
        self._watch: asyncio.TimerHandle | None = None
        # What came before and was not received goes through the splice too.
        self._left_before = left.received - left.unread_size
        self._right_before = right.received - right.unread_size

    def start(self) -> None:
        """Begin to write."""
        if self._splicer.idle:
            self._watch_idle(-1)
        for stream in (self._left, self._right):
            if not stream.transport.is_closing():
                stream.transport.set_write_buffer_limits(SPLICE_BUFFER, SPLICE_BUFFER_LOW)
        self._left.splice(self._right, self)
        # Unless the first was lost already.
        if self._ending is None:
            self._right.splice(self._left, self)

    def ended(self) -> None:
        """As `Splice.ended`."""
        self._fins += 1
        if self._fins == 2:
            self._finish(Ending.COMPLETE)
        else:
            self._splicer.half_closed.begin(self)

    def lost(self, stream: Stream, error: StreamError | None) -> None:
        """As `Splice.lost`."""
        if self._ending is not None:
            self._end_if_flushed()
        elif error is None:
            # In order, but no half-close: a TLS stream whose other end said close_notify.
            self._finish(Ending.COMPLETE)
        else:
            self._finish(Ending.LEFT_RESET if stream is self._left else Ending.RIGHT_RESET)

    def expire(self) -> None:
        """The half-close time is over."""
        self._finish(Ending.HALF_CLOSE_TIMEOUT)

    def cut(self) -> None:
        """Reset both streams, whatever they still have to deliver."""
        if self._ending is None:
            self._finish(Ending.CUT)
        else:
            self._reset()

    def _watch_idle(self, before: int) -> None:
        """Look at the byte counts once an idle time: no timer is touched for a read."""
        total = self._left.received + self._right.received
        if total == before:
            self._finish(Ending.IDLE)
        else:
            loop = asyncio.get_running_loop()
            self._watch = loop.call_later(self._splicer.idle, self._watch_idle, total)

    def _finish(self, ending: Ending) -> None:
        if self._ending is not None:
            return
        self._ending = ending
        self._splicer.half_closed.end(self)
        if self._watch is not None:
            self._watch.cancel()
        if ending is _COMPLETE:
            self._left.close_soon()
            self._right.close_soon()
            if not self._end_if_flushed():
                self._splicer.flushing.begin(self)
        else:
            self._reset()

    def _reset(self) -> None:
        self._left.abort()
        self._right.abort()
        self._end()

    def _end_if_flushed(self) -> bool:
        if self._left.is_flushed and self._right.is_flushed:
            self._end()
            return True
        return False

    def _end(self) -> None:
        done, self._done = self._done, None
        if done is None or self._ending is None:
            return
        left, right = self._left, self._right
        left.leave_splice()
        right.leave_splice()
        self._splicer.flushing.end(self)
        sent, received = left.received - self._left_before, right.received - self._right_before
        done(Transfer(sent, received, self._ending))
