"""The two sides of a middlebox, with their lines, and bytes passed between them."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

from underpass.errors import StreamError, StreamReset
from underpass.net.stream import Stream
from underpass.testing.middlebox.limits import Limited
from underpass.testing.middlebox.line import DelayedSender, Line
from underpass.testing.middlebox.state import BoxState

READ_BYTES = 64 * 1024
# A stream that is to be reset is so within these bytes.
LONGEST_FUSE = 256 * 1024
# How often it is looked whether a client is still there.
LOOK_SECONDS = 0.05


Kind = TypeVar("Kind", bound=Stream)
# What can be read from a side of any kind can be read from one of a stream.
AnyKind = TypeVar("AnyKind", bound=Stream, covariant=True)


class Side(Generic[AnyKind]):
    """A stream of the box, and the line that leads to its other end."""

    def __init__(self, stream: AnyKind, line: Line, state: BoxState) -> None:
        self.stream = stream
        self._state = state
        self._sender = DelayedSender(line, stream)
        self._running = state.tasks.create_task(self._run(), name="line")

    def end(self) -> None:
        """Deliver nothing more, and close the stream."""
        self._running.cancel()
        self.stream.close_soon()

    async def _run(self) -> None:
        with contextlib.suppress(StreamError):
            await self._sender.run()

    async def send(self, data: bytes) -> None:
        """Send over the line; the record sees it."""
        self._state.record.saw(data)
        await self._sender.send(data)

    async def flushed(self) -> None:
        """Return when all has been delivered, or nothing can be any more."""
        flushed = self._state.tasks.create_task(self._sender.flushed())
        await asyncio.wait((flushed, self._running), return_when=asyncio.FIRST_COMPLETED)
        flushed.cancel()


@contextlib.asynccontextmanager
async def side(stream: Kind, line: Line, state: BoxState) -> AsyncIterator[Side[Kind]]:
    """A side for the time of the block; what was sent has been delivered at its end."""
    one = Side(stream, line, state)
    try:
        yield one
        await one.flushed()
    except BaseException:
        stream.abort()
        raise
    finally:
        one.end()


@contextlib.asynccontextmanager
async def left_with(client: Side[Limited], stream: Stream, state: BoxState) -> AsyncIterator[None]:
    """Within the block, `stream` is reset when the client's is lost: nobody waits any more."""

    async def watch() -> None:
        while not client.stream.is_lost:
            await asyncio.sleep(LOOK_SECONDS)
        stream.abort()

    watching = state.tasks.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


class Fuse:
    """Whether and when the streams of one conversation are reset."""

    def __init__(self, source: random.Random, chance: float) -> None:
        burns = chance and source.random() < chance
        self._left = source.randrange(1, LONGEST_FUSE) if burns else None

    def burn(self, data: bytes, *streams: Stream) -> bytes:
        """Return `data`, or reset the streams and raise `StreamReset` when its time has come."""
        if self._left is None:
            return data
        self._left -= len(data)
        if self._left > 0:
            return data
        for stream in streams:
            stream.abort()
        raise StreamReset("reset by the middlebox")


async def pump(one: Side[Stream], other: Side[Stream], fuse: Fuse) -> None:
    """Pass bytes both ways until both directions have ended, or one is reset."""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_pass(one, other, fuse))
            tasks.create_task(_pass(other, one, fuse))
    except* StreamError:
        one.stream.abort()
        other.stream.abort()


async def _pass(source: Side[Stream], sink: Side[Stream], fuse: Fuse) -> None:
    while data := await source.stream.receive(READ_BYTES):
        await sink.send(fuse.burn(data, source.stream, sink.stream))
    await sink.flushed()
    await sink.stream.send_eof()
