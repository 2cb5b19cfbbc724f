"""`TunnelStream`: one stream of a session as a `Stream`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from underpass.address import Address
from underpass.errors import (
    StreamClosed,
    StreamError,
    StreamReset,
    StreamTimeout,
)
from underpass.net.stream import RECEIVE_SIZE, Sink, Stream, Tap
from underpass.protocol.frames import Payload, ResetCode

# What one piece of a large send is; the session joins and cuts as records need it.
SEND_PIECE = 64 * 1024


class StreamCalls(Protocol):
    """What a stream asks of whoever drives its session; none of these waits."""

    def send(self, stream_id: int, data: bytes) -> None:
        """Let bytes wait for their turn."""

    def is_clogged(self, stream_id: int) -> bool:
        """Whether the sender should wait until it is told to go on."""

    def read(self, stream_id: int, limit: int) -> Payload | None:
        """Bytes that have come, ``b""`` at the end, None for nothing yet."""

    def read_waiting(self, stream_id: int, limit: int) -> tuple[list[Payload], bool]:
        """What has come, in pieces, and whether the end has come after it.

        Up to the piece that reaches `limit` bytes; where they are fewer, `readable` tells of more.
        """

    def is_quiet(self, stream_id: int) -> bool:
        """Whether nothing waits to be read and the other end has not ended."""

    def finish(self, stream_id: int) -> None:
        """Send fin after what waits."""

    def reset(self, stream_id: int) -> None:
        """Reset the stream; nothing more is told of it."""

    def drain(self, stream_id: int) -> None:
        """Read and drop what still comes, within bounds; nothing more is told of it."""

    def release(self, stream_id: int) -> None:
        """Nothing more is done with the stream, which the other end has ended."""


class TunnelStream(Stream, Tap):
    """See the module; made by the driver, which tells it what has happened. It is its own `Tap`."""

    __slots__ = (
        "_closed",
        "_driver",
        "_ended",
        "_eof_sent",
        "_error",
        "_has_come",
        "_is_held",
        "_peer",
        "_reader",
        "_sink",
        "_tell_lost",
        "_unread",
        "_writer",
        "id",
    )

    can_pour = True

    def __init__(self, driver: StreamCalls, stream_id: int, peer: Address | None) -> None:
        self.id = stream_id
        self._driver = driver
        self._peer = peer
        self._unread: list[bytes] = []
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._error: StreamError | None = None
        self._closed = False
        self._eof_sent = False
        self._ended = False
        # Whether the session has told of something since it was last asked in vain.
        self._has_come = False
        self._tell_lost: Callable[[], object] | None = None
        self._sink: Sink | None = None
        self._is_held = False

    def __repr__(self) -> str:
        state = "CLOSED" if self._closed else "RESET" if self._error else "OPEN"
        return f"<TunnelStream {self.id} {state}>"

    # The contract of `Stream`.

    async def receive(self, limit: int = RECEIVE_SIZE) -> bytes:
        while True:
            if self._closed:
                raise StreamClosed("closed by this end")
            if self._unread:
                return self._take_unread(limit)
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            data = self._driver.read(self.id, limit)
            if data is not None:
                self._ended = not data
                return bytes(data)
            self._has_come = False
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader

    def _take_unread(self, limit: int) -> bytes:
        data = self._unread.pop()
        if len(data) > limit:
            self._unread.append(data[limit:])
            data = data[:limit]
        return data

    def unread(self, data: bytes) -> None:
        if data:
            self._unread.append(data)

    async def send(self, data: bytes) -> None:
        self._check_sendable()
        for start in range(0, len(data), SEND_PIECE):
            self._driver.send(self.id, data[start : start + SEND_PIECE])
            while self._driver.is_clogged(self.id):
                self._writer = asyncio.get_running_loop().create_future()
                await self._writer
                self._check_sendable()

    def _check_sendable(self) -> None:
        if self._error is not None:
            raise self._error
        if self._closed or self._eof_sent:
            raise StreamClosed("closed by this end")

    async def send_eof(self) -> None:
        self._finish()

    def _finish(self) -> None:
        if not (self._eof_sent or self._closed or self._error):
            self._eof_sent = True
            self._driver.finish(self.id)

    async def close(self) -> None:
        self.close_soon()

    def close_soon(self) -> None:
        """Send fin after what waits; what still comes is read and dropped, within bounds."""
        if self._closed:
            return
        self._finish()
        self._closed = True
        self._sink = None
        self._wake()
        if self._ended:
            self._driver.release(self.id)
        elif self._error is None:
            self._driver.drain(self.id)

    def abort(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._sink = None
        self._wake()
        if self._error is None:
            self._driver.reset(self.id)

    @property
    def is_quiet(self) -> bool:
        used_up = self._unread or self._closed or self._error or self._eof_sent or self._ended
        return not used_up and self._driver.is_quiet(self.id)

    @property
    def is_lost(self) -> bool:
        return self._error is not None

    @property
    def peer(self) -> Address | None:
        return self._peer

    # Without a task.

    def pour(self, sink: Sink) -> TunnelStream:
        self._sink = sink
        return self

    def put(self, *parts: Payload) -> None:
        if self._error is None and not (self._closed or self._eof_sent):
            for part in parts:
                # Bytes already, but from another tunnel.
                self._driver.send(self.id, bytes(part))

    @property
    def is_full(self) -> bool:
        return self._driver.is_clogged(self.id)

    def hold(self) -> None:
        self._is_held = True

    def go_on(self) -> None:
        self._is_held = False
        while self._unread and self._sink is not None:
            self._sink.came(self._unread.pop())
        if self._has_come or self._error is not None:
            self._pour()

    def end_sending(self) -> None:
        self._finish()

    def stop(self) -> None:
        self._sink = None

    def _pour(self) -> None:
        """Read all that has come into the sink, as long as it does not hold."""
        while (sink := self._sink) is not None and not (self._is_held or self._ended):
            if self._error is not None:
                self._sink = None
                sink.lost(self._error)
                return
            pieces, self._ended = self._driver.read_waiting(self.id, RECEIVE_SIZE)
            size = 0
            for piece in pieces:
                size += len(piece)
                sink.came(piece)
            if self._ended and self._sink is sink:
                sink.ended()
            elif size < RECEIVE_SIZE:
                self._has_come = False
                return

    # What the driver tells.

    def tell_lost(self, tell: Callable[[], object]) -> None:
        """Have `tell` called when the stream is lost; one at a time."""
        self._tell_lost = tell

    def readable(self) -> None:
        """There is something to read."""
        self._has_come = True
        if self._sink is not None:
            self._pour()
            return
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(None)

    def writable(self) -> None:
        """Less waits to be sent."""
        if self._sink is not None:
            self._sink.ready()
            return
        writer, self._writer = self._writer, None
        if writer is not None and not writer.done():
            writer.set_result(None)

    def was_reset(self, code: int) -> None:
        """The other end, or the loss of the session, has reset it."""
        if code == ResetCode.TIMEOUT:
            self._error = StreamTimeout("timed out at the far end")
        elif code == ResetCode.SESSION_LOST:
            self._error = StreamReset("the tunnel's session was lost")
        else:
            self._error = StreamReset("reset at the far end")
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.lost(self._error)
        self._wake()
        tell, self._tell_lost = self._tell_lost, None
        if tell is not None:
            tell()

    def _wake(self) -> None:
        self.readable()
        self.writable()
