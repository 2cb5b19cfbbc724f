"""Two ends of a stream in memory: no sockets, no time, the same contract.

::

    here, there = stream_pair()
    await here.send(b"hello")
    assert await there.receive() == b"hello"

What TCP leaves open is done here in the way that is harder on its user, so that a test finds who
relies on more than the contract: a reset takes with it what was not yet received, and a sender is
held back as soon as the buffer is full.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from underpass.address import Address
from underpass.errors import StreamClosed, StreamReset
from underpass.net.stream import RECEIVE_SIZE, Sink, Stream, Tap
from underpass.protocol.frames import Payload

# What one direction holds at most unless told. As TCP on a short path, and small enough for a test
# to fill.
BUFFER_SIZE = 64 * 1024


def stream_pair(buffer_size: int = BUFFER_SIZE) -> tuple[MemoryStream, MemoryStream]:
    """Make both ends of one stream; each direction holds at most `buffer_size` bytes (1 or more).

    Raises `ValueError` for a buffer that could hold nothing.
    """
    if buffer_size < 1:
        raise ValueError("a buffer holds at least one byte")
    there, back = _Direction(buffer_size), _Direction(buffer_size)
    return MemoryStream(back, there), MemoryStream(there, back)


class _Direction:
    """Bytes on their way from one end to the other."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.chunks: deque[bytes] = deque()
        self.size = 0
        self.ended = False
        self.is_reset = False
        # Once the receiver has closed, this many bytes more are dropped; then comes a reset.
        self.dropping: int | None = None
        self._changed = asyncio.Event()
        # Called at every change: the taps of either end.
        self.watchers: list[Callable[[], object]] = []

    async def change(self) -> None:
        """Wait until the other end, or another call on this one, has done something."""
        self._changed.clear()
        await self._changed.wait()

    def changed(self) -> None:
        self._changed.set()
        for watcher in self.watchers:
            watcher()

    def put(self, data: memoryview) -> int:
        """Take in as much of `data` as there is room for; return how much that was."""
        if self.dropping is not None:
            self.dropping -= len(data)
            return len(data)
        taken = max(0, min(len(data), self.limit - self.size))
        if taken:
            self.put_all(data[:taken])
        return taken

    def put_all(self, data: Payload) -> None:
        """Take in all of `data`, whatever there is room for."""
        self.chunks.append(bytes(data))
        self.size += len(data)
        self.changed()

    def take(self, limit: int) -> bytes:
        data = self.chunks.popleft()
        if len(data) > limit:
            self.chunks.appendleft(data[limit:])
            data = data[:limit]
        self.size -= len(data)
        self.changed()
        return data

    def put_back(self, data: bytes) -> None:
        self.chunks.appendleft(data)
        self.size += len(data)

    def end(self) -> None:
        self.ended = True
        self.changed()

    def drop(self) -> None:
        """The receiver is gone: what waits and what comes is dropped."""
        self.chunks.clear()
        self.size = 0
        self.dropping = self.limit
        self.changed()

    def reset(self) -> None:
        self.is_reset = True
        self.chunks.clear()
        self.size = 0
        self.changed()


class MemoryStream(Stream):
    """One end of a stream that `stream_pair` made."""

    can_pour = True

    def __init__(self, incoming: _Direction, outgoing: _Direction) -> None:
        self._in = incoming
        self._out = outgoing
        self._closed = False

    def __repr__(self) -> str:
        state = "CLOSED" if self._closed else "RESET" if self._in.is_reset else "OPEN"
        return f"<MemoryStream {state} {self._in.size} in {self._out.size} out>"

    async def receive(self, limit: int = RECEIVE_SIZE) -> bytes:
        while True:
            self._check_open()
            if self._in.chunks:
                return self._in.take(limit)
            if self._in.ended:
                return b""
            await self._in.change()

    def unread(self, data: bytes) -> None:
        if data:
            self._in.put_back(data)

    async def send(self, data: bytes) -> None:
        self._check_sendable()
        left = memoryview(data)
        while left := left[self._out.put(left) :]:
            await self._out.change()
            self._check_sendable()
        if self._out.dropping is not None and self._out.dropping < 0:
            self._reset()

    def _check_open(self) -> None:
        if self._closed:
            raise StreamClosed("closed by this end")
        if self._in.is_reset:
            raise StreamReset("reset by the other end")

    def _check_sendable(self) -> None:
        self._check_open()
        if self._out.ended:
            raise StreamClosed("ended by this end")

    def pour(self, sink: Sink) -> MemoryTap:
        return MemoryTap(self, sink, self._in, self._out)

    @property
    def is_closed(self) -> bool:
        """Whether this end has closed or aborted."""
        return self._closed

    async def send_eof(self) -> None:
        self._out.end()

    async def close(self) -> None:
        self.close_soon()

    def close_soon(self) -> None:
        if not self._closed:
            self._closed = True
            self._out.end()
            self._in.drop()

    def abort(self) -> None:
        if self._closed and not self._out.size:
            # Ended in order with nothing left to deliver: a reset would undo that.
            return
        self._closed = True
        self._reset()

    def _reset(self) -> None:
        self._in.reset()
        self._out.reset()

    @property
    def is_quiet(self) -> bool:
        ended = self._in.ended or self._out.ended or self._in.is_reset or self._closed
        return not (self._in.chunks or ended)

    @property
    def is_lost(self) -> bool:
        return self._in.is_reset

    @property
    def peer(self) -> Address | None:
        return None


class MemoryTap(Tap):
    """A `Tap` of a `MemoryStream`: it looks at what has changed once a turn of the loop."""

    def __init__(
        self, stream: MemoryStream, sink: Sink, incoming: _Direction, outgoing: _Direction
    ) -> None:
        self._stream = stream
        self._sink: Sink | None = sink
        self._in = incoming
        self._out = outgoing
        self._is_held = True
        self._was_full = False
        self._has_ended = False
        self._loop = asyncio.get_running_loop()
        for direction in (incoming, outgoing):
            direction.watchers.append(self._changed)

    def _changed(self) -> None:
        self._loop.call_soon(self._look)

    def _look(self) -> None:
        if self._was_full and not self.is_full and self._sink is not None:
            self._was_full = False
            self._sink.ready()
        while self._in.chunks and not self._is_held and self._sink is not None:
            self._sink.came(self._in.take(RECEIVE_SIZE))
        if self._sink is None or self._in.chunks or self._stream.is_closed:
            return
        if self._in.is_reset:
            sink, self._sink = self._sink, None
            sink.lost(StreamReset("reset by the other end"))
        elif self._in.ended and not self._has_ended:
            self._has_ended = True
            self._sink.ended()

    def put(self, *parts: Payload) -> None:
        if self._out.ended or self._in.is_reset or self._stream.is_closed:
            return
        for part in parts:
            if self._out.dropping is None:
                self._out.put_all(part)
        self._was_full = self.is_full

    @property
    def is_full(self) -> bool:
        return self._out.size >= self._out.limit

    def hold(self) -> None:
        self._is_held = True

    def go_on(self) -> None:
        self._is_held = False
        self._look()

    def end_sending(self) -> None:
        self._out.end()

    def stop(self) -> None:
        self._sink = None
        for direction in (self._in, self._out):
            if self._changed in direction.watchers:
                direction.watchers.remove(self._changed)
