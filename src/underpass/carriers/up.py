"""`Up`: sends what a session has to send in POSTs, several under way at once."""

from __future__ import annotations

import asyncio

from underpass.carriers.base import CarrierError, Feed
from underpass.carriers.http_client import HttpClient, Request
from underpass.carriers.pacing import OBJECTIONS, TOO_LARGE, Pacing
from underpass.carriers.pieces import MAX_PIECE_BYTES, cut

# A piece is sent at most so often, the first time included.
MAX_TRIES = 3

# What an upload may take: a large piece over a slow line.
POST_SECONDS = 60.0

DONE = frozenset({200, 204})


class Up:
    """The client's POSTs of one carrier, `token`."""

    def __init__(self, client: HttpClient, token: str, pacing: Pacing) -> None:
        self._client = client
        self._token = token
        self._pacing = pacing
        self._next = 0
        self._under_way = 0
        self._room = asyncio.Event()

    async def run(self, feed: Feed) -> None:
        """Send until cancelled. Raises `CarrierError` when a piece can't be brought over."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    await self._wait_for_room()
                    records = feed.take(min(self._pacing.size, MAX_PIECE_BYTES))
                    if not records:
                        await feed.output()
                        continue
                    for piece in cut(records, self._pacing.size):
                        await self._wait_for_room()
                        self._under_way += 1
                        tasks.create_task(self._post(self._next, piece))
                        self._next += 1
        except* CarrierError as errors:
            raise first(errors) from None

    async def _wait_for_room(self) -> None:
        while self._under_way >= self._pacing.width:
            self._room.clear()
            await self._room.wait()

    async def _post(self, number: int, piece: bytes) -> None:
        try:
            for tries in range(1, MAX_TRIES + 1):
                error = await self._try(number, piece)
                if error is None:
                    return
                self._pacing.objected(error.status, len(piece))
                if tries == MAX_TRIES or error.status == TOO_LARGE or not may_pass(error):
                    raise error
                # The same piece under the same number, as it may have arrived.
                await asyncio.sleep(error.retry_after or 0)
        finally:
            self._under_way -= 1
            self._room.set()

    async def _try(self, number: int, piece: bytes) -> CarrierError | None:
        now = asyncio.get_running_loop().time
        started = now()
        request = Request("POST", f"{self._token}/{number}", piece, seconds=POST_SECONDS)
        try:
            answer = await self._client.exchange(request)
        except CarrierError as error:
            return error
        if answer.status not in DONE:
            return answer.error("a piece going up was refused")
        self._pacing.succeeded(len(piece), now() - started)
        return None


def may_pass(error: CarrierError) -> bool:
    """Whether the same again may succeed: no answer came, or one that a busy box gives."""
    return error.status == 0 or error.status in OBJECTIONS


def first(errors: BaseExceptionGroup[CarrierError]) -> CarrierError:
    """One error for a group of them: the one that came first."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, CarrierError) else CarrierError(str(error))
