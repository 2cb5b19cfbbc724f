"""Ends a server of asyncio without losing what it is just about to accept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def serving(server: asyncio.Server) -> AsyncIterator[int]:
    """Serve until the block is left; the server's port."""
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        # A socket that is accepted but has no transport yet when the server closes is dropped
        # unclosed, and whichever test runs then is blamed for it.
        for sock in server.sockets:
            asyncio.get_running_loop().remove_reader(sock.fileno())
        for _ in range(3):
            await asyncio.sleep(0)
        server.close()
