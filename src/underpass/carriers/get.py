"""`GetCarrier`: GET alone. What goes up rides in the target, what comes down in the answer.

Each request carries a piece up, or none, and waits at the server for a piece to come down. One that
carries something is sent at once, so there is always room for it: some of the requests under way
are kept free for what is to go up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

from underpass.carriers.base import Carrier, CarrierError, Feed
from underpass.carriers.http_client import Answer, HttpClient, Request
from underpass.carriers.pacing import Pacing
from underpass.carriers.pieces import PieceReader, cut, encode_data, new_token
from underpass.carriers.up import MAX_TRIES, first, may_pass
from underpass.errors import RemoteProtocolError
from underpass.protocol.http.fields import Fields

# 4,096 bytes are 5,462 characters: with the rest of the request line below the 8,000 that RFC 9112
# section 3 asks everybody to take.
PIECE_BYTES = 4096

OPEN_SECONDS = 15.0
ANSWER_SECONDS = 30.0


class GetCarrier(Carrier):
    """See the module. `pacing` outlives the carrier."""

    name: ClassVar[str] = "get"

    def __init__(self, client: HttpClient, pacing: Pacing) -> None:
        self._client = client
        self._pacing = pacing
        self._token = new_token()
        self._reader = PieceReader()
        self._next = 1
        self._under_way = 0
        self._idle = 0
        self._changed = asyncio.Event()

    async def open(self, message: bytes) -> bytes:
        request = self._request(0, message, OPEN_SECONDS)
        answer = await self._client.exchange(request)
        if answer.status != 200:
            raise answer.error("the server does not answer as one")
        self._reader.insert(0, b"")
        return answer.body

    def _request(self, number: int, piece: bytes, seconds: float, hold: float = 0) -> Request:
        fields = Fields([(b"Prefer", b"wait=%d" % hold)])
        path = f"{self._token}/{number}/{encode_data(piece)}"
        return Request("GET", path, fields=fields, seconds=seconds)

    async def run(self, feed: Feed) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send(feed, tasks))
                tasks.create_task(self._ask(feed, tasks))
        except* CarrierError as errors:
            raise first(errors) from None
        finally:
            self._client.close()

    async def _send(self, feed: Feed, tasks: asyncio.TaskGroup) -> None:
        """Send what there is, each piece with a request of its own."""
        while True:
            await self._until(lambda: self._under_way < self._pacing.width + 1)
            records = feed.take(PIECE_BYTES)
            if not records:
                await feed.output()
                continue
            for piece in cut(records, PIECE_BYTES):
                await self._until(lambda: self._under_way < self._pacing.width + 1)
                self._begin(piece, feed, tasks)

    async def _ask(self, feed: Feed, tasks: asyncio.TaskGroup) -> None:
        """Have at least one request wait at the server for what comes down."""
        while True:
            await self._until(lambda: self._idle == 0 and self._under_way < self._pacing.width)
            self._begin(b"", feed, tasks)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    def _begin(self, piece: bytes, feed: Feed, tasks: asyncio.TaskGroup) -> None:
        self._under_way += 1
        self._idle += not piece
        tasks.create_task(self._exchange(self._next, piece, feed))
        self._next += 1

    async def _exchange(self, number: int, piece: bytes, feed: Feed) -> None:
        try:
            answer = await self._fetch(number, piece, feed)
            self._pacing.came(len(answer.body))
            for came in self._reader.insert(number, answer.body):
                if came:
                    feed.receive(came)
        except RemoteProtocolError as error:
            raise CarrierError(error.reason) from error
        finally:
            self._under_way -= 1
            self._idle -= not piece
            self._changed.set()

    async def _fetch(self, number: int, piece: bytes, feed: Feed) -> Answer:
        for _ in range(MAX_TRIES):
            # Who brings something goes back at once: the next piece may need the room.
            hold = 0 if piece else self._pacing.hold
            started = asyncio.get_running_loop().time()
            try:
                request = self._request(number, piece, hold + ANSWER_SECONDS, hold)
                answer = await self._client.exchange(request)
                if answer.status == 200:
                    return answer
                failed = answer.error("a request was refused")
            except CarrierError as error:
                failed = error
            if not may_pass(failed):
                raise failed
            waited = asyncio.get_running_loop().time() - started
            if hold and waited > hold / 3:
                self._pacing.idle_cut(waited)
                feed.lower_keepalive(self._pacing.hold)
            else:
                self._pacing.objected(failed.status, 0)
                await asyncio.sleep(failed.retry_after or 0)
        raise failed

    def abort(self) -> None:
        self._client.close()
