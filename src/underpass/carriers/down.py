"""`Down`: asks for what a session sends down, with requests that wait at the server."""

from __future__ import annotations

import asyncio
import itertools

from underpass.carriers.base import CarrierError, Feed
from underpass.carriers.calls import Calls
from underpass.carriers.http_client import Answer, Request
from underpass.carriers.methods import Methods
from underpass.carriers.pieces import MAX_EARLY, PieceReader
from underpass.carriers.waiting import ANSWER_SECONDS, account, learn, preferring
from underpass.errors import RemoteProtocolError


class Down:
    """The client's waiting requests of one carrier. `run` and `ask_once` may follow each other."""

    def __init__(self, calls: Calls, methods: Methods) -> None:
        self._calls = calls
        self._methods = methods
        self._pacing = calls.pacing
        self._reader = PieceReader()
        self._next = 0
        # Those that were asked for and have not come.
        self._pending: set[int] = set()
        self._changed = asyncio.Event()

    async def run(self, feed: Feed) -> None:
        """Ask until cancelled. Raises `CarrierError` when a piece can't be had."""
        async with asyncio.TaskGroup() as tasks:
            for number in sorted(self._pending):
                tasks.create_task(self._ask(number, feed))
            while True:
                while self._has_room:
                    tasks.create_task(self._ask(self._number(), feed))
                self._changed.clear()
                await self._changed.wait()

    async def ask_once(self, feed: Feed, hold: float) -> int:
        """Ask for the next piece alone, which waits for at most `hold` seconds; how long it is.

        Raises as `run`.
        """
        number = min(self._pending) if self._pending else self._number()
        return await self._ask(number, feed, hold)

    @property
    def _has_room(self) -> bool:
        is_near = self._next < self._reader.next + MAX_EARLY // 2
        return is_near and len(self._pending) < self._pacing.down.width

    def _number(self) -> int:
        number = self._next
        self._next += 1
        self._pending.add(number)
        return number

    async def _ask(self, number: int, feed: Feed, hold: float | None = None) -> int:
        answer = await self._fetch(number, feed, hold)
        try:
            for piece in self._reader.insert(number, answer.body):
                if piece:
                    feed.receive(piece)
        except RemoteProtocolError as error:
            raise CarrierError(error.reason) from error
        self._pending.discard(number)
        self._changed.set()
        return len(answer.body)

    async def _fetch(self, number: int, feed: Feed, given: float | None) -> Answer:
        """Ask for one piece, again under the same number where no answer came."""
        now = asyncio.get_running_loop().time
        for tries in itertools.count(1):
            method, path = self._methods.down(self._calls.token, number)
            hold = self._pacing.hold if given is None else given
            fields = preferring(hold, self._pacing.down)
            seconds = hold + ANSWER_SECONDS
            started = now()
            try:
                with self._calls.waits():
                    request = Request(method, path, fields=fields, seconds=seconds)
                    answer = await self._calls.once(request)
                account(self._pacing.down, answer, now() - started)
                return answer
            except CarrierError as error:
                learn(self._pacing, error, now() - started, feed)
                await self._calls.pause(error, tries)
        raise AssertionError("tries are counted without end")
