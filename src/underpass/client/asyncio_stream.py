"""A `Stream` as the pair of reader and writer that asyncio's own connections are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from underpass.errors import StreamError
from underpass.net.stream import Stream

# As asyncio's own transports: above the first the writer waits, until it is below the second.
HIGH_WATER = 64 * 1024
LOW_WATER = 16 * 1024


def reader_and_writer(
    stream: Stream, tasks: asyncio.TaskGroup
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The pair for `stream`, which it owns from here on; `tasks` runs what moves its bytes.

    A stream that is reset raises `ConnectionResetError` from the reader, never a clean end.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport = StreamAsTransport(stream, protocol, tasks)
    protocol.connection_made(transport)
    transport.start()
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


class StreamAsTransport(asyncio.Transport):
    """A stream as a transport: bytes written wait in order, and go on their way in a task."""

    def __init__(
        self, stream: Stream, protocol: asyncio.StreamReaderProtocol, tasks: asyncio.TaskGroup
    ) -> None:
        peer = stream.peer
        super().__init__({"peername": (peer.host, peer.port) if peer is not None else None})
        self._stream = stream
        self._protocol = protocol
        self._tasks = tasks
        self._waiting: list[bytes] = []
        self._size = 0
        self._is_paused = False
        self._eof = False
        self._closing = False
        self._lost = False
        self._is_closed = False
        self._changed = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._running: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to move bytes."""
        self._running = [
            self._tasks.create_task(self._receive()),
            self._tasks.create_task(self._send()),
        ]

    async def _receive(self) -> None:
        try:
            while data := await self._stream.receive():
                self._protocol.data_received(data)
                await self._may_read.wait()
        except StreamError as error:
            self._lose(ConnectionResetError(str(error)))
            return
        self._protocol.eof_received()

    async def _send(self) -> None:
        try:
            while not (self._eof or self._closing) or self._waiting:
                if not self._waiting:
                    self._changed.clear()
                    await self._changed.wait()
                    continue
                data, self._waiting = b"".join(self._waiting), []
                await self._stream.send(data)
                self._size -= len(data)
                self._resume()
            await self._stream.send_eof()
            while not self._closing:
                self._changed.clear()
                await self._changed.wait()
            await self._stream.close()
            self._is_closed = True
        except StreamError as error:
            self._lose(ConnectionResetError(str(error)))
            return
        self._lose(None)

    def _resume(self) -> None:
        if self._is_paused and self._size <= LOW_WATER:
            self._is_paused = False
            self._protocol.resume_writing()

    def _lose(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = self._closing = True
        if not self._is_closed:
            # Closed in order, it still delivers what was sent.
            self._stream.abort()
        self._changed.set()
        for task in self._running:
            if task is not asyncio.current_task():
                task.cancel()
        self._protocol.connection_lost(error)

    # What a writer calls.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Let bytes wait for their turn."""
        if self._eof or self._closing:
            raise RuntimeError("written to after the end")
        if not data:
            return
        self._waiting.append(bytes(data))
        self._size += len(data)
        self._changed.set()
        if self._size > HIGH_WATER and not self._is_paused:
            self._is_paused = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Let all of them wait."""
        for data in list_of_data:
            self.write(data)

    def can_write_eof(self) -> bool:
        """Each direction ends on its own."""
        return True

    def write_eof(self) -> None:
        """End the sending direction, after what waits."""
        self._eof = True
        self._changed.set()

    def get_write_buffer_size(self) -> int:
        """How many bytes wait."""
        return self._size

    def pause_reading(self) -> None:
        """Let what comes wait at its sender."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        """Go on."""
        self._may_read.set()

    def is_reading(self) -> bool:
        """Whether what comes is taken."""
        return self._may_read.is_set()

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._closing

    def close(self) -> None:
        """End both directions, after what waits."""
        self._closing = True
        self._changed.set()

    def abort(self) -> None:
        """Reset the stream."""
        self._lose(None)
