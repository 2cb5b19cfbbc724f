"""`Calls`: the numbered requests of one carrier, and what is done about those that fail."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Coroutine, Iterator

from underpass.carriers.base import CarrierError, first_error
from underpass.carriers.http_client import Answer, HttpClient, Request
from underpass.carriers.methods import REFUSED_METHOD, Methods
from underpass.carriers.pacing import FIRST_WIDTH, OBJECTIONS, SERIAL_HOLD_SECONDS, Pacing

# How often a request is sent, the first time included. Where 30% of all requests fail, one in 1,400
# fails so often.
MAX_TRIES = 6
# Before the second try, and four times as long before each further one.
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0
# Who is told to wait longer than this tries another kind of carrier.
LONGEST_REST_SECONDS = 20.0

# The last word is not worth waiting for.
END_SECONDS = 1.0

DONE = frozenset({200, 204})

# A small piece that is not answered within this and four round trips, while nothing else is either,
# perhaps waits for a request that itself waits at the server.
STUCK_SECONDS = 1.0
# A large one may take longer: bytes a second of the slowest line that is worth it.
SLOWEST_BYTES = 8192
OVERTAKEN_SECONDS = 0.1
# One that took so much longer than three times the quickest has waited for something.
LATE_SECONDS = 0.3
LATE_PIECES = 2


class SerialPath(CarrierError):  # noqa: N818 - says what the path is
    """It looks as if the path let one request at a time through."""


class Calls:
    """See the module. `answered` counts all answers, of whatever request of the carrier."""

    def __init__(self, client: HttpClient, token: str, pacing: Pacing) -> None:
        self.client = client
        self.token = token
        self.pacing = pacing
        self.answered = 0
        # Until then the path has asked to be left alone, by the loop's clock.
        self._rest_until = 0.0
        self._stuck = asyncio.Event()
        # The shortest time that an exchange has taken, in seconds.
        self.quickest = math.inf
        # Small pieces that were answered late, and after all that had waited before them.
        self._late = 0
        # When each request that waits at the server was sent.
        self._waiting: dict[object, float] = {}

    async def once(self, request: Request) -> Answer:
        """Send `request` once. Raises `CarrierError` for no answer and for one that says no."""
        loop = asyncio.get_running_loop()
        if (rest := self._rest_until - loop.time()) > 0:
            await asyncio.sleep(rest)
        started = loop.time()
        answer = await self.client.exchange(request)
        self.answered += 1
        self.quickest = min(self.quickest, loop.time() - started)
        if answer.status not in DONE:
            raise answer.error(f"{request.method} was refused")
        if (answer.fields.get(b"content-type") or b"").lower().startswith(b"text/html"):
            raise CarrierError("a page of a box on the way in the server's place", answer.status)
        return answer

    async def pause(self, error: CarrierError, tries: int) -> None:
        """Wait before another try, after `tries` have failed; raise `error` where none would help.

        ``Retry-After`` holds for all requests of the carrier (RFC 9110 10.2.3).
        """
        if tries >= MAX_TRIES or not (error.status == 0 or error.status in OBJECTIONS):
            raise error
        if error.retry_after is not None:
            if error.retry_after > LONGEST_REST_SECONDS:
                raise error
            rest_until = asyncio.get_running_loop().time() + error.retry_after
            self._rest_until = max(self._rest_until, rest_until)
        pause = FIRST_PAUSE_SECONDS * 4 ** (tries - 1)
        await asyncio.sleep(min(pause, LONGEST_PAUSE_SECONDS))

    async def end(self, methods: Methods) -> None:
        """Tell the server that the carrier ends, if that is quick, and let go of the streams."""
        fewer = methods.without("DELETE")
        try:
            with contextlib.suppress(CarrierError):
                status = await self._tell_end(methods)
                if status not in REFUSED_METHOD or fewer == methods or not fewer.can_post:
                    return
                if await self._tell_end(fewer) in DONE:
                    self.pacing.refused.add("DELETE")
        finally:
            self.client.close()

    async def _tell_end(self, methods: Methods) -> int:
        method, path = methods.end(self.token)
        return (await self.client.exchange(Request(method, path, seconds=END_SECONDS))).status

    @contextlib.contextmanager
    def waits(self) -> Iterator[None]:
        """Within this a request waits at the server for something to come down."""
        mark = object()
        self._waiting[mark] = asyncio.get_running_loop().time()
        try:
            yield
        finally:
            del self._waiting[mark]

    @contextlib.contextmanager
    def passes(self, delay: float, size: int = 0) -> Iterator[None]:
        """Within this a request of `size` bytes is brought over, which the server answers at once.

        If it is answered while an older one waits, the path is parallel. If nothing at all is
        answered for long, or some are always answered after all that waited before them, it is
        serial. `delay` is a round trip.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        # Those that were sent only just before may have been overtaken on the way. (The session's
        # own round trips are long where each waits for those that wait.)
        before = started - min(delay, self.quickest) - OVERTAKEN_SECONDS
        older = {mark for mark, since in self._waiting.items() if since < before}
        patience = stuck_after(delay) + size / SLOWEST_BYTES
        timer = loop.call_later(patience, self._look, self.answered)
        try:
            yield
        finally:
            timer.cancel()
        if older & self._waiting.keys():
            self.pacing.is_parallel = True
        elif older and not size and loop.time() - started > LATE_SECONDS + 3 * self.quickest:
            self._late += 1
            enough = 1 if self.pacing.path.has_been_doubted else LATE_PIECES
            if self._late >= enough and not self.pacing.is_parallel:
                self._stuck.set()

    def _look(self, answered: int) -> None:
        if self.answered == answered and self._waiting:
            self._stuck.set()

    async def stuck(self) -> None:
        """Raise `SerialPath` once a watched request is stuck; wait until then."""
        await self._stuck.wait()
        self._stuck.clear()
        raise SerialPath("the path lets one request at a time through")


def helped(seconds: float, delay: float) -> bool:
    """Whether what was stuck went quickly when it went alone: if not, the path is only slow.

    What waited at the server may have gone on to wait, though it was given up here.
    """
    return seconds < stuck_after(delay) + FIRST_WIDTH * SERIAL_HOLD_SECONDS


def stuck_after(delay: float) -> float:
    """How long a small request may be unanswered where a round trip takes `delay` seconds."""
    return STUCK_SECONDS + 4 * delay


async def side_by_side(*ways: Coroutine[None, None, None]) -> None:
    """Run these until one ends, which ends the others. Raises the first `CarrierError` of them."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for way in ways:
                tasks.create_task(way)
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None
