"""A relay on loopback that can cut everything that goes over it, or let nothing through."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class CuttingRelay:
    """Relays to a port; call it from the thread of its loop, or by `LoopThread`."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.cuts = 0
        self.is_closed = False
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_closed:
            writer.transport.abort()
            return
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, forth}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(reader, forth))
                tasks.create_task(self._pump(back, writer))
        finally:
            self._writers -= {writer, forth}
            for one in (writer, forth):
                one.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.write_eof()

    async def cut(self) -> int:
        """Reset all that is open; how many that was."""
        writers = list(self._writers)
        for writer in writers:
            writer.transport.abort()
        self.cuts += bool(writers)
        return len(writers)


@contextlib.asynccontextmanager
async def cutting_relay(target: int) -> AsyncIterator[CuttingRelay]:
    """Run one to `target`."""
    relay = CuttingRelay(target)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        await relay.cut()
