"""Where the streams of a test lead: what it does is said in their first bytes.

`ECHO`: everything comes back. `SWAP` and a size: so many bytes of a pattern come while those of the
client are read; after the client has ended comes the SHA-256 of what it sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import struct
from collections.abc import AsyncIterator

ECHO = b"e"
SWAP = b"s"
SIZE = struct.Struct("!Q")
CHUNK = 64 * 1024


def pattern(seed: int, size: int) -> bytes:
    """Bytes that never repeat."""
    return random.Random(seed).randbytes(size)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        async with asyncio.TaskGroup() as tasks:
            if await reader.readexactly(1) == SWAP:
                (size,) = SIZE.unpack(await reader.readexactly(SIZE.size))
                down = tasks.create_task(_send(writer, size))
                digest = hashlib.sha256()
                while data := await reader.read(CHUNK):
                    digest.update(data)
                await down
                writer.write(digest.digest())
            else:
                while data := await reader.read(CHUNK):
                    writer.write(data)
                    await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def _send(writer: asyncio.StreamWriter, size: int) -> None:
    data = pattern(size, size)
    for at in range(0, size, CHUNK):
        writer.write(data[at : at + CHUNK])
        await writer.drain()


@contextlib.asynccontextmanager
async def destination() -> AsyncIterator[int]:
    """Serve for as long as the block; the port on loopback."""
    streams: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        streams.add(writer)
        try:
            await _serve(reader, writer)
        except* (ConnectionError, asyncio.IncompleteReadError):
            # The tunnel's end reset it.
            pass
        finally:
            # It stays among them: what it has not sent may keep it open.
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in list(streams):
            writer.transport.abort()
        await asyncio.sleep(0)
