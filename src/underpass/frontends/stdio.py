"""One stream on standard input and output, as ssh's ProxyCommand wants it."""

from __future__ import annotations

import asyncio
import os
import threading

from underpass.errors import StreamError
from underpass.net.stream import Stream

READ_BYTES = 64 * 1024
# Reads that may wait for the stream: then the thread waits, and with it the program before us.
MAX_WAITING = 4


async def relay_stdio(stream: Stream, source: int = 0, sink: int = 1) -> None:
    """Relay the file descriptors `source` and `sink` to `stream` until both ways have ended.

    They may be pipes, sockets, files or a terminal: they are read and written by threads, as not
    all of these can be polled. Raises `StreamError` when the stream is reset.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            up = tasks.create_task(_send(stream, source))
            await _receive(stream, sink)
            # Nothing more comes: whoever reads our output has been told, and what it still says
            # may go on, but a program that has ended never will.
            await asyncio.wait((up,), timeout=END_SECONDS)
            up.cancel()
    except* StreamError as errors:
        stream.abort()
        raise errors.exceptions[0] from None
    await stream.close()


# How long input may go on after the far end has ended.
END_SECONDS = 60.0


async def _send(stream: Stream, source: int) -> None:
    reader = _Reader(source)
    while data := await reader.read():
        await stream.send(data)
    await stream.send_eof()


async def _receive(stream: Stream, sink: int) -> None:
    loop = asyncio.get_running_loop()
    try:
        while data := await stream.receive():
            await loop.run_in_executor(None, _write_all, sink, data)
    except BrokenPipeError:
        # Nobody reads our output any more.
        stream.abort()
        return
    os.close(sink)


def _write_all(sink: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(sink, view) :]


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
