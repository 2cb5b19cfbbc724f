"""An origin that says every byte back, and ends when it is told the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.origins.serving import serving


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def echo_origin() -> AsyncIterator[str]:
    """Run one on an ephemeral port of loopback; its ``host:port``."""
    server = await asyncio.start_server(_echo, "127.0.0.1", 0, backlog=4096)
    async with serving(server) as port:
        yield f"127.0.0.1:{port}"
