"""An origin that keeps every byte it is sent and says what it was told to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.origins.serving import serving


@dataclass
class RecordingOrigin:
    """`received` holds one entry a connection; `answer` is written once to each."""

    answer: bytes = b""
    port: int = 0
    received: list[bytearray] = field(default_factory=list)
    ended: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Record one connection to its end."""
        mine = bytearray()
        self.received.append(mine)
        writer.write(self.answer)
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                mine += data
        self.ended += 1
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def recording_origin(answer: bytes = b"") -> AsyncIterator[RecordingOrigin]:
    """Run one on an ephemeral port of loopback."""
    origin = RecordingOrigin(answer)
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0)
    async with serving(server) as origin.port:
        yield origin
