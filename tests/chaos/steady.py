"""Streams that go on and on, every byte of them checked in both directions."""

from __future__ import annotations

import asyncio
import random

from tests.matrix.destination import ECHO
from tests.matrix.exercise import WrongBytesError
from underpass.net.stream import Stream

PIECE = 16 * 1024
# What a stream has under way at most.
AHEAD = 8 * PIECE
# A rest after each piece, so that hours of it fill no disk and no processor.
REST_SECONDS = 0.05
# What a last byte may take, with a carrier cut on its way.
LAST_SECONDS = 30.0


class Steady:
    """A stream to an echo: sends a pattern until told to end, and checks what comes back."""

    def __init__(self, stream: Stream, seed: int) -> None:
        self._stream = stream
        self._sent = random.Random(seed)
        self._expected = random.Random(seed)
        self._is_over = False
        self._room = asyncio.Event()
        self._limit: asyncio.Timeout | None = None
        self.sent = 0
        self.checked = 0

    def end(self) -> None:
        """Send no more; `run` returns when the last byte is back, within `LAST_SECONDS`."""
        self._is_over = True
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + LAST_SECONDS)

    async def run(self) -> None:
        """Raises `WrongBytesError`, `TimeoutError`, and what the stream raises."""
        async with asyncio.timeout(None) as self._limit:
            await self._stream.send(ECHO)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send())
                tasks.create_task(self._check())
            await self._stream.close()
        self._limit = None

    async def _send(self) -> None:
        while not self._is_over:
            await self._stream.send(self._sent.randbytes(PIECE))
            self.sent += PIECE
            await asyncio.sleep(REST_SECONDS)
            while self.sent - self.checked > AHEAD:
                self._room.clear()
                await self._room.wait()
        await self._stream.send_eof()

    async def _check(self) -> None:
        waiting = b""
        while data := await self._stream.receive():
            waiting += data
            while len(waiting) >= PIECE:
                if waiting[:PIECE] != self._expected.randbytes(PIECE):
                    raise WrongBytesError(f"after {self.checked} bytes")
                waiting = waiting[PIECE:]
                self.checked += PIECE
                self._room.set()
        if waiting or self.checked != self.sent:
            raise WrongBytesError(f"{self.checked} of {self.sent} bytes came back")
