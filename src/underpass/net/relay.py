"""Relays two streams to each other until both directions have ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Protocol

from underpass.errors import StreamError
from underpass.net.ending import Ending, RelayTimeouts, Transfer
from underpass.net.splice import Splicer
from underpass.net.stream import Stream
from underpass.net.transport import FLUSH_SECONDS, TransportStream
from underpass.protocol.frames import Payload

__all__ = ["Ending", "RelayTimeouts", "Tally", "Transfer", "relay"]


class Tally(Protocol):
    """Where a relay that is cancelled leaves its counts."""

    sent: int
    received: int


def relay(
    left: Stream, right: Stream, timeouts: RelayTimeouts, tally: Tally | None = None
) -> Coroutine[Any, Any, Transfer]:
    """Pass bytes both ways until each direction has ended; then free both streams.

    A FIN is passed on as FIN and leaves the other direction open; a reset resets the other stream.
    When an idle or half-close time passes, both are reset. So they are when it is cancelled, and
    `tally` then holds what was passed on.
    """
    tally = tally or _Progress()
    if isinstance(left, TransportStream) and isinstance(right, TransportStream):
        return _relay_transports(left, right, timeouts, tally)
    if left.can_pour and right.can_pour:
        return _relay_pouring(left, right, timeouts, tally)
    return _relay_streams(left, right, timeouts, tally)


async def _relay_transports(
    left: TransportStream, right: TransportStream, timeouts: RelayTimeouts, tally: Tally
) -> Transfer:
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    transfers: list[Transfer] = []

    def done(transfer: Transfer) -> None:
        transfers.append(transfer)
        if not over.done():
            over.set_result(None)

    spliced = Splicer(timeouts).splice(left, right, done)
    try:
        await over
    except asyncio.CancelledError:
        spliced.cut()
        [transfer] = transfers
        tally.sent, tally.received = transfer.sent, transfer.received
        raise
    return transfers[0]


class _Side:
    """One stream of a joint: what comes over it is put to the other. A `Sink`."""

    __slots__ = ("_end", "_lost", "count", "other", "tap")

    other: _Side

    def __init__(self, stream: Stream, end: _Joint, lost: Ending) -> None:
        self._end = end
        self._lost = lost
        self.count = 0
        self.tap = stream.pour(self)

    def came(self, data: Payload) -> None:
        self.count += len(data)
        sink = self.other.tap
        sink.put(data)
        if sink.is_full:
            self.tap.hold()

    def ready(self) -> None:
        self.other.tap.go_on()

    def ended(self) -> None:
        if not self._end.has_fin:
            # The second is left to whoever then closes both: closing sends it.
            self.other.tap.end_sending()
        self._end.one_ended()

    def lost(self, error: StreamError | None) -> None:
        self._end.finish(Ending.COMPLETE if error is None else self._lost)


class _Joint:
    """Two streams that pour, each into the other, and the future of their end."""

    __slots__ = ("_fins", "_timeouts", "_timers", "_total", "done", "left", "right")

    def __init__(self, left: Stream, right: Stream, timeouts: RelayTimeouts) -> None:
        self._timeouts = timeouts
        self._fins = 0
        self._total = -1
        self._timers: list[asyncio.TimerHandle] = []
        self.done: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self.left = _Side(left, self, Ending.LEFT_RESET)
        self.right = _Side(right, self, Ending.RIGHT_RESET)
        self.left.other, self.right.other = self.right, self.left

    def start(self) -> None:
        if self._timeouts.idle:
            self._watch_idle()
        self.left.tap.go_on()
        self.right.tap.go_on()

    @property
    def has_fin(self) -> bool:
        return self._fins > 0

    def one_ended(self) -> None:
        self._fins += 1
        if self._fins == 2:
            self.finish(Ending.COMPLETE)
        elif self._timeouts.half_close:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(
                self._timeouts.half_close, self.finish, Ending.HALF_CLOSE_TIMEOUT
            )
            self._timers.append(timer)

    def finish(self, ending: Ending) -> None:
        if not self.done.done():
            self.done.set_result(ending)

    def _watch_idle(self) -> None:
        """Look at the byte counts once an idle time: no timer is touched for a read."""
        total = self.left.count + self.right.count
        if total == self._total:
            self.finish(Ending.IDLE)
            return
        self._total = total
        loop = asyncio.get_running_loop()
        self._timers[:1] = [loop.call_later(self._timeouts.idle, self._watch_idle)]

    def stop(self) -> None:
        for timer in self._timers:
            timer.cancel()


async def _relay_pouring(
    left: Stream, right: Stream, timeouts: RelayTimeouts, tally: Tally
) -> Transfer:
    joint = _Joint(left, right, timeouts)
    try:
        joint.start()
        ending = await joint.done
    except asyncio.CancelledError:
        left.abort()
        right.abort()
        tally.sent, tally.received = joint.left.count, joint.right.count
        raise
    finally:
        joint.stop()
    await _free(left, right, ending)
    return Transfer(joint.left.count, joint.right.count, ending)


async def _free(left: Stream, right: Stream, ending: Ending) -> None:
    if ending is not Ending.COMPLETE:
        left.abort()
        right.abort()
        return
    left.close_soon()
    right.close_soon()
    for stream in (left, right):
        if isinstance(stream, TransportStream):
            await stream.wait_flushed(FLUSH_SECONDS)


class _Progress:
    """What the two pumps of a generic relay have done."""

    __slots__ = ("ending", "received", "sent")

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0
        self.ending = Ending.COMPLETE


async def _relay_streams(
    left: Stream, right: Stream, timeouts: RelayTimeouts, tally: Tally
) -> Transfer:
    progress = _Progress()
    try:
        await _pump_both(left, right, progress, timeouts)
    except asyncio.CancelledError:
        left.abort()
        right.abort()
        tally.sent, tally.received = progress.sent, progress.received
        raise
    if progress.ending is Ending.COMPLETE:
        await left.close()
        await right.close()
    else:
        left.abort()
        right.abort()
    return Transfer(progress.sent, progress.received, progress.ending)


async def _pump_both(
    left: Stream, right: Stream, progress: _Progress, timeouts: RelayTimeouts
) -> None:
    try:
        async with asyncio.TaskGroup() as tasks:
            up = tasks.create_task(_pump_up(left, right, progress), name="relay-up")
            down = tasks.create_task(_pump_down(right, left, progress), name="relay-down")
            watch = tasks.create_task(_watch(up, down, progress, timeouts), name="relay-watch")
            await asyncio.wait((up, down))
            watch.cancel()
    except* _Ended:
        pass


class _Ended(Exception):  # noqa: N818 - reads as what happened
    """Ends both pumps at once; never leaves this module."""


async def _pump_up(source: Stream, sink: Stream, progress: _Progress) -> None:
    while data := await _receive(source, progress, Ending.LEFT_RESET):
        await _send(sink, data, progress, Ending.RIGHT_RESET)
        progress.sent += len(data)
    with contextlib.suppress(StreamError):
        await sink.send_eof()


async def _pump_down(source: Stream, sink: Stream, progress: _Progress) -> None:
    while data := await _receive(source, progress, Ending.RIGHT_RESET):
        await _send(sink, data, progress, Ending.LEFT_RESET)
        progress.received += len(data)
    with contextlib.suppress(StreamError):
        await sink.send_eof()


async def _receive(source: Stream, progress: _Progress, ending: Ending) -> bytes:
    try:
        return await source.receive()
    except StreamError:
        progress.ending = ending
        raise _Ended from None


async def _send(sink: Stream, data: bytes, progress: _Progress, ending: Ending) -> None:
    try:
        await sink.send(data)
    except StreamError:
        progress.ending = ending
        raise _Ended from None


async def _watch(
    up: asyncio.Task[None], down: asyncio.Task[None], progress: _Progress, timeouts: RelayTimeouts
) -> None:
    """End the relay when an idle or half-close time has passed; cancelled when it has ended."""
    if timeouts.idle:
        before = -1
        total = 0
        while total != before:
            before = total
            if await _both_end(up, down, timeouts.idle):
                return
            total = progress.sent + progress.received
        progress.ending = Ending.IDLE
        raise _Ended
    if timeouts.half_close:
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        if await _both_end(up, down, timeouts.half_close):
            return
        progress.ending = Ending.HALF_CLOSE_TIMEOUT
        raise _Ended


async def _both_end(up: asyncio.Task[None], down: asyncio.Task[None], timeout: float) -> bool:
    _, running = await asyncio.wait((up, down), timeout=timeout)
    return not running
