"""Relays two streams to each other until both directions have ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from underpass.errors import StreamError
from underpass.net.ending import Ending, RelayTimeouts, Transfer
from underpass.net.joint import Joiner
from underpass.net.splice import Splicer
from underpass.net.stream import Stream
from underpass.net.transport import TransportStream

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
        splicer, one, other = Splicer(timeouts), left, right
        return _relay_without(lambda done: splicer.splice(one, other, done), tally)
    if left.can_pour and right.can_pour:
        joiner = Joiner(timeouts)
        return _relay_without(lambda done: joiner.join(left, right, done), tally)
    return _relay_streams(left, right, timeouts, tally)


class _Standing(Protocol):
    """Two streams that need no task, which only waits for their end."""

    def cut(self) -> None:
        """End both now."""


async def _relay_without(
    start: Callable[[Callable[[Transfer], object]], _Standing], tally: Tally
) -> Transfer:
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    transfers: list[Transfer] = []

    def done(transfer: Transfer) -> None:
        transfers.append(transfer)
        if not over.done():
            over.set_result(None)

    standing = start(done)
    try:
        await over
    except asyncio.CancelledError:
        standing.cut()
        [transfer] = transfers
        tally.sent, tally.received = transfer.sent, transfer.received
        raise
    return transfers[0]


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
