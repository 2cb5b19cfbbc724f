"""`Line`: delay and rate between a middlebox and both its sides, as a long line has them."""

from __future__ import annotations

import asyncio

from underpass.net.stream import Stream

# A piece that is sent at once over a line with a rate: 1.3 ms at 100 Mbit/s, and on a slow line no
# more than goes over it in so many seconds.
PIECE_BYTES = 16 * 1024
PIECE_SECONDS = 0.02
# Timers are late by a millisecond or two: what that costs is caught up within this.
SLACK_SECONDS = 0.005
# Pieces on the line to one stream: 8 MiB, more than 100 Mbit/s at 500 ms hold.
MAX_PIECES = 512


class Line:
    """One direction of one line, shared by all streams: `delay` in seconds, `rate` in bytes/s."""

    def __init__(self, delay: float, rate: float) -> None:
        self._delay = delay
        self._rate = rate
        # When what has been sent so far has left, and room in front of the sender.
        self._free_at = 0.0

    @property
    def piece(self) -> int:
        """How many bytes are sent at once."""
        if not self._rate:
            return PIECE_BYTES
        return max(1, min(PIECE_BYTES, int(self._rate * PIECE_SECONDS)))

    @property
    def is_plain(self) -> bool:
        """Whether it is no different from no line."""
        return not (self._delay or self._rate)

    async def pass_on(self, size: int) -> float:
        """Wait for the turn of `size` bytes; returns when they arrive at the other end."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._rate:
            self._free_at = max(self._free_at, now - SLACK_SECONDS) + size / self._rate
            if self._free_at > now + SLACK_SECONDS:
                await asyncio.sleep(self._free_at - now)
        return max(self._free_at, now) + self._delay


class DelayedSender:
    """Sends over a line to one stream: in order, each piece when it arrives at the other end.

    What is on the line at once is bounded by `MAX_PIECES`, as a sender's window is.
    """

    def __init__(self, line: Line, stream: Stream) -> None:
        self._line = line
        self._stream = stream
        self._queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MAX_PIECES)

    async def send(self, data: bytes) -> None:
        """Take `data` when the line does."""
        if self._line.is_plain:
            await self._stream.send(data)
            return
        size = self._line.piece
        for at in range(0, len(data), size):
            piece = data[at : at + size]
            arrives = await self._line.pass_on(len(piece))
            await self._queue.put((arrives, piece))

    async def run(self) -> None:
        """Deliver, for ever; run it beside whoever sends."""
        loop = asyncio.get_running_loop()
        while True:
            arrives, piece = await self._queue.get()
            if (wait := arrives - loop.time()) > 0:
                await asyncio.sleep(wait)
            await self._stream.send(piece)
            self._queue.task_done()

    async def flushed(self) -> None:
        """Return when everything has been delivered."""
        await self._queue.join()
