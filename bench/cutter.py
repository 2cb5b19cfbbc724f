"""A TCP relay between a tunnel's client and its server that can reset all that crosses it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

# What is held for the slower side, after which the faster is read no more.
HELD = 256 * 1024


class Half(asyncio.Protocol):
    """One side of a relayed TCP connection; what it receives it writes to the other."""

    def __init__(self, cutter: Cutter, other: Half | None = None) -> None:
        self.cutter = cutter
        self.other = other
        self.transport: asyncio.Transport
        self.early: list[bytes] = []
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are registered as such only in name.
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(HELD)
        self.cutter.halves.add(self)
        if self.other is None:
            self.cutter.tasks.create_task(self._connect())

    async def _connect(self) -> None:
        host, port = self.cutter.target
        try:
            _, other = await asyncio.get_running_loop().create_connection(
                lambda: Half(self.cutter, self), host, port
            )
        except OSError:
            self.transport.abort()
            return
        if self.transport.is_closing():
            other.transport.abort()
            return
        self.other = other
        other.transport.writelines(self.early)
        if self.early:
            self.transport.resume_reading()
        self.early.clear()
        if self.ended:
            other.transport.write_eof()

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.transport.write(data)
            return
        # Not before: after a pause in connection_made, uvloop never reads again.
        self.early.append(data)
        self.transport.pause_reading()

    def eof_received(self) -> bool:
        self.ended = True
        if self.other is None:
            return True
        if self.other.ended:
            return False
        self.other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.cutter.halves.discard(self)
        if self.other is None:
            return
        if error is None:
            self.other.transport.close()
        else:
            self.other.transport.abort()


class Cutter:
    """Relays to `target`, (host, port), from `address` on."""

    def __init__(self, target: tuple[str, int], tasks: asyncio.TaskGroup) -> None:
        self.target = target
        self.tasks = tasks
        self.address = ""
        self.halves: set[Half] = set()

    def cut(self) -> int:
        """Reset all that crosses it now; how many TCP connections that were."""
        halves = list(self.halves)
        for half in halves:
            half.transport.abort()
        return len(halves) // 2


@asynccontextmanager
async def cutter_before(target: tuple[str, int], tasks: asyncio.TaskGroup) -> AsyncIterator[Cutter]:
    """Run one in front of `target`."""
    cutter = Cutter(target, tasks)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Half(cutter), "127.0.0.1", 0, backlog=4096)
    host, port = server.sockets[0].getsockname()
    cutter.address = f"{host}:{port}"
    try:
        yield cutter
    finally:
        server.close()
        cutter.cut()
