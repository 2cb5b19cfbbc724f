"""What a session knows of its carriers: when each was heard, and when to ask whether it lives.

Pure bookkeeping: `check` decides, the session acts.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Final

from underpass.protocol.ranges import Ranges
from underpass.protocol.record import RecordSplitter

# More carriers at once than any path needs.
MAX_CARRIERS: Final = 16
# Beyond so many gaps the numbers in the lowest count as used.
MAX_NUMBER_GAPS: Final = 256

# The other end can't make us ask more often than this; no middlebox's idle limit is so short.
MIN_KEEPALIVE_SECONDS: Final = 1.0

# After sleep: what an answer over any living path takes, with room.
PROBE_SECONDS: Final = 3.0
# What the answer to an attach takes over the slowest path that is worth having.
ATTACH_SECONDS: Final = 15.0


class Verdict(enum.Enum):
    """What to do about a carrier."""

    FINE = "fine"
    ASK = "ask"
    DEAD = "dead"


class SessionCarrier:
    """See the module; times in seconds of the session's clock."""

    __slots__ = (
        "_asked_at",
        "_probe_until",
        "heard_at",
        "interval",
        "nonce",
        "number",
        "ping_wanted",
        "pong_token",
        "splitter",
        "stands",
    )

    def __init__(self, number: int, interval: float, now: float) -> None:
        self.number = number
        self.splitter = RecordSplitter()
        self.interval = interval
        self.nonce = b""
        self.stands = False
        self.ping_wanted = False
        # The token of the latest PING that came; only the latest is answered.
        self.pong_token: int | None = None
        # When something authentic came over it last.
        self.heard_at = now
        self._asked_at = now
        self._probe_until: float | None = None

    def __repr__(self) -> str:
        state = "stands" if self.stands else "new"
        return f"<SessionCarrier {self.number} {state}, heard at {self.heard_at:.3f}>"

    @property
    def has_output(self) -> bool:
        """Whether a PING or a PONG is to go over it."""
        return self.ping_wanted or self.pong_token is not None

    def heard(self, now: float) -> None:
        """Something authentic has come over it."""
        self.heard_at = now
        self._probe_until = None

    def asked(self, token: int, interval: int) -> None:
        """A PING came over it: answer its token unless 0, and keep to its interval (ms)."""
        if token:
            self.pong_token = token
        if interval:
            self.lower_interval(interval / 1000)

    def lower_interval(self, seconds: float) -> None:
        """Ask at least this often; never more often than `MIN_KEEPALIVE_SECONDS`."""
        self.interval = max(MIN_KEEPALIVE_SECONDS, min(self.interval, seconds))

    def probe(self, now: float) -> None:
        """Ask at once, and give it `PROBE_SECONDS` to answer."""
        self._probe_until = now + PROBE_SECONDS
        self._ask(now)

    def await_answer(self, now: float) -> None:
        """It was attached: give it `ATTACH_SECONDS` to bring anything authentic."""
        self._probe_until = now + ATTACH_SECONDS

    def _ask(self, now: float) -> None:
        self._asked_at = now
        self.ping_wanted = True

    @property
    def next_check(self) -> float:
        """When `check` may decide otherwise than now."""
        if self._probe_until is not None:
            return self._probe_until
        return max(self.heard_at, self._asked_at) + self.interval

    def check(self, now: float) -> Verdict:
        """Decide, and when it is to be asked take note of that."""
        if self._probe_until is not None:
            return Verdict.DEAD if now >= self._probe_until else Verdict.FINE
        if now < self.next_check:
            return Verdict.FINE
        # Not by when it was heard: where the interval was lowered, or the clock stood still for a
        # while, nobody has asked it yet.
        if self._asked_at > self.heard_at:
            return Verdict.DEAD
        self._ask(now)
        return Verdict.ASK


class SessionCarriers:
    """The carriers of one session by number, and which numbers have been used."""

    __slots__ = ("_interval", "_next", "_used", "by_number")

    def __init__(self, interval: float) -> None:
        self._interval = interval
        # To look up, not to change.
        self.by_number: dict[int, SessionCarrier] = {}
        self._used = Ranges()
        self._next = 0

    def __len__(self) -> int:
        return len(self.by_number)

    def __iter__(self) -> Iterator[SessionCarrier]:
        return iter(self.by_number.values())

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of those in use."""
        return tuple(self.by_number)

    def next_number(self) -> int:
        """The client's next number; 0 is the carrier of the handshake."""
        self._next += 1
        return self._next - 1

    def was_used(self, number: int) -> bool:
        """Whether a carrier has had this number: none has it twice."""
        return number in self._used

    def add(self, number: int, now: float) -> SessionCarrier:
        """Add a carrier with a new number."""
        self._used.add(number, number)
        if len(self._used) > MAX_NUMBER_GAPS:
            first, last = self._used.pop_first()
            self._used.add(first, self._used.first or last)
        carrier = self.by_number[number] = SessionCarrier(number, self._interval, now)
        return carrier

    def remove(self, number: int) -> bool:
        """Remove a carrier; False when it was gone."""
        return self.by_number.pop(number, None) is not None

    @property
    def supernumerary(self) -> SessionCarrier | None:
        """The one that has been silent longest, where it must go before another comes."""
        if len(self.by_number) < MAX_CARRIERS:
            return None
        return min(self.by_number.values(), key=lambda carrier: carrier.heard_at)
