"""A stream that is reset when nothing moves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from underpass.address import Address
from underpass.errors import StreamReset
from underpass.net.connect import connect_tcp
from underpass.testing.middlebox.limits import Limited


@contextlib.asynccontextmanager
async def limited(
    idle: float,
) -> AsyncIterator[tuple[Limited, asyncio.StreamReader, asyncio.StreamWriter]]:
    """A limited stream and its other end."""
    ends: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.put_nowait((reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
    assert address.ip is not None
    stream = await connect_tcp(address.ip, address.port, 5)
    reader, writer = await ends.get()
    try:
        yield Limited(stream, idle), reader, writer
    finally:
        stream.abort()
        writer.close()
        server.close()


async def test_what_is_idle_is_reset() -> None:
    async with limited(0.03) as (stream, reader, _):
        with pytest.raises(StreamReset):
            await stream.receive()
        with pytest.raises(ConnectionError):
            await reader.read()


async def test_what_moves_lives() -> None:
    async with limited(0.08) as (stream, reader, writer):
        for _ in range(2):
            await asyncio.sleep(0.05)
            writer.write(b"a")
            assert await stream.receive() == b"a"
            await asyncio.sleep(0.05)
            await stream.send(b"b")
            assert await reader.readexactly(1) == b"b"


async def test_without_a_limit_it_is_a_stream_as_any() -> None:
    async with limited(0) as (stream, reader, writer):
        assert stream.peer is not None
        assert stream.is_quiet
        stream.unread(b"back")
        assert await stream.receive() == b"back"
        writer.write(b"more")
        assert await stream.receive() == b"more"
        await stream.send_eof()
        assert await reader.read() == b""
        stream.close_soon()
        await stream.close()
        stream.abort()
