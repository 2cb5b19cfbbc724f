"""A WebSocket origin that says everything back."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator

from websockets.asyncio.server import ServerConnection, serve


async def _echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@contextlib.asynccontextmanager
async def websocket_origin(context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Run one on an ephemeral port of loopback; its URL."""
    async with serve(_echo, "127.0.0.1", 0, ssl=context) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"{'wss' if context else 'ws'}://127.0.0.1:{port}/"
