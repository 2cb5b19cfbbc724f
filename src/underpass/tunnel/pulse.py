"""`Pulse`: whether a carrier still brings anything, for who can do something about a mere doubt.

An address that changes, or a box that forgets who speaks, says nothing: what is sent goes nowhere,
and nothing comes. A session must be sure before it gives a carrier up, which takes a minute. Here a
doubt is enough, as it costs no more than another carrier beside. When nothing has followed what was
sent for a while, the other end is asked; where it does not answer either, the carrier is doubted
until it brings something.
"""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

# After what was sent nothing has come for so long, and two round trips: the other end is asked.
QUIET_SECONDS = 4.0
# Nor has the answer: no queue of a network is so long that it could not have come.
ANSWER_SECONDS = 6.0
# So many times as long for both where whole messages wait for one another: one of them is slow,
# perhaps, as boxes hold it back to look at it.
WAITING_TIMES = 2.0

# A second doubt so soon after one means perhaps that the first was wrong: boxes have held messages
# back for a minute. Twice as long, then, up to where the session itself is sure.
REMEMBERED_SECONDS = 600.0
MOST_PATIENCE = 8.0


class Patience:
    """What doubts have taught, of whatever carrier: how many times as long silence is borne."""

    __slots__ = ("_doubted_at", "_times")

    def __init__(self) -> None:
        self._times = 1.0
        self._doubted_at = -math.inf

    def times(self, now: float) -> float:
        """The factor; `now` in seconds of a steady clock."""
        if now - self._doubted_at > REMEMBERED_SECONDS:
            self._times = 1.0
        return self._times

    def doubted(self, now: float) -> None:
        """A carrier was doubted."""
        self._times = min(2 * self.times(now), MOST_PATIENCE)
        self._doubted_at = now


class Askable(Protocol):
    """The tunnel, as far as it matters here."""

    def ask(self, number: int) -> None:
        """Have the other end answer over a carrier, soon."""

    @property
    def is_idle(self) -> bool:
        """Whether there is no stream that could wait for anything."""

    @property
    def delay(self) -> float:
        """The smoothed round-trip time in seconds."""


class Pulse:
    """See the module; of carrier `number`. Its feed tells what is `sent` and `heard`.

    `came` is resolved when something comes; there is a new one from each doubt on. `doubted` is
    resolved while the carrier is doubted. `is_prompt` is that of the carrier.
    """

    __slots__ = (
        "_asked_at",
        "_awaited",
        "_has_ended",
        "_loop",
        "_number",
        "_patience",
        "_sent_at",
        "_timer",
        "_times",
        "_tunnel",
        "came",
        "doubted",
    )

    def __init__(
        self, tunnel: Askable, number: int, patience: Patience, *, is_prompt: bool
    ) -> None:
        self._tunnel = tunnel
        self._number = number
        self._patience = patience
        self._times = 1.0 if is_prompt else WAITING_TIMES
        self._has_ended = False
        self._loop = asyncio.get_running_loop()
        self.came: asyncio.Future[None] = self._loop.create_future()
        self.doubted: asyncio.Future[None] = self._loop.create_future()
        self._awaited: asyncio.Future[None] | None = self.came
        # When the first was sent since something came last.
        self._sent_at = math.inf
        self._asked_at = -math.inf
        self._timer: asyncio.TimerHandle | None = None

    def heard(self) -> None:
        """Something has come that is the session's."""
        self._sent_at = math.inf
        if self._awaited is not None:
            self._awaited.set_result(None)
            self._awaited = None
            if self.doubted.done():
                self.doubted = self._loop.create_future()

    def sent(self) -> None:
        """Records were given to the carrier."""
        if self._sent_at == math.inf and not self._has_ended:
            self._sent_at = self._loop.time()
            # One that is set only looks again, if it is too early.
            if self._timer is None:
                self._look()

    def stop(self) -> None:
        """The carrier has ended."""
        self._has_ended = True
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        """Decide, and look again when it may be decided otherwise."""
        self._timer = None
        if self._sent_at == math.inf:
            return
        if self._tunnel.is_idle:
            # Nobody waits for anything, and the session's own keepalive is soon enough.
            self._sent_at = math.inf
            return
        now = self._loop.time()
        if now >= self._due(now):
            if self._asked_at >= self._sent_at:
                self._patience.doubted(now)
                self.came = self._awaited = self._loop.create_future()
                self.doubted.set_result(None)
                return
            self._asked_at = now
            self._tunnel.ask(self._number)
        self._timer = self._loop.call_at(self._due(now), self._look)

    def _due(self, now: float) -> float:
        """When to ask; once that is done, when to doubt."""
        times, delays = self._times * self._patience.times(now), 2 * self._tunnel.delay
        if self._asked_at >= self._sent_at:
            return self._asked_at + ANSWER_SECONDS * times + delays
        return self._sent_at + QUIET_SECONDS * times + delays
