"""What all conversations of one middlebox share."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from underpass.address import Address
from underpass.net.stream import Stream
from underpass.protocol.http.head import RequestHead
from underpass.testing.middlebox.authority import BoxAuthority
from underpass.testing.middlebox.behaviour import Behaviour
from underpass.testing.middlebox.line import Line
from underpass.testing.middlebox.login import LoginDesk

Dial = Callable[[Address], Awaitable[Stream]]

# What is remembered of the traffic, for a test to look through.
MAX_RECORD_BYTES = 64 * 1024 * 1024
# How long a POST waits for one that overtakes it.
OVERTAKE_SECONDS = 0.05


@dataclass
class Record:
    """What a middlebox has seen: heads of requests, and every byte in the clear, within a bound."""

    heads: list[RequestHead] = field(default_factory=list)
    seen: bytearray = field(default_factory=bytearray)
    refused: int = 0
    repeated: int = 0
    resets: int = 0

    def saw(self, data: bytes) -> None:
        """Keep what went through."""
        if len(self.seen) + len(data) <= MAX_RECORD_BYTES:
            self.seen += data


class BoxState:
    """See the module. `behaviour` may be replaced while the box runs: the next request sees it."""

    def __init__(
        self, behaviour: Behaviour, dial: Dial, seed: int, tasks: asyncio.TaskGroup
    ) -> None:
        self.behaviour = behaviour
        # What goes on beside the conversations: lines that deliver, requests that are replayed.
        self.tasks = tasks
        self.dial = dial
        self.random = random.Random(seed)
        self.record = Record()
        self.cache: dict[bytes, bytes] = {}
        self.login = LoginDesk(self.random)
        self.authority = BoxAuthority()
        self.up = Line(behaviour.delay, behaviour.rate)
        self.down = Line(behaviour.delay, behaviour.rate)
        self._turn = asyncio.Lock()
        self._overtaken: asyncio.Event | None = None
        self._later: set[asyncio.Task[None]] = set()

    def later(self, seconds: float, call: Callable[[], Awaitable[None]]) -> None:
        """Do something later, unless the box has ended by then."""

        async def wait() -> None:
            await asyncio.sleep(seconds)
            await call()

        task = self.tasks.create_task(wait())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def end(self) -> None:
        """Do nothing later."""
        for task in self._later:
            task.cancel()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One request's turn, where the box serves one at a time."""
        if not self.behaviour.one_at_a_time:
            yield
            return
        async with self._turn:
            yield

    @contextlib.asynccontextmanager
    async def out_of_order(self) -> AsyncIterator[None]:
        """Let a request wait for the next, if that comes soon, until that has been answered."""
        before, self._overtaken = self._overtaken, None
        if before is not None:
            try:
                yield
            finally:
                before.set()
            return
        mine = self._overtaken = asyncio.Event()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(OVERTAKE_SECONDS):
                    await mine.wait()
        finally:
            if self._overtaken is mine:
                self._overtaken = None
        yield
