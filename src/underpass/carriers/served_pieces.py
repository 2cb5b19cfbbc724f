"""`ServedPieces`: the server's half of `stream`, `poll` and `get`, one carrier."""

from __future__ import annotations

import asyncio

from underpass.carriers.base import CarrierError, Feed
from underpass.carriers.pieces import PieceReader
from underpass.net.clock import TimeLimit

# How long a request may wait here for something to come down, whatever it asks for.
MAX_HOLD_SECONDS = 25.0

# A carrier to which nobody has come for so long is left: the client's requests wait shorter.
ABANDONED_SECONDS = 90.0

# What one answer brings at first; doubled while answers are full, up to what passes most boxes.
FIRST_ANSWER_BYTES = 64 * 1024
LARGEST_ANSWER_BYTES = 1024 * 1024

# What one chunk of a streamed response takes from the session at once.
CHUNK_BYTES = 64 * 1024


class ServedPieces:
    """See the module. Requests call `up`, `down` and `streamed`; `run` is the carrier's half."""

    def __init__(self) -> None:
        self._feed: Feed | None = None
        self._reader = PieceReader()
        self._answers: dict[int, bytes] = {}
        self._next = 0
        self._turn = asyncio.Condition()
        self._size = FIRST_ANSWER_BYTES
        self._seen = asyncio.Event()
        self._ended: asyncio.Future[CarrierError] = asyncio.get_running_loop().create_future()

    async def run(self, feed: Feed) -> None:
        """The carrier's half: lasts until the client or the session ends it, or nobody comes."""
        self._feed = feed
        try:
            while True:
                self._seen.clear()
                with TimeLimit(ABANDONED_SECONDS):
                    await self._wait_seen()
        except TimeoutError:
            raise CarrierError("no request for a while") from None
        finally:
            self._feed = None
            self.end("the carrier has ended")

    async def _wait_seen(self) -> None:
        seen = asyncio.ensure_future(self._seen.wait())  # noqa: TID251 - awaited or cancelled here
        try:
            await asyncio.wait((seen, self._ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            seen.cancel()
        if self._ended.done():
            raise self._ended.result()

    def end(self, reason: str) -> None:
        """End the carrier: the client has said so."""
        if not self._ended.done():
            self._ended.set_result(CarrierError(reason))

    @property
    def is_ended(self) -> bool:
        """Whether nothing goes over this carrier any more."""
        return self._ended.done()
