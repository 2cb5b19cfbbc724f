"""`SessionTimes`: when a session wants to be called, whether it slept, and when it ends by itself.

Pure bookkeeping, in seconds of the session's clock: it decides, the session acts.
"""

from __future__ import annotations

from typing import Final

# A clock this far ahead of when it should have called has stood still: the machine slept.
SLEPT_SECONDS: Final = 10.0
# How often records that wait for an acknowledgement are looked at.
OVERDUE_CHECK_SECONDS: Final = 1.0
# A record unacknowledged for so long on a carrier that is still heard: one way of it is stuck.
STUCK_SECONDS: Final = 60.0
# How long CLOSE waits for its acknowledgement.
CLOSING_SECONDS: Final = 10.0


class SessionTimes:
    """See the module. `asked_at` is when anything asked last what there is to send."""

    __slots__ = (
        "_expected",
        "_grace_ends",
        "_handled_at",
        "_overdue_check",
        "asked_at",
        "deadline",
    )

    def __init__(self, now: float) -> None:
        self.asked_at = now
        # When the session ends by itself: detached, or while CLOSE is not acknowledged.
        self.deadline: float | None = None
        # Of the last time that all carriers were gone, until another one is proved to work: an
        # attach that nobody answers prolongs nothing.
        self._grace_ends: float | None = None
        self._overdue_check = now + OVERDUE_CHECK_SECONDS
        self._handled_at = now
        self._expected: float | None = None

    def detached(self, now: float, grace: float) -> None:
        """No carrier is left."""
        if self._grace_ends is None:
            self._grace_ends = now + grace
        self.deadline = self._grace_ends

    def proved(self) -> None:
        """A carrier works: the next time without any has a grace time of its own."""
        self._grace_ends = None

    def next(self, checks: list[float], ack_at: float | None, *, has_records: bool) -> float | None:
        """When to be called: for the carriers' `checks`, an ACK, records out, or the end."""
        times = checks[:]
        # An ACK that is due already waits for a carrier with room, not for the clock.
        if ack_at is not None and ack_at > self._handled_at and checks:
            times.append(ack_at)
        if self.deadline is not None:
            times.append(self.deadline)
        if has_records and checks:
            times.append(self._overdue_check)
        at = min(times, default=None)
        # What was due before now is no sign of sleep: nobody could have called earlier.
        self._expected = max(at, self.asked_at) if at is not None else None
        return at

    def handled(self, now: float) -> bool:
        """The session is called; return whether the clock has stood still before."""
        self._handled_at = now
        return self._expected is not None and now > self._expected + SLEPT_SECONDS

    def is_check_due(self, now: float) -> bool:
        """Whether records out are to be looked at; if so, not again for a while."""
        if now < self._overdue_check:
            return False
        self._overdue_check = now + OVERDUE_CHECK_SECONDS
        return True

    def is_over(self, now: float) -> bool:
        """Whether the session is to end."""
        return self.deadline is not None and now >= self.deadline
