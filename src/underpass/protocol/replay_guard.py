"""Which hellos a server has seen already (docs/protocol.md section 3, "Replay").

A hello is worth something while its timestamp is near the server's clock, and what was remembered
of it is forgotten when it can't be any more. A hello may come `tolerance` before its timestamp and
be good until `tolerance` after it: so each is kept for twice the tolerance.
"""

from __future__ import annotations

import enum
from collections import OrderedDict

CLOCK_TOLERANCE_MS = 5 * 60 * 1000

# 100 sessions a second without pause, in about 12 MiB.
CAPACITY = 65_536


@enum.unique
class Verdict(enum.Enum):
    """What a hello is."""

    FRESH = "fresh"
    REPLAYED = "replayed"
    CLOCK = "clock"
    FULL = "full"


class ReplayGuard:
    """Remembers the ephemeral keys of at most `capacity` hellos. All times in milliseconds."""

    def __init__(self, capacity: int = CAPACITY, tolerance_ms: int = CLOCK_TOLERANCE_MS) -> None:
        self._capacity = capacity
        self._tolerance = tolerance_ms
        # When each came, the oldest first. A plain dict would look for its first entry among all
        # that were deleted before it.
        self._seen: OrderedDict[bytes, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def admit(self, ephemeral_public: bytes, timestamp_ms: int, now_ms: int) -> Verdict:
        """Judge a hello that Noise has opened, and remember it if it is fresh.

        REPLAYED gets no answer at all. With FULL nothing is forgotten, or an attacker could make
        room for a replay.
        """
        self._forget(now_ms)
        if ephemeral_public in self._seen:
            return Verdict.REPLAYED
        if abs(now_ms - timestamp_ms) > self._tolerance:
            return Verdict.CLOCK
        if len(self._seen) >= self._capacity:
            return Verdict.FULL
        self._seen[ephemeral_public] = now_ms
        return Verdict.FRESH

    def _forget(self, now_ms: int) -> None:
        while self._seen:
            oldest = next(iter(self._seen))
            # A clock that was set back by much must not keep the table full until it is there
            # again: what came then is as far from now as what came long ago.
            if abs(now_ms - self._seen[oldest]) <= 2 * self._tolerance:
                return
            del self._seen[oldest]
