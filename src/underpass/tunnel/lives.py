"""`Lives`: how long carriers of one kind live here, where something cuts them again. Pure.

A proxy that ends everything after 60 s, whatever goes over it, is no reason for a gap each time:
the next carrier can stand before the old one is cut.
"""

from __future__ import annotations

from collections import deque

# So many carriers in a row that lived equally long are no accident.
ENOUGH = 3

# Equally long: within so much of each other.
SPREAD = 0.15

# A shorter life is no rule of a network, or not one to go along with.
SHORTEST_SECONDS = 5.0

# A life is used up at this part of it.
USED_UP = 0.85


class Lives:
    """See the module; seconds throughout."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=ENOUGH)

    def ended(self, seconds: float) -> None:
        """A carrier was ended, not by us, after so long."""
        self._last.append(seconds)

    @property
    def renewal(self) -> float | None:
        """How old a carrier may become before another should take its place; None for no limit."""
        if len(self._last) < ENOUGH:
            return None
        shortest, longest = min(self._last), max(self._last)
        if shortest < SHORTEST_SECONDS or longest - shortest > SPREAD * longest:
            return None
        return shortest * USED_UP
