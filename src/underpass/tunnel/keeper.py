"""`Keeper`: keeps a client's tunnel up over whatever carriers the network lets through.

One task, `run`, does in turn what is needed: find a carrier that works, hold it until it ends, find
the next. Finding is a race: the kind that worked last, then the others from the best on, each
after a head start of the one before, and the first over which something comes back wins. A carrier
that opens and over which nothing comes back is none.

While a carrier works, better kinds are tried in the background, now and then; when one stands, the
other is let go. One whose kind is cut again and again after the same time gets a successor before
that, and so does one over which nothing comes any more, before it is known to be dead. A session
outlives all of this. When the server does not know it any more, its streams are reset and a new one
begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from underpass.address import Address
from underpass.carriers.base import CarrierError
from underpass.errors import DialError, Failure
from underpass.net.clock import Alarm, TimeLimit
from underpass.net.early import EarlyData
from underpass.net.stream import Stream
from underpass.protocol.frames import CloseCode
from underpass.tunnel.backoff import Backoff
from underpass.tunnel.greeting import Greeter, HandshakeRefused
from underpass.tunnel.joining import OVER, Joiner, Maker, SessionLost
from underpass.tunnel.lives import Lives
from underpass.tunnel.pulse import Patience, Pulse
from underpass.tunnel.race import Race, Standing
from underpass.tunnel.sleep import SleepWatch
from underpass.tunnel.tunnel import Tunnel

# How long one kind may try alone before the next may too: with four kinds, the last begins within
# a second, whatever the others do.
HEAD_START_SECONDS = 0.25
# How long a carrier has, once it is open, to bring a record back: this and four round trips.
STAND_SECONDS = 3.0
# How long a dial waits for a tunnel, and how long for the far end, whose own dial has a shorter
# time.
OPEN_SECONDS = 30.0
ANSWER_SECONDS = 60.0
# Better kinds are tried so long after one stood, and then twice as long after each failure.
FIRST_UPGRADE_SECONDS = 30.0
LONGEST_UPGRADE_SECONDS = 1800.0
# A carrier that lived shorter than this has not really worked; after so many in a row, other kinds
# get the first try, and meanwhile each try waits a little longer.
SHORT_LIFE_SECONDS = 10.0
SHORT_LIVES = 4
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 0.5
# How long the last word to the server may take.
GOODBYE_SECONDS = 1.0
# How often the clocks are compared.
SLEEP_CHECK_SECONDS = 5.0

# A round trip as long as nothing is known of it, for head starts and time-outs.
UNKNOWN_DELAY = 0.1


@dataclass(frozen=True, slots=True)
class TunnelUp:
    """The tunnel is up over another carrier than before; `delay` in seconds."""

    carrier: str
    delay: float


@dataclass(frozen=True, slots=True)
class TunnelDown:
    """No carrier works; `reasons` tell for each kind why not."""

    reasons: tuple[str, ...]


TunnelEvent = TunnelUp | TunnelDown | SessionLost
Tell = Callable[[TunnelEvent], None]


class Keeper:
    """See the module. `makers` are the kinds to try, best first; `tell` hears of changes.

    `first` is the rank of the kind to try before the others: what worked in this network.
    """

    def __init__(
        self, greeter: Greeter, makers: Sequence[Maker], tell: Tell, first: int | None = None
    ) -> None:
        self._makers = list(makers)
        self._tell = tell
        self._first = first
        self._tasks = asyncio.TaskGroup()
        self._has_changed = asyncio.Event()
        self._joiner = Joiner(greeter, self._tasks, self._has_changed.set, tell)
        self._lives = [Lives() for _ in self._makers]
        self._patience = Patience()
        self._standing: Standing | None = None
        self._backoff = Backoff()
        self._pauses = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        self._short_lives = 0
        self._hurry = asyncio.Event()
        self._sleep = SleepWatch()
        self._answering: Alarm[TimeLimit] = Alarm(ANSWER_SECONDS, TimeLimit.expire)
        self._upgrade_after = FIRST_UPGRADE_SECONDS
        self._racing: asyncio.Task[Standing | None] | None = None
        # What is to be tried from the next race on, and which of it first.
        self._others: tuple[Sequence[Maker], int | None] | None = None

    @property
    def tunnel(self) -> Tunnel | None:
        """The tunnel as it is now; None before the first session."""
        return self._joiner.tunnel

    @property
    def refused(self) -> HandshakeRefused | None:
        """Why the server lets us in no more, once it has said so."""
        return self._joiner.refused

    @property
    def rank(self) -> int | None:
        """The kind that works or worked last; to be remembered for this network."""
        return self._first

    @property
    def carrier(self) -> str | None:
        """The name of what carries now; None while nothing does."""
        return self._makers[self._standing.rank].name if self._standing is not None else None

    @property
    def delay(self) -> float:
        """The round-trip time of the session in seconds, smoothed."""
        return self.tunnel.delay if self.tunnel is not None else UNKNOWN_DELAY

    # --- streams

    async def open(self, address: Address, early: EarlyData | None = None) -> Stream:
        """Open a stream through the tunnel; a dial, and an `EarlyDial`. Raises `DialError`.

        Waits for a tunnel for at most `OPEN_SECONDS`, and for the answer for `ANSWER_SECONDS`.
        """
        tunnel = self.tunnel
        if tunnel is None or tunnel.is_closed:
            tunnel = await self._living()
        try:
            return await self._open(tunnel, address, early)
        except DialError:
            # What was sent may have been heard: not twice.
            if not tunnel.is_closed or (early is not None and early.sent):
                raise
        # The session was lost before an answer came, and nothing has been sent on the stream yet.
        return await self._open(await self._living(), address, early)

    async def _living(self) -> Tunnel:
        try:
            with TimeLimit(OPEN_SECONDS):
                while self.tunnel is None or self.tunnel.is_closed:
                    if self._joiner.refused is not None:
                        raise DialError(Failure.TUNNEL_DOWN, self._joiner.refused.reason)
                    self._has_changed.clear()
                    await self._has_changed.wait()
        except TimeoutError:
            details = f"no carrier has worked for {OPEN_SECONDS:g} s"
            raise DialError(Failure.TUNNEL_DOWN, details) from None
        return self.tunnel

    async def _open(self, tunnel: Tunnel, address: Address, early: EarlyData | None) -> Stream:
        try:
            with TimeLimit(None, self._answering):
                return await tunnel.open(address, early)
        except TimeoutError:
            details = f"no answer from the far end for {ANSWER_SECONDS:g} s"
            raise DialError(Failure.CONNECTION_TIMEOUT, details) from None

    # --- the task

    async def run(self) -> None:
        """Keep the tunnel up until cancelled. Raises `HandshakeRefused` where no try would help."""
        try:
            async with self._tasks as tasks:
                tasks.create_task(self._watch_sleep(), name="sleep")
                try:
                    while self._joiner.refused is None:
                        await self._turn()
                    # Ends all tasks, too.
                    raise self._joiner.refused
                finally:
                    self._joiner.is_over = True
                    self._has_changed.set()
                    await self._say_goodbye()
        except* HandshakeRefused as refused:
            raise refused.exceptions[0] from None

    async def _turn(self) -> None:
        """Find a carrier and hold it until it has ended."""
        standing = await self._find()
        if standing is None:
            if self._joiner.refused is None and self._others is None:
                await self._pause(self._backoff.next())
            return
        self._backoff.reset()
        lived = await self._hold(standing)
        if lived >= SHORT_LIFE_SECONDS:
            self._short_lives = 0
            self._pauses.reset()
            return
        self._short_lives += 1
        if self._short_lives % SHORT_LIVES == 0:
            # It opens, and dies: let others have the first try.
            self._first = None
        if self._short_lives > 1:
            # What it lived has been waited already.
            await self._pause(max(0.0, self._pauses.next() - lived))

    async def _pause(self, seconds: float) -> None:
        """Wait, unless there is a reason to believe that it works now."""
        self._hurry.clear()
        with contextlib.suppress(TimeoutError), TimeLimit(seconds):
            await self._hurry.wait()

    async def _watch_sleep(self) -> None:
        while True:
            await asyncio.sleep(SLEEP_CHECK_SECONDS)
            if self._sleep.has_slept():
                self.woke()

    def woke(self) -> None:
        """The machine has slept, or its network has changed: find out soon what still works."""
        self._hurry.set()
        if self.tunnel is not None and not self.tunnel.is_closed:
            self.tunnel.session.woke(_now())
            self.tunnel.settle()

    def replace(self, makers: Sequence[Maker], first: int | None = None) -> None:
        """Go on over these kinds: what carries now ends, the session and its streams stay."""
        self._others = (makers, first)
        self._hurry.set()
        if self._racing is not None:
            self._racing.cancel()
        if self._standing is not None:
            self._standing.task.cancel()

    def _take_others(self) -> None:
        if self._others is not None:
            (makers, self._first), self._others = self._others, None
            self._makers = list(makers)
            self._lives = [Lives() for _ in self._makers]
            self._short_lives = 0
            self._upgrade_after = FIRST_UPGRADE_SECONDS

    async def _say_goodbye(self) -> None:
        """Tell the server that the session is over, if that is quick."""
        if self.tunnel is not None and not self.tunnel.is_closed:
            self.tunnel.abort(CloseCode.DONE, OVER)
        if self._standing is not None:
            await asyncio.wait((self._standing.task,), timeout=GOODBYE_SECONDS)

    # --- finding

    async def _find(self) -> Standing | None:
        """Race the kinds; return the first that works, None when none does."""
        self._take_others()
        race = Race(self._try)
        # A session is known to have a longer way: its first carrier deserves a longer head start.
        known = 2 * self.delay if self.tunnel is not None else 0.0
        self._racing = self._tasks.create_task(race.run(self._order(), HEAD_START_SECONDS + known))
        standing = await self._winner_of(self._racing)
        self._racing = None
        if standing is None and self._joiner.refused is None and self._others is None:
            self._tell(TunnelDown(tuple(race.reasons)))
        return standing

    def _order(self) -> list[int]:
        """All ranks; what worked last before the others."""
        return sorted(range(len(self._makers)), key=lambda rank: (rank != self._first, rank))

    async def _winner_of(
        self, race: asyncio.Task[Standing | None], *until: asyncio.Future[Any]
    ) -> Standing | None:
        """What wins the race, if anything does before one of `until` is done."""
        try:
            await asyncio.wait({race, *until}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            race.cancel()
        standing = race.result() if race.done() and not race.cancelled() else None
        if standing is not None and self._others is not None:
            # It is of those that are not to be used any more.
            standing.task.cancel()
            return None
        return standing

    async def _try(self, rank: int) -> Standing:
        """Open one carrier and wait until it works. Raises `CarrierError`."""
        maker = self._makers[rank]
        try:
            joined = await self._joiner.join(maker)
        except CarrierError as error:
            raise CarrierError(f"{maker.name}: {error}", error.status) from error
        if self._joiner.is_over:
            joined.carrier.abort()
            raise CarrierError(f"{maker.name}: {OVER}")
        tunnel, number = joined.tunnel, joined.number
        pulse = Pulse(tunnel, number, self._patience, is_prompt=joined.carrier.is_prompt)
        came, started = pulse.came, _now()
        running = tunnel.carry(number, joined.carrier.run, pulse)
        task = self._tasks.create_task(running, name=maker.name)
        # An answer to this comes back the whole way.
        tunnel.ask(number)
        try:
            await asyncio.wait(
                (came, task),
                timeout=STAND_SECONDS + 4 * self.delay,
                return_when=asyncio.FIRST_COMPLETED,
            )
        except asyncio.CancelledError:
            task.cancel()
            raise
        if came.done():
            return Standing(rank, task, _now(), _now() - started, pulse)
        if task.done() and not task.cancelled():
            raise CarrierError(f"{maker.name}: {task.result()}")
        task.cancel()
        raise CarrierError(f"{maker.name}: it opens, but nothing comes back over it")

    # --- holding

    async def _hold(self, standing: Standing) -> float:
        """Use a carrier, and whatever takes its place, until it ends; how long the last lived."""
        while True:
            self._standing, self._first = standing, standing.rank
            self._tell(TunnelUp(self._makers[standing.rank].name, standing.delay))
            following = await self._follower_of(standing)
            if following is None:
                break
            standing.task.cancel()
            standing = following
        self._standing = None
        lived = _now() - standing.since
        self._lives[standing.rank].ended(lived)
        return lived

    async def _follower_of(self, standing: Standing) -> Standing | None:
        """Return what takes the carrier's place, once it works; None when `standing` has ended."""
        renewal = self._lives[standing.rank].renewal
        renew_at = standing.since + renewal if renewal is not None else math.inf
        while True:
            upgrade_at = _now() + self._upgrade_after if standing.rank else math.inf
            at = min(renew_at, upgrade_at)
            await _any_of(at - _now(), standing.task, standing.pulse.doubted)
            if standing.task.done():
                return None
            if standing.pulse.doubted.done():
                if (following := await self._substitute_of(standing)) is not None:
                    return following
                continue
            order = [standing.rank] if at == renew_at else list(range(standing.rank))
            following = await self._race_beside(order, standing.task)
            if following is not None:
                self._upgrade_after = FIRST_UPGRADE_SECONDS
                return following
            if at == renew_at:
                # It will be cut, then.
                renew_at = math.inf
            else:
                self._upgrade_after = min(self._upgrade_after * 2, LONGEST_UPGRADE_SECONDS)

    async def _substitute_of(self, doubted: Standing) -> Standing | None:
        """Return what works beside a carrier that is doubted; None once that brings something."""
        until = doubted.task, doubted.pulse.came
        # Its own: once the carrier is known to be dead, the search begins without a wait.
        backoff = Backoff()
        while not any(one.done() for one in until):
            if (substitute := await self._race_beside(self._order(), *until)) is not None:
                return substitute
            await _any_of(backoff.next(), *until)
        return None

    async def _race_beside(self, order: list[int], *until: asyncio.Future[Any]) -> Standing | None:
        """Race these kinds until one of `until` is done; what works, if any does."""
        race = self._tasks.create_task(Race(self._try).run(order, STAND_SECONDS))
        return await self._winner_of(race, *until)


async def _any_of(seconds: float, *futures: asyncio.Future[Any]) -> None:
    """Wait for one of these, and no longer than so many seconds; infinitely many for ever."""
    timeout = max(0.0, seconds) if seconds < math.inf else None
    await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)


def _now() -> float:
    return asyncio.get_running_loop().time()
