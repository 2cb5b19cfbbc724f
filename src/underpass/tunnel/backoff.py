"""Waits between tries: doubled each time, and random, so that clients do not come back together."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0


class Backoff:
    """Full jitter: each wait is anything from 0 to a bound that doubles."""

    def __init__(
        self,
        first: float = FIRST_SECONDS,
        longest: float = LONGEST_SECONDS,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._first = first
        self._longest = longest
        self._uniform = uniform
        self._bound = first

    def next(self) -> float:
        """Seconds to wait before the next try."""
        bound, self._bound = self._bound, min(self._bound * 2, self._longest)
        return self._uniform(0, bound)

    def reset(self) -> None:
        """It has worked."""
        self._bound = self._first
