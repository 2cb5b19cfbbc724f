"""Slows down who guesses passwords. Pure: time is an argument."""

from __future__ import annotations

from collections import OrderedDict

# Typing errors of a person are fewer in a row, and an office behind one address has several people.
FREE_FAILURES = 10

# Each further failure doubles the wait, up to a minute: 1,440 guesses a day.
FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0

# Forgotten after this long without a failure.
FORGET_SECONDS = 600.0

# Addresses remembered; the one that failed longest ago makes room.
MAX_CLIENTS = 10_000


class FailurePenalty:
    """Counts failed logins of each client address."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, client: str, now: float) -> float:
        """Seconds until `client` may try again; 0 for now."""
        count, last = self._failures.get(client, (0, now))
        if now - last >= FORGET_SECONDS:
            self._failures.pop(client, None)
            return 0.0
        if count < FREE_FAILURES:
            return 0.0
        doublings = min(count - FREE_FAILURES, 16)
        wait = min(FIRST_WAIT * float(1 << doublings), LONGEST_WAIT)
        return max(0.0, last + wait - now)

    def failed(self, client: str, now: float) -> None:
        """`client` gave wrong credentials."""
        count, _ = self._failures.pop(client, (0, now))
        self._failures[client] = (count + 1, now)
        if len(self._failures) > MAX_CLIENTS:
            self._failures.popitem(last=False)

    def succeeded(self, client: str) -> None:
        """`client` gave right credentials: its failures were typing errors."""
        self._failures.pop(client, None)
