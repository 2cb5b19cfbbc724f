"""Happy eyeballs (RFC 8305 section 5): the first of several addresses that answers, soon."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, zip_longest

from underpass.address import IPAddress
from underpass.errors import DialError, Failure
from underpass.net.stream import Stream

Attempt = Callable[[IPAddress], Awaitable[Stream]]

# Of several failures the one nearest to the destination tells most.
_TELLING = (
    Failure.CONNECTION_REFUSED,
    Failure.CONNECTION_TERMINATED,
    Failure.CONNECTION_LIMIT,
    Failure.CONNECTION_TIMEOUT,
    Failure.HOST_UNREACHABLE,
    Failure.NETWORK_UNREACHABLE,
)


def interleave(candidates: Sequence[IPAddress]) -> list[IPAddress]:
    """The same addresses with the families in turn, that of the first one first (section 4)."""
    if not candidates:
        return []
    first = candidates[0].version
    same = [ip for ip in candidates if ip.version == first]
    other = [ip for ip in candidates if ip.version != first]
    pairs = chain.from_iterable(zip_longest(same, other))
    return [ip for ip in pairs if ip is not None]


def most_telling(errors: Sequence[DialError]) -> DialError:
    """Of the failures of all addresses, the one to report."""

    def rank(error: DialError) -> int:
        return _TELLING.index(error.failure) if error.failure in _TELLING else len(_TELLING)

    return min(errors, key=rank)


async def race(candidates: Sequence[IPAddress], attempt: Attempt, delay: float) -> Stream:
    """Return the first stream that `attempt` opens to one of `candidates`.

    The next attempt starts `delay` seconds after the one before, or at once when that failed.
    Losers are cancelled. Raises the most telling `DialError` when all failed.
    """
    contest = _Contest(attempt)
    try:
        async with asyncio.TaskGroup() as tasks:
            for ip in interleave(candidates):
                contest.start(tasks, ip)
                if await contest.decided(delay):
                    break
            await contest.finish()
    except asyncio.CancelledError:
        if contest.winner is not None:
            contest.winner.abort()
        raise
    if contest.winner is None:
        raise most_telling(contest.errors)
    return contest.winner


class _Contest:
    """Attempts under way, their failures, and the first stream."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._running: set[asyncio.Task[None]] = set()
        self._latest: asyncio.Task[None] | None = None
        self.winner: Stream | None = None
        self.errors: list[DialError] = []

    def start(self, tasks: asyncio.TaskGroup, ip: IPAddress) -> None:
        self._latest = tasks.create_task(self._try(ip), name=f"attempt {ip}")
        self._running.add(self._latest)

    async def _try(self, ip: IPAddress) -> None:
        try:
            stream = await self._attempt(ip)
        except DialError as error:
            self.errors.append(error)
            return
        if self.winner is None:
            self.winner = stream
        else:
            stream.abort()

    async def decided(self, delay: float) -> bool:
        """Wait for the next attempt's turn; True when none is needed any more."""
        deadline = asyncio.get_running_loop().time() + delay
        while self.winner is None and self._latest in self._running:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or not await self._wait(left):
                break
        return self.winner is not None

    async def finish(self) -> None:
        """Wait until one has won or all have failed, and cancel the rest."""
        while self.winner is None and self._running:
            await self._wait(None)
        for task in self._running:
            task.cancel()

    async def _wait(self, timeout: float | None) -> bool:
        done, self._running = await asyncio.wait(
            self._running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
        )
        return bool(done)
