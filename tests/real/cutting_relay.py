"""A relay on loopback that can cut what goes over it, let nothing through, or move elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator

from tests.origins import LoopThread


class CuttingRelay:
    """Relays to a port; call it from the thread of its loop, or by `LoopThread`.

    `is_closed`: what comes is reset. `is_dark`: what comes is taken, and goes nowhere. `source` is
    the address that the target sees.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.cuts = 0
        self.is_closed = False
        self.is_dark = False
        self.source = "127.0.0.1"
        self._writers: set[asyncio.StreamWriter] = set()
        self._stranded: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_closed:
            writer.transport.abort()
            return
        try:
            back, forth = await asyncio.open_connection(
                "127.0.0.1", self.target, local_addr=(self.source, 0)
            )
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, forth}
        if self.is_dark:
            self._stranded |= {writer, forth}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(reader, forth))
                tasks.create_task(self._pump(back, writer))
        finally:
            self._writers -= {writer, forth}
            self._stranded -= {writer, forth}
            for one in (writer, forth):
                one.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if writer not in self._stranded:
                    writer.write(data)
                    await writer.drain()
            if writer not in self._stranded:
                writer.write_eof()

    def strand(self) -> None:
        """What is open goes nowhere from now on, and is not told so: its address is gone."""
        self._stranded |= self._writers

    async def cut(self) -> int:
        """Reset all that is open; how many that was."""
        writers = list(self._writers)
        for writer in writers:
            writer.transport.abort()
        self.cuts += bool(writers)
        return len(writers)

    async def ended(self) -> None:
        """Wait until nothing is relayed any more."""
        while self._writers:
            await asyncio.sleep(0)


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
        await relay.ended()


@contextlib.contextmanager
def cut_every(seconds: float, relay: CuttingRelay, loop: LoopThread) -> Iterator[None]:
    """Cut all that goes over `relay`, which runs in `loop`, time and again within the block."""
    ended = threading.Event()

    def cut() -> None:
        while not ended.wait(seconds):
            loop.run(relay.cut())

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
