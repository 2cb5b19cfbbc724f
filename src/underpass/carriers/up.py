"""`Up`: sends what a session has to send in POSTs, several under way at once."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import dataclass

from underpass.carriers.base import CarrierError, Feed
from underpass.carriers.calls import Calls
from underpass.carriers.http_client import Request
from underpass.carriers.pacing import SMALL_SIZE, TOO_MUCH
from underpass.carriers.pieces import MAX_EARLY, MAX_PIECE_BYTES, cut
from underpass.net.clock import TimeLimit

# What an upload may take: a large piece over a slow line.
POST_SECONDS = 60.0


# How long the end of a session waits for what was sent last.
LAST_SECONDS = 2.0


@dataclass(slots=True)
class _Piece:
    """A piece under way. `records` are those that it is whole of; none where it cuts one."""

    data: bytes
    records: list[bytes]


class Up:
    """The client's POSTs of one carrier. `run` and `send_all` may follow each other."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._flow = calls.pacing.up
        self._next = 0
        # By number, those that have not been answered.
        self._pending: dict[int, _Piece] = {}
        self._under_way = 0
        self._room = asyncio.Event()

    async def run(self, feed: Feed) -> None:
        """Send until cancelled. Raises `CarrierError` when a piece can't be brought over."""
        numbers = list(self._pending)
        async with asyncio.TaskGroup() as tasks:
            while True:
                for number in numbers:
                    await self._wait_for_room()
                    self._under_way += 1
                    tasks.create_task(self._post(number, feed))
                await self._wait_for_room()
                numbers = self._take(feed)
                if not numbers:
                    await self._output(feed)

    async def _output(self, feed: Feed) -> None:
        """Wait for something to send. What is under way is finished before the end is told of."""
        try:
            await feed.output()
        except CarrierError:
            # The session's last word is among it.
            with contextlib.suppress(TimeoutError), TimeLimit(LAST_SECONDS):
                while self._under_way:
                    self._room.clear()
                    await self._room.wait()
            raise

    async def send_all(self, feed: Feed) -> bool:
        """Send what there is now, one piece after the other; whether there was any.

        Raises as `run`.
        """
        has_sent = False
        while self._pending or self._take(feed):
            self._under_way += 1
            await self._post(min(self._pending), feed)
            has_sent = True
        return has_sent

    def _take(self, feed: Feed) -> list[int]:
        """Take what there is into pieces; their numbers."""
        size = min(self._flow.size, MAX_PIECE_BYTES)
        records = feed.take(size)
        if not records:
            return []
        pieces = cut(records, size)
        numbers = list(range(self._next, self._next + len(pieces)))
        self._next += len(pieces)
        whole = records if len(pieces) == 1 else []
        self._pending |= {n: _Piece(piece, whole) for n, piece in zip(numbers, pieces, strict=True)}
        return numbers

    @property
    def bytes_under_way(self) -> int:
        """How many bytes have not been answered for."""
        return sum(len(piece.data) for piece in self._pending.values())

    async def _wait_for_room(self) -> None:
        while not self._has_room:
            self._room.clear()
            await self._room.wait()

    @property
    def _has_room(self) -> bool:
        # The server keeps few pieces that come before one that is missing.
        is_near = self._next < min(self._pending, default=self._next) + MAX_EARLY
        return is_near and self._under_way < self._flow.width

    async def _post(self, number: int, feed: Feed) -> None:
        """Bring one piece over: the same under the same number, as it may have arrived."""
        piece = self._pending[number]
        try:
            for tries in itertools.count(1):
                try:
                    await self._try(number, piece, feed)
                    break
                except CarrierError as error:
                    self._flow.objected(error.status, len(piece.data))
                    if piece.records and error.status in TOO_MUCH:
                        # In smaller pieces it may pass; this number then brings nothing.
                        feed.lost(piece.records)
                        piece.data, piece.records = b"", []
                    await self._calls.pause(error, tries)
            del self._pending[number]
        finally:
            self._under_way -= 1
            self._room.set()

    async def _try(self, number: int, piece: _Piece, feed: Feed) -> None:
        now = asyncio.get_running_loop().time
        request = Request("POST", f"{self._calls.token}/{number}", piece.data, seconds=POST_SECONDS)
        size = len(piece.data)
        started = now()
        with self._calls.passes(feed.delay, 0 if size <= SMALL_SIZE else size):
            answer = await self._calls.once(request)
        if answer.body:
            raise CarrierError("a box on the way answers in the server's place", answer.status)
        self._flow.passed(size, now() - started)
