"""`GetCarrier`: GET alone. What goes up rides in the target, what comes down in the answer.

Each request carries a piece up, which is answered at once, or none, and waits at the server for a
piece to come down. Both kinds share their numbers; each has a bound of its own on how many are
under way, so that one never waits for the other. Where a path lets one request at a time through,
they take turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from underpass.carriers.base import Carrier, CarrierError, Feed
from underpass.carriers.calls import Calls, SerialPath, helped, side_by_side
from underpass.carriers.http_client import Answer, HttpClient, Request
from underpass.carriers.methods import Methods
from underpass.carriers.pacing import TOO_LARGE, Pacing
from underpass.carriers.pieces import MAX_EARLY, PieceReader, cut, encode_data, new_token
from underpass.carriers.turns import CAREFUL_SECONDS, take_turns
from underpass.carriers.waiting import ANSWER_SECONDS, account, learn, preferring
from underpass.errors import RemoteProtocolError
from underpass.net.clock import TimeLimit

# 4,096 bytes are 5,462 characters: with the rest of the request line below the 8,000 that RFC 9112
# section 3 asks everybody to take.
PIECE_BYTES = 4096

OPEN_SECONDS = 15.0
# How long the end of a session waits for what was sent last.
LAST_SECONDS = 2.0


@dataclass(slots=True)
class _Piece:
    """What one request carries up, none if it `waits`. `records` are those it is whole of.

    `hold` is for how many seconds it may wait, unless for as long as the path lets it.
    """

    data: bytes
    records: list[bytes]
    waits: bool
    hold: float | None = None
    is_under_way: bool = False


class GetCarrier(Carrier):
    """See the module. `pacing` outlives the carrier."""

    name: ClassVar[str] = "get"

    def __init__(self, client: HttpClient, pacing: Pacing) -> None:
        self._calls = Calls(client, new_token(), pacing)
        self._pacing = pacing
        pacing.up.bound(PIECE_BYTES)
        # Piece 0 each way is the opening message.
        self._reader = PieceReader(1)
        self._next = 1
        # By number, those that have not been answered.
        self._pending: dict[int, _Piece] = {}
        self._changed = asyncio.Event()

    async def open(self, message: bytes) -> bytes:
        path = f"{self._calls.token}/0/{encode_data(message)}"
        request = Request("GET", path, seconds=OPEN_SECONDS, is_repeatable=False)
        return (await self._calls.once(request)).body

    async def run(self, feed: Feed) -> None:
        if self._pacing.idle_limit is not None:
            feed.lower_keepalive(self._pacing.idle_limit)
        try:
            now = asyncio.get_running_loop().time()
            if not self._pacing.is_serial:
                if self._pacing.path.is_doubted(now):
                    # It is seen later whether others can go beside.
                    await self._take_turns(feed, now + CAREFUL_SECONDS)
                try:
                    await side_by_side(self._parallel(feed), self._calls.stuck())
                except SerialPath:
                    self._wait_no_more()
                    if await self._helps(feed):
                        self._pacing.turn_serial()
            if self._pacing.is_serial:
                await self._take_turns(feed, math.inf)
            await side_by_side(self._parallel(feed))
        finally:
            await self._calls.end(Methods(frozenset({"GET"})))

    async def _take_turns(self, feed: Feed, until: float) -> None:
        await take_turns(
            feed, until, self._send_all, lambda _, hold: self._exchange(self._wait(hold), feed)
        )

    async def _parallel(self, feed: Feed) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send(feed, tasks))
            tasks.create_task(self._ask(feed, tasks))

    async def _send(self, feed: Feed, tasks: asyncio.TaskGroup) -> None:
        """Send what there is, each piece with a request of its own."""
        numbers = list(self._pending)
        while True:
            for number in numbers:
                await self._start(number, feed, tasks)
            await self._until(lambda: self._has_room(self._next, waits=False))
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
                await self._until(lambda: all(piece.waits for piece in self._pending.values()))
            raise

    async def _ask(self, feed: Feed, tasks: asyncio.TaskGroup) -> None:
        """Have some requests wait at the server for what comes down."""
        while True:
            await self._until(lambda: self._has_room(self._next, waits=True))
            await self._start(self._wait(), feed, tasks)

    async def _start(self, number: int, feed: Feed, tasks: asyncio.TaskGroup) -> None:
        piece = self._pending[number]
        await self._until(lambda: self._has_room(number, waits=piece.waits))
        piece.is_under_way = True
        tasks.create_task(self._exchange(number, feed))

    async def _helps(self, feed: Feed) -> bool:
        """Whether what was stuck passes when it goes alone."""
        now = asyncio.get_running_loop().time
        started = now()
        await self._send_all(feed)
        return helped(now() - started, feed.delay)

    def _wait_no_more(self) -> None:
        """What waited at the server and was given up is asked again, to be answered at once."""
        for piece in self._pending.values():
            piece.waits = False

    async def _send_all(self, feed: Feed) -> bool:
        """Send what there is now, one piece after the other; whether there was any."""
        has_sent = False
        while self._pending or self._take(feed):
            await self._exchange(min(self._pending), feed)
            has_sent = True
        return has_sent

    def _take(self, feed: Feed) -> list[int]:
        """Take what there is into pieces; their numbers."""
        size = self._pacing.up.size
        records = feed.take(size)
        if not records:
            return []
        pieces = cut(records, size)
        whole = records if len(pieces) == 1 else []
        return [self._number(_Piece(data, whole, waits=False)) for data in pieces]

    def _wait(self, hold: float | None = None) -> int:
        return self._number(_Piece(b"", [], waits=True, hold=hold))

    def _number(self, piece: _Piece) -> int:
        number = self._next
        self._next += 1
        self._pending[number] = piece
        return number

    def _has_room(self, number: int, *, waits: bool) -> bool:
        flow = self._pacing.down if waits else self._pacing.up
        alike = sum(p.is_under_way and p.waits is waits for p in self._pending.values())
        # Either end keeps few pieces that come before one that is missing.
        return alike < flow.width and number < self._reader.next + MAX_EARLY

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    async def _exchange(self, number: int, feed: Feed) -> int:
        """Bring one request and its answer over; how long that is."""
        piece = self._pending[number]
        try:
            answer = await self._fetch(number, piece, feed)
            for came in self._reader.insert(number, answer.body):
                if came:
                    feed.receive(came)
        except RemoteProtocolError as error:
            raise CarrierError(error.reason) from error
        finally:
            piece.is_under_way = False
            self._changed.set()
        del self._pending[number]
        return len(answer.body)

    async def _fetch(self, number: int, piece: _Piece, feed: Feed) -> Answer:
        """Ask until there is an answer: the same under the same number, as it may have arrived."""
        now = asyncio.get_running_loop().time
        for tries in itertools.count(1):
            started = now()
            try:
                answer = await self._try(number, piece, feed)
                if piece.waits:
                    account(self._pacing.down, answer, now() - started)
                else:
                    self._pacing.up.passed(len(piece.data), now() - started)
                return answer
            except CarrierError as error:
                if piece.waits:
                    learn(self._pacing, error, now() - started, feed)
                else:
                    self._objected(error, piece, feed)
                await self._calls.pause(error, tries)
        raise AssertionError("tries are counted without end")

    async def _try(self, number: int, piece: _Piece, feed: Feed) -> Answer:
        hold = self._pacing.hold if piece.hold is None else piece.hold
        hold = hold if piece.waits else 0.0
        path = f"{self._calls.token}/{number}/{encode_data(piece.data)}"
        fields = preferring(hold, self._pacing.down)
        request = Request("GET", path, fields=fields, seconds=hold + ANSWER_SECONDS)
        with self._calls.waits() if piece.waits else self._calls.passes(feed.delay):
            return await self._calls.once(request)

    def _objected(self, error: CarrierError, piece: _Piece, feed: Feed) -> None:
        self._pacing.up.objected(error.status, len(piece.data))
        if piece.records and error.status in TOO_LARGE:
            # In smaller pieces it may pass; this number then brings nothing.
            feed.lost(piece.records)
            piece.data, piece.records = b"", []

    def abort(self) -> None:
        self._calls.client.close()
