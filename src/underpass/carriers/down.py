"""`Down`: asks for what a session sends down, with requests that wait at the server."""

from __future__ import annotations

import asyncio

from underpass.carriers.base import CarrierError, Feed
from underpass.carriers.http_client import Answer, HttpClient, Request
from underpass.carriers.methods import Methods
from underpass.carriers.pacing import Pacing
from underpass.carriers.pieces import PieceReader
from underpass.carriers.up import MAX_TRIES, may_pass
from underpass.errors import RemoteProtocolError
from underpass.protocol.http.fields import Fields

# What an answer may take beyond the time that it was asked to wait.
ANSWER_SECONDS = 30.0


class Down:
    """The client's waiting requests of one carrier, `token`."""

    def __init__(self, client: HttpClient, token: str, methods: Methods, pacing: Pacing) -> None:
        self._client = client
        self._token = token
        self._methods = methods
        self._pacing = pacing
        self._reader = PieceReader()
        self._next = 0
        self._asking = 0
        self._changed = asyncio.Event()

    async def run(self, feed: Feed) -> None:
        """Ask until cancelled. Raises `CarrierError` when a piece can't be had."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                while self._asking < self._pacing.width:
                    self._asking += 1
                    tasks.create_task(self._ask(self._next, feed))
                    self._next += 1
                self._changed.clear()
                await self._changed.wait()

    async def _ask(self, number: int, feed: Feed) -> None:
        try:
            answer = await self._fetch(number, feed)
            self._pacing.came(len(answer.body))
            for piece in self._reader.insert(number, answer.body):
                if piece:
                    feed.receive(piece)
        except RemoteProtocolError as error:
            raise CarrierError(error.reason) from error
        finally:
            self._asking -= 1
            self._changed.set()

    async def _fetch(self, number: int, feed: Feed) -> Answer:
        """Ask for one piece, again under the same number where no answer came."""
        for _ in range(MAX_TRIES):
            started = asyncio.get_running_loop().time()
            hold = self._pacing.hold
            try:
                return await self._try(number, hold)
            except CarrierError as error:
                failed = error
            if not may_pass(failed):
                raise failed
            waited = asyncio.get_running_loop().time() - started
            if waited > hold / 3:
                # It stood idle, and a box cut it.
                self._pacing.idle_cut(waited)
                feed.lower_keepalive(self._pacing.hold)
            else:
                self._pacing.objected(failed.status, 0)
                await asyncio.sleep(failed.retry_after or 0)
        raise failed

    async def _try(self, number: int, hold: float) -> Answer:
        method, path = self._methods.down(self._token, number)
        fields = Fields([(b"Prefer", b"wait=%d" % hold)])
        request = Request(method, path, fields=fields, seconds=hold + ANSWER_SECONDS)
        answer = await self._client.exchange(request)
        if answer.status != 200:
            raise answer.error("a piece coming down was refused")
        return answer
