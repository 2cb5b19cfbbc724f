"""The least that a CONNECT relay can be in Python: the yardstick for ratios, not a proxy to use.

It parses nothing it does not need, asks no policy, has no time-outs and no messages. What underpass
costs above this is the price of being a proxy; what this costs above `direct` is the price of one
more process and of Python.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import cast

import uvloop

# As the kernel takes the answer to a first write: bulk is moved in pieces of this size anyway.
WRITE_BUFFER = 256 * 1024


class Half(asyncio.Protocol):
    """One TCP connection of a pair; what it receives it writes to the other."""

    def __init__(self, tasks: asyncio.TaskGroup, other: Half | None = None) -> None:
        self.tasks = tasks
        self.other = other
        self.transport: asyncio.Transport
        self.head = b""
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are registered as such only in name.
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(WRITE_BUFFER)

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.transport.write(data)
            return
        self.head += data
        if b"\r\n\r\n" in self.head:
            self.transport.pause_reading()
            self.tasks.create_task(self.connect())

    async def connect(self) -> None:
        head, _, early = self.head.partition(b"\r\n\r\n")
        host, _, port = head.split(b" ", 2)[1].decode().rpartition(":")
        try:
            _, other = await asyncio.get_running_loop().create_connection(
                lambda: Half(self.tasks, self), host, int(port)
            )
        except OSError:
            self.transport.abort()
            return
        self.other = other
        if early:
            other.transport.write(early)
        self.transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
        self.transport.resume_reading()

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.transport.resume_reading()

    def eof_received(self) -> bool:
        self.ended = True
        if self.other is None or self.other.ended:
            # Closed by hand: a transport of uvloop that ended both ways and is only collected
            # as garbage aborts the process ("double free", uvloop 0.23).
            return False
        self.other.transport.write_eof()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None:
            self.other.transport.close()


async def serve() -> None:
    """Listen on an ephemeral loopback port, print it, relay until killed."""
    async with asyncio.TaskGroup() as tasks:
        server = await asyncio.get_running_loop().create_server(
            lambda: Half(tasks), "127.0.0.1", 0, backlog=4096
        )
        host, port = server.sockets[0].getsockname()
        print(f"listening http://{host}:{port}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve())
    sys.exit(0)
