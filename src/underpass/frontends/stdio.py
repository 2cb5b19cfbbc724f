"""One stream on standard input and output, as ssh's ProxyCommand wants it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading

from underpass.errors import StreamError
from underpass.net.clock import TimeLimit
from underpass.net.stream import Stream

READ_BYTES = 64 * 1024
# Pieces that may wait each way: then a thread waits, and with it the program before us.
MAX_WAITING = 4
# How long input may go on after the far end has ended: a program that has ended says nothing more.
END_SECONDS = 60.0


async def relay_stdio(stream: Stream, source: int = 0, sink: int = 1) -> None:
    """Relay the file descriptors `source` and `sink` to `stream` until both ways have ended.

    They may be pipes, sockets, files or a terminal: they are read and written by threads, as not
    all of these can be polled. The `sink` is closed when the far end has ended. Raises
    `StreamError` when the stream is reset.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            up = tasks.create_task(_send(stream, source))
            if await _receive(stream, sink):
                await asyncio.wait((up,), timeout=END_SECONDS)
            up.cancel()
    except* StreamError as errors:
        stream.abort()
        raise errors.exceptions[0] from None
    await stream.close()


async def _send(stream: Stream, source: int) -> None:
    reader = _Reader(source)
    while data := await reader.read():
        await stream.send(data)
    await stream.send_eof()


async def _receive(stream: Stream, sink: int) -> bool:
    """Write what comes; False when nobody reads it any more."""
    writer = _Writer(sink)
    try:
        while data := await stream.receive():
            await writer.write(data)
        await writer.finish()
    except BrokenPipeError:
        return False
    return True


class _Reader:
    """Reads a descriptor in a thread of its own, which a blocked read does not keep from ending."""

    def __init__(self, source: int) -> None:
        self._source = source
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._room = threading.Semaphore(MAX_WAITING)
        threading.Thread(target=self._run, daemon=True, name="stdin").start()

    async def read(self) -> bytes:
        data = await self._queue.get()
        self._room.release()
        return data

    def _run(self) -> None:
        while True:
            self._room.acquire()
            try:
                data = os.read(self._source, READ_BYTES)
            except OSError:
                data = b""
            try:
                self._loop.call_soon_threadsafe(self._queue.put_nowait, data)
            except RuntimeError:
                # The loop is closed: nobody waits any more.
                return
            if not data:
                return


class _Writer:
    """Writes a descriptor in a thread of its own; one that nobody reads stops nobody's end."""

    def __init__(self, sink: int) -> None:
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._waiting = 0
        self._is_broken = False
        self._changed = asyncio.Event()
        threading.Thread(target=self._run, daemon=True, name="stdout").start()

    async def write(self, data: bytes) -> None:
        """Raises `BrokenPipeError` once nobody reads any more."""
        await self._until_waiting(MAX_WAITING - 1)
        self._waiting += 1
        self._queue.put(data)

    async def finish(self) -> None:
        """Write what waits, and close the descriptor."""
        self._queue.put(b"")
        with contextlib.suppress(TimeoutError), TimeLimit(END_SECONDS):
            await self._until_waiting(0)

    async def _until_waiting(self, most: int) -> None:
        while self._waiting > most and not self._is_broken:
            self._changed.clear()
            await self._changed.wait()
        if self._is_broken:
            raise BrokenPipeError

    def _run(self) -> None:
        with contextlib.suppress(RuntimeError):
            while data := self._queue.get():
                try:
                    _write_all(self._sink, data)
                except OSError:
                    self._loop.call_soon_threadsafe(self._written, True)
                    return
                self._loop.call_soon_threadsafe(self._written, False)
        with contextlib.suppress(OSError):
            os.close(self._sink)

    def _written(self, is_broken: bool) -> None:
        self._waiting -= 1
        self._is_broken = is_broken
        self._changed.set()


def _write_all(sink: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(sink, view) :]
