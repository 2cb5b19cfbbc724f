"""`ServedPieces`: the server's half of one `stream`, `poll` or `get` carrier (docs/carriers.md).

What goes down is cut into numbered answers, given in the order of their numbers: the request for
the lowest waits for something to come, the others for their turn. An answer once given is kept, so
that a request that comes again, from a client that saw no answer or from a box that repeats, gets
the same. One whose time is over before its turn gets an empty answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass

from underpass.carriers.base import CarrierError, Feed
from underpass.carriers.pieces import MAX_EARLY, PieceReader
from underpass.errors import RemoteProtocolError
from underpass.net.clock import TimeLimit

# How long a request may wait here for something to come down, whatever it asks for.
MAX_HOLD_SECONDS = 25.0

# A carrier at which nobody has been for so long is left: between two requests of a client that
# lives there is a round trip, and its retries.
ABANDONED_SECONDS = 60.0

# What one answer brings unless the client asks for less or more.
ANSWER_BYTES = 256 * 1024

# A request so far above the lowest that waits has that answered, with nothing.
MAX_AHEAD = MAX_EARLY // 2

# What the kept answers hold together: the memory of one carrier. The oldest go first; a client that
# asks for one of those has lost the carrier, and no byte, as its session sends them again.
KEPT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request asks for: seconds to wait at most, and bytes at most."""

    hold: float = MAX_HOLD_SECONDS
    size: int = ANSWER_BYTES


class ServedPieces:
    """See the module. Requests call the rest; `run` is the carrier's half that a door carries.

    `first` is the number of the first piece each way.
    """

    def __init__(self, first: int = 0) -> None:
        self._feed: Feed | None = None
        self._begun = asyncio.Event()
        self._reader = PieceReader(first)
        self._answers: dict[int, list[bytes]] = {}
        self._kept_bytes = 0
        # The lowest number without an answer; the event is set, and another made, when it grows.
        self._next = first
        self._advanced = asyncio.Event()
        self._is_streamed = False
        self._here = 0
        self._waiting: set[TimeLimit] = set()
        # Those whose turn it is, by number: more than one where a request has come again.
        self._turns: dict[TimeLimit, int] = {}
        self._seen_at = 0.0
        self._ended: asyncio.Future[CarrierError] = asyncio.get_running_loop().create_future()

    async def run(self, feed: Feed) -> None:
        """Last until the client or the session ends the carrier, or nobody comes any more."""
        now = asyncio.get_running_loop().time
        self._feed = feed
        self._seen_at = now()
        self._begun.set()
        try:
            while not self._ended.done():
                left = ABANDONED_SECONDS
                if not self._here:
                    left = self._seen_at + ABANDONED_SECONDS - now()
                if left <= 0:
                    raise CarrierError("no request for a while")
                await asyncio.wait((self._ended,), timeout=left)
            raise self._ended.result()
        finally:
            self.end("the carrier has ended")

    def end(self, reason: str) -> None:
        """End the carrier, as when the client has said so; who waits here is let go."""
        if not self._ended.done():
            self._ended.set_result(CarrierError(reason))
            self._begun.set()
            for limit in self._waiting:
                limit.expire()

    async def up(self, number: int, piece: bytes) -> None:
        """Take in a piece; one that came before changes nothing. Raises `CarrierError`."""
        with self._request():
            feed = await self._living_feed()
            try:
                for ready in self._reader.insert(number, piece):
                    if ready:
                        feed.receive(ready)
            except RemoteProtocolError as error:
                self.end(error.reason)
                raise CarrierError(error.reason) from error

    async def down(self, number: int, wish: Wish) -> tuple[list[bytes], float]:
        """Return the answer with this number, in parts, and for how many seconds it waited here.

        Raises `CarrierError` where there can be none.
        """
        now = asyncio.get_running_loop().time
        started = now()
        with self._request():
            feed = await self._living_feed()
            if number not in self._answers and not 0 <= number - self._next < MAX_EARLY:
                raise CarrierError("an answer that is not kept any more, or too far ahead")
            while number - self._next >= MAX_AHEAD:
                # Who waits with a low number must not hold up the others.
                self._keep(self._next, [])
            try:
                with self._time_limit(wish.hold):
                    await self._fill(number, feed, wish.size)
            except TimeoutError:
                self._keep(number, [])
            except CarrierError as error:
                # The last words of the session may be on their way in the answer before this.
                self._keep(number, [])
                self.end(error.reason)
            return self._answers.get(number, []), now() - started

    async def _fill(self, number: int, feed: Feed, size: int) -> None:
        """Wait until there is an answer with this number."""
        while number not in self._answers:
            if self._ended.done():
                raise self._ended.result()
            if number > self._next:
                await self._advanced.wait()
            elif records := feed.take(size):
                self._keep(number, records)
            else:
                await self._output(number, feed)

    async def _output(self, number: int, feed: Feed) -> None:
        """Wait for something to come down, or until another has the answer with this number."""
        with contextlib.suppress(TimeoutError), TimeLimit(None) as limit:
            self._turns[limit] = number
            try:
                await feed.output()
            finally:
                del self._turns[limit]

    def _keep(self, number: int, records: list[bytes]) -> None:
        if number in self._answers:
            return
        self._answers[number] = records
        self._kept_bytes += sum(map(len, records))
        while self._next in self._answers:
            self._next += 1
        for old in list(self._answers):
            if old >= self._next - MAX_EARLY and self._kept_bytes <= KEPT_BYTES:
                break
            if old != number:
                self._kept_bytes -= sum(map(len, self._answers.pop(old)))
        for limit, waits in self._turns.items():
            if waits == number:
                limit.expire()
        advanced, self._advanced = self._advanced, asyncio.Event()
        advanced.set()

    @property
    def may_stream(self) -> bool:
        """Whether all that comes down can still be asked for: it is given once."""
        return not self._is_streamed and not self._ended.done()

    async def streamed(self, portion: Callable[[], int]) -> AsyncGenerator[bytes, None]:
        """Give all that comes down, until one end ends it; the carrier ends with it.

        `portion` says what to take from the session at once: more would wait on the way, where
        nothing urgent can go before it.
        """
        self._is_streamed = True
        with self._request():
            try:
                feed = await self._living_feed()
                while not self._ended.done():
                    if records := feed.take(portion()):
                        yield b"".join(records)
                    else:
                        with self._time_limit(None):
                            await feed.output()
            except (CarrierError, TimeoutError):
                # The session has ended, or has given this carrier up: so ends the answer.
                return
            finally:
                self.end("the response down has ended")

    @contextlib.contextmanager
    def _request(self) -> Iterator[None]:
        self._here += 1
        try:
            yield
        finally:
            self._here -= 1
            self._seen_at = asyncio.get_running_loop().time()

    @contextlib.contextmanager
    def _time_limit(self, seconds: float | None) -> Iterator[None]:
        """A time-out for a wait that the end of the carrier ends too."""
        if seconds is not None:
            seconds = min(seconds, MAX_HOLD_SECONDS)
        with TimeLimit(seconds) as limit:
            self._waiting.add(limit)
            try:
                yield
            finally:
                self._waiting.discard(limit)

    async def _living_feed(self) -> Feed:
        await self._begun.wait()
        if self._feed is None or self._ended.done():
            raise CarrierError("the carrier has ended")
        return self._feed
